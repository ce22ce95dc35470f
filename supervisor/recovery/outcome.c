/* outcome.c: what becomes of a component when its action is over. What cost nothing is refunded here; what
 * comes next is planned by ladder.c. */
#include "recovery/recovery_internal.h"

/* A restart of all took this one along: whatever the outcome, its own probes decide from here. */
static bool was_taken_along(struct step *x, struct component *c, bool ok)
{
    if (x->act_owner)
        return false;
    if (c->died) {
        c->presence = REC_STOPPED;
        component_failed(x, c, true, "exited");
    } else if (ok) {
        c->presence = REC_RUNNING;
        component_verifying(x, c, REC_L2, "restarted with its tenant");
    } else {
        component_starting(x, c, "the restart of all did not succeed");
    }
    return true;
}

void done_ok(struct step *x, struct component *c)
{
    if (was_taken_along(x, c, true))
        return;
    c->refusals = c->interruptions = 0;
    c->bring_up_failures = 0;
    if (x->act.counted && x->act.type != REC_ACT_BRING_UP)
        c->tried = x->act.level;
    if (c->died) {
        c->presence = REC_STOPPED;
        component_failed(x, c, true, "exited right after its start");
        return;
    }
    c->presence = REC_RUNNING;
    if (x->act.type == REC_ACT_BRING_UP)
        component_starting(x, c, "started");
    else
        component_verifying(x, c, x->act.half_open ? REC_L3 : x->act.level,
            x->act.type == REC_ACT_REDEPLOY ? "redeployed" : "restarted");
    component_emit(x, c, REC_ACT_PROBE_NOW, x->act.level, "after an action");
}

void done_failed(struct step *x, struct component *c)
{
    const struct recovery_params *p = &c->rp;

    if (was_taken_along(x, c, false))
        return;
    c->refusals = c->interruptions = 0;
    if (c->p.kind == REC_KIND_PROXY) {
        /* It may still run (a hung one that would not die): only a relaunch that was urgent, or one
         * that was seen to end meanwhile, leaves none. */
        if (x->act.urgent || c->died)
            c->presence = c->presence == REC_MISSING ? REC_MISSING : REC_STOPPED;
        component_failed(x, c, true, "launch failed");
    } else if (x->act.type == REC_ACT_BRING_UP && !c->quarantined) {
        if (++c->bring_up_failures >= p->l1.attempts + p->l2.attempts + p->l3.attempts)
            ladder_quarantine(x, c, "bring-up failed again and again");
        else
            ladder_bring_up(x, c, "bring-up failed");
    } else {
        component_failed(x, c, true, x->act.type == REC_ACT_REDEPLOY ? "redeploy failed" : "restart failed");
    }
}

void done_rolled_back(struct step *x, struct component *c)
{
    if (was_taken_along(x, c, false))
        return;
    c->refusals = c->interruptions = 0;
    c->presence = c->died ? REC_STOPPED : REC_RUNNING;
    /* Asked for by the operator and put back: the old container runs as before, nothing of it has failed. */
    if (x->act.op && !c->quarantined && !c->died)
        component_verifying(x, c, REC_L1, "redeploy rolled back");
    else
        component_failed(x, c, true, "redeploy rolled back");
}

/* The same thing again, later. */
static void again(struct step *x, struct component *c, const char *reason)
{
    uint32_t n = MAX(c->refusals, c->interruptions);
    uint64_t delay = ladder_spread(x, ladder_backoff(&c->rp, n > 0 ? n - 1 : 0));

    if (x->act.half_open && c->p.kind == REC_KIND_CONTAINER)
        ladder_trial(x, c);
    else if (x->act.type == REC_ACT_BRING_UP && c->p.kind == REC_KIND_CONTAINER)
        ladder_bring_up(x, c, reason);
    else
        component_failed(x, c, true, reason);
    if (c->state != REC_BACKOFF)
        return;
    c->plan.due_us = MAX(c->plan.due_us, time_add(x->now_us, delay));
}

static void op_not_done(struct step *x, struct component *c, const char *reason)
{
    if (c->quarantined)
        ladder_quarantine(x, c, reason);
    else if (c->presence == REC_MISSING || c->presence == REC_STOPPED || c->died)
        again(x, c, reason);
    else
        component_starting(x, c, reason);
}

void done_refused(struct step *x, struct component *c)
{
    const struct recovery_params *p = &c->rp;

    if (was_taken_along(x, c, false))
        return;
    ladder_refund(c, &x->act); /* once: for the owner and for those taken along */
    c->refusals++;
    if (x->act.op) {
        op_not_done(x, c, "refused; nothing was changed");
        return;
    }
    if (x->act.half_open && c->p.kind == REC_KIND_CONTAINER) {
        ladder_quarantine(x, c, "the trial out of quarantine was refused");
        return;
    }
    if (x->act.type == REC_ACT_BRING_UP || c->p.kind == REC_KIND_PROXY) {
        if (x->act.counted)
            c->bring_ups += x->act.type == REC_ACT_BRING_UP;
        again(x, c, "bring-up refused");
        return;
    }
    component_emit(x, c, REC_ACT_RELIST, REC_L0, "an action was refused");
    /* What cannot be done for so long that the delays reached the cap is as good as tried. */
    if (ladder_backoff(p, c->refusals - 1) >= p->backoff_cap_us) {
        c->tries[x->act.level] = ladder_rung(p, x->act.level)->attempts;
        c->level = MAX(c->level, x->act.level);
        c->refusals = 0;
        component_failed(x, c, true, "refused again and again");
        return;
    }
    again(x, c, "refused; nothing was changed");
}

void done_gone(struct step *x, struct component *c)
{
    if (was_taken_along(x, c, false))
        return;
    ladder_refund(c, &x->act); /* once: for the owner and for those taken along */
    if (c->interruptions < 32)
        c->interruptions++;
    if (x->act.op)
        op_not_done(x, c, "the engine went away");
    else
        again(x, c, "the engine went away");
}
