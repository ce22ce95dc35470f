/* engine.c: calls and the version they wait for (see engine.h). Must not know containers or the event
 * stream (events.c). */
#include "engine/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/json.h"
#include "engine/internal.h"
#include "engine/version.h"

/* What a slow listener of the event stream may leave untaken; also the longest event. */
#define STREAM_MAX (4 * 1024 * 1024)
#define NEGOTIATION_TIMEOUT_US (10 * USEC_PER_SEC)

struct engine {
    sd_event *event;
    struct multi *multi;
    char *socket_path;
    struct engine_call *calls;
    struct transfer *negotiation; /* NULL: none is running */
    struct version_choice version;
    struct events *events;
    uint64_t last_seq;
    unsigned entered; /* callbacks on the stack */
    bool dead;        /* freed while entered */
};

struct engine_call {
    struct engine *engine;
    char *method, *path, *body;
    engine_fn fn;
    transfer_data_fn data;
    void *userdata;
    uint64_t seq, started_us, timeout_us;
    bool unversioned, retried;
    bool ending;               /* its callback is on the stack */
    sd_event_source *deadline; /* while it waits for the version */
    struct transfer *transfer; /* NULL: waiting */
    struct engine_call *prev, *next;
};

static void launch(struct engine_call *c);
static int negotiate(struct engine *e);

/* ---------------------------------------------------------------- lifetime */

static struct engine_call *call_destroy(struct engine_call *c)
{
    if (!c)
        return NULL;
    sd_event_source_disable_unref(c->deadline);
    transfer_free(c->transfer);
    free(c->method);
    free(c->path);
    free(c->body);
    free(c);
    return NULL;
}
DEFINE_CLEANUP(struct engine_call *, call_destroy)

static void engine_destroy(struct engine *e)
{
    multi_free(e->multi);
    sd_event_unref(e->event);
    free(e->socket_path);
    free(e);
}

