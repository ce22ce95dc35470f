/* recovery.h: the pure core that decides. step(state, event, now) -> actions; no clock, no randomness (jitter
 * comes with the event), no I/O, no logging. The daemon, the simulator and the property tests run the same
 * object files. Contract: design recovery.md; contrib/docs/ARCHITECTURE.md says where the driver is. PURE. */
#pragma once

#include "base/defs.h"
#include "base/str.h"
#include "recovery/params.h"

enum rec_state {
    REC_UNKNOWN,
    REC_STARTING,
    REC_HEALTHY,
    REC_SUSPECT,
    REC_BACKOFF,
    REC_RECOVERING,
    REC_VERIFYING,
    REC_QUARANTINED,
    REC_HELD,
    _REC_STATE_MAX
};
enum rec_host_state {
    REC_HOST_NORMAL,
    REC_HOST_ENGINE_DOWN,
    REC_HOST_MASS_FAILURE,
    REC_HOST_SETTLING,
    REC_HOST_SAFE,
    _REC_HOST_STATE_MAX
};
enum rec_level {
    REC_L0,
    REC_L1,
    REC_L2,
    REC_L3,
    REC_L4,
    _REC_LEVEL_MAX
}; /* L0: nothing done yet, and bring-up */

/* What kind of thing a component is decides how it is restarted and what counts as hard evidence. */
enum rec_kind {
    REC_KIND_PROXY, /* embedded: relaunch is immediate, on kept sockets, allowed while the engine is down */
    REC_KIND_CONTAINER, /* the gateway, or a sidecar proxy made by somebody else */
    _REC_KIND_MAX
};
/* What the relist (or the driver) saw of it. */
enum rec_presence {
    REC_PRESENCE_UNKNOWN,
    REC_MISSING,
    REC_STOPPED,
    REC_RUNNING,
    REC_PAUSED,
    REC_RESTARTING,
    _REC_PRESENCE_MAX
};

enum rec_event_type {
    REC_EV_TICK,     /* the timer of recovery_next() */
    REC_EV_PROBE,    /* probe: result, started_us */
    REC_EV_OBSERVED, /* observed: presence, restart_count, health: the truth of a relist or an inspect */
    REC_EV_EXIT, /* exit: hard evidence (pidfd, die, oom). `ours`: we asked for it; `operator_stop`: somebody
                    did */
    REC_EV_DONE, /* done: an action's result */
    REC_EV_ENGINE,    /* engine: one ping (ok, failed, unknown) */
    REC_EV_TIME_JUMP, /* suspend, or the loop stalled for 2 s: results started before `now` are void, grace
                         begins */
    REC_EV_OPERATOR,  /* op: pause, resume, release, restart, redeploy */
    _REC_EVENT_TYPE_MAX
};
enum rec_probe { REC_PROBE_OK, REC_PROBE_FAIL, REC_PROBE_UNKNOWN, _REC_PROBE_MAX };
enum rec_op { REC_OP_PAUSE, REC_OP_RESUME, REC_OP_RELEASE, REC_OP_RESTART, REC_OP_REDEPLOY, _REC_OP_MAX };
enum rec_done {
    REC_DONE_OK,
    REC_DONE_FAILED,      /* tried and failed: costs an attempt */
    REC_DONE_REFUSED,     /* a precondition is missing (image, name, port): nothing was changed, retried with
                             backoff */
    REC_DONE_ROLLED_BACK, /* redeploy only: the old container runs again */
    REC_DONE_ENGINE_GONE, /* the engine went away: costs nothing, guards decide */
    _REC_DONE_MAX
};

struct rec_event {
    enum rec_event_type type;
    uint32_t tenant, component; /* indices given by recovery_add_*; ignored for host-wide events */
    double jitter;              /* U[0,1) drawn by the driver; spreads whatever delay this event causes */
    union {
        struct {
            enum rec_probe result;
            uint64_t started_us;
        } probe;
        struct {
            enum rec_presence presence;
            uint64_t restart_count;
            bool unhealthy;
        } observed;
        struct {
            bool ours, operator_stop, oom;
        } exit;
        struct {
            uint64_t action;
            enum rec_done result;
        } done;
        struct {
            enum rec_probe result;
            bool hung;
        } engine;
        struct {
            enum rec_op op;
            uint64_t for_us;
        } op; /* for_us: pause only */
    };
};

