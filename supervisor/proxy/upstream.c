/* upstream.c: see upstream.h. Must not forward a byte that http1_write_request() or the caller's rendered
 * body did not produce. A connection is used again only when it has carried nothing but GET and HEAD and the
 * last answer, a success, ended where a strict parser saw its end; never after a tunnel, an upload, an error
 * or an answer that was not read to its end. */
#include "proxy/upstream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "proxy/pool.h"

#define CONNECT_RETRY_US (20 * USEC_PER_MSEC)
#define HEAD_BUFFER (HTTP1_HEAD_LIMIT + PROXY_SCRATCH)
#define COLLECT_FREE ((size_t)16 * 1024) /* an answer that is collected in any case */
#define BODY_BUFFER ((size_t)2 * 1024 * 1024)

enum upstream_state { UP_CONNECT, UP_HEAD, UP_BODY, UP_GONE };

struct upstream {
    struct proxy *proxy;
    struct wire *wire; /* NULL while there is no connection */
    struct loop_timer timer;
    struct loop_garbage garbage;
    enum upstream_state state;
    const struct upstream_ops *ops;
    void *ctx;

    struct buf out; /* what is still to be sent */
    size_t out_off;
    bool chunked_out, body_open, paused, stream;
    bool reusable; /* the connection may carry another request after this one */
    bool reused;   /* ... and has carried one before; until the first byte of the answer */
    int error;     /* of the start, reported from the loop */
    uint64_t timeout_us, connect_deadline_us;

    enum http1_method method;
    struct buf in; /* bytes of the head */
    struct http1_response res;
    struct http1_body body;

    upstream_fetch_fn fetch_fn; /* set while collecting */
    void *fetch_ctx;
    struct buf collected;
    size_t accounted; /* its part of proxy.held_bytes */
    bool vital;
};

static void upstream_destroy(void *p)
{
    struct upstream *u = p;

    u->proxy->held_bytes -= u->accounted;
    buf_reset(&u->out);
    buf_reset(&u->in);
    buf_reset(&u->collected);
    http1_response_done(&u->res);
    free(u);
}

void upstream_close(struct upstream *u)
{
    if (!u || u->state == UP_GONE)
        return;
    u->state = UP_GONE;
    loop_timer_cancel(u->proxy->loop, &u->timer);
    wire_close(u->proxy->loop, u->wire);
    u->wire = NULL;
    /* A caller further up the stack may still hold the head that it was given. */
    loop_reap(u->proxy->loop, &u->garbage, upstream_destroy, u);
}

static void upstream_fail(struct upstream *u, int error)
{
    if (u->state == UP_GONE)
        return;
    upstream_close(u);
    u->ops->fail(u->ctx, u, error);
}

static void upstream_update(struct upstream *u)
{
    uint32_t ev = 0;
    int r;

    if (u->state == UP_GONE || u->state == UP_CONNECT)
        return;
    if (u->out_off < u->out.len)
        ev |= EPOLLOUT;
    if (!u->paused)
        ev |= EPOLLIN;
    r = loop_io_set(u->proxy->loop, &u->wire->io, ev);
    if (r < 0)
        upstream_fail(u, r);
}

static void upstream_progress(struct upstream *u)
{
    if (u->state == UP_CONNECT) /* the timer belongs to connecting */
        return;
    if (u->timeout_us > 0 && !u->paused && !(u->stream && u->state == UP_BODY))
        loop_timer_set(u->proxy->loop, &u->timer, u->timeout_us);
    else
        loop_timer_cancel(u->proxy->loop, &u->timer);
}

void upstream_pause(struct upstream *u, bool paused)
{
    if (u->paused == paused)
        return;
    u->paused = paused;
    upstream_progress(u);
    upstream_update(u);
}

/* ---- the collecting ops */
static void collect_head(void *ctx, struct upstream *u, const struct http1_response *res)
{
    (void)ctx;
    (void)u;
    (void)res;
}

