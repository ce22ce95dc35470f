/* view.c: what people see, and the words for it. Reads only. */
#include "recovery/recovery_internal.h"

static struct rec_tenant *find(const struct recovery *r, uint32_t tenant)
{
    return tenant < r->n_slots ? r->tenants[tenant] : NULL;
}

static const char *guard_to_string(enum guard g)
{
    static const char *const names[_GUARD_MAX] = {
        [GUARD_NONE] = "none",
        [GUARD_ENGINE_DOWN] = "engine down",
        [GUARD_SETTLING] = "settling",
        [GUARD_SAFE] = "safe mode",
        [GUARD_MASS] = "mass failure",
        [GUARD_GRACE] = "grace",
        [GUARD_OBSERVING] = "observing",
        [GUARD_IN_FLIGHT] = "in flight",
        [GUARD_TOKENS] = "rate",
        [GUARD_PAUSED] = "paused",
        [GUARD_BUSY] = "busy",
        [GUARD_DEPENDENCY] = "dependency",
        [GUARD_HELD] = "held",
        [GUARD_FLAPPING] = "flapping",
        [GUARD_ENGINE_ACTING] = "engine acting",
        [GUARD_BUDGET] = "budget",
    };

    return g < _GUARD_MAX ? names[g] : "unknown";
}

static const char *held_by(const struct recovery *r, struct component *c, uint64_t now_us)
{
    struct plan *p = tenant_plan(c);
    enum guard g;
    uint64_t until;

    if (!p || p->due_us > now_us)
        return NULL;
    g = tenant_guard(c, p, now_us, &until);
    if (g == GUARD_NONE && !p->urgent)
        g = host_gate(r, host_queue_of(c, p), now_us, &until);
    return g == GUARD_NONE ? NULL : guard_to_string(g);
}

const char *recovery_operator_held_by(
    const struct recovery *r, uint32_t tenant, uint32_t component, enum rec_op op, uint64_t now_us)
{
    const struct rec_tenant *t = find(r, tenant);
    struct plan p = {.set = true, .hard = true, .op = true, .due_us = now_us};
    const struct component *c;
    enum guard g;
    uint64_t until;

    if (!t || component >= t->n)
        return "unknown component";
    c = t->c[component];
    p.type = op == REC_OP_REDEPLOY ? REC_ACT_REDEPLOY : REC_ACT_RESTART;
    p.level = op == REC_OP_REDEPLOY ? REC_L3 : REC_L1;
    p.urgent = c->p.kind == REC_KIND_PROXY;
    g = tenant_guard(c, &p, now_us, &until);
    if (g == GUARD_NONE && !p.urgent)
        g = host_gate(r, host_queue_of(c, &p), now_us, &until);
    return g == GUARD_NONE ? NULL : guard_to_string(g);
}

static void view_plan(const struct component *c, const struct plan *p, struct rec_component_view *v)
{
    const struct recovery_params *rp = &c->rp;

    v->next_us = p->due_us;
    v->next_level = p->level;
    v->next_attempt = v->next_attempts = 1;
    if (!p->counted)
        return;
    if (p->type == REC_ACT_BRING_UP) {
        v->next_attempt = c->bring_ups + 1;
        v->next_attempts = 0;
        return;
    }
    v->next_attempt = c->tries[MAX(p->level, REC_L1)] + 1;
    v->next_attempts =
        c->p.kind == REC_KIND_PROXY ? rp->l1.attempts + rp->l2.attempts : ladder_rung(rp, p->level)->attempts;
}

void recovery_component_view(const struct recovery *r, uint32_t tenant, uint32_t component, uint64_t now_us,
    struct rec_component_view *ret)
{
    struct rec_tenant *t = find(r, tenant);
    struct component *c;
    struct plan *p;

    *ret = (struct rec_component_view){.next_us = USEC_INFINITY, .reason = "unknown component"};
    if (!t || component >= t->n)
        return;
    c = t->c[component];
    ret->state = c->state;
    ret->since_us = c->since_us;
    ret->fails = c->fails;
    ret->oks = c->oks;
    ret->reason = c->reason;
    ret->held_by = held_by(r, c, now_us);
    p = tenant_plan(c);
    if (p) {
        view_plan(c, p, ret);
    } else if (c->state == REC_HELD || c->state == REC_QUARANTINED) {
        ret->next_us = c->deadline_us;
        ret->next_level = c->state == REC_HELD                                              ? REC_L0
                          : c->p.kind == REC_KIND_PROXY || c->deadline_us < c->half_open_us ? REC_L1
                                                                                            : REC_L3;
        ret->next_attempt = ret->next_attempts = 1;
    }
}

