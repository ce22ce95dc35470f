/* check.c: the watcher: takes down what the core was told (judge.c: and judges what it orders). It never
 * looks into the core, and where it cannot know it lets the core have its way. */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void violation(struct world *w, enum invariant i, const char *fmt, ...)
{
    va_list ap;

    if (w->failed)
        return;
    w->failed = true;
    w->broken = i;
    va_start(ap, fmt);
    (void)vsnprintf(w->why, sizeof(w->why), fmt, ap);
    va_end(ap);
    world_note(w, "VIOLATION of invariant %d: %s", (int)i, w->why);
}

struct tenant *check_tenant(struct world *w, uint32_t index)
{
    return index < w->n && w->t[index].on ? &w->t[index] : NULL;
}

/* ---- the daemon starts: what was not written down is forgotten */
static void boot_shadow(struct world *w, struct tenant *t, int k)
{
    struct shadow old = t->s[k], *s = &t->s[k];

    *s = (struct shadow){.reached = old.reached,
        .n_restarts = old.n_restarts,
        .n_all = old.n_all,
        .state_since_us = w->now,
        .seen_us = w->now};
    memcpy(s->restarts, old.restarts, sizeof(s->restarts));
    memcpy(s->all, old.all, sizeof(s->all));
    for (int l = 0; l < _REC_LEVEL_MAX; l++)
        s->tries[l] = old.tries[l];
    if (k == PROXY)
        return;
    s->quarantined = t->quarantine_since > 0;
    s->trial_us = w->now;
    s->half_open_us = (uint64_t)t->quarantine_since + w->p.half_open_us;
    s->held = t->hold_until > (int64_t)w->now && !s->quarantined;
    s->held_until_us = (uint64_t)t->hold_until;
}

void check_boot(struct world *w)
{
    w->engine_down = false;
    w->engine_fails = w->restarts_in_flight = w->redeploys_in_flight = w->n_canaries = 0;
    w->settled_at = w->grace_until = w->jumped_at = w->mass_since = 0;
    w->observe_until = w->now + w->hp.observe_us;
    w->tokens = w->hp.bucket_size;
    w->tokens_at = w->now;
    w->host = REC_HOST_NORMAL;
    for (uint32_t i = 0; i < w->n; i++) {
        w->t[i].paused_until_us = (uint64_t)w->t[i].pause_until;
        boot_shadow(w, &w->t[i], PROXY);
        boot_shadow(w, &w->t[i], GATEWAY);
    }
}

static void landed(struct world *w, struct shadow *s)
{
    uint32_t *n = s->act.type == REC_ACT_REDEPLOY ? &w->redeploys_in_flight : &w->restarts_in_flight;

    if (s->act.id != 0 && !s->act_urgent && !s->act_along)
        --*n;
    s->act.id = 0;
}

void check_forget(struct world *w, struct tenant *t)
{
    for (int k = 0; k < 2; k++) {
        landed(w, &t->s[k]);
        t->s[k] = (struct shadow){.state_since_us = w->now, .seen_us = w->now};
    }
    t->paused_until_us = t->n_redeploys = 0;
}

/* ---- what the core is told */
/* An engine that ends stops its containers as a person does: a hold from just before says nothing. */
static void doubt_hold(const struct world *w, struct shadow *s)
{
    s->with_engine = s->with_engine || s->state == REC_HELD;
    if (s->held && s->held_until_us - MIN(w->p.hold_us, s->held_until_us) + MINUTE >= w->now) {
        s->held = false;
        s->hard = s->with_engine = true;
    }
}

static void saw_engine(struct world *w, const struct rec_event *ev)
{
    bool was = w->engine_down;

    if (ev->engine.hung)
        w->engine_fails = MAX(w->engine_fails, w->hp.engine_fall);
    else if (ev->engine.result == REC_PROBE_FAIL)
        w->engine_fails++;
    w->engine_down = was || w->engine_fails >= w->hp.engine_fall;
    for (uint32_t i = 0; w->engine_down && !was && i < w->n; i++)
        doubt_hold(w, &w->t[i].s[GATEWAY]);
    if (ev->engine.result != REC_PROBE_OK)
        return;
    w->engine_fails = 0;
    if (!w->engine_down)
        return;
    w->engine_down = false;
    lazy_wake_all(w);
    w->settled_at = w->now + w->hp.settling_us;
    for (uint32_t i = 0; i < w->n; i++)
        w->t[i].s[PROXY].fails = w->t[i].s[GATEWAY].fails = 0;
}

