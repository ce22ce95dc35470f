/* pool.c: see pool.h. Must not read from a connection: what arrives unasked is a reason to close it. */
#include "proxy/pool.h"

#include <errno.h>

#include "base/fd.h"

/* As many as clients that ask at the same time; short enough for an engine that is being restarted. */
#define IDLE_MAX 64
#define IDLE_TIMEOUT_US (10 * USEC_PER_SEC)

struct pool {
    struct loop *loop;
    struct wire *first, *last; /* the one that waits the shortest time is the first */
    unsigned n;
    struct loop_timer timer;
};

static void wire_destroy(void *p)
{
    free(p);
}

int wire_new(int fd, struct wire **ret)
{
    struct wire *w = calloc(1, sizeof(*w));

    if (!w) {
        (void)fd_close(fd);
        return -ENOMEM;
    }
    w->io.fd = fd;
    *ret = w;
    return 0;
}

void wire_close(struct loop *l, struct wire *w)
{
    if (!w)
        return;
    loop_io_stop(l, &w->io);
    w->io.fd = fd_close(w->io.fd);
    loop_reap(l, &w->garbage, wire_destroy, w);
}

static void pool_remove(struct pool *p, struct wire *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        p->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        p->last = w->prev;
    w->prev = w->next = NULL;
    p->n--;
}

static void on_idle_io(struct loop_io *io, uint32_t events)
{
    struct pool *p = io->ctx;
    struct wire *w = (struct wire *)(void *)((char *)io - offsetof(struct wire, io));

    (void)events;
    pool_remove(p, w);
    wire_close(p->loop, w);
}

static void on_timer(struct loop_timer *t)
{
    struct pool *p = t->ctx;
    uint64_t now = loop_now(p->loop);

    while (p->last && now - p->last->since_us >= IDLE_TIMEOUT_US) {
        struct wire *w = p->last;

        pool_remove(p, w);
        wire_close(p->loop, w);
    }
    if (p->last)
        loop_timer_set(p->loop, t, p->last->since_us + IDLE_TIMEOUT_US - now);
}

int pool_new(struct loop *l, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->loop = l;
    p->timer = (struct loop_timer){.fn = on_timer, .ctx = p};
    *ret = p;
    return 0;
}

struct pool *pool_free(struct pool *p)
{
    if (!p)
        return NULL;
    loop_timer_cancel(p->loop, &p->timer);
    while (p->first) {
        struct wire *w = p->first;

        pool_remove(p, w);
        wire_close(p->loop, w);
    }
    free(p);
    return NULL;
}

struct wire *pool_take(struct pool *p)
{
    struct wire *w = p->first;

    if (w)
        pool_remove(p, w);
    return w;
}

void pool_give(struct pool *p, struct wire *w)
{
    w->io.fn = on_idle_io;
    w->io.ctx = p;
    if (p->n >= IDLE_MAX || loop_io_set(p->loop, &w->io, EPOLLIN) < 0) {
        wire_close(p->loop, w);
        return;
    }
    w->since_us = loop_now(p->loop);
    w->next = p->first;
    if (w->next)
        w->next->prev = w;
    else
        p->last = w;
    p->first = w;
    p->n++;
    if (p->timer.due_us == 0)
        loop_timer_set(p->loop, &p->timer, IDLE_TIMEOUT_US);
}
