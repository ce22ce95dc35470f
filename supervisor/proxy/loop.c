/* loop.c: see loop.h. Knows descriptors and times, nothing of HTTP; must not block anywhere but in
 * epoll_wait. */
#include "proxy/loop.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define EVENTS_PER_ROUND 64

struct loop {
    int ep;
    bool exiting;
    int code;
    uint64_t now_us;
    struct epoll_event round[EVENTS_PER_ROUND];
    int round_n, round_i;
    struct loop_timer *timers;
    uint64_t next_due_us; /* never later than the first due timer; earlier costs one scan */
    struct loop_garbage *garbage;
};

int loop_new(struct loop **ret)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->ep = epoll_create1(EPOLL_CLOEXEC);
    if (l->ep < 0) {
        int r = -errno;
        free(l);
        return r;
    }
    l->now_us = clock_now(CLOCK_MONOTONIC);
    l->next_due_us = USEC_INFINITY;
    *ret = l;
    return 0;
}

static void reap(struct loop *l)
{
    while (l->garbage) {
        struct loop_garbage *g = l->garbage;
        l->garbage = g->next;
        g->fn(g->p);
    }
}

struct loop *loop_free(struct loop *l)
{
    if (!l)
        return NULL;
    reap(l);
    (void)close(l->ep);
    free(l);
    return NULL;
}

static int arm(struct loop *l, struct loop_io *io)
{
    struct epoll_event ev = {.events = io->events, .data.ptr = io};

    if (epoll_ctl(l->ep, io->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io->fd, &ev) < 0)
        return -errno;
    io->armed = io->events;
    return 0;
}

int loop_io_set(struct loop *l, struct loop_io *io, uint32_t events)
{
    uint32_t before = io->events;
    int r;

    if (events == before)
        return 0;
    if (events == 0) {
        loop_io_stop(l, io);
        return 0;
    }
    io->events = events;
    /* A connection stops reading while its request is answered, and goes on after that: two system calls for
     * nothing. It stays armed; see dispatch() for the bytes that come too early. */
    if (events == io->armed || (io->armed == EPOLLIN && !(events & (EPOLLIN | EPOLLOUT))))
        return 0;
    r = arm(l, io);
    if (r < 0)
        io->events = before;
    return r;
}

/* A source that was left armed is told to the kernel as it is wanted once it has something to say: what else
 * is wanted of it (a half-close) is reported after that. An error or a hang-up is never held back. */
static void dispatch(struct loop *l, struct loop_io *io, uint32_t events)
{
    if (io->events != io->armed)
        (void)arm(l, io);
    events &= io->events | EPOLLERR | EPOLLHUP;
    if (events)
        io->fn(io, events);
}

void loop_io_stop(struct loop *l, struct loop_io *io)
{
    if (io->events == 0)
        return;
    (void)epoll_ctl(l->ep, EPOLL_CTL_DEL, io->fd, NULL);
    io->events = io->armed = 0;
    for (int i = l->round_i; i < l->round_n; i++)
        if (l->round[i].data.ptr == io)
            l->round[i].data.ptr = NULL;
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
    if (t->due_us == 0)
        return;
    t->due_us = 0;
    if (t->prev)
        t->prev->next = t->next;
    else
        l->timers = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->prev = t->next = NULL;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t after_us)
{
    if (t->due_us == 0) {
        t->prev = NULL;
        t->next = l->timers;
        if (t->next)
            t->next->prev = t;
        l->timers = t;
    }
    t->due_us = l->now_us + after_us;
    l->next_due_us = MIN(l->next_due_us, t->due_us);
}

/* Fires what is due. A callback may change the list at will, so the scan starts anew after each one; a timer
 * that is armed again by its own callback is due later than `now` or waits for the next round. */
static void run_timers(struct loop *l)
{
    struct loop_timer *t = l->timers;
    uint64_t now = l->now_us;

    if (now < l->next_due_us)
        return;
    l->next_due_us = USEC_INFINITY;
    while (t) {
        if (t->due_us <= now) {
            loop_timer_cancel(l, t);
            t->fn(t);
            l->now_us = now + 1; /* what is armed with 0 from here on waits for the next round */
            t = l->timers;
        } else {
            t = t->next;
        }
    }
    for (t = l->timers; t; t = t->next)
        l->next_due_us = MIN(l->next_due_us, t->due_us);
}

static int wait_ms(const struct loop *l)
{
    uint64_t ms;

    if (l->next_due_us == USEC_INFINITY)
        return -1;
    if (l->next_due_us <= l->now_us)
        return 0;
    ms = (l->next_due_us - l->now_us + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return (int)MIN(ms, (uint64_t)60000);
}

void loop_reap(struct loop *l, struct loop_garbage *g, loop_reap_fn fn, void *p)
{
    *g = (struct loop_garbage){.fn = fn, .p = p, .next = l->garbage};
    l->garbage = g;
}

uint64_t loop_now(const struct loop *l)
{
    return l->now_us;
}

int loop_run(struct loop *l)
{
    while (!l->exiting) {
        l->round_n = epoll_wait(l->ep, l->round, EVENTS_PER_ROUND, wait_ms(l));
        if (l->round_n < 0) {
            if (errno != EINTR)
                return -errno;
            l->round_n = 0;
        }
        l->now_us = clock_now(CLOCK_MONOTONIC);
        for (l->round_i = 0; l->round_i < l->round_n;) {
            struct epoll_event *ev = &l->round[l->round_i++];
            struct loop_io *io = ev->data.ptr;

            if (io)
                dispatch(l, io, ev->events);
        }
        l->round_n = 0;
        run_timers(l);
        reap(l);
    }
    return l->code;
}

void loop_exit(struct loop *l, int code)
{
    l->exiting = true;
    l->code = code;
}
