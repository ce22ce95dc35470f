/* manager.h: the daemon's own world: the manager, its tenants and their components, shared by the files of
 * this room. Everything runs on one sd_event loop; no function here blocks, and callbacks of one tenant never
 * fail the loop. */
#pragma once

#include <systemd/sd-event.h>

#include "check.h"
#include "check_docker.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/uthash.h"
#include "config/config.h"
#include "engine/engine.h"
#include "limits/host.h"
#include "limits/slice.h"
#include "recovery/recovery.h"

#include "daemon/metrics.h"
#include "daemon/rate.h"
#include "daemon/store.h"
#include "daemon/tenant_index.h"

#define PROBE_HISTORY 8
#define MESSAGE_MAX 320

struct manager;
struct tenant;
struct op;
struct proxy_child;
struct denials;
struct removal;
struct members;
struct limits_events;
struct dryrun;
struct tenant_disk;

/* One finished probe, newest last. */
struct probe_record {
    enum check_result result;
    int64_t at_us; /* CLOCK_REALTIME */
    uint64_t duration_us;
    char detail[160];
};

/* What proxies have told. */
struct request_counts {
    uint64_t allowed, reported, denied, errors;
    uint64_t dropped; /* records of decisions that got lost */
};

/* A supervised part of a tenant: its proxy or its gateway. */
struct component {
    struct tenant *tenant;
    char name[32];
    uint32_t index; /* in the recovery core */
    enum rec_kind kind;
    enum config_mode mode;
    const struct config_health *health;     /* borrowed from the tenant's configuration */
    const struct recovery_params *recovery; /* the same */
    unsigned part; /* enum config_part; also its index in the core and in the metrics */

    /* containers only */
    const struct config_component *extra;   /* neither proxy nor gateway: its configuration; borrowed */
    const struct config_gateway *container; /* what the configuration says of the container; NULL: a proxy */
    char container_name[256];               /* how it is found; "" for an embedded proxy */
    const char *match_label;                /* "key=value" instead of the name; borrowed; NULL */
    char others[160];     /* more containers with that label, which are not supervised; "": none */
    char found_name[256]; /* by label: the name without a redeploy's suffix; "" until it was seen */
    struct docker_facts facts;
    bool facts_known;
    char image[256], address[64]; /* of the last inspect: image reference, IP on the tenant's network */
    struct engine_call *inspect_call;
    bool inspect_again;    /* something happened while it was under way */
    bool inspect_waits;    /* after a relist, for its turn */
    bool inspect_in_turn;  /* it is one of those in their turn */
    int64_t ours_until_us; /* CLOCK_REALTIME: exits up to this moment are the result of our own action */
    bool oom;              /* the engine told of an OOM kill since the last start */
    bool operator_stop;    /* a stop or kill event that is not ours came since the last start */
    char
        spec_running[HASH_HEX_SIZE]; /* fingerprint of what the container was made of; "" until it was seen */
    char spec_checked[65];        /* id of the container whose spec was compared with the configuration's */
    char captured[HASH_HEX_SIZE]; /* of what the store keeps of an adopted gateway; "" not known */
    uint64_t resume_after_us, resume_delay_us; /* of an interrupted redeploy; 0: no leftover seen */

    /* probing */
    sd_event_source *probe_timer;
    struct check *probe;
    struct engine_call *probe_call;
    struct check_sample doubtful; /* waits for the engine's answer to probe_call */
    uint64_t probe_due_us, probe_started_us;
    struct probe_record history[PROBE_HISTORY];
    size_t n_history; /* in all, so the newest is at (n_history - 1) % PROBE_HISTORY */

    enum rec_state state; /* as last reported */
    int64_t state_since_us;
    uint64_t failing_since_us; /* monotonic; 0: good. For the histograms of detection and recovery. */
    uint64_t acted_us;         /* the first action since it was last healthy; 0: none */
    char message[MESSAGE_MAX]; /* the last thing that went wrong, for people */
    bool message_of_action;    /* an action that failed said it: a probe that then fails knows no better */
};

struct tenant {
    char slug[SLUG_MAX + 1];
    UT_hash_handle hh;
    struct manager *manager;
    const struct config_tenant *config; /* borrowed from manager->config */
    uint32_t index;                     /* in the recovery core */
    struct component proxy, gateway;
    struct component *extras;                /* n_all - 2 more; owned */
    struct component *all[CONFIG_PARTS_MAX]; /* every one of these, in the order in which they start */
    size_t n_all;

