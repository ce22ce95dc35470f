/* tunnel.c: see tunnel.h. Bytes of the client's are held back until the 101 was read, because the engine
 * drops what arrives with the request. Each direction reads only as much as the other side takes. What comes
 * in bulk is passed on without a copy; a keystroke is cheaper to copy than to splice. */
#include "proxy/tunnel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "proxy/conn.h"
#include "proxy/relay.h"

/* After the engine has closed its side the client may still talk to nobody; it gets this long to notice. */
#define HALF_OPEN_US (10 * USEC_PER_SEC)
/* Directions that may hold a whole splice because the other side has stopped reading; with more of them
 * everything is copied, in smaller pieces. */
#define SPILLS_MAX 32U

/* One direction: from a side to the other. */
struct flow {
    struct buf wait; /* read, not yet taken by the other side */
    size_t off;
    bool eof;     /* the source has ended */
    bool shut;    /* ... and the destination was told */
    bool bulk;    /* the last read was full: the next is a splice */
    bool spilled; /* `wait` came from a splice */
};

struct side {
    struct loop_io io;
    struct tunnel *tunnel;
    struct flow out; /* what was read here, on its way to the other side */
    bool dead;       /* nothing can be written here any more */
};

struct tunnel {
    struct proxy *proxy;
    struct tunnel *prev, *next;
    struct loop_timer timer;
    struct loop_garbage garbage;
    struct side client, engine;
    bool gone;
};

static struct side *other(struct side *s)
{
    return s == &s->tunnel->client ? &s->tunnel->engine : &s->tunnel->client;
}

static void flow_reset(struct proxy *p, struct flow *f)
{
    buf_reset(&f->wait);
    f->off = 0;
    p->spills -= f->spilled;
    f->spilled = false;
}

static void tunnel_destroy(void *p)
{
    struct tunnel *t = p;

    free(t);
}

static void tunnel_close(struct tunnel *t)
{
    struct proxy *p = t->proxy;

    if (t->gone)
        return;
    t->gone = true;
    loop_io_stop(p->loop, &t->client.io);
    loop_io_stop(p->loop, &t->engine.io);
    loop_timer_cancel(p->loop, &t->timer);
    flow_reset(p, &t->client.out);
    flow_reset(p, &t->engine.out);
    t->client.io.fd = fd_close(t->client.io.fd);
    t->engine.io.fd = fd_close(t->engine.io.fd);
    if (t->prev)
        t->prev->next = t->next;
    else
        p->tunnels = t->next;
    if (t->next)
        t->next->prev = t->prev;
    p->open_connections--;
    loop_reap(p->loop, &t->garbage, tunnel_destroy, t);
    proxy_release(p);
}

void tunnel_close_all(struct proxy *p)
{
    while (p->tunnels)
        tunnel_close(p->tunnels);
}

/* Hands what waits to the other side, and the end when there is one. */
static void side_flush(struct side *from)
{
    struct flow *f = &from->out;
    struct side *to = other(from);

    while (f->off < f->wait.len && !to->dead) {
        ssize_t n = send(to->io.fd, f->wait.data + f->off, f->wait.len - f->off, MSG_NOSIGNAL);

        if (n >= 0)
            f->off += (size_t)n;
        else if (errno == EAGAIN || errno == EINTR)
            return;
        else
            to->dead = true;
    }
    flow_reset(from->tunnel->proxy, f);
    if (f->eof && !f->shut) {
        f->shut = true;
        if (!to->dead)
            (void)shutdown(to->io.fd, SHUT_WR);
    }
}

