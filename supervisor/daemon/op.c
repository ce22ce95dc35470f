/* op.c: see op.h: start, engine calls, end. What each action does is in op_bringup.c, op_restart.c,
 * op_redeploy.c. */
#include "daemon/op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/disk_driver.h"
#include "daemon/messages.h"
#include "daemon/spec.h"

/* A leftover that cannot be cleared up is tried again ever more seldom: picking it up may stop and start. */
/* A disk is checked before its gateway is started on it. */
#define DISK_WAIT_US (200 * USEC_PER_MSEC)
#define RESUME_DELAY_US USEC_PER_MINUTE
#define RESUME_DELAY_MAX_US USEC_PER_HOUR

uint64_t op_stop_deadline(const struct op *op)
{
    return component_stop_timeout(op->component) + 15 * USEC_PER_SEC;
}

const char *op_cgroup_parent(const struct op *op)
{
    return op->tenant->cgroup_parent;
}

bool op_touches(const struct op *op, const struct component *c)
{
    return op && (op->component == c || op->action.type == REC_ACT_RESTART_ALL);
}

const char *op_reference(const struct component *c)
{
    if (c->match_label)
        return c->facts_known && c->facts.id[0] ? c->facts.id : NULL;
    return c->container_name;
}

void op_finish_absent(struct op *op)
{
    const struct component *c = op->component;

    op_finish(op, REC_DONE_REFUSED,
        "there is no container %s%s; it is external, so whoever makes it must make it again",
        c->match_label ? "with the label " : "", c->match_label ? c->match_label : c->container_name);
}

bool op_engine_gone(const struct op *op, const struct engine_answer *a)
{
    const struct manager *m = op->tenant->manager;

    if (a->result == ENGINE_OK || a->result == ENGINE_HTTP_ERROR)
        return false;
    return a->result != ENGINE_TIMEOUT || !m->engine_up || m->engine_fails > 0;
}

const char *op_inspect_problem(const struct engine_answer *a)
{
    if (*a->message)
        return a->message;
    return a->status == 200 ? "the engine's answer is not understood" : "the engine gave no reason";
}

struct op *op_free(struct op *op)
{
    if (!op)
        return NULL;
    engine_call_cancel(op->call);
    (void)sd_event_source_disable_unref(op->timer);
    json_decref(op->body);
    json_decref(op->networks);
    free(op);
    return NULL;
}

void op_finish(struct op *op, enum rec_done result, const char *fmt, ...)
{
    struct tenant *t = op->tenant;
    struct component *touched[CONFIG_PARTS_MAX];
    size_t n_touched = 0;
    char text[MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < t->n_all; i++) {
        if (!op_touches(op, t->all[i]) || t->all[i]->kind != REC_KIND_CONTAINER)
            continue;
        touched[n_touched++] = t->all[i];
        t->all[i]->ours_until_us = realtime_now();
    }
    if (op->component) {
        op->component->message_of_action = result != REC_DONE_OK;
        if (result != REC_DONE_OK)
            (void)snprintf(op->component->message, sizeof(op->component->message), "%s", text);
    }
    manager_action_done(op, result, text);
    for (size_t i = 0; t->manager->engine_up && i < n_touched; i++)
        observe_inspect(touched[i]);
}

static void on_answer(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct op *op = userdata;
    struct manager *m = op->tenant->manager;

    (void)e;
    op->call = NULL;
    observe_engine_result(m, a);
    if (op->keep_on_engine_loss || a->result == ENGINE_OK || a->result == ENGINE_HTTP_ERROR)
        op->next(op, a);
    else
        op_finish(op, op_engine_gone(op, a) ? REC_DONE_ENGINE_GONE : REC_DONE_FAILED,
            "the engine gave no answer: %s", a->message);
}

void op_call(struct op *op, void (*fn)(struct op *op, const struct engine_answer *a), const char *method,
    const json_t *body, uint64_t timeout_us, const char *fmt, ...)
{
    _cleanup_free_ char *path = NULL;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = vasprintf(&path, fmt, ap);
    va_end(ap);
    if (r < 0) {
        path = NULL;
        op_finish(op, REC_DONE_ENGINE_GONE, "out of memory");
        return;
    }
    op->next = fn;
    r = engine_request(op->tenant->manager->engine, method, path, body, timeout_us, on_answer, op, &op->call);
    if (r < 0)
        op_finish(op, REC_DONE_ENGINE_GONE, "cannot ask the engine: %s", strerror(-r));
}

static int on_wait(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct op *op = userdata;

    (void)s;
    (void)usec;
    op->timer = sd_event_source_disable_unref(op->timer);
    op->after(op);
    return 0;
}

void op_wait(struct op *op, uint64_t delay_us, void (*fn)(struct op *op))
{
    int r;

    op->after = fn;
    r = sd_event_add_time_relative(
        op->tenant->manager->event, &op->timer, CLOCK_MONOTONIC, delay_us, 1000, on_wait, op);
    if (r < 0)
        op_finish(op, REC_DONE_ENGINE_GONE, "no timer: %s", strerror(-r));
}

