/* respond_inspect.c: one container's (or exec's) inspect answer, rebuilt: no path of the host, no process id,
 * no network of others. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/respond_internal.h"

static const char *const top_keys[] = {"Id", "Created", "Path", "Args", "Image", "RestartCount", "Driver",
    "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs"};
static const char *const state_keys[] = {"Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead",
    "ExitCode", "StartedAt", "FinishedAt", "Health"};
static const char *const config_keys[] = {"Hostname", "Domainname", "User", "AttachStdin", "AttachStdout",
    "AttachStderr", "ExposedPorts", "Tty", "OpenStdin", "StdinOnce", "Cmd", "Healthcheck", "Volumes",
    "WorkingDir", "Entrypoint", "OnBuild", "StopSignal", "StopTimeout", "Shell"};
static const char *const host_keys[] = {"Binds", "LogConfig", "PortBindings", "RestartPolicy", "AutoRemove",
    "VolumeDriver", "VolumesFrom", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch",
    "ExtraHosts", "GroupAdd", "IpcMode", "Links", "OomScoreAdj", "PidMode", "Privileged", "PublishAllPorts",
    "ReadonlyRootfs", "SecurityOpt", "Tmpfs", "UTSMode", "UsernsMode", "ShmSize", "Runtime", "ConsoleSize",
    "Isolation", "CpuShares", "Memory", "NanoCpus", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems",
    "MemoryReservation", "MemorySwap", "MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits",
    "MaskedPaths", "ReadonlyPaths", "Init"};
static const char *const net_keys[] = {"Bridge", "HairpinMode", "Ports", "Gateway", "GlobalIPv6Address",
    "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress"};

#define COPY(o, d, object, keys) respond_copy(o, d, object, keys, ARRAY_SIZE(keys))

/* What the runtime said when it failed: it names the mounts by where they were staged. */
static void write_error(struct jout *o, const struct jdoc *d, uint32_t error)
{
    _cleanup_buf_ struct buf b = {0};
    size_t len;
    const char *s = jdoc_string(d, error, &len);
    int r;

    if (!s)
        return;
    r = buf_adds(&b, "\"");
    if (r >= 0)
        r = respond_add_redacted(&b, s, len);
    if (r >= 0)
        r = buf_adds(&b, "\"");
    if (r < 0) {
        o->error = r;
        return;
    }
    jout_key(o, "Error");
    jout_raw(o, b.data, b.len);
}

static void write_state(struct jout *o, const struct jdoc *d, uint32_t state)
{
    jout_key(o, "State");
    jout_open(o, '{');
    COPY(o, d, state, state_keys);
    write_error(o, d, jdoc_get(d, state, "Error"));
    jout_key(o, "Pid");
    jout_number(o, 0);
    jout_close(o, '}');
}

static void write_config(struct jout *o, const struct jdoc *d, uint32_t config, bool gateway)
{
    static const char *const env[] = {"Env"};
    uint32_t labels = jdoc_get(d, config, "Labels");

    jout_key(o, "Config");
    jout_open(o, '{');
    COPY(o, d, config, config_keys);
    if (gateway) {
        jout_key(o, "Env");
        jout_raw(o, "[]", 2);
    } else {
        COPY(o, d, config, env);
    }
    jout_key(o, "Image");
    respond_write_image(o, d, labels, jdoc_get(d, config, "Image"));
    jout_key(o, "Labels");
    respond_write_labels(o, d, labels);
    jout_close(o, '}');
}

static void write_host(
    struct jout *o, const struct respond_view *v, const struct jdoc *d, uint32_t labels, bool gateway)
{
    uint32_t host = jdoc_get(d, 0, "HostConfig"), mounts = jdoc_get(d, host, "Mounts");

    jout_key(o, "HostConfig");
    jout_open(o, '{');
    COPY(o, d, host, host_keys);
    jout_key(o, "NetworkMode");
    respond_write_network_mode(o, v->policy, d, jdoc_get(d, host, "NetworkMode"));
    if (mounts != JDOC_NONE) {
        jout_key(o, "Mounts");
        respond_write_host_mounts(o, d, mounts, labels, gateway);
    }
    jout_close(o, '}');
}

/* The addresses beside Networks belong to the first network; they go when that one does. */
static void write_network(struct jout *o, const struct respond_view *v, const struct jdoc *d)
{
    uint32_t settings = jdoc_get(d, 0, "NetworkSettings"), nets = jdoc_get(d, settings, "Networks");
    bool whole = true;

    for (uint32_t i = jdoc_first(d, nets); i != JDOC_NONE; i = jdoc_next(d, nets, i))
        whole &= respond_shows_network(v->policy, d, i);
    jout_key(o, "NetworkSettings");
    jout_open(o, '{');
    if (whole)
        COPY(o, d, settings, net_keys);
    jout_key(o, "Networks");
    respond_write_networks(o, v->policy, d, nets);
    jout_close(o, '}');
}

int respond_inspect(const struct respond_view *v, const struct jdoc *d, bool gateway, struct buf *out)
{
    uint32_t config = jdoc_get(d, 0, "Config"), name = jdoc_get(d, 0, "Name"), labels;
    struct jout o = {.out = out};
    char id[65];

    if (!respond_read_id(d, jdoc_get(d, 0, "Id"), id) || !jdoc_is(d, config, JDOC_OBJECT))
        return -EBADMSG;
    labels = jdoc_get(d, config, "Labels");
    jout_open(&o, '{');
    COPY(&o, d, 0, top_keys);
    jout_key(&o, "Name");
    if (!respond_write_name(&o, v->policy, d, name))
        return -EBADMSG;
    write_state(&o, d, jdoc_get(d, 0, "State"));
    write_config(&o, d, config, gateway);
    write_host(&o, v, d, labels, gateway);
    write_network(&o, v, d);
    jout_key(&o, "Mounts");
    respond_write_mounts(&o, d, jdoc_get(d, 0, "Mounts"), labels, gateway);
    jout_close(&o, '}');
    return o.error;
}

int respond_exec_inspect(const json_t *inspect, json_t **ret)
{
    static const char *const keys[] = {"ID", "Running", "ExitCode", "OpenStdin", "OpenStderr", "OpenStdout",
        "CanRemove", "ContainerID", "DetachKeys"};
    static const char *const process_keys[] = {"tty", "entrypoint", "arguments", "privileged", "user"};
    const char *id = respond_text(inspect, "ID");
    _cleanup_json_ json_t *o = NULL;

    if (!id || !str_is_hex(id, 64))
        return -EBADMSG;
    o = respond_pick(inspect, keys, ARRAY_SIZE(keys));
    if (!o ||
        respond_put(o, "ProcessConfig",
            respond_pick(json_object_get(inspect, "ProcessConfig"), process_keys, ARRAY_SIZE(process_keys))) <
            0 ||
        respond_put(o, "Pid", json_integer(0)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}