/* Reads once and passes on at once. The bytes read, 0 at the end, -errno. */
static ssize_t side_copy(struct side *from)
{
    struct proxy *p = from->tunnel->proxy;
    struct side *to = other(from);
    ssize_t n = recv(from->io.fd, p->scratch, sizeof(p->scratch), 0), sent;

    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (n == 0 || to->dead) /* nobody to take it: read on, so that the source can end */
        return n;
    sent = send(to->io.fd, p->scratch, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0) {
        to->dead = errno != EAGAIN && errno != EINTR;
        sent = 0;
    }
    if (sent < n && !to->dead && buf_add(&from->out.wait, p->scratch + sent, (size_t)(n - sent)) < 0)
        return -ENOMEM;
    return n;
}

/* The same without the copy. */
static ssize_t side_splice(struct side *from)
{
    struct proxy *p = from->tunnel->proxy;
    struct side *to = other(from);
    bool dead = false;
    ssize_t n = splicer_move(&p->splicer, from->io.fd, to->io.fd, &from->out.wait, &dead);

    to->dead |= dead;
    from->out.spilled = from->out.wait.len > 0;
    p->spills += from->out.spilled;
    return n == -E2BIG ? -ENOMEM : n;
}

/* What the other side does not take waits and stops the reading. */
static void side_pump(struct side *from)
{
    struct proxy *p = from->tunnel->proxy;
    struct flow *f = &from->out;
    ssize_t n = -EOPNOTSUPP;

    if (f->bulk && p->spills < SPILLS_MAX && !other(from)->dead)
        n = side_splice(from);
    if (n == -EOPNOTSUPP)
        n = side_copy(from);
    f->bulk = n >= (ssize_t)sizeof(p->scratch);
    if (n > 0 || n == -EAGAIN)
        return;
    if (n == -ENOMEM) {
        tunnel_close(from->tunnel);
        return;
    }
    if (n < 0)
        from->dead = true; /* reset: nothing comes, nothing can be sent */
    f->eof = true;
    side_flush(from);
}

static bool flow_is_waiting(const struct side *s)
{
    return s->out.off < s->out.wait.len;
}

/* Over when the engine has nothing more to say (or the client cannot hear it) and all of it was handed over.
 */
static bool tunnel_is_over(const struct tunnel *t)
{
    if (t->client.dead && !flow_is_waiting(&t->client))
        return true;
    return t->engine.out.shut && (t->client.out.shut || t->engine.dead);
}

static void side_update(struct side *s)
{
    uint32_t ev = 0;

    if (!s->out.eof && !flow_is_waiting(s))
        ev |= EPOLLIN;
    if (flow_is_waiting(other(s)) && !s->dead)
        ev |= EPOLLOUT;
    if (loop_io_set(s->tunnel->proxy->loop, &s->io, ev) < 0)
        tunnel_close(s->tunnel);
}

static void tunnel_update(struct tunnel *t)
{
    if (t->gone)
        return;
    if (tunnel_is_over(t)) {
        tunnel_close(t);
        return;
    }
    if (t->engine.out.shut && t->timer.due_us == 0)
        loop_timer_set(t->proxy->loop, &t->timer, HALF_OPEN_US);
    side_update(&t->client);
    if (!t->gone)
        side_update(&t->engine);
}

