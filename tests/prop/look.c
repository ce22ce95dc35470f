/* look.c: what people see after each step: states that change, plans and their delays, what is held back and
 * by whom, and in the last phase whether everybody ends where it should. */
#include "model.h"

#include <stdio.h>
#include <string.h>

/* ---- states */
static void changed(struct world *w, struct tenant *t, int k, const struct rec_component_view *v)
{
    struct shadow *s = &t->s[k];

    world_note(w, "%s/%s: %s -> %s: %s", t->slug, k == PROXY ? "proxy" : "gateway",
        rec_state_to_string(s->state), rec_state_to_string(v->state), v->reason);
    for (int l = 0; l < _REC_LEVEL_MAX && (v->state == REC_BACKOFF || v->state == REC_QUARANTINED); l++)
        s->spent[l] = s->spent[l] || s->vain[l];
    s->presence = REC_PRESENCE_UNKNOWN; /* it may think so already, or think otherwise */
    lazy_wake(w, t, k);
    if (v->state == REC_BACKOFF && s->state != REC_RECOVERING)
        check_evidence(w, t, k);
    if (v->state != REC_BACKOFF)
        s->plan.set = false;
    if (v->state == REC_STARTING || v->state == REC_VERIFYING) {
        s->oks = MIN(s->oks, v->oks); /* what came before was of something else */
        s->good_from_us = w->now;
    }
    if (v->state == REC_HEALTHY) {
        s->hard = s->quarantined = s->released = s->no_action = false;
        s->n_dues = 0;
        s->ever_up = true;
    }
    if (s->state == REC_HELD && v->state == REC_STARTING)
        s->held = false; /* somebody started it */
    s->state = v->state;
    s->state_since_us = w->now;
}

void check_calm(const struct world *w, struct shadow *s)
{
    if (s->state != REC_HEALTHY || w->now - s->state_since_us < w->p.reset_us)
        return;
    memset(s->tries, 0, sizeof(s->tries));
    memset(s->refused, 0, sizeof(s->refused));
    memset(s->uncounted, 0, sizeof(s->uncounted));
    memset(s->spent, 0, sizeof(s->spent));
    s->bring_up_failures = 0;
    s->reached = REC_L0;
}

/* ---- delays */
static uint64_t backoff(const struct world *w, uint32_t n)
{
    uint64_t d = w->p.backoff_base_us;

    while (n-- > 0 && d < w->p.backoff_cap_us)
        d *= 2;
    return MIN(d, w->p.backoff_cap_us);
}

static uint64_t rung(const struct recovery_rung *g, uint32_t attempt)
{
    return g->n_delays == 0 ? 0 : g->delay_us[MIN(attempt - 1, g->n_delays - 1)];
}

static bool within(uint64_t wait, uint64_t d)
{
    return wait >= d && wait <= d + d / 4 + 1;
}

static bool delay_of_gateway(
    const struct world *w, const struct tenant *t, uint64_t wait, const struct rec_component_view *v)
{
    uint64_t gap = 0, newest = t->n_redeploys > 0 ? t->redeploys[t->n_redeploys - 1] : 0, d;
    const struct recovery_rung *g;

    if (v->next_level == REC_L0)
        return v->next_attempt <= 1 ? wait == 0 : within(wait, backoff(w, v->next_attempt - 2));
    g = v->next_level == REC_L1 ? &w->p.l1 : v->next_level == REC_L2 ? &w->p.l2 : &w->p.l3;
    d = rung(g, v->next_attempt);
    if (v->next_level == REC_L3 && t->n_redeploys > 0 && newest + w->p.l3_min_gap_us > w->now)
        gap = newest + w->p.l3_min_gap_us - w->now;
    if (t->s[GATEWAY].engine_restarted && g->n_delays > 0 && wait >= g->delay_us[0] && wait <= d)
        return true;
    return within(wait, d) || (gap > d && within(wait, gap));
}

/* After what cost nothing the wait is that of the rung, or of a backoff of its own, whichever is longer. */
static bool delay_after_nothing(const struct world *w, uint64_t wait)
{
    for (uint32_t n = 0; n < 16; n++)
        if (within(wait, backoff(w, n)))
            return true;
    return wait == 0;
}

