/* component.c: the state machine of one component: one table of [state][input], every pair named. Handlers
 * move the component and say what is wanted (ladder.c plans it); they start nothing themselves. */
#include "recovery/recovery_internal.h"

typedef void (*component_fn)(struct step *x, struct component *c);

void component_init(struct component *c, struct rec_tenant *t, uint32_t index, uint64_t now_us)
{
    *c = (struct component){
        .t = t,
        .index = index,
        .since_us = now_us,
        .reason = "not seen yet",
        .deadline_us = USEC_INFINITY,
        .calm_us = USEC_INFINITY,
        .half_open_us = USEC_INFINITY,
        .kept_due_us = USEC_INFINITY,
    };
}

void component_emit(
    struct step *x, struct component *c, enum rec_action_type type, enum rec_level level, const char *reason)
{
    if (x->out->n >= REC_ACTIONS_MAX)
        return; /* cannot be: the step stops taking tenants before (REC_OUTPUTS_PER_COMPONENT) */
    x->out->a[x->out->n++] = (struct rec_action){
        .type = type,
        .tenant = c->t->index,
        .component = c->index,
        .level = level,
        .reason = reason,
    };
}

void component_enter(struct step *x, struct component *c, enum rec_state s, const char *reason)
{
    if (c->state != s)
        c->since_us = x->now_us;
    c->state = s;
    c->reason = reason;
    c->deadline_us = USEC_INFINITY;
    if (s == REC_BACKOFF)
        return;
    c->plan = (struct plan){0};
    if (c->queued && !c->op.set)
        host_dequeue(x->r, c);
}

bool component_good(const struct component *c)
{
    return c->oks >= c->p.rise &&
           (c->state == REC_HEALTHY || c->state == REC_VERIFYING || c->state == REC_STARTING);
}

/* Up or down as people see it; a change too often is flapping. */
void component_set_up(struct step *x, struct component *c, bool up)
{
    bool expected = c->asked || (up && !c->ever_up);

    if (c->up == up)
        return;
    c->up = up;
    if (up)
        c->tried = REC_L0;
    c->asked = false;
    c->ever_up = c->ever_up || up;
    if (!expected && flap_note(c, x->now_us))
        component_emit(x, c, REC_ACT_ALERT, c->level, "flapping");
}

/* Forgets what probes said: they speak of what was there before. */
void component_void_probes(struct step *x, struct component *c)
{
    c->fails = c->oks = 0;
    c->seen_ok = false;
    c->void_before_us = x->now_us;
}

void component_failed(struct step *x, struct component *c, bool hard, const char *reason)
{
    bool dead_proxy = c->p.kind == REC_KIND_PROXY && hard && c->presence != REC_RUNNING;

    if (!c->up && !dead_proxy && c->tried != REC_L0)
        ladder_spend_rung(c);
    c->seen_ok = c->asked = false;
    c->fell = c->fell || c->up;
    component_set_up(x, c, false);
    host_canary(x, c, false);
    if (c->p.kind == REC_KIND_PROXY)
        ladder_proxy(x, c, dead_proxy, reason);
    else
        ladder_plan(x, c, hard, reason);
}

void component_starting(struct step *x, struct component *c, const char *reason)
{
    component_void_probes(x, c);
    component_enter(x, c, REC_STARTING, reason);
    c->deadline_us = time_add(x->now_us, c->p.start_deadline_us);
}

void component_verifying(struct step *x, struct component *c, enum rec_level level, const char *reason)
{
    component_void_probes(x, c);
    component_enter(x, c, REC_VERIFYING, reason);
    c->stable_us = ladder_rung(&c->rp, level)->stable_us;
    c->deadline_us = time_add(x->now_us, c->p.start_deadline_us);
}

void component_unhold(struct step *x, struct component *c, const char *reason)
{
    c->t->restored_hold_until_us = 0;
    if (c->presence != REC_MISSING && c->presence != REC_STOPPED)
        component_starting(x, c, reason);
    else if (c->quarantined)
        ladder_quarantine(x, c, reason); /* it was being tried when somebody stopped it */
    else
        ladder_bring_up(x, c, reason);
}

