/* seen.c: what a relist, an event or a pidfd says about a component: there, gone, dead, stopped on purpose,
 * or restarted by the engine. Handlers of the table in component.c; plans are made by ladder.c. */
#include "recovery/recovery_internal.h"

void seen_running(struct step *x, struct component *c)
{
    component_starting(x, c, "found running");
}

void seen_absent(struct step *x, struct component *c)
{
    component_void_probes(x, c);
    component_set_up(x, c, false);
    if (c->p.kind == REC_KIND_PROXY && c->state != REC_UNKNOWN)
        ladder_proxy(x, c, true, "gone");
    else if (c->quarantined)
        ladder_quarantine(x, c, "gone while it was being tried");
    else
        ladder_bring_up(x, c, c->presence == REC_MISSING ? "container is missing" : "container is stopped");
}

/* Without live-restore an engine that ends takes its containers along. What the first lists after its return
 * show as stopped, and what ran before, is put back as it was. */
static bool went_with_the_engine(const struct step *x, const struct component *c)
{
    return x->listed && x->was == REC_RUNNING && host_frozen(x->r, x->now_us) &&
           c->p.kind == REC_KIND_CONTAINER && c->presence == REC_STOPPED && !c->quarantined;
}

void seen_dead(struct step *x, struct component *c)
{
    if (c->presence != REC_MISSING)
        c->presence = REC_STOPPED;
    component_void_probes(x, c);
    if (went_with_the_engine(x, c)) {
        c->up = false; /* and no flapping */
        ladder_bring_up(x, c, "went down with the engine");
        c->plan.with_engine = true;
        return;
    }
    component_failed(x, c, true, x->oom ? "killed for lack of memory" : "exited");
}

void seen_gone(struct step *x, struct component *c)
{
    host_canary(x, c, false);
    seen_absent(x, c);
}

void seen_first_exit(struct step *x, struct component *c)
{
    c->presence = REC_STOPPED;
    seen_absent(x, c);
}

void seen_stopped_on_purpose(struct step *x, struct component *c)
{
    /* An engine that ends stops its containers the way a person does. */
    if (c->p.kind == REC_KIND_PROXY || x->r->engine_fails > 0) {
        seen_dead(x, c);
        return;
    }
    c->presence = REC_STOPPED;
    component_void_probes(x, c);
    c->up = false; /* a stop on purpose is no flapping */
    c->tried = REC_L0;
    c->held_since_us = x->now_us;
    component_enter(x, c, REC_HELD, "stopped by an operator");
    c->deadline_us = time_add(x->now_us, c->rp.hold_us);
}

void seen_running_in_hold(struct step *x, struct component *c)
{
    component_starting(x, c, "started by somebody during the hold");
}

void seen_running_in_backoff(struct step *x, struct component *c)
{
    bool was_bring_up = c->plan.type == REC_ACT_BRING_UP;

    if (x->was != REC_STOPPED && x->was != REC_MISSING)
        return; /* it has been running all along, and failing */
    component_put_off(c);
    if (was_bring_up)
        component_starting(x, c, "started by somebody");
    else
        component_verifying(x, c, MAX(c->level, REC_L1), "started by somebody");
}

void seen_missing_in_backoff(struct step *x, struct component *c)
{
    if (c->plan.type == REC_ACT_BRING_UP)
        return;
    if (!c->plan.half_open) {
        seen_absent(x, c);
        return;
    }
    component_void_probes(x, c);
    component_set_up(x, c, false);
    if (c->half_open_us > x->now_us)
        ladder_quarantine(x, c, "gone while it was to be started");
    else
        ladder_trial(x, c); /* of what there is now: nothing */
}

void seen_dead_in_backoff(struct step *x, struct component *c)
{
    if (c->presence != REC_MISSING)
        c->presence = REC_STOPPED;
    component_void_probes(x, c);
    /* A hung proxy waits its turn; a dead one does not. */
    if (c->p.kind == REC_KIND_PROXY && !c->plan.urgent)
        component_failed(x, c, true, "exited");
    c->plan.hard = true;
}

void seen_dead_in_action(struct step *x, struct component *c)
{
    (void)x;
    c->died = true;
}

void seen_dead_in_quarantine(struct step *x, struct component *c)
{
    /* That it is still down is no news: a list every 30 s would put its next start off for ever. */
    if (x->listed && x->was == REC_STOPPED)
        return;
    if (c->presence != REC_MISSING)
        c->presence = REC_STOPPED;
    component_void_probes(x, c);
    c->start_again_us = MAX(c->start_again_us, time_add(x->now_us, c->rp.start_again_us));
    c->deadline_us = ladder_next_trial(c);
}

void seen_engine_restarted(struct step *x, struct component *c)
{
    ladder_charge_engine(x, c);
    component_void_probes(x, c);
    component_set_up(x, c, false);
    if (c->tries[REC_L1] < c->rp.l1.attempts && budget_restart_ok(c, x->now_us) && !c->quarantined)
        component_verifying(x, c, REC_L1, "restarted by the engine");
    else
        component_failed(x, c, true, "restarted again and again by the engine");
}

void seen_engine_restarted_in_backoff(struct step *x, struct component *c)
{
    ladder_charge_engine(x, c);
    component_void_probes(x, c);
    if (c->plan.type == REC_ACT_BRING_UP || c->plan.half_open || !c->plan.counted)
        return;
    if (c->level > c->plan.level || c->tries[c->plan.level] >= ladder_rung(&c->rp, c->plan.level)->attempts)
        component_failed(x, c, true, "restarted again and again by the engine");
}
