/* client.h: the other end of the control socket: JSON lines, blocking, each step with a deadline. Protocol:
 * contrib/docs/control-protocol.md. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

#define CLIENT_LINE_MAX ((size_t)32 * 1024 * 1024)

struct client;

/* -ENOENT, -ECONNREFUSED: nobody is there; -EACCES; -ETIMEDOUT: its backlog stays full; with text in `e`. */
int client_connect(const char *path, uint64_t timeout_us, struct client **ret, struct err *e);
struct client *client_free(struct client *c);
DEFINE_CLEANUP(struct client *, client_free)

/* One line. -ETIMEDOUT, -EPIPE (it closed), -ENOMEM. */
int client_send(struct client *c, const json_t *request, uint64_t timeout_us, struct err *e);

/* The next line as an object. -ETIMEDOUT (USEC_INFINITY: waits for ever), -ECONNRESET (it closed), -EBADMSG
 * (no JSON object, or too long), -ENOMEM. */
int client_receive(struct client *c, uint64_t timeout_us, json_t **ret, struct err *e);
