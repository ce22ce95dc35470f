/* respond_list.c: the lists: containers, images, events. Every row is checked again, whatever was asked of
 * the engine, and rebuilt. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "filter/respond_internal.h"
#include "filter/route.h"

/* Both marks that a row of a list can carry: the registry and the label. */
static bool is_own(const struct respond_view *v, const char *id, const json_t *labels)
{
    return id && str_is_hex(id, 64) && str_eq(respond_text(labels, LABEL_TENANT), v->policy->tenant) &&
           v->owns(v->userdata, id);
}

/* ["/engine-name"] as the client knows it. Legacy links show as a second name with a slash inside: dropped.
 */
static json_t *names_json(const struct respond_view *v, const json_t *names)
{
    _cleanup_json_ json_t *out = json_array();

    for (size_t i = 0; out && i < json_array_size(names); i++) {
        const char *s = json_string_value(json_array_get(names, i));
        const char *name = s ? respond_client_name(v->policy, s) : NULL;

        if (!name || strchr(name, '/'))
            continue;
        if (json_array_append_new(out, json_sprintf("/%s", name)) < 0)
            return NULL;
    }
    return TAKE_PTR(out);
}

static int container_row(const struct respond_view *v, const json_t *row, json_t **ret)
{
    static const char *const keys[] = {
        "Id", "ImageID", "Command", "Created", "Ports", "State", "Status", "Health"};
    const json_t *labels = json_object_get(row, "Labels");
    const char *image = respond_text(row, "Image");
    const json_t *nets = json_object_get(json_object_get(row, "NetworkSettings"), "Networks");
    const char *mode = respond_text(json_object_get(row, "HostConfig"), "NetworkMode");
    _cleanup_json_ json_t *o = respond_pick(row, keys, ARRAY_SIZE(keys));
    int r = o ? 0 : -ENOMEM;

    if (r >= 0)
        r = respond_put(o, "Names", names_json(v, json_object_get(row, "Names")));
    if (r >= 0)
        r = respond_put(o, "Image", json_string(respond_image_name(labels, image ? image : "")));
    if (r >= 0)
        r = respond_put(o, "Labels", respond_labels(labels));
    if (r >= 0)
        r = respond_put(o, "Mounts", respond_mounts(json_object_get(row, "Mounts"), labels, false));
    if (r >= 0)
        r = respond_put(
            o, "HostConfig", json_pack("{s:s}", "NetworkMode", respond_network_mode(v->policy, mode)));
    if (r >= 0)
        r = respond_put(
            o, "NetworkSettings", json_pack("{s:o}", "Networks", respond_networks(v->policy, nets)));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}

/* What `before` and `since` may name: an own row by id, name or unique id prefix. Its index, or -ENOENT. */
static int find_row(const json_t *own, const char *ref)
{
    int found = -ENOENT;

    if (*ref == '/')
        ref++;
    for (size_t i = 0; i < json_array_size(own); i++) {
        const json_t *row = json_array_get(own, i), *names = json_object_get(row, "Names");

        if (str_eq(respond_text(row, "Id"), ref))
            return (int)i;
        for (size_t k = 0; k < json_array_size(names); k++)
            if (strcmp(json_string_value(json_array_get(names, k)) + 1, ref) == 0)
                return (int)i;
    }
    for (size_t i = 0; i < json_array_size(own) && *ref; i++) {
        if (!str_startswith(respond_text(json_array_get(own, i), "Id"), ref))
            continue;
        if (found >= 0)
            return -ENOENT;
        found = (int)i;
    }
    return found;
}

/* The index that a bound names, or `fallback` without one. Rows are newest first, so that an index says more
 * than their creation times, which are whole seconds. */
static int find_bound(const struct respond_filters *f, const char *key, const json_t *own, int fallback,
    struct refusal *refusal)
{
    const char *ref = respond_filters_value(f, key);
    char text[704];
    int i;

    if (!ref)
        return fallback;
    i = find_row(own, ref);
    if (i >= 0)
        return i;
    route_absent_message(text, sizeof(text), ROUTE_REF_CONTAINER, ref);
    return refusal_set(refusal, 404, "list.filters", "%s", text);
}

static bool row_passes(const struct respond_containers_query *q, const json_t *row)
{
    const json_t *names = json_object_get(row, "Names");
    const char *name = json_string_value(json_array_get(names, 0)), *state = respond_text(row, "State");
    struct respond_subject s = {.id = respond_text(row, "Id"),
        .name = name ? name + 1 : NULL,
        .image = respond_text(row, "Image"),
        .image_id = respond_text(row, "ImageID"),
        .state = state,
        .status = respond_text(row, "Status"),
        .labels = json_object_get(row, "Labels"),
        .networks = json_object_get(json_object_get(row, "NetworkSettings"), "Networks")};
    bool wants_stopped = q->all || q->limit > 0 || respond_filters_value(q->filters, "status");

    if (!wants_stopped && !str_eq(state, "running") && !str_eq(state, "paused") &&
        !str_eq(state, "restarting"))
        return false;
    return respond_filters_match(q->filters, &s);
}

/* All own rows, rebuilt. */
static int own_rows(const struct respond_view *v, const json_t *rows, json_t **ret)
{
    _cleanup_json_ json_t *own = json_array();

    if (!own)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        json_t *o = NULL;
        int r;

        if (!is_own(v, respond_text(row, "Id"), json_object_get(row, "Labels")))
            continue;
        r = container_row(v, row, &o);
        if (r < 0)
            return r;
        if (json_array_append_new(own, o) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(own);
    return 0;
}

int respond_containers(const struct respond_view *v, const struct respond_containers_query *q,
    const json_t *rows, json_t **ret, struct refusal *refusal)
{
    _cleanup_json_ json_t *own = NULL, *out = json_array();
    int r, end, begin = 0;

    if (refusal)
        *refusal = (struct refusal){0};
    if (!out)
        return -ENOMEM;
    if (!json_is_array(rows))
        return -EBADMSG;
    r = own_rows(v, rows, &own);
    if (r < 0)
        return r;
    end = find_bound(q->filters, "since", own, (int)json_array_size(own), refusal);
    if (end < 0)
        return end;
    if (respond_filters_value(q->filters, "before")) {
        begin = find_bound(q->filters, "before", own, 0, refusal);
        if (begin < 0)
            return begin;
        begin++;
    }
    for (int i = begin; i < end; i++) {
        json_t *row = json_array_get(own, (size_t)i);

        if (q->limit > 0 && json_array_size(out) >= q->limit)
            break;
        if (row_passes(q, row) && json_array_append(out, row) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(out);
    return 0;
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
