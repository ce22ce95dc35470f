/* pump.c: events into the recovery core, its actions out into the world, and what changed told to people:
 * journal, event log, metrics. The only file that calls recovery_step(). */
#include "daemon/manager.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/messages.h"
#include "daemon/op.h"

/* ---------------------------------------------------------------- telling */

void manager_store_result(struct manager *m, int r, const struct err *e)
{
    struct log_fields f = {.message_id = MESSAGE_STORE_DEGRADED};

    if (r < 0 && !m->store_degraded) {
        m->store_degraded = true;
        log_full(LOG_ERR, &f,
            "the state cannot be written (%s); recovery goes on, but budgets would not survive a restart",
            e && e->msg[0] ? e->msg : strerror(-r));
    } else if (r >= 0 && m->store_degraded) {
        m->store_degraded = false;
        f.message_id = MESSAGE_STORE_RESTORED;
        log_full(LOG_NOTICE, &f, "the state can be written again");
    }
}

void manager_note(struct tenant *t, struct component *c, int priority, const char *message_id,
    const char *kind, const char *fmt, ...)
{
    struct manager *m = t->manager;
    struct log_fields f = {.message_id = message_id, .tenant = t->slug, .component = c ? c->name : NULL};
    char text[MESSAGE_MAX * 2];
    struct err e = {0};
    int64_t seq = 0;
    va_list ap;
    int r;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_full(priority, &f, "%s", text);
    r = store_event_add(m->store, realtime_now(), t->slug, c ? c->name : NULL, kind, text, &seq, &e);
    manager_store_result(m, r, &e);
    verbs_event(m, seq, t->slug, c ? c->name : NULL, kind, text);
}

/* ---------------------------------------------------------------- transitions */

static int priority_of(enum rec_state s)
{
    return s == REC_QUARANTINED ? LOG_CRIT
                                : (s == REC_SUSPECT || s == REC_BACKOFF ? LOG_WARNING : LOG_NOTICE);
}

static void publish_component(struct component *c, uint64_t now)
{
    struct manager *m = c->tenant->manager;
    struct metrics_tenant *mt;
    struct rec_component_view v;
    enum rec_state old = c->state;

    recovery_component_view(m->recovery, c->tenant->index, c->index, now, &v);
    if (v.state == old)
        return;
    c->state = v.state;
    c->state_since_us = realtime_now();
    mt = metrics_tenant(m->metrics, c->tenant->slug);
    if (mt) {
        mt->components[c->part].state = v.state;
        mt->components[c->part].up =
            v.state == REC_HEALTHY || v.state == REC_SUSPECT || v.state == REC_VERIFYING;
        if (v.state == REC_HEALTHY && c->acted_us) {
            metrics_observe(m->metrics, METRICS_RECOVERY, component_metrics(c), now - c->acted_us);
            c->acted_us = 0;
        }
    }
    manager_note(c->tenant, c, priority_of(v.state), message_for_component(v.state), "state",
        "%s -> %s%s%s%s%s%s", rec_state_to_string(old), rec_state_to_string(v.state),
        v.reason && *v.reason ? ": " : "", v.reason ? v.reason : "",
        v.state == REC_HEALTHY || !c->message[0] ? "" : " (", v.state == REC_HEALTHY ? "" : c->message,
        v.state == REC_HEALTHY || !c->message[0] ? "" : ")");
    if (v.state == REC_HEALTHY && c->container && c->mode == CONFIG_EXTERNAL)
        observe_inspect(c); /* as it is now is how it is to be made again */
    if (v.state == REC_HEALTHY)
        c->message[0] = '\0', c->message_of_action = false;
    probe_reschedule(c);
    m->metrics_wanted = true;
}

