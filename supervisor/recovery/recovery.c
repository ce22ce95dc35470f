/* recovery.c: the entry of the room: who is watched, what the store remembered, and the order of one step.
 * The decisions are in component.c, ladder.c, tenant.c and host.c. */
#include "recovery/recovery_internal.h"

#include <errno.h>
#include <string.h>

struct recovery *recovery_new(const struct recovery_host_params *p, uint32_t starts_recent, uint64_t now_us)
{
    struct recovery *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    recovery_set_host_params(r, p);
    host_init(r, starts_recent, now_us);
    return r;
}

static struct rec_tenant *tenant_free(struct rec_tenant *t)
{
    if (!t)
        return NULL;
    for (uint32_t i = 0; i < t->n; i++)
        free(t->c[i]);
    free(t);
    return NULL;
}

struct recovery *recovery_free(struct recovery *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; i < r->n_slots; i++)
        tenant_free(r->tenants[i]);
    free(r->tenants);
    free(r->heap);
    free(r);
    return NULL;
}

static struct rec_tenant *find(const struct recovery *r, uint32_t tenant)
{
    return tenant < r->n_slots ? r->tenants[tenant] : NULL;
}

static int grow(struct recovery *r)
{
    size_t n = r->n_slots == 0 ? 16 : r->n_slots * 2;
    struct rec_tenant **tenants, **heap;

    if (n > UINT32_MAX)
        return -E2BIG;
    /* The heap first: if the second allocation fails, the first is merely larger than it needs to be. */
    heap = reallocarray(r->heap, n, sizeof(struct rec_tenant *));
    if (!heap)
        return -ENOMEM;
    r->heap = heap;
    tenants = reallocarray(r->tenants, n, sizeof(struct rec_tenant *));
    if (!tenants)
        return -ENOMEM;
    r->tenants = tenants;
    memset(tenants + r->n_slots, 0, (n - r->n_slots) * sizeof(struct rec_tenant *));
    r->n_slots = n;
    return 0;
}

int recovery_add_tenant(
    struct recovery *r, const char *slug, const struct recovery_params *p, uint32_t *ret_tenant)
{
    struct rec_tenant *t;
    size_t slot = r->n_slots;
    int k;

    if (strlen(slug) > SLUG_MAX)
        return -E2BIG;
    for (size_t i = r->n_slots; i-- > 0;) {
        if (!r->tenants[i])
            slot = i;
        else if (str_eq(r->tenants[i]->slug, slug))
            return -EEXIST;
    }
    if (slot == r->n_slots) {
        k = grow(r);
        if (k < 0)
            return k;
    }
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    memcpy(t->slug, slug, strlen(slug));
    t->index = (uint32_t)slot;
    t->p = *p;
    t->timer_us = USEC_INFINITY;
    t->heap_pos = SIZE_MAX;
    r->tenants[slot] = t;
    r->n_tenants++;
    *ret_tenant = t->index;
    return 0;
}

int recovery_remove_tenant(struct recovery *r, uint32_t tenant)
{
    struct rec_tenant *t = find(r, tenant);

    if (!t)
        return -ENOENT;
    tenant_forget(r, t);
    r->tenants[tenant] = NULL;
    r->n_tenants--;
    tenant_free(t);
    return 0;
}

static void copy_component_params(struct component *c, const struct rec_component_params *p)
{
    size_t n = strnlen(p->name, REC_NAME_MAX - 1);

    memmove(c->name, p->name, n);
    c->name[n] = '\0';
    c->p = *p;
    c->own_rp = p->recovery != NULL;
    c->rp = p->recovery ? *p->recovery : c->t->p;
    c->p.recovery = NULL; /* was the caller's */
    c->p.name = c->name;
    c->p.fall = MAX(p->fall, 1);
    c->p.rise = MAX(p->rise, 1);
    c->p.interval_us = MAX(p->interval_us, USEC_PER_MSEC);
    c->p.start_deadline_us = MAX(p->start_deadline_us, USEC_PER_MSEC);
    c->p.after &= ~(UINT32_C(1) << c->index); /* waiting for itself would be for ever */
}

