/* relay.h: bodies that pass through: the engine's answers to the client, a client's upload to the engine.
 * Decoded and framed anew, never held whole, with back-pressure both ways. */
#pragma once

#include "proxy/exchange.h"

/* Sends the route's request and streams the answer. With `line` the body is taken apart at line ends and each
 * line goes through it; without, the bytes pass. An error answer becomes exchange_engine_error(). */
void relay_start(struct exchange *x, const struct route_upstream *u, exchange_line_fn line);

/* An upload: the request to the engine starts with the first bytes of the client's body. */
void relay_upload_init(struct exchange *x, const struct http1_request *req);
void relay_upload(struct exchange *x, const char *data, size_t len);
void relay_upload_end(struct exchange *x);

/* The content type as the client gets it: one of those that the engine is known to use, else
 * application/octet-stream. */
const char *relay_content_type(const char *engine_type);
