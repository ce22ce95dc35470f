/* others.c: the policies that people use otherwise, as their own documentation and source describe them.
 *
 * docker-autoheal (github.com/willfarrell/docker-autoheal, docker-entrypoint and README): every
 * AUTOHEAL_INTERVAL = 5 s it lists the containers whose health is "unhealthy" and POSTs restart?t=10
 * (AUTOHEAL_DEFAULT_STOP_TIMEOUT) for one after the other; one that is "restarting" is left alone; a
 * container that has exited is not its business. Its README runs it beside containers with a restart policy,
 * and so does this simulation.
 *
 * The engine's restart policy (github.com/moby/moby, restartmanager/restartmanager.go: defaultTimeout 100 ms,
 * backoffMultiplier 2, maxRestartTimeout 1 min, back to the start when the container ran for 10 s;
 * docs.docker.com/engine/containers/start-containers-automatically): acts on exits only, and starts what it
 * should when the engine starts. Here "unless-stopped", as in OpenClaw's docker-compose.yml.
 *
 * HEALTHCHECK (docs.docker.com/reference/dockerfile#healthcheck): interval 30 s, timeout 30 s, retries 3; the
 * first probe one interval after the start. Its start period is 0 s by default, with which a gateway that
 * takes more than 90 s to start would be restarted for ever: here it is --start-period, 300 s unless told
 * otherwise.
 *
 * The kubelet (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy: after an exit at
 * once, then 10 s, 20 s, 40 s ... capped at 300 s, forgotten after 10 min of running;
 * .../configure-liveness-readiness-startup- probes: periodSeconds 10, timeoutSeconds 1, failureThreshold 3,
 * terminationGracePeriodSeconds 30, and a startup probe of 30 x 10 s, the page's own example of a slow start;
 * pkg/kubelet/kubelet.go: exits are seen by a relist every second). A restarted container is a new one: it
 * mends what a redeploy mends. The runtime's outage does not stop its containers.
 *
 * cron: every 5 min of the wall clock a script restarts, one after the other, what has exited or is
 * unhealthy, at most 3 times a day for each container. Alone, and beside the engine's restart policy. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

enum { TIMER_RESTART, TIMER_POLL, TIMER_KUBELET_START };
#define ALL UINT32_C(0)

/* One script that works through a queue. */
struct script {
    uint32_t *queue;
    size_t head, n;
    uint32_t at; /* what it waits for, while busy */
    bool polling, busy;
};

static uint32_t n_parts(const struct sim *s)
{
    return s->o->tenants * PARTS;
}

static int script_init(struct sim *s)
{
    struct script *x = calloc(1, sizeof(*x));

    s->state = x;
    if (!x)
        return -ENOMEM;
    x->queue = calloc(n_parts(s), sizeof(*x->queue));
    if (!x->queue)
        return -ENOMEM;
    for (uint32_t i = 0; i < n_parts(s); i++)
        health_changed(s, sim_part(s, i));
    return 0;
}

static void script_fini(struct sim *s)
{
    struct script *x = s->state;

    if (x)
        free(x->queue);
    free(x);
}

static void script_add(struct script *x, struct part *p)
{
    p->queued = true;
    x->queue[x->n++] = p->index;
}

/* Starts the next that can be started; false: the queue is done. */
static bool script_next(struct sim *s, struct script *x)
{
    while (x->head < x->n) {
        struct part *p = sim_part(s, x->queue[x->head++]);

        p->queued = false;
        if (sim_restart(s, p, REC_L1, 0)) {
            x->busy = true;
            x->at = p->index;
            return true;
        }
    }
    x->head = x->n = 0;
    x->busy = false;
    return false;
}

static void nothing(struct sim *s)
{
    (void)s;
}

static void nothing_part(struct sim *s, struct part *p)
{
    (void)s;
    (void)p;
}

/* ---- the engine's restart policy */
static void engine_exited(struct sim *s, struct part *p)
{
    uint64_t ran = s->now - p->started_us;

    if (!s->engine_up)
        return; /* when it is back, it starts whatever should run */
    if (ran >= 10 * SEC)
        p->backoff_us = 0;
    p->backoff_us = p->backoff_us == 0 ? 100 * MSEC : p->backoff_us * 2 > MINUTE ? MINUTE : p->backoff_us * 2;
    sim_at(s, s->now + p->backoff_us, EV_POLICY, p->index, p->gen, TIMER_RESTART);
}

static void engine_start(struct sim *s, uint32_t index)
{
    struct part *p = sim_part(s, index);

    if (!p->running)
        (void)sim_restart(s, p, REC_L1, 0);
}

static void engine_engine(struct sim *s, bool up)
{
    if (s->policy->probe_interval_us > 0)
        health_engine(s, up);
    if (!up || !s->policy->restart_policy)
        return;
    for (uint32_t i = 0; i < n_parts(s); i++)
        engine_start(s, i);
}

