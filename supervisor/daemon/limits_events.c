/* limits_events.c: see limits_events.h. Reads and tells; the only thing it changes is whether the tenant is
 * throttled, and it is limits_driver.c that puts that in force. */
#include "daemon/limits_events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/limits_driver.h"
#include "daemon/members.h"
#include "daemon/messages.h"
#include "limits/watch.h"

/* A storm is told once in this time, with its sum. */
#define QUIET_US (5 * USEC_PER_SEC)
/* A trigger fires at most every 2 s while it lasts: silence for this long ends a spell. */
#define SPELL_END_US (5 * USEC_PER_SEC)

/* A kind of event that may come in storms. */
struct storm {
    uint64_t told_us, held_back;
    char name[128]; /* of the last one; "several" */
};

/* A time of pressure on one resource. */
struct spell {
    uint64_t began_us, last_us; /* monotonic; 0: none */
    bool acted;                 /* it lasted for limits.pressure.hold */
    uint64_t said_us;
};

struct limits_events {
    struct tenant *tenant;
    struct watch *watch;
    struct pressure_trigger *triggers[_PRESSURE_MAX];
    uint32_t percent[_PRESSURE_MAX]; /* of those triggers */
    struct spell spells[_PRESSURE_MAX];
    struct storm storms[_WATCH_KIND_MAX];
    char engine_oom[128]; /* the last one that the engine named, and when */
    uint64_t engine_oom_us, unnamed_us;
    bool throttled, suspected;
};

struct limits_events *limits_events_new(struct tenant *t)
{
    struct limits_events *x = calloc(1, sizeof(*x));

    if (x)
        x->tenant = t;
    return x;
}

static void unwatch(struct limits_events *x)
{
    x->watch = watch_free(x->watch);
    for (size_t i = 0; i < ARRAY_SIZE(x->triggers); i++)
        x->triggers[i] = pressure_trigger_free(x->triggers[i]);
}

struct limits_events *limits_events_free(struct limits_events *x)
{
    if (!x)
        return NULL;
    unwatch(x);
    free(x);
    return NULL;
}

/* ---------------------------------------------------------------- OOM kills, forks refused */

static void tell(
    struct limits_events *x, enum watch_kind kind, uint64_t n, const char *name, const char *which)
{
    struct tenant *t = x->tenant;

    if (kind == WATCH_OOM)
        manager_note(t, NULL, LOG_WARNING, MESSAGE_LIMITS_OOM, "limits",
            "out of memory in %s: %llu process%s killed%s", name, (unsigned long long)n, n == 1 ? "" : "es",
            which);
    else
        manager_note(t, NULL, LOG_WARNING, MESSAGE_LIMITS_PIDS, "limits",
            "%s is at its cap of processes: %llu fork%s refused", name, (unsigned long long)n,
            n == 1 ? "" : "s");
}

static const char *victim(struct limits_events *x, const struct watch_report *r)
{
    const char *name = members_name_of_cgroup(x->tenant->members, r->child);
    uint64_t now = manager_now(x->tenant->manager);

    if (name)
        return name;
    if (r->kind == WATCH_OOM && x->engine_oom[0] && now - x->engine_oom_us < QUIET_US)
        return x->engine_oom;
    if (r->kind == WATCH_OOM)
        x->unnamed_us = now; /* the engine may name it in a moment */
    return r->child[0] ? r->child : "a container that is gone";
}

static void on_report(const struct watch_report *r, void *userdata)
{
    struct limits_events *x = userdata;
    struct tenant *t = x->tenant;
    struct metrics_tenant *mt = metrics_tenant(t->manager->metrics, t->slug);
    struct storm *s = &x->storms[r->kind];
    const char *name = victim(x, r);
    uint64_t now = manager_now(t->manager);

    if (mt)
        *(r->kind == WATCH_OOM ? &mt->oom_kills : &mt->forks_refused) += r->n;
    if (s->told_us && now - s->told_us < QUIET_US) {
        (void)snprintf(s->name, sizeof(s->name), "%s",
            s->held_back == 0 || strcmp(s->name, name) == 0 ? name : "several containers");
        s->held_back += r->n;
        return;
    }
    s->told_us = now;
    tell(x, r->kind, r->n, name, r->whole_tenant ? ", at the tenant's own limit" : "");
}

static void flush_storms(struct limits_events *x, uint64_t now)
{
    for (enum watch_kind k = 0; k < _WATCH_KIND_MAX; k++) {
        struct storm *s = &x->storms[k];
        uint64_t n = s->held_back;

        if (n == 0 || now - s->told_us < QUIET_US)
            continue;
        s->held_back = 0;
        s->told_us = now;
        tell(x, k, n, s->name, "");
    }
}

bool limits_events_watching(const struct tenant *t)
{
    return t->events && t->events->watch;
}

void limits_events_engine_oom(struct tenant *t, const char *name)
{
    struct limits_events *x = t->events;
    uint64_t now = manager_now(t->manager);

    if (!x)
        return;
    (void)snprintf(x->engine_oom, sizeof(x->engine_oom), "%s", name);
    x->engine_oom_us = now;
    if (x->unnamed_us && now - x->unnamed_us < QUIET_US)
        manager_note(t, NULL, LOG_WARNING, MESSAGE_LIMITS_OOM, "limits", "out of memory in %s", name);
    x->unnamed_us = 0;
}

/* ---------------------------------------------------------------- pressure */

