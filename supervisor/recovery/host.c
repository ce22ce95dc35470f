/* host.c: what concerns the whole host: the engine, settling, safe mode, mass failure with its canaries,
 * grace after a time jump, the in-flight limits, the token bucket, and the queues in which due actions wait
 * for them. */
#include "recovery/recovery_internal.h"

/* Which host guards hold back which queue. What an operator asked for waits for the engine and the limits
 * only; a first bring-up is neither a restart of what runs nor a sign of trouble. */
enum {
    GATE_ENGINE = 1 << 0,
    GATE_SETTLING = 1 << 1,
    GATE_SAFE = 1 << 2,
    GATE_GRACE = 1 << 3,
    GATE_OBSERVE = 1 << 4,
    GATE_MASS = 1 << 5,
    GATE_TOKENS = 1 << 6,
    GATE_REDEPLOY = 1 << 7, /* counts against the redeploys in flight, not the restarts */
};

static const unsigned gates[_QUEUE_MAX] = {
    [QUEUE_FIRST_BRING_UP] = GATE_ENGINE | GATE_SETTLING | GATE_SAFE | GATE_GRACE,
    [QUEUE_PUT_BACK] = GATE_ENGINE | GATE_SAFE | GATE_GRACE,
    [QUEUE_START_ONCE] = GATE_ENGINE | GATE_SETTLING | GATE_SAFE | GATE_GRACE | GATE_TOKENS,
    [QUEUE_START_AGAIN] = GATE_ENGINE | GATE_SETTLING | GATE_SAFE | GATE_GRACE | GATE_MASS | GATE_TOKENS,
    [QUEUE_RESTART] =
        GATE_ENGINE | GATE_SETTLING | GATE_SAFE | GATE_GRACE | GATE_OBSERVE | GATE_MASS | GATE_TOKENS,
    [QUEUE_REDEPLOY] = GATE_ENGINE | GATE_SETTLING | GATE_SAFE | GATE_GRACE | GATE_OBSERVE | GATE_MASS |
                       GATE_TOKENS | GATE_REDEPLOY,
    [QUEUE_OP_RESTART] = GATE_ENGINE,
    [QUEUE_OP_REDEPLOY] = GATE_ENGINE | GATE_REDEPLOY,
};

void host_init(struct recovery *r, uint32_t starts_recent, uint64_t now_us)
{
    r->now_us = r->since_us = r->refill_us = now_us;
    r->next_id = 1;
    r->tokens = r->p.bucket_size;
    r->mass.below_since_us = USEC_INFINITY;
    r->observe_until_us = time_add(now_us, r->p.observe_us);
    if (starts_recent >= r->p.safe_starts) {
        r->safe_until_us = time_add(now_us, r->p.safe_us);
        r->state = REC_HOST_SAFE;
    }
}

bool host_frozen(const struct recovery *r, uint64_t now_us)
{
    return r->engine_down || r->settling_until_us > now_us;
}

/* ---- clocks */
static void refill(struct recovery *r, uint64_t now_us)
{
    uint64_t earned;

    if (r->tokens >= r->p.bucket_size) {
        r->tokens = r->p.bucket_size;
        r->refill_us = now_us;
        return;
    }
    earned = (now_us - MIN(r->refill_us, now_us)) / r->p.bucket_refill_us;
    if (earned == 0)
        return;
    if (earned >= r->p.bucket_size - r->tokens) {
        r->tokens = r->p.bucket_size;
        r->refill_us = now_us;
    } else {
        r->tokens += (uint32_t)earned;
        r->refill_us += earned * r->p.bucket_refill_us;
    }
}

static void mass_list_drop(struct recovery *r, struct rec_tenant *t)
{
    if (!t->recent)
        return;
    if (t->bad_prev)
        t->bad_prev->bad_next = t->bad_next;
    else
        r->mass.head = t->bad_next;
    if (t->bad_next)
        t->bad_next->bad_prev = t->bad_prev;
    else
        r->mass.tail = t->bad_prev;
    t->bad_prev = t->bad_next = NULL;
    t->recent = false;
    r->mass.n_recent--;
}

