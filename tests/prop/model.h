/* model.h: a tiny host for the recovery core, on virtual time: tenants with a proxy and a gateway that fail
 * in several ways, an engine that goes away, an operator, a clock that jumps, and a daemon that crashes at
 * any write and comes back from what it wrote. world.c is what is true; check.c sees only what the core sees,
 * and judges it. */
#pragma once

#include "recovery/recovery.h"
#include "recovery/saga.h"

#define TENANTS_MAX 16
#define PROXY 0
#define GATEWAY 1
#define RESUMED 2 /* a redeploy that is picked up again: not the core's */
#define SLOTS 3   /* containers a tenant can have at once */
#define ROWS_MAX 16384
#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE
#define HOUR USEC_PER_HOUR
#define NEVER USEC_INFINITY

enum fault {
    FAULT_NONE,
    FAULT_HANG,  /* runs, answers nothing */
    FAULT_CRASH, /* dies some seconds after each start */
    FAULT_FLAKY, /* half of the probes fail */
    FAULT_BLIND, /* we cannot probe: our own fault */
    FAULT_START, /* does not start at all */
    FAULT_LOOP,  /* the engine restarts it again and again */
    _FAULT_MAX
};

enum cname { CNAME, CNAME_OLD, CNAME_NEW };

struct container {
    bool exists, running, verified;
    enum cname name;
};

struct part { /* a proxy or a gateway, as it is */
    enum fault fault;
    enum rec_level cure; /* the rung that mends it; REC_L4: none does */
    bool running;        /* proxies; a gateway runs if a container of its tenant does */
    uint64_t healthy_at, dies_at, probe_at, probed_at, exit_at;
    bool exit_operator;
    uint64_t restart_count;
    bool lazy;            /* its next probe is far away because none would say anything new */
    uint32_t blind;       /* probes in a row that we could not make */
    uint64_t flaky_until; /* half a day of it says no more than some minutes */
};

struct op {
    bool on;
    struct rec_action a;
    uint64_t at, until;
    int phase;
    struct saga saga;
    int old, new; /* slots of the tenant's containers */
    bool bad;     /* the new container will not do */
    bool bounced; /* the driver cannot take it */
    bool lazy;    /* it waits for something to happen */
};

/* What anybody who watched would know about one component. Times are the world's. */
struct shadow {
    uint32_t fails, oks;   /* consecutive probes that count */
    uint64_t doubt_us;     /* when the first of these failures was started */
    uint64_t void_us;      /* probes that started before it say nothing */
    uint64_t good_from_us; /* of those that started before it, the core may not count the good ones */
    bool hard;             /* there is evidence other than failed probes */
    bool dead;             /* a proxy that was seen to end, or not to be there */
    bool launched;         /* a proxy, since the daemon started */
    bool let_go;           /* released, and not acted upon since */
    uint64_t died_us;
    bool down; /* the same of a gateway */
    bool died_in_flight, held, quarantined, released, op_wanted, ever_up;
    uint64_t held_until_us, half_open_us, old_half_open_us, restart_count;
    uint32_t tries[_REC_LEVEL_MAX], uncounted[_REC_LEVEL_MAX], refused[_REC_LEVEL_MAX];
    uint32_t bring_up_failures;
    enum rec_level reached; /* the highest rung that was rightly used */
    uint64_t restarts[64];  /* ours and an operator's */
    uint64_t all[64];       /* with the engine's, which use up the budgets as well */
    uint32_t n_restarts, n_all;
    struct rec_action act; /* in flight, if its id is not 0 */
    bool act_automatic, act_urgent, act_trial, act_along;
    enum rec_state state;
    uint64_t state_since_us;
    bool no_action; /* the last one cost nothing: what comes next may wait longer */
    struct {
        bool set;
        enum rec_level level;
        uint32_t attempt;
        uint64_t due_us;
    } plan;
    /* Planned since the last action, or since it was last well: an attempt that was put off keeps its time.
     */
    uint64_t dues[16];
    uint32_t n_dues;
    bool was_held_back, neighbour_ill;
    bool vain[_REC_LEVEL_MAX],
        spent[_REC_LEVEL_MAX];  /* an attempt that brought nothing up; and it is known */
    bool with_engine;           /* found stopped when the engine was back */
    uint64_t trial_us;          /* the last one, or when quarantine began */
    uint64_t next_trial_us;     /* as it was shown */
    enum rec_presence presence; /* as it was told */
    bool news;                  /* reason for another time of the next trial */
    bool engine_restarted;      /* since the last action: it used up attempts that were planned already */
    /* last phase: how long it has been broken with the guards clear, as they were at the last look */
    uint64_t seen_us, broken_us;
    bool clear;
};

struct tenant {
    bool on;
    uint32_t index;
    char slug[8];
    struct part part[2];
    struct container g[SLOTS];
    struct op op[3];
    bool image_missing, stuck;
    struct shadow s[2];
    uint64_t redeploys[64];
    uint32_t n_redeploys;
    uint64_t paused_until_us, resume_at, resume_delay;
    bool broken[2]; /* last phase: this one stays broken */
    /* the gateway, as the core was told last, and its state then and ever since */
    enum rec_presence told_presence;
    uint64_t told_count;
    enum rec_state told_state;
    /* in the store */
    int64_t quarantine_since, pause_until, hold_until;
    bool told_quarantined;
    uint64_t told_pause, told_hold;
};