static void collect_data(void *ctx, struct upstream *u, const char *data, size_t len)
{
    int r;

    (void)ctx;
    /* A list is short to ask for and may be long: what waits for its end counts with what clients hold. */
    u->accounted += len;
    u->proxy->held_bytes += len;
    r = !u->vital && u->accounted > COLLECT_FREE && u->proxy->held_bytes > PROXY_HELD_MAX
            ? -EDQUOT
            : buf_add(&u->collected, data, len);
    if (r < 0)
        upstream_fail(u, r == -E2BIG ? -EFBIG : r);
}

static void collect_end(void *ctx, struct upstream *u)
{
    (void)ctx;
    u->fetch_fn(u->fetch_ctx, 0, &u->res, &u->collected);
}

static void collect_fail(void *ctx, struct upstream *u, int error)
{
    (void)ctx;
    u->fetch_fn(u->fetch_ctx, error, NULL, NULL);
}

static const struct upstream_ops collect_ops = {
    .head = collect_head, .data = collect_data, .end = collect_end, .fail = collect_fail};

void upstream_collect(struct upstream *u, size_t limit, upstream_fetch_fn fn, void *ctx)
{
    u->ops = &collect_ops;
    u->fetch_fn = fn;
    u->fetch_ctx = ctx;
    u->collected.limit = limit;
    u->stream = false;
    if (u->timeout_us == 0)
        u->timeout_us = PROXY_ENGINE_TIMEOUT;
    upstream_progress(u);
}

/* ---- reading */

/* The answer is complete. `clean`: nothing came behind its last byte. */
static void upstream_end(struct upstream *u, bool clean)
{
    bool success = u->res.status >= 200 && u->res.status < 400;

    if (clean && success && u->reusable && u->res.keep_alive && u->out_off == u->out.len)
        pool_give(u->proxy->pool, TAKE_PTR(u->wire));
    upstream_close(u);
    u->ops->end(u->ctx, u);
}

/* Hands on all of the body that is in `data` at once: chunks are moved together in place. */
static void upstream_feed(struct upstream *u, char *data, size_t len)
{
    char *payload = data, *p = data, *end = data + len;
    size_t n_payload = 0;

    while (p < end && !u->body.done) {
        struct http1_span span = {0};
        ssize_t n = http1_body_feed(&u->body, p, (size_t)(end - p), &span);

        if (n <= 0) {
            upstream_fail(u, n < 0 ? (int)n : -EBADMSG);
            return;
        }
        if (n_payload == 0)
            payload = p + (span.len > 0 ? span.data - p : 0);
        else if (span.len > 0)
            memmove(payload + n_payload, span.data, span.len);
        n_payload += span.len;
        p += n;
    }
    if (n_payload > 0)
        u->ops->data(u->ctx, u, payload, n_payload);
    if (u->state != UP_GONE && u->body.done)
        upstream_end(u, p == end);
}

static void upstream_got_head(struct upstream *u, size_t head_len)
{
    int r;

    buf_consume(&u->in, head_len);
    u->state = UP_BODY;
    r = http1_body_init(&u->body, u->res.framing, u->res.content_length, UINT64_MAX);
    if (r < 0) {
        upstream_fail(u, r);
        return;
    }
    upstream_progress(u);
    u->ops->head(u->ctx, u, &u->res);
    if (u->state == UP_GONE)
        return;
    if (u->res.upgraded) { /* a tunnel that nobody took */
        upstream_fail(u, -EBADMSG);
        return;
    }
    upstream_feed(u, u->in.data, u->in.len);
    if (u->state != UP_GONE)
        buf_reset(&u->in);
}

static void upstream_read_head(struct upstream *u, const char *data, size_t len)
{
    struct http1_error e;
    ssize_t n;
    int r = buf_add(&u->in, data, len);

    if (r < 0) {
        upstream_fail(u, r == -E2BIG ? -EBADMSG : r);
        return;
    }
    for (;;) {
        n = http1_parse_response(&u->res, u->method, u->in.data, u->in.len, &e);
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            upstream_fail(u, (int)n);
            return;
        }
        if (!u->res.interim)
            break;
        buf_consume(&u->in, (size_t)n);
        http1_response_reset(&u->res);
    }
    upstream_got_head(u, (size_t)n);
}