static void on_side(struct loop_io *io, uint32_t events)
{
    struct side *s = io->ctx;
    struct tunnel *t = s->tunnel;

    if (events & EPOLLERR)
        s->dead = true;
    if (events & EPOLLOUT)
        side_flush(other(s));
    if (!t->gone && !s->out.eof && !flow_is_waiting(s) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        side_pump(s);
    if (!t->gone && s->out.eof && (events & EPOLLHUP))
        s->dead = true; /* closed in both directions, and read to the end */
    if (!t->gone && s->dead)
        side_flush(other(s)); /* nobody takes it: dropped */
    tunnel_update(t);
}

static void on_half_open(struct loop_timer *timer)
{
    tunnel_close(timer->ctx);
}

/* Owns the descriptors and the buffers from here on, also on failure. */
static int tunnel_new(
    struct proxy *p, int client, int engine, struct buf *from_client, struct buf *from_engine)
{
    struct tunnel *t = calloc(1, sizeof(*t));

    if (!t) {
        (void)fd_close(client);
        (void)fd_close(engine);
        buf_reset(from_client);
        buf_reset(from_engine);
        return -ENOMEM;
    }
    t->proxy = p;
    t->client = (struct side){.io = {.fd = client, .fn = on_side, .ctx = &t->client}, .tunnel = t};
    t->engine = (struct side){.io = {.fd = engine, .fn = on_side, .ctx = &t->engine}, .tunnel = t};
    t->client.out.wait = *from_client;
    t->engine.out.wait = *from_engine;
    t->client.out.wait.limit = t->engine.out.wait.limit = 0;
    t->timer = (struct loop_timer){.fn = on_half_open, .ctx = t};
    t->next = p->tunnels;
    if (t->next)
        t->next->prev = t;
    p->tunnels = t;
    p->active++;
    p->open_connections++;
    side_flush(&t->engine);
    side_flush(&t->client);
    tunnel_update(t);
    return 0;
}

/* ---- the request that may become a tunnel */
static void tunnel_error(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct exchange *x = ctx;

    x->up = NULL;
    x->keep_alive = false;
    if (error < 0)
        exchange_failed(x, error);
    else
        exchange_engine_error(x, res, body);
}

static void tunnel_head(void *ctx, struct upstream *u, const struct http1_response *res)
{
    struct exchange *x = ctx;
    struct buf in = {0}, out = {0}, rest = {0};
    struct proxy *p = x->proxy;
    struct conn *c = x->conn;
    int client, engine;

    x->keep_alive = false;
    if (!res->upgraded && res->status < 400) { /* neither a tunnel nor an error: nothing we asked for */
        upstream_close(u);
        x->up = NULL;
        exchange_failed(x, -EBADMSG);
        return;
    }
    if (!res->upgraded) {
        upstream_collect(u, EXCHANGE_FETCH_LIMIT, tunnel_error, x);
        return;
    }
    if (exchange_tunnel_head(x, relay_content_type(res->content_type)) < 0) {
        upstream_close(u);
        x->up = NULL;
        exchange_end(x, false);
        return;
    }
    engine = upstream_detach(u, &rest);
    x->up = NULL;
    exchange_end_detached(x);
    client = conn_detach(c, &in, &out);
    /* The head goes before the first bytes of the engine's. */
    out.limit = 0;
    if (rest.len > 0 && buf_add(&out, rest.data, rest.len) < 0) {
        (void)fd_close(client);
        (void)fd_close(engine);
        buf_reset(&in);
        buf_reset(&out);
    } else {
        (void)tunnel_new(p, client, engine, &in, &out);
    }
    buf_reset(&rest);
}

static void tunnel_no_data(void *ctx, struct upstream *u, const char *data, size_t len)
{
    (void)ctx;
    (void)u;
    (void)data;
    (void)len;
}

static void tunnel_no_end(void *ctx, struct upstream *u)
{
    (void)ctx;
    (void)u;
}

static void tunnel_fail(void *ctx, struct upstream *u, int error)
{
    (void)u;
    tunnel_error(ctx, error, NULL, NULL);
}

static const struct upstream_ops tunnel_ops = {
    .head = tunnel_head, .data = tunnel_no_data, .end = tunnel_no_end, .fail = tunnel_fail};

void tunnel_request(struct exchange *x, const char *body)
{
    _cleanup_buf_ struct buf target = {0};
    struct upstream_request r = {.method = HTTP1_POST,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .upgrade = true,
        .timeout_us = PROXY_ENGINE_TIMEOUT};
    int k = exchange_target(x, &(struct route_upstream){0}, &target);

    if (k >= 0) {
        r.target = target.data;
        k = upstream_start(x->proxy, &r, &tunnel_ops, x, &x->up);
    }
    if (k < 0)
        exchange_failed(x, k);
}
