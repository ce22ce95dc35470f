/* engine.c: the containers of the model and what actions do with them, one engine call at a time. Knows
 * nothing of the core but its actions. */
#include "model.h"

int gateway_running(const struct tenant *t)
{
    for (int i = 0; i < SLOTS; i++)
        if (t->g[i].running)
            return i;
    return -1;
}

int container_named(const struct tenant *t, enum cname name)
{
    for (int i = 0; i < SLOTS; i++)
        if (t->g[i].exists && t->g[i].name == name)
            return i;
    return -1;
}

static int free_slot(const struct tenant *t)
{
    for (int i = 0; i < SLOTS; i++)
        if (!t->g[i].exists)
            return i;
    return -1;
}

void part_started(struct world *w, struct tenant *t, int part)
{
    struct part *p = &t->part[part];

    p->healthy_at = w->now + (part == PROXY ? between(w, 5000, 50000) : between(w, SEC / 5, 15 * SEC));
    p->dies_at =
        p->fault == FAULT_CRASH || p->fault == FAULT_LOOP ? w->now + between(w, SEC / 10, 20 * SEC) : NEVER;
    p->exit_at = NEVER;
    if (part == PROXY)
        p->running = true;
    lazy_wake(w, t, part);
}

void part_died(struct world *w, struct tenant *t, int part, bool by_operator, bool told)
{
    struct part *p = &t->part[part];
    int slot = gateway_running(t);

    p->dies_at = NEVER;
    p->running = false;
    p->exit_operator = by_operator;
    p->exit_at = part == PROXY ? w->now : told && w->engine_up ? w->now + between(w, 1000, SEC / 2) : NEVER;
    if (part == GATEWAY && slot >= 0)
        t->g[slot].running = false;
    lazy_wake(w, t, part);
}

static void stop(struct world *w, struct tenant *t, int slot)
{
    if (!t->g[slot].running)
        return;
    t->g[slot].running = false;
    t->part[GATEWAY].dies_at = NEVER;
    lazy_wake(w, t, GATEWAY);
    world_deliver(w,
        (struct rec_event){.type = REC_EV_EXIT, .tenant = t->index, .component = GATEWAY, .exit.ours = true});
}

static void start(struct world *w, struct tenant *t, int slot)
{
    int other = gateway_running(t);

    if (t->g[slot].running)
        return;
    if (other >= 0 && !t->stuck)
        violation(w, INV_REDEPLOY, "%s: two containers run", t->slug);
    t->g[slot].running = true;
    part_started(w, t, GATEWAY);
}

static void mend(struct world *w, struct tenant *t, int part, enum rec_level level)
{
    if (t->part[part].cure > level || t->part[part].fault == FAULT_NONE)
        return;
    t->part[part].fault = FAULT_NONE;
    lazy_wake(w, t, part);
}

/* ---- the end of an action */
static void finish(struct world *w, struct tenant *t, struct op *op, enum rec_done result)
{
    struct rec_event ev = {.type = REC_EV_DONE,
        .tenant = t->index,
        .component = op->a.component,
        .done = {.action = op->a.id, .result = result}};
    bool ours = op == &t->op[RESUMED];

    op->on = false;
    lazy_wake(w, t, GATEWAY);
    if (ours)
        return; /* the core never heard of it */
    if (!world_write(w)) {
        world_crash(w, false);
        return;
    }
    if (result == REC_DONE_REFUSED || result == REC_DONE_ENGINE_GONE)
        world_unwrite(w, &op->a);
    world_deliver(w, ev);
}

static void wait(struct world *w, struct op *op, int phase, uint64_t us)
{
    op->phase = phase;
    op->at = w->now + us;
}

void op_begin(struct world *w, struct tenant *t, const struct rec_action *a)
{
    struct op *op = &t->op[a->component];

    if (op->on) {
        violation(w, INV_IN_FLIGHT, "%s: a second action for component %u", t->slug, a->component);
        return;
    }
    *op = (struct op){.on = true, .a = *a, .at = w->now + 1, .old = -1, .new = -1};
    op->bounced = a->component == GATEWAY && t->op[RESUMED].on;
}

/* ---- bring-up and restarts */
static void launch_proxy(struct world *w, struct tenant *t, struct op *op)
{
    mend(w, t, PROXY, op->a.level);
    t->part[PROXY].running = false;
    if (t->part[PROXY].fault != FAULT_START)
        part_started(w, t, PROXY);
}

