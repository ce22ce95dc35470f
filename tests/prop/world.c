/* world.c: the clock of the model, what happens next in it, the daemon's driver around the core, its store,
 * its crashes and its starts. */
#include "model.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- chance (splitmix64) */
static uint64_t next_random(struct world *w)
{
    uint64_t z = (w->rng += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t rnd(struct world *w, uint64_t n)
{
    return n == 0 ? 0 : next_random(w) % n;
}

bool chance(struct world *w, unsigned percent)
{
    return rnd(w, 100) < percent;
}

uint64_t between(struct world *w, uint64_t a_us, uint64_t b_us)
{
    return a_us + rnd(w, b_us - a_us + 1);
}

static double jitter(struct world *w)
{
    /* The ends of the range are where mistakes are. */
    if (chance(w, 5))
        return 0;
    return (double)rnd(w, UINT64_C(1) << 32) / 4294967296.0;
}

uint64_t core_now(const struct world *w)
{
    return w->now - w->base;
}

void world_note(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (!w->verbose)
        return;
    (void)printf("%12.3f  ", (double)w->now / 1e6);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
}

/* ---- what is written down */
bool world_write(struct world *w)
{
    if (w->crash_now)
        return false;
    if (w->crash_in < 0)
        return true;
    if (w->crash_in-- > 0)
        return true;
    w->crash_now = true;
    return false;
}

static void write_intent(struct world *w, const struct rec_action *a)
{
    if (w->n_rows == ROWS_MAX) {
        memmove(&w->rows[0], &w->rows[1], (ROWS_MAX - 1) * sizeof(w->rows[0]));
        w->n_rows--;
    }
    w->rows[w->n_rows++] = (struct row){
        a->tenant, a->component, a->type, strcmp(a->reason, "operator") == 0 ? REC_L0 : a->level, w->now};
}

void world_unwrite(struct world *w, const struct rec_action *a)
{
    for (uint32_t i = w->n_rows; i-- > 0;) {
        const struct row *r = &w->rows[i];

        if (r->tenant != a->tenant || r->component != a->component || r->type != a->type)
            continue;
        memmove(&w->rows[i], &w->rows[i + 1], (w->n_rows - i - 1) * sizeof(w->rows[0]));
        w->n_rows--;
        return;
    }
}

/* As the daemon does it: after each step, what changed of the event's tenant, or of all. */
static void publish(struct world *w, struct tenant *t)
{
    struct rec_tenant_view v;
    int64_t now = (int64_t)w->now;

    recovery_tenant_view(w->r, t->index, core_now(w), &v);
    if (v.quarantine_kept != t->told_quarantined && world_write(w)) {
        t->quarantine_since = v.quarantine_kept ? now - (int64_t)(core_now(w) - v.quarantine_since_us) : 0;
        t->told_quarantined = v.quarantine_kept;
    }
    if (v.pause_until_us != t->told_pause && world_write(w)) {
        t->pause_until = v.paused ? now + (int64_t)(v.pause_until_us - core_now(w)) : 0;
        t->told_pause = v.pause_until_us;
    }
    if (v.held_until_us != t->told_hold && world_write(w)) {
        t->hold_until = v.held ? now + (int64_t)(v.held_until_us - core_now(w)) : 0;
        t->told_hold = v.held_until_us;
    }
}

/* ---- one step of the core */
static struct tenant *tenant_of(struct world *w, uint32_t index)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->t[i].on && w->t[i].index == index)
            return &w->t[i];
    return NULL;
}

static void act(struct world *w, const struct rec_action *a)
{
    struct tenant *t = tenant_of(w, a->tenant);

    if (a->type == REC_ACT_RELIST) {
        w->relist_at = MIN(w->relist_at, w->now + SEC / 20);
        return;
    }
    if (!t)
        return;
    check_action(w, a, false);
    if (w->verbose)
        world_note(w, "%s/%s: %s %s %u/%u: %s", t->slug, a->component == PROXY ? "proxy" : "gateway",
            rec_action_type_to_string(a->type), rec_level_to_string(a->level), a->attempt, a->attempts,
            a->reason);
    if (a->type == REC_ACT_PROBE_NOW) {
        t->part[a->component].probe_at = MIN(t->part[a->component].probe_at, w->now + 1);
    } else if (a->type != REC_ACT_ALERT) {
        w->actions++;
        if (!world_write(w))
            return; /* no intent, no action */
        write_intent(w, a);
        check_action(w, a, true);
        op_begin(w, t, a);
    }
}

