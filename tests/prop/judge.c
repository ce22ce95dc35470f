/* judge.c: each action that the core orders, held against what the watcher knows: guards, limits, budgets,
 * levels, evidence, delays. Nothing is taken down here but the action itself. */
#include "model.h"

#include <stdio.h>
#include <string.h>

/* ---- what it orders */
struct judged {
    struct tenant *t;
    struct shadow *s;
    const struct rec_action *a;
    const char *what;
    bool automatic, urgent, trial, first;
    bool put_back, start_again; /* what went down with the engine; what is down in quarantine */
};

static uint32_t recent(const uint64_t *at, uint32_t n, uint64_t window_us, uint64_t now)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++)
        count += now - at[i] < window_us;
    return count;
}

static void judge_host_guards(struct world *w, const struct judged *j)
{
    if (w->engine_down)
        violation(w, INV_GUARDS, "%s: the engine is down", j->what);
    if (!j->automatic)
        return;
    if (w->settled_at > w->now && !j->put_back)
        violation(w, INV_GUARDS, "%s: the engine only just came back", j->what);
    if (w->safe_until > w->now)
        violation(w, INV_GUARDS, "%s: in safe mode", j->what);
    /* Starting what is down disturbs nothing that works. */
    if (w->observe_until > w->now && j->a->type != REC_ACT_BRING_UP &&
        !(j->a->type == REC_ACT_RESTART && j->s->down))
        violation(w, INV_GUARDS, "%s: right after our own start", j->what);
    if (w->grace_until > w->now)
        violation(w, INV_CLOCK, "%s: within the grace after a clock step", j->what);
}

static void judge_mass(struct world *w, const struct judged *j)
{
    struct rec_host_view v;
    uint32_t n = 0;

    recovery_host_view(w->r, core_now(w), &v);
    /* The first start of what is down is no experiment. */
    if (j->a->type == REC_ACT_RESTART && j->s->down && j->a->attempt <= 1 && !j->trial)
        return;
    if (!j->automatic || j->first || j->put_back || v.state != REC_HOST_MASS_FAILURE ||
        w->host != REC_HOST_MASS_FAILURE)
        return;
    if (w->now - w->mass_since < w->hp.mass_canary_us)
        violation(w, INV_GUARDS, "%s: before the first canary of a mass failure is due", j->what);
    for (uint32_t i = 0; i < w->n_canaries; i++)
        if (w->now - w->canaries[i] < w->hp.mass_canary_us)
            w->canaries[n++] = w->canaries[i];
    w->n_canaries = n;
    if (n >= MIN(ARRAY_SIZE(w->canaries), 2 * w->hp.restarts_in_flight))
        violation(w, INV_GUARDS, "%s: %u canaries already in this period", j->what, n);
    else
        w->canaries[w->n_canaries++] = w->now;
}

static void judge_guards(struct world *w, const struct judged *j)
{
    struct shadow *other = &j->t->s[1 - j->a->component];

    w->exercised[INV_GUARDS]++;
    if (!j->urgent) {
        judge_host_guards(w, j);
        judge_mass(w, j);
        if (j->a->component == GATEWAY && (other->dead || other->act.id != 0))
            violation(w, INV_GUARDS, "%s: its proxy does not serve", j->what);
    }
    if (!j->automatic)
        return;
    if (j->t->paused_until_us > w->now)
        violation(w, INV_GUARDS, "%s: the tenant is paused", j->what);
    if (j->s->held && j->s->held_until_us > w->now)
        violation(w, INV_GUARDS, "%s: it is held", j->what);
    if (j->start_again && w->now < j->s->trial_us + w->p.start_again_us)
        violation(w, INV_GUARDS, "%s: started again too soon", j->what);
    if (j->s->quarantined && !j->start_again && j->s->half_open_us > w->now)
        violation(w, INV_GUARDS, "%s: it is quarantined, the trial is due in %.0f s", j->what,
            (double)(j->s->half_open_us - w->now) / 1e6);
    if (j->a->type == REC_ACT_RESTART_ALL && other->held && other->held_until_us > w->now)
        violation(w, INV_GUARDS, "%s: its neighbour is held", j->what);
}

