/* proxy.h: what the parts of one clawsup-proxy share. One process, one tenant, one loop, one thread. */
#pragma once

#include "base/defs.h"
#include "filter/names.h"
#include "filter/policy.h"
#include "proxy/loop.h"
#include "proxy/splicer.h"

struct control;
struct conn;
struct link;
struct listener;
struct recorder;
struct registry;
struct tunnel;

#define PROXY_SCRATCH ((size_t)128 * 1024)
/* Time without a byte from the engine before a request is given up; a stop waits up to 60 s for its
 * container. */
#define PROXY_ENGINE_TIMEOUT (120 * USEC_PER_SEC)
/* The proof of life must come fast: a health check that waits tells nothing. */
#define PROXY_PING_TIMEOUT (2 * USEC_PER_SEC)

/* One connection may hold a body or an answer of the engine or for the client; a thousand of them together
 * may not. What would pass this is refused, or its connection closed. */
#define PROXY_HELD_MAX ((size_t)32 * 1024 * 1024)

/* Requests at a time that cost the engine more than an answer; see handlers.c. A client's next is told to
 * wait. */
#define PROXY_COSTLY_MAX 32U

struct proxy_counters {
    uint64_t allowed, reported, denied, errors, connections;
    uint64_t dropped; /* decision records that nobody took */
};

struct proxy {
    struct loop *loop;
    struct policy *policy;
    struct names *names;
    struct registry *registry;
    struct link *link;
    struct pool *pool;         /* of connections to the engine */
    struct control *control;   /* NULL: alone, a sidecar */
    struct recorder *recorder; /* alone: where the records go */
    struct listener *listeners;
    size_t n_listeners;
    const char *engine_socket;
    struct proxy_counters counters;

    struct conn *conns;
    struct tunnel *tunnels;
    struct splicer splicer;
    unsigned spills; /* directions of tunnels that hold what a splice left */
    unsigned active; /* connections, tunnels and requests that outlive their client */
    unsigned open_connections;
    size_t held_bytes; /* for clients: bodies and answers being read, answers not taken; see PROXY_HELD_MAX */
    unsigned costly;   /* see PROXY_COSTLY_MAX */
    bool draining;
    struct loop_timer drain_timer;

    char scratch[PROXY_SCRATCH]; /* what was just read; never holds anything across callbacks of the loop */
};

/* Stops accepting, closes idle connections and leaves the loop with 0 when the last stream is over, or after
 * `limit_us` (0: no limit). */
void proxy_drain(struct proxy *p, uint64_t limit_us);
/* For a proxy whose place another has taken, unless the supervisor names less. */
#define PROXY_DRAIN_LIMIT (24 * 60 * USEC_PER_MINUTE)
/* One connection, tunnel or detached request less. */
void proxy_release(struct proxy *p);