static void run_proxy(struct world *w, struct tenant *t, struct op *op)
{
    if (op->phase == 0) {
        launch_proxy(w, t, op);
        wait(w, op, 1, between(w, 1000, 50000));
    } else {
        finish(w, t, op, t->part[PROXY].fault == FAULT_START ? REC_DONE_FAILED : REC_DONE_OK);
    }
}

static void run_bring_up(struct world *w, struct tenant *t, struct op *op)
{
    int slot = container_named(t, CNAME);

    if (t->image_missing && slot < 0) {
        finish(w, t, op, REC_DONE_REFUSED);
        return;
    }
    if (slot < 0 && gateway_running(t) < 0) {
        slot = free_slot(t);
        if (slot < 0) {
            finish(w, t, op, REC_DONE_REFUSED);
            return;
        }
        t->g[slot] = (struct container){.exists = true, .name = CNAME};
    }
    if (slot < 0 || t->part[GATEWAY].fault == FAULT_START) {
        finish(w, t, op, w->last_phase || chance(w, 50) ? REC_DONE_FAILED : REC_DONE_REFUSED);
        return;
    }
    if (gateway_running(t) < 0)
        start(w, t, slot);
    finish(w, t, op, REC_DONE_OK);
}

/* Phases 0 and 1 of a restart, from `op->phase` - base on. */
static void run_restart(struct world *w, struct tenant *t, struct op *op, int base)
{
    int slot = container_named(t, CNAME);

    if (slot < 0) {
        finish(w, t, op, REC_DONE_FAILED);
    } else if (op->phase == base) {
        stop(w, t, slot);
        if (op->on)
            wait(w, op, base + 1, between(w, SEC / 10, 11 * SEC));
    } else {
        mend(w, t, GATEWAY, op->a.level);
        if (t->part[GATEWAY].fault == FAULT_START || (!w->last_phase && chance(w, 1))) {
            finish(w, t, op, REC_DONE_FAILED);
            return;
        }
        start(w, t, slot);
        finish(w, t, op, REC_DONE_OK);
    }
}

static void run_restart_all(struct world *w, struct tenant *t, struct op *op)
{
    struct part *p = &t->part[PROXY];

    if (op->phase == 0) {
        launch_proxy(w, t, op);
        op->until = w->now + w->deadline_us[PROXY];
        wait(w, op, 1, SEC / 10);
    } else if (op->phase == 1) {
        if (p->running && p->fault != FAULT_HANG && w->now >= p->healthy_at)
            wait(w, op, 2, 1000);
        else if (w->now >= op->until)
            finish(w, t, op, REC_DONE_FAILED);
        else
            lazy_wait(w, op, SEC / 10,
                p->running && p->fault != FAULT_HANG ? MIN(p->healthy_at, op->until) : op->until);
    } else {
        run_restart(w, t, op, 2);
    }
}

/* ---- redeploy */
static enum saga_result do_rename(struct tenant *t, int slot, enum cname name)
{
    int taken = container_named(t, name);

    if (slot < 0 || !t->g[slot].exists)
        return SAGA_MISSING;
    if (taken >= 0 && taken != slot)
        return SAGA_FAILED;
    t->g[slot].name = name;
    return SAGA_OK;
}

static enum saga_result do_stop(struct world *w, struct tenant *t, int slot)
{
    if (slot < 0 || !t->g[slot].exists)
        return SAGA_MISSING;
    stop(w, t, slot);
    return SAGA_OK;
}

static enum saga_result do_remove(struct world *w, struct tenant *t, int slot)
{
    if (slot < 0 || !t->g[slot].exists)
        return SAGA_MISSING;
    stop(w, t, slot);
    t->g[slot] = (struct container){0};
    return SAGA_OK;
}

static enum saga_result do_start(struct world *w, struct tenant *t, struct op *op, int slot)
{
    if (slot < 0 || !t->g[slot].exists)
        return SAGA_MISSING;
    if (slot == op->new) {
        mend(w, t, GATEWAY, REC_L3);
        op->until = w->now + w->deadline_us[GATEWAY];
    }
    if (t->part[GATEWAY].fault == FAULT_START)
        return SAGA_FAILED;
    start(w, t, slot);
    return SAGA_OK;
}

/* SAGA_ENGINE_GONE here means: not yet. */
static enum saga_result do_verify(struct world *w, struct tenant *t, struct op *op)
{
    const struct part *p = &t->part[GATEWAY];