static void judge_in_flight(struct world *w, const struct judged *j)
{
    const struct shadow *other = &j->t->s[1 - j->a->component];
    double full = w->hp.bucket_size;

    w->exercised[INV_IN_FLIGHT]++;
    if (j->s->act.id != 0)
        violation(w, INV_IN_FLIGHT, "%s: another action of it is in flight", j->what);
    if (j->urgent)
        return;
    if (other->act.id != 0 && !other->act_urgent)
        violation(w, INV_IN_FLIGHT, "%s: another action of the tenant is in flight", j->what);
    if (j->a->type == REC_ACT_REDEPLOY ? ++w->redeploys_in_flight > w->hp.redeploys_in_flight
                                       : ++w->restarts_in_flight > w->hp.restarts_in_flight)
        violation(w, INV_IN_FLIGHT, "%s: one too many at once", j->what);
    if (!j->automatic || j->first || j->put_back)
        return;
    w->tokens = MIN(full, w->tokens + (double)(w->now - w->tokens_at) / (double)w->hp.bucket_refill_us);
    w->tokens_at = w->now;
    w->tokens -= 1;
    if (w->tokens < -0.001)
        violation(w, INV_IN_FLIGHT, "%s: faster than the host's rate", j->what);
}

/* Beyond what a dead proxy gets at once its launch waits. The first one of this daemon does not count. */
static void judge_relaunch(struct world *w, const struct judged *j)
{
    const struct shadow *s = j->s;

    if (!j->automatic || !j->urgent || j->trial || !s->launched || s->let_go)
        return;
    w->exercised[INV_BUDGETS]++;
    if (recent(s->all, s->n_all, MINUTE, w->now) < w->p.relaunches_per_minute &&
        recent(s->all, s->n_all, HOUR, w->now) < w->p.relaunches_per_hour)
        return;
    if (w->now < s->died_us + w->p.backoff_base_us)
        violation(w, INV_BUDGETS, "%s: at once, and nothing is left of that", j->what);
}

static void judge_budgets(struct world *w, const struct judged *j)
{
    const struct shadow *s = j->s;
    const struct tenant *t = j->t;

    judge_relaunch(w, j);
    if (!j->automatic || j->a->type == REC_ACT_BRING_UP)
        return;
    w->exercised[INV_BUDGETS]++;
    if (j->a->type == REC_ACT_REDEPLOY) {
        if (t->n_redeploys > 0 && w->now - t->redeploys[t->n_redeploys - 1] < w->p.l3_min_gap_us)
            violation(w, INV_BUDGETS, "%s: too soon after the last one", j->what);
        if (!j->trial && !s->released &&
            recent(t->redeploys, t->n_redeploys, USEC_PER_DAY, w->now) >= w->p.redeploys_per_day)
            violation(w, INV_BUDGETS, "%s: the day's redeploys are used up", j->what);
        return;
    }
    if (j->urgent || j->trial || s->released)
        return;
    /* An operator's use them up as well. So do the engine's, until the daemon's next start. */
    if (recent(s->restarts, s->n_restarts, HOUR, w->now) >= w->p.restarts_per_hour)
        violation(w, INV_BUDGETS, "%s: the hour's restarts are used up", j->what);
    if (recent(s->restarts, s->n_restarts, USEC_PER_DAY, w->now) >= w->p.restarts_per_day)
        violation(w, INV_BUDGETS, "%s: the day's restarts are used up", j->what);
}

/* ---- levels */
static uint32_t attempts_of(const struct world *w, enum rec_level l)
{
    return l == REC_L1 ? w->p.l1.attempts : l == REC_L2 ? w->p.l2.attempts : w->p.l3.attempts;
}

static bool restarts_used_up(const struct world *w, const struct shadow *s)
{
    uint64_t newest = s->n_all > 0 ? s->all[s->n_all - 1] : 0;

    /* Judged at the newest one: since then the windows can only have emptied. */
    return recent(s->all, s->n_all, HOUR, newest) >= w->p.restarts_per_hour ||
           recent(s->all, s->n_all, USEC_PER_DAY, newest) >= w->p.restarts_per_day;
}

