/* control.h: the channel to clawsupd: one JSON object per datagram. Never waited for: what does not fit the
 * queue is dropped and counted, and the proxy serves on when nobody listens. A restarted clawsupd comes in
 * through the listener (root only, by SO_PEERCRED) and is handed the sockets. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "proxy/proxy.h"
#include "proxy/registry.h"

#define CONTROL_MESSAGE_MAX ((size_t)65536)
#define CONTROL_QUEUE_MAX 1024 /* datagrams, and 4 MiB */
#define CONTROL_LISTEN_MAX 16

struct control;

/* Asked by control_stage(): `path` is where the engine finds the source now, or NULL with the reason. */
typedef void (*control_staged_fn)(void *ctx, const char *path, const char *error);

/* `fd` is the connected channel, `listener` the socket for a later clawsupd; both are owned from here on,
 * also on failure. `clients` are the listening sockets to hand over (borrowed). Says hello. */
struct control_config {
    int fd, listener;
    const int *clients;
    size_t n_clients;
    const char *policy_hash;
};
int control_new(struct proxy *p, const struct control_config *c, struct control **ret) _must_check_;
struct control *control_free(struct control *c);

void control_ready(struct control *c);
/* A proxy that is being replaced leaves the listener to its successor, and tells it, through clawsupd, which
 * execs are the tenant's: their clients come back for the exit code on a new connection. */
void control_drain(struct control *c);
/* The same for one exec that was created after that. */
void control_hand_over_exec(struct control *c, const struct registry_exec *x);
/* Queues a record ("type":"decision"); dropped and counted in proxy.counters when its part of the queue is
 * full or nobody listens. One of what was done (`done`) finds room when refusals and reads do not: a client
 * cannot hide it behind a flood of those. The text is taken over. */
void control_record(struct control *c, struct buf *record, bool done);

/* What is to be staged. With `path` (may be NULL) it must appear there: again, after a reboot, or inside what
 * was staged for another bind, and only then read-only by its own mount. */
struct control_bind {
    const char *source, *root, *path;
    bool readonly;
};
/* Has a bind source staged. The answer comes through `fn`, later; *ret_id cancels. -ENOTCONN: nobody to ask;
 * -EAGAIN: the queue is full; -ENOMEM. */
int control_stage(struct control *c, const struct control_bind *b, control_staged_fn fn, void *ctx,
    uint64_t *ret_id) _must_check_;
/* The answer is no longer wanted; what gets staged all the same is given back. */
void control_stage_cancel(struct control *c, uint64_t id);
void control_unstage(struct control *c, const char *path);
