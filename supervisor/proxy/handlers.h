/* handlers.h: what each route does once it has been matched. One table, one function per class. */
#pragma once

#include "proxy/exchange.h"

/* Finds the object that the request names (404 when it is not this tenant's), then runs the route's handler.
 */
void handlers_run(struct exchange *x);

/* Resolves the match's container among own ones without asking the engine; fills x->id. */
bool handlers_resolve_own(struct exchange *x);

/* True, and the exchange is refused, for the files of a container with binds: to copy them, the engine mounts
 * the binds once more by names that the container can turn into links while it looks (CVE-2026-41568,
 * CVE-2026-42306; up to 20.10 even in the host's own mount namespace). */
bool handlers_refuse_archive(struct exchange *x);

/* The step behind a plain action, usable as a fetch callback: 200, 204 and 304 are passed on without a body.
 */
void handlers_act_done(void *ctx, int error, const struct http1_response *res, const struct buf *body);

/* handlers_read.c */
void handle_ping(struct exchange *x);
void handle_version(struct exchange *x);
void handle_info(struct exchange *x);
void handle_container_list(struct exchange *x);
void handle_image_list(struct exchange *x);
void handle_events(struct exchange *x);
void handle_inspect(struct exchange *x);
void handle_exec_inspect(struct exchange *x);
void handle_image_inspect(struct exchange *x);
void handle_image_history(struct exchange *x);
void handle_network_inspect(struct exchange *x);
void handle_wait(struct exchange *x);
void handle_stream(struct exchange *x);
void handle_archive(struct exchange *x);

/* handlers_act.c */
void handle_act(struct exchange *x);
void handle_start(struct exchange *x);
void handle_remove(struct exchange *x);
void handle_update(struct exchange *x);
void handle_rename(struct exchange *x);

/* handlers_create.c */
void handle_create(struct exchange *x);

/* handlers_exec.c */
void handle_exec_create(struct exchange *x);
void handle_exec_start(struct exchange *x);
void handle_attach(struct exchange *x);
