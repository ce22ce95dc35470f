/* transfer.h: one HTTP exchange with bounds: a deadline, a largest body, and a verdict on whose fault a
 * failure is. Plain HTTP over TCP or a unix socket, no redirects, no proxies, no environment, a connection of
 * its own each time. Used by the engine client and by checks. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "engine/multi.h"

struct transfer;

enum transfer_result {
    TRANSFER_OK,          /* a whole answer of any status */
    TRANSFER_UNREACHABLE, /* not connected, reset, or half an answer */
    TRANSFER_TIMEOUT,     /* no whole answer by the deadline */
    TRANSFER_TOO_LARGE,   /* the body passed max_body */
    TRANSFER_OWN_FAULT,   /* no fd, no memory, or our loop lagged: says nothing about the other side */
    _TRANSFER_RESULT_MAX
};

struct transfer_outcome {
    enum transfer_result result;
    long status;        /* 0 unless TRANSFER_OK */
    bool is_json;       /* Content-Type is application/json */
    const char *body;   /* borrowed, NUL-terminated, never NULL */
    size_t body_len;    /* 0 unless TRANSFER_OK */
    const char *reason; /* borrowed, never NULL, "" when TRANSFER_OK */
    uint64_t elapsed_us;
};

/* The end. The transfer is gone when this returns; transfer_free() on it from inside is allowed. */
typedef void (*transfer_fn)(const struct transfer_outcome *o, void *userdata);
/* A stream: called when the head has come (with an empty body) and whenever more has: takes what it wants
 * with buf_consume(). Negative ends the transfer as TRANSFER_UNREACHABLE. What is left when the stream ends
 * shows up as the outcome's body. */
typedef int (*transfer_data_fn)(long status, struct buf *body, void *userdata);

struct transfer_spec {
    const char *url;         /* http://HOST[:PORT]/PATH; HOST is an address or "localhost" over TCP */
    const char *unix_socket; /* NULL: TCP */
    const char *method;      /* NULL: GET */
    const char *body;        /* NULL: none; JSON text, sent as application/json */
    size_t max_body;         /* of the answer; for a stream of what waits to be taken */
    uint64_t timeout_us;     /* 0: none */
    transfer_data_fn data;   /* NULL: not a stream */
};

/* Everything in the spec is copied. -EINVAL (URL), -ENOMEM; the callback never runs before this returns. */
int transfer_start(
    struct multi *m, const struct transfer_spec *spec, transfer_fn fn, void *userdata, struct transfer **ret);
/* Cancels; no callback. NULL allowed; also from inside its own callbacks. */
struct transfer *transfer_free(struct transfer *t);
DEFINE_CLEANUP(struct transfer *, transfer_free)

/* True for an errno that speaks of this process or this host, not of the peer (EMFILE, ENOMEM, ...). */
bool transfer_is_own_fault(int errnum);