enum rec_action_type {
    REC_ACT_BRING_UP,    /* component is missing or was never started: create if needed, start */
    REC_ACT_RESTART,     /* L1: this component */
    REC_ACT_RESTART_ALL, /* L2: all components of the tenant in order, health-gated */
    REC_ACT_REDEPLOY,    /* L3: the tenant's gateway from its spec, by the saga */
    REC_ACT_ALERT,       /* tell people; needs no DONE */
    REC_ACT_PROBE_NOW,   /* take a sample of this component at once; needs no DONE */
    REC_ACT_RELIST,      /* list all containers now; needs no DONE */
    _REC_ACT_MAX
};

#define REC_REASON_OPERATOR "operator" /* asked for by a person */

struct rec_action {
    enum rec_action_type type;
    uint64_t id; /* unique in this process; > 0 for those that need a DONE */
    uint32_t tenant, component;
    enum rec_level level;
    uint32_t attempt, attempts; /* "restart 2 of 3" */
    const char *reason; /* static text: "3 probes failed", "exited", "operator", "still failing after L1" */
};

#define REC_ACTIONS_MAX 64
/* Filled by one step; what does not fit stays queued inside and comes with the next step (recovery_next()
 * says now). */
struct rec_actions {
    struct rec_action a[REC_ACTIONS_MAX];
    size_t n;
};

struct rec_component_params {
    const char *name; /* "proxy", "gateway"; copied, at most 31 bytes */
    enum rec_kind kind;
    uint32_t fall, rise;
    uint64_t interval_us, start_deadline_us;
    uint32_t after; /* bit mask of components of the same tenant that must be healthy first */
    bool redeploy;  /* it has a specification: L3 is for it, whatever stands on it */
    const struct recovery_params *recovery; /* its own numbers, copied; NULL: the tenant's */
};

/* What a driver and a test can rely on, beyond the design:
 * - A tenant has one action at a time, and a RESTART_ALL holds all its components. The relaunch of a dead
 * embedded proxy is beside that: it takes no slot, token or in-flight place and waits for no guard but
 * `pause`.
 * - Every action with an id gets exactly one DONE, on the component it names; DONE with any other id is
 * ignored.
 * - The budgets bound the ladder (a rung without budget is exhausted); operator verbs, the engine's own
 * restarts, proxy relaunches and the half-open trial are counted in them but not bounded by them. REFUSED and
 * ENGINE_GONE are taken out of them again; FAILED and ROLLED_BACK stay.
 * - A rung is used up by its attempts, by its budget, or by an attempt after which the component never came
 * up.
 * - L2 is for a component that others name in `after`, and for one whose neighbours are not well either. L3
 * is for those that say `redeploy`; where none does, for the container that no other one of its tenant names
 * in `after`. Others go on to the next.
 * - Failed probes alone lead to nothing before params.h's patience is over; an embedded proxy gets none.
 * - What ran before the engine was lost, and is stopped in the first lists after, is brought up at once.
 * - The delay of an attempt counts from the failure that planned it. A spell of good probes puts the attempt
 * off, but until the component is verified it does not start the delay anew.
 * - Bring-up has no rung: backoff for ever while REFUSED; as often FAILED as the ladder has attempts:
 * quarantine. The first bring-up of a component in this process waits neither for the observe-only window nor
 * for mass failure.
 * - Operator restart and redeploy wait for the engine, the dependencies, the tenant and the in-flight limits
 * only.
 * - Quarantine ends by release, by a verified trial, or by `rise` good probes that stay good for the L3
 * period. A quarantined embedded proxy is tried every quarantine_probe_us; a container is redeployed every
 * half_open_us, and one that is down is started in between, ever less often.
 */
#define RECOVERY_COMPONENTS_MAX 8 /* per tenant */
struct recovery;

/* `starts_recent`: how often the daemon started within safe_window_us, this time included. NULL: out of
 * memory. */
struct recovery *recovery_new(const struct recovery_host_params *p, uint32_t starts_recent, uint64_t now_us);
struct recovery *recovery_free(struct recovery *r);
DEFINE_CLEANUP(struct recovery *, recovery_free)

/* Indices are stable until removed, and re-used after that. -ENOMEM, -EEXIST (slug, name), -ENOENT, -E2BIG.
 * An action in flight of a removed tenant gives its place back at once; its DONE is ignored. */
int recovery_add_tenant(
    struct recovery *r, const char *slug, const struct recovery_params *p, uint32_t *ret_tenant);
int recovery_add_component(
    struct recovery *r, uint32_t tenant, const struct rec_component_params *p, uint32_t *ret_component);
