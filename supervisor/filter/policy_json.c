/* policy_json.c: a policy as JSON and back, by one table: a field that is in the struct and not in the table
 * is a mistake that test_policy finds by its size. */
#include "filter/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/process.h"

#define POLICY_VERSION 1

enum kind { KIND_CHARS, KIND_TEXT, KIND_BOOL, KIND_U64, KIND_LIST, KIND_NAMES, KIND_FILTER };

struct member {
    const char *key;
    enum kind kind;
    size_t offset, size;
};

#define M(name, kind)                                                                                        \
    {                                                                                                        \
#name, kind, offsetof(struct policy, name), sizeof(((struct policy *)0)->name)                       \
    }

static const struct member members[] = {
    M(tenant, KIND_CHARS),
    M(other_tenants, KIND_LIST),
    M(names, KIND_NAMES),
    M(match_container_name, KIND_TEXT),
    M(name_prefix, KIND_TEXT),
    M(allow_start, KIND_BOOL),
    M(allow_stop, KIND_BOOL),
    M(allow_restart, KIND_BOOL),
    M(allow_exec, KIND_BOOL),
    M(allow_update, KIND_BOOL),
    M(allow_rename, KIND_BOOL),
    M(allow_archive_put, KIND_BOOL),
    M(allow_export, KIND_BOOL),
    M(allow_image_pull, KIND_BOOL),
    M(allow_network_read, KIND_BOOL),
    M(allow_gateway_exec, KIND_BOOL),
    M(filter, KIND_FILTER),
    M(images, KIND_LIST),
    M(bind_mount_from, KIND_LIST),
    M(gateway_name, KIND_TEXT),
    M(network_id, KIND_TEXT),
    M(network_name, KIND_TEXT),
    M(cgroup_parent, KIND_TEXT),
    M(runtime, KIND_TEXT),
    M(security_opt, KIND_LIST),
    M(cap_keep, KIND_LIST),
    M(users, KIND_LIST),
    M(readonly_rootfs, KIND_BOOL),
    M(memory_bytes, KIND_U64),
    M(nano_cpus, KIND_U64),
    M(pids, KIND_U64),
    M(shm_bytes, KIND_U64),
    M(tmpfs_bytes, KIND_U64),
    M(max_containers, KIND_U64),
    M(max_connections, KIND_U64),
    M(api_version, KIND_CHARS),
};

static const char *const names_modes[_POLICY_NAMES_MAX] = {
    [POLICY_NAMES_SCOPED] = "scoped",
    [POLICY_NAMES_NAMESPACED] = "namespaced",
};
static const char *const filter_modes[_POLICY_FILTER_MAX] = {
    [POLICY_FILTER_ENFORCE] = "enforce",
    [POLICY_FILTER_REPORT] = "report",
};

static json_t *list_to_json(const struct policy_list *l)
{
    json_t *a = json_array();

    for (size_t i = 0; a && i < l->n; i++)
        if (json_array_append_new(a, json_string(l->items[i])) < 0) {
            json_decref(a);
            return NULL;
        }
    return a;
}

static json_t *member_to_json(const struct policy *p, const struct member *m)
{
    const void *at = (const char *)p + m->offset;
    const char *text;

    switch (m->kind) {
    case KIND_CHARS:
        return json_string(at);
    case KIND_TEXT:
        text = *(char *const *)at;
        return text ? json_string(text) : json_null();
    case KIND_BOOL:
        return json_boolean(*(const bool *)at);
    case KIND_U64:
        if (*(const uint64_t *)at > INT64_MAX)
            return NULL;
        return json_integer((json_int_t) * (const uint64_t *)at);
    case KIND_LIST:
        return list_to_json(at);
    case KIND_NAMES:
        return json_string(names_modes[*(const enum policy_names *)at]);
    case KIND_FILTER:
        return json_string(filter_modes[*(const enum policy_filter *)at]);
    default:
        return NULL;
    }
}

