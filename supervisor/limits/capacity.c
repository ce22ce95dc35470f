/* capacity.c: see capacity.h. PURE: no file, no clock; must not know a tenant. */
#include "limits/capacity.h"

#include <stdio.h>

#include "base/str.h"

static const char *const names[_CAPACITY_MAX] = {
    [CAPACITY_CPU] = "cpu", [CAPACITY_MEMORY] = "memory", [CAPACITY_PIDS] = "pids", [CAPACITY_DISK] = "disk"};

const char *capacity_resource_to_string(enum capacity_resource r)
{
    return r < _CAPACITY_MAX ? names[r] : "unknown";
}

void capacity_format(char *out, size_t n, enum capacity_resource r, uint64_t v)
{
    if (v == CAPACITY_UNLIMITED)
        (void)snprintf(out, n, "unlimited");
    else if (r == CAPACITY_CPU)
        (void)snprintf(out, n, "%llu.%02llu", (unsigned long long)(v / CAPACITY_FACTOR_ONE),
            (unsigned long long)(v % CAPACITY_FACTOR_ONE / (CAPACITY_FACTOR_ONE / 100)));
    else if (r == CAPACITY_PIDS)
        (void)snprintf(out, n, "%llu", (unsigned long long)v);
    else
        str_format_size(out, n, v);
}

uint64_t capacity_ceiling(const struct capacity *c, enum capacity_resource r)
{
    uint64_t total = c->r[r].total, factor = c->r[r].factor, whole, part;

    if (total == 0 || factor == 0)
        return CAPACITY_UNLIMITED;
    /* total * factor / 1e9 without leaving 64 bits: whole multiples, then the rest. */
    if (__builtin_mul_overflow(total, factor / CAPACITY_FACTOR_ONE, &whole))
        return CAPACITY_UNLIMITED;
    part = total / 1000 * (factor % CAPACITY_FACTOR_ONE / 1000000);
    return __builtin_add_overflow(whole, part, &whole) ? CAPACITY_UNLIMITED : whole;
}

uint64_t capacity_free(const struct capacity *c, enum capacity_resource r)
{
    uint64_t ceiling = capacity_ceiling(c, r);

    if (ceiling == CAPACITY_UNLIMITED)
        return CAPACITY_UNLIMITED;
    return ceiling > c->r[r].committed ? ceiling - c->r[r].committed : 0;
}

bool capacity_fits(const struct capacity *c, const uint64_t want[static _CAPACITY_MAX], char *text, size_t n)
{
    for (enum capacity_resource r = 0; r < _CAPACITY_MAX; r++) {
        char a[32], b[32], d[32];

        if (want[r] <= capacity_free(c, r))
            continue;
        capacity_format(a, sizeof(a), r, want[r]);
        capacity_format(b, sizeof(b), r, capacity_free(c, r));
        capacity_format(d, sizeof(d), r, capacity_ceiling(c, r));
        (void)snprintf(text, n, "it wants %s of %s, %s of %s are left", a, names[r], b, d);
        return false;
    }
    return true;
}

uint64_t capacity_more(
    const struct capacity *c, const uint64_t want[static _CAPACITY_MAX], enum capacity_resource *ret_by)
{
    uint64_t best = CAPACITY_UNLIMITED;

    *ret_by = CAPACITY_CPU;
    for (enum capacity_resource r = 0; r < _CAPACITY_MAX; r++) {
        uint64_t left = capacity_free(c, r);

        if (want[r] == 0 || left == CAPACITY_UNLIMITED || left / want[r] >= best)
            continue;
        best = left / want[r];
        *ret_by = r;
    }
    return best;
}
