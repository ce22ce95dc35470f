/* relay.c: see relay.h. Must not hold a body, must not pass a header on that it does not know. */
#include "proxy/relay.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "proxy/conn.h"
#include "proxy/handlers.h"
#include "proxy/registry.h"

#define LINE_LIMIT ((size_t)256 * 1024)
#define TAR_BLOCK ((size_t)512)
#define PATH_STAT_HEADER "X-Docker-Container-Path-Stat"

const char *relay_content_type(const char *engine_type)
{
    static const char *const known[] = {"application/json", "application/x-tar", "application/octet-stream",
        "application/vnd.docker.raw-stream", "application/vnd.docker.multiplexed-stream",
        "text/plain; charset=utf-8", "text/plain"};

    for (size_t i = 0; engine_type && i < ARRAY_SIZE(known); i++)
        if (strcmp(engine_type, known[i]) == 0)
            return known[i];
    return "application/octet-stream";
}

/* ---- the engine's answer to the client */
static void relay_error(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct exchange *x = ctx;

    x->up = NULL;
    if (error < 0)
        exchange_failed(x, error);
    else
        exchange_engine_error(x, res, body);
}

static void relay_head(void *ctx, struct upstream *u, const struct http1_response *res)
{
    struct exchange *x = ctx;
    const char *stat = http1_response_field(res, "x-docker-container-path-stat");
    struct http1_field extra = {.name = PATH_STAT_HEADER, .value = stat};

    if (res->status != 200 || res->upgraded) {
        if (x->head_only) { /* no body says why */
            upstream_close(u);
            x->up = NULL;
            if (res->status == 404)
                exchange_reply_message(x, 404, "no such file or container");
            else
                exchange_failed(x, -EBADMSG);
        } else {
            upstream_collect(u, EXCHANGE_FETCH_LIMIT, relay_error, x);
        }
        return;
    }
    (void)exchange_stream_head(x, 200, relay_content_type(res->content_type), &extra, stat ? 1 : 0);
}

static int relay_line(struct exchange *x)
{
    int r = x->line.len > 0 ? x->line_fn(x, x->line.data, x->line.len) : 0;

    x->line.len = 0;
    return r;
}

static int relay_lines(struct exchange *x, const char *data, size_t len)
{
    while (len > 0 && !x->ended) {
        const char *nl = memchr(data, '\n', len);
        size_t n = nl ? (size_t)(nl - data) : len;
        int r = buf_add(&x->line, data, n);

        if (r >= 0 && nl) {
            r = relay_line(x);
            n++;
        }
        if (r < 0)
            return r;
        data += n;
        len -= n;
    }
    return 0;
}

static void relay_data(void *ctx, struct upstream *u, const char *data, size_t len)
{
    struct exchange *x = ctx;

    (void)u;
    if (x->ended)
        return;
    if ((x->line_fn ? relay_lines(x, data, len) : exchange_chunk(x, data, len)) < 0)
        exchange_stream_break(x);
}

static void relay_end(void *ctx, struct upstream *u)
{
    struct exchange *x = ctx;

    (void)u;
    x->up = NULL;
    if (x->ended)
        return;
    if (x->line_fn && relay_line(x) < 0)
        exchange_stream_break(x);
    else
        exchange_stream_end(x);
}

static void relay_fail(void *ctx, struct upstream *u, int error)
{
    struct exchange *x = ctx;

    (void)u;
    x->up = NULL;
    if (x->relaying)
        exchange_stream_break(x);
    else
        exchange_failed(x, error);
}

static const struct upstream_ops relay_ops = {
    .head = relay_head, .data = relay_data, .end = relay_end, .fail = relay_fail};

void relay_start(struct exchange *x, const struct route_upstream *u, exchange_line_fn line)
{
    _cleanup_buf_ struct buf target = {0};
    struct upstream_request r = {
        .method = x->match.method, .timeout_us = PROXY_ENGINE_TIMEOUT, .stream = x->match.stream};
    int k = exchange_target(x, u, &target);

    if (k >= 0) {
        r.target = target.data;
        x->line_fn = line;
        x->line.limit = LINE_LIMIT;
        k = upstream_start(x->proxy, &r, &relay_ops, x, &x->up);
    }
    if (k < 0)
        exchange_failed(x, k);
}

/* ---- a client's upload: the head goes out with the first piece, so that a refusal costs the engine nothing
 */
