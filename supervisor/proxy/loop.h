/* loop.h: a small epoll loop with one timer list.
 *
 * Why not sd_event: this process talks to a hostile gateway and there is one of it per tenant. libsystemd
 * would bring code that the tenant could reach (D-Bus, journal and more in one library), some 2 ms of start
 * time and about a megabyte per tenant, for a loop that fits in one file.
 *
 * A callback may delete or close anything, its own source included: an event of the same round that belongs
 * to a deleted source is dropped, and memory handed to loop_reap() lives until the round is over. */
#pragma once

#include "base/defs.h"

#include <sys/epoll.h>

struct loop;
struct loop_io;
struct loop_timer;

typedef void (*loop_io_fn)(struct loop_io *io, uint32_t events);
typedef void (*loop_timer_fn)(struct loop_timer *t);
typedef void (*loop_reap_fn)(void *p);

/* A watched descriptor, embedded in its owner. The loop never closes `fd`. */
struct loop_io {
    int fd;
    loop_io_fn fn;
    void *ctx;
    uint32_t events; /* what is asked for; 0 = not watched */
    uint32_t armed;  /* what the kernel was told last; the loop's own */
};

/* A timer that fires once, embedded in its owner. Coarse: up to a millisecond or a busy round late. */
struct loop_timer {
    loop_timer_fn fn;
    void *ctx;
    uint64_t due_us; /* 0 = not armed */
    struct loop_timer *prev, *next;
};

/* Memory that must outlive the round, embedded in its owner. */
struct loop_garbage {
    loop_reap_fn fn;
    void *p;
    struct loop_garbage *next;
};

int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free)
#define _cleanup_loop_ _cleanup_(loop_freep)

/* Watches io->fd for `events` (EPOLL*), replacing what was asked before; 0 stops watching, so that not even a
 * hang-up is reported. LOOP_HANGUP alone reports a hang-up or half-close, once. -errno.
 * Who asks for EPOLLIN again a moment later pays nothing for it: the kernel is told that bytes are not wanted
 * only when some arrive that nobody wants. */
int loop_io_set(struct loop *l, struct loop_io *io, uint32_t events) _must_check_;
void loop_io_stop(struct loop *l, struct loop_io *io);
#define LOOP_HANGUP ((uint32_t)EPOLLRDHUP | (uint32_t)EPOLLET)

/* Arms (or moves) a timer; `fn` and `ctx` are set by the owner before. Disarms on cancel; both are
 * idempotent. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t after_us);
void loop_timer_cancel(struct loop *l, struct loop_timer *t);

/* Calls fn(p) when the round is over (or when the loop is freed). Once per object. */
void loop_reap(struct loop *l, struct loop_garbage *g, loop_reap_fn fn, void *p);

/* CLOCK_MONOTONIC, taken once per round. */
uint64_t loop_now(const struct loop *l);

/* Runs until loop_exit(); returns its code, or -errno when epoll itself fails. */
int loop_run(struct loop *l);
void loop_exit(struct loop *l, int code);
