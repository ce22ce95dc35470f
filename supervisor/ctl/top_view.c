/* top_view.c: see top_view.h. Must not read a clock. */
#include "ctl/top_view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

/* So many columns fit everything. */
#define WIDTH_FULL 100

static const char *const sort_names[_TOP_SORT_MAX] = {
    [TOP_SORT_CPU] = "cpu",
    [TOP_SORT_MEMORY] = "memory",
    [TOP_SORT_DISK] = "disk",
    [TOP_SORT_REQUESTS] = "requests",
    [TOP_SORT_REFUSALS] = "refusals",
    [TOP_SORT_NAME] = "name",
};
static const char *const sort_keys[_TOP_SORT_MAX] = {
    [TOP_SORT_CPU] = "cpu_percent",
    [TOP_SORT_MEMORY] = "memory_bytes",
    [TOP_SORT_DISK] = "disk_bytes",
    [TOP_SORT_REQUESTS] = "requests_per_s",
    [TOP_SORT_REFUSALS] = "refusals_per_s",
    [TOP_SORT_NAME] = NULL,
};

int top_sort_from_string(const char *s, enum top_sort *ret)
{
    for (int i = 0; i < _TOP_SORT_MAX; i++)
        if (strcmp(sort_names[i], s) == 0) {
            *ret = (enum top_sort)i;
            return 0;
        }
    return -EINVAL;
}

const char *top_sort_to_string(enum top_sort s)
{
    return s < _TOP_SORT_MAX ? sort_names[s] : "";
}

/* ---------------------------------------------------------------- rates */

static const json_t *find(const json_t *reply, const char *slug)
{
    const json_t *list = json_object_get(reply, "tenants");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(text_of(json_array_get(list, i), "slug"), slug) == 0)
            return json_array_get(list, i);
    return NULL;
}

/* Growth of a counter per second; null when it is not known, or began anew. */
static json_t *rate(const json_t *a, const json_t *b, const char *key, double seconds, double factor)
{
    uint64_t x = text_u64(a, key, UINT64_MAX), y = text_u64(b, key, UINT64_MAX);

    if (x == UINT64_MAX || y == UINT64_MAX || y < x || seconds <= 0)
        return json_null();
    return json_real((double)(uint64_t)((double)(y - x) / seconds * factor * 10 + 0.5) / 10);
}

static json_t *copy(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);

    return v ? json_incref(v) : json_null();
}

static json_t *tenant_rates(const json_t *before, const json_t *now, double seconds)
{
    const json_t *r = json_object_get(now, "resources"), *q = json_object_get(now, "proxy_requests");
    const json_t *old_r = json_object_get(before, "resources"),
                 *old_q = json_object_get(before, "proxy_requests");
    json_t *cpu = rate(old_r, r, "cpu_usage_usec", seconds, 100.0 / (double)USEC_PER_SEC);
    json_t *requests = rate(old_q, q, "allowed", seconds, 1),
           *refusals = rate(old_q, q, "denied", seconds, 1);

    /* The first look has no two samples: what the daemon last measured stands in. */
    if (json_is_null(cpu) && !before)
        cpu = copy(r, "cpu_percent");
    if (json_is_real(requests) && json_is_real(refusals))
        (void)json_real_set(requests, json_real_value(requests) + json_real_value(refusals));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "slug",
        copy(now, "slug"), "state", copy(now, "state"), "cpu_percent", cpu, "cpu_limit_nano",
        copy(r, "cpu_limit_nano"), "memory_bytes", copy(r, "memory_bytes"), "memory_limit_bytes",
        copy(r, "memory_limit_bytes"), "disk_bytes", copy(r, "disk_bytes"), "disk_limit_bytes",
        copy(r, "disk_limit_bytes"), "pids", copy(r, "pids"), "requests_per_s", requests, "refusals_per_s",
        refusals, "requests", copy(q, "allowed"), "refusals", copy(q, "denied"));
}

json_t *top_rates(const json_t *before, const json_t *now)
{
    const json_t *list = json_object_get(now, "tenants");
    _cleanup_json_ json_t *out = json_array();
    uint64_t a = 0, b = 0, us;

    (void)text_time(before, "now", &a);
    (void)text_time(now, "now", &b);
    us = before && b > a ? b - a : 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);

        if (json_array_append_new(out,
                tenant_rates(find(before, text_of(t, "slug")), t, (double)us / (double)USEC_PER_SEC)) < 0)
            return NULL;
    }
    return json_pack("{s:i, s:b, s:s, s:I, s:O}", "v", 1, "ok", 1, "now", text_of(now, "now"), "interval_us",
        (json_int_t)us, "tenants", out);
}

/* ---------------------------------------------------------------- order */

