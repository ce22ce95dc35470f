/* clawsup.c: ours: the recovery core that the daemon links, with the daemon's driver around it in miniature:
 * probes, pings, relists, and actions step by step. Its numbers are the defaults of the configuration. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMER_TICK, TIMER_PING, TIMER_RELIST, TIMER_LIST, TIMER_EXIT, TIMER_OP };
#define PING_US (2 * SEC)
#define RELIST_US (30 * SEC)

enum phase {
    PHASE_NONE,
    PHASE_ACT,    /* the part is being stopped and started */
    PHASE_PROXY,  /* L2: the proxy is */
    PHASE_SERVES, /* L2: until the proxy serves */
    PHASE_CREATE, /* L3: the new container is made */
    PHASE_VERIFY, /* L3: until it serves */
    PHASE_BACK,   /* L3: the old one is started again */
    PHASE_GONE,   /* the engine is not there */
};

struct op {
    struct rec_action a;
    enum phase phase;
    uint64_t until_us;
};

struct ours {
    struct recovery *r;
    struct op *op; /* by part: an action is its component's */
    uint64_t tick_us, n_draws;
    uint32_t rise;
    bool pinging, listing;
};

/* ---- the core */
static void begin_action(struct sim *s, const struct rec_action *a);

static void plan_tick(struct sim *s, struct ours *o)
{
    uint64_t at = recovery_next(o->r);

    if (at == NEVER || at >= o->tick_us)
        return;
    o->tick_us = at > s->now ? at : s->now;
    sim_at(s, o->tick_us, EV_POLICY, 0, 0, TIMER_TICK);
}

static void feed(struct sim *s, struct rec_event ev)
{
    struct ours *o = s->state;
    struct rec_actions out;

    ev.jitter = sim_draw(s, o->n_draws++, 7, 7);
    recovery_step(o->r, &ev, s->now, &out);
    for (size_t i = 0; i < out.n; i++)
        begin_action(s, &out.a[i]);
    plan_tick(s, o);
}

static void feed_part(struct sim *s, const struct part *p, struct rec_event ev)
{
    ev.tenant = p->index / PARTS;
    ev.component = p->index % PARTS;
    feed(s, ev);
}

/* ---- actions */
static void op_at(struct sim *s, struct part *p, enum phase phase, uint64_t after_us)
{
    struct ours *o = s->state;

    o->op[p->index].phase = phase;
    sim_at(s, s->now + after_us, EV_POLICY, p->index, 0, TIMER_OP);
}

static void op_finish(struct sim *s, struct part *p, enum rec_done result)
{
    struct ours *o = s->state;
    struct op *op = &o->op[p->index];
    uint64_t id = op->a.id;

    op->phase = PHASE_NONE;
    feed_part(s, p, (struct rec_event){.type = REC_EV_DONE, .done = {id, result}});
}

static void op_restart(
    struct sim *s, struct part *p, enum phase phase, struct part *target, enum rec_level level)
{
    struct ours *o = s->state;

    o->op[p->index].phase = phase;
    if (!sim_restart(s, target, level, 0))
        op_at(s, p, PHASE_GONE, 1);
}

static void begin_action(struct sim *s, const struct rec_action *a)
{
    struct ours *o = s->state;
    struct part *p = sim_part(s, a->tenant * PARTS + a->component);

    if (a->type == REC_ACT_PROBE_NOW)
        watch_arm(s, p, s->now);
    else if (a->type == REC_ACT_RELIST)
        sim_at(s, s->now + 200 * MSEC, EV_POLICY, 0, 0, TIMER_RELIST);
    if (s->o->verbose && a->id > 0)
        (void)printf("%12.3f  %u/%s: %s %s, %s\n", (double)(s->now - BEGIN_US) / 1e6, a->tenant,
            a->component == PROXY ? "proxy" : "gateway", rec_level_to_string(a->level),
            rec_action_type_to_string(a->type), a->reason);
    if (a->id == 0)
        return;
    o->op[p->index].a = *a;
    if (a->type == REC_ACT_RESTART_ALL)
        op_restart(s, p, PHASE_PROXY, p - p->index % PARTS + PROXY, REC_L2);
    else if (a->type == REC_ACT_REDEPLOY)
        op_at(s, p, PHASE_CREATE, SEC);
    else
        op_restart(s, p, PHASE_ACT, p, REC_L1);
}

static void verify(struct sim *s, struct part *p, struct op *op)
{
    struct ours *o = s->state;

    if (part_serves(s, p) && s->now >= p->ready_us + o->rise * s->policy->probe_interval_us)
        op_finish(s, p, REC_DONE_OK);
    else if (!p->running || s->now >= op->until_us)
        op_restart(s, p, PHASE_BACK, p, REC_L0);
    else
        op_at(s, p, PHASE_VERIFY, SEC);
}