static void step(struct world *w, struct rec_event *ev)
{
    struct rec_actions out;
    struct tenant *t = tenant_of(w, ev->tenant);
    bool wide = ev->type == REC_EV_TICK || ev->type == REC_EV_ENGINE || ev->type == REC_EV_TIME_JUMP;

    w->events++;
    ev->jitter = jitter(w);
    check_event(w, ev);
    recovery_step(w->r, ev, core_now(w), &out);
    if (wide) {
        for (uint32_t i = 0; i < w->n; i++)
            if (w->t[i].on)
                publish(w, &w->t[i]);
    } else if (t) {
        publish(w, t);
    }
    for (size_t i = 0; i < out.n && !w->crash_now && !w->failed; i++)
        act(w, &out.a[i]);
    if (!w->crash_now)
        check_after(w);
}

static bool due(const struct world *w)
{
    return w->r && recovery_next(w->r) <= core_now(w);
}

void world_deliver(struct world *w, struct rec_event ev)
{
    unsigned n = 0;

    if (!w->r || w->failed)
        return;
    step(w, &ev);
    while (!w->crash_now && !w->failed && due(w)) {
        struct rec_event tick = {.type = REC_EV_TICK};

        if (++n > 1000) {
            violation(w, INV_LIVENESS, "the core asks for ticks without end");
            return;
        }
        step(w, &tick);
    }
    if (w->crash_now && w->r)
        world_crash(w, false);
}

/* ---- the daemon comes and goes */
void world_crash(struct world *w, bool reboot)
{
    world_note(w, reboot ? "the host is rebooted" : "the daemon crashes");
    w->crashes++;
    w->r = recovery_free(w->r);
    w->crash_now = false;
    w->crash_in = -1;
    for (uint32_t i = 0; i < w->n; i++) {
        struct tenant *t = &w->t[i];

        for (int k = 0; k < 3; k++)
            op_abandon(w, t, k);
        for (int k = 0; k < 2; k++)
            t->part[k].exit_at = t->part[k].probe_at = NEVER;
        if (reboot || chance(w, 5)) {
            t->part[PROXY].running = false;
            t->part[PROXY].dies_at = NEVER;
        }
        if (reboot && gateway_running(t) >= 0)
            part_died(w, t, GATEWAY, false, false);
    }
    if (reboot)
        w->base = w->now; /* the monotonic clock begins anew */
    w->restart_at = w->now + between(w, SEC / 20, 20 * SEC);
    w->ping_at = w->relist_at = NEVER;
    for (uint32_t i = 0; i < w->n; i++)
        w->t[i].part[PROXY].lazy = w->t[i].part[GATEWAY].lazy = false;
}

static void restore(struct world *w, struct tenant *t)
{
    uint64_t now = core_now(w);

    for (uint32_t i = 0; i < w->n_rows; i++) {
        const struct row *r = &w->rows[i];

        if (r->tenant == t->index && w->now - r->at < USEC_PER_DAY)
            (void)recovery_restore_action(
                w->r, t->index, r->component, r->type, r->level, w->now - r->at, now);
    }
    if (t->quarantine_since > 0)
        (void)recovery_restore_quarantine(w->r, t->index, w->now - (uint64_t)t->quarantine_since, now);
    if (t->pause_until > (int64_t)w->now)
        (void)recovery_restore_hold(w->r, t->index, true, (uint64_t)t->pause_until - w->now, now);
    if (t->hold_until > (int64_t)w->now)
        (void)recovery_restore_hold(w->r, t->index, false, (uint64_t)t->hold_until - w->now, now);
    t->told_quarantined = t->quarantine_since > 0;
    t->told_pause = t->told_hold = 0;
}

