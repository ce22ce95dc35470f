/* create_verify.c: did the engine make what it was asked for? Reads its inspect answer against the model; a
 * field that the answer lacks is a difference, unless its absence is the safe value. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "filter/create_internal.h"

static int differs(struct err *e, const char *field)
{
    return err_set(e, -EBADMSG, "the engine's container differs from what was asked: %s", field);
}

static int want_text(const json_t *o, const char *key, const char *want, struct err *e)
{
    const char *got = json_string_value(json_object_get(o, key));

    return got && strcmp(got, want) == 0 ? 0 : differs(e, key);
}

static int want_number(const json_t *o, const char *key, uint64_t want, struct err *e)
{
    const json_t *v = json_object_get(o, key);

    return json_is_integer(v) && json_integer_value(v) == (json_int_t)want ? 0 : differs(e, key);
}

/* Absent, null or empty. */
static int want_zero(const json_t *o, const char *const *keys, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (!json_is_zero(json_object_get(o, keys[i])))
            return differs(e, keys[i]);
    return 0;
}

static bool same_strings(const json_t *a, const json_t *b, bool fold)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        const char *x = json_string_value(json_array_get(a, i)), *y = json_string_value(json_array_get(b, i));

        if (!x || !y || (fold ? strcasecmp(x, y) : strcmp(x, y)) != 0)
            return false;
    }
    return true;
}

static int check_privilege(const struct create_model *m, const json_t *host, struct err *e)
{
    static const char *const zero[] = {"Binds", "Privileged", "PidMode", "UTSMode", "UsernsMode",
        "VolumesFrom", "VolumeDriver", "GroupAdd", "Devices", "DeviceCgroupRules", "DeviceRequests",
        "PortBindings", "PublishAllPorts", "Links", "ExtraHosts", "Sysctls", "Annotations", "OomKillDisable",
        "Cgroup"};
    const json_t *drop = json_object_get(host, "CapDrop");
    int r = want_zero(host, zero, ARRAY_SIZE(zero), e);

    if (r < 0)
        return r;
    if (json_array_size(drop) != 1 || !str_eq(json_string_value(json_array_get(drop, 0)), "ALL"))
        return differs(e, "CapDrop");
    if (!same_strings(json_object_get(host, "CapAdd"), m->cap_add, true))
        return differs(e, "CapAdd");
    if (!same_strings(json_object_get(host, "SecurityOpt"), m->security_opt, false))
        return differs(e, "SecurityOpt");
    if (m->readonly_rootfs && !json_is_true(json_object_get(host, "ReadonlyRootfs")))
        return differs(e, "ReadonlyRootfs");
    r = want_text(host, "IpcMode", "private", e);
    if (r >= 0)
        r = want_text(host, "CgroupnsMode", "private", e);
    if (r >= 0)
        r = want_text(host, "CgroupParent", m->cgroup_parent, e);
    /* Without a forced runtime the engine shows the name of its own default. */
    if (r >= 0 && *m->runtime)
        r = want_text(host, "Runtime", m->runtime, e);
    return r;
}

static int check_limits(const struct create_model *m, const json_t *host, struct err *e)
{
    const json_t *restart = json_object_get(json_object_get(host, "RestartPolicy"), "Name");
    const json_t *swap = json_object_get(host, "MemorySwap");
    int r = want_number(host, "Memory", m->memory_bytes, e);

    if (r >= 0)
        r = want_number(host, "NanoCpus", m->nano_cpus, e);
    if (r >= 0)
        r = want_number(host, "PidsLimit", m->pids, e);
    if (r >= 0)
        r = want_number(host, "ShmSize", m->shm_bytes, e);
    if (r < 0)
        return r;
    /* -1 is what the engine writes itself on a kernel without swap accounting. */
    if (json_integer_value(swap) != (json_int_t)m->memory_bytes && json_integer_value(swap) != -1)
        return differs(e, "MemorySwap");
    if (!str_eq(json_string_value(restart), "no") && !str_eq(json_string_value(restart), ""))
        return differs(e, "RestartPolicy");
    return want_text(json_object_get(host, "LogConfig"), "Type", "json-file", e);
}

static const struct create_bind *find_bind(const struct create_model *m, const char *target)
{
    for (size_t i = 0; target && i < m->n_binds; i++)
        if (!m->binds[i].inside && strcmp(m->binds[i].target, target) == 0)
            return &m->binds[i];
    return NULL;
}

