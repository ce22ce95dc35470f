/* handlers_act.c: routes that act on an own container: start to remove, update, rename. The engine's success
 * is passed on as a bare status; its refusals are rebuilt. */
#include "proxy/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/create.h"
#include "filter/update.h"
#include "proxy/control.h"
#include "proxy/link.h"
#include "proxy/registry.h"

/* ---- plain actions */
static void act_done(struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    if (error < 0) {
        exchange_failed(x, error);
        return;
    }
    if (res->status != 200 && res->status != 204 && res->status != 304) {
        exchange_engine_error(x, res, body);
        return;
    }
    if (x->match.id == ROUTE_CONTAINER_REMOVE)
        registry_remove(x->proxy->registry, x->id);
    exchange_reply_empty(x, res->status);
}

void handlers_act_done(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct exchange *x = ctx;

    x->up = NULL;
    act_done(x, error, res, body);
}

void handle_act(struct exchange *x)
{
    exchange_fetch_route(x, &(struct route_upstream){0}, NULL, act_done);
}

void handle_remove(struct exchange *x)
{
    handle_act(x);
}

/* ---- start and restart: the engine resolves the mounts' sources anew, so what was staged before a reboot
 * must be staged again, at the same place */
struct restage {
    struct create_bind *binds; /* as the label names them; `staged` is where the engine looks for each now */
    size_t n, next;
    uint64_t stage_id; /* 0: none under way */
};

static void restage_free(struct exchange *x)
{
    struct restage *s = x->data;

    if (s->stage_id != 0)
        control_stage_cancel(x->proxy->control, s->stage_id);
    create_binds_free(s->binds, s->n);
    free(s);
}

static void restage_next(struct exchange *x);

static void restage_done(void *ctx, const char *path, const char *error)
{
    struct exchange *x = ctx;
    struct restage *s = x->data;

    s->stage_id = 0;
    if (error) {
        exchange_deny(x, 403, "bind-source", error);
        return;
    }
    /* A mount that had survived is given back under another name: the old one is what the engine uses. */
    if (strcmp(path, s->binds[s->next].staged) != 0)
        control_unstage(x->proxy->control, path);
    s->next++;
    restage_next(x);
}

static void restage_next(struct exchange *x)
{
    struct restage *s = x->data;
    struct control_bind want = {0};

    for (; s->next < s->n; s->next++) {
        const struct create_bind *b = &s->binds[s->next];

        /* A root itself is bound as it is; a source that the policy covers no more is not staged again. */
        want = (struct control_bind){.source = b->source,
            .root = policy_bind_root(x->proxy->policy, b->source),
            .path = b->staged,
            .readonly = b->inside && b->readonly};
        if (want.root && b->staged && strcmp(b->staged, b->source) != 0)
            break;
    }
    if (s->next == s->n) {
        registry_set_staging_done(x->proxy->registry, x->id);
        handle_act(x);
        return;
    }
    if (control_stage(x->proxy->control, &want, restage_done, x, &s->stage_id) < 0)
        exchange_failed(x, -ENOTCONN);
}

/* The engine's own word for the mount at `target`. */
static const char *mount_source(const json_t *mounts, const char *target)
{
    for (size_t k = 0; k < json_array_size(mounts); k++) {
        const json_t *m = json_array_get(mounts, k);
        const char *at = json_string_value(json_object_get(m, "Destination"));

        if (at && strcmp(at, target) == 0)
            return json_string_value(json_object_get(m, "Source"));
    }
    return NULL;
}

/* Where the engine looks for bind `i`: NULL and 0 when nobody knows. */
static int restage_path(const struct restage *s, size_t i, const json_t *mounts, char **ret)
{
    const struct create_bind *b = &s->binds[i];
    const char *source = b->inside ? NULL : mount_source(mounts, b->target);

    *ret = NULL;
    if (b->inside ? !s->binds[b->inside - 1].staged : !source)
        return 0;
    *ret = source ? strdup(source) : create_binds_path(s->binds, i);
    return *ret ? 0 : -ENOMEM;
}

