/* update.c: see update.h. Everything that is not one of the three limits must be zero. */
#include "filter/update.h"

#include <errno.h>

#include "base/json.h"
#include "filter/fields.h"

struct update_ctx {
    const struct policy *policy;
    struct update_model u;
};

/* 0 means "unchanged" for the engine; anything else lies within the cap. */
static int read_limit(const json_t *v, uint64_t max, const struct field_at *at, uint64_t *ret)
{
    int64_t n;
    int r = fields_range(v, 0, (int64_t)MIN(max, (uint64_t)INT64_MAX), at, &n);

    if (r < 0)
        return r;
    *ret = (uint64_t)n;
    return 0;
}

static int read_memory(void *ctx, const json_t *v, const struct field_at *at)
{
    struct update_ctx *c = ctx;

    return read_limit(v, c->policy->memory_bytes, at, &c->u.memory_bytes);
}

static int read_nano_cpus(void *ctx, const json_t *v, const struct field_at *at)
{
    struct update_ctx *c = ctx;

    return read_limit(v, c->policy->nano_cpus, at, &c->u.nano_cpus);
}

/* An explicit 0 is "unlimited" here, unlike for the others. */
static int read_pids(void *ctx, const json_t *v, const struct field_at *at)
{
    struct update_ctx *c = ctx;
    int64_t n;
    int r = fields_range(v, 1, (int64_t)MIN(c->policy->pids, (uint64_t)INT64_MAX), at, &n);

    if (r < 0)
        return r;
    c->u.pids = (uint64_t)n;
    return 0;
}

/* MemorySwap must not allow more than Memory; it is written from Memory, so that only its sign matters. */
static int read_swap(void *ctx, const json_t *v, const struct field_at *at)
{
    struct update_ctx *c = ctx;
    uint64_t ignored;

    return read_limit(v, c->policy->memory_bytes, at, &ignored);
}

static int read_restart_name(void *ctx, const json_t *v, const struct field_at *at)
{
    (void)ctx;
    if (json_string_length(v) > 0 && !str_eq(json_string_value(v), "no"))
        return refusal_set(at->refusal, 403, at->rule, "restart policies are not allowed");
    return 0;
}

static int read_restart(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Name", FIELD_STRING, read_restart_name},
        {"MaximumRetryCount", FIELD_ZERO, NULL},
    };
    static const struct field_table table = {"update.RestartPolicy", rows, ARRAY_SIZE(rows), NULL};

    return fields_read(&table, v, ctx, at->refusal);
}

/* Resources and RestartPolicy of the engine's UpdateConfig. */
static const struct field update_rows[] = {
    {"Memory", FIELD_INT, read_memory},
    {"MemorySwap", FIELD_INT, read_swap},
    {"NanoCpus", FIELD_INT, read_nano_cpus},
    {"PidsLimit", FIELD_INT, read_pids},
    {"RestartPolicy", FIELD_OBJECT, read_restart},
    {"MemoryReservation", FIELD_ZERO, NULL},
    {"MemorySwappiness", FIELD_ZERO, NULL},
    {"KernelMemory", FIELD_ZERO, NULL},
    {"KernelMemoryTCP", FIELD_ZERO, NULL},
    {"CpuQuota", FIELD_ZERO, NULL},
    {"CpuPeriod", FIELD_ZERO, NULL},
    {"CpuShares", FIELD_ZERO, NULL},
    {"CpuRealtimePeriod", FIELD_ZERO, NULL},
    {"CpuRealtimeRuntime", FIELD_ZERO, NULL},
    {"CpusetCpus", FIELD_ZERO, NULL},
    {"CpusetMems", FIELD_ZERO, NULL},
    {"CpuCount", FIELD_ZERO, NULL},
    {"CpuPercent", FIELD_ZERO, NULL},
    {"CgroupParent", FIELD_ZERO, NULL},
    {"BlkioWeight", FIELD_ZERO, NULL},
    {"BlkioWeightDevice", FIELD_ZERO, NULL},
    {"BlkioDeviceReadBps", FIELD_ZERO, NULL},
    {"BlkioDeviceWriteBps", FIELD_ZERO, NULL},
    {"BlkioDeviceReadIOps", FIELD_ZERO, NULL},
    {"BlkioDeviceWriteIOps", FIELD_ZERO, NULL},
    {"Devices", FIELD_ZERO, NULL},
    {"DeviceCgroupRules", FIELD_ZERO, NULL},
    {"DeviceRequests", FIELD_ZERO, NULL},
    {"OomKillDisable", FIELD_ZERO, NULL},
    {"Ulimits", FIELD_ZERO, NULL},
    {"IOMaximumIOps", FIELD_ZERO, NULL},
    {"IOMaximumBandwidth", FIELD_ZERO, NULL},
};
static const struct field_table update_table = {"update", update_rows, ARRAY_SIZE(update_rows), NULL};

int update_parse(
    const struct policy *p, const json_t *body, struct update_model *ret, struct refusal *refusal)
{
    struct update_ctx c = {.policy = p};
    int r;

    if (refusal)
        *refusal = (struct refusal){0};
    if (policy_opt_in(p, p->allow_update) == POLICY_REFUSED)
        return refusal_set(refusal, 403, "update", "update is not allowed");
    if (!json_is_object(body))
        return refusal_set(refusal, 400, "update", "the body must be an object");
    r = fields_read(&update_table, body, &c, refusal);
    if (r < 0)
        return r;
    *ret = c.u;
    return 0;
}

int update_render(const struct update_model *u, char **ret)
{
    _cleanup_json_ json_t *o = json_object();
    int r = o ? 0 : -ENOMEM;
    char *text;

    if (r >= 0 && u->memory_bytes > 0)
        r = json_object_set_new(o, "Memory", json_integer((json_int_t)u->memory_bytes)) |
            json_object_set_new(o, "MemorySwap", json_integer((json_int_t)u->memory_bytes));
    if (r >= 0 && u->nano_cpus > 0)
        r = json_object_set_new(o, "NanoCpus", json_integer((json_int_t)u->nano_cpus));
    if (r >= 0 && u->pids > 0)
        r = json_object_set_new(o, "PidsLimit", json_integer((json_int_t)u->pids));
    text = r >= 0 ? json_to_string(o) : NULL;
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}