static void op_timer(struct sim *s, struct part *p)
{
    struct ours *o = s->state;
    struct op *op = &o->op[p->index];
    struct part *proxy = p - p->index % PARTS + PROXY;

    switch (op->phase) {
    case PHASE_GONE:
        op_finish(s, p, REC_DONE_ENGINE_GONE);
        break;
    case PHASE_SERVES:
        if (part_serves(s, proxy))
            op_restart(s, p, PHASE_ACT, p, REC_L2);
        else if (s->now >= op->until_us)
            op_finish(s, p, REC_DONE_FAILED);
        else
            op_at(s, p, PHASE_SERVES, 100 * MSEC);
        break;
    case PHASE_CREATE:
        op_restart(s, p, PHASE_VERIFY, p, REC_L3);
        break;
    case PHASE_VERIFY:
        verify(s, p, op);
        break;
    case PHASE_NONE:
    case PHASE_ACT:
    case PHASE_PROXY:
    case PHASE_BACK:
    default:
        break;
    }
}

static void ours_done(struct sim *s, struct part *p, bool gone)
{
    struct ours *o = s->state;
    struct op *op = &o->op[p->index];

    if (op->phase == PHASE_NONE) { /* a proxy that was restarted with its tenant */
        struct part *owner = p - p->index % PARTS + GATEWAY;

        if (o->op[owner->index].phase == PHASE_PROXY) {
            o->op[owner->index].until_us = s->now + 10 * SEC;
            op_at(s, owner, PHASE_SERVES, 1);
        }
        return;
    }
    if (gone) {
        op_finish(s, p, REC_DONE_ENGINE_GONE);
    } else if (op->phase == PHASE_VERIFY) {
        op->until_us = s->now + 300 * SEC;
        op_at(s, p, PHASE_VERIFY, SEC);
    } else {
        op_finish(s, p, op->phase == PHASE_BACK ? REC_DONE_ROLLED_BACK : REC_DONE_OK);
    }
}

/* ---- the engine's pulse */
/* A host that is too slow for any probe is too slow for the engine's answer as well. */
static bool engine_answers(const struct sim *s)
{
    return s->engine_up && s->now >= s->overload_us;
}

static void plan_ping(struct sim *s, struct ours *o)
{
    if (o->pinging)
        return;
    o->pinging = true;
    sim_at(s, s->now + PING_US - s->now % PING_US, EV_POLICY, 0, 0, TIMER_PING);
}

/* The list every 30 s, while there is one that it would not show as running. */
static void plan_list(struct sim *s, struct ours *o)
{
    if (o->listing)
        return;
    o->listing = true;
    sim_at(s, s->now + RELIST_US - s->now % RELIST_US, EV_POLICY, 0, 0, TIMER_LIST);
}

/* ---- probes */
/* Another good probe would change nothing. */
static bool knows_it_is_well(const struct sim *s, const struct part *p)
{
    const struct ours *o = s->state;
    struct rec_component_view v;

    recovery_component_view(o->r, p->index / PARTS, p->index % PARTS, s->now, &v);
    return v.state == REC_HEALTHY && v.fails == 0 && v.oks >= o->rise && part_serves(s, p);
}

static void ours_changed(struct sim *s, struct part *p)
{
    uint64_t interval = s->policy->probe_interval_us, since;

    if (!engine_answers(s))
        plan_ping(s, s->state);
    if (!p->running) {
        if (p->index % PARTS == GATEWAY)
            plan_list(s, s->state);
        watch_disarm(p); /* what is known not to run is not probed */
        return;
    }
    if (p->w.armed || knows_it_is_well(s, p))
        return;
    since =
        s->now - (p->w.last_us != 0 ? p->w.last_us
                                    : s->now - (uint64_t)((double)interval * sim_draw(s, p->index, 0, 4)));
    watch_arm(s, p, s->now - since + (since + interval - 1) / interval * interval);
}

static void ours_probed(struct sim *s, struct part *p, bool ok, uint64_t started_us)
{
    struct ours *o = s->state;
    enum rec_probe result = ok ? REC_PROBE_OK : REC_PROBE_FAIL;
    uint32_t gen = p->w.gen;

    if (!ok && !engine_answers(s) && p->index % PARTS == PROXY)
        result = REC_PROBE_UNKNOWN; /* its ping goes through the engine */
    feed_part(s, p, (struct rec_event){.type = REC_EV_PROBE, .probe = {result, started_us}});
    if (p->w.gen != gen || !p->running || knows_it_is_well(s, p))
        return;
    watch_arm(s, p, s->now + recovery_probe_interval(o->r, p->index / PARTS, p->index % PARTS));
}

/* ---- what the daemon hears */
static void ours_exited(struct sim *s, struct part *p)
{
    if (p->index % PARTS == PROXY)
        sim_at(s, s->now + MSEC, EV_POLICY, p->index, 0, TIMER_EXIT);
    else if (s->engine_up)
        sim_at(s, s->now + 100 * MSEC, EV_POLICY, p->index, 0, TIMER_EXIT);
}

static void observe(struct sim *s, struct part *p)
{
    feed_part(s, p,
        (struct rec_event){
            .type = REC_EV_OBSERVED, .observed.presence = p->running ? REC_RUNNING : REC_STOPPED});
}

