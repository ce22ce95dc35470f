/* create_host.c: HostConfig: one row per field of the engine's struct. A row of FIELD_ZERO takes no value; a
 * row without reader is checked for its type and dropped, because the writer puts our own value there. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "filter/create_internal.h"
#include "filter/process.h"

#define INT_READER(name)                                                                                     \
    static int read_##name(void *ctx, const json_t *v, const struct field_at *at)                            \
    {                                                                                                        \
        struct create_ctx *c = ctx;                                                                          \
        (void)at;                                                                                            \
        c->name = json_integer_value(v);                                                                     \
        return 0;                                                                                            \
    }
INT_READER(memory)
INT_READER(memory_reservation)
INT_READER(nano_cpus)
INT_READER(cpu_quota)
INT_READER(cpu_period)
INT_READER(pids)
INT_READER(shm)

static int read_auto_remove(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    (void)at;
    c->m->auto_remove = json_is_true(v);
    return 0;
}

static int read_readonly_rootfs(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    (void)at;
    c->m->readonly_rootfs = json_is_true(v);
    return 0;
}

static int read_init(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    (void)at;
    c->m->init = json_is_true(v);
    c->m->init_set = true;
    return 0;
}

static int read_console_size(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return process_console(v, at, &c->m->console_height, &c->m->console_width);
}

static int read_oom_score_adj(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;
    int64_t n;
    int r = fields_range(v, 0, 1000, at, &n);

    if (r < 0)
        return r;
    c->m->oom_score_adj = (int)n;
    return 0;
}

/* -1 is how old command lines write "not given". */
static int read_swappiness(void *ctx, const json_t *v, const struct field_at *at)
{
    int64_t n;

    (void)ctx;
    return fields_range(v, -1, 0, at, &n);
}

static int one_of(const json_t *v, const struct field_at *at, const char *const *allowed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(json_string_value(v), allowed[i]) == 0)
            return 0;
    return refusal_set(at->refusal, 403, at->rule, "\"%.64s\" is not allowed", json_string_value(v));
}

static int read_private(void *ctx, const json_t *v, const struct field_at *at)
{
    static const char *const allowed[] = {"", "private"};

    (void)ctx;
    return one_of(v, at, allowed, ARRAY_SIZE(allowed));
}

static int read_isolation(void *ctx, const json_t *v, const struct field_at *at)
{
    static const char *const allowed[] = {"", "default"};

    (void)ctx;
    return one_of(v, at, allowed, ARRAY_SIZE(allowed));
}

/* A value that the policy forces: the client may ask for it or leave it open. */
static int read_runtime(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;
    const char *const allowed[] = {"", c->m->runtime};

    return one_of(v, at, allowed, ARRAY_SIZE(allowed));
}

static int read_cgroup_parent(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;
    const char *const allowed[] = {"", c->m->cgroup_parent};

    return one_of(v, at, allowed, ARRAY_SIZE(allowed));
}

static int read_log_type(void *ctx, const json_t *v, const struct field_at *at)
{
    static const char *const allowed[] = {"", "json-file", "local", "none"};

    (void)ctx;
    return one_of(v, at, allowed, ARRAY_SIZE(allowed));
}

static int read_log_config(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Type", FIELD_STRING, read_log_type},
        {"Config", FIELD_OBJECT, NULL},
    };
    static const struct field_table table = {"create.LogConfig", rows, ARRAY_SIZE(rows), NULL};

    return fields_read(&table, v, ctx, at->refusal);
}

static int read_restart_name(void *ctx, const json_t *v, const struct field_at *at)
{
    static const char *const allowed[] = {"", "no"};

    (void)ctx;
    return one_of(v, at, allowed, ARRAY_SIZE(allowed));
}

static int read_restart_policy(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Name", FIELD_STRING, read_restart_name},
        {"MaximumRetryCount", FIELD_INT, NULL},
    };
    static const struct field_table table = {"create.RestartPolicy", rows, ARRAY_SIZE(rows), NULL};

    return fields_read(&table, v, ctx, at->refusal);
}