/* Every mount that exists is one of ours (a tmpfs is listed by some versions), and each bind exists. */
static int check_mounts(const struct create_model *m, const json_t *inspect, struct err *e)
{
    _cleanup_json_ json_t *tmpfs = create_tmpfs_json(m);
    const json_t *mounts = json_object_get(inspect, "Mounts");
    const json_t *got = json_object_get(json_object_get(inspect, "HostConfig"), "Tmpfs");
    size_t n_binds = 0; /* those inside others are no mounts of the engine's */

    for (size_t i = 0; i < m->n_binds; i++)
        n_binds += m->binds[i].inside > 0;
    if (!tmpfs)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const json_t *o = json_array_get(mounts, i);
        const char *type = json_string_value(json_object_get(o, "Type"));
        const char *target = json_string_value(json_object_get(o, "Destination"));
        const struct create_bind *b = find_bind(m, target);

        if (str_eq(type, "tmpfs") && target && json_object_get(tmpfs, target))
            continue;
        if (!str_eq(type, "bind") || !b ||
            !str_eq(json_string_value(json_object_get(o, "Source")), b->staged) ||
            json_is_true(json_object_get(o, "RW")) == b->readonly)
            return err_set(e, -EBADMSG, "unexpected mount of type %.16s at %.128s", type ? type : "?",
                target ? target : "?");
        n_binds++;
    }
    if (n_binds != m->n_binds)
        return differs(e, "Mounts");
    if (json_is_zero(got) ? json_object_size(tmpfs) != 0 : !json_equal(got, tmpfs))
        return differs(e, "Tmpfs");
    return 0;
}

static int check_network(const struct create_model *m, const json_t *inspect, struct err *e)
{
    const char *mode =
        json_string_value(json_object_get(json_object_get(inspect, "HostConfig"), "NetworkMode"));
    json_t *nets = json_object_get(json_object_get(inspect, "NetworkSettings"), "Networks");
    void *it = json_object_iter(nets);
    const char *id = json_string_value(json_object_get(json_object_iter_value(it), "NetworkID"));
    const char *key = it ? json_object_iter_key(it) : NULL;

    if (json_object_size(nets) > 1)
        return differs(e, "Networks");
    if (!m->network_id)
        return str_eq(mode, "none") && (!key || strcmp(key, "none") == 0) ? 0 : differs(e, "NetworkMode");
    if (!str_eq(mode, m->network_id) && !str_eq(mode, m->network_name))
        return differs(e, "NetworkMode");
    /* Before the first start the endpoint has no NetworkID; its key is then the name or the id. */
    if (!key || (!str_eq(key, m->network_name) && !str_eq(key, m->network_id)) ||
        (id && *id && strcmp(id, m->network_id) != 0))
        return differs(e, "Networks");
    return 0;
}

static int check_labels(const struct create_model *m, const json_t *config, struct err *e)
{
    _cleanup_json_ json_t *want = create_labels_json(m);
    json_t *got = json_object_get(config, "Labels");

    if (!want)
        return -ENOMEM;
    for (void *it = json_object_iter(want); it; it = json_object_iter_next(want, it))
        if (!json_equal(json_object_get(got, json_object_iter_key(it)), json_object_iter_value(it)))
            return err_set(e, -EBADMSG, "label %.128s is not as asked", json_object_iter_key(it));
    /* An image may bring labels of its own, but none that speaks for us. */
    for (void *it = json_object_iter(got); it; it = json_object_iter_next(got, it))
        if (fields_folds_prefix(json_object_iter_key(it), LABEL_PREFIX) &&
            !json_object_get(want, json_object_iter_key(it)))
            return err_set(e, -EBADMSG, "the image brings the label %.128s", json_object_iter_key(it));
    return 0;
}

static int check_config(const struct create_model *m, const json_t *inspect, struct err *e)
{
    const json_t *config = json_object_get(inspect, "Config");
    const json_t *test = json_object_get(json_object_get(config, "Healthcheck"), "Test");
    int r = want_text(inspect, "Image", m->image_id, e);

    if (r < 0)
        return r;
    if (json_array_size(test) != 1 || !str_eq(json_string_value(json_array_get(test, 0)), "NONE"))
        return differs(e, "Healthcheck");
    if (*m->user) {
        r = want_text(config, "User", m->user, e);
        if (r < 0)
            return r;
    }
    return check_labels(m, config, e);
}

int create_verify(const struct create_model *m, const json_t *inspect, struct err *e)
{
    const json_t *host = json_object_get(inspect, "HostConfig");
    int r;

    if (!json_is_object(host))
        return differs(e, "HostConfig");
    r = check_privilege(m, host, e);
    if (r >= 0)
        r = check_limits(m, host, e);
    if (r >= 0)
        r = check_mounts(m, inspect, e);
    if (r >= 0)
        r = check_network(m, inspect, e);
    if (r >= 0)
        r = check_config(m, inspect, e);
    return r;
}
