/* op_restart.c: L1, one component; L2, all of the tenant's in order, each only when those that it waits for
 * serve again. */
#include "daemon/op.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "daemon/proxy_child.h"

#define SERVES_POLL_US (100 * USEC_PER_MSEC)

/* ---------------------------------------------------------------- a container */

static void on_one_restarted(struct op *op);

static void on_restarted(struct op *op, const struct engine_answer *a)
{
    bool ok = a->status == 204 || a->status == 304;

    if (!ok && op_port_taken(op, a))
        return;
    if (!ok)
        op_finish(op, REC_DONE_FAILED, "restart failed: %s", a->message);
    else if (op->action.type == REC_ACT_RESTART_ALL)
        on_one_restarted(op);
    else
        op_finish(op, REC_DONE_OK, "restarted");
}

static void on_tampered(struct op *op, const char *why)
{
    if (op->component->mode == CONFIG_MANAGED && op->component->container)
        op_redeploy(op);
    else
        op_finish(op, REC_DONE_FAILED, "not started again: %s", why);
}

static void on_stopped(struct op *op, const struct engine_answer *a)
{
    if (a->status == 204 || a->status == 304)
        op_start_container(op, op->old_id, on_restarted, on_tampered);
    else
        op_finish(op, REC_DONE_FAILED, "stop failed: %s", a->message);
}

static void restart_now(struct op *op)
{
    unsigned t = (unsigned)(component_stop_timeout(op->component) / USEC_PER_SEC);

    if (op->guarded) {
        op_call(
            op, on_stopped, "POST", NULL, op_stop_deadline(op), "/containers/%s/stop?t=%u", op->old_id, t);
        return;
    }
    op_call(
        op, on_restarted, "POST", NULL, op_stop_deadline(op), "/containers/%s/restart?t=%u", op->old_id, t);
}

static void on_unpaused(struct op *op, const struct engine_answer *a)
{
    (void)a; /* if it failed the restart will say so */
    restart_now(op);
}

static void on_inspected(struct op *op, const struct engine_answer *a)
{
    const json_t *state = json_object_get(a->body, "State");
    const char *id = json_string_value(json_object_get(a->body, "Id"));

    if (a->status == 404) {
        op_finish(op, REC_DONE_FAILED, "the container is gone");
        return;
    }
    if (a->status != 200 || !id || !str_is_hex(id, 64)) {
        /* Not even tried; at L2 others have been restarted already. */
        op_finish(op, op->action.type == REC_ACT_RESTART ? REC_DONE_REFUSED : REC_DONE_FAILED, "inspect: %s",
            op_inspect_problem(a));
        return;
    }
    (void)snprintf(op->old_id, sizeof(op->old_id), "%s", id);
    op->guarded = op_guard_matters(a->body);
    /* A frozen process takes no signal, and the engine would wait for it in vain. */
    if (json_is_true(json_object_get(state, "Paused")))
        op_call(op, on_unpaused, "POST", NULL, OP_TIMEOUT_US, "/containers/%s/unpause", op->old_id);
    else
        restart_now(op);
}

static void restart_container(struct op *op, struct component *c)
{
    const char *ref = c->facts_known && c->facts.id[0] ? c->facts.id : op_reference(c);

    op->component = c;
    if (ref)
        op_call(op, on_inspected, "GET", NULL, OP_TIMEOUT_US, "/containers/%s/json", ref);
    else
        op_finish_absent(op);
}

static void count_relaunch(const struct op *op)
{
    struct tenant *t = op->tenant;
    struct metrics_tenant *mt = metrics_tenant(t->manager->metrics, t->slug);
    enum metrics_proxy_reason why = METRICS_PROXY_UNHEALTHY;

    if (op->action.reason && strcmp(op->action.reason, REC_REASON_OPERATOR) == 0)
        why = METRICS_PROXY_OPERATOR;
    else if (proxy_child_pid(t->child) == 0)
        why = METRICS_PROXY_EXITED;
    if (mt)
        mt->proxy_restarts[why]++;
}

void op_restart(struct op *op)
{
    struct err e = {0};

    if (op->component->kind == REC_KIND_CONTAINER) {
        restart_container(op, op->component);
        return;
    }
    count_relaunch(op);
    if (proxy_child_launch(op->tenant->child, false, &e) < 0)
        op_finish(op, REC_DONE_FAILED, "%s", e.msg);
    else
        op_finish(op, REC_DONE_OK, "relaunched, pid %d", (int)proxy_child_pid(op->tenant->child));
}

/* ---------------------------------------------------------------- all of a tenant */

static void restart_next(struct op *op);

/* A probe that began after the restart says that it serves. */
static bool serves_again(const struct component *c, uint64_t since_us)
{
    const struct probe_record *last = c->n_history ? &c->history[(c->n_history - 1) % PROBE_HISTORY] : NULL;

    return c->probe_started_us >= since_us && !c->probe && !c->probe_call && last && last->result == CHECK_OK;
}

/* The first of those that `c` waits for and that does not serve yet, or NULL. `skip`: one of them was passed
 * over, so that this one must be, too. */
static struct component *waits_for(const struct op *op, const struct component *c, bool *skip)
{
    struct tenant *t = op->tenant;
    uint32_t after = config_part_after(t->config, c->part);

    *skip = false;
    for (size_t i = 0; i < t->n_all; i++) {
        struct component *d = t->all[i];

        if (!(after & (UINT32_C(1) << d->part)))
            continue;
        *skip = *skip || op->restarted_us[d->part] == 0;
        if (!*skip && !serves_again(d, op->restarted_us[d->part]))
            return d;
    }
    return NULL;
}

static void wait_for_component(struct op *op, struct component *d)
{
    uint64_t now = manager_now(op->tenant->manager);
    const struct probe_record *last = d->n_history ? &d->history[(d->n_history - 1) % PROBE_HISTORY] : NULL;

    if (now > op->restarted_us[d->part] + d->health->start_deadline_us) {
        op->component = d;
        op_finish(
            op, REC_DONE_FAILED, "the %s does not serve: %s", d->name, last ? last->detail : "no probe yet");
        return;
    }
    if (!d->probe && !d->probe_call && d->probe_started_us < op->restarted_us[d->part])
        probe_arm(d, 0);
    op_wait(op, SERVES_POLL_US, restart_next);
}

static void on_one_restarted(struct op *op)
{
    op->restarted_us[op->component->part] = manager_now(op->tenant->manager);
    op->at++;
    restart_next(op);
}

static void restart_next(struct op *op)
{
    struct tenant *t = op->tenant;
    struct component *c, *d;
    struct err e = {0};
    bool skip;

    if (op->at == t->n_all) {
        op->component = tenant_component(t, op->action.component);
        op_finish(op, REC_DONE_OK, "restarted in order");
        return;
    }
    c = t->all[op->at];
    d = waits_for(op, c, &skip);
    /* What is not there cannot be restarted; its bring-up is another action's work. */
    if (skip || (c->kind == REC_KIND_CONTAINER && c->facts_known && c->facts.state == DOCKER_MISSING)) {
        op->at++;
        restart_next(op);
    } else if (d) {
        wait_for_component(op, d);
    } else if (c->kind == REC_KIND_CONTAINER) {
        restart_container(op, c);
    } else {
        op->component = c;
        count_relaunch(op);
        if (proxy_child_launch(t->child, false, &e) < 0)
            op_finish(op, REC_DONE_FAILED, "the proxy cannot be launched: %s", e.msg);
        else
            on_one_restarted(op);
    }
}

void op_restart_all(struct op *op)
{
    op->at = 0;
    restart_next(op);
}