static uint32_t wanted_percent(const struct tenant *t, enum pressure_resource r)
{
    const struct config_limits *l = &t->config->limits;
    const uint32_t percent[_PRESSURE_MAX] = {[PRESSURE_MEMORY] = l->pressure.memory,
        [PRESSURE_CPU] = l->pressure.cpu,
        [PRESSURE_IO] = l->pressure.io};

    return percent[r];
}

static void set_throttled(struct limits_events *x, bool throttled, const char *why)
{
    struct tenant *t = x->tenant;

    if (x->throttled == throttled)
        return;
    x->throttled = throttled;
    manager_note(t, NULL, LOG_WARNING, MESSAGE_LIMITS_PRESSURE, "limits", "%s%s",
        throttled ? "slowed down (limits.on_pressure): " : "at its full speed again", throttled ? why : "");
    limits_driver_apply(t);
}

static void act(struct limits_events *x, enum pressure_resource r)
{
    struct tenant *t = x->tenant;
    char why[96];

    (void)snprintf(why, sizeof(why), "%s pressure for %u s", pressure_resource_to_string(r),
        (unsigned)(t->config->limits.pressure.hold_us / USEC_PER_SEC));
    if (t->config->limits.on_pressure == CONFIG_PRESSURE_NONE)
        return;
    x->suspected = true;
    probe_arm(&t->gateway, 0);
    if (t->config->limits.on_pressure == CONFIG_PRESSURE_THROTTLE)
        set_throttled(x, true, why);
}

static void on_pressure(enum pressure_resource r, void *userdata)
{
    struct limits_events *x = userdata;
    struct tenant *t = x->tenant;
    struct spell *s = &x->spells[r];
    struct metrics_tenant *mt = metrics_tenant(t->manager->metrics, t->slug);
    uint64_t now = manager_now(t->manager);

    if (mt)
        mt->pressure_events[r]++;
    if (!s->began_us) {
        *s = (struct spell){.began_us = now, .said_us = s->said_us};
        if (!s->said_us || now - s->said_us >= USEC_PER_MINUTE) {
            s->said_us = now;
            manager_note(t, NULL, LOG_NOTICE, MESSAGE_LIMITS_PRESSURE, "limits",
                "%s pressure: its processes wait for more than %u %% of the time",
                pressure_resource_to_string(r), (unsigned)x->percent[r]);
        }
    }
    s->last_us = now;
    if (!s->acted && now - s->began_us >= t->config->limits.pressure.hold_us) {
        s->acted = true;
        act(x, r);
    }
}

static void end_spells(struct limits_events *x, uint64_t now)
{
    bool under = false;

    for (size_t i = 0; i < ARRAY_SIZE(x->spells); i++) {
        struct spell *s = &x->spells[i];

        if (s->began_us && now - s->last_us > SPELL_END_US)
            *s = (struct spell){.said_us = s->said_us};
        under = under || s->acted;
    }
    if (!under) {
        x->suspected = false;
        set_throttled(x, false, "");
    }
}

bool limits_events_throttled(const struct tenant *t)
{
    return t->events && t->events->throttled && t->config->limits.on_pressure == CONFIG_PRESSURE_THROTTLE;
}

bool limits_events_verdict(struct tenant *t, char *why, size_t n)
{
    struct limits_events *x = t->events;

    if (!x || !x->suspected || t->config->limits.on_pressure == CONFIG_PRESSURE_NONE)
        return false;
    for (enum pressure_resource r = 0; r < _PRESSURE_MAX; r++) {
        const struct spell *s = &x->spells[r];

        if (!s->acted)
            continue;
        /* Throttled, one doubt is enough: the next good answer clears it. */
        if (t->config->limits.on_pressure == CONFIG_PRESSURE_THROTTLE)
            x->suspected = false;
        (void)snprintf(why, n, "answers, but under %s pressure for %llu s", pressure_resource_to_string(r),
            (unsigned long long)((manager_now(t->manager) - s->began_us) / USEC_PER_SEC));
        return true;
    }
    return false;
}

int limits_events_pressure(const struct tenant *t, enum pressure_resource r, struct pressure_sample *ret)
{
    char dir[512];
    int k = limits_driver_tenant_dir(t, dir, sizeof(dir));

    return k < 0 ? -ENOENT : pressure_read(dir, r, ret);
}

/* ---------------------------------------------------------------- what is there to be watched */

static void watch_pressure(struct limits_events *x, const char *dir)
{
    struct tenant *t = x->tenant;

    for (enum pressure_resource r = 0; r < _PRESSURE_MAX; r++) {
        uint32_t percent = wanted_percent(t, r);

        if (x->triggers[r] && x->percent[r] == percent)
            continue;
        x->triggers[r] = pressure_trigger_free(x->triggers[r]);
        x->percent[r] = percent;
        if (percent > 0 && t->manager->host->psi)
            (void)pressure_trigger_new(t->manager->event, dir, r, percent, on_pressure, x, &x->triggers[r]);
    }
}

void limits_events_check(struct tenant *t)
{
    struct limits_events *x = t->events;
    uint64_t now = manager_now(t->manager);
    char dir[512];

    if (!x)
        return;
    if (x->watch && watch_scan(x->watch) < 0)
        unwatch(x); /* the cgroup was made anew, or has gone */
    if (limits_driver_tenant_dir(t, dir, sizeof(dir)) >= 0) {
        if (!x->watch)
            (void)watch_new(t->manager->event, dir, on_report, x, &x->watch);
        if (x->watch)
            watch_pressure(x, dir);
    }
    flush_storms(x, now);
    end_spells(x, now);
}