struct upload {
    uint64_t length; /* UINT64_MAX: chunked */
    bool complete;   /* the client has sent everything */
    char head[TAR_BLOCK];
    size_t n_head;
};

/* A plain archive: a header that says so, or the zeros of an empty one. For a compressed stream the engine
 * runs a program to unpack it, and finds it inside the container (CVE-2026-41567). */
static bool is_tar(const char *block)
{
    if (memcmp(block + 257, "ustar", 5) == 0)
        return true;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (block[i] != '\0')
            return false;
    return true;
}

static void upload_free(struct exchange *x)
{
    free(x->data);
}

void relay_upload_init(struct exchange *x, const struct http1_request *req)
{
    struct upload *up = calloc(1, sizeof(*up));

    if (!up) /* relay_upload() refuses */
        return;
    up->length = req->framing == HTTP1_BODY_CHUNKED ? UINT64_MAX : req->content_length;
    x->data = up;
    x->data_free = upload_free;
}

static void upload_head(void *ctx, struct upstream *u, const struct http1_response *res)
{
    struct exchange *x = ctx;
    struct upload *up = x->data;

    (void)res;
    /* An answer before the end is a refusal: the rest of the body is not wanted. */
    if (!up->complete)
        x->keep_alive = false;
    upstream_collect(u, EXCHANGE_FETCH_LIMIT, handlers_act_done, x);
}

static void upload_drained(void *ctx, struct upstream *u)
{
    struct exchange *x = ctx;

    (void)u;
    if (x->conn)
        conn_pause_body(x->conn, false);
}

static void upload_fail(void *ctx, struct upstream *u, int error)
{
    struct exchange *x = ctx;

    (void)u;
    x->up = NULL;
    x->keep_alive = false;
    exchange_failed(x, error);
}

static const struct upstream_ops upload_ops = {
    .head = upload_head, .data = NULL, .end = NULL, .fail = upload_fail, .drained = upload_drained};

/* The first block is complete: refuses, or begins the request with it. */
static int upload_start(struct exchange *x, struct upload *up)
{
    _cleanup_buf_ struct buf target = {0};
    struct upstream_request r = {
        .method = HTTP1_PUT, .tar = true, .tar_length = up->length, .timeout_us = PROXY_ENGINE_TIMEOUT};
    int k;

    if (!handlers_resolve_own(x)) {
        x->keep_alive = false;
        exchange_absent(x);
        return 0;
    }
    x->keep_alive = x->keep_alive && is_tar(up->head) && !registry_has_binds(x->proxy->registry, x->id);
    if (handlers_refuse_archive(x))
        return 0;
    if (!is_tar(up->head)) {
        exchange_deny(x, 400, "archive", "the body must be a tar archive, not compressed");
        return 0;
    }
    k = exchange_target(x, &(struct route_upstream){0}, &target);
    if (k < 0)
        return k;
    r.target = target.data;
    k = upstream_start(x->proxy, &r, &upload_ops, x, &x->up);
    return k < 0 ? k : upstream_write(x->up, up->head, TAR_BLOCK);
}

static void upload_failed(struct exchange *x, int error)
{
    x->keep_alive = false;
    exchange_failed(x, error);
}

void relay_upload(struct exchange *x, const char *data, size_t len)
{
    struct upload *up = x->data;
    size_t n;
    int r = 0;

    if (x->ended)
        return;
    if (!up) {
        upload_failed(x, -ENOMEM);
        return;
    }
    n = MIN(len, TAR_BLOCK - up->n_head);
    memcpy(up->head + up->n_head, data, n);
    up->n_head += n;
    if (!x->up && up->n_head == TAR_BLOCK)
        r = upload_start(x, up);
    if (r >= 0 && x->up && n < len)
        r = upstream_write(x->up, data + n, len - n);
    if (r < 0 && !x->ended)
        upload_failed(x, r);
    else if (x->up && x->conn)
        conn_pause_body(x->conn, true); /* until this piece is on its way */
}

void relay_upload_end(struct exchange *x)
{
    struct upload *up = x->data;
    int r;

    if (x->ended)
        return;
    if (!x->up) {
        exchange_deny(x, 400, "archive", "the body must be a tar archive, not compressed");
        return;
    }
    up->complete = true;
    r = upstream_write_end(x->up);
    if (r < 0)
        exchange_failed(x, r);
}
