/* conn.h: one client connection: reads requests strictly, one after the other, hands each to an exchange and
 * writes what the exchange answers. EVERY request of a kept-alive connection is parsed and decided anew. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "filter/http1.h"
#include "proxy/proxy.h"

struct conn;
struct exchange;
struct iovec;

/* Above this many unsent bytes a relay stops reading from the engine. */
#define CONN_HIGH_WATER ((size_t)128 * 1024)

/* Takes an accepted, non-blocking descriptor. `peer` names the client in records. On failure the descriptor
 * is closed.
 */
int conn_new(struct proxy *p, int fd, bool tcp, const char *peer);
/* Ends the connection; an exchange under way is told that its client is gone. */
void conn_close(struct conn *c);
/* Ends it at once if it is between two requests; otherwise after the request. */
void conn_drain(struct conn *c);
struct conn *conn_next(const struct conn *c);

/* ---- for the exchange */
struct proxy *conn_proxy(struct conn *c);
const char *conn_peer(const struct conn *c);
/* What is to be sent goes in here, then conn_flush(). */
struct buf *conn_out(struct conn *c);
void conn_flush(struct conn *c);
size_t conn_unsent(const struct conn *c);
/* Sends what waits there and the parts behind it at once, without copying them; what is not taken is copied,
 * and is for conn_flush(). -ENOTCONN: the connection has been closed. */
#define CONN_PARTS_MAX 2
int conn_send(struct conn *c, const struct iovec *parts, size_t n) _must_check_;
/* The answer is complete: the next request, or the end. */
void conn_finish(struct conn *c, bool keep_alive);
/* A body that is streamed on: the bytes of it that have arrived go through exchange_body(); while paused none
 * is read.
 */
void conn_pause_body(struct conn *c, bool paused);
/* The connection becomes a tunnel: gives up the descriptor, the bytes behind the request and the answer's
 * bytes that were not sent yet. The object is gone afterwards. */
int conn_detach(struct conn *c, struct buf *ret_in, struct buf *ret_out);