static void engine_timer(struct sim *s, uint32_t part, uint64_t arg)
{
    if (arg == TIMER_RESTART)
        engine_start(s, part);
}

static void engine_done(struct sim *s, struct part *p, bool gone)
{
    (void)s;
    (void)p;
    (void)gone;
}

static void engine_probed(struct sim *s, struct part *p, bool ok, uint64_t started_us)
{
    (void)s;
    (void)p;
    (void)ok;
    (void)started_us;
}

static int engine_init(struct sim *s)
{
    s->state = NULL;
    return 0;
}

const struct policy policy_engine = {
    .name = "restart policy",
    .restart_policy = true,
    .stop_timeout_us = 10 * SEC,
    .init = engine_init,
    .changed = nothing_part,
    .exited = engine_exited,
    .probed = engine_probed,
    .done = engine_done,
    .engine = engine_engine,
    .timer = engine_timer,
    .stepped = nothing,
    .mended = nothing_part,
};

/* ---- docker-autoheal */
static void autoheal_plan(struct sim *s, struct script *x)
{
    if (x->polling || x->busy)
        return;
    x->polling = true;
    sim_at(s, s->now + (5 * SEC - s->now % (5 * SEC)), EV_POLICY, ALL, 0, TIMER_POLL);
}

static void autoheal_probed(struct sim *s, struct part *p, bool ok, uint64_t started_us)
{
    (void)started_us;
    if (health_probed(s, p, ok) && p->w.unhealthy)
        autoheal_plan(s, s->state);
}

static void autoheal_over(struct sim *s, struct script *x)
{
    for (uint32_t i = 0; i < n_parts(s); i++)
        if (sim_part(s, i)->w.unhealthy) {
            autoheal_plan(s, x);
            return;
        }
}

static void autoheal_poll(struct sim *s, struct script *x)
{
    x->polling = false;
    for (uint32_t i = 0; s->engine_up && i < n_parts(s); i++) {
        struct part *p = sim_part(s, i);

        if (p->running && p->w.unhealthy && !p->act.on)
            script_add(x, p);
    }
    if (!script_next(s, x))
        autoheal_over(s, x);
}

static void autoheal_timer(struct sim *s, uint32_t part, uint64_t arg)
{
    if (arg == TIMER_POLL)
        autoheal_poll(s, s->state);
    else
        engine_timer(s, part, arg);
}

static void autoheal_done(struct sim *s, struct part *p, bool gone)
{
    struct script *x = s->state;

    (void)gone;
    if (x->busy && x->at == p->index && !script_next(s, x))
        autoheal_over(s, x);
}

const struct policy policy_autoheal = {
    .name = "docker-autoheal",
    .restart_policy = true,
    .stop_timeout_us = 10 * SEC,
    .probe_interval_us = 30 * SEC,
    .probe_timeout_us = {30 * SEC, 30 * SEC},
    .init = script_init,
    .changed = health_changed,
    .exited = engine_exited,
    .probed = autoheal_probed,
    .done = autoheal_done,
    .engine = engine_engine,
    .timer = autoheal_timer,
    .stepped = nothing,
    .mended = nothing_part,
    .fini = script_fini,
};

/* ---- cron */
static uint64_t wall(const struct sim *s)
{
    return (uint64_t)((int64_t)(s->now + 10 * DAY) + s->wall_us);
}

static void cron_plan(struct sim *s)
{
    sim_at(s, s->now + (5 * MINUTE - wall(s) % (5 * MINUTE)), EV_POLICY, ALL, 0, TIMER_POLL);
}

static int cron_init(struct sim *s)
{
    int r = script_init(s);

    cron_plan(s);
    return r;
}

static void cron_run(struct sim *s, struct script *x)
{
    uint32_t day = (uint32_t)(wall(s) / DAY);

    cron_plan(s);
    if (x->busy || !s->engine_up)
        return; /* the last run still works, or docker does not answer */
    for (uint32_t i = 0; i < n_parts(s); i++) {
        struct part *p = sim_part(s, i);

        if (p->act.on || (p->running && !p->w.unhealthy))
            continue;
        if (p->tries_day != day) {
            p->tries_day = day;
            p->tries = 0;
        }
        if (p->tries++ < 3)
            script_add(x, p);
    }
    (void)script_next(s, x);
}

static void cron_timer(struct sim *s, uint32_t part, uint64_t arg)
{
    if (arg == TIMER_POLL)
        cron_run(s, s->state);
    else
        engine_timer(s, part, arg);
}

static void cron_probed(struct sim *s, struct part *p, bool ok, uint64_t started_us)
{
    (void)started_us;
    (void)health_probed(s, p, ok);
}

static void cron_done(struct sim *s, struct part *p, bool gone)
{
    struct script *x = s->state;

    (void)gone;
    if (x->busy && x->at == p->index)
        (void)script_next(s, x);
}

