/* metrics_collect.c: what the manager knows, brought into the metrics' structs, and the textfile written. */
#include "daemon/manager.h"

#include <string.h>

#include "base/log.h"
#include "daemon/disk_driver.h"
#include "daemon/limits_driver.h"
#include "daemon/limits_events.h"

/* A counter never goes back: a gateway or a slice that was made anew begins at 0 in its cgroup. */
static void advance(uint64_t *total, uint64_t *seen, uint64_t now)
{
    *total += now >= *seen ? now - *seen : now;
    *seen = now;
}

static void collect_tenant(struct tenant *t, uint64_t now, int64_t real)
{
    struct manager *m = t->manager;
    struct metrics_tenant *mt = metrics_tenant(m->metrics, t->slug);
    const struct config_limits *l = &t->config->limits;
    struct pressure_sample p;
    struct limits_usage u;
    struct rec_tenant_view v;
    double rate;

    _Static_assert(METRICS_PRESSURES == _PRESSURE_MAX, "one label each");
    if (!mt)
        return;
    limits_driver_usage(t, &u);
    recovery_tenant_view(m->recovery, t->index, now, &v);
    mt->level = v.level;
    mt->quarantined = v.quarantined;
    mt->hold_until_us = v.paused || v.held ? (uint64_t)real + (v.hold_until_us - now) : 0;
    mt->memory_bytes = u.have_memory ? u.memory_bytes : METRICS_UNKNOWN;
    mt->memory_limit_bytes = l->memory_bytes ? l->memory_bytes : METRICS_UNKNOWN;
    mt->pids = u.have_pids ? u.pids : METRICS_UNKNOWN;
    mt->pids_limit = l->pids ? l->pids : METRICS_UNKNOWN;
    mt->disk_bytes = u.have_disk ? u.disk_bytes : METRICS_UNKNOWN;
    mt->disk_limit_bytes = u.have_disk ? u.disk_limit_bytes : METRICS_UNKNOWN;
    mt->disk_inodes = u.have_disk ? u.disk_inodes : METRICS_UNKNOWN;
    mt->disk_inodes_limit = u.have_disk && u.disk_inodes_limit ? u.disk_inodes_limit : METRICS_UNKNOWN;
    mt->disk_full = t->disk && t->disk->full;
    mt->disk_frozen = t->disk && t->disk->freeze != DISK_FREEZE_NONE;
    mt->disk_full_total = t->disk ? t->disk->full_total : 0;
    if (u.have_cpu) {
        (void)rate_sample(&t->cpu_rate, now, u.cpu_usage_us, &rate); /* `status` shows it */
        advance(&mt->cpu_usage_us, &t->cpu_seen_us, u.cpu_usage_us);
        advance(&mt->cpu_throttled_us, &t->throttled_seen_us, u.cpu_throttled_us);
        advance(&mt->cpu_periods, &t->periods_seen, u.cpu_periods);
        advance(&mt->cpu_throttled_periods, &t->throttled_periods_seen, u.cpu_throttled_periods);
    }
    for (enum pressure_resource r = 0; r < _PRESSURE_MAX; r++)
        if (limits_events_pressure(t, r, &p) >= 0)
            advance(&mt->pressure_us[r], &t->pressure_seen_us[r], p.total_us);
    mt->throttled = limits_events_throttled(t);
    mt->drift_repairs = t->drift_repairs;
    mt->limits_stops = t->limits_stops;
    mt->requests[METRICS_ALLOWED] = t->requests.allowed;
    mt->requests[METRICS_REPORTED] = t->requests.reported;
    mt->requests[METRICS_DENIED] = t->requests.denied;
    mt->requests[METRICS_ERROR] = t->requests.errors;
    mt->records_dropped = t->requests.dropped;
}

void metrics_collect(struct manager *m)
{
    uint64_t now = manager_now(m);
    int64_t real = realtime_now();
    struct rec_host_view h;
    struct tenant *t, *next;
    int r;

    recovery_host_view(m->recovery, now, &h);
    m->metrics->started_us = (uint64_t)m->started_realtime_us;
    m->metrics->host_state = h.state;
    m->metrics->engine_up = m->engine_up;
    m->metrics->config_ok = m->config_error[0] == '\0';
    m->metrics->state_store_ok = !m->store_degraded;
    m->metrics->reconnects = engine_reconnects(m->engine);
    m->metrics->divergences = m->relist_divergence;
    m->metrics->actions_in_flight = h.restarts_in_flight + h.redeploys_in_flight;
    m->metrics->n_guards = recovery_suppressed(m->recovery, m->metrics->guards, m->metrics->suppressed);
    HASH_ITER(hh, m->tenants, t, next)
    collect_tenant(t, now, real);
    if (!m->config->metrics_file || !m->config->metrics_file[0])
        return;
    r = metrics_write(m->metrics, m->config->metrics_file);
    m->metrics->loop_lag_us = 0;
    if (r < 0 && !m->metrics_failed)
        log_error(
            "metrics_file %s: %s; further failures are not repeated", m->config->metrics_file, strerror(-r));
    m->metrics_failed = r < 0;
}
