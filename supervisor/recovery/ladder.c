/* ladder.c: what is tried next, and when: the rungs L1 to L4, the backoff of what has no rung (bring-up, a
 * proxy that keeps dying), and the account of attempts. Plans only; whether a plan may start is for the
 * guards of tenant.c and host.c. */
#include "recovery/recovery_internal.h"

uint64_t ladder_spread(const struct step *x, uint64_t delay_us)
{
    return time_add(delay_us, (uint64_t)((double)delay_us * 0.25 * x->jitter));
}

uint64_t ladder_backoff(const struct recovery_params *p, uint32_t n)
{
    uint64_t delay = p->backoff_base_us;

    while (n-- > 0 && delay < p->backoff_cap_us)
        delay = delay > USEC_INFINITY / 2 ? USEC_INFINITY : delay * 2;
    return MIN(delay, p->backoff_cap_us);
}

const struct recovery_rung *ladder_rung(const struct recovery_params *p, enum rec_level level)
{
    return level >= REC_L3 ? &p->l3 : level == REC_L2 ? &p->l2 : &p->l1;
}

static uint64_t rung_delay(const struct recovery_rung *g, uint32_t i)
{
    return g->n_delays == 0 ? 0 : g->delay_us[MIN(i, g->n_delays - 1)];
}

bool ladder_can_redeploy(const struct component *c)
{
    if (c->p.kind != REC_KIND_CONTAINER)
        return false;
    if (c->p.redeploy)
        return true;
    for (uint32_t i = 0; i < c->t->n; i++)
        if (c->t->c[i]->p.redeploy || (c->t->c[i]->p.after & (UINT32_C(1) << c->index)))
            return false;
    return true;
}

bool ladder_in_budget(const struct step *x, const struct component *c, enum rec_level level)
{
    if (c->allow_one)
        return true;
    if (level == REC_L1)
        return budget_restart_ok(c, x->now_us);
    if (level == REC_L2)
        return budget_restart_all_ok(c->t, x->now_us);
    return budget_redeploy_ok(c, x->now_us);
}

/* A restart of all is more than one of the component if something stands on it, or if another one is not
 * well: what serves is not restarted for nothing. One that is quarantined is not restarted along. */
static bool whole_tenant_helps(const struct component *c)
{
    bool helps = false;

    for (uint32_t i = 0; i < c->t->n; i++) {
        const struct component *o = c->t->c[i];

        if (o == c)
            continue;
        if (o->quarantined)
            return false;
        helps = helps || !component_good(o) || (o->p.after & (UINT32_C(1) << c->index));
    }
    return helps;
}

/* A rung is exhausted by its attempts or by its budget: waiting an hour for the budget would leave a tenant
 * down that the next rung may bring back. */
static bool rung_open(struct step *x, struct component *c, enum rec_level level)
{
    if (c->tries[level] >= ladder_rung(&c->rp, level)->attempts)
        return false;
    if (level == REC_L3 && !ladder_can_redeploy(c))
        return false; /* a redeploy makes one container anew; it cannot mend what that stands on */
    if (level == REC_L2 && !whole_tenant_helps(c))
        return false;
    if (ladder_in_budget(x, c, level))
        return true;
    x->r->suppressed[GUARD_BUDGET]++;
    return false;
}

static void plan_set(struct step *x, struct component *c, const struct plan *p, const char *why)
{
    if (c->queued && !c->op.set)
        host_dequeue(x->r, c);
    component_enter(x, c, REC_BACKOFF, why);
    c->plan = *p;
    c->plan.set = true;
}

static const char *rung_reason(const struct component *c, enum rec_level level, const char *why)
{
    if (level == REC_L2 && c->tries[REC_L2] == 0)
        return "still failing after L1";
    if (level == REC_L3 && c->tries[REC_L3] == 0)
        return "still failing after L2";
    return why;
}

static uint64_t rung_due(const struct step *x, struct component *c, enum rec_level level)
{
    const struct recovery_params *p = &c->rp;
    uint64_t delay = rung_delay(ladder_rung(p, level), c->tries[level]);
    uint64_t due = time_add(x->now_us, ladder_spread(x, delay));
    int64_t newest;

    /* It came back by itself before this very attempt was made, and did not last: the clock runs on. */
    if (c->kept_due_us != USEC_INFINITY && c->kept_level == level && c->kept_try == c->tries[level])
        due = MIN(due, c->kept_due_us);
    if (level == REC_L3 && history_newest(&c->t->redeploys, &newest)) {
        int64_t gap_end = newest + (int64_t)p->l3_min_gap_us;

        if (gap_end > (int64_t)due)
            due = (uint64_t)gap_end;
    }
    return due;
}