    if (!t->g[op->new].exists)
        return SAGA_MISSING;
    if (!t->g[op->new].running || w->now >= op->until)
        return SAGA_FAILED;
    if (p->fault == FAULT_HANG || p->fault == FAULT_BLIND || op->bad ||
        w->now < p->healthy_at + w->p.rise * w->interval_us)
        return SAGA_ENGINE_GONE;
    t->g[op->new].verified = true;
    return SAGA_OK;
}

/* When do_verify() will know, if nothing happens. */
static uint64_t verified_at(const struct world *w, const struct tenant *t, const struct op *op)
{
    const struct part *p = &t->part[GATEWAY];

    if (p->fault == FAULT_HANG || p->fault == FAULT_BLIND || op->bad)
        return op->until;
    return MIN(op->until, p->healthy_at + w->p.rise * w->interval_us);
}

static enum saga_result do_create(struct tenant *t, struct op *op)
{
    op->new = free_slot(t);
    if (op->new < 0 || container_named(t, CNAME_NEW) >= 0)
        return SAGA_FAILED;
    t->g[op->new] = (struct container){.exists = true, .name = CNAME_NEW};
    return SAGA_OK;
}

static enum saga_result perform(struct world *w, struct tenant *t, struct op *op)
{
    switch (op->saga.op) {
    case SAGA_OP_INSPECT_OLD:
        op->old = container_named(t, CNAME);
        return op->old < 0 ? SAGA_MISSING : SAGA_OK;
    case SAGA_OP_CHECK_IMAGE:
        return t->image_missing ? SAGA_MISSING : SAGA_OK;
    case SAGA_OP_CLEAR_LEFTOVER:
        (void)do_remove(w, t, container_named(t, CNAME_NEW));
        return SAGA_OK;
    case SAGA_OP_CREATE_NEW:
        return do_create(t, op);
    case SAGA_OP_RENAME_OLD:
        return do_rename(t, op->old, CNAME_OLD);
    case SAGA_OP_RENAME_NEW:
        return do_rename(t, op->new, CNAME);
    case SAGA_OP_STOP_OLD:
        return do_stop(w, t, op->old);
    case SAGA_OP_START_NEW:
        return do_start(w, t, op, op->new);
    case SAGA_OP_VERIFY:
        return do_verify(w, t, op);
    case SAGA_OP_REMOVE_OLD:
        w->exercised[INV_REDEPLOY]++;
        if (op->new < 0 || !t->g[op->new].verified)
            violation(w, INV_REDEPLOY, "%s: the old container goes before the new one is verified", t->slug);
        return do_remove(w, t, op->old);
    case SAGA_OP_STOP_NEW:
        return do_stop(w, t, op->new);
    case SAGA_OP_REMOVE_NEW:
        return do_remove(w, t, op->new);
    case SAGA_OP_RENAME_NEW_ASIDE:
        return do_rename(t, op->new, CNAME_NEW);
    case SAGA_OP_RENAME_OLD_BACK:
        return do_rename(t, op->old, CNAME);
    case SAGA_OP_START_OLD:
        return do_start(w, t, op, op->old);
    case SAGA_OP_NONE:
    case _SAGA_OP_MAX:
    default:
        return SAGA_FAILED;
    }
}

static void conclude(struct world *w, struct tenant *t, struct op *op)
{
    static const enum rec_done results[_SAGA_OUTCOME_MAX] = {[SAGA_RUNNING] = REC_DONE_FAILED,
        [SAGA_DONE] = REC_DONE_OK,
        [SAGA_REFUSED] = REC_DONE_REFUSED,
        [SAGA_ROLLED_BACK] = REC_DONE_ROLLED_BACK,
        [SAGA_STUCK] = REC_DONE_FAILED,
        [SAGA_LEFT] = REC_DONE_FAILED,
        [SAGA_SUSPENDED] = REC_DONE_ENGINE_GONE};

    t->stuck = op->saga.outcome == SAGA_STUCK; /* nobody promises anything then: it takes three failures */
    finish(w, t, op, results[op->saga.outcome]);
}