static void put_in_quarantine(struct step *x, struct component *c)
{
    if (c->p.kind == REC_KIND_PROXY)
        return; /* a proxy is simply launched; if it keeps dying it will be back there soon */
    component_enter(x, c, REC_QUARANTINED, "quarantined before our start");
    c->quarantined = true;
    c->half_open_us = c->deadline_us =
        time_add(c->t->restored_us, c->rp.half_open_us - MIN(c->t->restored_age_us, c->rp.half_open_us));
    c->start_again_us = time_add(x->now_us, c->rp.start_again_us);
    c->starts_again = 1;
}

static void put_in_hold(struct step *x, struct component *c)
{
    if (c->p.kind == REC_KIND_PROXY || c->quarantined)
        return;
    component_enter(x, c, REC_HELD, "stopped by an operator before our start");
    c->deadline_us = c->t->restored_hold_until_us;
}

int recovery_add_component(
    struct recovery *r, uint32_t tenant, const struct rec_component_params *p, uint32_t *ret_component)
{
    struct rec_tenant *t = find(r, tenant);
    struct step x = {.r = r, .now_us = r->now_us};
    struct component *c;

    if (!t)
        return -ENOENT;
    if (t->n == RECOVERY_COMPONENTS_MAX)
        return -E2BIG;
    for (uint32_t i = 0; i < t->n; i++)
        if (strncmp(t->c[i]->name, p->name, REC_NAME_MAX - 1) == 0)
            return -EEXIST;
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    component_init(c, t, t->n, r->now_us);
    copy_component_params(c, p);
    t->c[t->n++] = c;
    if (t->restored_quarantine)
        put_in_quarantine(&x, c);
    if (t->restored_hold_until_us > r->now_us)
        put_in_hold(&x, c);
    tenant_rearm(&x, t);
    *ret_component = c->index;
    return 0;
}

int recovery_set_params(struct recovery *r, uint32_t tenant, const struct recovery_params *p)
{
    struct rec_tenant *t = find(r, tenant);

    if (!t)
        return -ENOENT;
    t->p = *p;
    for (uint32_t i = 0; i < t->n; i++)
        if (!t->c[i]->own_rp)
            t->c[i]->rp = *p;
    return 0;
}

int recovery_set_component_params(
    struct recovery *r, uint32_t tenant, uint32_t component, const struct rec_component_params *p)
{
    struct rec_tenant *t = find(r, tenant);

    if (!t || component >= t->n)
        return -ENOENT;
    copy_component_params(t->c[component], p);
    return 0;
}

void recovery_set_host_params(struct recovery *r, const struct recovery_host_params *p)
{
    r->p = *p;
    r->p.bucket_refill_us = MAX(p->bucket_refill_us, 1);
    r->tokens = MIN(r->tokens, p->bucket_size);
}

/* ---- what the store remembered */
static void restore_attempt(struct component *c, enum rec_level level, uint64_t age_us)
{
    if (level < REC_L1 || level > REC_L3 || c->p.kind == REC_KIND_PROXY || age_us >= c->rp.deescalate_us)
        return;
    c->tries[level]++;
    c->level = MAX(c->level, level);
}

int recovery_restore_action(struct recovery *r, uint32_t tenant, uint32_t component,
    enum rec_action_type type, enum rec_level level, uint64_t age_us, uint64_t now_us)
{
    struct rec_tenant *t = find(r, tenant);
    int64_t at;

