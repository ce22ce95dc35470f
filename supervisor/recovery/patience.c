/* patience.c: for how long failed probes alone are not believed. A gateway that stalls and goes on by itself
 * is cut off by a restart for longer than by its stall; how long its stalls take is remembered. Decides
 * nothing else: what has ended, or never came up, is not waited for. */
#include "recovery/recovery_internal.h"

#define FADES_US (7 * USEC_PER_DAY)

/* The longest stall lately; less and less of it within a week. */
static uint64_t remembered(const struct component *c, uint64_t now_us)
{
    uint64_t age = now_us - MIN(c->stall_at_us, now_us);

    return age >= FADES_US ? 0 : c->stall_us - c->stall_us / 1024 * (age / (FADES_US / 1024));
}

/* It came back by itself. */
void patience_learn(struct component *c, uint64_t now_us)
{
    uint64_t stall = MIN(now_us - MIN(c->doubt_us, now_us), c->rp.patience_max_us);

    if (c->fails == 0 || stall < remembered(c, now_us))
        return;
    c->stall_us = stall;
    c->stall_at_us = now_us;
}

/* Twice what it was seen to take: the next one may be longer. */
uint64_t patience_until(const struct component *c, uint64_t now_us)
{
    const struct recovery_params *p = &c->rp;
    uint64_t stall = remembered(c, now_us), interval = MIN(c->p.interval_us, USEC_PER_HOUR), least, most;

    if (c->p.kind == REC_KIND_PROXY)
        return c->doubt_us;
    least = MIN(p->patience_us, 5 * interval);
    most = MAX(least, MIN(p->patience_max_us, 15 * interval));
    return time_add(c->doubt_us, MIN(MAX(least, 2 * stall), most));
}

bool patience_is_over(const struct component *c, uint64_t now_us)
{
    return c->fails >= c->p.fall && now_us >= patience_until(c, now_us);
}
