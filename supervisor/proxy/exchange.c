/* exchange.c: see exchange.h: the life of an exchange and its dealings with the engine; the answers are in
 * reply.c. Fails closed: whatever cannot be decided, parsed or written ends in a refusal or in a closed
 * connection. */
#include "proxy/exchange.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "proxy/conn.h"
#include "proxy/handlers.h"
#include "proxy/link.h"
#include "proxy/registry.h"
#include "proxy/relay.h"

#define ARCHIVE_LIMIT ((uint64_t)512 * 1024 * 1024)

static void drop_body(struct exchange *x)
{
    x->proxy->held_bytes -= x->accounted;
    x->accounted = 0;
    buf_reset(&x->body);
}

static void exchange_destroy(void *p)
{
    struct exchange *x = p;

    route_match_done(&x->match);
    buf_reset(&x->body);
    buf_reset(&x->line);
    json_decref(x->json);
    json_decref(x->argv);
    json_decref(x->env);
    free(x->image);
    free(x->path);
    free(x);
}

/* No callback comes from here on; the memory stays until the round is over. */
static void exchange_let_go(struct exchange *x)
{
    x->ended = true;
    x->proxy->costly -= x->costly;
    x->costly = false;
    drop_body(x);
    upstream_close(x->up);
    x->up = NULL;
    if (x->data_free)
        x->data_free(x);
    x->data = NULL;
    x->data_free = NULL;
    loop_reap(x->proxy->loop, &x->garbage, exchange_destroy, x);
}

void exchange_end(struct exchange *x, bool keep_alive)
{
    struct conn *c = x->conn;

    if (x->ended)
        return;
    x->conn = NULL;
    exchange_let_go(x);
    if (c)
        conn_finish(c, keep_alive);
    else
        proxy_release(x->proxy);
}

void exchange_end_detached(struct exchange *x)
{
    x->conn = NULL;
    if (!x->ended)
        exchange_let_go(x);
}

#define PATH_SHOWN ((size_t)256)

/* What was asked for, when no route says it. NULL when out of memory: the record then goes without. */
static char *shown_path(const struct http1_request *req)
{
    _cleanup_buf_ struct buf b = {.limit = HTTP1_HEAD_LIMIT};

    for (size_t i = 0; i < req->n_segments && b.len < PATH_SHOWN; i++)
        if (buf_addf(&b, "/%s", req->segments[i]) < 0)
            return NULL;
    if (b.len > PATH_SHOWN)
        buf_truncate(&b, PATH_SHOWN);
    return b.len > 0 ? buf_take(&b) : strdup("/");
}

struct exchange *exchange_new(struct conn *c, const struct http1_request *req, uint64_t *ret_limit)
{
    struct exchange *x = calloc(1, sizeof(*x));
    unsigned minor;
    int r;

    if (!x)
        return NULL;
    x->proxy = conn_proxy(c);
    x->conn = c;
    x->start_us = loop_now(x->proxy->loop);
    x->head_only = req->method == HTTP1_HEAD;
    x->keep_alive = req->keep_alive;
    x->upgrade = req->upgrade;
    x->match.method = req->method;
    x->verdict = DECISION_ALLOW;
    minor = link_minor(x->proxy->link);
    *ret_limit = 0;
    r = route_decide(req, x->proxy->policy, minor ? minor : ROUTE_ENGINE_MINOR_MIN, &x->match, &x->deny);
    if (r == -ENOMEM) {
        exchange_destroy(x);
        return NULL;
    }
    if (r < 0) {
        x->denied = true;
        x->path = shown_path(req);
        x->keep_alive = x->keep_alive && req->framing == HTTP1_BODY_NONE;
        return x;
    }
    /* A connection that was meant to become a tunnel carries bytes that are no request: no second one on it.
     */
    if (x->match.hijack && x->upgrade)
        x->keep_alive = false;
    if (x->match.body == ROUTE_BODY_JSON) {
        *ret_limit = ROUTE_JSON_LIMIT;
        x->body.limit = ROUTE_JSON_LIMIT + 1;
    } else if (x->match.body == ROUTE_BODY_TAR) {
        *ret_limit = ARCHIVE_LIMIT;
        relay_upload_init(x, req);
    }
    return x;
}

bool exchange_streams_body(const struct exchange *x)
{
    return x->match.body == ROUTE_BODY_TAR;
}

bool exchange_is_stream(const struct exchange *x)
{
    return x->match.stream;
}

