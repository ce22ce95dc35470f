/* reply.c: the answers of an exchange, and the record that each leaves. Every answer is written from typed
 * parts; no header and no body of the engine's passes through here unbuilt. */
#include "proxy/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "proxy/conn.h"
#include "proxy/control.h"
#include "proxy/recorder.h"
#include "proxy/registry.h"

/* ---- records */
#define RECORD_USUAL ((size_t)500) /* most need no more memory than this */

/* The record is what is logged: a line for each refusal would make the log a tenant's to fill. */
static void record_send(struct proxy *p, const struct decision *d, bool done)
{
    _cleanup_buf_ struct buf text = {.limit = DECISION_MAX};

    if (d->verdict == DECISION_ALLOW)
        log_debug("%s %s %d", d->method ? d->method : "-", d->route ? d->route : "-", d->status);
    else
        log_debug("%s: %s %s %s%s%s: %d %s: %s", decision_verdict_to_string(d->verdict), d->peer,
            d->method ? d->method : "-", d->route ? d->route : "-", d->object_id ? " " : "",
            d->object_id ? d->object_id : "", d->status, d->rule ? d->rule : "", d->reason ? d->reason : "");
    if ((!p->control && !p->recorder) || buf_reserve(&text, RECORD_USUAL) < 0 || decision_write(d, &text) < 0)
        return;
    if (p->control)
        control_record(p->control, &text, done);
    else
        recorder_record(p->recorder, &text);
}

void exchange_record_malformed(struct proxy *p, const char *peer, int status, const char *text)
{
    struct decision d = {.time_us = clock_now(CLOCK_REALTIME),
        .tenant = p->policy->tenant,
        .peer = peer,
        .verdict = DECISION_DENY,
        .rule = "http",
        .reason = text,
        .status = status};

    record_send(p, &d, false);
}

static void record(struct exchange *x, int status)
{
    struct proxy *p = x->proxy;
    struct decision d = {.time_us = clock_now(CLOCK_REALTIME),
        .tenant = p->policy->tenant,
        .peer = x->conn ? conn_peer(x->conn) : "gone",
        .method = http1_method_name(x->match.method),
        .route = x->denied ? x->deny.route : route_name(x->match.id),
        .path = x->path,
        .object_id = x->id[0] ? x->id : NULL,
        .verdict = x->verdict,
        .rule = x->rule[0] ? x->rule : NULL,
        .reason = x->reason[0] ? x->reason : NULL,
        .status = status,
        .latency_us = loop_now(p->loop) - x->start_us,
        .argv = x->argv,
        .env = x->env,
        .image = x->image};
    char reported[sizeof(x->reason)];

    if (x->recorded)
        return;
    x->recorded = true;
    if (x->verdict == DECISION_ALLOW && x->match.report_rule) {
        route_switch_message(reported, sizeof(reported), x->match.report_switch);
        d.verdict = DECISION_REPORT;
        d.rule = x->match.report_rule;
        d.reason = reported;
        p->counters.reported++;
    } else if (x->verdict == DECISION_DENY)
        p->counters.denied++;
    else if (x->verdict == DECISION_ERROR)
        p->counters.errors++;
    else
        p->counters.allowed++;
    /* A health check every few seconds would drown what matters. */
    if (x->verdict != DECISION_ALLOW || x->denied || x->match.id != ROUTE_PING)
        record_send(p, &d,
            d.verdict != DECISION_DENY &&
                (x->match.class == ROUTE_CLASS_OWN_ACT || x->match.class == ROUTE_CLASS_BODY ||
                    x->match.class == ROUTE_CLASS_OPT_IN));
}

/* What was asked of the engine has happened, or may have, although nobody waits for the answer. */
void exchange_record_gone(struct exchange *x)
{
    if (!x->up || x->recorded)
        return;
    (void)snprintf(x->reason, sizeof(x->reason), "the client went away before the answer");
    record(x, 0);
}