/* ---- probes */
static void count_ok(struct step *x, struct component *c)
{
    patience_learn(c, x->now_us);
    c->fails = 0;
    c->seen_ok = true;
    if (c->oks < UINT32_MAX)
        c->oks++;
}

static void count_fail(struct step *x, struct component *c)
{
    if (c->fails == 0)
        c->doubt_us = MIN(x->started_us, x->now_us);
    c->oks = 0;
    if (c->fails < UINT32_MAX)
        c->fails++;
}

static void enter_healthy(struct step *x, struct component *c, const char *reason)
{
    component_enter(x, c, REC_HEALTHY, reason);
    c->quarantined = false;
    c->allow_one = false;
    c->half_open_us = c->kept_due_us = USEC_INFINITY;
    c->healthy_since_us = x->now_us;
    c->calm_us = USEC_INFINITY;
    if (c->level > REC_L0 || c->bring_ups > 0 || c->bring_up_failures > 0 || c->refusals > 0 ||
        c->interruptions > 0)
        c->calm_us = time_add(x->now_us, c->rp.deescalate_us);
    c->deadline_us = c->calm_us;
    host_canary(x, c, true);
}

static void ignore(struct step *x, struct component *c)
{
    (void)x;
    (void)c;
}

static void first_probe_ok(struct step *x, struct component *c)
{
    uint64_t started = c->void_before_us;

    component_starting(x, c, "found running");
    c->void_before_us = started;
    component_input(x, c, IN_OK);
}

static void first_probe_fail(struct step *x, struct component *c)
{
    uint64_t started = c->void_before_us;

    component_starting(x, c, "waiting for the first good probe");
    c->void_before_us = started;
}

static void starting_ok(struct step *x, struct component *c)
{
    count_ok(x, c);
    if (c->oks < c->p.rise)
        return;
    component_set_up(x, c, true);
    enter_healthy(x, c, "probes good");
}

/* Until the first success only successes count. */
static void starting_fail(struct step *x, struct component *c)
{
    if (!c->seen_ok)
        return;
    count_fail(x, c);
    if (patience_is_over(c, x->now_us))
        component_failed(x, c, !c->up, "probes failed");
}

static void verifying_ok(struct step *x, struct component *c)
{
    count_ok(x, c);
    if (c->oks >= c->p.rise && !c->up) {
        component_set_up(x, c, true);
        c->deadline_us = time_add(x->now_us, c->stable_us);
    }
    if (c->up && c->deadline_us <= x->now_us)
        enter_healthy(x, c, "recovered");
}

static void healthy_fail(struct step *x, struct component *c)
{
    uint64_t calm = c->calm_us;

    count_fail(x, c);
    component_enter(x, c, REC_SUSPECT, "a probe failed");
    c->calm_us = calm;
    c->deadline_us = patience_until(c, x->now_us);
    if (patience_is_over(c, x->now_us))
        component_failed(x, c, false, "probes failed");
}

static void healthy_ok(struct step *x, struct component *c)
{
    count_ok(x, c);
}

static void suspect_ok(struct step *x, struct component *c)
{
    count_ok(x, c);
    component_enter(x, c, REC_HEALTHY, "probes good");
    c->deadline_us = c->calm_us; /* a blip does not start the healthy minutes anew */
}

static void suspect_fail(struct step *x, struct component *c)
{
    count_fail(x, c);
    if (c->fails == 1) /* those before an outage of the engine were forgotten */
        c->deadline_us = patience_until(c, x->now_us);
    if (patience_is_over(c, x->now_us))
        component_failed(x, c, false, "probes failed");
}

/* Came back before the next attempt: that attempt is put off, with its time kept. */
void component_put_off(struct component *c)
{
    if (!c->plan.set || c->plan.type == REC_ACT_BRING_UP || !c->plan.counted)
        return;
    c->kept_due_us = c->plan.due_us;
    c->kept_level = c->plan.level;
    c->kept_try = c->tries[c->plan.level];
}

static void backoff_ok(struct step *x, struct component *c)
{
    uint32_t oks;

    count_ok(x, c);
    if (c->oks < c->p.rise)
        return;
    component_put_off(c);
    c->presence = REC_RUNNING; /* nothing that is gone answers; a relist may know better */
    oks = c->oks;
    component_verifying(x, c, MAX(c->level, REC_L1), "came back by itself");
    c->oks = oks - 1;
    component_input(x, c, IN_OK);
}

