/* handlers_read.c: routes that only look: answers are made here, rebuilt by filter/respond, or streamed from
 * an own object. Must not change anything in the engine. */
#include "proxy/handlers.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "proxy/link.h"
#include "proxy/registry.h"
#include "proxy/relay.h"

#define LINE_MAX_BYTES ((size_t)256 * 1024)

/* ---- ping: fresh from the engine each time, so that it proves the whole path */
static void ping_done(struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct http1_field extra[] = {{"Api-Version", link_api_version(x->proxy->link)},
        {"Cache-Control", "no-cache, no-store, must-revalidate"}, {"Docker-Experimental", "false"},
        {"Ostype", "linux"}, {"Pragma", "no-cache"}};

    (void)body;
    if (error < 0 || res->status != 200)
        exchange_failed(x, error < 0 ? error : -EBADMSG);
    else
        exchange_reply_full(x, 200, "text/plain; charset=utf-8", "OK", 2, extra, ARRAY_SIZE(extra));
}

void handle_ping(struct exchange *x)
{
    struct upstream_request r = {.method = HTTP1_GET,
        .target = "/_ping",
        .timeout_us = PROXY_PING_TIMEOUT,
        .connect_us = PROXY_PING_TIMEOUT};

    exchange_fetch(x, &r, ping_done);
}

/* ---- version, info: from our own model */
static struct respond_engine engine_facts(const struct exchange *x)
{
    const struct link *l = x->proxy->link;

    return (struct respond_engine){.version = link_engine_version(l),
        .api_version = link_api_version(l),
        .min_api_version = link_min_api_version(l),
        .arch = link_arch(l)};
}

void handle_version(struct exchange *x)
{
    struct respond_engine e = engine_facts(x);
    struct http1_field extra = {"Api-Version", e.api_version};
    _cleanup_json_ json_t *j = NULL;
    _cleanup_free_ char *text = NULL;

    if (respond_version(x->proxy->policy, &e, &j) < 0 || !(text = json_to_string(j)))
        exchange_failed(x, -ENOMEM);
    else
        exchange_reply_full(x, 200, "application/json", text, strlen(text), &extra, 1);
}

static void info_done(struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_engine e = engine_facts(x);
    _cleanup_json_ json_t *rows = NULL, *j = NULL;
    int r = error;

    if (r >= 0)
        r = res->status == 200 ? exchange_parse(body, &rows) : -EBADMSG;
    for (size_t i = 0; r >= 0 && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *id = json_string_value(json_object_get(row, "Id"));
        const char *state = json_string_value(json_object_get(row, "State"));

        if (!id || !state || !registry_has(x->proxy->registry, id))
            continue;
        e.containers++;
        e.running += strcmp(state, "running") == 0;
        e.paused += strcmp(state, "paused") == 0;
    }
    if (r >= 0)
        r = respond_info(x->proxy->policy, &e, &j);
    if (r < 0)
        exchange_failed(x, r);
    else
        exchange_reply_json(x, 200, j);
}

void handle_info(struct exchange *x)
{
    char target[256];
    struct upstream_request r = {.method = HTTP1_GET, .target = target, .timeout_us = PROXY_ENGINE_TIMEOUT};

    link_list_target(x->proxy->link, target, sizeof(target));
    exchange_fetch(x, &r, info_done);
}

/* ---- lists */
static void filters_data_free(struct exchange *x)
{
    (void)respond_filters_free(x->data);
}

/* Reads the client's filters; false when the exchange has been answered. */
static bool read_filters(struct exchange *x, enum respond_list kind)
{
    struct respond_filters *f = NULL;
    struct refusal refusal = {0};

    if (respond_filters_parse(kind, route_arg(&x->match, "filters"), &f, &refusal) < 0) {
        exchange_refuse(x, &refusal);
        return false;
    }
    x->data = f;
    x->data_free = filters_data_free;
    return true;
}

/* The common end of what was written as it was read: with the engine's own final newline. */
static void reply_written(struct exchange *x, int r, struct buf *out)
{
    if (r >= 0)
        r = buf_add(out, "\n", 1);
    if (r < 0)
        exchange_failed(x, r == -E2BIG ? -EFBIG : r);
    else
        exchange_reply_full(x, 200, "application/json", out->data, out->len, NULL, 0);
}