void host_clock(struct step *x)
{
    struct recovery *r = x->r;

    refill(r, x->now_us);
    while (r->mass.head && time_add(r->mass.head->bad_since_us, r->p.mass_window_us) <= x->now_us)
        mass_list_drop(r, r->mass.head);
    if (r->mass.on && r->mass.next_us <= x->now_us) {
        r->mass.left = r->mass.width;
        r->mass.next_us = time_add(x->now_us, r->mass.period_us);
    }
}

/* ---- engine */
/* The engine stops its containers when it ends, with the same signal as a person does, and only then stops
 * answering: what was held just before was that. */
#define ENGINE_ENDS_US USEC_PER_MINUTE

static void doubt_holds(struct step *x)
{
    struct recovery *r = x->r;

    for (size_t i = 0; i < r->n_slots; i++) {
        struct rec_tenant *t = r->tenants[i];
        bool changed = false;

        for (uint32_t k = 0; t && k < t->n; k++) {
            struct component *c = t->c[k];

            /* A hold that was restored is older than this process, which may be younger than a minute. */
            if (c->state != REC_HELD || c->held_since_us == 0 ||
                time_add(c->held_since_us, ENGINE_ENDS_US) < x->now_us)
                continue;
            component_unhold(x, c, "stopped by the engine, which ended");
            c->plan.with_engine = c->plan.set && c->plan.type == REC_ACT_BRING_UP;
            changed = true;
        }
        if (changed)
            tenant_settle(x, t);
    }
}

void host_engine(struct step *x, enum rec_probe result, bool hung)
{
    struct recovery *r = x->r;

    if (hung)
        r->engine_fails = MAX(r->engine_fails, r->p.engine_fall);
    else if (result == REC_PROBE_FAIL && r->engine_fails < UINT32_MAX)
        r->engine_fails++;
    if (hung || result == REC_PROBE_FAIL) {
        bool was = r->engine_down;

        r->engine_down = was || r->engine_fails >= r->p.engine_fall;
        if (r->engine_down && !was)
            doubt_holds(x);
        return;
    }
    if (result != REC_PROBE_OK)
        return;
    r->engine_fails = 0;
    if (!r->engine_down)
        return;
    /* Back: look at everything first. What was counted before the outage is forgotten (epoch). */
    r->engine_down = false;
    r->settling_until_us = time_add(x->now_us, r->p.settling_us);
    r->epoch++;
    if (x->out->n < REC_ACTIONS_MAX)
        x->out->a[x->out->n++] = (struct rec_action){.type = REC_ACT_RELIST, .reason = "the engine is back"};
}

void host_time_jump(struct step *x)
{
    x->r->void_before_us = x->now_us;
    x->r->grace_until_us = time_add(x->now_us, x->r->p.grace_us);
}

/* ---- mass failure */
void host_mark(struct step *x, struct rec_tenant *t, bool bad)
{
    struct recovery *r = x->r;

    if (bad == t->bad)
        return;
    if (!bad) {
        host_unmark(r, t);
        return;
    }
    t->bad = t->recent = true;
    t->bad_since_us = x->now_us;
    t->bad_prev = r->mass.tail;
    t->bad_next = NULL;
    if (r->mass.tail)
        r->mass.tail->bad_next = t;
    else
        r->mass.head = t;
    r->mass.tail = t;
    r->mass.n_bad++;
    r->mass.n_recent++;
}

void host_unmark(struct recovery *r, struct rec_tenant *t)
{
    if (!t->bad)
        return;
    mass_list_drop(r, t);
    t->bad = false;
    r->mass.n_bad--;
}

void host_mass(struct step *x)
{
    struct recovery *r = x->r;

    if (!r->mass.on) {
        if (r->mass.n_recent < r->p.mass_min_tenants ||
            r->mass.n_recent * 100 < (size_t)r->p.mass_percent * r->n_tenants)
            return;
        r->mass.on = true;
        r->mass.width = 1;
        r->mass.left = 0; /* look for one period first */
        r->mass.period_us = r->p.mass_canary_us;
        r->mass.next_us = time_add(x->now_us, r->p.mass_canary_us);
        r->mass.below_since_us = USEC_INFINITY;
        return;
    }
    if (r->mass.n_bad * 100 >= (size_t)r->p.mass_exit_percent * r->n_tenants && r->mass.n_bad > 0) {
        r->mass.below_since_us = USEC_INFINITY;
        return;
    }
    if (r->mass.below_since_us == USEC_INFINITY)
        r->mass.below_since_us = x->now_us;
    if (time_add(r->mass.below_since_us, r->p.mass_exit_us) <= x->now_us)
        r->mass.on = false;
}