static void saw_probe(struct world *w, struct shadow *s, const struct rec_event *ev)
{
    uint64_t started = ev->probe.started_us + w->base;

    if (ev->probe.result == REC_PROBE_UNKNOWN) {
        w->exercised[INV_UNKNOWN]++;
        return;
    }
    if (ev->probe.result == REC_PROBE_FAIL)
        s->oks = 0;
    if (started < MAX(s->void_us, w->jumped_at)) {
        w->exercised[INV_CLOCK]++;
        return;
    }
    if (ev->probe.result == REC_PROBE_OK) {
        s->fails = 0;
        s->oks += started >= s->good_from_us;
        if (s->oks >= w->p.rise && s->act.id == 0) {
            s->dead = s->down = false; /* nothing that is gone answers */
            memset(s->vain, 0, sizeof(s->vain));
        }
    } else if (!w->engine_down) {
        if (s->fails++ == 0)
            s->doubt_us = started;
    }
}

static void bad_news(struct shadow *s)
{
    s->hard = true;
    s->oks = 0;
    s->died_in_flight = s->act.id != 0;
}

static void is_dead(const struct world *w, struct shadow *s, bool proxy)
{
    if (proxy && !s->dead)
        s->died_us = w->now;
    s->dead = proxy;
}

static void saw_exit(struct world *w, struct tenant *t, struct shadow *s, const struct rec_event *ev)
{
    bool gateway = s == &t->s[GATEWAY];

    if (ev->exit.ours)
        return;
    bad_news(s);
    is_dead(w, s, !gateway);
    s->down = gateway;
    if (!gateway || !ev->exit.operator_stop || w->engine_fails > 0 || s->act.id != 0 || s->quarantined)
        return;
    s->held = true;
    s->held_until_us = w->now + w->p.hold_us;
    s->ever_up = false; /* the next bring-up is looked at with less rigour */
}

void check_push(uint64_t *at, uint32_t *n, uint64_t now)
{
    if (*n == 64) {
        memmove(at, at + 1, 63 * sizeof(*at));
        --*n;
    }
    at[(*n)++] = now;
}

static void saw_state(struct world *w, struct shadow *s, bool gateway, const struct rec_event *ev)
{
    enum rec_presence p = ev->observed.presence;
    uint64_t more = ev->observed.restart_count - MIN(ev->observed.restart_count, s->restart_count);

    s->restart_count = ev->observed.restart_count;
    if (more > 0) {
        bad_news(s);
        s->engine_restarted = true;
        s->held = false; /* what the engine restarts is not stopped */
    }
    /* The engine's restarts use up the rungs as ours do; which of two, the watcher leaves open. */
    s->tries[REC_L1] += (uint32_t)MIN(more, 100);
    s->tries[REC_L2] += (uint32_t)MIN(more, 100);
    for (uint64_t i = 0; i < MIN(more, 64); i++)
        check_push(s->all, &s->n_all, w->now);
    if (s->act.id != 0)
        return;
    if (p == REC_MISSING || p == REC_STOPPED) {
        if (gateway && p == REC_STOPPED && s->state != REC_BACKOFF &&
            (w->engine_down || w->settled_at > w->now))
            s->with_engine = true;
        bad_news(s);
        is_dead(w, s, !gateway);
        s->down = gateway;
    } else if (p == REC_RUNNING) {
        s->down = false;
    }
}

/* Is this a restart of the component it names, or of its neighbour? A relaunch of a proxy is always one. */
bool check_is_restart(const struct rec_action *a, bool itself)
{
    if (a->type == REC_ACT_RESTART_ALL)
        return true;
    return itself && (a->type == REC_ACT_RESTART || (a->component == PROXY && a->type == REC_ACT_BRING_UP));
}

static void uncount(struct tenant *t, struct shadow *s)
{
    const struct rec_action *a = &s->act;

    if (!s->act_automatic)
        s->uncounted[a->level] -= s->uncounted[a->level] > 0;
    else if (s->act_trial || a->type != REC_ACT_BRING_UP || a->component == PROXY)
        s->tries[MAX(a->level, REC_L1)] -= s->tries[MAX(a->level, REC_L1)] > 0;
    if (a->type == REC_ACT_REDEPLOY)
        t->n_redeploys -= t->n_redeploys > 0;
    for (int k = 0; k < 2; k++) {
        struct shadow *o = &t->s[k];

        if (!check_is_restart(a, o == s))
            continue;
        o->n_all -= o->n_all > 0;
        o->n_restarts -= o->n_restarts > 0;
    }
}