static void container_list_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    struct respond_containers_query q = {.all = route_arg_bool(&x->match, "all", false), .filters = x->data};
    const char *limit = route_arg(&x->match, "limit");
    _cleanup_jdoc_ struct jdoc rows = {0};
    _cleanup_buf_ struct buf out = {.limit = EXCHANGE_FETCH_LIMIT};
    struct refusal refusal = {0};
    uint64_t n = 0;
    int r = error;

    if (limit && str_parse_u64(limit, 10000, &n) >= 0) /* "-1" is none */
        q.limit = (unsigned)n;
    if (r >= 0 && res->status >= 400) {
        exchange_engine_error(x, res, body);
        return;
    }
    if (r >= 0)
        r = res->status == 200 ? exchange_read(body, &rows) : -EBADMSG;
    if (r >= 0) /* at most about as long */
        r = buf_reserve(&out, body->len);
    if (r >= 0)
        r = respond_containers(&v, &q, &rows, &out, &refusal);
    if (r < 0 && refusal.status != 0)
        exchange_refuse(x, &refusal);
    else
        reply_written(x, r, &out);
}

void handle_container_list(struct exchange *x)
{
    if (read_filters(x, RESPOND_CONTAINERS))
        exchange_fetch_route(x, &(struct route_upstream){.all = true}, NULL, container_list_done);
}

/* The common end of everything that is one document rebuilt. */
static void reply_rebuilt(struct exchange *x, int r, json_t *const *out)
{
    if (r < 0)
        exchange_failed(x, r);
    else
        exchange_reply_json(x, 200, *out);
}

/* Parses a 200; anything else ends the exchange and gives false. */
static bool read_document(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body, json_t **ret)
{
    int r = error;

    if (r >= 0 && res->status >= 400) {
        exchange_engine_error(x, res, body);
        return false;
    }
    if (r >= 0)
        r = res->status == 200 ? exchange_parse(body, ret) : -EBADMSG;
    if (r < 0)
        exchange_failed(x, r);
    return r >= 0;
}

static void image_list_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    _cleanup_json_ json_t *rows = NULL, *out = NULL;

    if (read_document(x, error, res, body, &rows))
        reply_rebuilt(x, respond_images(&v, x->data, rows, &out), &out);
}

void handle_image_list(struct exchange *x)
{
    if (read_filters(x, RESPOND_IMAGES))
        exchange_fetch_route(x, &(struct route_upstream){0}, NULL, image_list_done);
}

/* ---- events */
struct event_view {
    const struct registry *registry;
    const char *announced; /* an own container that the registry does not know yet, or NULL */
};

static bool event_owns(void *userdata, const char *id)
{
    const struct event_view *v = userdata;

    return registry_has(v->registry, id) || registry_was_own(v->registry, id) ||
           (v->announced && strcmp(v->announced, id) == 0);
}

static int event_line(struct exchange *x, const char *line, size_t len)
{
    struct event_view ev = {.registry = x->proxy->registry};
    struct respond_view v = {.policy = x->proxy->policy, .owns = event_owns, .userdata = &ev};
    _cleanup_json_ json_t *event = NULL, *out = NULL;
    _cleanup_free_ char *text = NULL;
    _cleanup_buf_ struct buf b = {.limit = LINE_MAX_BYTES};
    const json_t *actor, *attributes;
    int r;

    if (json_load_engine(line, len, LINE_MAX_BYTES, &event, NULL) < 0)
        return 0; /* not an event */
    actor = json_object_get(event, "Actor");
    attributes = json_object_get(actor, "Attributes");
    if (registry_row_is_own(ev.registry, attributes, json_string_value(json_object_get(attributes, "name"))))
        ev.announced = json_string_value(json_object_get(actor, "ID"));
    r = respond_event(&v, x->data, event, &out);
    if (r < 0 || !out)
        return r == -EBADMSG ? 0 : r;
    text = json_to_string(out);
    if (!text)
        return -ENOMEM;
    r = buf_adds(&b, text);
    if (r >= 0)
        r = buf_adds(&b, "\n");
    return r < 0 ? r : exchange_chunk(x, b.data, b.len);
}

