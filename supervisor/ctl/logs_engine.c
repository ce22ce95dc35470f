/* logs_engine.c: container logs through the engine, with the caller's own rights. Sends GET requests and
 * nothing else. */
#include "ctl/logs_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/text.h"

#define LABEL_TENANT "clawsup.tenant"
#define LABEL_ROLE "clawsup.role"
#define LABEL_COMPONENT "clawsup.component"
#define LIST_TIMEOUT_US (10 * USEC_PER_SEC)
#define READ_TIMEOUT_US (60 * USEC_PER_SEC)
#define WAITING_MAX ((size_t)1024 * 1024)

/* ---------------------------------------------------------------- reading */

static void on_line(uint64_t at_us, bool is_stderr, const char *text, void *userdata)
{
    struct logs_container *k = userdata;

    /* After a break the engine repeats the second that it was in. */
    if (at_us != 0 && at_us <= k->last_us)
        return;
    k->last_us = MAX(k->last_us, at_us);
    logs_take(k->logs, at_us, k->source, is_stderr ? "stderr" : "stdout", text);
}

static int on_data(long status, struct buf *body, void *userdata)
{
    struct logs_container *k = userdata;

    return status == 200 ? logs_stream_feed(&k->stream, body, on_line, k) : 0;
}

static void on_end(const struct transfer_outcome *o, void *userdata)
{
    struct logs_container *k = userdata;

    if (o->result == TRANSFER_OK && o->status != 200 && o->status != 404 && o->status != 409)
        (void)fprintf(stderr, "clawsup logs: %s: the engine answers %ld\n", k->source, o->status);
    k->transfer = NULL;
    k->logs->reading--;
}

static void read_container(struct logs_container *k)
{
    const struct logs_options *o = k->logs->o;
    uint64_t since = MAX(o->since_us, k->last_us);
    char url[320], tail[32] = "all";
    struct transfer_spec spec = {.url = url,
        .unix_socket = o->engine_socket,
        .max_body = WAITING_MAX,
        .timeout_us = o->follow ? 0 : READ_TIMEOUT_US,
        .data = on_data};

    if (k->last_us == 0)
        (void)snprintf(tail, sizeof(tail), "%" PRIu64, o->lines);
    (void)snprintf(url, sizeof(url),
        "http://localhost/containers/%s/logs?stdout=1&stderr=1&timestamps=1&tail=%s&since=%" PRIu64
        ".%06" PRIu64 "%s",
        k->id, tail, since / USEC_PER_SEC, since % USEC_PER_SEC, o->follow ? "&follow=1" : "");
    logs_stream_reset(&k->stream);
    if (transfer_start(k->logs->multi, &spec, on_end, k, &k->transfer) >= 0)
        k->logs->reading++;
}

/* ---------------------------------------------------------------- which containers */

/* "gateway", "sandbox 1", the name of another component. */
static void name_source(const json_t *row, const char *role, char *out, size_t n)
{
    const char *component = text_of(json_object_get(row, "Labels"), LABEL_COMPONENT);
    const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
    char text[128];

    if (strcmp(role, "component") == 0 && *component)
        (void)snprintf(text, sizeof(text), "%s", component);
    else if (strcmp(role, "gateway") == 0 || !name)
        (void)snprintf(text, sizeof(text), "%s", *role ? role : "container");
    else
        (void)snprintf(text, sizeof(text), "%s", name + (name[0] == '/'));
    text_safe(out, n, text);
}

static bool is_wanted(const struct logs_options *o, const char *role, const char *source)
{
    return !o->component || strcmp(o->component, source) == 0 ||
           (strcmp(o->component, "sandbox") == 0 && strcmp(role, "sandbox") == 0);
}

static struct logs_container *find(struct logs *l, const char *id)
{
    for (size_t i = 0; i < l->n_containers; i++)
        if (strcmp(l->containers[i]->id, id) == 0)
            return l->containers[i];
    return NULL;
}

static struct logs_container *add(struct logs *l, const char *id, const char *source)
{
    struct logs_container *k;