static bool exhausted(const struct world *w, const struct tenant *t, const struct shadow *s, enum rec_level l)
{
    uint64_t newest = t->n_redeploys > 0 ? t->redeploys[t->n_redeploys - 1] : 0;

    uint32_t refused = 0;

    /* Of whatever level: the core counts them as one. */
    for (int k = 0; k < _REC_LEVEL_MAX; k++)
        refused += s->refused[k];
    if (s->tries[l] >= attempts_of(w, l) || refused >= 7 || s->vain[l] || s->spent[l])
        return true;
    if (l == REC_L2 && (t->s[PROXY].quarantined || s->neighbour_ill))
        return true; /* one that is quarantined is not restarted along */
    if (l == REC_L2 && s == &t->s[GATEWAY])
        return true; /* nor is one that serves; which of two was so when it was decided, is left open */
    if (l == REC_L3)
        return recent(t->redeploys, t->n_redeploys, USEC_PER_DAY, newest) >= w->p.redeploys_per_day;
    return restarts_used_up(w, s) || s->uncounted[REC_L1] > 0;
}

static void judge_level(struct world *w, const struct judged *j)
{
    if (!j->automatic || j->trial || j->a->level < REC_L2)
        return;
    w->exercised[INV_LEVELS]++;
    for (enum rec_level l = MAX(j->s->reached, REC_L1); l < j->a->level; l++)
        if (!exhausted(w, j->t, j->s, l))
            violation(w, INV_LEVELS, "%s: %s has %u of %u attempts left", j->what, rec_level_to_string(l),
                attempts_of(w, l) - j->s->tries[l], attempts_of(w, l));
}

static void judge_alert(struct world *w, const struct judged *j)
{
    struct shadow *s = j->s;
    const struct recovery_params *p = &w->p;
    bool gateway = j->a->component == GATEWAY;

    if (j->a->level != REC_L4)
        return;
    w->exercised[INV_LEVELS]++;
    if (!s->quarantined && gateway && s->bring_up_failures < p->l1.attempts + p->l2.attempts + p->l3.attempts)
        for (enum rec_level l = MAX(s->reached, REC_L1); l <= REC_L3; l++)
            if (!exhausted(w, j->t, s, l))
                violation(w, INV_LEVELS, "%s/gateway: quarantined with %s left", j->t->slug,
                    rec_level_to_string(l));
    if (!s->quarantined && !gateway && s->tries[REC_L1] < p->l1.attempts + p->l2.attempts &&
        !restarts_used_up(w, s) && s->uncounted[REC_L1] == 0 && !s->vain[REC_L1] && !s->spent[REC_L1])
        violation(w, INV_LEVELS, "%s/proxy: quarantined with attempts left", j->t->slug);
    if (!s->quarantined) {
        s->half_open_us = w->now + (gateway ? p->half_open_us : p->quarantine_probe_us);
        s->trial_us = w->now;
    }
    s->quarantined = true;
    s->plan.set = false;
}

/* ---- evidence */
void check_evidence(struct world *w, struct tenant *t, int k)
{
    struct shadow *s = &t->s[k];
    bool starting = s->state == REC_STARTING || s->state == REC_VERIFYING,
         in_time = starting && w->now - s->state_since_us >= w->deadline_us[k];

    if (s->quarantined || s->op_wanted)
        return;
    if (!s->hard && !in_time && s->fails < w->p.fall)
        violation(w, INV_UNKNOWN, "%s/%s: only %u failed probes, and nothing else, speak for acting", t->slug,
            k == PROXY ? "proxy" : "gateway", s->fails);
    if (k == GATEWAY && !s->hard && !in_time &&
        w->now < s->doubt_us + MIN(w->p.patience_us, 5 * w->interval_us))
        violation(w, INV_UNKNOWN, "%s/gateway: its probes have failed for %.1f s only", t->slug,
            (double)(w->now - s->doubt_us) / 1e6);
    s->hard = true; /* it stands until something good happens */
}

static void judge_evidence(struct world *w, const struct judged *j)
{
    if (!j->automatic || j->trial)
        return;
    w->exercised[INV_GOOD]++;
    if (j->s->oks >= w->p.rise)
        violation(w, INV_GOOD, "%s: its last %u probes are good", j->what, j->s->oks);
    check_evidence(w, j->t, (int)j->a->component);
}