void recovery_component_budget(const struct recovery *r, uint32_t tenant, uint32_t component, uint64_t now_us,
    uint32_t *ret_hour, uint32_t *ret_day)
{
    const struct rec_tenant *t = find(r, tenant);

    *ret_hour = *ret_day = 0;
    if (!t || component >= t->n)
        return;
    *ret_hour = history_count(&t->c[component]->restarts, USEC_PER_HOUR, now_us);
    *ret_day = history_count(&t->c[component]->restarts, USEC_PER_DAY, now_us);
}

void recovery_tenant_view(
    const struct recovery *r, uint32_t tenant, uint64_t now_us, struct rec_tenant_view *ret)
{
    const struct rec_tenant *t = find(r, tenant);

    *ret = (struct rec_tenant_view){0};
    if (!t)
        return;
    ret->redeploys_day = history_count(&t->redeploys, USEC_PER_DAY, now_us);
    ret->paused = t->pause_until_us > now_us;
    if (ret->paused)
        ret->hold_until_us = ret->pause_until_us = t->pause_until_us;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct component *c = t->c[i];

        ret->level = MAX(ret->level, c->quarantined ? REC_L4 : c->level);
        ret->flapping = ret->flapping || flap_until(c, now_us) != 0;
        ret->quarantined = ret->quarantined || c->quarantined;
        ret->quarantine_kept = ret->quarantine_kept || (c->quarantined && c->p.kind != REC_KIND_PROXY);
        if (c->state == REC_HELD) {
            ret->held = true;
            ret->held_until_us = MAX(ret->held_until_us, c->deadline_us);
            ret->hold_until_us = MAX(ret->hold_until_us, c->deadline_us);
        }
    }
    if (ret->quarantined)
        ret->quarantine_since_us = t->quarantine_since_us;
}

void recovery_host_view(const struct recovery *r, uint64_t now_us, struct rec_host_view *ret)
{
    *ret = (struct rec_host_view){
        .state = r->state,
        .since_us = r->since_us,
        .restarts_in_flight = r->restarts_in_flight,
        .redeploys_in_flight = r->redeploys_in_flight,
        .tokens = r->tokens,
        .observing = r->observe_until_us > now_us,
    };
}

size_t recovery_suppressed(
    const struct recovery *r, const char *ret_names[REC_GUARDS_MAX], uint64_t ret_counts[REC_GUARDS_MAX])
{
    _Static_assert(_GUARD_MAX - 1 <= REC_GUARDS_MAX, "every guard has a place");
    size_t n = 0;

    for (enum guard g = GUARD_NONE + 1; g < _GUARD_MAX; g++) {
        ret_names[n] = guard_to_string(g);
        ret_counts[n++] = r->suppressed[g];
    }
    return n;
}

const char *rec_state_to_string(enum rec_state s)
{
    static const char *const names[_REC_STATE_MAX] = {
        [REC_UNKNOWN] = "unknown",
        [REC_STARTING] = "starting",
        [REC_HEALTHY] = "healthy",
        [REC_SUSPECT] = "suspect",
        [REC_BACKOFF] = "backoff",
        [REC_RECOVERING] = "recovering",
        [REC_VERIFYING] = "verifying",
        [REC_QUARANTINED] = "quarantined",
        [REC_HELD] = "held",
    };

    return s < _REC_STATE_MAX ? names[s] : "unknown";
}

const char *rec_host_state_to_string(enum rec_host_state s)
{
    static const char *const names[_REC_HOST_STATE_MAX] = {
        [REC_HOST_NORMAL] = "normal",
        [REC_HOST_ENGINE_DOWN] = "engine-down",
        [REC_HOST_MASS_FAILURE] = "mass-failure",
        [REC_HOST_SETTLING] = "settling",
        [REC_HOST_SAFE] = "safe",
    };

    return s < _REC_HOST_STATE_MAX ? names[s] : "unknown";
}

const char *rec_action_type_to_string(enum rec_action_type t)
{
    static const char *const names[_REC_ACT_MAX] = {
        [REC_ACT_BRING_UP] = "bring-up",
        [REC_ACT_RESTART] = "restart",
        [REC_ACT_RESTART_ALL] = "restart-all",
        [REC_ACT_REDEPLOY] = "redeploy",
        [REC_ACT_ALERT] = "alert",
        [REC_ACT_PROBE_NOW] = "probe",
        [REC_ACT_RELIST] = "relist",
    };

    return t < _REC_ACT_MAX ? names[t] : "unknown";
}

const char *rec_level_to_string(enum rec_level l)
{
    static const char *const names[_REC_LEVEL_MAX] = {"L0", "L1", "L2", "L3", "L4"};

    return l < _REC_LEVEL_MAX ? names[l] : "unknown";
}