    if (!t || component >= t->n)
        return -ENOENT;
    if (age_us >= USEC_PER_DAY)
        return 0;
    at = (int64_t)now_us - (int64_t)age_us;
    if (type == REC_ACT_RESTART || (type == REC_ACT_BRING_UP && t->c[component]->p.kind == REC_KIND_PROXY)) {
        history_add(&t->c[component]->restarts, at);
    } else if (type == REC_ACT_RESTART_ALL) {
        for (uint32_t i = 0; i < t->n; i++)
            history_add(&t->c[i]->restarts, at);
    } else if (type == REC_ACT_REDEPLOY) {
        history_add(&t->redeploys, at);
    } else if (type == REC_ACT_BRING_UP && age_us < t->c[component]->rp.deescalate_us) {
        t->c[component]->bring_ups++;
    }
    if (type == REC_ACT_RESTART || type == REC_ACT_RESTART_ALL || type == REC_ACT_REDEPLOY)
        restore_attempt(t->c[component], level, age_us);
    return 0;
}

int recovery_restore_quarantine(struct recovery *r, uint32_t tenant, uint64_t age_us, uint64_t now_us)
{
    struct rec_tenant *t = find(r, tenant);
    struct step x = {.r = r, .now_us = now_us};

    if (!t)
        return -ENOENT;
    t->restored_quarantine = true;
    t->quarantine_since_us = now_us > age_us ? now_us - age_us : 0;
    t->restored_us = now_us;
    t->restored_age_us = age_us;
    for (uint32_t i = 0; i < t->n; i++)
        put_in_quarantine(&x, t->c[i]);
    tenant_rearm(&x, t);
    return 0;
}

int recovery_restore_hold(
    struct recovery *r, uint32_t tenant, bool pause, uint64_t remaining_us, uint64_t now_us)
{
    struct rec_tenant *t = find(r, tenant);
    struct step x = {.r = r, .now_us = now_us};

    if (!t)
        return -ENOENT;
    if (remaining_us == 0)
        return 0;
    if (pause) {
        t->pause_until_us = time_add(now_us, MIN(remaining_us, USEC_PER_DAY));
        return 0;
    }
    t->restored_hold_until_us = time_add(now_us, MIN(remaining_us, USEC_PER_DAY));
    for (uint32_t i = 0; i < t->n; i++)
        put_in_hold(&x, t->c[i]);
    tenant_rearm(&x, t);
    return 0;
}

/* ---- one step */
static void on_probe(struct step *x, struct component *c, enum rec_probe result, uint64_t started_us)
{
    struct recovery *r = x->r;

    if (started_us < MAX(c->void_before_us, r->void_before_us))
        return; /* it speaks of what was there before */
    x->started_us = started_us;
    if (c->epoch != r->epoch) {
        c->epoch = r->epoch;
        c->fails = 0;
    }
    if (result == REC_PROBE_OK)
        component_input(x, c, IN_OK);
    else if (result == REC_PROBE_FAIL && !r->engine_down)
        component_input(x, c, IN_FAIL);
}

static void on_observed(struct step *x, struct component *c, const struct rec_event *ev)
{
    static const enum input inputs[_REC_PRESENCE_MAX] = {
        [REC_MISSING] = IN_MISSING,
        [REC_STOPPED] = IN_STOPPED,
        [REC_RUNNING] = IN_RUNNING,
        [REC_PAUSED] = IN_ODD,
        [REC_RESTARTING] = IN_ODD,
    };
    enum rec_presence presence = ev->observed.presence;
    uint64_t count = ev->observed.restart_count;

    if (presence == REC_PRESENCE_UNKNOWN || presence >= _REC_PRESENCE_MAX)
        return;
    x->delta = c->has_restart_count && count > c->restart_count ? count - c->restart_count : 0;
    c->has_restart_count = true;
    c->restart_count = count;
    if (c->state == REC_RECOVERING)
        return; /* in the middle of an action every sight is true for a moment only */
    x->was = c->presence;
    x->listed = true;
    x->started_us = x->now_us;
    c->presence = presence;
    component_input(x, c, inputs[presence]);
    if (x->delta > 0)
        component_input(x, c, IN_ENGINE_RESTARTED);
    /* The engine's own health check counts where no probe of ours says otherwise. */
    if (ev->observed.unhealthy && c->oks == 0)
        component_input(x, c, IN_FAIL);
}