static void upstream_connect(struct upstream *u);

/* The engine closed a connection that had been waiting, as our request went out: nothing was answered, and a
 * GET or HEAD may be sent twice. */
static void upstream_again(struct upstream *u)
{
    u->reused = false;
    wire_close(u->proxy->loop, u->wire);
    u->wire = NULL;
    u->out_off = 0;
    u->state = UP_CONNECT;
    upstream_connect(u);
}

/* The end of what the engine sends, expected or not. */
static void upstream_eof(struct upstream *u, bool orderly)
{
    if (u->reused)
        upstream_again(u);
    else if (orderly && u->state == UP_BODY && http1_body_eof(&u->body) >= 0)
        upstream_end(u, false);
    else
        upstream_fail(u, -EPIPE);
}

static void upstream_read(struct upstream *u)
{
    ssize_t n = recv(u->wire->io.fd, u->proxy->scratch, sizeof(u->proxy->scratch), 0);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            upstream_eof(u, false);
        return;
    }
    if (n == 0) {
        upstream_eof(u, true);
        return;
    }
    u->reused = false;
    upstream_progress(u);
    if (u->state == UP_HEAD)
        upstream_read_head(u, u->proxy->scratch, (size_t)n);
    else
        upstream_feed(u, u->proxy->scratch, (size_t)n);
}

/* ---- writing */
static void upstream_flush(struct upstream *u)
{
    while (u->out_off < u->out.len) {
        ssize_t n = send(u->wire->io.fd, u->out.data + u->out_off, u->out.len - u->out_off, MSG_NOSIGNAL);

        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return;
            /* The engine may have answered and closed before it read everything: the answer decides. */
            u->out_off = u->out.len;
            break;
        }
        u->out_off += (size_t)n;
        upstream_progress(u);
    }
    if (u->out.len > 0 && !u->reused) { /* what may have to be sent again is kept */
        buf_reset(&u->out);
        u->out_off = 0;
        if (u->body_open && u->ops->drained)
            u->ops->drained(u->ctx, u);
    }
}

int upstream_write(struct upstream *u, const char *data, size_t len)
{
    int r = 0;

    if (len == 0)
        return 0;
    if (u->chunked_out)
        r = http1_write_chunk_head(&u->out, len);
    if (r >= 0)
        r = buf_add(&u->out, data, len);
    if (r >= 0 && u->chunked_out)
        r = http1_write_chunk_tail(&u->out);
    if (r >= 0)
        upstream_update(u);
    return r;
}

int upstream_write_end(struct upstream *u)
{
    int r = u->chunked_out ? http1_write_last_chunk(&u->out) : 0;

    u->body_open = false;
    if (r >= 0)
        upstream_update(u);
    return r;
}

int upstream_detach(struct upstream *u, struct buf *ret_rest)
{
    int fd;

    loop_io_stop(u->proxy->loop, &u->wire->io);
    fd = TAKE_FD(u->wire->io.fd);
    *ret_rest = u->in;
    u->in = (struct buf){0};
    upstream_close(u);
    return fd;
}

