/* recovery_internal.h: what the files of this room share and nobody else sees. A step is: host clocks, the
 * event, every tenant whose timer is due, then the queues. Nothing here allocates during a step. PURE. */
#pragma once

#include "recovery/recovery.h"

#define REC_HISTORY_MAX 64
#define REC_CHANGES_MAX 16
#define REC_NAME_MAX 32
/* Outputs one component can cause in one step: its action, an alert, a probe. */
#define REC_OUTPUTS_PER_COMPONENT 3

/* What can happen to one component: the columns of the table in component.c. */
enum input {
    IN_OK,
    IN_FAIL,
    IN_RUNNING,
    IN_MISSING,
    IN_STOPPED,
    IN_ODD,              /* paused, or the engine is restarting it */
    IN_ENGINE_RESTARTED, /* the engine's own restart counter grew */
    IN_EXIT,
    IN_STOPPED_BY_OPERATOR,
    IN_DONE_OK,
    IN_DONE_FAILED,
    IN_DONE_REFUSED,
    IN_DONE_ROLLED_BACK,
    IN_DONE_GONE,
    IN_TIMER,
    _INPUT_MAX
};

/* Why an action that is due does not start. */
enum guard {
    GUARD_NONE,
    GUARD_ENGINE_DOWN,
    GUARD_SETTLING,
    GUARD_SAFE,
    GUARD_MASS,
    GUARD_GRACE,
    GUARD_OBSERVING,
    GUARD_IN_FLIGHT,
    GUARD_TOKENS,
    GUARD_PAUSED,
    GUARD_BUSY,
    GUARD_DEPENDENCY,
    GUARD_HELD,
    GUARD_FLAPPING,
    GUARD_ENGINE_ACTING,
    GUARD_BUDGET,
    _GUARD_MAX
};

/* Actions wait in one queue per set of host guards that applies to them (host.c). */
enum queue {
    QUEUE_FIRST_BRING_UP,
    QUEUE_PUT_BACK,
    QUEUE_START_ONCE,
    QUEUE_START_AGAIN,
    QUEUE_RESTART,
    QUEUE_REDEPLOY,
    QUEUE_OP_RESTART,
    QUEUE_OP_REDEPLOY,
    _QUEUE_MAX
};

/* Times of past actions, oldest overwritten first. Signed: after a reboot what happened 20 h ago lies before
 * the zero of the monotonic clock. */
struct history {
    int64_t at[REC_HISTORY_MAX];
    uint32_t n, head; /* head: index of the next write */
};

/* An action that is wanted. */
struct plan {
    bool set;
    bool hard;        /* evidence other than failed probes: acts even on a flapping component */
    bool urgent;      /* a dead embedded proxy: no guard but the operator's pause */
    bool op;          /* asked for by the operator */
    bool half_open;   /* trial out of quarantine */
    bool counted;     /* costs an attempt of its rung */
    bool with_engine; /* it went down with the engine: nobody's failure */
    enum rec_action_type type;
    enum rec_level level;
    uint64_t due_us;
    const char *reason;
    uint32_t held_mask; /* guards already counted for this plan */
};

struct rec_tenant;

struct component {
    struct rec_tenant *t;
    uint32_t index;
    char name[REC_NAME_MAX];
    struct rec_component_params p;
    struct recovery_params rp; /* its own, or those of the tenant */
    bool own_rp;

    enum rec_state state;
    uint64_t since_us;
    const char *reason;
    enum rec_presence presence;
    uint32_t fails, oks;            /* consecutive */
    uint64_t doubt_us;              /* when the first of these failed probes was started */
    uint64_t stall_us, stall_at_us; /* the longest spell of failed probes that ended by itself, and when */
    uint64_t void_before_us;
    uint64_t epoch; /* of the host, when fails was last touched */
    bool up, ever_up, seen_ok, died, canary, quarantined, allow_one;
    bool fell;  /* it was up when it failed last, and nothing was done about that yet */
    bool asked; /* it is down because the operator asked for an action */
    bool has_restart_count;
    uint64_t restart_count;