int recovery_remove_tenant(struct recovery *r, uint32_t tenant);
/* New numbers for a running tenant or host (reload): counters and budgets stay. */
int recovery_set_params(struct recovery *r, uint32_t tenant, const struct recovery_params *p);
int recovery_set_component_params(
    struct recovery *r, uint32_t tenant, uint32_t component, const struct rec_component_params *p);
void recovery_set_host_params(struct recovery *r, const struct recovery_host_params *p);

/* Budgets, quarantine and holds that survived in the store; after the components were added and before the
 * first step, oldest action first, without those that were REFUSED or lost to the engine; what an operator
 * asked for with level L0: it counts in the budgets, but it is no attempt of the ladder. `age_us`: how long
 * ago. */
int recovery_restore_action(struct recovery *r, uint32_t tenant, uint32_t component,
    enum rec_action_type type, enum rec_level level, uint64_t age_us, uint64_t now_us);
int recovery_restore_quarantine(struct recovery *r, uint32_t tenant, uint64_t age_us, uint64_t now_us);
int recovery_restore_hold(
    struct recovery *r, uint32_t tenant, bool pause, uint64_t remaining_us, uint64_t now_us);

/* The one entry. Never fails: an event that makes no sense in a state is ignored by an explicit table entry.
 */
void recovery_step(struct recovery *r, const struct rec_event *ev, uint64_t now_us, struct rec_actions *out);

/* When the next REC_EV_TICK is due (USEC_INFINITY: not before another event). May be in the past. */
uint64_t recovery_next(const struct recovery *r);

/* How often a component should be probed now, given its state: interval, fast_probe_us after a first failure,
 * quarantine_probe_us in quarantine. */
uint64_t recovery_probe_interval(const struct recovery *r, uint32_t tenant, uint32_t component);

/* ---- what people see */
struct rec_component_view {
    enum rec_state state;
    uint64_t since_us;   /* when it entered the state (monotonic) */
    uint32_t fails, oks; /* consecutive */
    uint64_t next_us;    /* when something will be tried next; USEC_INFINITY: nothing planned */
    enum rec_level next_level;
    uint32_t next_attempt, next_attempts;
    const char *reason;  /* static text, never NULL: why it is in this state */
    const char *held_by; /* guard that holds an action back now: "engine down", "budget", "mass failure", ...
                            or NULL */
};
struct rec_tenant_view {
    enum rec_level level;
    uint32_t redeploys_day;
    bool quarantined, paused, held, flapping;
    bool quarantine_kept; /* to be stored: a container is quarantined; an embedded proxy is simply launched */
    uint64_t quarantine_since_us, pause_until_us, held_until_us; /* 0 if the flag is not set */
    uint64_t hold_until_us; /* the later of the two: until when clawsup keeps its hands off */
};
struct rec_host_view {
    enum rec_host_state state;
    uint64_t since_us;
    uint32_t restarts_in_flight, redeploys_in_flight, tokens;
    bool observing; /* the first seconds after our own start */
};
/* What would hold back an operator's restart or redeploy of the component if it were asked for now; NULL:
 * nothing. */
const char *recovery_operator_held_by(
    const struct recovery *r, uint32_t tenant, uint32_t component, enum rec_op op, uint64_t now_us);
#define REC_GUARDS_MAX 16
void recovery_component_view(const struct recovery *r, uint32_t tenant, uint32_t component, uint64_t now_us,
    struct rec_component_view *ret);
/* Restarts in the last hour and day; not part of the view, which is taken after each event. */
void recovery_component_budget(const struct recovery *r, uint32_t tenant, uint32_t component, uint64_t now_us,
    uint32_t *ret_hour, uint32_t *ret_day);
void recovery_tenant_view(
    const struct recovery *r, uint32_t tenant, uint64_t now_us, struct rec_tenant_view *ret);
void recovery_host_view(const struct recovery *r, uint64_t now_us, struct rec_host_view *ret);
/* Actions held back, by guard (names static); for clawsup_actions_suppressed_total. Returns the count of
 * guards. */
size_t recovery_suppressed(
    const struct recovery *r, const char *ret_names[REC_GUARDS_MAX], uint64_t ret_counts[REC_GUARDS_MAX]);

const char *rec_state_to_string(enum rec_state s);
const char *rec_host_state_to_string(enum rec_host_state s);
const char *rec_action_type_to_string(enum rec_action_type t);
const char *rec_level_to_string(enum rec_level l); /* "L0" .. "L4" */