struct entry {
    json_t *tenant; /* borrowed */
    double weight;
    size_t place;
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->weight > y->weight || x->weight < y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

int top_arrange(json_t *rates, enum top_sort by)
{
    const json_t *list = json_object_get(rates, "tenants");
    size_t n = json_array_size(list);
    _cleanup_free_ struct entry *entries = calloc(n + 1, sizeof(*entries));
    _cleanup_json_ json_t *sorted = json_array();

    if (!entries || !sorted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        json_t *t = json_array_get(list, i);

        entries[i] = (struct entry){.tenant = t,
            .weight = sort_keys[by] ? json_number_value(json_object_get(t, sort_keys[by])) : 0,
            .place = i};
    }
    qsort(entries, n, sizeof(*entries), compare);
    for (size_t i = 0; i < n; i++)
        if (json_array_append(sorted, entries[i].tenant) < 0)
            return -ENOMEM;
    return json_object_set(rates, "tenants", sorted) < 0 ? -ENOMEM : 0;
}

/* ---------------------------------------------------------------- text */

static void cell_rate(
    struct table *t, const json_t *tenant, const char *key, const char *unit, enum text_colour some)
{
    const json_t *v = json_object_get(tenant, key);
    double n = json_number_value(v);

    if (!json_is_number(v))
        table_cell(t, TEXT_DIM, "");
    else
        table_cellf(t, n > 0 ? some : TEXT_PLAIN, n >= 100 || unit[0] ? "%.0f%s" : "%.1f%s", n, unit);
}

static void cell_usage(struct table *t, const json_t *tenant, const char *used_key, const char *limit_key)
{
    uint64_t used = text_u64(tenant, used_key, UINT64_MAX), limit = text_u64(tenant, limit_key, UINT64_MAX);
    enum text_colour colour = TEXT_PLAIN;
    char text[48];

    if (used != UINT64_MAX && limit != UINT64_MAX && limit > 0)
        colour = used / 95 * 100 >= limit ? TEXT_RED : used / 85 * 100 >= limit ? TEXT_YELLOW : TEXT_PLAIN;
    text_usage(text, sizeof(text), used, limit);
    table_cell(t, colour, text);
}

int top_print(const json_t *rates, const struct table_style *style, FILE *out)
{
    static const struct table_column columns[] = {{.name = "TENANT"}, {.name = "STATE"},
        {.name = "CPU", .right = true}, {.name = "MEMORY", .right = true}, {.name = "DISK", .right = true},
        {.name = "REQ/S", .right = true}, {.name = "REFUSED/S", .right = true},
        {.name = "PIDS", .right = true}, {.name = "REFUSED", .right = true}};
    bool all = style->plain || style->width == 0 || style->width >= WIDTH_FULL;
    _cleanup_(table_freep) struct table *t =
        table_new(columns, all ? ARRAY_SIZE(columns) : ARRAY_SIZE(columns) - 2, style);
    const json_t *list = json_object_get(rates, "tenants");

    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *tenant = json_array_get(list, i);
        const char *state = text_of(tenant, "state");
        uint64_t pids = text_u64(tenant, "pids", UINT64_MAX);

        table_cell(t, TEXT_BOLD, text_of(tenant, "slug"));
        table_cell(t, text_state_colour(state), state);
        cell_rate(t, tenant, "cpu_percent", "%", TEXT_PLAIN);
        cell_usage(t, tenant, "memory_bytes", "memory_limit_bytes");
        cell_usage(t, tenant, "disk_bytes", "disk_limit_bytes");
        cell_rate(t, tenant, "requests_per_s", "", TEXT_PLAIN);
        cell_rate(t, tenant, "refusals_per_s", "", TEXT_YELLOW);
        if (!all)
            continue;
        if (pids == UINT64_MAX)
            table_cell(t, TEXT_DIM, "");
        else
            table_cellf(t, TEXT_PLAIN, "%" PRIu64, pids);
        table_cellf(t, TEXT_PLAIN, "%" PRIu64, text_u64(tenant, "refusals", 0));
    }
    return table_print(t, out);
}

static double sum(const json_t *rates, const char *key)
{
    const json_t *list = json_object_get(rates, "tenants");
    double n = 0;

    for (size_t i = 0; i < json_array_size(list); i++)
        n += json_number_value(json_object_get(json_array_get(list, i), key));
    return n;
}

void top_summary(const json_t *rates, FILE *out)
{
    const json_t *list = json_object_get(rates, "tenants");
    size_t healthy = 0;
    char memory[24], disk[24];

    for (size_t i = 0; i < json_array_size(list); i++)
        healthy += strcmp(text_of(json_array_get(list, i), "state"), "healthy") == 0;
    str_format_size(memory, sizeof(memory), (uint64_t)sum(rates, "memory_bytes"));
    str_format_size(disk, sizeof(disk), (uint64_t)sum(rates, "disk_bytes"));
    (void)fprintf(out,
        "%zu tenants, %zu healthy; CPU %.0f%%, memory %s, disk %s; %.1f requests/s, %.1f refused/s\n",
        json_array_size(list), healthy, sum(rates, "cpu_percent"), memory, disk, sum(rates, "requests_per_s"),
        sum(rates, "refusals_per_s"));
}