static void relist(struct sim *s)
{
    if (!s->engine_up)
        return;
    for (uint32_t t = 0; t < s->o->tenants; t++)
        observe(s, &s->t[t].part[GATEWAY]);
}

static void list_stopped(struct sim *s, struct ours *o)
{
    o->listing = false;
    for (uint32_t t = 0; t < s->o->tenants; t++) {
        struct part *p = &s->t[t].part[GATEWAY];

        if (p->running)
            continue;
        plan_list(s, o);
        if (s->engine_up)
            observe(s, p);
    }
}

static void ping(struct sim *s, struct ours *o)
{
    o->pinging = false;
    feed(s, (struct rec_event){
                .type = REC_EV_ENGINE, .engine.result = engine_answers(s) ? REC_PROBE_OK : REC_PROBE_FAIL});
    if (!engine_answers(s))
        plan_ping(s, o);
}

static void ours_engine(struct sim *s, bool up)
{
    plan_ping(s, s->state);
    if (up) /* the event stream is connected anew */
        sim_at(s, s->now + SEC, EV_POLICY, 0, 0, TIMER_RELIST);
}

static void ours_timer(struct sim *s, uint32_t part, uint64_t arg)
{
    struct ours *o = s->state;
    struct part *p = sim_part(s, part);

    switch (arg) {
    case TIMER_TICK:
        if (o->tick_us > s->now)
            break;
        o->tick_us = NEVER;
        feed(s, (struct rec_event){.type = REC_EV_TICK});
        break;
    case TIMER_PING:
        ping(s, o);
        break;
    case TIMER_RELIST:
        relist(s);
        break;
    case TIMER_LIST:
        list_stopped(s, o);
        break;
    case TIMER_EXIT:
        if (!p->running && !p->act.on)
            feed_part(s, p, (struct rec_event){.type = REC_EV_EXIT});
        break;
    case TIMER_OP:
        op_timer(s, p);
        break;
    default:
        break;
    }
}

static void ours_stepped(struct sim *s)
{
    feed(s, (struct rec_event){.type = REC_EV_TIME_JUMP});
}

/* ---- begin and end */
static int add(struct sim *s, struct ours *o, uint32_t t)
{
    const struct rec_component_params c[PARTS] = {
        {.name = "proxy",
            .kind = REC_KIND_PROXY,
            .fall = 3,
            .rise = o->rise,
            .interval_us = 2 * SEC,
            .start_deadline_us = 10 * SEC},
        {.name = "gateway",
            .kind = REC_KIND_CONTAINER,
            .fall = 3,
            .rise = o->rise,
            .interval_us = 2 * SEC,
            .start_deadline_us = 300 * SEC,
            .after = 1 << PROXY},
    };
    struct recovery_params p;
    char slug[16];
    uint32_t index;
    int r;

    recovery_params_default(&p);
    (void)snprintf(slug, sizeof(slug), "t%u", t);
    r = recovery_add_tenant(o->r, slug, &p, &index);
    for (int k = 0; r >= 0 && k < PARTS; k++) {
        uint32_t ignored;

        r = recovery_add_component(o->r, index, &c[k], &ignored);
    }
    for (int k = 0; r >= 0 && k < PARTS; k++) {
        struct part *part = &s->t[t].part[k];

        observe(s, part);
        for (uint32_t i = 0; i < o->rise; i++)
            feed_part(s, part, (struct rec_event){.type = REC_EV_PROBE, .probe = {REC_PROBE_OK, s->now}});
    }
    return r;
}

static int ours_init(struct sim *s)
{
    struct ours *o = calloc(1, sizeof(*o));
    struct recovery_host_params hp;
    int r = 0;

    s->state = o;
    if (!o)
        return -ENOMEM;
    recovery_host_params_default(&hp);
    o->tick_us = NEVER;
    o->rise = 2;
    o->r = recovery_new(&hp, 1, s->now);
    o->op = calloc((size_t)s->o->tenants * PARTS, sizeof(*o->op));
    if (!o->r || !o->op)
        return -ENOMEM;
    for (uint32_t t = 0; r >= 0 && t < s->o->tenants; t++)
        r = add(s, o, t);
    return r;
}

static void ours_fini(struct sim *s)
{
    struct ours *o = s->state;

    if (!o)
        return;
    recovery_free(o->r);
    free(o->op);
    free(o);
}

const struct policy policy_clawsup = {
    .name = "clawsup",
    .embedded_proxy = true,
    .stop_timeout_us = 10 * SEC,
    .probe_interval_us = 2 * SEC,
    .probe_timeout_us = {1 * SEC, 3 * SEC},
    .init = ours_init,
    .changed = ours_changed,
    .exited = ours_exited,
    .probed = ours_probed,
    .done = ours_done,
    .engine = ours_engine,
    .timer = ours_timer,
    .stepped = ours_stepped,
    .mended = observe,
    .fini = ours_fini,
};