int engine_new(sd_event *event, const char *socket_path, struct engine **ret)
{
    _cleanup_(engine_freep) struct engine *e = NULL;
    int r;

    if (*socket_path != '/')
        return -EINVAL;
    if (strlen(socket_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return -ENAMETOOLONG;
    e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->event = sd_event_ref(event);
    e->socket_path = strdup(socket_path);
    if (!e->socket_path)
        return -ENOMEM; /* cppcheck-suppress memleak ; the cleanup attribute frees it */
    r = multi_new(event, &e->multi);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(e);
    return 0;
}

struct engine *engine_free(struct engine *e)
{
    if (!e)
        return NULL;
    e->dead = true;
    e->events = events_free(e->events);
    while (e->calls)
        engine_call_cancel(e->calls);
    e->negotiation = transfer_free(e->negotiation);
    if (e->entered == 0)
        engine_destroy(e);
    return NULL;
}

void engine_enter(struct engine *e)
{
    e->entered++;
}

bool engine_leave(struct engine *e)
{
    bool dead = e->dead;

    if (--e->entered == 0 && dead)
        engine_destroy(e);
    return dead;
}

sd_event *engine_event_loop(const struct engine *e)
{
    return e->event;
}

struct events **engine_events(struct engine *e)
{
    return &e->events;
}

const struct events *engine_events_const(const struct engine *e)
{
    return e->events;
}

const char *engine_api_version(const struct engine *e)
{
    return e->version.api;
}

const char *engine_server_version(const struct engine *e)
{
    return e->version.server;
}

void engine_forget_version(struct engine *e)
{
    memset(&e->version, 0, sizeof(e->version));
}

/* ---------------------------------------------------------------- answers */

/* Ends a call that has no transfer any more. The callback may free the engine. */
static void end_call(struct engine_call *c, struct engine_answer *a)
{
    struct engine *e = c->engine;
    uint64_t now = c->started_us;

    (void)sd_event_now(e->event, CLOCK_MONOTONIC, &now);
    a->elapsed_us = now > c->started_us ? now - c->started_us : 0;
    if (a->result == ENGINE_UNREACHABLE)
        engine_forget_version(e);
    c->deadline = sd_event_source_disable_unref(c->deadline);
    DL_DELETE(e->calls, c);
    c->ending = true;
    engine_enter(e);
    c->fn(e, a, c->userdata);
    call_destroy(c);
    engine_leave(e);
}

static void end_call_with(struct engine_call *c, enum engine_result result, const char *message)
{
    struct engine_answer a = {.result = result, .message = message};

    end_call(c, &a);
}

static enum engine_result map_result(enum transfer_result r)
{
    switch (r) {
    case TRANSFER_OK:
        return ENGINE_OK;
    case TRANSFER_TIMEOUT:
        return ENGINE_TIMEOUT;
    case TRANSFER_TOO_LARGE: /* the limit is ours */
    case TRANSFER_OWN_FAULT:
        return ENGINE_OWN_FAULT;
    case TRANSFER_UNREACHABLE:
    case _TRANSFER_RESULT_MAX:
        break;
    }
    return ENGINE_UNREACHABLE;
}

/* True when the call was put back to wait for a new version. */
static bool retry_with_new_version(struct engine_call *c, const struct engine_answer *a)
{
    struct engine *e = c->engine;

    if (c->unversioned || c->retried || !version_is_complaint(a->status, a->message))
        return false;
    /* Refused before it was looked at, so repeating it is safe. */
    c->retried = true;
    engine_forget_version(e);
    launch(c);
    return true;
}

static void on_answer(const struct transfer_outcome *o, void *userdata)
{
    struct engine_call *c = userdata;
    struct engine_answer a = {.result = map_result(o->result), .status = o->status, .message = o->reason};
    _cleanup_json_ json_t *body = NULL;
    struct err err = {};
    char text[200];

    c->transfer = NULL;
    if (o->result == TRANSFER_OK) {
        int r = o->is_json && o->body_len > 0 && !c->data
                    ? json_load_engine(o->body, o->body_len, ENGINE_ANSWER_MAX, &body, &err)
                    : 0;

        a.body = body;
        if (o->status >= 500)
            a.result = ENGINE_HTTP_ERROR;
        if (r == -ENOMEM) {
            a = (struct engine_answer){.result = ENGINE_OWN_FAULT, .message = "out of memory"};
        } else if (r < 0) {
            a.result = ENGINE_HTTP_ERROR;
            a.message = err.msg;
        } else if (o->status >= 400) {
            const char *m = json_string_value(json_object_get(body, "message"));

            snprintf(text, sizeof(text), "%.*s", (int)strcspn(o->body, "\r\n"), o->body);
            a.message = m ? m : text;
        }
        if (retry_with_new_version(c, &a))
            return;
    }
    end_call(c, &a);
}

/* ---------------------------------------------------------------- starting */

static int on_data(long status, struct buf *body, void *userdata)
{
    struct engine_call *c = userdata;

    return c->data(status, body, c->userdata);
}

static int on_waited_too_long(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    end_call_with(userdata, ENGINE_TIMEOUT, "the engine did not tell its version in time");
    return 0;
}

/* Microseconds left; 0 = no deadline. */
static uint64_t time_left(const struct engine_call *c)
{
    uint64_t now = c->started_us;

    if (c->timeout_us == 0)
        return 0;
    (void)sd_event_now(c->engine->event, CLOCK_MONOTONIC, &now);
    if (now >= c->started_us + c->timeout_us)
        return 1;
    return c->started_us + c->timeout_us - now;
}

static int send_call(struct engine_call *c)
{
    struct engine *e = c->engine;
    _cleanup_buf_ struct buf url = {};
    int r;

    r = c->unversioned ? buf_addf(&url, "http://docker%s", c->path)
                       : buf_addf(&url, "http://docker/v%s%s", e->version.api, c->path);
    if (r < 0)
        return r;
    const struct transfer_spec spec = {
        .url = url.data,
        .unix_socket = e->socket_path,
        .method = c->method,
        .body = c->body,
        .max_body = c->data ? STREAM_MAX : ENGINE_ANSWER_MAX,
        .timeout_us = time_left(c),
        .data = c->data ? on_data : NULL,
    };
    return transfer_start(e->multi, &spec, on_answer, c, &c->transfer);
}

/* Sends the call, or leaves it waiting for the version. -errno: nothing was started. */
static int start_call(struct engine_call *c)
{
    struct engine *e = c->engine;
    int r;

    if (c->unversioned || *e->version.api)
        return send_call(c);
    r = negotiate(e);
    if (r < 0 || c->timeout_us == 0)
        return r;
    return sd_event_add_time_relative(
        e->event, &c->deadline, CLOCK_MONOTONIC, time_left(c), USEC_PER_MSEC, on_waited_too_long, c);
}

/* For a call that its owner knows already: a failure goes to its callback. */
static void launch(struct engine_call *c)
{
    int r;

    c->deadline = sd_event_source_disable_unref(c->deadline);
    r = start_call(c);
    if (r < 0)
        end_call_with(c, ENGINE_OWN_FAULT, r == -ENOMEM ? "out of memory" : "the request cannot be started");
}

/* Wakes every call that was waiting when the negotiation ended, with `failure` as the answer unless it is
 * NULL; later ones belong to the next negotiation. Callbacks may cancel any call and free the engine, so the
 * list is searched anew each time. */
static void wake_waiting(struct engine *e, const struct engine_answer *failure)
{
    uint64_t last = e->last_seq;

    engine_enter(e);
    while (!e->dead && (failure || *e->version.api)) {
        struct engine_call *c = e->calls;

        while (c && (c->transfer || c->seq > last))
            c = c->next;
        if (!c)
            break;
        if (failure) {
            struct engine_answer a = *failure;

            end_call(c, &a);
        } else {
            launch(c);
        }
    }
    engine_leave(e);
}

static void on_version(const struct transfer_outcome *o, void *userdata)
{
    struct engine *e = userdata;
    struct engine_answer failure = {
        .result = map_result(o->result), .status = o->status, .message = o->reason};
    _cleanup_json_ json_t *body = NULL;
    struct err err = {};
    int r;

    e->negotiation = NULL;
    if (o->result != TRANSFER_OK) {
        wake_waiting(e, &failure);
        return;
    }
    if (o->status != 200)
        r = err_set(&err, -EINVAL, "GET /version: HTTP %ld", o->status);
    else
        r = json_load_engine(o->body, o->body_len, ENGINE_ANSWER_MAX, &body, &err);
    if (r >= 0)
        r = version_choose(body, &e->version, &err);
    if (r >= 0) {
        wake_waiting(e, NULL);
        return;
    }
    failure.message = *err.msg ? err.msg : "out of memory";
    if (r == -EINVAL) {
        failure.result = ENGINE_HTTP_ERROR;
    } else {
        failure.result = r == -EPROTONOSUPPORT ? ENGINE_INCOMPATIBLE : ENGINE_OWN_FAULT;
        failure.status = 0;
    }
    wake_waiting(e, &failure);
}

static int negotiate(struct engine *e)
{
    const struct transfer_spec spec = {
        .url = "http://docker/version",
        .unix_socket = e->socket_path,
        .max_body = ENGINE_ANSWER_MAX,
        .timeout_us = NEGOTIATION_TIMEOUT_US,
    };

    if (e->negotiation)
        return 0;
    return transfer_start(e->multi, &spec, on_version, e, &e->negotiation);
}

static bool path_is_sane(const char *path)
{
    if (*path != '/')
        return false;
    for (const char *p = path; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '#')
            return false;
    return true;
}

/* NULL when out of memory. */
static struct engine_call *call_new(struct engine *e, const struct call_spec *s)
{
    struct engine_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->engine = e;
    c->fn = s->fn;
    c->data = s->data;
    c->userdata = s->userdata;
    c->timeout_us = s->timeout_us;
    c->unversioned = s->unversioned;
    c->method = strdup(s->method);
    c->path = strdup(s->path);
    c->body = s->body ? json_to_string(s->body) : NULL;
    if (!c->method || !c->path || (s->body && !c->body))
        return call_destroy(c);
    c->seq = ++e->last_seq;
    return c;
}

int engine_start(struct engine *e, const struct call_spec *s, struct engine_call **ret)
{
    _cleanup_(call_destroyp) struct engine_call *c = NULL;
    int r;

    assert(!e->dead);
    if (!path_is_sane(s->path))
        return -EINVAL;
    c = call_new(e, s);
    if (!c)
        return -ENOMEM;
    r = sd_event_now(e->event, CLOCK_MONOTONIC, &c->started_us);
    if (r >= 0)
        r = start_call(c);
    if (r < 0)
        return r;
    DL_APPEND(e->calls, c);
    if (ret)
        *ret = c;
    TAKE_PTR(c);
    return 0;
}

int engine_request(struct engine *e, const char *method, const char *path, const json_t *body,
    uint64_t timeout_us, engine_fn fn, void *userdata, struct engine_call **ret)
{
    const struct call_spec s = {
        .method = method,
        .path = path,
        .body = body,
        .timeout_us = timeout_us,
        .fn = fn,
        .userdata = userdata,
    };

    if (timeout_us == 0)
        return -EINVAL;
    return engine_start(e, &s, ret);
}

void engine_call_cancel(struct engine_call *c)
{
    if (!c || c->ending)
        return;
    DL_DELETE(c->engine->calls, c);
    call_destroy(c);
}

int engine_ping(struct engine *e, uint64_t timeout_us, engine_fn fn, void *userdata, struct engine_call **ret)
{
    const struct call_spec s = {
        .method = "GET",
        .path = "/_ping",
        .timeout_us = timeout_us,
        .unversioned = true,
        .fn = fn,
        .userdata = userdata,
    };

    if (timeout_us == 0)
        return -EINVAL;
    return engine_start(e, &s, ret);
}

char *engine_escape(const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = malloc(3 * strlen(s) + 1), *p = out;

    if (!out)
        return NULL;
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;

        if ((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
            strchr("-._~", ch)) {
            *p++ = (char)ch;
        } else {
            *p++ = '%';
            *p++ = hex[ch >> 4];
            *p++ = hex[ch & 15];
        }
    }
    *p = '\0';
    return out;
}
