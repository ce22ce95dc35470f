/* handlers_create.c: POST /containers/create, step by step: name, model, image id, staged binds, create,
 * inspect and compare. The container belongs to the tenant only after the last step; one that differs from
 * the model is removed. */
#include "proxy/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "filter/create.h"
#include "proxy/control.h"
#include "proxy/link.h"
#include "proxy/registry.h"

struct create_job {
    struct create_model *model;
    char client_name[NAMES_ENGINE_MAX + 1], engine_name[NAMES_ENGINE_MAX + 1];
    bool reserved, committed;
    size_t bind;       /* the next one to stage */
    uint64_t stage_id; /* 0: none under way */
    char id[65];
    json_t *answer;
};

static bool is_staged(const struct create_bind *b)
{
    return !b->inside && b->staged && strcmp(b->staged, b->source) != 0;
}

static void job_free(struct exchange *x)
{
    struct create_job *job = x->data;
    struct proxy *p = x->proxy;

    if (job->stage_id != 0 && p->control)
        control_stage_cancel(p->control, job->stage_id);
    for (size_t i = 0; job->model && !job->committed && i < job->model->n_binds; i++)
        if (is_staged(&job->model->binds[i]) && p->control)
            control_unstage(p->control, job->model->binds[i].staged);
    if (job->reserved)
        registry_release(p->registry, job->engine_name);
    (void)create_model_free(job->model);
    json_decref(job->answer);
    free(job);
}

/* The engine's text names the container that has the name; when it is not an own one, its id is nobody's
 * business. */
static void conflict(struct exchange *x, const char *id)
{
    const struct create_job *job = x->data;
    char message[512];

    if (id)
        (void)snprintf(message, sizeof(message),
            "Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove "
            "(or rename) "
            "that container to be able to reuse that name.",
            job->client_name, id);
    else
        (void)snprintf(message, sizeof(message),
            "Conflict. The container name \"/%s\" is already in use. You have to choose another name.",
            job->client_name);
    exchange_reply_message(x, 409, message);
}

/* ---- 6. compare, or remove */
static void removed(struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    const struct create_job *job = x->data;

    (void)body;
    if (error < 0 || (res->status != 204 && res->status != 404))
        log_error(
            "container %s differs from what was asked for and could not be removed; it stays out of reach",
            job->id);
    x->verdict = DECISION_ERROR;
    (void)snprintf(x->rule, sizeof(x->rule), "create.verify");
    exchange_reply_message(
        x, 500, "clawsup: the engine did not create what was asked for; the container was removed");
}

static void remove_unverified(struct exchange *x, const char *why)
{
    struct create_job *job = x->data;
    char target[128];
    struct upstream_request r = {
        .method = HTTP1_DELETE, .target = target, .timeout_us = PROXY_ENGINE_TIMEOUT};

    log_error("ALARM: container %s of \"%s\" is not what was asked for: %s; removing it", job->id,
        job->engine_name, why);
    (void)snprintf(x->reason, sizeof(x->reason), "%.255s", why);
    registry_ban(x->proxy->registry, job->id);
    (void)snprintf(
        target, sizeof(target), "/v1.%u/containers/%s?force=1&v=1", link_minor(x->proxy->link), job->id);
    exchange_fetch(x, &r, removed);
}

static int commit(struct exchange *x)
{
    struct create_job *job = x->data;
    struct registry *reg = x->proxy->registry;
    int r = registry_add(reg, job->id, job->engine_name);

    for (size_t i = 0; r >= 0 && i < job->model->n_binds; i++)
        if (is_staged(&job->model->binds[i]))
            r = registry_add_staged(reg, job->id, job->model->binds[i].staged);
    if (r < 0)
        return r;
    if (job->model->n_binds > 0)
        registry_set_binds(reg, job->id);
    registry_set_staging_done(reg, job->id);
    job->committed = true;
    memcpy(x->id, job->id, sizeof(x->id));
    return 0;
}

