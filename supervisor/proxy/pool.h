/* pool.h: connections to the engine that wait for their next request. What comes here has carried nothing but
 * GET and HEAD, each without a body, and its last answer was read to an end that was parsed strictly; see
 * upstream.c, which decides that. A connection that says anything while it waits is closed. */
#pragma once

#include "base/defs.h"
#include "proxy/loop.h"

struct pool;

/* A connection, watched by the loop. Whoever holds it sets io.fn and io.ctx. */
struct wire {
    struct loop_io io;
    struct loop_garbage garbage;
    struct wire *prev, *next; /* in the pool */
    uint64_t since_us;
};

int pool_new(struct loop *l, struct pool **ret) _must_check_;
struct pool *pool_free(struct pool *p);

/* The one that was used last, or NULL. */
struct wire *pool_take(struct pool *p);
/* Takes it over; closes it when enough are waiting. */
void pool_give(struct pool *p, struct wire *w);

/* Takes the descriptor over, also on failure. */
int wire_new(int fd, struct wire **ret) _must_check_;
/* Closes; NULL is allowed. The memory stays until the round is over. */
void wire_close(struct loop *l, struct wire *w);