static void upstream_io(struct loop_io *io, uint32_t events)
{
    struct upstream *u = io->ctx;

    if (events & EPOLLOUT)
        upstream_flush(u);
    if (u->state != UP_GONE && !u->paused && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        upstream_read(u);
    else if (u->state != UP_GONE && u->paused && (events & (EPOLLHUP | EPOLLERR)))
        loop_io_stop(u->proxy->loop, io); /* read the rest once we are resumed */
    upstream_update(u);
}

/* ---- starting */

/* No callback may come from inside of upstream_start(). */
static void upstream_fail_later(struct upstream *u, int error)
{
    u->error = error;
    loop_timer_set(u->proxy->loop, &u->timer, 0);
}

static void upstream_send(struct upstream *u)
{
    int r;

    u->wire->io.fn = upstream_io;
    u->wire->io.ctx = u;
    u->state = UP_HEAD;
    upstream_progress(u);
    if (!u->body_open) /* `drained` comes from the loop */
        upstream_flush(u);
    r = loop_io_set(
        u->proxy->loop, &u->wire->io, EPOLLIN | (u->out_off < u->out.len ? (uint32_t)EPOLLOUT : 0));
    if (r < 0)
        upstream_fail_later(u, r);
}

static void upstream_connect(struct upstream *u)
{
    int fd = fd_connect_unix(u->proxy->engine_socket, SOCK_STREAM), r = fd;

    if (fd == -EAGAIN && loop_now(u->proxy->loop) < u->connect_deadline_us) {
        loop_timer_set(u->proxy->loop, &u->timer, CONNECT_RETRY_US);
        return;
    }
    if (fd >= 0)
        r = wire_new(fd, &u->wire);
    if (r < 0)
        upstream_fail_later(u, r);
    else
        upstream_send(u);
}

static void upstream_timeout(struct loop_timer *t)
{
    struct upstream *u = t->ctx;

    if (u->error < 0)
        upstream_fail(u, u->error);
    else if (u->state == UP_CONNECT)
        upstream_connect(u);
    else
        upstream_fail(u, -ETIMEDOUT);
}

static int upstream_render(struct upstream *u, const struct upstream_request *r)
{
    struct http1_out_request head = {
        .method = r->method, .target = r->target, .framing = HTTP1_BODY_NONE, .upgrade = r->upgrade};
    int k;

    u->reusable = (r->method == HTTP1_GET || r->method == HTTP1_HEAD) && !r->body && !r->upgrade && !r->tar &&
                  !r->stream;
    head.keep_alive = u->reusable;
    if (r->tar) {
        u->chunked_out = r->tar_length == UINT64_MAX;
        u->body_open = true;
        head.framing = u->chunked_out ? HTTP1_BODY_CHUNKED : HTTP1_BODY_LENGTH;
        head.content_length = u->chunked_out ? 0 : r->tar_length;
        head.content_type = "application/x-tar";
    } else if (r->body) {
        head.framing = HTTP1_BODY_LENGTH;
        head.content_length = r->body_len;
        head.content_type = "application/json";
    }
    k = http1_write_request(&u->out, &head);
    if (k >= 0 && r->body)
        k = buf_add(&u->out, r->body, r->body_len);
    return k;
}

int upstream_start(struct proxy *p, const struct upstream_request *r, const struct upstream_ops *ops,
    void *ctx, struct upstream **ret)
{
    struct upstream *u = calloc(1, sizeof(*u));
    int k;

    if (!u)
        return -ENOMEM;
    u->proxy = p;
    u->timer = (struct loop_timer){.fn = upstream_timeout, .ctx = u};
    u->state = UP_CONNECT;
    u->ops = ops;
    u->ctx = ctx;
    u->method = r->method;
    u->stream = r->stream;
    u->vital = r->vital;
    u->timeout_us = r->timeout_us;
    u->in.limit = HEAD_BUFFER;
    u->out.limit = BODY_BUFFER;
    u->connect_deadline_us = loop_now(p->loop) + (r->connect_us ? r->connect_us : PROXY_PING_TIMEOUT);
    k = upstream_render(u, r);
    if (k < 0) {
        upstream_destroy(u);
        return k;
    }
    *ret = u;
    if (u->reusable)
        u->wire = pool_take(p->pool);
    u->reused = u->wire != NULL;
    if (u->reused)
        upstream_send(u);
    else
        upstream_connect(u);
    return 0;
}

int upstream_fetch(struct proxy *p, const struct upstream_request *r, size_t limit, upstream_fetch_fn fn,
    void *ctx, struct upstream **ret)
{
    int k = upstream_start(p, r, &collect_ops, NULL, ret);

    if (k >= 0)
        upstream_collect(*ret, limit, fn, ctx);
    return k;
}