static void run_redeploy(struct world *w, struct tenant *t, struct op *op)
{
    enum saga_result r;
    bool again;

    if (op->phase == 0) {
        op->bad = !w->last_phase && chance(w, 10);
        op->phase = 1;
        saga_begin(&op->saga);
    }
    if (op->saga.op == SAGA_OP_NONE) {
        conclude(w, t, op);
        return;
    }
    again = op->saga.op == SAGA_OP_VERIFY;
    if (!w->engine_up || w->engine_hung) {
        if (chance(w, 30))
            (void)perform(w, t, op);
        r = SAGA_ENGINE_GONE;
        again = false;
    } else if (!again && !w->last_phase && chance(w, 1)) {
        r = SAGA_FAILED;
    } else {
        r = perform(w, t, op);
    }
    if (!op->on)
        return; /* the daemon died meanwhile */
    if (again && r == SAGA_ENGINE_GONE) {
        lazy_wait(w, op, SEC / 2, verified_at(w, t, op));
        return;
    }
    if (r != SAGA_OK)
        world_note(w, "%s: redeploy: %s: %s", t->slug, saga_op_to_string(op->saga.op),
            r == SAGA_FAILED    ? "failed"
            : r == SAGA_MISSING ? "missing"
                                : "engine gone");
    saga_step(&op->saga, r, gateway_running(t) >= 0);
    wait(w, op, 1,
        op->saga.op == SAGA_OP_STOP_OLD ? between(w, SEC / 10, 5 * SEC) : between(w, 1000, SEC / 5));
}

bool op_leftover(const struct tenant *t)
{
    return container_named(t, CNAME_OLD) >= 0 || container_named(t, CNAME_NEW) >= 0;
}

void op_resume(struct world *w, struct tenant *t)
{
    struct op *op = &t->op[RESUMED];
    int name = container_named(t, CNAME), old = container_named(t, CNAME_OLD),
        new = container_named(t, CNAME_NEW);
    struct saga_facts f = {.name_exists = name >= 0,
        .name_is_new = name >= 0 && old >= 0,
        .old_exists = old >= 0,
        .new_exists = new >= 0,
        .name_running = name >= 0 && t->g[name].running};

    for (int i = 0; i < 3; i++)
        if (t->op[i].on && i != PROXY)
            return;
    if (w->now < t->resume_at)
        return;
    t->resume_delay = MIN(MAX(t->resume_delay * 2, MINUTE), HOUR);
    t->resume_at = w->now + t->resume_delay;
    *op = (struct op){.on = true, .phase = 1, .at = w->now + 1000, .until = w->now + w->deadline_us[GATEWAY]};
    op->a = (struct rec_action){.type = REC_ACT_REDEPLOY, .tenant = t->index, .component = GATEWAY};
    op->new = f.name_is_new ? name : new;
    op->old = old >= 0 ? old : name;
    saga_resume(&op->saga, &f);
}

/* An interrupted redeploy left the old one running under its other name: it is brought to its end first. */
static bool is_aside(struct world *w, struct tenant *t, struct op *op)
{
    int old = container_named(t, CNAME_OLD);

    if (op->phase != 0 || old < 0 || !t->g[old].running)
        return false;
    w->relist_at = MIN(w->relist_at, w->now + SEC / 20);
    return true;
}

/* ---- dispatch */
void op_advance(struct world *w, struct tenant *t, int part)
{
    struct op *op = &t->op[part];

    op->at = w->now + SEC; /* a chain that forgets to say when goes on at all */
    if (op->bounced || (op->a.component == GATEWAY && is_aside(w, t, op))) {
        finish(w, t, op, REC_DONE_ENGINE_GONE);
    } else if (op->a.type == REC_ACT_REDEPLOY) {
        run_redeploy(w, t, op);
    } else if (op->a.type == REC_ACT_RESTART_ALL) {
        if (op->phase >= 2 && (!w->engine_up || w->engine_hung))
            finish(w, t, op, REC_DONE_ENGINE_GONE);
        else
            run_restart_all(w, t, op);
    } else if (part == PROXY) {
        run_proxy(w, t, op);
    } else if (!w->engine_up || w->engine_hung) {
        finish(w, t, op, REC_DONE_ENGINE_GONE);
    } else if (op->a.type == REC_ACT_BRING_UP) {
        run_bring_up(w, t, op);
    } else {
        run_restart(w, t, op, 0);
    }
}

void op_abandon(struct world *w, struct tenant *t, int part)
{
    struct op *op = &t->op[part];
    int slot = container_named(t, CNAME);

    if (!op->on)
        return;
    op->on = false;
    lazy_wake(w, t, GATEWAY);
    if (!w->engine_up || part == PROXY)
        return;
    /* The engine ends what it began, half of the time. */
    if (op->a.type == REC_ACT_REDEPLOY && chance(w, 50) && op->saga.op != SAGA_OP_VERIFY)
        (void)perform(w, t, op);
    else if (op->a.type != REC_ACT_REDEPLOY && op->phase > 0 && slot >= 0 && gateway_running(t) < 0 &&
             chance(w, 50))
        start(w, t, slot);
}