static void inspected(struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct create_job *job = x->data;
    _cleanup_json_ json_t *j = NULL;
    struct err e = {.msg = "it cannot be inspected"};

    if (error < 0 || res->status != 200 || exchange_parse(body, &j) < 0 ||
        create_verify(job->model, j, &e) < 0 || commit(x) < 0)
        remove_unverified(x, e.msg);
    else
        exchange_reply_json(x, 201, job->answer);
}

/* ---- 5. create */
static void created(struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct create_job *job = x->data;
    _cleanup_json_ json_t *j = NULL;
    char target[128];
    struct upstream_request r = {.method = HTTP1_GET, .target = target, .timeout_us = PROXY_ENGINE_TIMEOUT};

    if (error < 0) {
        exchange_failed(x, error);
    } else if (res->status == 409) {
        conflict(x, registry_find_engine_name(x->proxy->registry, job->engine_name));
    } else if (res->status == 404) {
        char message[640];
        (void)snprintf(message, sizeof(message), "No such image: %s", job->model->image);
        exchange_reply_message(x, 404, message);
    } else if (res->status != 201) {
        exchange_engine_error(x, res, body);
    } else if (exchange_parse(body, &j) < 0 || respond_create(j, job->id, &job->answer) < 0) {
        exchange_failed(x, -EBADMSG);
    } else {
        (void)snprintf(
            target, sizeof(target), "/v1.%u/containers/%s/json", link_minor(x->proxy->link), job->id);
        exchange_fetch(x, &r, inspected);
    }
}

static void create(struct exchange *x)
{
    struct create_job *job = x->data;
    _cleanup_free_ char *body = NULL;
    int r = create_render(job->model, link_minor(x->proxy->link), &body);

    if (r < 0) {
        exchange_failed(x, r == -ENODATA ? -EINVAL : r);
        return;
    }
    /* From here on a container may exist: the check behind it must happen whether or not the client waits for
     * it. */
    x->outlives = true;
    exchange_fetch_route(x, &(struct route_upstream){.name = job->engine_name}, body, created);
}

/* ---- 4. binds */
static void stage_next(struct exchange *x);

static void staged(void *ctx, const char *path, const char *error);

static void stage(struct exchange *x, const struct create_model *m, size_t i)
{
    const struct create_bind *b = &m->binds[i];
    struct create_job *job = x->data;
    _cleanup_free_ char *path = b->inside ? create_binds_path(m->binds, i) : NULL;
    struct control_bind want = {
        .source = b->source, .root = b->root, .path = path, .readonly = b->inside && b->readonly};

    if (b->inside && !path)
        exchange_failed(x, -ENOMEM);
    else if (control_stage(x->proxy->control, &want, staged, x, &job->stage_id) < 0)
        exchange_deny(x, 503, "bind-source", "the supervisor is being restarted; try again in a moment");
}

static void staged(void *ctx, const char *path, const char *error)
{
    struct exchange *x = ctx;
    struct create_job *job = x->data;

    job->stage_id = 0;
    if (error) {
        exchange_deny(x, 403, "bind-source", error);
        return;
    }
    if (create_set_staged(job->model, job->bind, path) < 0) {
        control_unstage(x->proxy->control, path);
        exchange_failed(x, -ENOMEM);
        return;
    }
    job->bind++;
    stage_next(x);
}

static void stage_next(struct exchange *x)
{
    struct create_job *job = x->data;

    for (; job->bind < job->model->n_binds; job->bind++) {
        const struct create_bind *b = &job->model->binds[job->bind];

        /* Alone, a root itself is trusted: its parents are root's, so no link can be put in the way. Under a
         * supervisor it is staged like the rest: the data root above it is writable by the gateway, which
         * could swap it. */
        if (!x->proxy->control && !b->inside && strcmp(b->source, b->root) == 0) {
            if (create_set_staged(job->model, job->bind, b->source) < 0) {
                exchange_failed(x, -ENOMEM);
                return;
            }
            continue;
        }
        if (!x->proxy->control) {
            exchange_deny(x, 403, "bind-source",
                "without clawsupd only the directories of ALLOW_BIND_MOUNT_FROM themselves can be bound, not "
                "a path below them, and none inside another");
            return;
        }
        stage(x, job->model, job->bind);
        return;
    }
    create(x);
}