    struct proxy_child *child; /* the embedded proxy; NULL when external */
    char network_id[65];       /* of the tenant's bridge; "" until known */
    char cgroup_parent[160];   /* "" without slices */
    bool slice_failed;

    struct op *op;       /* the action in flight; at most one */
    struct op *relaunch; /* of a proxy that died while `op` is under way: the core does not let it wait */
    sd_event_source *op_start; /* defers an action's first step out of the recovery pump */
    struct engine_call *limits_call;
    struct slice_call *slice_call;
    struct tenant_disk *disk;     /* disk_driver.h */
    struct members *members;      /* its containers */
    struct limits_events *events; /* OOM kills, pressure */
    char violated_id[65];         /* the gateway that was told to be outside of its limits */
    uint64_t limits_stops;        /* what was stopped for that */
    uint64_t drift_repairs, cpu_seen_us, throttled_seen_us, periods_seen, throttled_periods_seen;
    uint64_t pressure_seen_us[METRICS_PRESSURES];
    struct rate cpu_rate;
    struct request_counts requests; /* of all its proxies since our start */
    struct denials *denials;        /* what they refused, since the tenant was added */

    /* as last told to people */
    enum rec_level level;
    bool quarantined, paused, held, flapping;
    bool quarantine_kept;                   /* as it is in the store */
    uint64_t pause_until_us, held_until_us; /* monotonic; 0: not; as they are in the store */
};

struct manager {
    sd_event *event;
    struct config *config;
    char *config_path;
    int64_t config_loaded_at_us;
    char config_error[512]; /* of the last reload; "" when it was good */

    struct engine *engine;
    struct check_http_pool *pool;
    struct recovery *recovery;
    struct store *store;
    bool store_degraded;
    struct metrics *metrics;
    struct limits_host *host;
    struct slice_bus *slices; /* NULL without systemd */
    struct control *control;
    struct verbs *verbs;
    struct removal *removals;  /* of tenants that left; a list */
    struct dryrun *dryruns;    /* under way */
    bool log_level_fixed;      /* by the command line: a reload leaves it alone */
    struct upgrade *upgrading; /* a check of the new program is under way */
    bool upgrade;              /* the loop ended to make room for it */
    size_t stops_pending;      /* stop_gateways: the loop ends when they have stopped */

    struct tenant *tenants; /* hash by slug */
    struct tenant_index by_index;

    sd_event_source *tick, *engine_timer, *relist_timer, *metrics_timer, *metrics_soon, *lag_timer,
        *watchdog_timer, *limits_timer, *disk_timer;
    unsigned disk_workers; /* processes at work on tenants' disks */
    bool started;          /* tenants were added */
    bool fdstore_closed;
    bool reload_wanted; /* SIGHUP came before that */
    sd_event_source *startup_timer;
    struct engine_call *networks_call;
    json_t *refused;  /* tenants that were not admitted: "tenant", "reason" */
    json_t *left;     /* tenants that left the configuration and may still have running containers */
    json_t *networks; /* slug -> id of the tenant's bridge, as found at the start */
    sd_event_source *sigterm, *sigint, *sighup;
    struct engine_call *engine_ping, *list_call, *info_call;
    bool engine_up, engine_ever_up, engine_known;
    uint64_t engine_fails;
    char engine_message[MESSAGE_MAX];
    bool relist_wanted;
    size_t inspects_waiting, inspects_in_turn; /* components with those flags */
    bool stream_up;

    uint64_t lag_us, lag_due_us; /* the loop's measured lag; stretches time-outs */
    int64_t boot_offset_us;      /* BOOTTIME - MONOTONIC, to notice a suspend */
    uint64_t watchdog_us;
    uint64_t relist_divergence;
    enum rec_host_state host_state; /* as last told */
    int64_t host_since_us;
    bool metrics_failed; /* the textfile could not be written, and that was said */
    bool metrics_wanted; /* a transition: write the textfile at the end of this iteration */
    uint64_t started_us;
    int64_t started_realtime_us;

    uid_t proxy_uid;
    gid_t proxy_gid, docker_gid;
    bool docker_gid_known;
    char gid_message[MESSAGE_MAX];
    char *proxy_program;
    int lock_fd;
    pid_t reap[64]; /* proxies that finish their streams; see manager_reap_later() */
    size_t n_reap;
};

/* ---- manager.c */
int manager_new(struct config *config, const char *config_path, struct manager **ret, struct err *e);
int manager_start(struct manager *m, struct err *e);
struct manager *manager_free(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_free)

