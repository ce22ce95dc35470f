/* tenant.c: what the components of one tenant share: one action at a time, dependencies, the operator's
 * pause, the start and the end of an action, and the timer. Host-wide limits are host.c's. */
#include "recovery/recovery_internal.h"

static bool dependencies_good(const struct component *c)
{
    for (uint32_t i = 0; i < c->t->n; i++)
        if ((c->p.after & (UINT32_C(1) << i)) && !component_good(c->t->c[i]))
            return false;
    return true;
}

/* An embedded proxy's relaunch does not take the tenant; a restart of all would run into it. */
static bool neighbour_acting(const struct component *c)
{
    for (uint32_t i = 0; i < c->t->n; i++)
        if (c->t->c[i]->act.id != 0)
            return true;
    return false;
}

static bool neighbour_held(const struct component *c)
{
    for (uint32_t i = 0; i < c->t->n; i++)
        if (c->t->c[i] != c && c->t->c[i]->state == REC_HELD)
            return true;
    return false;
}

enum guard tenant_guard(const struct component *c, const struct plan *p, uint64_t now_us, uint64_t *ret_until)
{
    const struct rec_tenant *t = c->t;
    uint64_t until;

    *ret_until = USEC_INFINITY;
    if (!p->op && t->pause_until_us > now_us) {
        *ret_until = t->pause_until_us;
        return GUARD_PAUSED;
    }
    if (c->act.id != 0)
        return GUARD_BUSY;
    if (p->urgent)
        return GUARD_NONE;
    if (t->busy != 0)
        return GUARD_BUSY;
    if (p->type == REC_ACT_RESTART_ALL && neighbour_acting(c))
        return GUARD_BUSY;
    if (!dependencies_good(c))
        return GUARD_DEPENDENCY;
    if (p->op)
        return GUARD_NONE;
    if (p->type == REC_ACT_RESTART_ALL && neighbour_held(c))
        return GUARD_HELD;
    if (p->type != REC_ACT_REDEPLOY && p->type != REC_ACT_BRING_UP && c->presence == REC_RESTARTING)
        return GUARD_ENGINE_ACTING;
    until = p->hard ? 0 : flap_until(c, now_us);
    if (until != 0) {
        *ret_until = until;
        return GUARD_FLAPPING;
    }
    return GUARD_NONE;
}

struct plan *tenant_plan(struct component *c)
{
    if (c->op.set)
        return &c->op;
    return c->plan.set ? &c->plan : NULL;
}

/* Between the plan and its time something else may have used the budget up. */
bool tenant_still_open(struct step *x, struct component *c, const struct plan *p)
{
    if (p->op || !p->counted || p->type == REC_ACT_BRING_UP || c->p.kind == REC_KIND_PROXY ||
        ladder_in_budget(x, c, p->level))
        return true;
    host_dequeue(x->r, c);
    ladder_plan(x, c, p->hard, c->reason);
    return false;
}

/* Moves a due plan into its queue, or starts it when nothing may hold it back. */
static void try_plan(struct step *x, struct component *c)
{
    struct plan *p = tenant_plan(c);
    enum guard g;
    enum queue q;
    uint64_t until;

    if (!p || p->due_us > x->now_us) {
        if (c->queued)
            host_dequeue(x->r, c);
        return;
    }
    if (!tenant_still_open(x, c, p)) {
        p = tenant_plan(c);
        if (!p || p->due_us > x->now_us)
            return;
    }
    g = tenant_guard(c, p, x->now_us, &until);
    if (g != GUARD_NONE) {
        if (c->queued)
            host_dequeue(x->r, c);
        host_suppressed(x->r, p, g);
        return;
    }
    if (p->urgent) {
        tenant_start(x, c, p);
        return;
    }
    q = host_queue_of(c, p);
    if (c->queued && c->queue != q)
        host_dequeue(x->r, c);
    if (!c->queued)
        host_enqueue(x, c, q);
    host_suppressed(x->r, p, host_gate(x->r, q, x->now_us, &until));
}

/* Something that was up is not, and not because an operator wants it so. */
static bool component_bad(const struct component *c)
{
    if (!c->ever_up || c->quarantined || c->asked || c->plan.with_engine || c->act.plan.with_engine)
        return false;
    return c->state == REC_SUSPECT || c->state == REC_BACKOFF || c->state == REC_RECOVERING ||
           (c->state == REC_VERIFYING && !c->up);
}

static uint64_t component_timer(const struct step *x, struct component *c)
{
    const struct plan *p = tenant_plan(c);
    uint64_t at = c->deadline_us, until;

    if (!p || c->queued)
        return at;
    if (p->due_us > x->now_us)
        return MIN(at, p->due_us);
    tenant_guard(c, p, x->now_us, &until);
    return MIN(at, until);
}

void tenant_rearm(struct step *x, struct rec_tenant *t)
{
    uint64_t at = USEC_INFINITY;

    for (uint32_t i = 0; i < t->n; i++)
        at = MIN(at, component_timer(x, t->c[i]));
    timers_set(x->r, t, at);
}