void exchange_body(struct exchange *x, const char *data, size_t len)
{
    if (x->match.body == ROUTE_BODY_TAR) {
        relay_upload(x, data, len);
        return;
    }
    x->accounted += len;
    x->proxy->held_bytes += len;
    if (x->proxy->held_bytes > PROXY_HELD_MAX)
        exchange_refuse_body(x, 503, "too many large requests at the same time");
    else if (buf_add(&x->body, data, len) < 0)
        exchange_refuse_body(x, 413, "the body is too large");
}

void exchange_refuse_body(struct exchange *x, int status, const char *text)
{
    x->keep_alive = false;
    exchange_deny(x, status, "body", text);
}

bool exchange_parse_body(struct exchange *x)
{
    struct err e = {0};
    int r;

    if (x->match.body != ROUTE_BODY_JSON || x->body.len == 0)
        return true;
    r = json_load_strict(x->body.data, x->body.len, ROUTE_JSON_LIMIT, &x->json, &e);
    drop_body(x);
    if (r == -EFBIG)
        exchange_deny(x, 413, "body", "the body is too large");
    else if (r == -ENOMEM)
        exchange_failed(x, r);
    else if (r < 0)
        exchange_deny(x, 400, "json", e.msg);
    return r >= 0;
}

void exchange_run(struct exchange *x)
{
    if (x->denied) {
        x->verdict = DECISION_DENY;
        (void)snprintf(x->rule, sizeof(x->rule), "%s", x->deny.rule);
        (void)snprintf(x->reason, sizeof(x->reason), "%.255s",
            str_startswith(x->deny.message, "clawsup: ") ? x->deny.message + 9 : x->deny.message);
        exchange_reply_message(x, x->deny.status, x->deny.message);
        return;
    }
    if (x->match.body == ROUTE_BODY_TAR)
        relay_upload_end(x);
    else
        handlers_run(x);
}

void exchange_drained(struct exchange *x)
{
    if (x->relaying && x->up)
        upstream_pause(x->up, false);
}

void exchange_client_gone(struct exchange *x)
{
    if (!x->ended && !x->outlives)
        exchange_record_gone(x);
    x->conn = NULL;
    if (x->ended)
        return;
    if (x->outlives) {
        x->proxy->active++;
        return;
    }
    exchange_let_go(x);
}

/* ---- the engine */
static void exchange_fetched(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct exchange *x = ctx;

    x->up = NULL;
    x->step(x, error, res, body);
}

void exchange_fetch(struct exchange *x, const struct upstream_request *r, exchange_step_fn step)
{
    int k;

    x->step = step;
    k = upstream_fetch(x->proxy, r, EXCHANGE_FETCH_LIMIT, exchange_fetched, x, &x->up);
    if (k < 0)
        step(x, k, NULL, NULL);
}

int exchange_target(struct exchange *x, const struct route_upstream *u, struct buf *ret)
{
    struct route_upstream full = *u;

    full.minor = link_minor(x->proxy->link);
    full.tenant = x->proxy->policy->tenant;
    if (!full.ref && x->id[0])
        full.ref = x->id;
    return route_upstream_path(ret, &x->match, &full);
}

void exchange_fetch_route(
    struct exchange *x, const struct route_upstream *u, const char *body, exchange_step_fn step)
{
    _cleanup_buf_ struct buf target = {0};
    struct upstream_request r = {.method = x->match.method,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_us = PROXY_ENGINE_TIMEOUT};
    int k = exchange_target(x, u, &target);

    if (k < 0) {
        step(x, k, NULL, NULL);
        return;
    }
    r.target = target.data;
    exchange_fetch(x, &r, step);
}

int exchange_parse(const struct buf *body, json_t **ret)
{
    int r = json_load_engine(body->data ? body->data : "", body->len, EXCHANGE_FETCH_LIMIT, ret, NULL);

    return r == -ENOMEM ? r : (r < 0 ? -EBADMSG : 0);
}

int exchange_read(const struct buf *body, struct jdoc *ret)
{
    int r = jdoc_parse(ret, body->data ? body->data : "", body->len, EXCHANGE_FETCH_LIMIT, NULL);

    return r == -ENOMEM ? r : (r < 0 ? -EBADMSG : 0);
}

static bool owns(void *userdata, const char *id)
{
    return registry_has(userdata, id);
}

struct respond_view exchange_view(struct exchange *x)
{
    return (struct respond_view){.policy = x->proxy->policy, .owns = owns, .userdata = x->proxy->registry};
}
