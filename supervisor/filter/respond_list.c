/* respond_list.c: the list of images, and events. Every row is checked again, whatever was asked of the
 * engine, and rebuilt. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "filter/respond_internal.h"
#include "filter/route.h"

/* Both marks that an event can carry: the registry and the label. */
static bool is_own(const struct respond_view *v, const char *id, const json_t *labels)
{
    return id && str_is_hex(id, 64) && str_eq(respond_text(labels, LABEL_TENANT), v->policy->tenant) &&
           v->owns(v->userdata, id);
}

int respond_images(
    const struct respond_view *v, const struct respond_filters *f, const json_t *rows, json_t **ret)
{
    static const char *const keys[] = {"Id", "Created", "Labels", "Size", "VirtualSize", "SharedSize"};
    _cleanup_json_ json_t *out = json_array();

    if (!out)
        return -ENOMEM;
    if (!json_is_array(rows))
        return -EBADMSG;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        _cleanup_json_ json_t *tags = respond_allowed_tags(v->policy, json_object_get(row, "RepoTags"));
        _cleanup_json_ json_t *o = respond_pick(row, keys, ARRAY_SIZE(keys));

        if (!tags || !o)
            return -ENOMEM;
        if (json_array_size(tags) == 0 ||
            !respond_filters_match_image(f, tags, json_object_get(row, "Labels")))
            continue;
        if (respond_put(o, "RepoTags", TAKE_PTR(tags)) < 0 ||
            respond_put(o, "RepoDigests", json_array()) < 0 ||
            respond_put(o, "ParentId", json_string("")) < 0 ||
            respond_put(o, "Containers", json_integer(-1)) < 0 || json_array_append(out, o) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(out);
    return 0;
}

/* The actions that a client may see of its own containers: never exec_*, which carry command lines. */
static bool is_shown_action(const char *action)
{
    static const char *const shown[] = {"attach", "create", "destroy", "detach", "die", "export",
        "archive-path", "extract-to-dir", "kill", "oom", "pause", "rename", "resize", "restart", "start",
        "stop", "top", "unpause", "update"};

    for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
        if (str_eq(action, shown[i]))
            return true;
    return false;
}

/* Actor.Attributes: the labels, and name, image, exitCode, signal, oldName. */
static json_t *attributes_json(const struct respond_view *v, const json_t *in)
{
    _cleanup_json_ json_t *o = respond_labels(in);
    const char *name = respond_text(in, "name"), *old = respond_text(in, "oldName");
    const char *image = respond_text(in, "image");
    int r = o ? 0 : -ENOMEM;

    if (r >= 0 && name)
        r = respond_put(o, "name", json_string(respond_client_name(v->policy, name)));
    if (r >= 0 && old)
        r = respond_put(o, "oldName", json_sprintf("/%s", respond_client_name(v->policy, old)));
    if (r >= 0 && image)
        r = respond_put(o, "image", json_string(respond_image_name(in, image)));
    return r >= 0 ? TAKE_PTR(o) : NULL;
}

int respond_event(
    const struct respond_view *v, const struct respond_filters *f, const json_t *event, json_t **ret)
{
    static const char *const keys[] = {"Type", "Action", "scope", "time", "timeNano"};
    const json_t *actor = json_object_get(event, "Actor"), *attributes = json_object_get(actor, "Attributes");
    const char *id = respond_text(actor, "ID"), *action = respond_text(event, "Action");
    _cleanup_json_ json_t *shown = NULL, *o = NULL;
    struct respond_subject s = {.id = id, .event = action};

    *ret = NULL;
    if (!str_eq(respond_text(event, "Type"), "container") || !action || !is_shown_action(action) ||
        !is_own(v, id, attributes))
        return 0;
    shown = attributes_json(v, attributes);
    if (!shown)
        return -ENOMEM;
    s.name = respond_text(shown, "name");
    s.image = respond_text(shown, "image");
    s.labels = shown;
    if (!respond_filters_match(f, &s))
        return 0;
    o = respond_pick(event, keys, ARRAY_SIZE(keys));
    if (!o || respond_put(o, "status", json_string(action)) < 0 ||
        respond_put(o, "id", json_string(id)) < 0 ||
        respond_put(o, "from", json_string(s.image ? s.image : "")) < 0 ||
        respond_put(o, "Actor", json_pack("{s:s, s:O}", "ID", id, "Attributes", shown)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}
