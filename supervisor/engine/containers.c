/* containers.c: see containers.h. Builds paths and deadlines; must not interpret answers. */
#include "engine/containers.h"

#include <errno.h>

#include "base/buf.h"
#include "engine/query.h"

#define READ_TIMEOUT_US (15 * USEC_PER_SEC)
/* Create and start set up mounts, networks and cgroups, on a busy disk; remove deletes layers. */
#define WRITE_TIMEOUT_US (60 * USEC_PER_SEC)
/* On top of the stop timeout: the engine's own work around it. */
#define STOP_SLACK_US (15 * USEC_PER_SEC)

/* METHOD /containers/ID/ACTION (ACTION with its '/', or ""), with `query` already encoded. */
struct request {
    const char *method, *action, *query;
    const json_t *body;
    uint64_t timeout_us;
};

static int request(struct engine *e, const char *id, const struct request *q, engine_fn fn, void *userdata,
    struct engine_call **ret)
{
    _cleanup_free_ char *escaped = engine_escape(id);
    _cleanup_buf_ struct buf path = {};
    int r;

    /* An empty id would ask for something else altogether. */
    if (!*id)
        return -EINVAL;
    if (!escaped)
        return -ENOMEM;
    r = buf_addf(&path, "/containers/%s%s%s", escaped, q->action, q->query ? q->query : "");
    if (r < 0)
        return r;
    return engine_request(e, q->method, path.data, q->body, q->timeout_us, fn, userdata, ret);
}

int containers_list(
    struct engine *e, const char *label, engine_fn fn, void *userdata, struct engine_call **ret)
{
    _cleanup_buf_ struct buf path = {};
    int r;

    r = buf_adds(&path, "/containers/json?all=true");
    if (r >= 0 && label)
        r = query_add_label(&path, '&', label);
    if (r < 0)
        return r;
    return engine_request(e, "GET", path.data, NULL, READ_TIMEOUT_US, fn, userdata, ret);
}

int containers_inspect(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret)
{
    const struct request q = {.method = "GET", .action = "/json", .timeout_us = READ_TIMEOUT_US};

    return request(e, id, &q, fn, userdata, ret);
}

int containers_create(struct engine *e, const char *name, const json_t *body, engine_fn fn, void *userdata,
    struct engine_call **ret)
{
    _cleanup_free_ char *escaped = engine_escape(name);
    _cleanup_buf_ struct buf path = {};
    int r;

    if (!escaped)
        return -ENOMEM;
    r = buf_addf(&path, "/containers/create?name=%s", escaped);
    if (r < 0)
        return r;
    return engine_request(e, "POST", path.data, body, WRITE_TIMEOUT_US, fn, userdata, ret);
}

int containers_start(struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret)
{
    const struct request q = {.method = "POST", .action = "/start", .timeout_us = WRITE_TIMEOUT_US};

    return request(e, id, &q, fn, userdata, ret);
}

static int stop_like(struct engine *e, const char *id, const char *action, uint64_t stop_timeout_us,
    engine_fn fn, void *userdata, struct engine_call **ret)
{
    _cleanup_buf_ struct buf query = {};
    uint64_t seconds = stop_timeout_us / USEC_PER_SEC + (stop_timeout_us % USEC_PER_SEC ? 1 : 0);
    int r;

    if (stop_timeout_us > USEC_PER_DAY)
        return -EINVAL;
    r = buf_addf(&query, "?t=%llu", (unsigned long long)seconds);
    if (r < 0)
        return r;
    const struct request q = {.method = "POST",
        .action = action,
        .query = query.data,
        .timeout_us = seconds * USEC_PER_SEC + STOP_SLACK_US};
    return request(e, id, &q, fn, userdata, ret);
}

int containers_stop(struct engine *e, const char *id, uint64_t stop_timeout_us, engine_fn fn, void *userdata,
    struct engine_call **ret)
{
    return stop_like(e, id, "/stop", stop_timeout_us, fn, userdata, ret);
}

int containers_restart(struct engine *e, const char *id, uint64_t stop_timeout_us, engine_fn fn,
    void *userdata, struct engine_call **ret)
{
    return stop_like(e, id, "/restart", stop_timeout_us, fn, userdata, ret);
}

int containers_kill(struct engine *e, const char *id, const char *signal, engine_fn fn, void *userdata,
    struct engine_call **ret)
{
    _cleanup_free_ char *escaped = engine_escape(signal);
    _cleanup_buf_ struct buf query = {};
    int r;

    if (!escaped)
        return -ENOMEM;
    r = buf_addf(&query, "?signal=%s", escaped);
    if (r < 0)
        return r;
    const struct request q = {
        .method = "POST", .action = "/kill", .query = query.data, .timeout_us = WRITE_TIMEOUT_US};
    return request(e, id, &q, fn, userdata, ret);
}

int containers_pause(struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret)
{
    const struct request q = {.method = "POST", .action = "/pause", .timeout_us = WRITE_TIMEOUT_US};

    return request(e, id, &q, fn, userdata, ret);
}

int containers_unpause(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret)
{
    const struct request q = {.method = "POST", .action = "/unpause", .timeout_us = WRITE_TIMEOUT_US};

    return request(e, id, &q, fn, userdata, ret);
}

int containers_rename(struct engine *e, const char *id, const char *new_name, engine_fn fn, void *userdata,
    struct engine_call **ret)
{
    _cleanup_free_ char *escaped = engine_escape(new_name);
    _cleanup_buf_ struct buf query = {};
    int r;

    if (!escaped)
        return -ENOMEM;
    r = buf_addf(&query, "?name=%s", escaped);
    if (r < 0)
        return r;
    const struct request q = {
        .method = "POST", .action = "/rename", .query = query.data, .timeout_us = READ_TIMEOUT_US};
    return request(e, id, &q, fn, userdata, ret);
}

int containers_remove(
    struct engine *e, const char *id, bool force, engine_fn fn, void *userdata, struct engine_call **ret)
{
    /* `v` is spelled out: the default of an API is not ours to rely on when data is at stake. */
    const struct request q = {.method = "DELETE",
        .action = "",
        .query = force ? "?v=false&force=true" : "?v=false",
        .timeout_us = WRITE_TIMEOUT_US};

    return request(e, id, &q, fn, userdata, ret);
}

int containers_update(struct engine *e, const char *id, const json_t *body, engine_fn fn, void *userdata,
    struct engine_call **ret)
{
    const struct request q = {
        .method = "POST", .action = "/update", .body = body, .timeout_us = READ_TIMEOUT_US};

    return request(e, id, &q, fn, userdata, ret);
}

int containers_image_inspect(
    struct engine *e, const char *image, engine_fn fn, void *userdata, struct engine_call **ret)
{
    _cleanup_free_ char *escaped = engine_escape(image);
    _cleanup_buf_ struct buf path = {};
    int r;

    if (!*image)
        return -EINVAL;
    if (!escaped)
        return -ENOMEM;
    r = buf_addf(&path, "/images/%s/json", escaped);
    if (r < 0)
        return r;
    return engine_request(e, "GET", path.data, NULL, READ_TIMEOUT_US, fn, userdata, ret);
}