    /* One deadline per state: start or stability (STARTING, VERIFYING), end of the hold (HELD), trial
     * (QUARANTINED), step down (HEALTHY). */
    uint64_t deadline_us;
    uint64_t stable_us; /* VERIFYING: how long it must stay good */
    uint64_t healthy_since_us, calm_us;
    uint64_t held_since_us; /* the last stop on purpose that was seen */
    uint64_t half_open_us;
    uint64_t start_again_us; /* QUARANTINED: when one that is down is started */
    uint32_t starts_again;

    enum rec_level tried;           /* rung of the last attempt, until the component is up */
    enum rec_level level;           /* highest rung used and not yet stepped down from */
    uint32_t tries[_REC_LEVEL_MAX]; /* attempts used, by rung */
    uint32_t bring_ups, bring_up_failures;
    uint32_t refusals, interruptions; /* in a row; only a refusal says something of the action itself */
    struct history restarts;
    int64_t changes[REC_CHANGES_MAX]; /* up <-> down, newest first */
    uint32_t n_changes;

    struct plan plan, op;
    /* An attempt that was put off because the component came back by itself keeps its time. */
    uint64_t kept_due_us;
    enum rec_level kept_level;
    uint32_t kept_try;

    struct {
        uint64_t id; /* 0: none in flight */
        struct plan plan;
        bool owner; /* the component the action was decided for; others are restarted along (L2) */
    } act;

    struct component *q_prev, *q_next;
    uint64_t q_seq;
    enum queue queue;
    bool queued;
};

struct rec_tenant {
    char slug[SLUG_MAX + 1];
    uint32_t index;
    struct recovery_params p;
    struct component *c[RECOVERY_COMPONENTS_MAX]; /* owned */
    uint32_t n;
    uint64_t pause_until_us;
    uint64_t quarantine_since_us;
    /* For components that are added after what the store knew was restored. */
    uint64_t restored_hold_until_us, restored_us, restored_age_us; /* the age of the quarantine, then */
    bool restored_quarantine;
    uint64_t busy; /* id of the action that has the tenant, 0: none */
    struct history redeploys;

    uint64_t timer_us;
    size_t heap_pos; /* SIZE_MAX: not in the heap */

    bool bad; /* something that was up is not: counts for mass failure */
    bool recent;
    uint64_t bad_since_us;
    struct rec_tenant *bad_prev, *bad_next;
};

struct recovery {
    struct recovery_host_params p;
    uint64_t now_us; /* of the last step */
    uint64_t next_id, next_seq, epoch;
    bool more; /* the last step ran out of room */

    struct rec_tenant **tenants; /* by index; NULL: free */
    size_t n_slots, n_tenants;
    struct rec_tenant **heap; /* by timer_us; as large as `tenants` */
    size_t n_heap;

    enum rec_host_state state;
    uint64_t since_us;
    uint32_t engine_fails;
    bool engine_down;
    uint64_t settling_until_us, safe_until_us, grace_until_us, observe_until_us, void_before_us;

    struct {
        bool on;
        uint32_t width, left;
        uint64_t next_us, period_us;
        uint64_t below_since_us; /* USEC_INFINITY: not below */
        size_t n_bad, n_recent;
        struct rec_tenant *head, *tail; /* tenants that turned bad lately, oldest first */
    } mass;

    uint32_t tokens;
    uint64_t refill_us; /* when the last token was credited */
    uint32_t restarts_in_flight, redeploys_in_flight;
    struct {
        struct component *head, *tail;
    } queues[_QUEUE_MAX];
    uint64_t suppressed[_GUARD_MAX];
};

/* What one step carries around. */
struct step {
    struct recovery *r;
    uint64_t now_us;
    double jitter;
    struct rec_actions *out;
    bool oom;              /* of IN_EXIT */
    uint64_t delta;        /* of IN_ENGINE_RESTARTED */
    enum rec_presence was; /* presence before this observation */
    bool listed;           /* an observation, not an event */
    uint64_t started_us;   /* of the probe */
    struct plan act;       /* of IN_DONE_*: what was done */
    bool act_owner;
};