static void on_exit_event(struct step *x, struct component *c, const struct rec_event *ev)
{
    if (ev->exit.ours)
        return;
    x->oom = ev->exit.oom;
    component_input(x, c, ev->exit.operator_stop ? IN_STOPPED_BY_OPERATOR : IN_EXIT);
}

static void on_tenant_event(struct step *x, const struct rec_event *ev)
{
    struct rec_tenant *t = find(x->r, ev->tenant);

    if (!t)
        return;
    if (ev->type == REC_EV_OPERATOR) {
        operator_verb(x, t, ev->component, ev->op.op, ev->op.for_us);
    } else if (ev->component < t->n) {
        if (ev->type == REC_EV_PROBE)
            on_probe(x, t->c[ev->component], ev->probe.result, ev->probe.started_us);
        else if (ev->type == REC_EV_OBSERVED)
            on_observed(x, t->c[ev->component], ev);
        else if (ev->type == REC_EV_EXIT)
            on_exit_event(x, t->c[ev->component], ev);
        else if (ev->type == REC_EV_DONE)
            tenant_done(x, t, ev->component, ev->done.action, ev->done.result);
    }
    tenant_settle(x, t);
}

/* Every tenant whose time has come, as long as there is room for what it may put out. */
static void run_timers(struct step *x, double jitter)
{
    struct rec_tenant *t;

    while ((t = timers_top(x->r)) && t->timer_us <= x->now_us && step_has_room(x)) {
        /* One draw serves many tenants: the golden ratio spreads them evenly. */
        x->jitter = jitter + (double)t->index * 0.6180339887498949;
        x->jitter -= (double)(uint64_t)x->jitter;
        tenant_timer(x, t);
    }
    x->jitter = jitter;
}

void recovery_step(struct recovery *r, const struct rec_event *ev, uint64_t now_us, struct rec_actions *out)
{
    /* The clock never runs backwards in here, whatever the caller says; NaN compares false. */
    struct step x = {
        .r = r,
        .now_us = MAX(now_us, r->now_us),
        .jitter = ev->jitter >= 0 && ev->jitter < 1 ? ev->jitter : 0,
        .out = out,
    };

    out->n = 0;
    r->now_us = x.now_us;
    host_clock(&x);
    switch (ev->type) {
    case REC_EV_PROBE:
    case REC_EV_OBSERVED:
    case REC_EV_EXIT:
    case REC_EV_DONE:
    case REC_EV_OPERATOR:
        on_tenant_event(&x, ev);
        break;
    case REC_EV_ENGINE:
        host_engine(&x, ev->engine.result, ev->engine.hung);
        break;
    case REC_EV_TIME_JUMP:
        host_time_jump(&x);
        break;
    case REC_EV_TICK:
    case _REC_EVENT_TYPE_MAX:
    default:
        break;
    }
    host_mass(&x);
    run_timers(&x, x.jitter);
    host_mass(&x);
    host_drain(&x);
    host_set_state(&x);
}

uint64_t recovery_next(const struct recovery *r)
{
    const struct rec_tenant *t = timers_top(r);

    return MIN(t ? t->timer_us : USEC_INFINITY, host_next(r));
}

uint64_t recovery_probe_interval(const struct recovery *r, uint32_t tenant, uint32_t component)
{
    const struct rec_tenant *t = find(r, tenant);
    const struct component *c;
    uint64_t fast;

    if (!t || component >= t->n)
        return USEC_INFINITY;
    c = t->c[component];
    fast = MIN(c->rp.fast_probe_us, c->p.interval_us);
    if (c->state == REC_QUARANTINED)
        return c->rp.quarantine_probe_us;
    if (c->fails > 0 && c->fails < c->p.fall)
        return fast;
    /* On the way up: a proxy starts in milliseconds and others wait for it; a first success is confirmed. */
    if ((c->state == REC_STARTING || c->state == REC_VERIFYING) && !c->up &&
        (c->p.kind == REC_KIND_PROXY || c->seen_ok))
        return fast;
    return c->p.interval_us;
}