const struct policy policy_cron = {
    .name = "cron",
    .stop_timeout_us = 10 * SEC,
    .probe_interval_us = 30 * SEC,
    .probe_timeout_us = {30 * SEC, 30 * SEC},
    .init = cron_init,
    .changed = health_changed,
    .exited = nothing_part,
    .probed = cron_probed,
    .done = cron_done,
    .engine = engine_engine,
    .timer = cron_timer,
    .stepped = nothing,
    .mended = nothing_part,
    .fini = script_fini,
};

const struct policy policy_cron_engine = {
    .name = "cron + restart policy",
    .restart_policy = true,
    .stop_timeout_us = 10 * SEC,
    .probe_interval_us = 30 * SEC,
    .probe_timeout_us = {30 * SEC, 30 * SEC},
    .init = cron_init,
    .changed = health_changed,
    .exited = engine_exited,
    .probed = cron_probed,
    .done = cron_done,
    .engine = engine_engine,
    .timer = cron_timer,
    .stepped = nothing,
    .mended = nothing_part,
    .fini = script_fini,
};

/* ---- the kubelet */
/* The delay before a start, from the end of the last run; it doubles for the next. */
static uint64_t kubelet_backoff(struct sim *s, struct part *p)
{
    uint64_t delay;

    if (s->now - p->started_us >= 10 * MINUTE)
        p->backoff_us = 0;
    delay = p->backoff_us;
    p->backoff_us = delay == 0 ? 10 * SEC : delay * 2 > 300 * SEC ? 300 * SEC : delay * 2;
    return delay;
}

static void kubelet_changed(struct sim *s, struct part *p)
{
    uint64_t period = s->policy->probe_interval_us;

    if (!p->running || p->act.on) {
        watch_disarm(p);
        return;
    }
    if (p->w.since_us != p->started_us || p->w.last_us == 0) {
        p->w = (struct watch){.gen = p->w.gen, .since_us = p->started_us};
        p->w.passed = p->started_us == 0; /* the startup probe is over */
        p->w.last_us = s->now - (uint64_t)((double)period * sim_draw(s, p->index, p->n_starts, 4));
    }
    if (p->w.armed || (part_serves(s, p) && p->w.passed && p->w.fails == 0))
        return;
    watch_arm(s, p, p->w.last_us + (s->now - p->w.last_us + period - 1) / period * period);
}

static int kubelet_init(struct sim *s)
{
    s->state = NULL;
    for (uint32_t i = 0; i < n_parts(s); i++)
        kubelet_changed(s, sim_part(s, i));
    return 0;
}

static void kubelet_start(struct sim *s, struct part *p)
{
    if (!p->running && !sim_restart(s, p, REC_L3, 0) && !p->act.on)
        sim_at(s, s->now + SEC, EV_POLICY, p->index, 0, TIMER_KUBELET_START); /* until the runtime is back */
}

static void kubelet_exited(struct sim *s, struct part *p)
{
    uint64_t seen = (uint64_t)(1e6 * sim_draw(s, p->index, p->n_starts, 5));

    sim_at(s, s->now + seen + kubelet_backoff(s, p), EV_POLICY, p->index, 0, TIMER_KUBELET_START);
}

static void kubelet_probed(struct sim *s, struct part *p, bool ok, uint64_t started_us)
{
    uint64_t period = s->policy->probe_interval_us;
    uint32_t most = p->w.passed ? 3 : (uint32_t)((s->o->start_period_us + period - 1) / period);

    if (ok) {
        p->w.passed = true;
        p->w.fails = 0;
    } else if (++p->w.fails >= (most > 3 ? most : 3) && s->engine_up) {
        (void)sim_restart(s, p, REC_L3, kubelet_backoff(s, p));
        return;
    }
    if (!ok || !part_serves(s, p))
        watch_arm(s, p, started_us + period);
}

static void kubelet_done(struct sim *s, struct part *p, bool gone)
{
    if (gone)
        kubelet_start(s, p);
}

static void kubelet_engine(struct sim *s, bool up)
{
    (void)s;
    (void)up;
}

static void kubelet_timer(struct sim *s, uint32_t part, uint64_t arg)
{
    if (arg == TIMER_KUBELET_START)
        kubelet_start(s, sim_part(s, part));
}

static void kubelet_mended(struct sim *s, struct part *p)
{
    (void)s;
    p->backoff_us = 0; /* a new pod */
}

const struct policy policy_kubelet = {
    .name = "kubelet",
    .containers_live = true,
    .stop_timeout_us = 30 * SEC,
    .probe_interval_us = 10 * SEC,
    .probe_timeout_us = {1 * SEC, 1 * SEC},
    .init = kubelet_init,
    .changed = kubelet_changed,
    .exited = kubelet_exited,
    .probed = kubelet_probed,
    .done = kubelet_done,
    .engine = kubelet_engine,
    .timer = kubelet_timer,
    .stepped = nothing,
    .mended = kubelet_mended,
};