struct row {
    uint32_t tenant, component;
    enum rec_action_type type;
    enum rec_level level;
    uint64_t at;
};

enum invariant {
    INV_GUARDS = 1,
    INV_IN_FLIGHT,
    INV_BUDGETS,
    INV_LEVELS,
    INV_UNKNOWN,
    INV_DELAYS,
    INV_GOOD,
    INV_CLOCK,
    INV_REDEPLOY,
    INV_LIVENESS,
    _INV_MAX
};

struct world {
    uint64_t seed, rng;
    bool verbose, failed, last_phase;
    bool dense;         /* no probe, ping or list is left out */
    uint64_t now, base; /* the core's clock is now - base: a reboot begins it anew */
    struct recovery_params p;
    struct recovery_host_params hp;
    uint64_t interval_us, deadline_us[2];
    struct recovery *r;
    uint32_t n;

    bool engine_up, engine_hung;
    uint64_t engine_back_at, ping_at, relist_at, list_all_at, weather_at, calm_at, restart_at;
    uint64_t weather_gap_us;
    int crash_in; /* writes until the daemon dies; < 0: it lives on */
    bool crash_now;
    struct row *rows; /* ROWS_MAX */
    uint32_t n_rows;
    uint64_t starts[64];
    uint32_t n_starts;

    /* the watcher's knowledge of the host */
    bool engine_down;
    uint32_t engine_fails;
    uint64_t settled_at, grace_until, observe_until, safe_until, jumped_at;
    double tokens;
    uint64_t tokens_at;
    uint32_t restarts_in_flight, redeploys_in_flight;
    uint64_t canaries[8];
    uint32_t n_canaries;
    uint64_t mass_since;
    enum rec_host_state host;
    uint64_t exercised[_INV_MAX], held_back, actions, crashes, events;
    enum invariant broken;
    char why[256];
    struct tenant t[TENANTS_MAX];
};

/* ---- world.c */
uint64_t rnd(struct world *w, uint64_t n); /* 0 .. n-1 */
bool chance(struct world *w, unsigned percent);
uint64_t between(struct world *w, uint64_t a_us, uint64_t b_us);
void world_init(struct world *w, uint64_t seed, bool dense, bool verbose); /* keeps w->rows */
void world_boot(struct world *w);                                          /* the daemon starts */
void world_crash(struct world *w, bool reboot);
void world_add_tenant(struct world *w, uint32_t i);
/* An event for the core, and everything that follows from it at once. */
void world_deliver(struct world *w, struct rec_event ev);
/* The next thing happens; false: not before `until`. */
bool world_next(struct world *w, uint64_t until);
void world_slow_down(struct world *w); /* a reload with rarer probes: what is waited for takes hours */
bool world_write(struct world *w);     /* false: the daemon dies instead */
void world_note(struct world *w, const char *fmt, ...) _printf_(2, 3);
uint64_t core_now(const struct world *w);

/* What cost nothing is not counted after a start of the daemon either. */
void world_unwrite(struct world *w, const struct rec_action *a);

/* ---- engine.c: containers and what is done with them */
int gateway_running(const struct tenant *t); /* slot, or -1 */
int container_named(const struct tenant *t, enum cname name);
void part_started(struct world *w, struct tenant *t, int part);
void part_died(struct world *w, struct tenant *t, int part, bool by_operator, bool told);
void op_begin(struct world *w, struct tenant *t, const struct rec_action *a);
void op_advance(struct world *w, struct tenant *t, int part);
/* The daemon is gone: what it had asked for may yet happen. */
void op_abandon(struct world *w, struct tenant *t, int part);
bool op_leftover(const struct tenant *t);
void op_resume(struct world *w, struct tenant *t);

/* ---- lazy.c */
void lazy_plan_probe(struct world *w, struct tenant *t, int k, uint64_t took_us);
void lazy_plan_ping(struct world *w);
void lazy_plan_list(struct world *w);
enum rec_presence lazy_presence(const struct tenant *t, int k);
bool lazy_listed(
    const struct world *w, const struct tenant *t); /* another list would say nothing new of it */
void lazy_wait(struct world *w, struct op *op, uint64_t step_us, uint64_t until);
void lazy_wake(struct world *w, struct tenant *t, int k);
void lazy_wake_all(struct world *w);

/* ---- weather.c */
void weather(struct world *w);
void weather_calm(struct world *w);  /* what makes a noise for hours is mended */
void weather_clear(struct world *w); /* the last phase: some stay broken, all else is mended */

/* ---- check.c: events in; judge.c: actions out */
struct tenant *check_tenant(struct world *w, uint32_t index);
/* Is this a restart of the component it names, or of its neighbour? A relaunch of a proxy is always one. */
bool check_is_restart(const struct rec_action *a, bool itself);
void check_push(uint64_t *at, uint32_t *n, uint64_t now);
void check_boot(struct world *w);
void check_event(struct world *w, const struct rec_event *ev);
/* Healthy for so long that everything is forgotten. */
void check_calm(const struct world *w, struct shadow *s);
void check_action(struct world *w, const struct rec_action *a, bool written);
void check_forget(struct world *w, struct tenant *t);
/* It was decided to act: is there reason to? */
void check_evidence(struct world *w, struct tenant *t, int k);
void violation(struct world *w, enum invariant i, const char *fmt, ...) _printf_(3, 4);

/* ---- look.c: what people see after each step */
void check_after(struct world *w);
bool check_settled(struct world *w); /* last phase: everybody is where it should end */