/* ---- 3. the image's id, so that a tag that moves between here and there changes nothing */
static void image_found(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    struct create_job *job = x->data;
    _cleanup_json_ json_t *j = NULL;
    struct refusal refusal = {0};
    const char *id;

    if (error < 0) {
        exchange_failed(x, error);
        return;
    }
    if (res->status == 404) {
        char message[640];
        (void)snprintf(message, sizeof(message), "No such image: %s", job->model->image);
        exchange_reply_message(x, 404, message);
        return;
    }
    if (res->status != 200 || exchange_parse(body, &j) < 0) {
        exchange_failed(x, -EBADMSG);
        return;
    }
    id = json_string_value(json_object_get(j, "Id"));
    if (!id || create_set_image(job->model, id) < 0)
        exchange_failed(x, -EBADMSG);
    else if (create_check_image(job->model, j, &refusal) < 0)
        exchange_refuse(x, &refusal);
    else
        stage_next(x);
}

static void find_image(struct exchange *x)
{
    struct create_job *job = x->data;
    _cleanup_buf_ struct buf target = {0};
    struct upstream_request r = {.method = HTTP1_GET, .timeout_us = PROXY_ENGINE_TIMEOUT};

    if (buf_addf(&target, "/v1.%u/images/%s/json", link_minor(x->proxy->link), job->model->image) < 0) {
        exchange_failed(x, -ENOMEM);
        return;
    }
    r.target = target.data;
    exchange_fetch(x, &r, image_found);
}

/* ---- 1. the name, 2. the model */
static bool reserve(struct exchange *x)
{
    struct create_job *job = x->data;
    struct registry *reg = x->proxy->registry;
    const char *taken = registry_find_engine_name(reg, job->engine_name);
    char text[128];
    int r;

    if (taken) {
        conflict(x, taken);
        return false;
    }
    r = registry_reserve(reg, job->engine_name);
    job->reserved = r >= 0;
    if (r == -EDQUOT) {
        (void)snprintf(text, sizeof(text), "this tenant has its %llu containers already; remove one first",
            (unsigned long long)x->proxy->policy->max_containers);
        exchange_deny(x, 403, "max-containers", text);
    } else if (r == -EEXIST) {
        conflict(x, NULL);
    } else if (r < 0) {
        exchange_failed(x, r);
    }
    return r >= 0;
}

/* What will run, as far as the client says it: both parts, or what is recorded would not be the command. NULL
 * also when out of memory: the record then goes without. */
static json_t *argv_of(const struct create_model *m)
{
    json_t *a = json_array();

    if ((m->entrypoint && json_array_extend(a, m->entrypoint) < 0) ||
        (m->cmd && json_array_extend(a, m->cmd) < 0) || json_array_size(a) == 0) {
        json_decref(a);
        return NULL;
    }
    return a;
}

void handle_create(struct exchange *x)
{
    const char *name = route_arg(&x->match, "name");
    struct create_job *job = calloc(1, sizeof(*job));
    struct refusal refusal = {0};
    struct err e = {0};
    int r;

    if (!job) {
        exchange_failed(x, -ENOMEM);
        return;
    }
    x->data = job;
    x->data_free = job_free;
    r = names_to_engine(x->proxy->names, name ? name : "", job->engine_name, &e);
    if (r < 0) {
        exchange_deny(x, r == -EINVAL ? 400 : 403, "name", e.msg);
        return;
    }
    (void)snprintf(job->client_name, sizeof(job->client_name), "%s", name);
    if (create_parse(x->proxy->policy, name, x->json, &job->model, &refusal) < 0) {
        exchange_refuse(x, &refusal);
        return;
    }
    x->argv = argv_of(job->model);
    x->env = json_incref(job->model->env);
    x->image = strdup(job->model->image);
    if (reserve(x))
        find_image(x);
}
