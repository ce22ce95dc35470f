/* link.c: see link.h. Asks the engine about nothing but itself and this tenant's containers; never serves a
 * client. A list or an event only ever fills the registry through registry_sync(), which checks label, role
 * and name. */
#include "proxy/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "filter/route.h"
#include "proxy/control.h"
#include "proxy/registry.h"
#include "proxy/upstream.h"

#define VERSION_LIMIT ((size_t)64 * 1024)
#define LIST_LIMIT ((size_t)16 * 1024 * 1024)
#define EVENT_LIMIT ((size_t)64 * 1024)
#define VERSION_TIMEOUT_US (2 * USEC_PER_SEC)
#define LIST_TIMEOUT_US (10 * USEC_PER_SEC)
#define RETRY_MIN_US (100 * USEC_PER_MSEC)
#define RETRY_MAX_US (1 * USEC_PER_SEC)

struct link {
    struct proxy *proxy;
    link_first_fn first;
    struct loop_timer retry;
    uint64_t retry_us;
    struct upstream *step;   /* the version or the list */
    struct upstream *events; /* the stream */
    struct buf line;
    bool ready, relist, said_down;
    unsigned minor;
    char api[8], min_api[8], version[64], arch[32];
};

static void link_start(struct link *l);
static void link_list(struct link *l);

/* ---- version */
static int parse_minor(const char *s, unsigned *ret)
{
    uint64_t v;

    if (!s || !str_startswith(s, "1.") || strlen(s) > 4 || str_parse_u64(s + 2, 99, &v) < 0)
        return -EINVAL;
    *ret = (unsigned)v;
    return 0;
}

int link_pin(
    const char *engine_max, const char *engine_min, const char *wanted, unsigned *ret_minor, struct err *e)
{
    unsigned hi, lo, want;

    if (parse_minor(engine_max, &hi) < 0 || parse_minor(engine_min, &lo) < 0)
        return err_set(e, -EINVAL, "the engine's /version names no API version of the form 1.NN");
    hi = MIN(hi, ROUTE_ENGINE_MINOR_MAX);
    lo = MAX(lo, ROUTE_ENGINE_MINOR_MIN);
    if (lo > hi)
        return err_set(e, -ENOTSUP, "the engine speaks API %s to %s, this proxy 1.%u to 1.%u", engine_min,
            engine_max, ROUTE_ENGINE_MINOR_MIN, ROUTE_ENGINE_MINOR_MAX);
    if (wanted[0]) {
        if (parse_minor(wanted, &want) < 0)
            return err_set(e, -EINVAL, "api_version \"%s\" is not of the form 1.NN", wanted);
        if (want < lo || want > hi)
            return err_set(e, -ENOTSUP,
                "api_version %s is outside of 1.%u to 1.%u, which the engine and this proxy "
                "have in common",
                wanted, lo, hi);
        hi = want;
    }
    *ret_minor = hi;
    return 0;
}

static void copy_field(char *out, size_t n, const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    (void)snprintf(out, n, "%s", s ? s : "");
}

/* ---- failure */
static void link_lost(struct link *l, const char *what, const char *why)
{
    upstream_close(l->step);
    upstream_close(l->events);
    l->step = l->events = NULL;
    buf_reset(&l->line);
    l->relist = false;
    if (!l->said_down)
        log_warning("engine %s: %s: %s; trying again", l->proxy->engine_socket, what, why);
    l->said_down = true;
    loop_timer_set(l->proxy->loop, &l->retry, l->retry_us);
    l->retry_us = MIN(MAX(l->retry_us * 2, RETRY_MIN_US), RETRY_MAX_US);
    if (l->first) {
        link_first_fn fn = TAKE_PTR(l->first);
        fn(l->proxy, false);
    }
}

static void on_retry(struct loop_timer *t)
{
    link_start(t->ctx);
}