/* ---- heads */
static int write_head(struct exchange *x, const struct http1_out_response *r)
{
    record(x, r->status);
    if (!x->conn)
        return -ENOTCONN;
    return http1_write_response(conn_out(x->conn), r);
}

void exchange_reply_full(struct exchange *x, int status, const char *content_type, const char *data,
    size_t len, const struct http1_field *extra, size_t n_extra)
{
    bool bodyless = status == 204 || status == 304;
    struct http1_out_response r = {.status = status,
        .framing = bodyless ? HTTP1_BODY_NONE : HTTP1_BODY_LENGTH,
        .content_length = len,
        .content_type = bodyless ? NULL : content_type,
        .keep_alive = x->keep_alive,
        .extra = extra,
        .n_extra = n_extra};
    bool keep = x->keep_alive;

    if (x->ended)
        return;
    if (write_head(x, &r) < 0 ||
        (!bodyless && !x->head_only && len > 0 && buf_add(conn_out(x->conn), data, len) < 0))
        keep = false;
    exchange_end(x, keep);
}

static void reply_text(struct exchange *x, int status, char *text)
{
    _cleanup_free_ char *owned = text;

    /* Out of memory: what was decided stays, only the words are missing. */
    if (owned)
        exchange_reply_full(x, status, "application/json", owned, strlen(owned), NULL, 0);
    else
        exchange_reply_full(x, status, "text/plain", "", 0, NULL, 0);
}

void exchange_reply_message(struct exchange *x, int status, const char *message)
{
    reply_text(x, status, respond_message(message));
}

void exchange_reply_json(struct exchange *x, int status, const json_t *j)
{
    _cleanup_free_ char *text = json_to_string(j);
    _cleanup_buf_ struct buf b = {.limit = EXCHANGE_FETCH_LIMIT};

    if (!text || buf_adds(&b, text) < 0 || buf_adds(&b, "\n") < 0)
        exchange_failed(x, -ENOMEM);
    else
        exchange_reply_full(x, status, "application/json", b.data, b.len, NULL, 0);
}

void exchange_reply_empty(struct exchange *x, int status)
{
    exchange_reply_full(x, status, NULL, "", 0, NULL, 0);
}

/* ---- refusals */
static void set_reason(
    struct exchange *x, enum decision_verdict verdict, const char *rule, const char *reason)
{
    x->verdict = verdict;
    (void)snprintf(x->rule, sizeof(x->rule), "%s", rule);
    (void)snprintf(x->reason, sizeof(x->reason), "%s", reason);
}

void exchange_deny(struct exchange *x, int status, const char *rule, const char *text)
{
    char message[640];

    if (x->ended)
        return;
    set_reason(x, DECISION_DENY, rule, text);
    (void)snprintf(message, sizeof(message), "clawsup: %s", text);
    exchange_reply_message(x, status, message);
}

void exchange_refuse(struct exchange *x, const struct refusal *r)
{
    if (x->ended)
        return;
    if (r->status == 0) { /* out of memory, not a decision */
        exchange_failed(x, -ENOMEM);
        return;
    }
    set_reason(x, DECISION_DENY, r->rule, r->reason);
    reply_text(x, r->status, respond_refusal(r));
}

void exchange_absent(struct exchange *x)
{
    char message[704];

    if (x->ended)
        return;
    set_reason(x, DECISION_DENY, "not-own", "absent, or not this tenant's");
    route_absent_message(message, sizeof(message), x->match.ref_kind, x->match.ref ? x->match.ref : "");
    exchange_reply_message(x, 404, message);
}