/* A canary that was verified lets more go next time; one that failed, one only, and later. */
void host_canary(struct step *x, struct component *c, bool good)
{
    struct recovery *r = x->r;

    if (!c->canary)
        return;
    c->canary = false;
    if (good) {
        r->mass.width = MIN(r->mass.width * 2, MAX(r->p.restarts_in_flight, 1));
        r->mass.period_us = r->p.mass_canary_us;
        r->mass.next_us = MIN(r->mass.next_us, time_add(x->now_us, r->mass.period_us));
    } else {
        r->mass.width = 1;
    }
}

/* ---- gates */
static enum guard gate_state(const struct recovery *r, unsigned g, uint64_t now_us, uint64_t *ret_until)
{
    if ((g & GATE_ENGINE) && r->engine_down)
        return GUARD_ENGINE_DOWN;
    if ((g & GATE_SETTLING) && r->settling_until_us > now_us) {
        *ret_until = r->settling_until_us;
        return GUARD_SETTLING;
    }
    if ((g & GATE_SAFE) && r->safe_until_us > now_us) {
        *ret_until = r->safe_until_us;
        return GUARD_SAFE;
    }
    if ((g & GATE_GRACE) && r->grace_until_us > now_us) {
        *ret_until = r->grace_until_us;
        return GUARD_GRACE;
    }
    if ((g & GATE_OBSERVE) && r->observe_until_us > now_us) {
        *ret_until = r->observe_until_us;
        return GUARD_OBSERVING;
    }
    if ((g & GATE_MASS) && r->mass.on && r->mass.left == 0) {
        *ret_until = r->mass.next_us;
        return GUARD_MASS;
    }
    return GUARD_NONE;
}

enum guard host_gate(const struct recovery *r, enum queue q, uint64_t now_us, uint64_t *ret_until)
{
    unsigned g = gates[q];
    enum guard guard;

    *ret_until = USEC_INFINITY;
    guard = gate_state(r, g, now_us, ret_until);
    if (guard != GUARD_NONE)
        return guard;
    if (g & GATE_REDEPLOY ? r->redeploys_in_flight >= r->p.redeploys_in_flight
                          : r->restarts_in_flight >= r->p.restarts_in_flight)
        return GUARD_IN_FLIGHT;
    if ((g & GATE_TOKENS) && r->tokens == 0) {
        *ret_until = time_add(r->refill_us, r->p.bucket_refill_us);
        return GUARD_TOKENS;
    }
    return GUARD_NONE;
}

enum queue host_queue_of(const struct component *c, const struct plan *p)
{
    if (p->op)
        return p->type == REC_ACT_REDEPLOY ? QUEUE_OP_REDEPLOY : QUEUE_OP_RESTART;
    if (p->type == REC_ACT_REDEPLOY)
        return QUEUE_REDEPLOY;
    if (p->with_engine)
        return QUEUE_PUT_BACK;
    if (p->type == REC_ACT_BRING_UP && !c->ever_up)
        return QUEUE_FIRST_BRING_UP;
    /* Starting what is down disturbs nothing that works: the observe-only window is not for it, and the first
     * time it waits for no canary either. */
    if (p->type == REC_ACT_RESTART && c->presence == REC_STOPPED && c->tries[REC_L1] == 0 && !p->half_open)
        return QUEUE_START_ONCE;
    if (p->type == REC_ACT_BRING_UP || (p->type == REC_ACT_RESTART && c->presence == REC_STOPPED))
        return QUEUE_START_AGAIN;
    return QUEUE_RESTART;
}

/* ---- queues */
void host_enqueue(struct step *x, struct component *c, enum queue q)
{
    struct recovery *r = x->r;

    c->queue = q;
    c->queued = true;
    c->q_seq = r->next_seq++;
    c->q_next = NULL;
    c->q_prev = r->queues[q].tail;
    if (c->q_prev)
        c->q_prev->q_next = c;
    else
        r->queues[q].head = c;
    r->queues[q].tail = c;
}