/* ---- the list */
static void link_done(struct link *l)
{
    if (l->said_down && l->ready)
        log_notice("engine %s: answers again", l->proxy->engine_socket);
    l->said_down = false;
    l->retry_us = 0;
    if (!l->ready) {
        l->ready = true;
        log_info(
            "engine %s (API %s): %zu own containers", l->version, l->api, registry_count(l->proxy->registry));
        if (l->proxy->control)
            control_ready(l->proxy->control);
    }
    if (l->first) {
        link_first_fn fn = TAKE_PTR(l->first);
        fn(l->proxy, true);
    }
}

static void on_list(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct link *l = ctx;
    _cleanup_json_ json_t *rows = NULL;
    struct err e = {.msg = "unexpected answer"};
    int r = error;

    l->step = NULL;
    if (r >= 0)
        r = res->status == 200
                ? json_load_engine(body->data ? body->data : "", body->len, LIST_LIMIT, &rows, &e)
                : -EBADMSG;
    if (r >= 0)
        r = registry_sync(l->proxy->registry, rows);
    if (r < 0) {
        link_lost(l, "container list", error < 0 ? strerror(-error) : e.msg);
        return;
    }
    if (l->relist)
        link_list(l);
    else
        link_done(l);
}

static void link_fetch(struct link *l, const char *target, uint64_t timeout_us, upstream_fetch_fn fn)
{
    struct upstream_request r = {
        .method = HTTP1_GET, .target = target, .timeout_us = timeout_us, .vital = true};
    int k = upstream_fetch(l->proxy, &r, LIST_LIMIT, fn, l, &l->step);

    if (k < 0)
        link_lost(l, target, strerror(-k));
}

void link_list_target(const struct link *l, char *ret, size_t n)
{
    (void)snprintf(ret, n,
        "/v1.%u/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22clawsup.tenant%%3D%s%%22%%5D%%7D",
        l->minor, l->proxy->policy->tenant);
}

static void link_list(struct link *l)
{
    char target[256];

    if (l->step) { /* what is on its way may be older than what we were told: ask again after it */
        l->relist = true;
        return;
    }
    l->relist = false;
    registry_mark(l->proxy->registry);
    link_list_target(l, target, sizeof(target));
    link_fetch(l, target, LIST_TIMEOUT_US, on_list);
}

/* ---- events */
static void on_event_line(struct link *l, const char *line, size_t len)
{
    _cleanup_json_ json_t *ev = NULL;
    const char *action, *id;

    if (len == 0)
        return;
    if (json_load_engine(line, len, EVENT_LIMIT, &ev, NULL) < 0) {
        link_list(l);
        return;
    }
    action = json_string_value(json_object_get(ev, "Action"));
    id = json_string_value(json_object_get(json_object_get(ev, "Actor"), "ID"));
    if (action && strcmp(action, "destroy") == 0 && id) {
        registry_remove(l->proxy->registry, id);
        if (l->step)
            l->relist = true;
    } else {
        link_list(l);
    }
}

static void on_events_data(void *ctx, struct upstream *u, const char *data, size_t len)
{
    struct link *l = ctx;

    while (len > 0 && l->events == u) {
        const char *nl = memchr(data, '\n', len);
        size_t n = nl ? (size_t)(nl - data) : len;

        if (buf_add(&l->line, data, n) < 0) {
            link_lost(l, "events", "an event that is too large");
            return;
        }
        if (nl) {
            on_event_line(l, l->line.data, l->line.len);
            l->line.len = 0;
            n++;
        }
        data += n;
        len -= n;
    }
}

static void on_events_head(void *ctx, struct upstream *u, const struct http1_response *res)
{
    struct link *l = ctx;

    (void)u;
    if (res->status != 200)
        link_lost(l, "events", "unexpected status");
    else
        link_list(l); /* after the stream is open, so that nothing falls between the two */
}

static void on_events_end(void *ctx, struct upstream *u)
{
    struct link *l = ctx;

    (void)u;
    l->events = NULL;
    link_lost(l, "events", "the stream ended");
}