void handle_events(struct exchange *x)
{
    if (read_filters(x, RESPOND_EVENTS))
        relay_start(x, &(struct route_upstream){0}, event_line);
}

/* ---- single objects */
static void inspect_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf out = {.limit = EXCHANGE_FETCH_LIMIT};
    int r = error;

    if (r >= 0 && res->status >= 400) {
        exchange_engine_error(x, res, body);
        return;
    }
    if (r >= 0)
        r = res->status == 200 ? exchange_read(body, &d) : -EBADMSG;
    if (r >= 0) /* at most about as long */
        r = buf_reserve(&out, body->len);
    if (r >= 0)
        r = respond_inspect(&v, &d, x->gateway, &out);
    reply_written(x, r, &out);
}

void handle_inspect(struct exchange *x)
{
    exchange_fetch_route(x, &(struct route_upstream){0}, NULL, inspect_done);
}

static void exec_inspect_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    _cleanup_json_ json_t *j = NULL, *out = NULL;

    if (read_document(x, error, res, body, &j))
        reply_rebuilt(x, respond_exec_inspect(j, &out), &out);
}

void handle_exec_inspect(struct exchange *x)
{
    exchange_fetch_route(x, &(struct route_upstream){0}, NULL, exec_inspect_done);
}

static void image_inspect_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    _cleanup_json_ json_t *j = NULL, *out = NULL;

    if (read_document(x, error, res, body, &j))
        reply_rebuilt(x, respond_image_inspect(&v, j, &out), &out);
}

void handle_image_inspect(struct exchange *x)
{
    exchange_fetch_route(x, &(struct route_upstream){.ref = x->match.ref}, NULL, image_inspect_done);
}

static void image_history_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    _cleanup_json_ json_t *j = NULL, *out = NULL;

    if (read_document(x, error, res, body, &j))
        reply_rebuilt(x, respond_image_history(&v, j, &out), &out);
}

void handle_image_history(struct exchange *x)
{
    exchange_fetch_route(x, &(struct route_upstream){.ref = x->match.ref}, NULL, image_history_done);
}

static void network_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct respond_view v = exchange_view(x);
    _cleanup_json_ json_t *j = NULL, *out = NULL;

    if (read_document(x, error, res, body, &j))
        reply_rebuilt(x, respond_network(&v, j, &out), &out);
}

void handle_network_inspect(struct exchange *x)
{
    exchange_fetch_route(x, &(struct route_upstream){0}, NULL, network_done);
}

/* ---- streams */
static int wait_line(struct exchange *x, const char *line, size_t len)
{
    _cleanup_json_ json_t *j = NULL;
    _cleanup_buf_ struct buf b = {.limit = LINE_MAX_BYTES};
    struct respond_view v = exchange_view(x);
    _cleanup_free_ char *text = NULL, *shown = NULL;
    json_t *out;
    const char *message;

    if (json_load_engine(line, len, LINE_MAX_BYTES, &j, NULL) < 0 ||
        !json_is_integer(json_object_get(j, "StatusCode")))
        return -EBADMSG;
    out = json_pack("{s:I}", "StatusCode", json_integer_value(json_object_get(j, "StatusCode")));
    message = json_string_value(json_object_get(json_object_get(j, "Error"), "Message"));
    shown = message ? respond_engine_text(&v, message) : NULL;
    if (out && message &&
        (!shown || json_object_set_new(out, "Error", json_pack("{s:s}", "Message", shown)) < 0)) {
        json_decref(out);
        return -ENOMEM;
    }
    text = out ? json_to_string(out) : NULL;
    json_decref(out);
    if (!text || buf_adds(&b, text) < 0 || buf_adds(&b, "\n") < 0)
        return -ENOMEM;
    return exchange_chunk(x, b.data, b.len);
}

void handle_wait(struct exchange *x)
{
    relay_start(x, &(struct route_upstream){0}, wait_line);
}

void handle_stream(struct exchange *x)
{
    relay_start(x, &(struct route_upstream){0}, NULL);
}

void handle_archive(struct exchange *x)
{
    if (!handlers_refuse_archive(x))
        handle_stream(x);
}
