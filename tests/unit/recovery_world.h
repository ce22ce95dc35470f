/* recovery_world.h: the recovery core on virtual time, for its unit tests: events go in, actions are
 * collected. */
#pragma once

#include "recovery/recovery.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE
#define T0 (100 * SEC)
#define PROXY 0
#define GATEWAY 1

struct world {
    struct recovery *r;
    uint64_t now;
    struct rec_actions out; /* of the last step */
    struct rec_action last; /* the last action that needs a DONE */
    size_t starts, alerts, relists;
    double jitter;
};

static inline void step(struct world *w, struct rec_event ev)
{
    ev.jitter = w->jitter;
    recovery_step(w->r, &ev, w->now, &w->out);
    for (size_t i = 0; i < w->out.n; i++) {
        const struct rec_action *a = &w->out.a[i];

        if (a->type == REC_ACT_ALERT)
            w->alerts++;
        else if (a->type == REC_ACT_RELIST)
            w->relists++;
        else if (a->id > 0) {
            w->last = *a;
            w->starts++;
        }
    }
}

static inline void tick(struct world *w)
{
    step(w, (struct rec_event){.type = REC_EV_TICK});
}

static inline void probe(struct world *w, uint32_t t, uint32_t c, enum rec_probe result)
{
    step(w, (struct rec_event){.type = REC_EV_PROBE, .tenant = t, .component = c, .probe = {result, w->now}});
}

static inline void good(struct world *w, uint32_t t, uint32_t c)
{
    probe(w, t, c, REC_PROBE_OK);
    probe(w, t, c, REC_PROBE_OK);
}

static inline void bad(struct world *w, uint32_t t, uint32_t c)
{
    for (int i = 0; i < 3; i++)
        probe(w, t, c, REC_PROBE_FAIL);
}

static inline void seen(struct world *w, uint32_t t, uint32_t c, enum rec_presence p)
{
    step(w, (struct rec_event){.type = REC_EV_OBSERVED, .tenant = t, .component = c, .observed.presence = p});
}

static inline void exited(struct world *w, uint32_t t, uint32_t c)
{
    step(w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .component = c});
}

static inline void done(struct world *w, enum rec_done result)
{
    step(w, (struct rec_event){
                .type = REC_EV_DONE,
                .tenant = w->last.tenant,
                .component = w->last.component,
                .done = {w->last.id, result},
            });
}

static inline void ping(struct world *w, enum rec_probe result)
{
    step(w, (struct rec_event){.type = REC_EV_ENGINE, .engine = {result, false}});
}

static inline void operator_asks(struct world *w, uint32_t t, uint32_t c, enum rec_op op)
{
    step(w, (struct rec_event){.type = REC_EV_OPERATOR, .tenant = t, .component = c, .op.op = op});
}

/* Runs the timers up to `until`, as the daemon would, and leaves the clock there. */
static inline void run(struct world *w, uint64_t until)
{
    size_t steps = 0;

    for (;;) {
        uint64_t next = recovery_next(w->r);

        if (next > until)
            break;
        cr_assert_lt(steps++, 100000, "the timers must make progress");
        w->now = MAX(w->now, next);
        tick(w);
    }
    w->now = until;
}

/* As run(), but stops as soon as something was started. */
static inline bool run_to_start(struct world *w, uint64_t until)
{
    size_t before = w->starts;

    while (w->starts == before && recovery_next(w->r) <= until) {
        w->now = MAX(w->now, recovery_next(w->r));
        tick(w);
    }
    return w->starts > before;
}

static inline struct rec_component_view view(const struct world *w, uint32_t t, uint32_t c)
{
    struct rec_component_view v;

    recovery_component_view(w->r, t, c, w->now, &v);
    return v;
}

static inline uint32_t restarts_hour(const struct world *w, uint32_t t, uint32_t c)
{
    uint32_t hour, day;

    recovery_component_budget(w->r, t, c, w->now, &hour, &day);
    return hour;
}

static inline uint32_t restarts_day(const struct world *w, uint32_t t, uint32_t c)
{
    uint32_t hour, day;

    recovery_component_budget(w->r, t, c, w->now, &hour, &day);
    return day;
}