void host_dequeue(struct recovery *r, struct component *c)
{
    if (!c->queued)
        return;
    if (c->q_prev)
        c->q_prev->q_next = c->q_next;
    else
        r->queues[c->queue].head = c->q_next;
    if (c->q_next)
        c->q_next->q_prev = c->q_prev;
    else
        r->queues[c->queue].tail = c->q_prev;
    c->q_prev = c->q_next = NULL;
    c->queued = false;
}

/* The one that has waited longest among the queues that are open. */
static struct component *queue_pick(const struct recovery *r, uint64_t now_us)
{
    struct component *best = NULL;
    uint64_t until;

    for (enum queue q = 0; q < _QUEUE_MAX; q++) {
        struct component *c = r->queues[q].head;

        if (c && (!best || c->q_seq < best->q_seq) && host_gate(r, q, now_us, &until) == GUARD_NONE)
            best = c;
    }
    return best;
}

void host_drain(struct step *x)
{
    struct recovery *r = x->r;
    struct component *c;

    r->more = false;
    while ((c = queue_pick(r, x->now_us))) {
        struct plan *p = tenant_plan(c);

        if (!step_has_room(x)) {
            r->more = true;
            return;
        }
        if (!p)
            host_dequeue(r, c);
        else if (tenant_still_open(x, c, p))
            tenant_start(x, c, p);
        tenant_settle(x, c->t);
    }
}

void host_take(struct step *x, struct component *c, const struct plan *p)
{
    struct recovery *r = x->r;
    enum queue q = host_queue_of(c, p);

    if (gates[q] & GATE_REDEPLOY)
        r->redeploys_in_flight++;
    else
        r->restarts_in_flight++;
    if ((gates[q] & GATE_TOKENS) && r->tokens > 0)
        r->tokens--;
    if ((gates[q] & GATE_MASS) && r->mass.on && r->mass.left > 0) {
        r->mass.left--;
        c->canary = true;
        /* Until one gets well, whatever ails them all is not mended this way: ever more time between two. */
        if (r->mass.width == 1) {
            r->mass.period_us = MIN(2 * r->mass.period_us, r->p.mass_canary_max_us);
            r->mass.next_us = time_add(r->now_us, r->mass.period_us);
        }
    }
}

void host_give_back(struct recovery *r, const struct plan *p)
{
    uint32_t *n = p->type == REC_ACT_REDEPLOY ? &r->redeploys_in_flight : &r->restarts_in_flight;

    *n -= *n > 0;
}

void host_suppressed(struct recovery *r, struct plan *p, enum guard g)
{
    if (g == GUARD_NONE || (p->held_mask & (UINT32_C(1) << g)))
        return;
    p->held_mask |= UINT32_C(1) << g;
    r->suppressed[g]++;
}

/* ---- what the host is in, and until when */
void host_set_state(struct step *x)
{
    struct recovery *r = x->r;
    enum rec_host_state s = REC_HOST_NORMAL;

    if (r->engine_down)
        s = REC_HOST_ENGINE_DOWN;
    else if (r->settling_until_us > x->now_us)
        s = REC_HOST_SETTLING;
    else if (r->safe_until_us > x->now_us)
        s = REC_HOST_SAFE;
    else if (r->mass.on)
        s = REC_HOST_MASS_FAILURE;
    if (s == r->state)
        return;
    r->state = s;
    r->since_us = x->now_us;
}

uint64_t host_next(const struct recovery *r)
{
    const uint64_t ends[] = {r->settling_until_us, r->safe_until_us, r->grace_until_us, r->observe_until_us};
    uint64_t at = USEC_INFINITY, until;

    if (r->more)
        return r->now_us;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (ends[i] > r->now_us)
            at = MIN(at, ends[i]);
    if (r->mass.on) {
        at = MIN(at, r->mass.next_us);
        if (r->mass.below_since_us != USEC_INFINITY)
            at = MIN(at, time_add(r->mass.below_since_us, r->p.mass_exit_us));
    }
    for (enum queue q = 0; q < _QUEUE_MAX; q++)
        if (r->queues[q].head && host_gate(r, q, r->now_us, &until) != GUARD_NONE)
            at = MIN(at, until);
    return at;
}