static void forget_rows(struct world *w, uint32_t tenant)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n_rows; i++)
        if (w->rows[i].tenant != tenant)
            w->rows[n++] = w->rows[i];
    w->n_rows = n;
}

static struct rec_component_params params_of(const struct world *w, int part)
{
    return (struct rec_component_params){.name = part == PROXY ? "proxy" : "gateway",
        .kind = part == PROXY ? REC_KIND_PROXY : REC_KIND_CONTAINER,
        .fall = w->p.fall,
        .rise = w->p.rise,
        .interval_us = w->interval_us,
        .start_deadline_us = w->deadline_us[part],
        .after = part == PROXY ? 0 : 1U << PROXY};
}

void world_slow_down(struct world *w)
{
    w->interval_us = MAX(w->interval_us, MINUTE);
    w->deadline_us[PROXY] = MAX(w->deadline_us[PROXY], 3 * w->interval_us);
    w->deadline_us[GATEWAY] = MAX(w->deadline_us[GATEWAY], 8 * w->interval_us);
    for (uint32_t i = 0; w->r && i < w->n; i++)
        for (int k = 0; k < 2; k++) {
            struct rec_component_params p = params_of(w, k);

            if (recovery_set_component_params(w->r, w->t[i].index, (uint32_t)k, &p) < 0)
                abort();
        }
}

static void join(struct world *w, struct tenant *t)
{
    struct rec_component_params p = params_of(w, PROXY);
    uint32_t c;

    if (recovery_add_tenant(w->r, t->slug, &w->p, &t->index) < 0 ||
        recovery_add_component(w->r, t->index, &p, &c) < 0 || c != PROXY)
        abort();
    p = params_of(w, GATEWAY);
    if (recovery_add_component(w->r, t->index, &p, &c) < 0 || c != GATEWAY)
        abort();
    t->on = true;
}

static void seen(struct world *w, struct tenant *t, int part)
{
    struct rec_event ev = {.type = REC_EV_OBSERVED, .tenant = t->index, .component = (uint32_t)part};
    enum rec_state before = t->s[part].state;

    ev.observed.presence = lazy_presence(t, part);
    ev.observed.restart_count = t->part[part].restart_count;
    world_deliver(w, ev);
    if (part != GATEWAY)
        return;
    t->told_presence = ev.observed.presence;
    t->told_count = ev.observed.restart_count;
    /* In another state the same may mean something else: it is told once more. */
    t->told_state = w->r && before == t->s[part].state ? before : _REC_STATE_MAX;
}

static void begin_tenant(struct world *w, struct tenant *t)
{
    t->part[PROXY].probe_at = w->now + between(w, 1000, SEC / 4);
    t->part[GATEWAY].probe_at = w->now + between(w, SEC / 10, w->interval_us);
    seen(w, t, PROXY);
}

void world_add_tenant(struct world *w, uint32_t i)
{
    struct tenant *t = &w->t[i];

    *t = (struct tenant){.index = UINT32_MAX, .told_state = _REC_STATE_MAX};
    (void)snprintf(t->slug, sizeof(t->slug), "t%u", i);
    for (int k = 0; k < 2; k++)
        t->part[k] = (struct part){.dies_at = NEVER, .probe_at = NEVER, .exit_at = NEVER, .cure = REC_L4};
    if (!w->r) {
        t->on = true;
        return;
    }
    join(w, t);
    forget_rows(w, t->index);
    check_forget(w, t);
    begin_tenant(w, t);
}

