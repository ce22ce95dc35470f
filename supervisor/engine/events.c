/* events.c: the engine's event stream: lines in, typed events out, and a new connection when it breaks (see
 * engine_subscribe()). Must not act on events nor remember them: they are hints. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/internal.h"

#define BACKOFF_FIRST_US (USEC_PER_SEC / 2)
#define BACKOFF_MAX_US (15 * USEC_PER_SEC)
/* A stream must have lived this long before a break counts as the first one again: an engine that takes the
 * subscription and drops it would otherwise cost a full relist twice a second. */
#define STABLE_US (15 * USEC_PER_SEC)
/* Only containers: filters={"type":["container"]} */
#define EVENTS_PATH "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D"

struct events {
    struct engine *engine;
    engine_event_fn fn;
    void *userdata;
    struct engine_call *call; /* NULL: waiting for `retry` */
    sd_event_source *retry;
    uint64_t up_since_us;
    uint64_t connects;
    unsigned failures; /* in a row, for the backoff */
    bool up;
};

static int connect_stream(struct events *ev);

struct events *events_free(struct events *ev)
{
    if (!ev)
        return NULL;
    engine_call_cancel(ev->call);
    sd_event_source_disable_unref(ev->retry);
    free(ev);
    return NULL;
}

/* Hands one event over. False: the engine was freed, and `ev` with it. */
static bool deliver(struct events *ev, const struct engine_event *event)
{
    struct engine *e = ev->engine;

    engine_enter(e);
    ev->fn(e, event, ev->userdata);
    return !engine_leave(e);
}

static bool deliver_state(struct events *ev, enum engine_event_type type)
{
    const struct engine_event event = {.type = type, .action = "", .id = "", .name = ""};

    return deliver(ev, &event);
}

static const char *string_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* One line of the stream. 0, -EINVAL (not an event), or -ECANCELED when `ev` is gone. */
static int take_line(struct events *ev, const char *line, size_t len)
{
    _cleanup_json_ json_t *j = NULL;
    int r;

    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (len == 0)
        return 0;
    r = json_load_engine(line, len, ENGINE_ANSWER_MAX, &j, NULL);
    if (r < 0)
        return r;
    const char *type = string_of(j, "Type");
    if (type && strcmp(type, "container") != 0)
        return 0;
    const json_t *actor = json_object_get(j, "Actor");
    struct engine_event event = {
        .type = ENGINE_EV_CONTAINER,
        .action = string_of(j, "Action"),
        .id = string_of(actor, "ID"),
        .attributes = json_object_get(actor, "Attributes"),
        .time_nano = (uint64_t)json_integer_value(json_object_get(j, "timeNano")),
    };
    event.name = string_of(event.attributes, "name");
    if (!event.action || !event.id)
        return -EINVAL;
    if (!event.name)
        event.name = "";
    if (*event.name == '/')
        event.name++;
    return deliver(ev, &event) ? 0 : -ECANCELED;
}

static int take_lines(struct events *ev, struct buf *body)
{
    size_t taken = 0;
    int r = 0;

    while (taken < body->len) {
        const char *line = body->data + taken;
        const char *end = memchr(line, '\n', body->len - taken);

        if (!end)
            break;
        taken += (size_t)(end - line) + 1;
        r = take_line(ev, line, (size_t)(end - line));
        if (r < 0)
            break;
    }
    /* Once for all lines: each consume moves the rest. The buffer is the transfer's and outlives `ev` here.
     */
    buf_consume(body, taken);
    return r;
}

/* The head or bytes have come. What cannot be read means that our place in the stream is lost: give it up,
 * the listener relists after the next connect. */
static int on_stream(long status, struct buf *body, void *userdata)
{
    struct events *ev = userdata;

    if (status != 200)
        return 0;
    if (!ev->up) {
        ev->up = true;
        ev->connects++;
        (void)sd_event_now(engine_event_loop(ev->engine), CLOCK_MONOTONIC, &ev->up_since_us);
        if (!deliver_state(ev, ENGINE_EV_STREAM_UP))
            return -ECANCELED;
    }
    return take_lines(ev, body);
}

static uint64_t backoff_us(unsigned failures)
{
    uint64_t delay = BACKOFF_FIRST_US;
    uint32_t random = 0;

    for (unsigned i = 1; i < failures && delay < BACKOFF_MAX_US; i++)
        delay *= 2;
    delay = MIN(delay, BACKOFF_MAX_US);
    /* Up to a quarter more; without entropy the delay is exact, which is no harm. */
    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    return delay + delay / 4 * (random % 1024) / 1023;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct events *ev = userdata;

    (void)s;
    (void)usec;
    (void)connect_stream(ev);
    return 0;
}

static void retry_later(struct events *ev)
{
    ev->failures++;
    /* The source was made at the start and stays: arming it cannot fail. */
    (void)sd_event_source_set_time_relative(ev->retry, backoff_us(ev->failures));
    (void)sd_event_source_set_enabled(ev->retry, SD_EVENT_ONESHOT);
}

static void on_stream_end(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct events *ev = userdata;
    bool was_up = ev->up;

    (void)a;
    ev->call = NULL;
    ev->up = false;
    if (was_up) {
        uint64_t now = ev->up_since_us;

        (void)sd_event_now(engine_event_loop(e), CLOCK_MONOTONIC, &now);
        if (now - ev->up_since_us >= STABLE_US)
            ev->failures = 0;
        /* A stream ends when the engine does: the next one may speak another version. */
        engine_forget_version(e);
    }
    retry_later(ev);
    if (was_up)
        (void)deliver_state(ev, ENGINE_EV_STREAM_DOWN);
}

static int connect_stream(struct events *ev)
{
    const struct call_spec s = {
        .method = "GET",
        .path = EVENTS_PATH,
        .data = on_stream,
        .fn = on_stream_end,
        .userdata = ev,
    };
    int r;

    r = engine_start(ev->engine, &s, &ev->call);
    if (r < 0)
        retry_later(ev);
    return r;
}

int engine_subscribe(struct engine *e, engine_event_fn fn, void *userdata)
{
    struct events **slot = engine_events(e);
    struct events *ev;
    int r;

    if (*slot)
        return -EBUSY;
    ev = calloc(1, sizeof(*ev));
    if (!ev)
        return -ENOMEM;
    ev->engine = e;
    ev->fn = fn;
    ev->userdata = userdata;
    r = sd_event_add_time(
        engine_event_loop(e), &ev->retry, CLOCK_MONOTONIC, USEC_INFINITY, USEC_PER_MSEC, on_retry, ev);
    if (r >= 0)
        r = sd_event_source_set_enabled(ev->retry, SD_EVENT_OFF);
    if (r < 0) {
        events_free(ev);
        return r;
    }
    *slot = ev;
    /* A first connect that cannot start is retried like any other. */
    (void)connect_stream(ev);
    return 0;
}

uint64_t engine_reconnects(const struct engine *e)
{
    const struct events *ev = engine_events_const(e);

    return ev && ev->connects > 0 ? ev->connects - 1 : 0;
}