void ladder_plan(struct step *x, struct component *c, bool hard, const char *reason)
{
    static const enum rec_action_type actions[] = {
        [REC_L1] = REC_ACT_RESTART,
        [REC_L2] = REC_ACT_RESTART_ALL,
        [REC_L3] = REC_ACT_REDEPLOY,
    };

    if (c->quarantined) {
        ladder_quarantine(x, c, reason);
        return;
    }
    for (enum rec_level l = MAX(c->level, REC_L1); l <= REC_L3; l++) {
        if (!rung_open(x, c, l))
            continue;
        plan_set(x, c,
            &(struct plan){
                .hard = hard,
                .counted = true,
                .type = actions[l],
                .level = l,
                .due_us = rung_due(x, c, l),
                .reason = rung_reason(c, l, reason),
            },
            reason);
        return;
    }
    ladder_quarantine(x, c, reason);
}

void ladder_bring_up(struct step *x, struct component *c, const char *reason)
{
    uint64_t delay = c->bring_ups == 0 ? 0 : ladder_backoff(&c->rp, c->bring_ups - 1);

    plan_set(x, c,
        &(struct plan){
            .hard = true,
            .urgent = c->p.kind == REC_KIND_PROXY,
            .counted = c->p.kind != REC_KIND_PROXY,
            .type = REC_ACT_BRING_UP,
            .level = REC_L0,
            .due_us = time_add(x->now_us, ladder_spread(x, delay)),
            .reason = reason,
        },
        reason);
}

void ladder_proxy(struct step *x, struct component *c, bool dead, const char *reason)
{
    const struct recovery_params *p = &c->rp;
    struct plan plan = {
        .hard = dead,
        .urgent = dead,
        .type = c->presence == REC_MISSING ? REC_ACT_BRING_UP : REC_ACT_RESTART,
        .level = c->presence == REC_MISSING ? REC_L0 : REC_L1,
        .reason = reason,
    };
    uint32_t k = c->tries[REC_L1];
    uint64_t delay;

    if (c->quarantined) {
        ladder_quarantine(x, c, reason);
        return;
    }
    if (dead && budget_relaunch_ok(c, x->now_us)) {
        plan.due_us = x->now_us;
        plan_set(x, c, &plan, reason);
        return;
    }
    if (k >= p->l1.attempts + p->l2.attempts ||
        (!dead && !c->allow_one && !budget_restart_ok(c, x->now_us))) {
        ladder_quarantine(x, c, reason);
        return;
    }
    if (dead)
        delay = ladder_backoff(p, k);
    else
        delay = k < p->l1.attempts ? rung_delay(&p->l1, k) : rung_delay(&p->l2, k - p->l1.attempts);
    plan.counted = true;
    plan.due_us = time_add(x->now_us, ladder_spread(x, delay));
    plan_set(x, c, &plan, reason);
}

/* One that is down disturbs nobody when it is started, and most of what makes a gateway end at its start
 * passes by itself: it is tried more often than what runs and fails, and ever less often. */
static void start_again_later(struct step *x, struct component *c)
{
    const struct recovery_params *p = &c->rp;
    uint64_t delay = p->start_again_us;

    for (uint32_t i = 0; i < c->starts_again && delay < p->half_open_us; i++)
        delay *= 2;
    c->starts_again++;
    c->start_again_us = time_add(x->now_us, ladder_spread(x, MIN(delay, p->half_open_us)));
}

uint64_t ladder_next_trial(const struct component *c)
{
    if (c->p.kind == REC_KIND_CONTAINER &&
        (c->presence == REC_STOPPED || (c->fell && c->presence == REC_RUNNING)))
        return MIN(c->half_open_us, c->start_again_us);
    return c->half_open_us;
}

void ladder_quarantine(struct step *x, struct component *c, const char *reason)
{
    const struct recovery_params *p = &c->rp;
    bool first = !c->quarantined, trial_over = c->half_open_us <= x->now_us;

    component_enter(x, c, REC_QUARANTINED, reason);
    c->quarantined = true;
    c->allow_one = false;
    if (first)
        c->t->quarantine_since_us = x->now_us;
    /* A proxy that is dead cuts its tenant off, and relaunching it disturbs nobody: it is tried for ever. */
    if (c->p.kind == REC_KIND_PROXY)
        c->half_open_us = time_add(x->now_us, ladder_spread(x, p->quarantine_probe_us));
    else if (first || trial_over)
        c->half_open_us = time_add(x->now_us, ladder_spread(x, p->half_open_us));
    if (first)
        c->starts_again = 0;
    if (first || c->start_again_us <= x->now_us)
        start_again_later(x, c);
    c->start_again_us = MAX(c->start_again_us, time_add(x->now_us, p->start_again_us));
    c->deadline_us = ladder_next_trial(c);
    if (first || (trial_over && c->p.kind != REC_KIND_PROXY))
        component_emit(x, c, REC_ACT_ALERT, REC_L4, reason);
}