int policy_to_json(const struct policy *p, json_t **ret)
{
    _cleanup_json_ json_t *o = json_pack("{s:i}", "version", POLICY_VERSION);

    if (!o || p->names < 0 || p->names >= _POLICY_NAMES_MAX || p->filter < 0 ||
        p->filter >= _POLICY_FILTER_MAX)
        return o ? -EINVAL : -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (json_object_set_new(o, members[i].key, member_to_json(p, &members[i])) < 0)
            return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

static int list_from_json(const json_t *v, struct policy_list *l)
{
    if (!json_is_array(v))
        return -EINVAL;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *s = json_string_value(json_array_get(v, i));
        int r = s ? policy_list_add(l, s) : -EINVAL;

        if (r < 0)
            return r;
    }
    return 0;
}

/* The index of the word in `words`. */
static int word_from_json(const json_t *v, const char *const *words, int n)
{
    const char *s = json_string_value(v);

    for (int i = 0; s && i < n; i++)
        if (strcmp(s, words[i]) == 0)
            return i;
    return -EINVAL;
}

static int text_from_json(const json_t *v, char **ret)
{
    if (json_is_string(v))
        return str_set(ret, json_string_value(v));
    if (!json_is_null(v))
        return -EINVAL;
    free(*ret);
    *ret = NULL;
    return 0;
}

static int member_from_json(const json_t *v, const struct member *m, struct policy *p)
{
    void *at = (char *)p + m->offset;
    int i;

    switch (m->kind) {
    case KIND_CHARS:
        if (!json_is_string(v) || json_string_length(v) >= m->size)
            return -EINVAL;
        memcpy(at, json_string_value(v), json_string_length(v) + 1);
        return 0;
    case KIND_TEXT:
        return text_from_json(v, at);
    case KIND_BOOL:
        if (!json_is_boolean(v))
            return -EINVAL;
        *(bool *)at = json_is_true(v);
        return 0;
    case KIND_U64:
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return -EINVAL;
        *(uint64_t *)at = (uint64_t)json_integer_value(v);
        return 0;
    case KIND_LIST:
        return list_from_json(v, at);
    case KIND_NAMES:
        i = word_from_json(v, names_modes, _POLICY_NAMES_MAX);
        if (i >= 0)
            *(enum policy_names *)at = (enum policy_names)i;
        return MIN(i, 0);
    case KIND_FILTER:
        i = word_from_json(v, filter_modes, _POLICY_FILTER_MAX);
        if (i >= 0)
            *(enum policy_filter *)at = (enum policy_filter)i;
        return MIN(i, 0);
    default:
        return -EINVAL;
    }
}

static bool is_member(const char *key)
{
    if (strcmp(key, "version") == 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (strcmp(members[i].key, key) == 0)
            return true;
    return false;
}

static int check_keys(const json_t *j, struct err *e)
{
    json_t *o = (json_t *)(uintptr_t)j; /* the iteration API takes a mutable object */

    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
        if (!is_member(json_object_iter_key(it)))
            return err_set(e, -EINVAL, "policy: unknown field %s", json_object_iter_key(it));
    return 0;
}

int policy_from_json(const json_t *j, struct policy **ret, struct err *e)
{
    _cleanup_policy_ struct policy *p = NULL;
    const json_t *version = json_object_get(j, "version");
    int r;

    if (!json_is_integer(version) || json_integer_value(version) != POLICY_VERSION)
        return err_set(e, -EINVAL, "policy: \"version\" must be %d", POLICY_VERSION);
    r = check_keys(j, e);
    if (r < 0)
        return r;
    p = policy_new("");
    if (!p)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const json_t *v = json_object_get(j, members[i].key);

        if (!v)
            return err_set(e, -EINVAL, "policy: missing field %s", members[i].key);
        r = member_from_json(v, &members[i], p);
        if (r < 0)
            return err_set(e, r == -E2BIG ? -EINVAL : r, "policy: bad value for %s", members[i].key);
    }
    r = policy_validate(p, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}