static void note_fail(struct step *x, struct component *c)
{
    count_fail(x, c);
}

static void quarantined_ok(struct step *x, struct component *c)
{
    uint32_t oks;

    count_ok(x, c);
    if (c->oks < c->p.rise)
        return;
    c->presence = REC_RUNNING;
    oks = c->oks;
    component_verifying(x, c, REC_L3, "came back in quarantine");
    c->oks = oks - 1;
    component_input(x, c, IN_OK);
}

static void held_ok(struct step *x, struct component *c)
{
    count_ok(x, c);
    if (c->oks < c->p.rise)
        return;
    c->presence = REC_RUNNING;
    component_starting(x, c, "started by somebody during the hold");
}

/* ---- deadlines */
static void hold_over(struct step *x, struct component *c)
{
    component_unhold(x, c, "hold is over");
}

/* While the host is frozen, or just woke up, a deadline says nothing about the component. */
static bool deadline_put_off(struct step *x, struct component *c)
{
    if (host_frozen(x->r, x->now_us)) {
        c->deadline_us = time_add(x->now_us, c->p.start_deadline_us);
        return true;
    }
    if (x->r->grace_until_us > x->now_us) {
        c->deadline_us = x->r->grace_until_us;
        return true;
    }
    return false;
}

static void start_deadline(struct step *x, struct component *c)
{
    if (deadline_put_off(x, c))
        return;
    component_failed(x, c, true, "did not become healthy in time");
}

/* Patience is over; probes that failed before an outage of the engine say nothing. */
static void suspect_timer(struct step *x, struct component *c)
{
    c->deadline_us = USEC_INFINITY;
    if (x->r->grace_until_us > x->now_us)
        c->deadline_us = x->r->grace_until_us;
    else if (!host_frozen(x->r, x->now_us) && c->epoch == x->r->epoch && patience_is_over(c, x->now_us))
        component_failed(x, c, false, "probes failed");
}

static void verify_timer(struct step *x, struct component *c)
{
    if (!c->up) {
        start_deadline(x, c);
        return;
    }
    if (c->fails == 0 && c->oks >= c->p.rise)
        enter_healthy(x, c, "recovered");
    else
        c->deadline_us =
            time_add(x->now_us, c->p.interval_us); /* a doubt at the end: the next probes decide */
}

/* Ten healthy minutes take one level off, thirty take everything. */
static void calm(struct step *x, struct component *c)
{
    if (x->now_us >= time_add(c->healthy_since_us, c->rp.reset_us) || c->level <= REC_L1) {
        ladder_reset(c);
        c->calm_us = USEC_INFINITY;
    } else {
        c->tries[c->level] = 0;
        c->level--;
        c->bring_ups = c->bring_up_failures = c->refusals = c->interruptions = 0;
        c->calm_us = time_add(x->now_us, c->rp.deescalate_us);
    }
    c->deadline_us = c->calm_us;
}

static void trial(struct step *x, struct component *c)
{
    int64_t newest;

    /* A redeploy that survived in the store, or an operator's, puts the trial off as well. */
    if (c->p.kind == REC_KIND_CONTAINER && c->half_open_us <= x->now_us &&
        history_newest(&c->t->redeploys, &newest))
        c->half_open_us = (uint64_t)MAX((int64_t)c->half_open_us, newest + (int64_t)c->rp.half_open_us);
    c->deadline_us = ladder_next_trial(c); /* what was down may run by now */
    if (c->deadline_us <= x->now_us)
        ladder_trial(x, c);
}

