/* op_restart.c: L1, one component; L2, the proxy and then the gateway, the latter only when the former serves
 * again. */
#include "daemon/op.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "daemon/proxy_child.h"

#define SERVES_POLL_US (100 * USEC_PER_MSEC)

/* ---------------------------------------------------------------- a container */

static void on_restarted(struct op *op, const struct engine_answer *a)
{
    if (a->status == 204 || a->status == 304)
        op_finish(op, REC_DONE_OK, "restarted");
    else if (!op_port_taken(op, a))
        op_finish(op, REC_DONE_FAILED, "restart failed: %s", a->message);
}

static void on_tampered(struct op *op, const char *why)
{
    if (op->component->mode == CONFIG_MANAGED && op->component == &op->tenant->gateway)
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
    unsigned t = (unsigned)(op->tenant->config->gateway.stop_timeout_us / USEC_PER_SEC);

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
        /* Not even tried; at L2 the proxy has been restarted already. */
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

static void wait_until_it_serves(struct op *op)
{
    struct component *p = &op->tenant->proxy;
    struct manager *m = op->tenant->manager;
    const struct probe_record *last = p->n_history ? &p->history[(p->n_history - 1) % PROBE_HISTORY] : NULL;
    bool fresh = p->probe_started_us >= op->verify_until_us - p->health->start_deadline_us && !p->probe;

    if (fresh && last && last->result == CHECK_OK) {
        restart_container(op, &op->tenant->gateway);
        return;
    }
    if (manager_now(m) > op->verify_until_us) {
        op_finish(op, REC_DONE_FAILED, "the proxy does not serve: %s", last ? last->detail : "no probe yet");
        return;
    }
    if (!p->probe)
        probe_arm(p, 0);
    op_wait(op, SERVES_POLL_US, wait_until_it_serves);
}

static void begin_wait(struct op *op)
{
    struct component *p = &op->tenant->proxy;

    op->verify_until_us = manager_now(op->tenant->manager) + p->health->start_deadline_us;
    wait_until_it_serves(op);
}

static void on_sidecar_restarted(struct op *op, const struct engine_answer *a)
{
    if (a->status == 204)
        begin_wait(op);
    else
        op_finish(op, REC_DONE_FAILED, "restart of the proxy failed: %s", a->message);
}

void op_restart_all(struct op *op)
{
    struct component *p = &op->tenant->proxy;
    struct err e = {0};

    if (p->kind == REC_KIND_CONTAINER) {
        const char *ref = p->facts_known && p->facts.id[0] ? p->facts.id : op_reference(p);

        if (ref)
            op_call(op, on_sidecar_restarted, "POST", NULL, op_stop_deadline(op),
                "/containers/%s/restart?t=10", ref);
        else
            op_finish(op, REC_DONE_FAILED, "there is no container with the label %s", p->match_label);
        return;
    }
    count_relaunch(op);
    if (proxy_child_launch(op->tenant->child, false, &e) < 0)
        op_finish(op, REC_DONE_FAILED, "the proxy cannot be launched: %s", e.msg);
    else
        begin_wait(op);
}
