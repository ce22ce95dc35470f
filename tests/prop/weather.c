/* weather.c: what befalls the model: failures of one, of many, of the engine, of the clock, of the daemon,
 * and people. */
#include "model.h"

#include <string.h>

static struct tenant *some(struct world *w)
{
    return &w->t[rnd(w, w->n)];
}

static bool runs(const struct tenant *t, int k)
{
    return k == PROXY ? t->part[PROXY].running : gateway_running(t) >= 0;
}

static void fall_ill(struct world *w, struct tenant *t, int k, enum fault fault)
{
    t->part[k].fault = fault;
    t->part[k].cure = (enum rec_level)(REC_L1 + rnd(w, 4));
    t->part[k].flaky_until = w->now + between(w, 10 * SEC, chance(w, 90) ? 5 * MINUTE : HOUR);
    lazy_wake(w, t, k);
    if (fault == FAULT_START && w->last_phase && runs(t, k))
        part_died(w, t, k, false, true);
    if ((fault == FAULT_CRASH || fault == FAULT_LOOP) && runs(t, k))
        t->part[k].dies_at = w->now + between(w, 0, 5 * SEC);
    world_note(w, "%s/%s: fault %d until L%d", t->slug, k == PROXY ? "proxy" : "gateway", (int)fault,
        (int)t->part[k].cure);
}

static void one_fails(struct world *w)
{
    fall_ill(w, some(w), chance(w, 30) ? PROXY : GATEWAY, (enum fault)(1 + rnd(w, _FAULT_MAX - 1)));
}

static void is_mended(struct world *w, struct tenant *t)
{
    for (int k = 0; k < 2; k++) {
        t->part[k].fault = FAULT_NONE;
        lazy_wake(w, t, k);
    }
    t->image_missing = false;
}

static void one_is_mended(struct world *w)
{
    is_mended(w, some(w));
}

static void one_dies(struct world *w)
{
    struct tenant *t = some(w);
    int k = chance(w, 40) ? PROXY : GATEWAY;

    if (runs(t, k))
        part_died(w, t, k, false, chance(w, 90));
}

static void many_fail(struct world *w)
{
    enum fault f = chance(w, 50) ? FAULT_HANG : FAULT_NONE;

    for (uint32_t i = 0; i < w->n; i++) {
        if (chance(w, 40))
            continue;
        if (f == FAULT_HANG)
            fall_ill(w, &w->t[i], GATEWAY, f);
        else if (runs(&w->t[i], GATEWAY))
            part_died(w, &w->t[i], GATEWAY, false, chance(w, 90));
    }
}

static void all_mended(struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        is_mended(w, &w->t[i]);
}

void weather_calm(struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        for (int k = 0; k < 2; k++) {
            struct part *p = &w->t[i].part[k];

            bool noisy = p->fault == FAULT_FLAKY || p->fault == FAULT_BLIND || p->fault == FAULT_LOOP;

            /* A broken proxy is tried once a minute. */
            if (p->fault == FAULT_NONE || (!noisy && (k == GATEWAY || chance(w, 10))))
                continue;
            p->fault = FAULT_NONE;
            lazy_wake(w, &w->t[i], k);
        }
}

static void engine_fails(struct world *w)
{
    w->engine_up = false;
    w->engine_hung = chance(w, 30);
    w->engine_back_at = w->now + between(w, SEC / 2, chance(w, 70) ? 40 * SEC : 10 * MINUTE);
    world_note(w, "the engine goes away%s", w->engine_hung ? " (hangs)" : "");
    lazy_wake_all(w);
    for (uint32_t i = 0; chance(w, 20) && i < w->n; i++) /* without live-restore its containers die with it */
        if (runs(&w->t[i], GATEWAY))
            part_died(w, &w->t[i], GATEWAY, false, false);
}

static void jump(struct world *w)
{
    if (chance(w, 50))
        w->now += between(w, 2 * SEC, 60 * SEC); /* the loop stalled; a suspend does not move the clock */
    world_note(w, "the clock jumps");
    world_deliver(w, (struct rec_event){.type = REC_EV_TIME_JUMP});
}

