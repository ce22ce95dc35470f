/* create_render.c: the new create body, written from the model alone. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "filter/create_internal.h"

#define LOG_MAX_SIZE "10m"
#define LOG_MAX_FILE "3"

json_t *create_tmpfs_json(const struct create_model *m)
{
    _cleanup_json_ json_t *o = json_object();

    for (size_t i = 0; o && i < m->n_tmpfs; i++) {
        const struct create_tmpfs *t = &m->tmpfs[i];
        char opts[192], owner[64] = "";

        if (t->uid >= 0)
            (void)snprintf(owner, sizeof(owner), ",uid=%" PRId64, t->uid);
        if (t->gid >= 0)
            (void)snprintf(owner + strlen(owner), sizeof(owner) - strlen(owner), ",gid=%" PRId64, t->gid);
        (void)snprintf(opts, sizeof(opts), "rw,nosuid,nodev,%s,size=%" PRIu64 ",mode=%o%s",
            t->exec ? "exec" : "noexec", t->bytes, t->mode, owner);
        if (json_object_set_new(o, t->target, json_string(opts)) < 0)
            return NULL;
    }
    return TAKE_PTR(o);
}

static json_t *mounts_json(const struct create_model *m)
{
    _cleanup_json_ json_t *a = json_array();

    for (size_t i = 0; a && i < m->n_binds; i++) {
        const struct create_bind *b = &m->binds[i];
        json_t *o;

        if (b->inside)
            continue;
        o = json_pack("{s:s, s:s, s:s, s:b, s:{s:s}}", "Type", "bind", "Source", b->staged, "Target",
            b->target, "ReadOnly", b->readonly, "BindOptions", "Propagation", "rprivate");

        if (json_array_append_new(a, o) < 0)
            return NULL;
    }
    return TAKE_PTR(a);
}

json_t *create_labels_json(const struct create_model *m)
{
    _cleanup_json_ json_t *o = json_copy(m->labels);
    _cleanup_free_ char *binds = create_binds_label(m);
    const struct {
        const char *key, *value;
    } ours[] = {{LABEL_TENANT, m->tenant}, {LABEL_ROLE, ROLE_SANDBOX}, {LABEL_NAME, m->name},
        {LABEL_IMAGE, m->image}, {LABEL_BINDS, binds}};

    if (!o || !binds)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (json_object_set_new(o, ours[i].key, json_string(ours[i].value)) < 0)
            return NULL;
    return TAKE_PTR(o);
}

/* Sets a member; a NULL value (out of memory) fails. */
static int set(json_t *o, const char *key, json_t *v)
{
    return json_object_set_new(o, key, v) < 0 ? -ENOMEM : 0;
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

/* Host paths, privilege, namespaces: all of it forced. */
static json_t *cage_json(const struct create_model *m)
{
    return json_pack("{s:o, s:o, s:{s:s, s:{s:s, s:s}}, s:b, s:O, s:[s], s:O, s:b, s:s, s:s, s:s, s:s, s:s, "
                     "s:s, s:{s:s, s:i}, s:b, s:s}",
        "Mounts", mounts_json(m), "Tmpfs", create_tmpfs_json(m), "LogConfig", "Type", "json-file", "Config",
        "max-size", LOG_MAX_SIZE, "max-file", LOG_MAX_FILE, "Privileged", 0, "CapAdd", m->cap_add, "CapDrop",
        "ALL", "SecurityOpt", m->security_opt, "ReadonlyRootfs", m->readonly_rootfs, "PidMode", "", "IpcMode",
        "private", "UTSMode", "", "UsernsMode", "", "CgroupnsMode", "private", "NetworkMode",
        m->network_id ? m->network_id : "none", "RestartPolicy", "Name", "no", "MaximumRetryCount", 0,
        "AutoRemove", m->auto_remove, "CgroupParent", m->cgroup_parent);
}

static int add_limits(const struct create_model *m, json_t *host)
{
    const struct {
        const char *key;
        json_t *value;
    } rows[] = {
        {"Memory", number(m->memory_bytes)},
        {"MemorySwap", number(m->memory_bytes)},
        {"NanoCpus", number(m->nano_cpus)},
        {"PidsLimit", number(m->pids)},
        {"ShmSize", number(m->shm_bytes)},
        {"OomKillDisable", json_false()},
        {"OomScoreAdj", json_integer(m->oom_score_adj)},
        {"Ulimits", json_incref(m->ulimits)},
    };
    int r = 0;

    /* Each value is given away, whatever came before: set() frees it on failure. */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (set(host, rows[i].key, rows[i].value) < 0)
            r = -ENOMEM;
    if (r >= 0 && m->memory_reservation > 0)
        r = set(host, "MemoryReservation", number(m->memory_reservation));
    return r;
}

static int host_json(const struct create_model *m, unsigned api_minor, json_t **ret)
{
    _cleanup_json_ json_t *host = cage_json(m);
    int r = host ? add_limits(m, host) : -ENOMEM;

    if (r >= 0 && *m->runtime)
        r = set(host, "Runtime", json_string(m->runtime));
    if (r >= 0 && m->init_set)
        r = set(host, "Init", json_boolean(m->init));
    if (r >= 0 && api_minor >= 42 && (m->console_height > 0 || m->console_width > 0))
        r = set(host, "ConsoleSize", json_pack("[i, i]", (int)m->console_height, (int)m->console_width));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(host);
    return 0;
}

/* Exactly one empty endpoint on the tenant's network; none otherwise. */
static json_t *networking_json(const struct create_model *m)
{
    if (!m->network_id)
        return json_pack("{s:{}}", "EndpointsConfig");
    return json_pack("{s:{s:{}}}", "EndpointsConfig", m->network_id);
}

static int config_json(const struct create_model *m, json_t **ret)
{
    _cleanup_json_ json_t *o =
        json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:O, s:s, s:s, s:o, s:{s:[s]}}", "Hostname",
            m->hostname, "Domainname", m->domainname, "User", m->user, "AttachStdin", m->attach_stdin,
            "AttachStdout", m->attach_stdout, "AttachStderr", m->attach_stderr, "Tty", m->tty, "OpenStdin",
            m->open_stdin, "StdinOnce", m->stdin_once, "Env", m->env, "Image", m->image_id, "WorkingDir",
            m->workdir, "Labels", create_labels_json(m), "Healthcheck", "Test", "NONE");
    int r = o ? 0 : -ENOMEM;

    if (r >= 0 && m->cmd)
        r = set(o, "Cmd", json_incref(m->cmd));
    if (r >= 0 && m->entrypoint)
        r = set(o, "Entrypoint", json_incref(m->entrypoint));
    if (r >= 0 && *m->stop_signal)
        r = set(o, "StopSignal", json_string(m->stop_signal));
    if (r >= 0 && m->stop_timeout >= 0)
        r = set(o, "StopTimeout", json_integer(m->stop_timeout));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}

int create_render(const struct create_model *m, unsigned api_minor, char **ret)
{
    _cleanup_json_ json_t *o = NULL;
    json_t *host = NULL;
    char *text;
    int r;

    if (!m->image_id)
        return -ENODATA;
    for (size_t i = 0; i < m->n_binds; i++)
        if (!m->binds[i].staged)
            return -ENODATA;
    r = config_json(m, &o);
    if (r >= 0)
        r = host_json(m, api_minor, &host);
    if (r >= 0)
        r = set(o, "HostConfig", host);
    if (r >= 0)
        r = set(o, "NetworkingConfig", networking_json(m));
    if (r < 0)
        return r;
    text = json_to_string(o);
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}