void exchange_failed(struct exchange *x, int error)
{
    int status = 503;
    const char *text = "the Docker engine is not reachable";

    if (x->ended)
        return;
    switch (-error) {
    case ETIMEDOUT:
        status = x->match.id == ROUTE_PING ? 503 : 504;
        text = "the Docker engine did not answer in time";
        break;
    case EBADMSG:
    case EFBIG:
    case EPIPE:
        status = x->match.id == ROUTE_PING ? 503 : 502;
        text = "the Docker engine gave an answer that cannot be used";
        break;
    case EDQUOT:
        text = "too many large answers at the same time";
        break;
    case ENOMEM:
    case EINVAL:
    case E2BIG:
        status = 500;
        text = "the request could not be carried out";
        break;
    default:
        break;
    }
    set_reason(x, DECISION_ERROR, "engine", text);
    if (x->match.hijack)
        x->keep_alive = false;
    {
        char message[128];

        (void)snprintf(message, sizeof(message), "clawsup: %s", text);
        exchange_reply_message(x, status, message);
    }
}

void exchange_engine_error(struct exchange *x, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    _cleanup_json_ json_t *j = NULL;

    if (x->ended)
        return;
    if (x->match.hijack)
        x->keep_alive = false;
    if (res->status < 400 || exchange_parse(body, &j) < 0) {
        exchange_failed(x, -EBADMSG);
        return;
    }
    /* Gone since we looked. Only the reference's own 404 is rewritten: an archive's "no such file" stays. */
    if (res->status == 404 && x->match.ref_kind == ROUTE_REF_CONTAINER && x->id[0]) {
        const char *m = json_string_value(json_object_get(j, "message"));

        if (m && str_startswith(m, "No such container")) {
            if (!x->gateway)
                registry_remove(x->proxy->registry, x->id);
            exchange_absent(x);
            return;
        }
    }
    if (res->status == 404 && (x->match.ref_kind == ROUTE_REF_IMAGE || x->match.ref_kind == ROUTE_REF_EXEC)) {
        exchange_absent(x);
        return;
    }
    reply_text(x, res->status, respond_engine_error(&v, j));
}

/* ---- streams */
bool exchange_stream_head(
    struct exchange *x, int status, const char *content_type, const struct http1_field *extra, size_t n_extra)
{
    struct http1_out_response r = {.status = status,
        .framing = x->head_only ? HTTP1_BODY_NONE : HTTP1_BODY_CHUNKED,
        .content_type = content_type,
        .keep_alive = x->keep_alive,
        .extra = extra,
        .n_extra = n_extra};

    if (x->ended)
        return false;
    if (write_head(x, &r) < 0) {
        exchange_end(x, false);
        return false;
    }
    x->relaying = true;
    conn_flush(x->conn);
    return !x->ended && x->conn;
}

int exchange_chunk(struct exchange *x, const char *data, size_t len)
{
    static const char tail[] = "\r\n";
    const struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)data, .iov_len = len}, {(void *)(uintptr_t)tail, sizeof(tail) - 1}};
    int r;

    if (x->ended || !x->conn)
        return -ENOTCONN;
    if (len == 0 || x->head_only)
        return 0;
    r = http1_write_chunk_head(conn_out(x->conn), len);
    if (r >= 0)
        r = conn_send(x->conn, parts, ARRAY_SIZE(parts));
    if (r < 0)
        return r;
    if (x->up && conn_unsent(x->conn) > CONN_HIGH_WATER)
        upstream_pause(x->up, true);
    if (conn_unsent(x->conn) > 0)
        conn_flush(x->conn);
    return 0;
}

void exchange_stream_end(struct exchange *x)
{
    bool keep = x->keep_alive;

    if (x->ended)
        return;
    if (x->conn && !x->head_only && http1_write_last_chunk(conn_out(x->conn)) < 0)
        keep = false;
    exchange_end(x, keep);
}

void exchange_stream_break(struct exchange *x)
{
    struct conn *c = x->conn;

    if (x->ended)
        return;
    exchange_end_detached(x);
    if (c)
        conn_close(c);
}

int exchange_tunnel_head(struct exchange *x, const char *content_type)
{
    struct http1_out_response r = {.status = x->upgrade ? 101 : 200,
        .framing = x->upgrade ? HTTP1_BODY_NONE : HTTP1_BODY_CLOSE,
        .content_type = content_type};

    return write_head(x, &r);
}
