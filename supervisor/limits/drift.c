/* drift.c: see drift.h. PURE: no file, no clock; what it is not told it does not compare. */
#include "limits/drift.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define DEFAULT_PERIOD_US INT64_C(100000)

void drift_done(struct drift *d)
{
    json_decref(d->update);
    d->update = NULL;
}

/* Appends "NAME HAVE -> WANT" to the list in `text`; cut when it is full. */
static void say(char *text, size_t n, const char *name, const char *have, const char *want)
{
    size_t used = strlen(text);

    if (used < n)
        (void)snprintf(text + used, n - used, "%s%s %s -> %s", used ? ", " : "", name, have, want);
}

static void format_size(char *out, size_t n, uint64_t v)
{
    if (v == 0 || v == LIMITS_MAX)
        (void)snprintf(out, n, "none");
    else
        str_format_size(out, n, v);
}

static void format_count(char *out, size_t n, uint64_t v)
{
    if (v == 0 || v == LIMITS_MAX)
        (void)snprintf(out, n, "none");
    else
        (void)snprintf(out, n, "%llu", (unsigned long long)v);
}

static void format_cpus(char *out, size_t n, uint64_t nano)
{
    if (nano == 0 || nano == LIMITS_MAX)
        (void)snprintf(out, n, "none");
    else
        (void)snprintf(out, n, "%llu.%03llu", (unsigned long long)(nano / 1000000000),
            (unsigned long long)(nano / 1000000 % 1000));
}

static void say_value(char *text, size_t n, const char *name, void (*format)(char *, size_t, uint64_t),
    uint64_t have, uint64_t want)
{
    char a[32], b[32];

    format(a, sizeof(a), have);
    format(b, sizeof(b), want);
    say(text, n, name, a, b);
}

/* A number of HostConfig; absent and null are 0, and so is -1, which some fields use for "no limit". */
static uint64_t host_number(const json_t *host, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(host, key));

    return v > 0 ? (uint64_t)v : 0;
}

static int update_set(struct drift *d, const char *key, uint64_t value)
{
    if (!d->update)
        d->update = json_object();
    if (!d->update || json_object_set_new(d->update, key, json_integer((json_int_t)value)) < 0)
        return -ENOMEM;
    return 1;
}

/* 0 is "not limited" in what the engine says. */
static bool fits(const struct drift_container_want *w, uint64_t have, uint64_t want)
{
    return have == want || (w->at_most && have > 0 && have < want);
}

static int compare_memory(const json_t *host, const struct drift_container_want *w, struct drift *d)
{
    uint64_t memory = host_number(host, "Memory");
    json_int_t swap = json_integer_value(json_object_get(host, "MemorySwap"));
    bool swap_ok = w->ignore_swap || (swap > 0 && fits(w, (uint64_t)swap, w->memory_bytes));
    int r;

    if (!w->memory_bytes || (fits(w, memory, w->memory_bytes) && swap_ok))
        return 0;
    if (!fits(w, memory, w->memory_bytes))
        say_value(d->text, sizeof(d->text), "memory", format_size, memory, w->memory_bytes);
    else
        say_value(d->text, sizeof(d->text), "memory and swap", format_size, swap > 0 ? (uint64_t)swap : 0,
            w->memory_bytes);
    /* Always both: the engine refuses a Memory above the MemorySwap in force. */
    r = update_set(d, "Memory", w->memory_bytes);
    return r < 0 ? r : update_set(d, "MemorySwap", w->memory_bytes);
}

static int compare_cpu(const json_t *host, const struct drift_container_want *w, struct drift *d)
{
    uint64_t nano = host_number(host, "NanoCpus"), quota = host_number(host, "CpuQuota");
    uint64_t period = host_number(host, "CpuPeriod");
    int r;

    if (!w->nano_cpus)
        return 0;
    if (!nano && quota) {
        /* Made by somebody with --cpu-quota: the engine then refuses NanoCpus in an update, so speak quota.
         */
        if (!period)
            period = DEFAULT_PERIOD_US;
        if (!__builtin_mul_overflow(quota, UINT64_C(1000000000), &nano))
            nano /= period;
        if (fits(w, nano, w->nano_cpus))
            return 0;
        say_value(d->text, sizeof(d->text), "cpus", format_cpus, nano, w->nano_cpus);
        r = update_set(d, "CpuPeriod", DEFAULT_PERIOD_US);
        return r < 0 ? r : update_set(d, "CpuQuota", w->nano_cpus / (1000000000 / DEFAULT_PERIOD_US));
    }
    if (fits(w, nano, w->nano_cpus))
        return 0;
    say_value(d->text, sizeof(d->text), "cpus", format_cpus, nano, w->nano_cpus);
    return update_set(d, "NanoCpus", w->nano_cpus);
}

