/* conn.c: see conn.h. Decides nothing about a request but its form; must never hand a byte of the client's to
 * anyone but the parser and the exchange. Everything that a client controls is bounded: bytes, time,
 * connections. */
#include "proxy/conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/log.h"
#include "proxy/exchange.h"

#define READ_CHUNK ((size_t)16 * 1024)
#define IN_LIMIT (HTTP1_HEAD_LIMIT + READ_CHUNK)
#define OUT_LIMIT ((size_t)32 * 1024 * 1024)
#define LINGER_BYTES ((size_t)256 * 1024)

#define IDLE_TIMEOUT_US (5 * USEC_PER_MINUTE)
#define HEAD_TIMEOUT_US (10 * USEC_PER_SEC)
#define BODY_TIMEOUT_US (30 * USEC_PER_SEC)
#define SEND_TIMEOUT_US (5 * USEC_PER_MINUTE)
#define LINGER_TIMEOUT_US (2 * USEC_PER_SEC)
#define DRAIN_TIMEOUT_US (2 * USEC_PER_SEC)

enum conn_state {
    CONN_HEAD,   /* waits for, or reads, a request's head */
    CONN_BODY,   /* reads its body */
    CONN_BUSY,   /* the exchange works or answers; nothing is read */
    CONN_LINGER, /* the last answer is being sent; what still comes is thrown away */
    CONN_GONE
};

struct conn {
    struct proxy *proxy;
    struct conn *prev, *next;
    struct loop_io io;
    struct loop_timer timer;
    struct loop_garbage garbage;
    enum conn_state state;
    struct buf in, out;
    size_t out_off, lingered, accounted;
    struct http1_request req;
    struct http1_body body;
    struct exchange *x;
    bool tcp, eof, half_closed, paused, advancing, head_started, shut;
    bool used; /* a request was answered on it */
    char peer[64];
};

static void conn_advance(struct conn *c);

static void conn_destroy(void *p)
{
    struct conn *c = p;

    buf_reset(&c->in);
    buf_reset(&c->out);
    http1_request_done(&c->req);
    free(c);
}

/* Everything but the descriptor. */
static void conn_let_go(struct conn *c)
{
    struct proxy *p = c->proxy;

    c->state = CONN_GONE;
    p->held_bytes -= c->accounted;
    c->accounted = 0;
    loop_io_stop(p->loop, &c->io);
    loop_timer_cancel(p->loop, &c->timer);
    if (c->prev)
        c->prev->next = c->next;
    else
        p->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    loop_reap(p->loop, &c->garbage, conn_destroy, c);
}

void conn_close(struct conn *c)
{
    struct exchange *x;

    if (c->state == CONN_GONE)
        return;
    x = TAKE_PTR(c->x);
    conn_let_go(c);
    c->io.fd = fd_close(c->io.fd);
    c->proxy->open_connections--;
    if (x)
        exchange_client_gone(x);
    proxy_release(c->proxy);
}

static void conn_update(struct conn *c)
{
    uint32_t ev = 0;

    if (c->state == CONN_GONE)
        return;
    if (conn_unsent(c) > 0)
        ev |= EPOLLOUT;
    /* The next request waits until the last answer has been taken. */
    if (!c->eof && ((c->state == CONN_HEAD && conn_unsent(c) == 0) || c->state == CONN_LINGER ||
                       (c->state == CONN_BODY && !c->paused)))
        ev |= EPOLLIN;
    if (ev == 0) /* a hang-up is wanted in any case, a half-close only once */
        ev = c->eof || c->half_closed ? (uint32_t)EPOLLET : LOOP_HANGUP;
    if (loop_io_set(c->proxy->loop, &c->io, ev) < 0)
        conn_close(c);
}

/* ---- sending */
size_t conn_unsent(const struct conn *c)
{
    return c->out.len - c->out_off;
}

/* Keeps the sum of what clients have not taken. False: it is too much, and this connection has a part in it.
 */
static bool conn_account(struct conn *c)
{
    struct proxy *p = c->proxy;

    p->held_bytes += conn_unsent(c);
    p->held_bytes -= c->accounted;
    c->accounted = conn_unsent(c);
    return p->held_bytes <= PROXY_HELD_MAX || c->accounted <= READ_CHUNK;
}

