/* weather.c: what befalls a host, drawn once from a seed, so that every policy meets the same. The rates are
 * assumptions about gateways that are large Node programs on shared hosts; the shares (what a restart mends,
 * what nothing mends) decide more than the rates do. Decides nothing about the outcome. */
#include "sim.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct list {
    struct weather *w;
    size_t n, max;
    bool failed;
    uint64_t rng;
    const struct options *o;
};

static double draw(struct list *l)
{
    uint64_t z = (l->rng += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static bool chance(struct list *l, double p)
{
    return draw(l) < p;
}

static uint64_t between(struct list *l, double a_s, double b_s)
{
    return (uint64_t)((a_s + (b_s - a_s) * draw(l)) * 1e6);
}

static uint64_t exponential(struct list *l, double mean_s, double most_s)
{
    return (uint64_t)(fmin(-mean_s * log(1 - draw(l)), most_s) * 1e6);
}

static void add(struct list *l, const struct weather *w)
{
    if (w->at >= BEGIN_US + l->o->days * DAY)
        return;
    if (l->n == l->max) {
        size_t n = l->max == 0 ? 1024 : l->max * 2;
        struct weather *p = reallocarray(l->w, n, sizeof(*p));

        if (!p) {
            l->failed = true;
            return;
        }
        l->w = p;
        l->max = n;
    }
    l->w[l->n++] = *w;
}

/* The next arrival at so many a day; past the end when there is none. */
static uint64_t next(struct list *l, uint64_t from, double per_day)
{
    return per_day <= 0 ? NEVER / 2 : from + (uint64_t)(-log(1 - draw(l)) / per_day * (double)DAY);
}

/* What mends it: mostly a restart, sometimes one of the whole tenant or a new container, sometimes nothing.
 */
static enum rec_level cure(struct list *l, double l1, double l2, double l3)
{
    double u = draw(l);

    return u < l1 ? REC_L1 : u < l1 + l2 ? REC_L2 : u < l1 + l2 + l3 ? REC_L3 : REC_L4;
}

/* ---- one tenant */
/* A stall; or a crash at each start for as long as something that it needs is gone. */
static uint64_t lasts(struct list *l, uint32_t part, enum fault f)
{
    if (f == FAULT_BLIP)
        return exponential(l, 4, 45);
    if (f == FAULT_CRASH && part % PARTS == GATEWAY && chance(l, 0.05))
        return MINUTE + exponential(l, 600, 3600);
    return 0;
}

static void one_fault(struct list *l, uint64_t at, uint32_t part, enum fault f, const double cures[3])
{
    struct weather w = {
        .at = at,
        .type = W_FAULT,
        .part = part,
        .fault = f,
        .cure = cure(l, cures[0], cures[1], cures[2]),
        .duration_us = lasts(l, part, f),
        .flag = chance(l, 0.5),
    };

    if (w.duration_us > 0)
        w.cure = REC_L4; /* only time */
    add(l, &w);
}

static void faults(struct list *l, uint32_t part, double per_day, enum fault f, const double cures[3])
{
    uint64_t end = BEGIN_US + l->o->days * DAY;

    for (uint64_t at = next(l, BEGIN_US + 10 * MINUTE, per_day); at < end; at = next(l, at, per_day))
        one_fault(l, at, part, f, cures);
}

static void flaps(struct list *l, uint32_t part, double per_day)
{
    uint64_t end = BEGIN_US + l->o->days * DAY;

    for (uint64_t at = next(l, BEGIN_US + 10 * MINUTE, per_day); at < end; at = next(l, at, per_day)) {
        uint64_t over = at + between(l, 900, 2700);

        while (at < over) {
            uint64_t bad = between(l, 5, 45);

            add(l, &(struct weather){.at = at,
                       .type = W_FAULT,
                       .part = part,
                       .fault = FAULT_BLIP,
                       .cure = REC_L4,
                       .duration_us = bad});
            at += bad + between(l, 20, 90);
        }
    }
}

struct rates { /* a day: of each tenant, then of the host */
    double crash, hang, sick, blip, proxy_crash, proxy_hang, flap;
    double outside, overload, burst, engine, step;
};

static void one_tenant(struct list *l, uint32_t t, const struct rates *r)
{
    static const double crash[] = {0.95, 0, 0.03}, hang[] = {0.96, 0, 0.03}, sick[] = {0.5, 0, 0.2},
                        proxy[] = {1, 0, 0}, none[] = {0, 0, 0};
    uint32_t g = t * PARTS + GATEWAY, p = t * PARTS + PROXY;

    faults(l, g, r->crash, FAULT_CRASH, crash);
    faults(l, g, r->hang, FAULT_HANG, hang);
    faults(l, g, r->sick, FAULT_SICK, sick);
    faults(l, g, r->blip, FAULT_BLIP, none);
    faults(l, p, r->proxy_crash, FAULT_CRASH, proxy);
    faults(l, p, r->proxy_hang, FAULT_HANG, proxy);
    flaps(l, g, r->flap);
}

/* ---- the whole host */
static void many(struct list *l, uint64_t at, enum weather_type type, double share, uint64_t duration)
{
    for (uint32_t t = 0; t < l->o->tenants; t++) {
        if (!chance(l, share))
            continue;
        add(l, &(struct weather){.at = at + between(l, 0, type == W_OUTSIDE ? 5 : 20),
                   .type = type,
                   .part = t * PARTS + GATEWAY,
                   .fault = FAULT_CRASH,
                   .cure = REC_L1,
                   .duration_us = duration});
    }
}

static void the_host(struct list *l, const struct rates *r)
{
    uint64_t begin = BEGIN_US + 10 * MINUTE, end = BEGIN_US + l->o->days * DAY;

    for (uint64_t at = next(l, begin, r->outside); at < end; at = next(l, at, r->outside))
        many(l, at, W_OUTSIDE, 0.6 + 0.4 * draw(l), 2 * MINUTE + exponential(l, 900, 5400));
    for (uint64_t at = next(l, begin, r->burst); at < end; at = next(l, at, r->burst))
        many(l, at, W_FAULT, 0.3 + 0.7 * draw(l), 0);
    for (uint64_t at = next(l, begin, r->overload); at < end; at = next(l, at, r->overload))
        add(l, &(struct weather){.at = at, .type = W_OVERLOAD, .duration_us = between(l, 10, 120)});
    for (uint64_t at = next(l, begin, r->engine); at < end; at = next(l, at, r->engine))
        add(l, &(struct weather){.at = at,
                   .type = W_ENGINE,
                   .duration_us = 5 * SEC + exponential(l, 60, 900),
                   .flag = chance(l, 0.5)});
    for (uint64_t at = next(l, begin, r->step); at < end; at = next(l, at, r->step))
        add(l, &(struct weather){.at = at,
                   .type = W_STEP,
                   .duration_us = between(l, 5, 20),
                   .step_us = (int64_t)between(l, 0, 14400) - (int64_t)(2 * HOUR)});
}

static const struct {
    const char *name;
    struct rates r;
} models[_MODEL_MAX] = {
    [MODEL_MIXED] = {"mixed", {0.5, 0.2, 0.02, 6, 0.1, 0.03, 0.02, 0.2, 0.5, 0.05, 0.1, 0.2}},
    [MODEL_INDEPENDENT] = {"independent",
        {.crash = 1, .hang = 0.5, .sick = 0.05, .blip = 6, .proxy_crash = 0.3, .proxy_hang = 0.1}},
    [MODEL_CORRELATED] = {"correlated", {.outside = 1, .overload = 2, .burst = 0.3}},
    [MODEL_ENGINE] = {"engine-outage", {.engine = 1, .crash = 0.5, .hang = 0.2}},
    [MODEL_SLOW_START] = {"slow-start", {.crash = 1, .hang = 0.3, .burst = 0.2}},
    [MODEL_FLAPPING] = {"flapping", {.flap = 0.5, .crash = 0.5}},
    [MODEL_CLOCK] = {"clock-step", {.step = 4, .crash = 0.5, .hang = 0.2}},
};

const char *model_to_string(enum model m)
{
    return models[m].name;
}

static int by_time(const void *a, const void *b)
{
    const struct weather *x = a, *y = b;

    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : (x->part > y->part) - (x->part < y->part);
}

int weather_make(const struct options *o, struct weather **ret, size_t *ret_n)
{
    struct list l = {.o = o, .rng = o->seed * UINT64_C(0x2545f4914f6cdd1d) + (uint64_t)o->model};

    for (uint32_t t = 0; t < o->tenants; t++)
        one_tenant(&l, t, &models[o->model].r);
    the_host(&l, &models[o->model].r);
    if (l.failed) {
        free(l.w);
        return -ENOMEM;
    }
    if (l.n > 0)
        qsort(l.w, l.n, sizeof(*l.w), by_time);
    *ret = l.w;
    *ret_n = l.n;
    return 0;
}