static int compare_pids(const json_t *host, const struct drift_container_want *w, struct drift *d)
{
    uint64_t pids = host_number(host, "PidsLimit");

    if (!w->pids || fits(w, pids, w->pids))
        return 0;
    say_value(d->text, sizeof(d->text), "pids", format_count, pids, w->pids);
    return update_set(d, "PidsLimit", w->pids);
}

static int compare_parent(const json_t *host, const struct drift_container_want *w, struct drift *d)
{
    const char *parent = json_string_value(json_object_get(host, "CgroupParent"));

    if (!w->cgroup_parent || str_eq(parent, w->cgroup_parent))
        return 0;
    say(d->text, sizeof(d->text), "cgroup parent", parent && parent[0] ? parent : "none", w->cgroup_parent);
    d->recreate = true;
    return 1;
}

int drift_container(const json_t *inspect, const struct drift_container_want *w, struct drift *ret)
{
    int (*const compare[])(const json_t *, const struct drift_container_want *, struct drift *) = {
        compare_memory, compare_cpu, compare_pids, compare_parent};
    const json_t *host = json_object_get(inspect, "HostConfig");
    _cleanup_drift_ struct drift d = {0};
    int drifted = 0;

    if (!json_is_object(host))
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(compare); i++) {
        int r = compare[i](host, w, &d);

        if (r < 0)
            return r;
        drifted |= r;
    }
    *ret = d;
    d.update = NULL;
    return drifted;
}

/* The kernel keeps memory limits in whole pages and cpu.max in microseconds per period. */
static bool near(uint64_t have, uint64_t want, uint64_t grain)
{
    return have > want ? have - want < grain : want - have < grain;
}

bool drift_above(const struct cgroup_sample *s, const struct drift_container_want *w)
{
    return (w->memory_bytes && (s->have & CGROUP_MEMORY_MAX) && s->memory_max_bytes > w->memory_bytes &&
               !near(s->memory_max_bytes, w->memory_bytes, 65536)) ||
           (w->nano_cpus && (s->have & CGROUP_CPU_MAX) && s->cpu_max_nano > w->nano_cpus &&
               !near(s->cpu_max_nano, w->nano_cpus, 10000000)) ||
           (w->pids && (s->have & CGROUP_PIDS_MAX) && s->pids_max > w->pids);
}

int drift_sample(const struct cgroup_sample *s, const struct limits_want *w, char *text, size_t n)
{
    const struct {
        enum cgroup_field bit;
        const char *name;
        uint64_t have, want, grain;
        void (*format)(char *, size_t, uint64_t);
    } rows[] = {
        {CGROUP_MEMORY_MAX, "memory.max", s->memory_max_bytes, w->memory_bytes, 65536, format_size},
        {CGROUP_MEMORY_HIGH, "memory.high", s->memory_high_bytes, limits_memory_high(w->memory_bytes), 65536,
            format_size},
        {CGROUP_CPU_MAX, "cpu.max", s->cpu_max_nano, w->nano_cpus, 10000000, format_cpus},
        {CGROUP_CPU_WEIGHT, "cpu.weight", s->cpu_weight, w->cpu_weight ? w->cpu_weight : 100, 1,
            format_count},
        {CGROUP_PIDS_MAX, "pids.max", s->pids_max, w->pids, 1, format_count},
    };
    int drifted = 0;

    if (n)
        text[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t want = rows[i].want ? rows[i].want : LIMITS_MAX;

        if (!(s->have & (unsigned)rows[i].bit) || near(rows[i].have, want, rows[i].grain))
            continue;
        say_value(text, n, rows[i].name, rows[i].format, rows[i].have, want);
        drifted = 1;
    }
    return drifted;
}