/* ---- the table */
static const component_fn table[_REC_STATE_MAX][_INPUT_MAX] = {
    [REC_UNKNOWN] =
        {
            [IN_OK] = first_probe_ok,
            [IN_FAIL] = first_probe_fail,
            [IN_RUNNING] = seen_running,
            [IN_MISSING] = seen_absent,
            [IN_STOPPED] = seen_absent,
            [IN_ODD] = seen_running,
            [IN_ENGINE_RESTARTED] = ladder_charge_engine,
            [IN_EXIT] = seen_first_exit,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = ignore,
        },
    [REC_STARTING] =
        {
            [IN_OK] = starting_ok,
            [IN_FAIL] = starting_fail,
            [IN_RUNNING] = ignore,
            [IN_MISSING] = seen_gone,
            [IN_STOPPED] = seen_dead,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = seen_engine_restarted,
            [IN_EXIT] = seen_dead,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = start_deadline,
        },
    [REC_HEALTHY] =
        {
            [IN_OK] = healthy_ok,
            [IN_FAIL] = healthy_fail,
            [IN_RUNNING] = ignore,
            [IN_MISSING] = seen_gone,
            [IN_STOPPED] = seen_dead,
            [IN_ODD] = ignore, /* paused: the probes decide */
            [IN_ENGINE_RESTARTED] = seen_engine_restarted,
            [IN_EXIT] = seen_dead,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = calm,
        },
    [REC_SUSPECT] =
        {
            [IN_OK] = suspect_ok,
            [IN_FAIL] = suspect_fail,
            [IN_RUNNING] = ignore,
            [IN_MISSING] = seen_gone,
            [IN_STOPPED] = seen_dead,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = seen_engine_restarted,
            [IN_EXIT] = seen_dead,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = suspect_timer,
        },
    [REC_BACKOFF] =
        {
            [IN_OK] = backoff_ok,
            [IN_FAIL] = note_fail,
            [IN_RUNNING] = seen_running_in_backoff,
            [IN_MISSING] = seen_missing_in_backoff,
            [IN_STOPPED] = seen_dead_in_backoff,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = seen_engine_restarted_in_backoff,
            [IN_EXIT] = seen_dead_in_backoff,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = ignore, /* the plan has its own time */
        },
    [REC_RECOVERING] =
        {
            [IN_OK] = ignore, /* void until the action is over */
            [IN_FAIL] = ignore,
            [IN_RUNNING] =
                ignore, /* in the middle of a restart or a redeploy every sight is true for a moment */
            [IN_MISSING] = ignore,
            [IN_STOPPED] = ignore,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = ladder_charge_engine,
            [IN_EXIT] = seen_dead_in_action,
            [IN_STOPPED_BY_OPERATOR] = ignore,
            [IN_DONE_OK] = done_ok,
            [IN_DONE_FAILED] = done_failed,
            [IN_DONE_REFUSED] = done_refused,
            [IN_DONE_ROLLED_BACK] = done_rolled_back,
            [IN_DONE_GONE] = done_gone,
            [IN_TIMER] = ignore,
        },
    [REC_VERIFYING] =
        {
            [IN_OK] = verifying_ok,
            [IN_FAIL] = starting_fail,
            [IN_RUNNING] = ignore,
            [IN_MISSING] = seen_gone,
            [IN_STOPPED] = seen_dead,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = seen_engine_restarted,
            [IN_EXIT] = seen_dead,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = verify_timer,
        },
    [REC_QUARANTINED] =
        {
            [IN_OK] = quarantined_ok,
            [IN_FAIL] = note_fail,
            [IN_RUNNING] = ignore, /* probes decide */
            [IN_MISSING] = ignore,
            [IN_STOPPED] = seen_dead_in_quarantine,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = ladder_charge_engine,
            [IN_EXIT] = seen_dead_in_quarantine,
            [IN_STOPPED_BY_OPERATOR] = seen_dead_in_quarantine,
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = trial,
        },
    [REC_HELD] =
        {
            [IN_OK] = held_ok,
            [IN_FAIL] = note_fail,
            [IN_RUNNING] = seen_running_in_hold,
            [IN_MISSING] = ignore,
            [IN_STOPPED] = ignore,
            [IN_ODD] = ignore,
            [IN_ENGINE_RESTARTED] = ladder_charge_engine,
            [IN_EXIT] = ignore,
            [IN_STOPPED_BY_OPERATOR] = seen_stopped_on_purpose, /* the hold begins anew */
            [IN_DONE_OK] = ignore,
            [IN_DONE_FAILED] = ignore,
            [IN_DONE_REFUSED] = ignore,
            [IN_DONE_ROLLED_BACK] = ignore,
            [IN_DONE_GONE] = ignore,
            [IN_TIMER] = hold_over,
        },
};

void component_input(struct step *x, struct component *c, enum input in)
{
    table[c->state][in](x, c);
}