void world_boot(struct world *w)
{
    uint32_t recent = 0;

    if (w->n_starts == ARRAY_SIZE(w->starts)) {
        memmove(&w->starts[0], &w->starts[1], sizeof(w->starts) - sizeof(w->starts[0]));
        w->n_starts--;
    }
    w->starts[w->n_starts++] = w->now;
    for (uint32_t i = 0; i < w->n_starts; i++)
        recent += w->now - w->starts[i] < w->hp.safe_window_us;
    w->restart_at = NEVER;
    w->safe_until = recent >= w->hp.safe_starts ? w->now + w->hp.safe_us : 0;
    w->r = recovery_new(&w->hp, recent, core_now(w));
    if (!w->r)
        abort();
    world_note(w, "the daemon starts%s", w->safe_until ? ", in safe mode" : "");
    for (uint32_t i = 0; i < w->n; i++)
        join(w, &w->t[i]);
    for (uint32_t i = 0; i < w->n; i++)
        restore(w, &w->t[i]);
    check_boot(w);
    w->ping_at = w->now + 1000;
    w->relist_at = w->now + SEC / 10;
    for (uint32_t i = 0; i < w->n; i++)
        w->t[i].told_state = _REC_STATE_MAX;
    for (uint32_t i = 0; i < w->n && w->r; i++)
        begin_tenant(w, &w->t[i]);
}

/* ---- what happens by itself */
static enum rec_probe truth(struct world *w, const struct tenant *t, int part)
{
    const struct part *p = &t->part[part];
    bool runs = part == PROXY ? p->running : gateway_running(t) >= 0;

    if (p->fault == FAULT_BLIND || chance(w, 1))
        return REC_PROBE_UNKNOWN;
    if (!runs || w->now < p->healthy_at || p->fault == FAULT_HANG)
        return REC_PROBE_FAIL;
    return p->fault == FAULT_FLAKY && chance(w, 50) ? REC_PROBE_FAIL : REC_PROBE_OK;
}

static void probe(struct world *w, struct tenant *t, int part)
{
    struct part *p = &t->part[part];
    uint64_t took, armed = w->now - MAX(p->probed_at, w->base);
    struct rec_event ev = {.type = REC_EV_PROBE, .tenant = t->index, .component = (uint32_t)part};
    enum rec_probe result;

    if (p->fault == FAULT_FLAKY && !w->dense && w->now > p->flaky_until)
        p->fault = FAULT_NONE;
    result = truth(w, t, part);
    took = result == REC_PROBE_FAIL && p->fault == FAULT_HANG ? (part == PROXY ? SEC : 3 * SEC)
                                                              : between(w, 200, 20000);
    p->blind = result == REC_PROBE_UNKNOWN ? p->blind + 1 : 0;
    took = MIN(MIN(took, armed), core_now(w));
    ev.probe.result = result;
    ev.probe.started_us = core_now(w) - took;
    p->probed_at = w->now;
    p->probe_at = NEVER;
    world_deliver(w, ev);
    if (!w->r || !t->on)
        return;
    lazy_plan_probe(w, t, part, took);
}

static void relist(struct world *w)
{
    bool all = w->now >= w->list_all_at;

    if (all)
        w->list_all_at = w->now + between(w, 10 * MINUTE, HOUR);
    w->relist_at = NEVER;
    for (uint32_t i = 0; i < w->n && w->r && w->engine_up && !w->engine_hung; i++) {
        struct tenant *t = &w->t[i];

        if (!t->on)
            continue;
        if (op_leftover(t))
            op_resume(w, t);
        else
            t->resume_at = t->resume_delay = 0;
        if (all || !lazy_listed(w, t))
            seen(w, t, GATEWAY);
    }
    if (w->r) {
        uint64_t asked = w->relist_at; /* by the core, meanwhile */

        lazy_plan_list(w);
        w->relist_at = MIN(w->relist_at, asked);
    }
}

static void ping(struct world *w)
{
    struct rec_event ev = {.type = REC_EV_ENGINE};

    if (!w->engine_up && w->now >= w->engine_back_at) {
        w->engine_up = true;
        w->engine_hung = false;
        lazy_wake_all(w);
    }
    ev.engine.result = chance(w, 1)                      ? REC_PROBE_UNKNOWN
                       : w->engine_up && !w->engine_hung ? REC_PROBE_OK
                                                         : REC_PROBE_FAIL;
    ev.engine.hung = ev.engine.result == REC_PROBE_FAIL && w->engine_hung;
    w->ping_at = NEVER;
    world_deliver(w, ev);
    if (w->r)
        lazy_plan_ping(w);
}