static void chain(struct op *op)
{
    switch (op->action.type) {
    case REC_ACT_BRING_UP:
        op_bring_up(op);
        break;
    case REC_ACT_RESTART:
        op_restart(op);
        break;
    case REC_ACT_RESTART_ALL:
        op_restart_all(op);
        break;
    case REC_ACT_REDEPLOY:
        op_redeploy(op);
        break;
    case REC_ACT_ALERT:
    case REC_ACT_PROBE_NOW:
    case REC_ACT_RELIST:
    case _REC_ACT_MAX:
    default:
        op_finish(op, REC_DONE_FAILED, "not an action");
        break;
    }
}

static void look_aside(struct op *op);

static void on_aside(struct op *op, const struct engine_answer *a)
{
    struct tenant *t = op->tenant;
    const struct component *c = t->all[op->at++];
    bool runs = json_is_true(json_object_get(json_object_get(a->body, "State"), "Running"));

    if (a->status != 200 || !runs || (c->mode == CONFIG_MANAGED && !spec_is_ours(a->body, t->slug))) {
        look_aside(op);
        return;
    }
    observe_relist(t->manager);
    op_finish(op, REC_DONE_ENGINE_GONE,
        "%s.old still runs: an interrupted redeploy is brought to its end first", c->container_name);
}

/* An interrupted redeploy may have left the old container running under its other name. Starting NAME beside
 * it would make two of them on the same data; a redeploy that finds no NAME would do that too. */
static void look_aside(struct op *op)
{
    struct tenant *t = op->tenant;

    for (; op->at < t->n_all; op->at++) {
        const struct component *c = t->all[op->at];

        if (!op_touches(op, c) || !component_can_redeploy(c) || !c->container_name[0])
            continue;
        op_call(op, on_aside, "GET", NULL, OP_TIMEOUT_US, "/containers/%s.old/json", c->container_name);
        return;
    }
    op->at = 0;
    chain(op);
}

/* What is started before its disk is mounted would write below it. */
static void first_step(struct op *op)
{
    bool container = op->action.type == REC_ACT_RESTART_ALL || op->component->kind == REC_KIND_CONTAINER;
    const char *why = NULL;
    int r = container ? disk_driver_ready(op->tenant, &why) : 1;

    if (r < 0)
        op_finish(op, REC_DONE_REFUSED, "%s", why);
    else if (r == 0)
        op_wait(op, DISK_WAIT_US, first_step);
    else
        look_aside(op);
}

void op_resume_redeploy(struct component *c)
{
    struct tenant *t = c->tenant;
    uint64_t now = manager_now(t->manager);
    struct op *op;

    if (t->op || now < c->resume_after_us || disk_driver_ready(t, NULL) <= 0)
        return;
    op = calloc(1, sizeof(*op));
    if (!op)
        return;
    c->resume_delay_us = MIN(MAX(c->resume_delay_us * 2, RESUME_DELAY_US), RESUME_DELAY_MAX_US);
    c->resume_after_us = now + c->resume_delay_us;
    op->tenant = t;
    op->component = c;
    op->action =
        (struct rec_action){.type = REC_ACT_REDEPLOY, .component = c->index, .reason = "interrupted"};
    op->started_us = now;
    t->op = op;
    manager_note(t, c, LOG_WARNING, MESSAGE_ACTION_STARTED, "action",
        "an interrupted redeploy left %s.old or .new behind; picking it up",
        c->match_label ? c->found_name : c->container_name);
    op_wait(op, 0, op_redeploy_resume);
}

void op_start(struct tenant *t, const struct rec_action *a)
{
    struct manager *m = t->manager;
    struct component *c = tenant_component(t, a->component);
    bool relaunch = t->op && c && c->kind == REC_KIND_PROXY;
    struct op **slot = relaunch ? &t->relaunch : &t->op;
    struct op *op = calloc(1, sizeof(*op));
    struct err e = {0};
    int r;

    if (!op || *slot || !c) {
        /* The core keeps one action per tenant; memory may be gone. Either way nothing was done. */
        struct rec_event ev = {.type = REC_EV_DONE,
            .tenant = t->index,
            .component = a->component,
            .done = {.action = a->id, .result = REC_DONE_ENGINE_GONE}};
        free(op);
        log_error("%s: an action could not be started: %s", t->slug,
            *slot ? "another one is in flight" : "out of memory");
        manager_event(m, &ev);
        return;
    }
    op->tenant = t;
    op->component = c;
    op->action = *a;
    op->started_us = manager_now(m);
    *slot = op;
    r = store_intent(m->store, realtime_now(), t->slug, op->component->name, (int)a->type, (int)a->level,
        a->reason, &op->intent, &e);
    manager_store_result(m, r, &e);
    manager_note(t, op->component, LOG_NOTICE, MESSAGE_ACTION_STARTED, "action", "%s at %s%s%s",
        rec_action_type_to_string(a->type), rec_level_to_string(a->level),
        a->reason && *a->reason ? ": " : "", a->reason ? a->reason : "");
    op_wait(op, 0, first_step);
}