/* Which of a proxy's two ladders it is on, dead or hung, is not always to be seen. */
static bool delay_of_proxy(const struct world *w, uint64_t wait, uint32_t attempt)
{
    return delay_after_nothing(w, wait) || within(wait, w->p.quarantine_probe_us) ||
           (attempt <= w->p.l1.attempts && within(wait, rung(&w->p.l1, attempt))) ||
           (attempt > w->p.l1.attempts && within(wait, rung(&w->p.l2, attempt - w->p.l1.attempts)));
}

static bool planned_before(const struct shadow *s, uint64_t due)
{
    for (uint32_t i = 0; i < MIN(s->n_dues, ARRAY_SIZE(s->dues)); i++)
        if (s->dues[i] == due)
            return true;
    return false;
}

static void look_at_plan(struct world *w, struct tenant *t, int k, const struct rec_component_view *v)
{
    struct shadow *s = &t->s[k];
    uint64_t due = v->next_us == USEC_INFINITY ? NEVER : v->next_us + w->base, wait = due - MIN(due, w->now);
    bool as_kept = planned_before(s, due), as_before = s->plan.set && s->plan.due_us == due;

    if (v->state != REC_BACKOFF || due == NEVER || s->op_wanted || as_before)
        return;
    s->plan.set = true;
    s->plan.level = v->next_level;
    s->plan.attempt = v->next_attempt;
    s->plan.due_us = due;
    s->dues[s->n_dues++ % ARRAY_SIZE(s->dues)] = due;
    s->neighbour_ill = t->s[1 - k].quarantined;
    w->exercised[INV_DELAYS]++;
    world_note(w, "%s/%s: in %.3f s attempt %u at %s", t->slug, k == PROXY ? "proxy" : "gateway",
        (double)wait / 1e6, v->next_attempt, rec_level_to_string(v->next_level));
    if (s->quarantined || as_kept || due <= w->now || (s->no_action && delay_after_nothing(w, wait)))
        return;
    if (k == PROXY ? !delay_of_proxy(w, wait, v->next_attempt) : !delay_of_gateway(w, t, wait, v))
        violation(w, INV_DELAYS, "%s/%s: %.3f s before attempt %u at %s", t->slug,
            k == PROXY ? "proxy" : "gateway", (double)wait / 1e6, v->next_attempt,
            rec_level_to_string(v->next_level));
}

/* ---- what is held back */
static bool by_a_guard(const char *held_by)
{
    static const char *const guards[] = {"engine down", "settling", "safe mode", "mass failure", "grace",
        "observing", "paused", "held", "flapping", "dependency", "engine acting"};

    for (size_t i = 0; held_by && i < ARRAY_SIZE(guards); i++)
        if (strcmp(held_by, guards[i]) == 0)
            return true;
    return false;
}

static void look_at_due(struct world *w, struct tenant *t, int k, const struct rec_component_view *v)
{
    struct shadow *s = &t->s[k];
    bool back = v->held_by != NULL;

    if (back && !s->was_held_back)
        w->held_back++;
    s->was_held_back = back;
    if (v->state == REC_BACKOFF && !back && v->next_us < core_now(w) && recovery_next(w->r) > core_now(w))
        violation(w, INV_LIVENESS, "%s/%s: due, held back by nothing, and not started", t->slug,
            k == PROXY ? "proxy" : "gateway");
}

/* The next trial of what is quarantined keeps its time, unless there is news of it. */
static void look_at_trial(struct world *w, struct tenant *t, int k, const struct rec_component_view *v)
{
    struct shadow *s = &t->s[k];

    if (v->state == REC_QUARANTINED && s->state == REC_QUARANTINED && s->next_trial_us != 0 && !s->news &&
        v->next_us > s->next_trial_us && core_now(w) < s->next_trial_us)
        violation(w, INV_LIVENESS, "%s/%s: its trial is put off by %.0f s for nothing", t->slug,
            k == PROXY ? "proxy" : "gateway", (double)(v->next_us - s->next_trial_us) / 1e6);
    s->next_trial_us = v->state == REC_QUARANTINED ? v->next_us : 0;
    s->news = false;
}

