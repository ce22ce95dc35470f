/* upstream.h: one request to the engine. A plain GET or HEAD may take a connection that waits in the pool;
 * everything else gets one of its own. Writes what it is given, parses the answer strictly, hands out decoded
 * body bytes. Knows nothing of clients. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "filter/http1.h"
#include "proxy/proxy.h"

struct upstream;

struct upstream_request {
    enum http1_method method;
    const char *target;
    const char *body; /* JSON, copied; NULL: none */
    size_t body_len;
    bool upgrade;        /* ask for a tunnel */
    bool tar;            /* a body of type application/x-tar follows through upstream_write() */
    uint64_t tar_length; /* its length; UINT64_MAX: chunked */
    bool stream;         /* the answer may last: no time limit once its head is there */
    uint64_t timeout_us; /* without a byte of progress; 0: none */
    bool vital;          /* its answer is collected whatever else is held; see PROXY_HELD_MAX */
    uint64_t connect_us; /* how long a full backlog is waited for; 0: PROXY_PING_TIMEOUT */
};

/* No callback comes after upstream_close(), `end` or `fail`; after the last two the object is gone by itself.
 */
struct upstream_ops {
    /* The head has been read. May close, pause, collect or (after a 101) detach. */
    void (*head)(void *ctx, struct upstream *u, const struct http1_response *res);
    void (*data)(void *ctx, struct upstream *u, const char *data, size_t len);
    void (*end)(void *ctx, struct upstream *u);
    /* -ENOENT, -ECONNREFUSED, -EACCES, -EAGAIN: no connection (the request was not sent); -ETIMEDOUT;
     * -EBADMSG: an answer that does not parse; -EPIPE: cut short; -EFBIG, -ENOMEM; -EDQUOT: too much is being
     * collected at the same time. */
    void (*fail)(void *ctx, struct upstream *u, int error);
    /* All of upstream_write()'s bytes have been sent; may be NULL. */
    void (*drained)(void *ctx, struct upstream *u);
};

/* The whole answer at once. error < 0: as in `fail`, `res` and `body` are NULL. */
typedef void (*upstream_fetch_fn)(
    void *ctx, int error, const struct http1_response *res, const struct buf *body);

/* Starts a request. Callbacks come from the loop only, never from inside this call. -ENOMEM, -EINVAL (a
 * target that cannot be written). */
int upstream_start(struct proxy *p, const struct upstream_request *r, const struct upstream_ops *ops,
    void *ctx, struct upstream **ret) _must_check_;
int upstream_fetch(struct proxy *p, const struct upstream_request *r, size_t limit, upstream_fetch_fn fn,
    void *ctx, struct upstream **ret) _must_check_;

/* From the `head` callback: the rest is collected and handed to `fn` instead of the ops. */
void upstream_collect(struct upstream *u, size_t limit, upstream_fetch_fn fn, void *ctx);

/* Ends it without a callback; NULL is allowed. */
void upstream_close(struct upstream *u);

/* Back-pressure: while paused nothing is read. A span that is being delivered still arrives. */
void upstream_pause(struct upstream *u, bool paused);

/* Body bytes of a `tar` request, and their end. -ENOMEM, -E2BIG (write only after `drained`). */
int upstream_write(struct upstream *u, const char *data, size_t len) _must_check_;
int upstream_write_end(struct upstream *u) _must_check_;

/* After a 101, in the `head` callback: gives up the descriptor and the bytes behind the head; the object is
 * gone afterwards. */
int upstream_detach(struct upstream *u, struct buf *ret_rest);
