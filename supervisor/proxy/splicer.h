/* splicer.h: passes bulk from one socket to another without copying it (splice(2)), through one pipe that all
 * tunnels of the process share: it is empty between two calls. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"

#define SPLICER_SIZE ((size_t)256 * 1024)

struct splicer {
    int in, out; /* the pipe; -EBADF: there is none */
};

#define SPLICER_NONE                                                                                         \
    {                                                                                                        \
        .in = -EBADF, .out = -EBADF                                                                          \
    }

/* To be called before the sandbox, which leaves no way to make a pipe larger. Without a pipe splicer_move()
 * answers -EOPNOTSUPP. */
void splicer_open(struct splicer *s);
void splicer_close(struct splicer *s);

/* Moves at most SPLICER_SIZE bytes that `from` has to `to`, both non-blocking. The bytes that left `from`, 0
 * at its end, -EAGAIN when it has none, -EOPNOTSUPP (nothing was moved; read and write instead), or what is
 * wrong with `from`. What `to` did not take is in `rest` then, or thrown away with *ret_dead set: nothing can
 * be written there any more. -ENOMEM and -E2BIG: bytes were lost, both ends must be closed. */
ssize_t splicer_move(struct splicer *s, int from, int to, struct buf *rest, bool *ret_dead) _must_check_;