static uint64_t patience(const struct world *w, const struct tenant *t, int k)
{
    /* 30 minutes, and what the restarts themselves may take: their time to start, one after the other. */
    return 30 * MINUTE +
           (t->part[k].fault == FAULT_CRASH || k == PROXY ? 5 * MINUTE : 12 * w->deadline_us[k]) +
           10 * w->deadline_us[GATEWAY];
}

static void look_at_end(struct world *w, struct tenant *t, int k, const struct rec_component_view *v)
{
    struct shadow *s = &t->s[k];
    struct rec_tenant_view tv;

    if (!w->last_phase || !t->broken[k])
        return;
    recovery_tenant_view(w->r, t->index, core_now(w), &tv);
    if (s->clear)
        s->broken_us += w->now - s->seen_us;
    if (tv.quarantined)
        s->broken_us = 0;
    s->clear =
        !tv.quarantined && w->host == REC_HOST_NORMAL && !by_a_guard(v->held_by) && v->state != REC_HELD;
    if (s->broken_us > patience(w, t, k))
        violation(w, INV_LIVENESS, "%s/%s: broken for %.0f min with the guards clear, and not quarantined",
            t->slug, k == PROXY ? "proxy" : "gateway", (double)s->broken_us / 6e7);
}

void check_after(struct world *w)
{
    struct rec_component_view v;
    struct rec_host_view h;

    if (!w->r || w->failed)
        return;
    recovery_host_view(w->r, core_now(w), &h);
    if (h.state != w->host)
        world_note(w, "host: %s -> %s", rec_host_state_to_string(w->host), rec_host_state_to_string(h.state));
    /* Behind an engine that is down it may have begun long ago. */
    if (h.state == REC_HOST_MASS_FAILURE && w->host != h.state)
        w->mass_since = w->host == REC_HOST_NORMAL ? w->now : 0;
    w->host = h.state;
    if (h.restarts_in_flight != w->restarts_in_flight || h.redeploys_in_flight != w->redeploys_in_flight)
        violation(w, INV_IN_FLIGHT, "%u restarts and %u redeploys in flight, but %u and %u are shown",
            w->restarts_in_flight, w->redeploys_in_flight, h.restarts_in_flight, h.redeploys_in_flight);
    for (uint32_t i = 0; i < w->n && !w->failed; i++) {
        struct tenant *t = &w->t[i];

        for (int k = 0; k < 2; k++) {
            recovery_component_view(w->r, t->index, (uint32_t)k, core_now(w), &v);
            look_at_trial(w, t, k, &v);
            if (v.state != t->s[k].state)
                changed(w, t, k, &v);
            check_calm(w, &t->s[k]);
            if (v.state == REC_VERIFYING && v.oks >= w->p.rise)
                t->s[k].ever_up = true;
            look_at_plan(w, t, k, &v);
            look_at_due(w, t, k, &v);
            look_at_end(w, t, k, &v);
            t->s[k].seen_us = w->now;
        }
    }
}

bool check_settled(struct world *w)
{
    struct rec_tenant_view tv;
    struct rec_component_view v;

    if (!w->r)
        return false;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct tenant *t = &w->t[i];
        bool any = t->broken[PROXY] || t->broken[GATEWAY];

        recovery_tenant_view(w->r, t->index, core_now(w), &tv);
        if (any ? tv.quarantined : t->s[PROXY].state == REC_HEALTHY && t->s[GATEWAY].state == REC_HEALTHY)
            continue;
        recovery_component_view(w->r, t->index, GATEWAY, core_now(w), &v);
        world_note(w, "%s: next in %.1f s, held by %s", t->slug,
            (double)(int64_t)(v.next_us - core_now(w)) / 1e6, v.held_by ? v.held_by : "nobody");
        (void)snprintf(w->why, sizeof(w->why), "%s (%s) has its proxy %s and its gateway %s", t->slug,
            any ? "broken" : "mended", rec_state_to_string(t->s[PROXY].state),
            rec_state_to_string(t->s[GATEWAY].state));
        return false;
    }
    return true;
}