void tenant_settle(struct step *x, struct rec_tenant *t)
{
    bool bad = false;

    for (uint32_t i = 0; i < t->n; i++)
        try_plan(x, t->c[i]);
    for (uint32_t i = 0; i < t->n; i++) {
        /* A start above may have made the tenant busy for one that was looked at before. */
        if (t->busy != 0 && t->c[i]->queued)
            host_dequeue(x->r, t->c[i]);
        bad = bad || component_bad(t->c[i]);
    }
    host_mark(x, t, bad);
    tenant_rearm(x, t);
}

bool step_has_room(const struct step *x)
{
    return x->out->n + RECOVERY_COMPONENTS_MAX * REC_OUTPUTS_PER_COMPONENT <= REC_ACTIONS_MAX;
}

void tenant_timer(struct step *x, struct rec_tenant *t)
{
    if (t->pause_until_us <= x->now_us)
        t->pause_until_us = 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->c[i]->deadline_us <= x->now_us)
            component_input(x, t->c[i], IN_TIMER);
    tenant_settle(x, t);
}

static void emit_action(struct step *x, struct component *c, const struct plan *p, uint64_t id)
{
    const struct recovery_params *rp = &c->rp;
    struct rec_action *a = &x->out->a[x->out->n++];

    *a = (struct rec_action){
        .type = p->type,
        .id = id,
        .tenant = c->t->index,
        .component = c->index,
        .level = p->level,
        .attempt = 1,
        .attempts = 1,
        .reason = p->reason,
    };
    if (!p->counted)
        return;
    if (p->type == REC_ACT_BRING_UP && c->p.kind != REC_KIND_PROXY) {
        a->attempt = c->bring_ups;
        a->attempts = 0; /* for ever */
        return;
    }
    a->attempt = c->tries[MAX(p->level, REC_L1)];
    a->attempts =
        c->p.kind == REC_KIND_PROXY ? rp->l1.attempts + rp->l2.attempts : ladder_rung(rp, p->level)->attempts;
}

static void take_component(struct step *x, struct component *c, const struct plan *p, uint64_t id, bool owner)
{
    bool canary = c->canary;

    component_enter(x, c, REC_RECOVERING, p->reason);
    c->canary = canary && owner;
    c->died = c->fell = false;
    c->tried = REC_L0;
    c->up = false;
    c->asked = p->op;
    c->fails = c->oks = 0;
    c->act.id = id;
    c->act.plan = *p;
    c->act.owner = owner;
}

void tenant_start(struct step *x, struct component *c, const struct plan *wanted)
{
    struct rec_tenant *t = c->t;
    struct plan p = *wanted; /* a copy: the component's own is cleared below */
    uint64_t id = x->r->next_id++;

    host_dequeue(x->r, c);
    /* What is not there cannot be restarted. */
    if (p.op && p.type == REC_ACT_RESTART && c->presence == REC_MISSING) {
        p.type = REC_ACT_BRING_UP;
        p.level = REC_L0;
    }
    ladder_charge(x, c, &p);
    emit_action(x, c, &p, id);
    c->op = (struct plan){0};
    if (!p.urgent) {
        t->busy = id;
        host_take(x, c, &p);
    }
    take_component(x, c, &p, id, true);
    if (p.type != REC_ACT_RESTART_ALL)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->c[i] != c && t->c[i]->act.id == 0)
            take_component(x, t->c[i], &p, id, false);
}

void tenant_done(struct step *x, struct rec_tenant *t, uint32_t component, uint64_t id, enum rec_done result)
{
    static const enum input inputs[_REC_DONE_MAX] = {
        [REC_DONE_OK] = IN_DONE_OK,
        [REC_DONE_FAILED] = IN_DONE_FAILED,
        [REC_DONE_REFUSED] = IN_DONE_REFUSED,
        [REC_DONE_ROLLED_BACK] = IN_DONE_ROLLED_BACK,
        [REC_DONE_ENGINE_GONE] = IN_DONE_GONE,
    };

    /* The answer to an action of a tenant that was removed meanwhile, or of an earlier life. */
    if (id == 0 || t->c[component]->act.id != id || !t->c[component]->act.owner || result >= _REC_DONE_MAX)
        return;
    if (t->busy == id) {
        t->busy = 0;
        host_give_back(x->r, &t->c[component]->act.plan);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        struct component *c = t->c[i];

        if (c->act.id != id)
            continue;
        x->act = c->act.plan;
        x->act_owner = c->act.owner;
        c->act.id = 0;
        c->act.plan = (struct plan){0};
        c->void_before_us = x->now_us;
        component_input(x, c, inputs[result]);
    }
}

void tenant_forget(struct recovery *r, struct rec_tenant *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        host_dequeue(r, t->c[i]);
        if (t->c[i]->act.id != 0 && t->c[i]->act.id == t->busy && t->c[i]->act.owner)
            host_give_back(r, &t->c[i]->act.plan);
    }
    host_unmark(r, t);
    timers_drop(r, t);
}