static void on_events_fail(void *ctx, struct upstream *u, int error)
{
    struct link *l = ctx;

    (void)u;
    l->events = NULL;
    link_lost(l, "events", strerror(-error));
}

static const struct upstream_ops events_ops = {
    .head = on_events_head, .data = on_events_data, .end = on_events_end, .fail = on_events_fail};

static void link_events(struct link *l)
{
    char target[320];
    struct upstream_request r = {
        .method = HTTP1_GET, .target = target, .timeout_us = LIST_TIMEOUT_US, .stream = true};
    int k;

    (void)snprintf(target, sizeof(target),
        "/v1.%u/"
        "events?filters=%%7B%%22event%%22%%3A%%5B%%22create%%22%%2C%%22destroy%%22%%2C%%22rename%%22%%5D%%2C"
        "%%22label%%22%%3A%%5B%%22clawsup.tenant%%3D%s%%22%%5D%%2C%%22type%%22%%3A%%5B%%22container%%22%%5D%%"
        "7D",
        l->minor, l->proxy->policy->tenant);
    k = upstream_start(l->proxy, &r, &events_ops, l, &l->events);
    if (k < 0)
        link_lost(l, "events", strerror(-k));
}

/* ---- start */
static void on_version(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct link *l = ctx;
    _cleanup_json_ json_t *j = NULL;
    struct err e = {.msg = "unexpected status"};
    char api[8], min_api[8];
    unsigned minor = 0;
    int r = error;

    l->step = NULL;
    if (r >= 0)
        r = res->status == 200
                ? json_load_engine(body->data ? body->data : "", body->len, VERSION_LIMIT, &j, &e)
                : -EBADMSG;
    if (r >= 0) {
        copy_field(api, sizeof(api), j, "ApiVersion");
        copy_field(min_api, sizeof(min_api), j, "MinAPIVersion");
        r = link_pin(api, min_api, l->proxy->policy->api_version, &minor, &e);
    }
    if (r < 0) {
        link_lost(l, "version", error < 0 ? strerror(-error) : e.msg);
        return;
    }
    if (l->minor != 0 && l->minor != minor)
        log_notice("the engine's API has changed: 1.%u to 1.%u", l->minor, minor);
    l->minor = minor;
    (void)snprintf(l->api, sizeof(l->api), "1.%u", minor);
    (void)snprintf(l->min_api, sizeof(l->min_api), "1.%u", (unsigned)24);
    copy_field(l->version, sizeof(l->version), j, "Version");
    copy_field(l->arch, sizeof(l->arch), j, "Arch");
    link_events(l);
}

static void link_start(struct link *l)
{
    link_fetch(l, "/version", VERSION_TIMEOUT_US, on_version);
}

int link_new(struct proxy *p, link_first_fn fn, struct link **ret)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->proxy = p;
    l->first = fn;
    l->line.limit = EVENT_LIMIT;
    l->retry = (struct loop_timer){.fn = on_retry, .ctx = l};
    loop_timer_set(p->loop, &l->retry, 0);
    *ret = l;
    return 0;
}

struct link *link_free(struct link *l)
{
    if (!l)
        return NULL;
    upstream_close(l->step);
    upstream_close(l->events);
    loop_timer_cancel(l->proxy->loop, &l->retry);
    buf_reset(&l->line);
    free(l);
    return NULL;
}

bool link_is_ready(const struct link *l)
{
    return l->ready;
}

unsigned link_minor(const struct link *l)
{
    return l->ready ? l->minor : 0;
}

const char *link_api_version(const struct link *l)
{
    return l->api;
}

const char *link_min_api_version(const struct link *l)
{
    return l->min_api;
}

const char *link_engine_version(const struct link *l)
{
    return l->version;
}

const char *link_arch(const struct link *l)
{
    return l->arch;
}