/* An action that follows at once was never seen as a plan. */
static void judge_delay(struct world *w, const struct judged *j)
{
    const struct shadow *s = j->s;
    const struct rec_action *a = j->a;
    const struct recovery_rung *g = a->level == REC_L2 ? &w->p.l2 : a->level == REC_L3 ? &w->p.l3 : &w->p.l1;
    uint32_t i = a->attempt > 0 ? a->attempt - 1 : 0;

    if (!j->automatic || j->trial)
        return;
    w->exercised[INV_DELAYS]++;
    if (s->plan.set) {
        if (w->now < s->plan.due_us && a->component == GATEWAY && a->level == s->plan.level)
            violation(
                w, INV_DELAYS, "%s: %.3f s too early", j->what, (double)(s->plan.due_us - w->now) / 1e6);
        return;
    }
    if (a->type == REC_ACT_BRING_UP
            ? a->attempt > 1 && !j->urgent && s->n_dues == 0
            : !j->urgent && s->n_dues == 0 && g->n_delays > 0 && g->delay_us[MIN(i, g->n_delays - 1)] > 0)
        violation(w, INV_DELAYS, "%s: at once", j->what);
}

/* ---- taken down */
static void take_down(struct world *w, const struct judged *j)
{
    const struct rec_action *a = j->a;
    struct shadow *s = j->s;

    s->act = *a;
    s->act_automatic = j->automatic;
    s->act_urgent = j->urgent;
    s->act_trial = j->trial;
    s->act_along = s->died_in_flight = s->plan.set = false;
    s->launched = true;
    s->let_go = false;
    s->n_dues = 0;
    s->engine_restarted = s->with_engine = false;
    if (!j->automatic) {
        s->op_wanted = s->held = false;
        s->uncounted[a->level]++;
    } else if (j->trial) {
        s->old_half_open_us = s->half_open_us;
        s->trial_us = w->now;
        if (!j->start_again)
            s->half_open_us =
                w->now + (a->component == GATEWAY ? w->p.half_open_us : w->p.quarantine_probe_us);
        s->tries[MAX(a->level, REC_L1)]++; /* in the store it is an attempt like any other */
        s->reached = MAX(s->reached, a->level);
    } else if (a->type != REC_ACT_BRING_UP || a->component == PROXY) {
        s->tries[MAX(a->level, REC_L1)]++;
        s->reached = MAX(s->reached, a->level);
    }
    if (j->automatic && !j->urgent)
        s->released = false;
    if (a->type == REC_ACT_REDEPLOY)
        check_push(j->t->redeploys, &j->t->n_redeploys, w->now);
    for (int k = 0; k < 2; k++) {
        struct shadow *o = &j->t->s[k];

        if (check_is_restart(a, o == s)) {
            check_push(o->all, &o->n_all, w->now);
            check_push(o->restarts, &o->n_restarts, w->now);
        }
        if (a->type != REC_ACT_RESTART_ALL || o == s || o->act.id != 0)
            continue;
        o->act = *a;
        o->act_along = true;
        if (o->state == REC_STARTING && o->oks >= w->p.rise)
            o->quarantined = false; /* it was well for the moment between two looks */
        o->act_urgent = o->act_trial = o->died_in_flight = o->plan.set = false;
    }
}

/* Twice for each action: it is judged when it is ordered, and taken down once it is written. */
void check_action(struct world *w, const struct rec_action *a, bool written)
{
    struct tenant *t = check_tenant(w, a->tenant);
    char what[96];
    struct judged j = {.t = t, .a = a, .what = what};

    if (!t || a->component > 1 || a->type == REC_ACT_PROBE_NOW || a->type == REC_ACT_RELIST)
        return;
    j.s = &t->s[a->component];
    if (a->type == REC_ACT_ALERT) {
        judge_alert(w, &j);
        return;
    }
    (void)snprintf(what, sizeof(what), "%s/%s: %s at %s, attempt %u", t->slug,
        a->component == PROXY ? "proxy" : "gateway", rec_action_type_to_string(a->type),
        rec_level_to_string(a->level), a->attempt);
    j.automatic = strcmp(a->reason, "operator") != 0;
    j.urgent = a->component == PROXY && (j.s->dead || !j.automatic);
    j.trial = j.automatic && j.s->quarantined;
    j.first = a->type == REC_ACT_BRING_UP && !j.s->ever_up;
    j.put_back = j.automatic && a->type == REC_ACT_BRING_UP && j.s->with_engine;
    j.start_again = j.trial && a->component == GATEWAY && a->type == REC_ACT_RESTART;
    if (written) {
        take_down(w, &j);
        return;
    }
    judge_guards(w, &j);
    judge_in_flight(w, &j);
    judge_budgets(w, &j);
    judge_level(w, &j);
    judge_evidence(w, &j);
    judge_delay(w, &j);
}