    if (l->n_containers == LOGS_CONTAINERS_MAX || !str_is_hex(id, 64))
        return NULL;
    k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->logs = l;
    (void)snprintf(k->id, sizeof(k->id), "%s", id);
    (void)snprintf(k->source, sizeof(k->source), "%s", source);
    l->containers[l->n_containers++] = k;
    return k;
}

static void forget(struct logs *l, size_t i)
{
    struct logs_container *k = l->containers[i];

    if (k->transfer) {
        k->transfer = transfer_free(k->transfer);
        l->reading--;
    }
    logs_stream_reset(&k->stream);
    free(k);
    l->containers[i] = l->containers[--l->n_containers];
}

/* A new one is read; one that was read to its end goes on once it runs again. */
static void take_row(struct logs *l, const json_t *row)
{
    const char *id = text_of(row, "Id"), *role = text_of(json_object_get(row, "Labels"), LABEL_ROLE);
    struct logs_container *k = find(l, id);
    char source[64];
    bool fresh = !k;

    name_source(row, role, source, sizeof(source));
    if (!k && is_wanted(l->o, role, source))
        k = add(l, id, source);
    if (!k)
        return;
    k->seen = true;
    if (!k->transfer && (fresh || strcmp(text_of(row, "State"), "running") == 0))
        read_container(k);
}

/* Containers that carry no label of ours: external components, which the daemon found by name or label. */
static void take_external(struct logs *l)
{
    _cleanup_json_ json_t *request = ctl_request("status", l->o->tenant), *reply = NULL;
    const json_t *list;

    if (ctl_ask(l->o->c, request, LIST_TIMEOUT_US, &reply, NULL) < 0)
        return;
    list = json_object_get(json_array_get(json_object_get(reply, "tenants"), 0), "components");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i), *k = json_object_get(c, "container");
        struct logs_container *known = find(l, text_of(k, "id"));
        bool fresh = !known;

        if (strcmp(text_of(c, "mode"), "external") != 0 || !is_wanted(l->o, "", text_of(c, "name")))
            continue;
        known = known ? known : add(l, text_of(k, "id"), text_of(c, "name"));
        if (!known)
            continue;
        known->seen = true;
        if (!known->transfer && (fresh || strcmp(text_of(k, "state"), "running") == 0))
            read_container(known);
    }
}

static void on_list(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct logs *l = userdata;

    (void)e;
    l->listed = true;
    l->list_failed = a->result != ENGINE_OK || a->status != 200;
    if (l->list_failed) {
        (void)err_set(&l->engine_why, -EIO, "%s", a->message);
        return;
    }
    for (size_t i = 0; i < l->n_containers; i++)
        l->containers[i]->seen = false;
    for (size_t i = 0; i < json_array_size(a->body); i++)
        take_row(l, json_array_get(a->body, i));
    take_external(l);
    for (size_t i = l->n_containers; i-- > 0;)
        if (!l->containers[i]->seen && !l->containers[i]->transfer)
            forget(l, i);
}

void logs_engine_list(struct logs *l)
{
    char filter[128];
    _cleanup_free_ char *escaped = NULL, *path = NULL;

    if (l->o->component && strcmp(l->o->component, "clawsupd") == 0) {
        l->listed = true;
        return;
    }
    (void)snprintf(filter, sizeof(filter), "{\"label\":[\"%s=%s\"]}", LABEL_TENANT, l->o->tenant);
    escaped = engine_escape(filter);
    if (!escaped || asprintf(&path, "/containers/json?all=1&filters=%s", escaped) < 0 ||
        engine_request(l->engine, "GET", path, NULL, LIST_TIMEOUT_US, on_list, l, NULL) < 0) {
        l->listed = l->list_failed = true;
        (void)err_set(&l->engine_why, -EIO, "it cannot be asked");
    }
}

int logs_engine_start(struct logs *l)
{
    int r = multi_new(l->event, &l->multi);

    if (r >= 0)
        r = engine_new(l->event, l->o->engine_socket, &l->engine);
    if (r >= 0)
        logs_engine_list(l);
    return r;
}

void logs_engine_stop(struct logs *l)
{
    while (l->n_containers > 0)
        forget(l, l->n_containers - 1);
    l->engine = engine_free(l->engine);
    l->multi = multi_free(l->multi);
}
