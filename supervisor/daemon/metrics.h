/* metrics.h: what Prometheus sees. The manager writes the numbers straight into these structs; rendering is
 * pure: no clock, no engine, no manager. Counters are never reset and are there, at 0, from the start; labels
 * are the tenant's slug and small enums only. Format: the classic text exposition format, without
 * timestamps (node_exporter's textfile collector skips a file that has one). */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "base/str.h"
#include "recovery/recovery.h"

/* A gauge that was not measured is left out of the text; 0 would be a lie. */
#define METRICS_UNKNOWN UINT64_MAX

/* METRICS_EXTRA: a tenant's other components, all together. */
enum metrics_component { METRICS_PROXY, METRICS_GATEWAY, METRICS_EXTRA, _METRICS_COMPONENT_MAX };
#define METRICS_NAME_MAX 32
enum metrics_proxy_reason {
    METRICS_PROXY_EXITED,    /* it died */
    METRICS_PROXY_UNHEALTHY, /* its probes failed */
    METRICS_PROXY_RELOAD,    /* a new policy */
    METRICS_PROXY_OPERATOR,
    _METRICS_PROXY_REASON_MAX
};
enum metrics_decision {
    METRICS_ALLOWED,
    METRICS_REPORTED, /* forwarded only because the filter does not enforce */
    METRICS_DENIED,
    METRICS_ERROR,
    _METRICS_DECISION_MAX
};
enum metrics_histogram {
    METRICS_PROBE_DURATION, /* of one sample, whatever its result */
    METRICS_DETECTION,      /* from the first sign of a failure to the decision to act */
    METRICS_RECOVERY,       /* from that decision to healthy again */
    _METRICS_HISTOGRAM_MAX
};

#define METRICS_PRESSURES 3
#define METRICS_BUCKETS_MAX 16
struct metrics_observations {
    uint64_t buckets[METRICS_BUCKETS_MAX]; /* not cumulative; above the last bound: in `count` only */
    uint64_t count, sum_us;
};

/* One tenant; every counter starts at 0 and every gauge that is measured at METRICS_UNKNOWN. */
struct metrics_tenant {
    char slug[SLUG_MAX + 1];
    struct {
        char name[METRICS_NAME_MAX]; /* "": there is no such component */
        bool up;
        enum rec_state state;
    } components[RECOVERY_COMPONENTS_MAX]; /* proxy, gateway, then others */
    uint64_t actions[_REC_LEVEL_MAX][_REC_DONE_MAX];
    enum rec_level level;
    bool quarantined;
    uint64_t hold_until_us; /* CLOCK_REALTIME; 0: no pause and no hold */
    uint64_t memory_bytes, memory_limit_bytes, pids, pids_limit, disk_bytes, disk_limit_bytes;
    uint64_t disk_inodes, disk_inodes_limit, disk_full, disk_full_total, disk_frozen;
    uint64_t oom_kills, cpu_usage_us, cpu_throttled_us;
    uint64_t cpu_periods, cpu_throttled_periods, forks_refused;
    uint64_t drift_repairs, limits_stops;
    uint64_t pressure_events[METRICS_PRESSURES], pressure_us[METRICS_PRESSURES]; /* memory, cpu, io */
    uint64_t throttled; /* 1: on_pressure has slowed it */
    uint64_t requests[_METRICS_DECISION_MAX];
    uint64_t records_dropped;
    uint64_t proxy_restarts[_METRICS_PROXY_REASON_MAX];
};

struct metrics {
    uint64_t started_us; /* CLOCK_REALTIME */
    enum rec_host_state host_state;
    bool engine_up, config_ok, state_store_ok;
    uint64_t reconnects, divergences; /* of the event stream; of a relist from what events had said */
    uint64_t loop_lag_us;             /* the worst since the last write */
    uint32_t actions_in_flight;
    uint64_t probes[_METRICS_COMPONENT_MAX][_REC_PROBE_MAX];
    struct metrics_observations observed[_METRICS_HISTOGRAM_MAX][_METRICS_COMPONENT_MAX];
    /* As recovery_suppressed() gives them; names static. */
    const char *guards[REC_GUARDS_MAX];
    uint64_t suppressed[REC_GUARDS_MAX];
    size_t n_guards;
    struct metrics_tenant **tenants; /* sorted by slug; see metrics_tenant() */
    size_t n_tenants;
};

struct metrics *metrics_new(void); /* NULL: out of memory */
struct metrics *metrics_free(struct metrics *m);
DEFINE_CLEANUP(struct metrics *, metrics_free)

/* The tenant of that slug, made if it is new; the pointer stays valid until it is removed. NULL: out of
 * memory. */
struct metrics_tenant *metrics_tenant(struct metrics *m, const char *slug);
/* One of the others than proxy and gateway. */
void metrics_name_component(struct metrics_tenant *t, size_t i, const char *name);
void metrics_remove_tenant(struct metrics *m, const char *slug);

void metrics_observe(struct metrics *m, enum metrics_histogram h, enum metrics_component c, uint64_t us);

/* Appends the whole text. -ENOMEM, -E2BIG. */
int metrics_render(const struct metrics *m, struct buf *out) _must_check_;

/* Renders and replaces the textfile at `path` (0644; never seen half-written). -errno, also when the
 * directory is missing. The write is to a file system that may block: a few tens of KiB per hundred
 * tenants. */
int metrics_write(const struct metrics *m, const char *path) _must_check_;