static void over(struct world *w, struct shadow *s, enum rec_done result)
{
    s->void_us = w->now;
    s->fails = s->oks = 0;
    s->hard = result != REC_DONE_OK || s->died_in_flight;
    if (result == REC_DONE_OK && !s->died_in_flight)
        s->dead = s->down = false;
    if (result == REC_DONE_FAILED && s->act_urgent)
        s->dead = true, s->died_us = w->now; /* a launch that failed leaves nothing that runs */
    s->died_in_flight = false;
    s->vain[s->act.level] = result == REC_DONE_OK && s->act_automatic && !s->act_trial && !s->act_along &&
                            s->act.type != REC_ACT_BRING_UP;
    landed(w, s);
}

static void saw_done(struct world *w, struct tenant *t, const struct rec_event *ev)
{
    struct shadow *s = &t->s[ev->component];
    uint64_t id = ev->done.action;
    enum rec_done result = ev->done.result;

    if (id == 0 || s->act.id != id || s->act_along)
        return;
    s->no_action = result == REC_DONE_REFUSED || result == REC_DONE_ENGINE_GONE;
    if (s->no_action)
        uncount(t, s);
    if (result == REC_DONE_REFUSED)
        s->refused[s->act.level]++;
    if (result == REC_DONE_FAILED && s->act.type == REC_ACT_BRING_UP)
        s->bring_up_failures++;
    if (result == REC_DONE_ENGINE_GONE && s->act_trial) {
        s->half_open_us = s->old_half_open_us;
        s->trial_us = 0;
    }
    for (int k = 0; k < 2; k++)
        if (t->s[k].act.id == id)
            over(w, &t->s[k], result);
}

static void saw_operator(struct world *w, struct tenant *t, const struct rec_event *ev)
{
    uint64_t us = ev->op.for_us == 0 ? HOUR : MIN(ev->op.for_us, USEC_PER_DAY);

    if (ev->op.op == REC_OP_PAUSE)
        t->paused_until_us = w->now + us;
    if (ev->op.op == REC_OP_RESUME)
        t->paused_until_us = 0;
    if (ev->op.op == REC_OP_RESTART)
        t->s[ev->component < 2 ? ev->component : GATEWAY].op_wanted = true;
    if (ev->op.op == REC_OP_REDEPLOY)
        t->s[GATEWAY].op_wanted = true;
    for (int k = 0; k < 2; k++) {
        struct shadow *s = &t->s[k];

        if (ev->op.op == REC_OP_RESUME && s->held) {
            s->held = false;
            s->hard = true;
        }
        if (ev->op.op != REC_OP_RELEASE || !s->quarantined)
            continue;
        s->quarantined = false;
        s->released = s->let_go = s->hard = true;
        s->plan.set = false;
    }
}

/* What may move the next trial of one that is quarantined. */
static void saw_news(const struct world *w, struct shadow *s, const struct rec_event *ev)
{
    check_calm(w, s);
    if (ev->type == REC_EV_EXIT || ev->type == REC_EV_DONE)
        s->news = true;
    if (ev->type != REC_EV_OBSERVED)
        return;
    s->news = s->news || ev->observed.presence != s->presence;
    s->presence = ev->observed.presence;
}

void check_event(struct world *w, const struct rec_event *ev)
{
    struct tenant *t = check_tenant(w, ev->tenant);

    if (ev->type == REC_EV_ENGINE)
        saw_engine(w, ev);
    if (ev->type == REC_EV_TIME_JUMP) {
        w->jumped_at = w->now;
        w->grace_until = w->now + w->hp.grace_us;
    }
    if (!t)
        return;
    if (ev->component < 2)
        saw_news(w, &t->s[ev->component], ev);
    if (ev->type == REC_EV_OPERATOR)
        t->s[PROXY].news = t->s[GATEWAY].news = true;
    if (ev->type == REC_EV_PROBE)
        saw_probe(w, &t->s[ev->component], ev);
    else if (ev->type == REC_EV_EXIT)
        saw_exit(w, t, &t->s[ev->component], ev);
    else if (ev->type == REC_EV_OBSERVED)
        saw_state(w, &t->s[ev->component], ev->component == GATEWAY, ev);
    else if (ev->type == REC_EV_DONE)
        saw_done(w, t, ev);
    else if (ev->type == REC_EV_OPERATOR)
        saw_operator(w, t, ev);
}
