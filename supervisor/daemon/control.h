/* control.h: the server of the control socket, on sd_event: JSON lines from `clawsup`, bounded, never
 * blocking. It frames, parses and dispatches; what a verb means is in the table its owner gives. Protocol:
 * contrib/docs/control-protocol.md. */
#pragma once

#include <jansson.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/defs.h"

#define CONTROL_REQUEST_MAX ((size_t)64 * 1024)
#define CONTROL_CLIENTS_MAX 64
#define CONTROL_IDLE_US (10 * USEC_PER_SEC) /* silent between requests, or not reading its answer */
#define CONTROL_BACKLOG_MAX                                                                                  \
    ((size_t)1024 * 1024) /* unread lines of a stream before its client is dropped                           \
                           */
#define CONTROL_REPLY_MAX ((size_t)32 * 1024 * 1024)

struct control;
struct control_request;

/* Codes of a refused request, and what they are on the wire: "usage", "unknown-tenant", "refused", "busy",
 * "internal". */
enum control_code {
    CONTROL_USAGE,
    CONTROL_UNKNOWN_TENANT,
    CONTROL_REFUSED,
    CONTROL_BUSY,
    CONTROL_INTERNAL,
    _CONTROL_CODE_MAX
};

/* Handles one request, which from here on belongs to the handler: it must end in exactly one control_reply(),
 * control_error() or control_end(), now or later (deferred: keep the pointer). A negative return says the
 * handler did none of these and keeps nothing: the client gets "internal". >= 0 otherwise. */
typedef int (*control_verb_fn)(struct control_request *req, void *userdata);

/* The client of a kept request went away (or the server is freed). The handler must forget the request with
 * control_end() or any other way to end it, now or later. */
typedef void (*control_gone_fn)(struct control_request *req, void *userdata);

struct control_verb {
    const char *name;
    control_verb_fn fn;
};

/* Serves `listen_fd` (listening, non-blocking; borrowed, stays open; -1: none, see control_add_client).
 * `verbs` has static storage. -ENOMEM, -errno of sd_event. */
int control_server_new(sd_event *event, int listen_fd, const struct control_verb *verbs, size_t n_verbs,
    void *userdata, struct control **ret);
/* Closes all clients, the pending bytes of the last replies are tried once. Kept requests stay valid until
 * their handler ends them; their gone function is called. Not from inside a verb. NULL allowed. */
struct control *control_server_free(struct control *c);
DEFINE_CLEANUP(struct control *, control_server_free)

/* Serves one connected stream socket; owns `fd` in any case. -ENOMEM, -EBUSY (CONTROL_CLIENTS_MAX; the client
 * was told), -errno. */
int control_add_client(struct control *c, int fd);
size_t control_clients(const struct control *c);

/* The request's string and integer fields. An absent or null field is 0 with `ret`
 * untouched; one of the wrong type, or out of 0..max, is -EINVAL. 1: there. */
int control_request_string(const struct control_request *req, const char *key, const char **ret);
int control_request_u64(const struct control_request *req, const char *key, uint64_t max, uint64_t *ret);
int control_request_bool(const struct control_request *req, const char *key, bool *ret);

/* Who is at the other end, as the kernel says: pid, uid, gid. */
const struct ucred *control_request_peer(const struct control_request *req);
/* False once the client is gone. */
bool control_request_alive(const struct control_request *req);
void control_request_on_gone(struct control_request *req, control_gone_fn fn, void *userdata);

/* Ends the request with {"v":1,"ok":true, fields...}. Takes the reference `fields` (an object, or NULL for
 * none). `req` is dead afterwards, whatever is returned: 0, or -errno when nobody got the answer. */
int control_reply(struct control_request *req, json_t *fields);
/* Ends it with {"v":1,"ok":false,"code":...,"error":...,"hint":...}; hint may be NULL. _with: further fields,
 * whose reference is taken. */
int control_error(struct control_request *req, enum control_code code, const char *error, const char *hint);
int control_error_with(
    struct control_request *req, enum control_code code, const char *error, const char *hint, json_t *fields);
/* First line of a stream: like control_reply(), but the request stays open. */
int control_stream_begin(struct control_request *req, json_t *fields);
/* One more line {"v":1, fields...}. -EPIPE: the client is gone or was dropped because it does not read
 * (the gone function runs from the loop; end the request there, not here); -ENOMEM. Takes `fields`. */
int control_stream(struct control_request *req, json_t *fields);
/* Ends a request without a further line: after a stream, or when the client is gone. A request that was never
 * answered is answered "internal". */
void control_end(struct control_request *req);
