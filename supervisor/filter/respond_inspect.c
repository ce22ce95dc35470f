/* respond_inspect.c: one container's (or exec's) inspect answer, rebuilt: no path of the host, no process id,
 * no network of others. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "filter/respond_internal.h"

static const char *const top_keys[] = {"Id", "Created", "Path", "Args", "Image", "RestartCount", "Driver",
    "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs"};
static const char *const state_keys[] = {"Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead",
    "ExitCode", "Error", "StartedAt", "FinishedAt", "Health"};
static const char *const config_keys[] = {"Hostname", "Domainname", "User", "AttachStdin", "AttachStdout",
    "AttachStderr", "ExposedPorts", "Tty", "OpenStdin", "StdinOnce", "Env", "Cmd", "Healthcheck", "Volumes",
    "WorkingDir", "Entrypoint", "OnBuild", "StopSignal", "StopTimeout", "Shell"};
static const char *const host_keys[] = {"Binds", "LogConfig", "PortBindings", "RestartPolicy", "AutoRemove",
    "VolumeDriver", "VolumesFrom", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch",
    "ExtraHosts", "GroupAdd", "IpcMode", "Links", "OomScoreAdj", "PidMode", "Privileged", "PublishAllPorts",
    "ReadonlyRootfs", "SecurityOpt", "Tmpfs", "UTSMode", "UsernsMode", "ShmSize", "Runtime", "ConsoleSize",
    "Isolation", "CpuShares", "Memory", "NanoCpus", "MemoryReservation", "MemorySwap", "MemorySwappiness",
    "OomKillDisable", "PidsLimit", "Ulimits", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems",
    "MaskedPaths", "ReadonlyPaths", "Init"};
static const char *const net_keys[] = {"Bridge", "HairpinMode", "Ports", "Gateway", "IPAddress",
    "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "MacAddress"};

#define PICK(src, keys) respond_pick(src, keys, ARRAY_SIZE(keys))

static int state_json(const json_t *state, json_t **ret)
{
    _cleanup_json_ json_t *o = PICK(state, state_keys);

    if (!o || respond_put(o, "Pid", json_integer(0)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

static int config_json(const json_t *config, bool gateway, json_t **ret)
{
    _cleanup_json_ json_t *o = PICK(config, config_keys);
    const json_t *labels = json_object_get(config, "Labels");
    const char *image = respond_text(config, "Image");
    int r = o ? 0 : -ENOMEM;

    if (r >= 0)
        r = respond_put(o, "Image", json_string(respond_image_name(labels, image ? image : "")));
    if (r >= 0)
        r = respond_put(o, "Labels", respond_labels(labels));
    if (r >= 0 && gateway)
        r = respond_put(o, "Env", json_array());
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}

static int host_json(const struct respond_view *v, const json_t *inspect, bool gateway, json_t **ret)
{
    const json_t *host = json_object_get(inspect, "HostConfig");
    const json_t *labels = json_object_get(json_object_get(inspect, "Config"), "Labels");
    const json_t *mounts = json_object_get(host, "Mounts");
    _cleanup_json_ json_t *o = PICK(host, host_keys);
    int r = o ? 0 : -ENOMEM;

    if (r >= 0)
        r = respond_put(o, "NetworkMode",
            json_string(respond_network_mode(v->policy, respond_text(host, "NetworkMode"))));
    if (r >= 0 && mounts)
        r = respond_put(o, "Mounts", respond_host_mounts(mounts, labels, gateway));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}

/* The addresses beside Networks belong to the first network; they go when that one does. */
static int network_json(const struct respond_view *v, const json_t *settings, json_t **ret)
{
    _cleanup_json_ json_t *nets = respond_networks(v->policy, json_object_get(settings, "Networks"));
    bool whole = json_object_size(nets) == json_object_size(json_object_get(settings, "Networks"));
    _cleanup_json_ json_t *o = whole ? PICK(settings, net_keys) : json_object();

    if (!nets || !o || respond_put(o, "Networks", TAKE_PTR(nets)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

int respond_inspect(const struct respond_view *v, const json_t *inspect, bool gateway, json_t **ret)
{
    const json_t *config = json_object_get(inspect, "Config");
    const char *id = respond_text(inspect, "Id"), *name = respond_text(inspect, "Name");
    _cleanup_json_ json_t *o = NULL, *state = NULL, *conf = NULL, *host = NULL, *net = NULL;
    int r;

    if (!id || !str_is_hex(id, 64) || !name || !json_is_object(config))
        return -EBADMSG;
    o = PICK(inspect, top_keys);
    r = o ? state_json(json_object_get(inspect, "State"), &state) : -ENOMEM;
    if (r >= 0)
        r = config_json(config, gateway, &conf);
    if (r >= 0)
        r = host_json(v, inspect, gateway, &host);
    if (r >= 0)
        r = network_json(v, json_object_get(inspect, "NetworkSettings"), &net);
    if (r < 0)
        return r;
    if (respond_put(o, "State", TAKE_PTR(state)) < 0 || respond_put(o, "Config", TAKE_PTR(conf)) < 0 ||
        respond_put(o, "HostConfig", TAKE_PTR(host)) < 0 ||
        respond_put(o, "NetworkSettings", TAKE_PTR(net)) < 0 ||
        respond_put(o, "Name", json_sprintf("/%s", respond_client_name(v->policy, name))) < 0 ||
        respond_put(o, "Mounts",
            respond_mounts(json_object_get(inspect, "Mounts"), json_object_get(config, "Labels"), gateway)) <
            0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
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
    o = PICK(inspect, keys);
    if (!o ||
        respond_put(o, "ProcessConfig", PICK(json_object_get(inspect, "ProcessConfig"), process_keys)) < 0 ||
        respond_put(o, "Pid", json_integer(0)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}