static void dies(struct world *w, struct tenant *t, int part)
{
    struct part *p = &t->part[part];

    if (p->fault == FAULT_LOOP && part == GATEWAY && w->engine_up) {
        p->restart_count++;
        part_started(w, t, part);
        if (chance(w, 70))
            world_deliver(
                w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t->index, .component = GATEWAY});
        if (w->r && t->on)
            seen(w, t, part);
        return;
    }
    part_died(w, t, part, false, chance(w, 90));
}

static void exit_told(struct world *w, struct tenant *t, int part)
{
    struct part *p = &t->part[part];
    struct rec_event ev = {.type = REC_EV_EXIT, .tenant = t->index, .component = (uint32_t)part};

    ev.exit.operator_stop = p->exit_operator;
    ev.exit.oom = chance(w, 10);
    /* During an action of ours every exit of that component counts as ours. */
    ev.exit.ours = part == GATEWAY && (t->op[GATEWAY].on || t->op[RESUMED].on) && chance(w, 50);
    p->exit_at = NEVER;
    world_deliver(w, ev);
    if (w->r && t->on && part == GATEWAY && w->engine_up)
        seen(w, t, part);
}

/* ---- the next thing */
struct next {
    uint64_t at;
    void (*fn)(struct world *w, struct tenant *t, int part);
    struct tenant *t;
    int part;
};

static void earlier(struct next *n, uint64_t at, void (*fn)(struct world *w, struct tenant *t, int part),
    struct tenant *t, int part)
{
    if (at < n->at)
        *n = (struct next){at, fn, t, part};
}

static void do_ping(struct world *w, struct tenant *t, int part)
{
    (void)t;
    (void)part;
    ping(w);
}

static void do_relist(struct world *w, struct tenant *t, int part)
{
    (void)t;
    (void)part;
    relist(w);
}

static void do_weather(struct world *w, struct tenant *t, int part)
{
    (void)t;
    (void)part;
    w->weather_at = w->now + between(w, w->weather_gap_us / 20, w->weather_gap_us * 2);
    if (!w->dense && chance(w, 16)) { /* a quiet time */
        w->weather_at = w->now + between(w, 20 * MINUTE, 6 * HOUR);
        w->calm_at = w->now + between(w, MINUTE, chance(w, 80) ? 20 * MINUTE : 2 * HOUR);
    }
    weather(w);
}

static void do_calm(struct world *w, struct tenant *t, int part)
{
    (void)t;
    (void)part;
    w->calm_at = NEVER;
    weather_calm(w);
}

static void do_boot(struct world *w, struct tenant *t, int part)
{
    (void)t;
    (void)part;
    world_boot(w);
}

static void do_tick(struct world *w, struct tenant *t, int part)
{
    (void)t;
    (void)part;
    world_deliver(w, (struct rec_event){.type = REC_EV_TICK});
}

bool world_next(struct world *w, uint64_t until)
{
    struct next n = {.at = NEVER};

    for (uint32_t i = 0; i < w->n; i++) {
        struct tenant *t = &w->t[i];

        if (!t->on)
            continue;
        for (int k = 0; k < 2; k++) {
            earlier(&n, t->part[k].dies_at, dies, t, k);
            earlier(&n, t->part[k].exit_at, exit_told, t, k);
            earlier(&n, t->part[k].probe_at, probe, t, k);
        }
        for (int k = 0; k < 3; k++)
            if (t->op[k].on)
                earlier(&n, t->op[k].at, op_advance, t, k);
    }
    earlier(&n, w->ping_at, do_ping, NULL, 0);
    earlier(&n, w->relist_at, do_relist, NULL, 0);
    earlier(&n, w->weather_at, do_weather, NULL, 0);
    earlier(&n, w->calm_at, do_calm, NULL, 0);
    earlier(&n, w->restart_at, do_boot, NULL, 0);
    if (w->r && recovery_next(w->r) != USEC_INFINITY)
        earlier(&n, recovery_next(w->r) + w->base, do_tick, NULL, 0);
    if (!n.fn || n.at > until) {
        w->now = MAX(w->now, until);
        return false;
    }
    w->now = MAX(w->now, n.at);
    n.fn(w, n.t, n.part);
    return !w->failed;
}

