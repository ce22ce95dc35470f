/* metrics.c: the numbers of metrics.h: tenants come and go, histograms count. Must not render or decide. */
#include "daemon/metrics.h"

#include <string.h>

#include "base/fd.h"
#include "daemon/metrics_text.h"

/* Upper bounds in microseconds, 0 ends. A probe lasts microseconds to its timeout; detection is bounded by
 * fall times period; a recovery may be a redeploy. */
static const uint64_t bounds[_METRICS_HISTOGRAM_MAX][METRICS_BUCKETS_MAX + 1] = {
    [METRICS_PROBE_DURATION] = {250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
        1000000, 2500000, 5000000},
    [METRICS_DETECTION] = {1000, 5000, 10000, 50000, 100000, 500000, 1000000, 2000000, 5000000, 10000000,
        30000000, 60000000},
    [METRICS_RECOVERY] = {10000, 50000, 100000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
        60000000, 180000000, 600000000, 1800000000},
};

const uint64_t *metrics_bounds(enum metrics_histogram h)
{
    return bounds[h];
}

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof(*m));

    if (m)
        m->config_ok = m->state_store_ok = true;
    return m;
}

struct metrics *metrics_free(struct metrics *m)
{
    if (!m)
        return NULL;
    for (size_t i = 0; i < m->n_tenants; i++)
        free(m->tenants[i]);
    free(m->tenants);
    free(m);
    return NULL;
}

/* Index of the first tenant whose slug is not below `slug`. */
static size_t lower_bound(const struct metrics *m, const char *slug)
{
    size_t lo = 0, hi = m->n_tenants;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(m->tenants[mid]->slug, slug) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void metrics_name_component(struct metrics_tenant *t, size_t i, const char *name)
{
    if (i < ARRAY_SIZE(t->components))
        (void)strncpy(t->components[i].name, name, METRICS_NAME_MAX - 1);
}

struct metrics_tenant *metrics_tenant(struct metrics *m, const char *slug)
{
    size_t at = lower_bound(m, slug);
    struct metrics_tenant **grown, *t;

    if (at < m->n_tenants && strcmp(m->tenants[at]->slug, slug) == 0)
        return m->tenants[at];
    grown = reallocarray(m->tenants, m->n_tenants + 1, sizeof(struct metrics_tenant *));
    if (!grown)
        return NULL;
    m->tenants = grown;
    t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    (void)strncpy(t->slug, slug, sizeof(t->slug) - 1);
    metrics_name_component(t, METRICS_PROXY, "proxy");
    metrics_name_component(t, METRICS_GATEWAY, "gateway");
    t->memory_bytes = t->memory_limit_bytes = t->pids = t->pids_limit = t->disk_bytes = t->disk_limit_bytes =
        t->disk_inodes = t->disk_inodes_limit = METRICS_UNKNOWN;
    memmove(grown + at + 1, grown + at, (m->n_tenants - at) * sizeof(struct metrics_tenant *));
    grown[at] = t;
    m->n_tenants++;
    return t;
}

void metrics_remove_tenant(struct metrics *m, const char *slug)
{
    size_t at = lower_bound(m, slug);

    if (at >= m->n_tenants || strcmp(m->tenants[at]->slug, slug) != 0)
        return;
    free(m->tenants[at]);
    m->n_tenants--;
    memmove(m->tenants + at, m->tenants + at + 1, (m->n_tenants - at) * sizeof(struct metrics_tenant *));
}

void metrics_observe(struct metrics *m, enum metrics_histogram h, enum metrics_component c, uint64_t us)
{
    struct metrics_observations *o = &m->observed[h][c];
    const uint64_t *b = bounds[h];

    o->count++;
    o->sum_us += us;
    for (size_t i = 0; b[i] > 0; i++)
        if (us <= b[i]) {
            o->buckets[i]++;
            return;
        }
}

int metrics_write(const struct metrics *m, const char *path)
{
    _cleanup_buf_ struct buf text = {.limit = (size_t)64 * 1024 * 1024};
    int r = metrics_render(m, &text);

    return r < 0 ? r : fd_write_atomic(path, text.data, text.len, 0644);
}