static void publish_tenant(struct tenant *t, uint64_t now)
{
    struct manager *m = t->manager;
    struct rec_tenant_view v;
    struct err e = {0};
    int64_t real = realtime_now();

    for (size_t i = 0; i < t->n_all; i++)
        publish_component(t->all[i], now);
    recovery_tenant_view(m->recovery, t->index, now, &v);
    if (v.level != t->level)
        manager_note(t, NULL, v.level > t->level ? LOG_WARNING : LOG_NOTICE, MESSAGE_TENANT_LEVEL, "level",
            "%s -> %s", rec_level_to_string(t->level), rec_level_to_string(v.level));
    if (v.quarantine_kept != t->quarantine_kept)
        manager_store_result(m,
            store_set_quarantine(
                m->store, t->slug, v.quarantine_kept ? real - (int64_t)(now - v.quarantine_since_us) : 0, &e),
            &e);
    if (v.pause_until_us != t->pause_until_us)
        manager_store_result(m,
            store_set_hold(
                m->store, t->slug, "pause", v.paused ? real + (int64_t)(v.pause_until_us - now) : 0, &e),
            &e);
    if (v.held_until_us != t->held_until_us)
        manager_store_result(m,
            store_set_hold(
                m->store, t->slug, "hold", v.held ? real + (int64_t)(v.held_until_us - now) : 0, &e),
            &e);
    if (v.flapping && !t->flapping)
        manager_note(t, NULL, LOG_WARNING, MESSAGE_TENANT_FLAPPING, "state",
            "flapping: only hard evidence is acted upon");
    t->level = v.level;
    t->quarantined = v.quarantined;
    t->quarantine_kept = v.quarantine_kept;
    t->paused = v.paused;
    t->held = v.held;
    t->pause_until_us = v.pause_until_us;
    t->held_until_us = v.held_until_us;
    t->flapping = v.flapping;
}

static void publish_host(struct manager *m, uint64_t now)
{
    struct rec_host_view v;
    struct log_fields f = {0};

    recovery_host_view(m->recovery, now, &v);
    if (v.state == m->host_state)
        return;
    f.message_id = message_for_host(v.state);
    log_full(v.state == REC_HOST_NORMAL || v.state == REC_HOST_SETTLING ? LOG_NOTICE : LOG_WARNING, &f,
        "host: %s -> %s", rec_host_state_to_string(m->host_state), rec_host_state_to_string(v.state));
    m->host_state = v.state;
    m->host_since_us = realtime_now();
    m->metrics_wanted = true;
}

/* ---------------------------------------------------------------- actions */

static void alert(struct tenant *t, struct component *c, const struct rec_action *a)
{
    manager_note(t, c, LOG_CRIT, MESSAGE_TENANT_QUARANTINED, "alert",
        "%s%s%s%s; `clawsup status %s` says what can be done",
        a->reason && *a->reason ? a->reason : "needs an operator", c && c->message[0] ? " (" : "",
        c && c->message[0] ? c->message : "", c && c->message[0] ? ")" : "", t->slug);
}

static void perform(struct manager *m, const struct rec_action *a)
{
    struct tenant *t;
    struct component *c;

    if (a->type == REC_ACT_RELIST) {
        observe_relist(m);
        return;
    }
    t = tenant_index_get(&m->by_index, a->tenant);
    if (!t)
        return;
    c = tenant_component(t, a->component);
    switch (a->type) {
    case REC_ACT_ALERT:
        alert(t, c, a);
        break;
    case REC_ACT_PROBE_NOW:
        if (c && !c->probe && !c->probe_call)
            probe_arm(c, 0);
        break;
    case REC_ACT_BRING_UP:
    case REC_ACT_RESTART:
    case REC_ACT_RESTART_ALL:
    case REC_ACT_REDEPLOY:
        if (c && !c->acted_us) {
            c->acted_us = manager_now(m);
            if (c->failing_since_us)
                metrics_observe(
                    m->metrics, METRICS_DETECTION, component_metrics(c), c->acted_us - c->failing_since_us);
        }
        publish_tenant(t, manager_now(m)); /* it may have waited in a queue for another tenant's event */
        op_start(t, a);
        break;
    case REC_ACT_RELIST:
    case _REC_ACT_MAX:
    default:
        break;
    }
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct rec_event ev = {.type = REC_EV_TICK};

    (void)s;
    (void)usec;
    manager_event(userdata, &ev);
    return 0;
}

