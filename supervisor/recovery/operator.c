/* operator.c: the verbs of a person. They are done or shown as waiting, never dropped; they pass the backoff,
 * holds and quarantine, but not the laws of the house: one action per tenant, the in-flight limits, a proxy
 * before its gateway, no action without an engine. */
#include "recovery/recovery_internal.h"

#define PAUSE_DEFAULT_US USEC_PER_HOUR
#define PAUSE_MAX_US USEC_PER_DAY

/* The gateway is added before the components beside it. */
static struct component *top_component(struct rec_tenant *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (ladder_can_redeploy(t->c[i]))
            return t->c[i];
    return t->n > 0 ? t->c[t->n - 1] : NULL;
}

/* Out of quarantine: the ladder begins anew; the sliding budgets stay, but one action is granted. */
static void release(struct step *x, struct component *c)
{
    if (!c->quarantined)
        return;
    c->quarantined = false;
    c->half_open_us = USEC_INFINITY;
    ladder_reset(c);
    c->allow_one = true;
    c->t->restored_quarantine = false;
    if (c->state != REC_QUARANTINED && c->state != REC_BACKOFF)
        return; /* its trial runs already */
    if (c->presence == REC_MISSING || c->presence == REC_STOPPED)
        ladder_bring_up(x, c, "released by the operator");
    else
        component_failed(x, c, true, "released by the operator");
}

static void ask(struct step *x, struct component *c, enum rec_action_type type)
{
    if (!c)
        return;
    host_dequeue(x->r, c);
    c->op = (struct plan){
        .set = true,
        .hard = true,
        .op = true,
        .urgent = c->p.kind == REC_KIND_PROXY, /* needs no engine */
        .type = type,
        .level = type == REC_ACT_REDEPLOY ? REC_L3 : REC_L1,
        .due_us = x->now_us,
        .reason = REC_REASON_OPERATOR,
    };
}

void operator_verb(struct step *x, struct rec_tenant *t, uint32_t component, enum rec_op op, uint64_t for_us)
{
    switch (op) {
    case REC_OP_PAUSE:
        t->pause_until_us = time_add(x->now_us, for_us == 0 ? PAUSE_DEFAULT_US : MIN(for_us, PAUSE_MAX_US));
        break;
    case REC_OP_RESUME:
        t->pause_until_us = t->restored_hold_until_us = 0;
        for (uint32_t i = 0; i < t->n; i++)
            if (t->c[i]->state == REC_HELD)
                component_unhold(x, t->c[i], "resumed by the operator");
        break;
    case REC_OP_RELEASE:
        for (uint32_t i = 0; i < t->n; i++)
            release(x, t->c[i]);
        break;
    case REC_OP_RESTART:
        ask(x, component < t->n ? t->c[component] : top_component(t), REC_ACT_RESTART);
        break;
    case REC_OP_REDEPLOY:
        ask(x, component < t->n && ladder_can_redeploy(t->c[component]) ? t->c[component] : top_component(t),
            REC_ACT_REDEPLOY);
        break;
    case _REC_OP_MAX:
    default:
        break;
    }
}