/* ---- people */
static void verb(struct world *w, enum rec_op op)
{
    static const uint64_t times[] = {0, MINUTE, 10 * MINUTE, 2 * HOUR, 48 * HOUR};
    struct tenant *t = some(w);
    struct rec_event ev = {.type = REC_EV_OPERATOR, .tenant = t->index, .op.op = op};

    ev.component = op == REC_OP_RESTART ? (uint32_t)rnd(w, 3) : GATEWAY;
    ev.op.for_us = times[rnd(w, ARRAY_SIZE(times))];
    world_note(w, "%s: operator, verb %d", t->slug, (int)op);
    world_deliver(w, ev);
}

static void somebody_stops(struct world *w)
{
    struct tenant *t = some(w);

    if (runs(t, GATEWAY))
        part_died(w, t, GATEWAY, true, true);
}

static void somebody_starts(struct world *w)
{
    struct tenant *t = some(w);
    int slot = container_named(t, CNAME);

    if (slot < 0 || runs(t, GATEWAY) || t->op[GATEWAY].on || t->op[RESUMED].on)
        return; /* by hand beside a redeploy anything can be made to run twice */
    t->g[slot].running = true;
    part_started(w, t, GATEWAY);
}

static void somebody_removes(struct world *w)
{
    struct tenant *t = some(w);
    int slot = container_named(t, CNAME);

    if (slot < 0 || t->op[GATEWAY].on || t->op[RESUMED].on)
        return;
    if (t->g[slot].running)
        part_died(w, t, GATEWAY, false, true);
    t->g[slot] = (struct container){0};
    lazy_wake(w, t, GATEWAY);
}

static void leaves_and_joins(struct world *w)
{
    struct tenant *t = some(w);
    uint32_t i = (uint32_t)(t - w->t);

    if (!w->r)
        return;
    check_forget(w, t);
    (void)recovery_remove_tenant(w->r, t->index);
    world_add_tenant(w, i);
}

/* ---- the daemon */
static void daemon_fails(struct world *w)
{
    if (!w->r)
        return;
    if (chance(w, 70))
        w->crash_in = (int)rnd(w, 5); /* at one of its next writes */
    else
        world_crash(w, chance(w, 30));
}

void weather(struct world *w)
{
    uint64_t n = rnd(w, 100);

    if (n < 24)
        one_fails(w);
    else if (n < 38)
        one_is_mended(w);
    else if (n < 56)
        one_dies(w);
    else if (n < 60)
        many_fail(w);
    else if (n < 64)
        all_mended(w);
    else if (n < 69)
        engine_fails(w);
    else if (n < 73)
        jump(w);
    else if (n < 83)
        verb(w, (enum rec_op)rnd(w, _REC_OP_MAX));
    else if (n < 87)
        somebody_stops(w);
    else if (n < 90)
        somebody_starts(w);
    else if (n < 92)
        somebody_removes(w);
    else if (n < 93)
        leaves_and_joins(w);
    else if (n < 95)
        some(w)->image_missing = true;
    else
        daemon_fails(w);
}

void weather_clear(struct world *w)
{
    static const enum fault lasting[] = {FAULT_HANG, FAULT_CRASH, FAULT_CRASH, FAULT_START};
    uint32_t ill = (uint32_t)rnd(w, MIN(w->n, 2) + 1);

    world_note(w, "the weather clears; %u stay broken", ill);
    w->last_phase = true;
    w->weather_at = w->calm_at = NEVER;
    w->crash_in = -1;
    w->engine_back_at = MIN(w->engine_back_at, w->now);
    lazy_wake_all(w);
    all_mended(w);
    for (uint32_t i = 0; i < ill; i++) {
        struct tenant *t = &w->t[i];
        int k = chance(w, 30) ? PROXY : GATEWAY;

        fall_ill(w, t, k, lasting[rnd(w, ARRAY_SIZE(lasting))]);
        t->part[k].cure = REC_L4;
        t->broken[k] = true;
    }
    for (uint32_t i = 0; i < w->n && w->r; i++) /* a pause can last a day */
        world_deliver(w, (struct rec_event){.type = REC_EV_OPERATOR, .tenant = i, .op.op = REC_OP_RESUME});
    for (uint32_t i = 0; i < w->n; i++)
        w->t[i].pause_until = 0;
    for (uint32_t i = 0; i < w->n; i++)
        w->t[i].s[PROXY].broken_us = w->t[i].s[GATEWAY].broken_us = 0;
}
