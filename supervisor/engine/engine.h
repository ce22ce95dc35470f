/* engine.h: the Docker Engine as clawsupd sees it: libcurl multi over its unix socket, driven by sd_event.
 * Nothing here blocks; every call ends exactly once in its callback (or not at all after
 * engine_call_cancel()). API: https://docs.docker.com/engine/api/ (1.41 to the newest; the version is
 * negotiated, never written down). */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/defs.h"
#include "base/err.h"

struct engine;
struct engine_call;

enum engine_result {
    ENGINE_OK,           /* an HTTP answer of any status below 500 */
    ENGINE_HTTP_ERROR,   /* 5xx, or an answer whose JSON is malformed */
    ENGINE_UNREACHABLE,  /* no socket, refused, reset, half an answer */
    ENGINE_TIMEOUT,      /* no whole answer by the deadline */
    ENGINE_INCOMPATIBLE, /* no API version that both speak: it answers, and is of no use */
    ENGINE_OWN_FAULT, /* no fd, no memory, our loop lagged, an answer above our limits: says nothing about the
                         engine's health (UNKNOWN) */
    _ENGINE_RESULT_MAX
};

struct engine_answer {
    enum engine_result result;
    long status;         /* HTTP status; 0 unless ENGINE_OK or ENGINE_HTTP_ERROR */
    json_t *body;        /* borrowed; NULL if empty or not JSON */
    const char *message; /* borrowed, never NULL: the engine's {"message"} or the transport's reason */
    uint64_t elapsed_us;
};

/* Called once, from the loop. The call is gone when this returns; from inside, engine_call_cancel() on any
 * call and engine_free() are allowed. */
typedef void (*engine_fn)(struct engine *e, const struct engine_answer *a, void *userdata);

/* Engine events of type "container" and the state of the stream. */
enum engine_event_type { ENGINE_EV_CONTAINER, ENGINE_EV_STREAM_UP, ENGINE_EV_STREAM_DOWN, _ENGINE_EV_MAX };
struct engine_event {
    enum engine_event_type type;
    const char *action; /* "die", "oom", "start", "stop", "kill", "pause", "health_status: healthy", ... */
    const char *id;     /* 64 hex */
    const char *name;   /* without the leading '/' */
    const json_t *attributes;
    uint64_t time_nano; /* the engine's clock */
};
typedef void (*engine_event_fn)(struct engine *e, const struct engine_event *ev, void *userdata);

/* -EINVAL, -ENAMETOOLONG: not a path that a unix socket can have; -ENOMEM. The socket need not exist yet. */
int engine_new(sd_event *event, const char *socket_path, struct engine **ret);
/* Cancels every call without calling back; their handles die with it. */
struct engine *engine_free(struct engine *e);
DEFINE_CLEANUP(struct engine *, engine_free)

/* One request. `path` begins with '/' and has no version prefix: the negotiated one is put in front (the
 * first call negotiates; until then calls wait for it within their own deadline). `body` (may be NULL) is
 * borrowed for the call. `timeout_us` covers everything. `ret` may be NULL when the call is never cancelled.
 * -errno if not started (the callback is not called then). */
int engine_request(struct engine *e, const char *method, const char *path, const json_t *body,
    uint64_t timeout_us, engine_fn fn, void *userdata, struct engine_call **ret);
void engine_call_cancel(struct engine_call *c); /* NULL allowed; the callback will not run */

/* GET /_ping outside the version negotiation, fresh connection. */
int engine_ping(
    struct engine *e, uint64_t timeout_us, engine_fn fn, void *userdata, struct engine_call **ret);

/* Starts the /events stream (containers only) and keeps it: reconnects after 0.5 s doubling to 15 s, with
 * jitter. STREAM_UP is delivered after each (re)connect: the listener must relist then, events may have been
 * lost. STREAM_DOWN follows each STREAM_UP that ends; the stream is down at first. The listener may free the
 * engine. -EBUSY: subscribed already; -ENOMEM. */
int engine_subscribe(struct engine *e, engine_event_fn fn, void *userdata);
uint64_t engine_reconnects(const struct engine *e); /* of the event stream, since the start */

/* Facts of the last negotiation; "" before it. Forgotten and asked again when the engine was unreachable. */
const char *engine_api_version(const struct engine *e);
const char *engine_server_version(const struct engine *e);

/* Percent-encodes one path segment or query value into a new string; NULL when out of memory. */
char *engine_escape(const char *s);
