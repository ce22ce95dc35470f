/* lazy.c: which probes, pings and lists may be left out: those that would tell the core what it knows, so
 * that a quiet day passes in no time. Whoever changes what is true, and each change of the core's mind, wakes
 * them. Now and then one is made all the same, and some histories leave out none (w->dense). */
#include "model.h"

#define PING_US (2 * SEC)
#define RELIST_US (30 * SEC)

static uint64_t much_later(struct world *w)
{
    return w->now + between(w, 15 * MINUTE, 75 * MINUTE);
}

/* ---- probes */
/* As long as what is true stays as it is, another probe changes nothing in the core. `ret_until`: when it
 * will be different by itself. */
static bool knows(const struct world *w, const struct tenant *t, int k, uint64_t *ret_until)
{
    const struct part *p = &t->part[k];
    bool runs = k == PROXY ? p->running : gateway_running(t) >= 0;
    struct rec_component_view v;

    *ret_until = NEVER;
    if (w->dense || p->fault == FAULT_FLAKY)
        return false;
    if (p->fault == FAULT_BLIND)
        return p->blind > 2 * w->p.fall;
    recovery_component_view(w->r, t->index, (uint32_t)k, core_now(w), &v);
    if (v.state == REC_RECOVERING)
        return true;
    if (runs && p->fault != FAULT_HANG && w->now >= p->healthy_at)
        return (v.state == REC_HEALTHY || v.state == REC_VERIFYING) && v.fails == 0 && v.oks >= w->p.rise;
    if (runs && p->fault != FAULT_HANG)
        *ret_until = p->healthy_at;
    if (v.oks > 0)
        return false;
    if (v.state == REC_STARTING || v.state == REC_VERIFYING)
        return v.fails == 0; /* until the first success only successes count */
    if (v.state != REC_BACKOFF && v.state != REC_QUARANTINED && v.state != REC_HELD)
        return false;
    return w->engine_down || v.fails >= w->p.fall;
}

void lazy_plan_probe(struct world *w, struct tenant *t, int k, uint64_t took_us)
{
    struct part *p = &t->part[k];
    uint64_t every = recovery_probe_interval(w->r, t->index, (uint32_t)k), until,
             at = w->now + every - every / 20 + rnd(w, every / 10 + 1) + (took_us > SEC / 2 ? took_us : 0);

    p->lazy = knows(w, t, k, &until);
    if (p->lazy)
        at = MAX(at, MIN(much_later(w), until == NEVER ? NEVER : until + rnd(w, every)));
    p->probe_at = MIN(p->probe_at, at);
}

static void wake_probe(struct world *w, struct tenant *t, int k)
{
    struct part *p = &t->part[k];

    if (!p->lazy || !w->r)
        return;
    p->lazy = false;
    p->probe_at = MIN(p->probe_at, w->now + rnd(w, recovery_probe_interval(w->r, t->index, (uint32_t)k) + 1));
}

/* ---- lists */
static void wake_list(struct world *w)
{
    if (w->relist_at != NEVER)
        w->relist_at = MIN(w->relist_at, w->now + RELIST_US - (w->now - w->base) % RELIST_US);
}

enum rec_presence lazy_presence(const struct tenant *t, int k)
{
    int slot = container_named(t, CNAME);
    bool runs = k == PROXY ? t->part[PROXY].running : slot >= 0 && t->g[slot].running;

    return runs ? REC_RUNNING : k == PROXY || slot < 0 ? REC_MISSING : REC_STOPPED;
}

bool lazy_listed(const struct world *w, const struct tenant *t)
{
    return !w->dense && t->told_state == t->s[GATEWAY].state &&
           t->told_presence == lazy_presence(t, GATEWAY) && t->told_count == t->part[GATEWAY].restart_count;
}

void lazy_plan_list(struct world *w)
{
    uint64_t next = w->now + RELIST_US;

    w->relist_at = w->dense ? next : much_later(w);
    for (uint32_t i = 0; i < w->n && !w->dense; i++) {
        const struct tenant *t = &w->t[i];

        if (!t->on)
            continue;
        if (op_leftover(t))
            w->relist_at = MIN(w->relist_at, MAX(next, t->resume_at));
        else if (!lazy_listed(w, t) && w->engine_up)
            w->relist_at = MIN(w->relist_at, next);
    }
}

/* ---- pings */
void lazy_plan_ping(struct world *w)
{
    w->ping_at = w->now + PING_US;
    if (w->dense)
        return;
    if (w->engine_up && !w->engine_hung && !w->engine_down && w->engine_fails == 0)
        w->ping_at = much_later(w);
    else if (w->engine_down && !w->engine_up)
        w->ping_at = MAX(w->ping_at, w->engine_back_at + rnd(w, PING_US));
}

/* ---- what is true has changed */
static void wake_op(struct world *w, struct op *op)
{
    if (op->on && op->lazy) {
        op->lazy = false;
        op->at = MIN(op->at, w->now + rnd(w, SEC / 2));
    }
}

void lazy_wake(struct world *w, struct tenant *t, int k)
{
    wake_probe(w, t, k);
    if (k == GATEWAY)
        wake_list(w);
    for (int i = 0; i < 3; i++)
        wake_op(w, &t->op[i]);
}

void lazy_wake_all(struct world *w)
{
    if (!w->r)
        return;
    w->ping_at = MIN(w->ping_at, w->now + rnd(w, PING_US));
    for (uint32_t i = 0; i < w->n; i++)
        for (int k = 0; k < 2 && w->t[i].on; k++)
            lazy_wake(w, &w->t[i], k);
}

/* An action looks again after `step_us`, or only at `until` if nothing happens before. */
void lazy_wait(struct world *w, struct op *op, uint64_t step_us, uint64_t until)
{
    op->at = w->now + step_us;
    op->lazy = !w->dense && until > op->at;
    if (op->lazy)
        op->at = until;
}
