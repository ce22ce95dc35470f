/* create_limits.c: CPU, memory, pids, shm, ulimits: what was asked, within what the tenant has. */
#include <errno.h>
#include <string.h>

#include "filter/create_internal.h"

#define MEMORY_MIN INT64_C(6291456) /* 6 MiB: the engine refuses less */
#define NANO_CPUS_MIN UINT64_C(10000000)
#define CPU_PERIOD_DEFAULT 100000
#define CPU_PERIOD_MAX 1000000
#define ULIMITS_MAX 16
#define UNLIMITED (-1)
#define GIB INT64_C(1073741824)

/* The highest hard limit of each; `forced`: written also when nobody asks. nice and rtprio need a capability
 * that sandboxes lack; at 0 they are harmless. */
static const struct {
    const char *name;
    int64_t max;
    bool forced;
} ulimit_caps[] = {
    {"core", 0, true}, /* dumps may be piped into a program of the host */
    {"fsize", 64 * GIB, true},
    {"nofile", 65536, false}, /* unforced: an engine may itself have less, and then nothing would start */
    {"as", INT64_MAX, false},
    {"cpu", INT64_MAX, false},
    {"data", INT64_MAX, false},
    {"locks", 65536, false},
    {"memlock", 64 * 1024 * 1024, false},
    {"msgqueue", 819200, false},
    {"nice", 0, false},
    {"nproc", 65536, false},
    {"rss", INT64_MAX, false},
    {"rtprio", 0, false},
    {"rttime", INT64_MAX, false},
    {"sigpending", 65536, false},
    {"stack", GIB, false},
};

struct ulimit {
    const char *name;
    int64_t soft, hard;
};

static int read_ulimit_name(void *ctx, const json_t *v, const struct field_at *at)
{
    struct ulimit *u = ctx;

    (void)at;
    u->name = json_string_value(v);
    return 0;
}

static int read_ulimit_soft(void *ctx, const json_t *v, const struct field_at *at)
{
    struct ulimit *u = ctx;

    u->soft = json_integer_value(v);
    if (u->soft < UNLIMITED)
        return refusal_set(at->refusal, 400, at->rule, "a limit is -1 or more");
    return 0;
}

static int read_ulimit_hard(void *ctx, const json_t *v, const struct field_at *at)
{
    struct ulimit *u = ctx;

    u->hard = json_integer_value(v);
    if (u->hard < UNLIMITED)
        return refusal_set(at->refusal, 400, at->rule, "a limit is -1 or more");
    return 0;
}

static int64_t cap(int64_t asked, int64_t max)
{
    return asked == UNLIMITED || asked > max ? max : asked;
}

static int add_ulimit(json_t *list, const char *name, int64_t soft, int64_t hard)
{
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "Name", name, "Soft", (json_int_t)soft, "Hard", (json_int_t)hard);

    return !o || json_array_append_new(list, o) < 0 ? -ENOMEM : 0;
}

static bool has_ulimit(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(json_string_value(json_object_get(json_array_get(list, i), "Name")), name))
            return true;
    return false;
}

static int accept_ulimit(struct create_ctx *c, const struct ulimit *u, const struct field_at *at)
{
    for (size_t i = 0; i < ARRAY_SIZE(ulimit_caps); i++) {
        int64_t hard, soft;

        if (strcmp(u->name, ulimit_caps[i].name) != 0)
            continue;
        if (has_ulimit(c->m->ulimits, u->name))
            return refusal_set(at->refusal, 400, at->rule, "ulimit %s is given twice", u->name);
        hard = cap(u->hard, ulimit_caps[i].max);
        soft = cap(u->soft, hard);
        return add_ulimit(c->m->ulimits, u->name, soft, hard);
    }
    return refusal_set(at->refusal, 400, at->rule, "%.32s is not a ulimit", u->name);
}

int create_read_ulimits(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Name", FIELD_STRING, read_ulimit_name},
        {"Soft", FIELD_INT, read_ulimit_soft},
        {"Hard", FIELD_INT, read_ulimit_hard},
    };
    static const struct field_table table = {"create.Ulimits", rows, ARRAY_SIZE(rows), NULL};

    if (json_array_size(v) > ULIMITS_MAX)
        return refusal_set(at->refusal, 413, at->rule, "more than %d ulimits", ULIMITS_MAX);
    for (size_t i = 0; i < json_array_size(v); i++) {
        struct ulimit u = {"", 0, 0};
        int r = fields_read(&table, json_array_get(v, i), &u, at->refusal);

        if (r >= 0)
            r = accept_ulimit(ctx, &u, at);
        if (r < 0)
            return r;
    }
    return 0;
}

static uint64_t within(int64_t asked, uint64_t max)
{
    return asked <= 0 || (uint64_t)asked > max ? max : (uint64_t)asked;
}

static int settle_cpus(struct create_ctx *c, struct refusal *refusal)
{
    int64_t period = c->cpu_period > 0 ? c->cpu_period : CPU_PERIOD_DEFAULT, nano = c->nano_cpus;

    if (nano > 0 && (c->cpu_quota > 0 || c->cpu_period > 0))
        return refusal_set(refusal, 400, "create.HostConfig.NanoCpus",
            "NanoCpus cannot be given together with CpuQuota or CpuPeriod");
    if (period > CPU_PERIOD_MAX)
        return refusal_set(
            refusal, 400, "create.HostConfig.CpuPeriod", "CpuPeriod is at most %d", CPU_PERIOD_MAX);
    if (c->cpu_quota > 0 && __builtin_mul_overflow(c->cpu_quota, INT64_C(1000000000), &nano))
        nano = 0; /* beyond any cap */
    else if (c->cpu_quota > 0)
        nano /= period;
    c->m->nano_cpus = within(nano, c->policy->nano_cpus);
    if (c->cpu_quota > 0 && c->m->nano_cpus < NANO_CPUS_MIN)
        c->m->nano_cpus = NANO_CPUS_MIN;
    return 0;
}

int create_settle_limits(struct create_ctx *c, struct refusal *refusal)
{
    const struct policy *p = c->policy;
    int r;

    if (c->memory > 0 && c->memory < MEMORY_MIN)
        return refusal_set(refusal, 400, "create.HostConfig.Memory", "Memory is at least 6 MiB");
    c->m->memory_bytes = within(c->memory, p->memory_bytes);
    if (c->memory_reservation >= MEMORY_MIN)
        c->m->memory_reservation = MIN((uint64_t)c->memory_reservation, c->m->memory_bytes);
    c->m->pids = within(c->pids, p->pids);
    c->m->shm_bytes = within(c->shm, p->shm_bytes);
    r = settle_cpus(c, refusal);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(ulimit_caps); i++)
        if (ulimit_caps[i].forced && !has_ulimit(c->m->ulimits, ulimit_caps[i].name))
            r = add_ulimit(c->m->ulimits, ulimit_caps[i].name, ulimit_caps[i].max, ulimit_caps[i].max);
    return r;
}