uint64_t manager_now(struct manager *m); /* the loop's CLOCK_MONOTONIC of this iteration */
int64_t realtime_now(void);              /* CLOCK_REALTIME in microseconds */
double manager_jitter(void);             /* U[0,1) */
/* Stretches a probe's time-out with the loop's own lag, at most eightfold. */
uint64_t manager_stretch(const struct manager *m, uint64_t timeout_us);

/* ---- pump.c: between the recovery core and the world */
/* Fills in the jitter, steps the core and performs what it returns. Never call it from inside an action's
 * start. */
void manager_event(struct manager *m, struct rec_event *ev);
/* Reports an action's end to the core and to the store, and frees it. `text` is for people. */
void manager_action_done(struct op *op, enum rec_done result, const char *text);
/* Writes the store's event log and the journal. `c` may be NULL. */
void manager_note(struct tenant *t, struct component *c, int priority, const char *message_id,
    const char *kind, const char *fmt, ...) _printf_(6, 7);
/* A failure of the store is told once, and once more when it is over. `r` is the store's return value. */
void manager_store_result(struct manager *m, int r, const struct err *e);

/* Ends the loop; with stop_gateways only after every managed gateway has stopped or its time is up. */
void manager_stop(struct manager *m);
/* A child that outlives what watched it is reaped when it ends. */
void manager_reap_later(struct manager *m, pid_t pid);

/* ---- tenant.c */
int tenant_add(struct manager *m, const struct config_tenant *c, struct err *e);
/* Takes over a changed configuration: parameters at once, the proxy by a hand-over on the same sockets, the
 * gateway by a redeploy when its spec changed. */
int tenant_update(struct tenant *t, const struct config_tenant *c, struct err *e);
/* The same configuration from a fresh load: only the pointers change. */
void tenant_rebind(struct tenant *t, const struct config_tenant *c);
/* Stops supervising: the proxy finishes its streams. `stop`: the tenant left the configuration, so that its
 * gateway and sandboxes are stopped (never removed). */
void tenant_remove(struct tenant *t, bool stop);
struct component *tenant_component(struct tenant *t, uint32_t index);
struct component *tenant_component_named(struct tenant *t, const char *name); /* NULL: there is none */
enum metrics_component component_metrics(const struct component *c);
/* Its container can be made anew: from the configuration, or from what an adopted gateway was. */
bool component_can_redeploy(const struct component *c);
uint64_t component_stop_timeout(const struct component *c);
struct tenant *manager_find(struct manager *m, const char *slug);

/* ---- probe.c */
void probe_arm(struct component *c, uint64_t delay_us);
void probe_reschedule(struct component *c); /* after an event that may have changed the interval */
void probe_stop(struct component *c);

/* ---- observe.c: what the engine says */
int observe_start(struct manager *m);
void observe_relist(struct manager *m);
/* Inspects one container and reports what it finds. */
void observe_inspect(struct component *c);
/* The component goes: no inspect of it is under way or waits after this. */
void observe_forget(struct component *c);
void observe_engine_result(struct manager *m, const struct engine_answer *a);
/* Feeds a fresh inspect answer (status 200 or 404) of the component to the core. */
void observe_apply(struct component *c, long status, const json_t *inspect);

/* ---- startup.c */
int startup_begin(struct manager *m);
/* The engine's /info was answered, or could not be. */
void startup_limits_known(struct manager *m);
/* The first ping failed. */
void startup_engine_down(struct manager *m);

/* ---- verbs.c, status.c, metrics_collect.c */
struct control;
int verbs_start(struct manager *m, struct err *e);
void verbs_stop(struct manager *m);
/* Followers of `clawsup events` get one more line. */
void verbs_event(struct manager *m, int64_t seq, const char *tenant, const char *component, const char *kind,
    const char *text);
/* Those who wait for an action's end hear of it. */
void verbs_action_done(struct tenant *t, const struct rec_action *a, enum rec_done result, const char *text);
void verbs_tenant_gone(struct tenant *t);
/* The object of contrib/docs/status-schema.json; slug NULL: all. NULL when out of memory. */
json_t *status_to_json(struct manager *m, const char *slug);
/* Brings m->metrics up to date and writes the textfile. */
void metrics_collect(struct manager *m);

/* ---- reload.c */
/* Loads the configuration again and sweeps. 0, and the slugs in report's arrays "added", "changed",
 * "removed"; or -errno: nothing has changed then, and `f` (may be NULL) has the findings. */
int manager_reload(struct manager *m, json_t *report, struct config_findings *f, struct err *e);