/* ---- a new world */
static void vary(struct world *w)
{
    struct recovery_params *p = &w->p;
    struct err e = {0};

    p->fall = 1 + (uint32_t)rnd(w, 5);
    p->rise = 1 + (uint32_t)rnd(w, 4);
    p->restarts_per_hour = 1 + (uint32_t)rnd(w, 8);
    p->restarts_per_day = p->restarts_per_hour + (uint32_t)rnd(w, 20);
    p->redeploys_per_day = (uint32_t)rnd(w, 4);
    p->relaunches_per_minute = (uint32_t)rnd(w, 5);
    p->relaunches_per_hour = p->relaunches_per_minute + (uint32_t)rnd(w, 20);
    p->l1.attempts = (uint32_t)rnd(w, 5);
    p->l2.attempts = (uint32_t)rnd(w, 4);
    p->l3.attempts = (uint32_t)rnd(w, 4);
    p->half_open_us = between(w, HOUR, 8 * HOUR);
    w->hp.restarts_in_flight = 1 + (uint32_t)rnd(w, 4);
    w->hp.bucket_size = 1 + (uint32_t)rnd(w, 6);
    w->hp.engine_fall = 1 + (uint32_t)rnd(w, 4);
    if (recovery_params_validate(p, &e) < 0 || recovery_host_params_validate(&w->hp, &e) < 0)
        abort();
}

void world_init(struct world *w, uint64_t seed, bool dense, bool verbose)
{
    static const uint64_t intervals[] = {2 * SEC, 2 * SEC, 5 * SEC, 10 * SEC, 30 * SEC};
    static const uint64_t gaps[] = {5 * SEC, 20 * SEC, 60 * SEC, 5 * MINUTE};

    struct row *rows = w->rows;

    memset(w, 0, offsetof(struct world, t)); /* tenants are begun one by one */
    w->rows = rows;
    w->seed = w->rng = seed;
    w->engine_up = true;
    w->crash_in = -1;
    w->restart_at = w->calm_at = NEVER;
    w->dense = dense;
    w->verbose = verbose;
    w->now = USEC_PER_DAY * 20000; /* the host's real time; the core sees the time since the boot */
    w->base = w->now - between(w, 10 * SEC, 10 * USEC_PER_DAY);
    recovery_params_default(&w->p);
    recovery_host_params_default(&w->hp);
    if (chance(w, 25))
        vary(w);
    w->interval_us = intervals[rnd(w, ARRAY_SIZE(intervals))];
    w->deadline_us[PROXY] = MAX(10 * SEC, 3 * w->interval_us);
    w->deadline_us[GATEWAY] = chance(w, 70) ? MAX(60 * SEC, 5 * w->interval_us) : 300 * SEC;
    w->n = 1 + (uint32_t)(chance(w, 30) ? rnd(w, TENANTS_MAX) : rnd(w, 5));
    w->weather_gap_us = gaps[rnd(w, ARRAY_SIZE(gaps))];
    w->weather_at = w->now + between(w, SEC, 2 * MINUTE);
    w->ping_at = w->relist_at = NEVER;
    world_note(w,
        "%u tenants, probes every %.0f s, fall %u, rise %u, L1 x%u, L2 x%u, L3 x%u, budgets %u/h %u/d %u/d",
        w->n, (double)w->interval_us / 1e6, w->p.fall, w->p.rise, w->p.l1.attempts, w->p.l2.attempts,
        w->p.l3.attempts, w->p.restarts_per_hour, w->p.restarts_per_day, w->p.redeploys_per_day);
    for (uint32_t i = 0; i < w->n; i++)
        world_add_tenant(w, i);
    /* An update of a running host, a first start, or something between the two. */
    for (uint32_t i = 0; i < w->n; i++)
        if (chance(w, 50)) {
            w->t[i].g[0] = (struct container){.exists = true, .running = chance(w, 80), .name = CNAME};
            if (w->t[i].g[0].running)
                part_started(w, &w->t[i], GATEWAY);
        }
    world_boot(w);
}