/* The trial out of quarantine. It is counted in the budgets but not bounded by them: once per half_open is
 * its own bound. */
void ladder_trial(struct step *x, struct component *c)
{
    struct plan plan = {
        .hard = true,
        .half_open = true,
        .type = REC_ACT_RESTART,
        .level = REC_L1,
        .due_us = x->now_us,
        .reason = "trial out of quarantine",
    };

    plan.urgent = c->p.kind == REC_KIND_PROXY && c->presence != REC_RUNNING;
    if (c->presence == REC_MISSING) {
        plan.type = REC_ACT_BRING_UP;
        plan.level = REC_L0;
    } else if (ladder_can_redeploy(c) && c->half_open_us <= x->now_us) {
        plan.type = REC_ACT_REDEPLOY;
        plan.level = REC_L3;
    }
    plan_set(x, c, &plan, c->reason);
}

void ladder_spend_rung(struct component *c)
{
    enum rec_level l = c->tried;

    c->tried = REC_L0;
    if (l < REC_L3)
        c->tries[l] = MAX(c->tries[l], ladder_rung(&c->rp, l)->attempts);
}

void ladder_reset(struct component *c)
{
    for (enum rec_level l = REC_L0; l < _REC_LEVEL_MAX; l++)
        c->tries[l] = 0;
    c->level = REC_L0;
    c->bring_ups = c->bring_up_failures = c->refusals = c->interruptions = 0;
    c->kept_due_us = USEC_INFINITY;
}

void ladder_charge(struct step *x, struct component *c, const struct plan *p)
{
    struct rec_tenant *t = c->t;

    if (p->counted) {
        if (p->type == REC_ACT_BRING_UP && c->p.kind != REC_KIND_PROXY) {
            c->bring_ups++;
        } else {
            c->tries[MAX(p->level, REC_L1)]++;
            c->level = MAX(c->level, MAX(p->level, REC_L1));
        }
        c->allow_one = false;
    }
    c->kept_due_us = USEC_INFINITY;
    if (p->type == REC_ACT_REDEPLOY)
        history_add(&t->redeploys, (int64_t)x->now_us);
    else if (p->type == REC_ACT_RESTART || c->p.kind == REC_KIND_PROXY)
        history_add(&c->restarts, (int64_t)x->now_us);
    if (p->type != REC_ACT_RESTART_ALL)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        history_add(&t->c[i]->restarts, (int64_t)x->now_us);
}

void ladder_refund(struct component *c, const struct plan *p)
{
    struct rec_tenant *t = c->t;
    enum rec_level l = MAX(p->level, REC_L1);

    if (p->counted) {
        if (p->type == REC_ACT_BRING_UP && c->p.kind != REC_KIND_PROXY)
            c->bring_ups -= c->bring_ups > 0;
        else
            c->tries[l] -= c->tries[l] > 0;
    }
    if (p->type == REC_ACT_REDEPLOY)
        history_undo(&t->redeploys);
    else if (p->type == REC_ACT_RESTART || (c->p.kind == REC_KIND_PROXY && p->type == REC_ACT_BRING_UP))
        history_undo(&c->restarts);
    if (p->type != REC_ACT_RESTART_ALL)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        history_undo(&t->c[i]->restarts);
}

/* The engine restarted it: its work counts as ours, or a container that dies every 11 s lives for ever. */
void ladder_charge_engine(struct step *x, struct component *c)
{
    const struct recovery_params *p = &c->rp;

    for (uint64_t i = 0; i < MIN(x->delta, REC_HISTORY_MAX); i++) {
        history_add(&c->restarts, (int64_t)x->now_us);
        if (c->tries[REC_L1] < p->l1.attempts) {
            c->tries[REC_L1]++;
            c->level = MAX(c->level, REC_L1);
        } else if (c->tries[REC_L2] < p->l2.attempts) {
            c->tries[REC_L2]++;
            c->level = MAX(c->level, REC_L2);
        }
    }
}