/* ---- budget.c */
void history_add(struct history *h, int64_t at_us);
void history_undo(struct history *h); /* takes the newest back */
uint32_t history_count(const struct history *h, uint64_t window_us, uint64_t now_us);
bool history_newest(const struct history *h, int64_t *ret_at_us);
bool budget_restart_ok(const struct component *c, uint64_t now_us);
bool budget_restart_all_ok(const struct rec_tenant *t, uint64_t now_us);
bool budget_redeploy_ok(const struct component *c, uint64_t now_us);
bool budget_relaunch_ok(const struct component *c, uint64_t now_us); /* of a dead embedded proxy, at once */
/* A change up <-> down; true when this one makes the component flap. */
bool flap_note(struct component *c, uint64_t now_us);
/* Until when it counts as flapping; 0: it does not. */
uint64_t flap_until(const struct component *c, uint64_t now_us);

/* ---- timers.c: a binary heap of tenants by their earliest deadline */
void timers_set(struct recovery *r, struct rec_tenant *t, uint64_t at_us);
void timers_drop(struct recovery *r, struct rec_tenant *t);
struct rec_tenant *timers_top(const struct recovery *r);
uint64_t time_add(uint64_t a, uint64_t b); /* saturates at USEC_INFINITY */

/* ---- ladder.c */
uint64_t ladder_spread(const struct step *x, uint64_t delay_us); /* d * (1 + U[0, 0.25)) */
uint64_t ladder_backoff(const struct recovery_params *p, uint32_t n);
const struct recovery_rung *ladder_rung(const struct recovery_params *p, enum rec_level level);
/* Is this a component that a redeploy makes anew? */
bool ladder_can_redeploy(const struct component *c);
bool ladder_in_budget(const struct step *x, const struct component *c, enum rec_level level);
/* Plans what comes next after a failure (state BACKOFF), or quarantines. */
void ladder_plan(struct step *x, struct component *c, bool hard, const char *reason);
void ladder_bring_up(struct step *x, struct component *c, const char *reason);
/* The last attempt (c->tried) did not even bring it up: the same again would not help. */
void ladder_spend_rung(struct component *c);
void ladder_proxy(struct step *x, struct component *c, bool dead, const char *reason);
void ladder_quarantine(struct step *x, struct component *c, const char *reason);
void ladder_trial(struct step *x, struct component *c);
/* When a quarantined component is tried next. */
uint64_t ladder_next_trial(const struct component *c);
void ladder_reset(struct component *c);
/* The ladder's account of an action: on the way out, and back when it cost nothing. */
void ladder_charge(struct step *x, struct component *c, const struct plan *p);
void ladder_charge_engine(struct step *x, struct component *c); /* x->delta restarts by the engine */
void ladder_refund(struct component *c, const struct plan *p);

/* ---- component.c */
void component_init(struct component *c, struct rec_tenant *t, uint32_t index, uint64_t now_us);
void component_input(struct step *x, struct component *c, enum input in);
void component_enter(struct step *x, struct component *c, enum rec_state s, const char *reason);
/* The last `rise` probes are good, and nothing said otherwise since. */
bool component_good(const struct component *c);
void component_failed(struct step *x, struct component *c, bool hard, const char *reason);
void component_starting(struct step *x, struct component *c, const char *reason);
void component_verifying(struct step *x, struct component *c, enum rec_level level, const char *reason);
void component_unhold(struct step *x, struct component *c, const char *reason);
void component_emit(
    struct step *x, struct component *c, enum rec_action_type type, enum rec_level level, const char *reason);

/* Up or down as people see it; a change too often is flapping. */
void component_set_up(struct step *x, struct component *c, bool up);
/* Forgets what probes said: they speak of what was there before. */
void component_void_probes(struct step *x, struct component *c);
/* It came back before the next attempt: that attempt is put off, with its time kept. */
void component_put_off(struct component *c);

