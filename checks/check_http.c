/* check_http.c: one HTTP request, its status and optionally one JSON field (see check.h). Must not follow
 * redirects nor trust the answer: a gateway's health endpoint is the tenant's code. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "base/json.h"
#include "checks/internal.h"
#include "engine/transfer.h"

#define BODY_MAX (64 * 1024)

struct check_http {
    struct check check;           /* first */
    struct check_http_pool *pool; /* NULL: the pool was freed */
    struct transfer *transfer;
    unsigned status_min, status_max;
    char *json_field;
    json_t *json_value;
    bool kept; /* somebody has the handle and will free it */
    struct check_http *prev, *next;
};

struct check_http_pool {
    struct multi *multi;
    struct check_http *checks;
};

int check_http_pool_new(sd_event *event, struct check_http_pool **ret)
{
    _cleanup_(check_http_pool_freep) struct check_http_pool *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return -ENOMEM;
    r = multi_new(event, &p->multi);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

static void leave_pool(struct check_http *h)
{
    h->transfer = transfer_free(h->transfer);
    if (h->pool)
        DL_DELETE(h->pool->checks, h);
    h->pool = NULL;
}

static void http_destroy(struct check *c)
{
    struct check_http *h = (struct check_http *)c;

    leave_pool(h);
    json_decref(h->json_value);
    free(h->json_field);
    free(h);
}

struct check_http_pool *check_http_pool_free(struct check_http_pool *p)
{
    if (!p)
        return NULL;
    while (p->checks) {
        struct check_http *h = p->checks;

        leave_pool(h);
        if (!h->kept && !h->check.ending)
            http_destroy(&h->check);
    }
    multi_free(p->multi);
    free(p);
    return NULL;
}

static void judge_field(struct check_http *h, const struct transfer_outcome *o)
{
    _cleanup_json_ json_t *body = NULL;
    _cleanup_free_ char *got = NULL;
    struct err err = {};
    const json_t *field;
    int r;

    r = json_load_strict(o->body, o->body_len, BODY_MAX, &body, &err);
    if (r == -ENOMEM) {
        check_finish(&h->check, CHECK_UNKNOWN, "out of memory");
        return;
    }
    if (r < 0) {
        check_finish(&h->check, CHECK_FAIL, "HTTP %ld, but the body is not JSON: %s", o->status, err.msg);
        return;
    }
    field = json_object_get(body, h->json_field);
    if (json_equal(field, h->json_value)) {
        check_finish(&h->check, CHECK_OK, "HTTP %ld", o->status);
        return;
    }
    /* Escaped to ASCII: it may end up on a terminal. */
    got = field ? json_dumps(field, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    check_finish(&h->check, CHECK_FAIL, "field %s is %s", h->json_field, got ? got : "missing");
}

static void on_answer(const struct transfer_outcome *o, void *userdata)
{
    struct check_http *h = userdata;

    h->transfer = NULL;
    switch (o->result) {
    case TRANSFER_OK:
        if (o->status < h->status_min || o->status > h->status_max)
            check_finish(&h->check, CHECK_FAIL, "HTTP %ld", o->status);
        else if (h->json_field)
            judge_field(h, o);
        else
            check_finish(&h->check, CHECK_OK, "HTTP %ld", o->status);
        return;
    case TRANSFER_OWN_FAULT:
        check_finish(&h->check, CHECK_UNKNOWN, "%s", o->reason);
        return;
    case TRANSFER_UNREACHABLE:
    case TRANSFER_TIMEOUT:
    case TRANSFER_TOO_LARGE:
    case _TRANSFER_RESULT_MAX:
        break;
    }
    check_finish(&h->check, CHECK_FAIL, "%s", o->reason);
}

static int set_expectation(struct check_http *h, const struct check_http_spec *spec)
{
    json_error_t je;

    h->status_min = spec->status_min ? spec->status_min : 200;
    h->status_max = spec->status_max ? spec->status_max : (spec->status_min ? spec->status_min : 299);
    if (h->status_min > h->status_max)
        return -EINVAL;
    if (!spec->json_field)
        return 0;
    /* The configuration's own text: what it says is what is compared. */
    h->json_value = spec->json_value ? json_loads(spec->json_value, JSON_DECODE_ANY, &je) : NULL;
    if (!h->json_value)
        return -EINVAL;
    h->json_field = strdup(spec->json_field);
    return h->json_field ? 0 : -ENOMEM;
}

int check_http_start(struct check_http_pool *p, const struct check_http_spec *spec, check_fn fn,
    void *userdata, struct check **ret)
{
    struct check_http *h;
    int r;

    if (spec->timeout_us == 0)
        return -EINVAL;
    h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    const struct transfer_spec t = {
        .url = spec->url,
        .unix_socket = spec->unix_socket,
        .method = spec->method,
        .max_body = BODY_MAX,
        .timeout_us = spec->timeout_us,
    };
    r = check_init(&h->check, multi_event(p->multi), http_destroy, fn, userdata);
    if (r >= 0)
        r = set_expectation(h, spec);
    if (r >= 0)
        r = transfer_start(p->multi, &t, on_answer, h, &h->transfer);
    if (r < 0) {
        http_destroy(&h->check);
        return r;
    }
    h->pool = p;
    h->kept = ret != NULL;
    DL_APPEND(p->checks, h);
    if (ret)
        *ret = &h->check;
    return 0;
}
