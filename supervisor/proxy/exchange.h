/* exchange.h: one request and its answer, from the decision to the last byte. Handlers work on it step by
 * step; each step ends in a reply or in one more request to the engine. Every answer that a client gets is
 * written here (or, for a form that never became a request, by conn.c), and every one leaves a decision
 * record. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/jdoc.h"
#include "filter/decision.h"
#include "filter/http1.h"
#include "filter/refusal.h"
#include "filter/respond.h"
#include "filter/route.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"

struct conn;
struct exchange;

/* What to do with the engine's whole answer; error < 0: there is none. */
typedef void (*exchange_step_fn)(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body);
/* A line of a streamed answer: writes what the client is to see of it with exchange_chunk(). -errno ends the
 * stream. */
typedef int (*exchange_line_fn)(struct exchange *x, const char *line, size_t len);

struct exchange {
    struct proxy *proxy;
    struct conn *conn; /* NULL: the client is gone and the work goes on (see `outlives`) */
    struct loop_garbage garbage;

    struct route_match match;
    struct route_deny deny;
    bool denied, keep_alive, head_only, upgrade, ended;
    bool costly;   /* counted in proxy.costly */
    bool outlives; /* what has begun must be brought to its end even without a client */

    struct buf body;
    size_t accounted; /* its part of proxy.held_bytes */
    json_t *json;
    char id[65];  /* full id of the container or exec, once resolved */
    bool gateway; /* the container is the tenant's own gateway */

    struct upstream *up; /* the engine request under way */
    exchange_step_fn step;

    bool relaying; /* the answer's head is out, its body follows in chunks */
    exchange_line_fn line_fn;
    struct buf line;

    /* of the handler */
    void *data;
    void (*data_free)(struct exchange *x);

    /* for the record */
    uint64_t start_us;
    enum decision_verdict verdict;
    bool recorded;
    char rule[64], reason[256];
    char *path; /* of what the route refused */
    json_t *argv, *env;
    char *image;
};

/* ---- for conn.c */
/* Decides on the head. *ret_limit is how large a body may follow; 0: none is read, run at once. NULL when out
 * of memory. */
struct exchange *exchange_new(struct conn *c, const struct http1_request *req, uint64_t *ret_limit);
/* A piece of the body. May pause the connection. */
void exchange_body(struct exchange *x, const char *data, size_t len);
bool exchange_streams_body(const struct exchange *x);
/* Parses the body that has been read, if the route has one. False: it has been refused. */
bool exchange_parse_body(struct exchange *x);
/* The body is complete. */
void exchange_run(struct exchange *x);
void exchange_refuse_body(struct exchange *x, int status, const char *text);
void exchange_drained(struct exchange *x);
/* Ends it: the next request of the connection, or its end. */
void exchange_end(struct exchange *x, bool keep_alive);
void exchange_client_gone(struct exchange *x);
bool exchange_is_stream(const struct exchange *x);
void exchange_record_gone(struct exchange *x);
void exchange_record_malformed(struct proxy *p, const char *peer, int status, const char *text);

/* ---- answers: each ends the exchange. `text` of deny and error has no "clawsup: "; it is added. */
void exchange_reply_json(struct exchange *x, int status, const json_t *j);
void exchange_reply_empty(struct exchange *x, int status);
void exchange_deny(struct exchange *x, int status, const char *rule, const char *text);
void exchange_refuse(struct exchange *x, const struct refusal *r);
void exchange_absent(struct exchange *x);
/* The engine gave no answer, or one that cannot be used. */
void exchange_failed(struct exchange *x, int error);
/* The engine refused: its message, rebuilt. A 404 about an object is the one for absent ones. */
void exchange_engine_error(struct exchange *x, const struct http1_response *res, const struct buf *body);
/* A plain message in the engine's own words, without "clawsup: ". */
void exchange_reply_message(struct exchange *x, int status, const char *message);
void exchange_reply_full(struct exchange *x, int status, const char *content_type, const char *data,
    size_t len, const struct http1_field *extra, size_t n_extra);

/* ---- a streamed answer */
/* Writes the head; false: that was the end of the exchange. */
bool exchange_stream_head(struct exchange *x, int status, const char *content_type,
    const struct http1_field *extra, size_t n_extra);
int exchange_chunk(struct exchange *x, const char *data, size_t len) _must_check_;
void exchange_stream_end(struct exchange *x);
/* The answer cannot be completed: the connection is cut, so that the client sees that. */
void exchange_stream_break(struct exchange *x);

/* The head of a tunnel (101, or 200 for a client that asked for no upgrade), recorded as allowed; -errno. */
int exchange_tunnel_head(struct exchange *x, const char *content_type) _must_check_;
/* Ends without writing anything more: the connection has been given away. */
void exchange_end_detached(struct exchange *x);

/* ---- the engine */
#define EXCHANGE_FETCH_LIMIT ((size_t)16 * 1024 * 1024)
/* Sends a request; `step` gets the answer, unless the client goes first. */
void exchange_fetch(struct exchange *x, const struct upstream_request *r, exchange_step_fn step);
/* The request of the route itself: method and path of the match, `body` as JSON (may be NULL). */
void exchange_fetch_route(
    struct exchange *x, const struct route_upstream *u, const char *body, exchange_step_fn step);
/* The path of the match for the engine, with this exchange's id and the pinned version where `u` leaves them
 * out. */
int exchange_target(struct exchange *x, const struct route_upstream *u, struct buf *ret) _must_check_;
/* The JSON of an answer; -EBADMSG. */
int exchange_parse(const struct buf *body, json_t **ret) _must_check_;
/* The same in place; `body` must stay. */
int exchange_read(const struct buf *body, struct jdoc *ret) _must_check_;

struct respond_view exchange_view(struct exchange *x);