/* ---- seen.c: handlers of the table */
void seen_running(struct step *x, struct component *c);
void seen_absent(struct step *x, struct component *c);
void seen_dead(struct step *x, struct component *c);
void seen_gone(struct step *x, struct component *c);
void seen_first_exit(struct step *x, struct component *c);
void seen_stopped_on_purpose(struct step *x, struct component *c);
void seen_running_in_hold(struct step *x, struct component *c);
void seen_running_in_backoff(struct step *x, struct component *c);
void seen_missing_in_backoff(struct step *x, struct component *c);
void seen_dead_in_backoff(struct step *x, struct component *c);
void seen_dead_in_action(struct step *x, struct component *c);
void seen_dead_in_quarantine(struct step *x, struct component *c);
void seen_engine_restarted(struct step *x, struct component *c);
void seen_engine_restarted_in_backoff(struct step *x, struct component *c);

/* ---- patience.c */
/* A good probe after the failed ones that began at doubt_us: how long that took is remembered. */
void patience_learn(struct component *c, uint64_t now_us);
/* Until when the failed probes that began at doubt_us lead to nothing. */
uint64_t patience_until(const struct component *c, uint64_t now_us);
bool patience_is_over(const struct component *c, uint64_t now_us);

/* ---- outcome.c: what becomes of a component when its action is over (x->act) */
void done_ok(struct step *x, struct component *c);
void done_failed(struct step *x, struct component *c);
void done_refused(struct step *x, struct component *c);
void done_rolled_back(struct step *x, struct component *c);
void done_gone(struct step *x, struct component *c);

/* ---- operator.c: pause, resume, release, restart, redeploy */
void operator_verb(struct step *x, struct rec_tenant *t, uint32_t component, enum rec_op op, uint64_t for_us);

/* ---- tenant.c: what a tenant's components have in common: guards, start and end of an action, the timer */
enum guard tenant_guard(
    const struct component *c, const struct plan *p, uint64_t now_us, uint64_t *ret_until);
struct plan *tenant_plan(
    struct component *c); /* the one that is tried: the operator's before ours, or NULL */
bool tenant_still_open(struct step *x, struct component *c, const struct plan *p);
void tenant_settle(struct step *x, struct rec_tenant *t);
void tenant_rearm(struct step *x, struct rec_tenant *t);
void tenant_timer(struct step *x, struct rec_tenant *t);
void tenant_start(struct step *x, struct component *c, const struct plan *wanted);
void tenant_done(struct step *x, struct rec_tenant *t, uint32_t component, uint64_t id, enum rec_done result);
void tenant_forget(struct recovery *r, struct rec_tenant *t);

/* Room for whatever one more tenant may put out. */
bool step_has_room(const struct step *x);

/* ---- host.c */
void host_init(struct recovery *r, uint32_t starts_recent, uint64_t now_us);
void host_clock(struct step *x);
void host_engine(struct step *x, enum rec_probe result, bool hung);
void host_time_jump(struct step *x);
void host_mass(struct step *x);
void host_mark(struct step *x, struct rec_tenant *t, bool bad);
void host_unmark(struct recovery *r, struct rec_tenant *t);
void host_canary(struct step *x, struct component *c, bool good);
void host_set_state(struct step *x);
uint64_t host_next(const struct recovery *r);
bool host_frozen(const struct recovery *r, uint64_t now_us); /* the engine is down or just came back */
enum queue host_queue_of(const struct component *c, const struct plan *p);
enum guard host_gate(const struct recovery *r, enum queue q, uint64_t now_us, uint64_t *ret_until);
void host_enqueue(struct step *x, struct component *c, enum queue q);
void host_dequeue(struct recovery *r, struct component *c);
void host_drain(struct step *x);
void host_take(struct step *x, struct component *c, const struct plan *p);
void host_give_back(struct recovery *r, const struct plan *p);
void host_suppressed(struct recovery *r, struct plan *p, enum guard g);