/* The label names the true sources, the mounts say where the engine looks for them; what lies inside another
 * goes with it. */
static int restage_find(struct restage *s, const json_t *mounts)
{
    for (size_t i = 0; i < s->n; i++) {
        char *path;
        int r = restage_path(s, i, mounts, &path);

        if (r < 0)
            return r;
        free(s->binds[i].staged);
        s->binds[i].staged = path;
    }
    return 0;
}

static int restage_new(struct exchange *x, const json_t *inspect)
{
    struct restage *s = calloc(1, sizeof(*s));
    const json_t *labels = json_object_get(json_object_get(inspect, "Config"), "Labels");
    int r;

    if (!s)
        return -ENOMEM;
    x->data = s;
    x->data_free = restage_free;
    r = create_binds_from_labels(labels, &s->binds, &s->n);
    return r < 0 ? r : restage_find(s, json_object_get(inspect, "Mounts"));
}

static void start_inspected(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    _cleanup_json_ json_t *j = NULL;
    int r = error;

    if (r >= 0 && res->status >= 400) {
        exchange_engine_error(x, res, body);
        return;
    }
    if (r >= 0)
        r = res->status == 200 ? exchange_parse(body, &j) : -EBADMSG;
    if (r >= 0)
        r = restage_new(x, j);
    if (r < 0)
        exchange_failed(x, r);
    else
        restage_next(x);
}

void handle_start(struct exchange *x)
{
    char target[128];
    struct upstream_request r = {.method = HTTP1_GET, .target = target, .timeout_us = PROXY_ENGINE_TIMEOUT};

    if (!x->proxy->control || !registry_needs_staging(x->proxy->registry, x->id)) {
        handle_act(x);
        return;
    }
    (void)snprintf(target, sizeof(target), "/v1.%u/containers/%s/json", link_minor(x->proxy->link), x->id);
    exchange_fetch(x, &r, start_inspected);
}

/* ---- update, rename: off by default */
static void update_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    _cleanup_json_ json_t *out = NULL;

    if (error < 0) {
        exchange_failed(x, error);
    } else if (res->status != 200) {
        exchange_engine_error(x, res, body);
    } else {
        out = json_pack("{s:[]}", "Warnings");
        exchange_reply_json(x, 200, out);
    }
}

void handle_update(struct exchange *x)
{
    _cleanup_free_ char *body = NULL;
    struct update_model u = {0};
    struct refusal refusal = {0};

    if (update_parse(x->proxy->policy, x->json, &u, &refusal) < 0)
        exchange_refuse(x, &refusal);
    else if (update_render(&u, &body) < 0)
        exchange_failed(x, -ENOMEM);
    else
        exchange_fetch_route(x, &(struct route_upstream){0}, body, update_done);
}

static void rename_done(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    if (error < 0) {
        exchange_failed(x, error);
        return;
    }
    if (res->status == 409) { /* its text names the container that has the name: perhaps another tenant's */
        exchange_reply_message(x, 409, "Conflict. The container name is already in use.");
        return;
    }
    if (res->status == 204 && registry_rename(x->proxy->registry, x->id, x->data) < 0)
        registry_remove(x->proxy->registry, x->id); /* fails closed: the next list brings it back */
    act_done(x, error, res, body);
}

static void rename_free(struct exchange *x)
{
    free(x->data);
}

void handle_rename(struct exchange *x)
{
    const char *name = route_arg(&x->match, "name");
    char engine_name[NAMES_ENGINE_MAX + 1];
    struct err e = {0};
    int r = names_to_engine(x->proxy->names, name ? name : "", engine_name, &e);

    if (r < 0) {
        exchange_deny(x, r == -EINVAL ? 400 : 403, "name", e.msg);
        return;
    }
    x->data = strdup(engine_name);
    x->data_free = rename_free;
    if (!x->data)
        exchange_failed(x, -ENOMEM);
    else
        exchange_fetch_route(x, &(struct route_upstream){.name = engine_name}, NULL, rename_done);
}