static void conn_sent_all(struct conn *c)
{
    buf_reset(&c->out);
    c->out_off = 0;
    if (c->state == CONN_LINGER && !c->shut) {
        c->shut = true;
        (void)shutdown(c->io.fd, SHUT_WR);
        if (c->eof) {
            conn_close(c);
            return;
        }
        loop_timer_set(c->proxy->loop, &c->timer, LINGER_TIMEOUT_US);
    } else if (c->state == CONN_BUSY) {
        loop_timer_cancel(c->proxy->loop, &c->timer);
    }
    if (c->x)
        exchange_drained(c->x);
}

void conn_flush(struct conn *c)
{
    bool had = conn_unsent(c) > 0, moved = false;

    if (c->state == CONN_GONE)
        return;
    while (conn_unsent(c) > 0) {
        ssize_t n = send(c->io.fd, c->out.data + c->out_off, conn_unsent(c), MSG_NOSIGNAL);

        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                break;
            conn_close(c);
            return;
        }
        moved = true;
        c->out_off += (size_t)n;
    }
    if (conn_unsent(c) > 0) {
        if (c->out_off >=
            READ_CHUNK) { /* keep what waits at the front, so that `out` does not grow for ever */
            buf_consume(&c->out, c->out_off);
            c->out_off = 0;
        }
        if (moved || c->timer.due_us == 0)
            loop_timer_set(c->proxy->loop, &c->timer, SEND_TIMEOUT_US);
    } else if (had) {
        conn_sent_all(c);
    }
    if (c->state != CONN_GONE && !conn_account(c)) {
        log_warning("%s: closed: too many bytes wait for clients that do not read", c->peer);
        conn_close(c);
        return;
    }
    conn_update(c);
    if (had && c->state == CONN_HEAD && conn_unsent(c) == 0)
        conn_advance(c);
}

/* What `sent` bytes leave of the parts is kept. */
static int keep_parts(struct conn *c, const struct iovec *parts, size_t n, size_t sent)
{
    for (size_t i = 0; i < n; i++) {
        size_t skip = MIN(sent, parts[i].iov_len);
        int r = buf_add(&c->out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);

        if (r < 0)
            return r;
        sent -= skip;
    }
    return 0;
}

