/* handlers_exec.c: exec create and start, attach. An exec id is used only if it was created here, in an own
 * container, and only once. */
#include "proxy/handlers.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "filter/exec.h"
#include "proxy/control.h"
#include "proxy/link.h"
#include "proxy/registry.h"
#include "proxy/tunnel.h"

static void exec_created(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    _cleanup_json_ json_t *j = NULL, *out = NULL;
    char id[65];
    int r = error;

    if (r >= 0 && res->status != 201) {
        registry_exec_release(x->proxy->registry, x->id);
        exchange_engine_error(x, res, body);
        return;
    }
    if (r >= 0)
        r = exchange_parse(body, &j);
    if (r >= 0)
        r = respond_exec_create(j, id, &out);
    if (r >= 0)
        r = registry_exec_add(x->proxy->registry, id, x->id);
    if (r >= 0 && x->proxy->draining && x->proxy->control)
        control_hand_over_exec(x->proxy->control, registry_exec_find(x->proxy->registry, id));
    if (r < 0)
        exchange_failed(x, r);
    else
        exchange_reply_json(x, 201, out);
}

static void exec_send(struct exchange *x, const struct exec_model *m)
{
    _cleanup_free_ char *body = NULL;

    if (exec_render(m, link_minor(x->proxy->link), &body) < 0)
        exchange_failed(x, -ENOMEM);
    else if (registry_exec_reserve(x->proxy->registry, x->id) < 0)
        exchange_deny(x, 429, "exec-idle",
            "too many execs of this container were created and not started; start them, or remove it");
    else
        exchange_fetch_route(x, &(struct route_upstream){0}, body, exec_created);
}

/* The switch of whose container it is; the route only knows that one of the two is on. */
static bool exec_allowed(struct exchange *x, bool gateway)
{
    const struct policy *p = x->proxy->policy;

    if (!gateway && !p->allow_exec) {
        exchange_deny(x, 403, "allow-exec", "exec is not allowed for this tenant (allow.exec is off)");
        return false;
    }
    if (!gateway)
        return true;
    switch (policy_opt_in(p, p->allow_gateway_exec)) {
    case POLICY_GRANTED:
        return true;
    case POLICY_REPORTED:
        route_report(&x->match, "gateway-exec", "gateway_exec");
        return true;
    case POLICY_REFUSED:
        break;
    }
    exchange_deny(x, 403, "gateway-exec",
        "exec in the gateway's own container is switched off for this tenant (allow.gateway_exec)");
    return false;
}

void handle_exec_create(struct exchange *x)
{
    const struct policy *p = x->proxy->policy;
    _cleanup_exec_model_ struct exec_model *m = NULL;
    struct refusal refusal = {0};

    if (!exec_allowed(x, x->gateway))
        return;
    if (exec_parse(p, x->json, &m, &refusal) < 0) {
        exchange_refuse(x, &refusal);
        return;
    }
    x->argv = json_incref(m->cmd);
    x->env = json_incref(m->env);
    exec_send(x, m);
}

static void exec_detached(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    if (error < 0)
        exchange_failed(x, error);
    else if (res->status != 200)
        exchange_engine_error(x, res, body);
    else
        exchange_reply_empty(x, 200);
}

void handle_exec_start(struct exchange *x)
{
    _cleanup_free_ char *body = NULL;
    const struct registry_exec *e = registry_exec_find(x->proxy->registry, x->id);
    struct refusal refusal = {0};
    struct exec_start s = {0};

    /* Made under another policy, perhaps. What is no own sandbox can only be the gateway. */
    if (!exec_allowed(x, e && !registry_has(x->proxy->registry, e->container)))
        return;
    if (exec_parse_start(x->json, &s, &refusal) < 0) {
        exchange_refuse(x, &refusal);
        return;
    }
    if (exec_render_start(&s, link_minor(x->proxy->link), &body) < 0) {
        exchange_failed(x, -ENOMEM);
        return;
    }
    if (registry_exec_start(x->proxy->registry, x->id) < 0) {
        exchange_deny(x, 409, "exec-used", "an exec can be started only once");
        return;
    }
    if (s.detach) /* the engine answers 200 and keeps the connection: no tunnel */
        exchange_fetch_route(x, &(struct route_upstream){0}, body, exec_detached);
    else
        tunnel_request(x, body);
}

void handle_attach(struct exchange *x)
{
    tunnel_request(x, NULL);
}