static void arm_tick(struct manager *m)
{
    uint64_t next = recovery_next(m->recovery);

    if (next == USEC_INFINITY) {
        if (m->tick)
            (void)sd_event_source_set_enabled(m->tick, SD_EVENT_OFF);
        return;
    }
    if (!m->tick) {
        (void)sd_event_add_time(m->event, &m->tick, CLOCK_MONOTONIC, next, 1000, on_tick, m);
        return;
    }
    (void)sd_event_source_set_time(m->tick, next);
    (void)sd_event_source_set_enabled(m->tick, SD_EVENT_ONESHOT);
}

static bool is_host_wide(enum rec_event_type t)
{
    return t == REC_EV_TICK || t == REC_EV_ENGINE || t == REC_EV_TIME_JUMP;
}

void manager_event(struct manager *m, struct rec_event *ev)
{
    struct rec_actions out = {0};
    uint64_t now = manager_now(m);
    struct tenant *t, *next;

    ev->jitter = manager_jitter();
    recovery_step(m->recovery, ev, now, &out);
    publish_host(m, now);
    if (is_host_wide(ev->type)) {
        HASH_ITER(hh, m->tenants, t, next)
        publish_tenant(t, now);
    } else {
        t = tenant_index_get(&m->by_index, ev->tenant);
        if (t)
            publish_tenant(t, now);
    }
    for (size_t i = 0; i < out.n; i++)
        perform(m, &out.a[i]);
    arm_tick(m);
}

void manager_action_done(struct op *op, enum rec_done result, const char *text)
{
    static const struct {
        const char *word, *message_id;
        int priority;
    } rows[_REC_DONE_MAX] = {[REC_DONE_OK] = {"done", MESSAGE_ACTION_DONE, LOG_NOTICE},
        [REC_DONE_FAILED] = {"failed", MESSAGE_ACTION_FAILED, LOG_WARNING},
        [REC_DONE_REFUSED] = {"refused", MESSAGE_ACTION_REFUSED, LOG_WARNING},
        [REC_DONE_ROLLED_BACK] = {"rolled back", MESSAGE_ACTION_FAILED, LOG_WARNING},
        [REC_DONE_ENGINE_GONE] = {"interrupted", MESSAGE_ACTION_FAILED, LOG_WARNING}};
    struct tenant *t = op->tenant;
    struct manager *m = t->manager;
    struct component *c = op->component;
    struct metrics_tenant *mt = metrics_tenant(m->metrics, t->slug);
    struct rec_event ev = {.type = REC_EV_DONE,
        .tenant = t->index,
        .component = op->action.component,
        .done = {.action = op->action.id, .result = result}};
    char told[MESSAGE_MAX + 16];
    struct err e = {0};

    if (t->op == op)
        t->op = NULL;
    else
        t->relaunch = NULL;
    manager_note(t, c, rows[result].priority, rows[result].message_id, "result", "%s %s: %s",
        rec_action_type_to_string(op->action.type), rows[result].word, text);
    if (op->intent)
        manager_store_result(
            m, store_result(m->store, realtime_now(), op->intent, (int)result, text, &e), &e);
    if (mt)
        mt->actions[op->action.level][result]++;
    (void)snprintf(told, sizeof(told), "%s: %s", rows[result].word, text);
    verbs_action_done(t, &op->action, result, result == REC_DONE_OK ? text : told);
    (void)op_free(op);
    if (ev.done.action)
        manager_event(m, &ev);
    probe_arm(c, 0);
}