int conn_send(struct conn *c, const struct iovec *parts, size_t n)
{
    struct iovec v[CONN_PARTS_MAX + 1] = {{.iov_base = c->out.data + c->out_off, .iov_len = conn_unsent(c)}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n + 1};
    size_t before = conn_unsent(c);
    ssize_t k = 0;

    if (n > CONN_PARTS_MAX)
        return -EINVAL;
    memcpy(v + 1, parts, n * sizeof(*parts));
    if (!(c->io.events & EPOLLOUT)) /* else it is known to be full */
        k = sendmsg(c->io.fd, &m, MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN && errno != EINTR) {
        conn_close(c);
        return -ENOTCONN;
    }
    k = MAX(k, 0);
    if ((size_t)k < before) {
        c->out_off += (size_t)k;
        return keep_parts(c, parts, n, 0);
    }
    buf_truncate(&c->out, 0);
    c->out_off = 0;
    return keep_parts(c, parts, n, (size_t)k - before);
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

/* ---- the end of a request, of a connection */
static void conn_linger(struct conn *c)
{
    c->state = CONN_LINGER;
    buf_reset(&c->in);
    loop_timer_set(c->proxy->loop, &c->timer, conn_unsent(c) > 0 ? SEND_TIMEOUT_US : LINGER_TIMEOUT_US);
    if (conn_unsent(c) == 0)
        conn_sent_all(c);
    else
        conn_flush(c);
    conn_update(c);
}

void conn_finish(struct conn *c, bool keep_alive)
{
    c->x = NULL;
    if (c->state == CONN_GONE)
        return;
    if (!keep_alive || c->proxy->draining) {
        conn_linger(c);
        return;
    }
    http1_request_reset(&c->req);
    c->state = CONN_HEAD;
    c->used = true;
    c->head_started = c->paused = false;
    if (c->in.len == 0) {
        buf_reset(&c->in); /* a thousand idle connections must not hold a thousand buffers */
        loop_timer_set(c->proxy->loop, &c->timer, IDLE_TIMEOUT_US);
    }
    conn_flush(c);
    conn_advance(c);
}

/* A client that has just connected, or whose request is on its way in, is answered, and closed after that:
 * only one that idles between two requests is closed at once, as HTTP allows. */
void conn_drain(struct conn *c)
{
    char byte;

    if (c->state != CONN_HEAD || c->in.len > 0)
        return;
    if (c->used && recv(c->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        conn_close(c);
    else
        loop_timer_set(c->proxy->loop, &c->timer, DRAIN_TIMEOUT_US);
}

struct conn *conn_next(const struct conn *c)
{
    return c->next;
}

/* Answers a request that never became an exchange; where the next one would start is unknown. */
static void conn_refuse(struct conn *c, int status, const char *text)
{
    char message[256];

    (void)snprintf(message, sizeof(message), "clawsup: %s", text);
    c->proxy->counters.denied++;
    exchange_record_malformed(c->proxy, c->peer, status, text);
    if (http1_write_message(&c->out, status, message, false, false, NULL, 0) < 0)
        conn_close(c);
    else
        conn_linger(c);
}

/* ---- reading */
static bool conn_head(struct conn *c)
{
    struct http1_error e;
    uint64_t limit = 0;
    ssize_t n;

    if (conn_unsent(c) > 0)
        return false;
    if (c->in.len == 0) {
        if (c->eof)
            conn_linger(c);
        return false;
    }
    n = http1_parse_request(&c->req, c->in.data, c->in.len, &e);
    if (n == -EAGAIN) {
        if (c->eof)
            conn_close(c);
        else if (!c->head_started)
            loop_timer_set(c->proxy->loop, &c->timer, HEAD_TIMEOUT_US);
        c->head_started = true; /* bytes that trickle in do not move the limit */
        return false;
    }
    if (n < 0) {
        if (n == -EBADMSG)
            conn_refuse(c, e.status, e.text);
        else
            conn_close(c);
        return false;
    }
    buf_consume(&c->in, (size_t)n);
    c->state = CONN_BODY;
    loop_timer_set(c->proxy->loop, &c->timer, BODY_TIMEOUT_US);
    c->x = exchange_new(c, &c->req, &limit);
    if (!c->x) {
        conn_close(c);
        return false;
    }
    if (limit == 0) { /* a body that was announced all the same is not waited for: the answer closes */
        c->state = CONN_BUSY;
        loop_timer_cancel(c->proxy->loop, &c->timer);
        exchange_run(c->x);
        return true;
    }
    if (http1_body_init(&c->body, c->req.framing, c->req.content_length, limit) < 0) {
        exchange_refuse_body(c->x, 413, "the body is too large");
        return true;
    }
    if (c->req.expect_continue && c->in.len == 0 && !c->body.done && http1_write_continue(&c->out) >= 0)
        conn_flush(c);
    return c->state != CONN_GONE;
}

static bool conn_body(struct conn *c)
{
    while (c->in.len > 0 && !c->body.done && !c->paused) {
        struct http1_span span = {0};
        ssize_t n = http1_body_feed(&c->body, c->in.data, c->in.len, &span);

        if (n < 0) {
            c->state = CONN_BUSY;
            exchange_refuse_body(c->x, n == -EFBIG ? 413 : 400,
                n == -EFBIG ? "the body is too large" : "the body's chunked framing is malformed");
            return true;
        }
        if (span.len > 0)
            exchange_body(c->x, span.data, span.len);
        if (c->state != CONN_BODY)
            return true;
        buf_consume(&c->in, (size_t)n);
    }
    if (c->body.done) {
        c->state = CONN_BUSY;
        loop_timer_cancel(c->proxy->loop, &c->timer);
        exchange_run(c->x);
        return true;
    }
    if (c->eof && c->in.len == 0)
        conn_close(c); /* cut short: nothing was decided, nobody is there to be told */
    return false;
}

/* Goes on for as long as the bytes at hand lead somewhere. Answers may be complete before a call returns, so
 * this loop replaces recursion. */
static void conn_advance(struct conn *c)
{
    bool more = true;

    if (c->advancing)
        return;
    c->advancing = true;
    while (more) {
        if (c->state == CONN_HEAD)
            more = conn_head(c);
        else if (c->state == CONN_BODY)
            more = conn_body(c);
        else
            more = false;
    }
    c->advancing = false;
    conn_update(c);
}

void conn_pause_body(struct conn *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    if (c->state != CONN_BODY)
        return;
    if (!paused) {
        loop_timer_set(c->proxy->loop, &c->timer, BODY_TIMEOUT_US);
        conn_advance(c);
    } else {
        loop_timer_cancel(c->proxy->loop, &c->timer);
    }
}

static void conn_read(struct conn *c)
{
    ssize_t n;

    if (buf_reserve(&c->in, READ_CHUNK) < 0) {
        /* The parser refuses a head before the buffer is full. */
        conn_close(c);
        return;
    }
    n = recv(c->io.fd, c->in.data + c->in.len, READ_CHUNK, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            conn_close(c);
        return;
    }
    if (n == 0)
        c->eof = true;
    c->in.len += (size_t)n;
    c->in.data[c->in.len] = '\0';
    if (c->state == CONN_LINGER) {
        c->lingered += c->in.len;
        buf_reset(&c->in);
        if ((c->eof && c->shut) || c->lingered > LINGER_BYTES)
            conn_close(c);
        return;
    }
    if (c->state == CONN_BODY && n > 0 && exchange_streams_body(c->x))
        loop_timer_set(c->proxy->loop, &c->timer, BODY_TIMEOUT_US);
    conn_advance(c);
}

static void conn_io(struct loop_io *io, uint32_t events)
{
    struct conn *c = io->ctx;

    if (events & (EPOLLERR | EPOLLHUP)) {
        /* Both directions are over: nobody will read an answer. */
        conn_close(c);
        return;
    }
    if (events & EPOLLOUT)
        conn_flush(c);
    if (c->state == CONN_GONE)
        return;
    if (c->state == CONN_HEAD || c->state == CONN_LINGER || (c->state == CONN_BODY && !c->paused)) {
        if (events & (EPOLLIN | EPOLLRDHUP))
            conn_read(c);
    } else if (events & EPOLLRDHUP) {
        c->half_closed = true; /* what came before it has still to be read */
        /* On TCP the end of a client looks just like this; a stream that may be silent for hours must not
         * stay behind.
         */
        if (c->tcp && c->x && exchange_is_stream(c->x)) {
            conn_close(c);
            return;
        }
    }
    conn_update(c);
}

static void conn_timeout(struct loop_timer *t)
{
    struct conn *c = t->ctx;

    if (c->state == CONN_HEAD && c->in.len > 0) {
        conn_refuse(c, 408, "the request did not arrive in time");
    } else {
        conn_close(c);
    }
}

int conn_new(struct proxy *p, int fd, bool tcp, const char *peer)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c) {
        (void)fd_close(fd);
        return -ENOMEM;
    }
    c->proxy = p;
    c->io = (struct loop_io){.fd = fd, .fn = conn_io, .ctx = c};
    c->timer = (struct loop_timer){.fn = conn_timeout, .ctx = c};
    c->in.limit = IN_LIMIT;
    c->out.limit = OUT_LIMIT;
    c->tcp = tcp;
    (void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
    c->next = p->conns;
    if (c->next)
        c->next->prev = c;
    p->conns = c;
    p->active++;
    p->open_connections++;
    p->counters.connections++;
    loop_timer_set(p->loop, &c->timer, IDLE_TIMEOUT_US);
    conn_update(c);
    return 0;
}

int conn_detach(struct conn *c, struct buf *ret_in, struct buf *ret_out)
{
    int fd;

    buf_consume(&c->out, c->out_off);
    *ret_in = c->in;
    *ret_out = c->out;
    c->in = c->out = (struct buf){0};
    c->out_off = 0;
    c->x = NULL;
    conn_let_go(c);
    fd = TAKE_FD(c->io.fd);
    c->proxy->open_connections--;
    proxy_release(c->proxy);
    return fd;
}

struct proxy *conn_proxy(struct conn *c)
{
    return c->proxy;
}

const char *conn_peer(const struct conn *c)
{
    return c->peer;
}
