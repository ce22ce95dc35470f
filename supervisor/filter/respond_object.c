/* respond_object.c: the smaller answers: images, networks, what a create gives back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "filter/respond_internal.h"

#define WARNINGS_MAX 16

int respond_image_inspect(const struct respond_view *v, const json_t *image, json_t **ret)
{
    static const char *const keys[] = {"Id", "Comment", "Created", "Author", "Config", "Architecture",
        "Variant", "Os", "OsVersion", "Size", "VirtualSize", "RootFS"};
    _cleanup_json_ json_t *o = NULL;

    if (!respond_text(image, "Id"))
        return -EBADMSG;
    o = respond_pick(image, keys, ARRAY_SIZE(keys));
    if (!o ||
        respond_put(o, "RepoTags", respond_allowed_tags(v->policy, json_object_get(image, "RepoTags"))) < 0 ||
        respond_put(o, "RepoDigests", json_array()) < 0)
        return -ENOMEM;
    /* docker-compose 1.29 looks into it without asking whether it is there. */
    if (json_is_object(json_object_get(image, "ContainerConfig")) &&
        respond_put(o, "ContainerConfig", json_object()) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

int respond_image_history(const struct respond_view *v, const json_t *rows, json_t **ret)
{
    static const char *const keys[] = {"Id", "Created", "CreatedBy", "Size", "Comment"};
    _cleanup_json_ json_t *out = json_array();

    if (!out)
        return -ENOMEM;
    if (!json_is_array(rows))
        return -EBADMSG;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *tags = json_object_get(row, "Tags");
        _cleanup_json_ json_t *o = respond_pick(row, keys, ARRAY_SIZE(keys));
        int r = o ? respond_put(
                        o, "Tags", json_is_array(tags) ? respond_allowed_tags(v->policy, tags) : json_null())
                  : -ENOMEM;

        if (r < 0 || json_array_append(out, o) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(out);
    return 0;
}

/* Only own containers of the network, by their own names. */
static json_t *members_json(const struct respond_view *v, json_t *in)
{
    static const char *const keys[] = {"EndpointID", "MacAddress", "IPv4Address", "IPv6Address"};
    _cleanup_json_ json_t *out = json_object();

    for (void *it = out ? json_object_iter(in) : NULL; it; it = json_object_iter_next(in, it)) {
        const char *id = json_object_iter_key(it), *name = respond_text(json_object_iter_value(it), "Name");
        _cleanup_json_ json_t *o = NULL;

        if (!str_is_hex(id, 64) || !v->owns(v->userdata, id))
            continue;
        o = respond_pick(json_object_iter_value(it), keys, ARRAY_SIZE(keys));
        if (!o || respond_put(o, "Name", json_string(name ? respond_client_name(v->policy, name) : "")) < 0 ||
            json_object_set(out, id, o) < 0)
            return NULL;
    }
    return TAKE_PTR(out);
}

int respond_network(const struct respond_view *v, const json_t *network, json_t **ret)
{
    static const char *const keys[] = {"Name", "Id", "Created", "Scope", "Driver", "EnableIPv6", "IPAM",
        "Internal", "Attachable", "Ingress"};
    const char *id = respond_text(network, "Id");
    _cleanup_json_ json_t *o = NULL;

    if (!id || !str_eq(id, v->policy->network_id))
        return -EBADMSG;
    o = respond_pick(network, keys, ARRAY_SIZE(keys));
    if (!o || respond_put(o, "Containers", members_json(v, json_object_get(network, "Containers"))) < 0 ||
        respond_put(o, "Options", json_object()) < 0 || respond_put(o, "Labels", json_object()) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

static int copy_id(const json_t *answer, char ret_id[65])
{
    const char *id = respond_text(answer, "Id");

    if (!id || !str_is_hex(id, 64))
        return -EBADMSG;
    memcpy(ret_id, id, 65);
    return 0;
}

int respond_create(const json_t *answer, char ret_id[65], json_t **ret)
{
    const json_t *in = json_object_get(answer, "Warnings");
    _cleanup_json_ json_t *warnings = json_array(), *o = NULL;
    char id[65];
    int r = copy_id(answer, id);

    if (r < 0)
        return r;
    for (size_t i = 0; warnings && i < MIN(json_array_size(in), (size_t)WARNINGS_MAX); i++)
        if (json_is_string(json_array_get(in, i)) && json_array_append(warnings, json_array_get(in, i)) < 0)
            return -ENOMEM;
    o = json_pack("{s:s, s:O}", "Id", id, "Warnings", warnings);
    if (!o)
        return -ENOMEM;
    memcpy(ret_id, id, sizeof(id));
    *ret = TAKE_PTR(o);
    return 0;
}

int respond_exec_create(const json_t *answer, char ret_id[65], json_t **ret)
{
    char id[65];
    int r = copy_id(answer, id);
    json_t *o;

    if (r < 0)
        return r;
    o = json_pack("{s:s}", "Id", id);
    if (!o)
        return -ENOMEM;
    memcpy(ret_id, id, sizeof(id));
    *ret = o;
    return 0;
}