static inline struct rec_tenant_view tenant_view(const struct world *w, uint32_t t)
{
    struct rec_tenant_view v;

    recovery_tenant_view(w->r, t, w->now, &v);
    return v;
}

static inline struct rec_host_view host_view(const struct world *w)
{
    struct rec_host_view v;

    recovery_host_view(w->r, w->now, &v);
    return v;
}

static inline void new_world(struct world *w, uint32_t starts_recent, uint64_t observe_us)
{
    struct recovery_host_params hp;

    recovery_host_params_default(&hp);
    hp.observe_us = observe_us;
    *w = (struct world){.now = T0};
    w->r = recovery_new(&hp, starts_recent, w->now);
    cr_assert_not_null(w->r);
}

static inline uint32_t add(struct world *w, const char *slug, bool with_proxy)
{
    struct recovery_params p;
    uint32_t t, c;
    struct rec_component_params proxy = {
        .name = "proxy",
        .kind = REC_KIND_PROXY,
        .fall = 3,
        .rise = 2,
        .interval_us = 2 * SEC,
        .start_deadline_us = 10 * SEC,
    };
    struct rec_component_params gateway = {
        .name = "gateway",
        .kind = REC_KIND_CONTAINER,
        .fall = 3,
        .rise = 2,
        .interval_us = 2 * SEC,
        .start_deadline_us = 300 * SEC,
        .after = with_proxy ? 1 : 0,
    };

    recovery_params_default(&p);
    p.patience_us = p.patience_max_us = 0; /* tests of their own: test_recovery_policy.c */
    cr_assert_eq(recovery_add_tenant(w->r, slug, &p, &t), 0);
    if (with_proxy)
        cr_assert_eq(recovery_add_component(w->r, t, &proxy, &c), 0);
    cr_assert_eq(recovery_add_component(w->r, t, &gateway, &c), 0);
    return t;
}

/* One tenant with only a gateway (component 0), healthy. */
static inline uint32_t lone(struct world *w)
{
    uint32_t t;

    new_world(w, 1, 0);
    t = add(w, "a", false);
    seen(w, t, 0, REC_RUNNING);
    good(w, t, 0);
    cr_assert_eq(view(w, t, 0).state, REC_HEALTHY);
    return t;
}

/* One tenant with proxy and gateway, both healthy. */
static inline uint32_t pair(struct world *w)
{
    uint32_t t;

    new_world(w, 1, 0);
    t = add(w, "a", true);
    for (uint32_t c = 0; c < 2; c++) {
        seen(w, t, c, REC_RUNNING);
        good(w, t, c);
    }
    cr_assert_eq(view(w, t, GATEWAY).state, REC_HEALTHY);
    return t;
}

/* One tenant with a sidecar proxy (0), made by somebody else, and a gateway (1) that stands on it; healthy.
 */
static inline uint32_t sidecar_pair(struct world *w)
{
    struct recovery_params p;
    uint32_t t, c;
    struct rec_component_params sidecar = {.name = "proxy", .kind = REC_KIND_CONTAINER, .fall = 3, .rise = 2},
                                gateway = sidecar;

    sidecar.interval_us = gateway.interval_us = 2 * SEC;
    sidecar.start_deadline_us = gateway.start_deadline_us = 300 * SEC;
    gateway.name = "gateway";
    gateway.after = 1;
    new_world(w, 1, 0);
    recovery_params_default(&p);
    cr_assert_eq(recovery_add_tenant(w->r, "a", &p, &t), 0);
    cr_assert_eq(recovery_add_component(w->r, t, &sidecar, &c), 0);
    cr_assert_eq(recovery_add_component(w->r, t, &sidecar, &c), -EEXIST);
    cr_assert_eq(recovery_add_component(w->r, t, &gateway, &c), 0);
    for (c = 0; c < 2; c++) {
        seen(w, t, c, REC_RUNNING);
        good(w, t, c);
    }
    return t;
}

static inline void end(struct world *w)
{
    w->r = recovery_free(w->r);
}