static const struct field host_rows[] = {
    /* files of the host */
    {"Binds", FIELD_STRINGS, create_read_binds},
    {"Mounts", FIELD_ARRAY, create_read_mounts},
    {"Tmpfs", FIELD_OBJECT, create_read_tmpfs},
    {"VolumeDriver", FIELD_ZERO, NULL},
    {"VolumesFrom", FIELD_ZERO, NULL},
    {"ContainerIDFile", FIELD_ZERO, NULL},
    {"StorageOpt", FIELD_ZERO, NULL},
    {"LogConfig", FIELD_OBJECT, read_log_config},
    /* privilege */
    {"Privileged", FIELD_ZERO, NULL},
    {"CapAdd", FIELD_ZERO, NULL},
    {"CapDrop", FIELD_STRINGS, create_read_cap_drop},
    {"Capabilities", FIELD_ZERO, NULL},
    {"SecurityOpt", FIELD_STRINGS, create_read_security_opt},
    {"MaskedPaths", FIELD_ZERO, NULL},
    {"ReadonlyPaths", FIELD_ZERO, NULL},
    {"ReadonlyRootfs", FIELD_BOOL, read_readonly_rootfs},
    {"GroupAdd", FIELD_ZERO, NULL},
    {"Devices", FIELD_ZERO, NULL},
    {"DeviceCgroupRules", FIELD_ZERO, NULL},
    {"DeviceRequests", FIELD_ZERO, NULL},
    {"Runtime", FIELD_STRING, read_runtime},
    {"Annotations", FIELD_ZERO, NULL},
    {"Isolation", FIELD_STRING, read_isolation},
    {"Sysctls", FIELD_ZERO, NULL},
    /* namespaces and the network */
    {"PidMode", FIELD_ZERO, NULL},
    {"IpcMode", FIELD_STRING, read_private},
    {"UTSMode", FIELD_ZERO, NULL},
    {"UsernsMode", FIELD_ZERO, NULL},
    {"CgroupnsMode", FIELD_STRING, read_private},
    {"NetworkMode", FIELD_STRING, create_read_network_mode},
    {"PortBindings", FIELD_ZERO, NULL},
    {"PublishAllPorts", FIELD_ZERO, NULL},
    {"Links", FIELD_ZERO, NULL},
    {"Dns", FIELD_ZERO, NULL},
    {"DnsOptions", FIELD_ZERO, NULL},
    {"DnsSearch", FIELD_ZERO, NULL},
    {"ExtraHosts", FIELD_ZERO, NULL},
    /* limits */
    {"CgroupParent", FIELD_STRING, read_cgroup_parent},
    {"Cgroup", FIELD_ZERO, NULL},
    {"Memory", FIELD_INT, read_memory},
    {"MemorySwap", FIELD_INT, NULL}, /* always as Memory */
    {"MemoryReservation", FIELD_INT, read_memory_reservation},
    {"MemorySwappiness", FIELD_INT, read_swappiness},
    {"KernelMemory", FIELD_INT, NULL}, /* never emitted: counted in Memory */
    {"KernelMemoryTCP", FIELD_INT, NULL},
    {"NanoCpus", FIELD_INT, read_nano_cpus},
    {"CpuQuota", FIELD_INT, read_cpu_quota},
    {"CpuPeriod", FIELD_INT, read_cpu_period},
    {"CpuShares", FIELD_ZERO, NULL},
    {"CpuRealtimePeriod", FIELD_ZERO, NULL},
    {"CpuRealtimeRuntime", FIELD_ZERO, NULL},
    {"CpusetCpus", FIELD_ZERO, NULL},
    {"CpusetMems", FIELD_ZERO, NULL},
    {"CpuCount", FIELD_ZERO, NULL},
    {"CpuPercent", FIELD_ZERO, NULL},
    {"IOMaximumIOps", FIELD_ZERO, NULL},
    {"IOMaximumBandwidth", FIELD_ZERO, NULL},
    {"BlkioWeight", FIELD_ZERO, NULL},
    {"BlkioWeightDevice", FIELD_ZERO, NULL},
    {"BlkioDeviceReadBps", FIELD_ZERO, NULL},
    {"BlkioDeviceWriteBps", FIELD_ZERO, NULL},
    {"BlkioDeviceReadIOps", FIELD_ZERO, NULL},
    {"BlkioDeviceWriteIOps", FIELD_ZERO, NULL},
    {"PidsLimit", FIELD_INT, read_pids},
    {"OomKillDisable", FIELD_ZERO, NULL},
    {"OomScoreAdj", FIELD_INT, read_oom_score_adj},
    {"Ulimits", FIELD_ARRAY, create_read_ulimits},
    {"ShmSize", FIELD_INT, read_shm},
    /* life */
    {"RestartPolicy", FIELD_OBJECT, read_restart_policy},
    {"AutoRemove", FIELD_BOOL, read_auto_remove},
    {"Init", FIELD_BOOL, read_init},
    {"ConsoleSize", FIELD_ARRAY, read_console_size},
};
const struct field_table create_host_table = {"create.HostConfig", host_rows, ARRAY_SIZE(host_rows), NULL};
