/* containers.h: the engine's containers and images as typed requests. Each is one engine_request():
 * asynchronous, `ret` may be NULL, -errno when not started. `id` is an id or a name. */
#pragma once

#include "engine/engine.h"

/* GET /containers/json, running or not. `label` is "key" or "key=value", NULL for all. */
int containers_list(
    struct engine *e, const char *label, engine_fn fn, void *userdata, struct engine_call **ret);
int containers_inspect(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret);
/* 201 {"Id","Warnings"}; 404: no such image; 409: the name is taken. `body` is borrowed for the call. */
int containers_create(struct engine *e, const char *name, const json_t *body, engine_fn fn, void *userdata,
    struct engine_call **ret);
/* 204, or 304: it runs already. */
int containers_start(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret);

/* The engine waits up to `stop_timeout_us` (rounded up to seconds) before it kills; the deadline of the
 * request is that plus 15 s, so that a slow stop that works is not reported as failed. Stop: 204, or 304 when
 * it had stopped. */
int containers_stop(struct engine *e, const char *id, uint64_t stop_timeout_us, engine_fn fn, void *userdata,
    struct engine_call **ret);
int containers_restart(struct engine *e, const char *id, uint64_t stop_timeout_us, engine_fn fn,
    void *userdata, struct engine_call **ret);

/* `signal`: "SIGKILL", "HUP", ... 409: it does not run. */
int containers_kill(struct engine *e, const char *id, const char *signal, engine_fn fn, void *userdata,
    struct engine_call **ret);
int containers_pause(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret);
int containers_unpause(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret);
int containers_rename(struct engine *e, const char *id, const char *new_name, engine_fn fn, void *userdata,
    struct engine_call **ret);
/* Never removes volumes, not even anonymous ones: nothing of a tenant's is lost by a redeploy. */
int containers_remove(
    struct engine *e, const char *id, bool force, engine_fn fn, void *userdata, struct engine_call **ret);
/* POST /containers/ID/update: limits in force without a restart. */
int containers_update(struct engine *e, const char *id, const json_t *body, engine_fn fn, void *userdata,
    struct engine_call **ret);

int containers_image_inspect(
    struct engine *e, const char *image, engine_fn fn, void *userdata, struct engine_call **ret);
