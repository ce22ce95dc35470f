/* removal.c: see removal.h. One engine call after the other; a tenant that comes back meanwhile ends it. Must
 * not touch a container or network without the tenant's label. */
#include "daemon/removal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/manager.h"
#include "daemon/spec.h"

#define LIST_TIMEOUT_US (20 * USEC_PER_SEC)
#define GATEWAY_STOP_S 30U
#define SANDBOX_STOP_S 5U
#define STOP_MARGIN_US (15 * USEC_PER_SEC)
#define REMOVE_TIMEOUT_US (60 * USEC_PER_SEC)
#define REMOVALS_MAX 16

struct removal {
    struct removal *next;
    struct manager *manager;
    struct control_request *req; /* NULL: the client went away; the work goes on */
    char slug[SLUG_MAX + 1], network[64];
    bool volumes; /* anonymous ones go with their container */
    struct engine_call *call;
    json_t *members; /* of the engine's list */
    size_t at, removed;
    uid_t uid;
};

static struct removal *removal_free(struct removal *v)
{
    struct removal **p = &v->manager->removals;

    while (*p && *p != v)
        p = &(*p)->next;
    if (*p)
        *p = v->next;
    engine_call_cancel(v->call);
    json_decref(v->members);
    if (v->req)
        control_end(v->req);
    free(v);
    return NULL;
}

void removals_forget(struct manager *m)
{
    while (m->removals)
        (void)removal_free(m->removals);
}

static void on_gone(struct control_request *req, void *userdata)
{
    struct removal *v = userdata;

    v->req = NULL;
    control_end(req);
}

static void refuse(struct removal *v, const char *error, const char *hint)
{
    struct control_request *req = TAKE_PTR(v->req);

    log_warning("tenant %s: its containers were not all removed: %s", v->slug, error);
    if (req)
        (void)control_error_with(
            req, CONTROL_REFUSED, error, hint, json_pack("{s:I}", "containers", (json_int_t)v->removed));
    (void)removal_free(v);
}

static void done(struct removal *v, bool network)
{
    struct control_request *req = TAKE_PTR(v->req);

    log_notice("tenant %s: %zu containers%s removed, asked by uid %u", v->slug, v->removed,
        network ? " and its network" : "", (unsigned)v->uid);
    if (req)
        (void)control_reply(req, json_pack("{s:s, s:I, s:b}", "text", "removed", "containers",
                                     (json_int_t)v->removed, "network", (int)network));
    (void)removal_free(v);
}

/* Issues the next call, unless the tenant came back or the engine cannot be asked. */
static void ask(struct removal *v, const char *method, const char *path, uint64_t timeout_us, engine_fn fn)
{
    int r;

    if (manager_find(v->manager, v->slug)) {
        refuse(v, "the tenant came back into the configuration", NULL);
        return;
    }
    r = path ? engine_request(v->manager->engine, method, path, NULL, timeout_us, fn, v, &v->call) : -ENOMEM;
    if (r < 0)
        refuse(v, strerror(-r), NULL);
}

/* ---------------------------------------------------------------- the network */

static void on_network_removed(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct removal *v = userdata;

    (void)e;
    v->call = NULL;
    if (a->result == ENGINE_OK && (a->status < 300 || a->status == 404))
        done(v, a->status < 300);
    else
        refuse(v, a->message, "something else uses its network: docker network inspect says what");
}

static void on_network(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct removal *v = userdata;
    const char *label =
        json_string_value(json_object_get(json_object_get(a->body, "Labels"), SPEC_LABEL_TENANT));
    char path[128];

    (void)e;
    v->call = NULL;
    if (a->result != ENGINE_OK || (a->status != 200 && a->status != 404)) {
        refuse(v, a->message, "try again");
    } else if (a->status == 404 || !label || strcmp(label, v->slug) != 0) {
        done(v, false);
    } else {
        (void)snprintf(path, sizeof(path), "/networks/%s", v->network);
        ask(v, "DELETE", path, REMOVE_TIMEOUT_US, on_network_removed);
    }
}

static void remove_network(struct removal *v)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "/networks/%s", v->network);
    ask(v, "GET", path, LIST_TIMEOUT_US, on_network);
}

/* ---------------------------------------------------------------- containers */

static void next_member(struct removal *v);

static const char *member_id(const struct removal *v)
{
    const char *id = json_string_value(json_object_get(json_array_get(v->members, v->at), "Id"));

    return id ? id : "";
}

static void on_removed(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct removal *v = userdata;

    (void)e;
    v->call = NULL;
    /* 404, 409: somebody else removed it, or is at it. */
    if (a->result != ENGINE_OK || (a->status >= 300 && a->status != 404 && a->status != 409)) {
        refuse(v, a->message, "try again");
        return;
    }
    v->removed += a->status < 300;
    v->at++;
    next_member(v);
}

/* Stopped, or not to be stopped: it goes all the same. */
static void on_stopped(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct removal *v = userdata;
    _cleanup_free_ char *path = NULL;

    (void)e;
    (void)a;
    v->call = NULL;
    if (asprintf(&path, "/containers/%s?force=1&v=%d", member_id(v), v->volumes) < 0)
        path = NULL;
    ask(v, "DELETE", path, REMOVE_TIMEOUT_US, on_removed);
}

/* Sandboxes hold nothing that a longer farewell would save. */
static unsigned stop_seconds(const struct removal *v)
{
    const json_t *labels = json_object_get(json_array_get(v->members, v->at), "Labels");
    const char *role = json_string_value(json_object_get(labels, SPEC_LABEL_ROLE));

    return role && strcmp(role, "gateway") == 0 ? GATEWAY_STOP_S : SANDBOX_STOP_S;
}

static void next_member(struct removal *v)
{
    _cleanup_free_ char *path = NULL;
    unsigned t = stop_seconds(v);

    if (v->at >= json_array_size(v->members)) {
        remove_network(v);
        return;
    }
    if (asprintf(&path, "/containers/%s/stop?t=%u", member_id(v), t) < 0)
        path = NULL;
    ask(v, "POST", path, t * USEC_PER_SEC + STOP_MARGIN_US, on_stopped);
}

static void on_members(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct removal *v = userdata;

    (void)e;
    v->call = NULL;
    if (a->result != ENGINE_OK || a->status != 200 || !json_is_array(a->body)) {
        refuse(v, a->message, "start the engine first");
        return;
    }
    v->members = json_incref(a->body);
    next_member(v);
}

static void list_members(struct removal *v)
{
    _cleanup_free_ char *path = NULL, *filter = NULL, *escaped = NULL;

    if (asprintf(&filter, "{\"label\":[\"%s=%s\"]}", SPEC_LABEL_TENANT, v->slug) < 0)
        filter = NULL;
    escaped = filter ? engine_escape(filter) : NULL;
    if (!escaped || asprintf(&path, "/containers/json?all=1&filters=%s", escaped) < 0)
        path = NULL;
    ask(v, "GET", path, LIST_TIMEOUT_US, on_members);
}

/* ---------------------------------------------------------------- the verb */

static size_t count(const struct manager *m, const char *slug, bool *ret_same)
{
    size_t n = 0;

    *ret_same = false;
    for (const struct removal *v = m->removals; v; v = v->next, n++)
        *ret_same = *ret_same || strcmp(v->slug, slug) == 0;
    return n;
}

int removal_verb(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    const char *slug = NULL;
    bool volumes = false, same;
    struct removal *v;

    if (control_request_string(req, "tenant", &slug) < 0 || !slug || !str_is_slug(slug) ||
        control_request_bool(req, "volumes", &volumes) < 0)
        return control_error(req, CONTROL_USAGE, "malformed field", "tenant: slug; volumes: true or false");
    if (manager_find(m, slug))
        return control_error(req, CONTROL_REFUSED, "the tenant is in the configuration",
            "take its file out of tenants_dir and reload; `clawsup remove` does both");
    if (count(m, slug, &same) >= REMOVALS_MAX || same)
        return control_error(
            req, CONTROL_BUSY, same ? "it is being removed" : "too many are being removed", NULL);
    v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    *v = (struct removal){.next = m->removals,
        .manager = m,
        .req = req,
        .volumes = volumes,
        .uid = control_request_peer(req)->uid};
    (void)snprintf(v->slug, sizeof(v->slug), "%s", slug);
    spec_network_name(v->network, sizeof(v->network), slug);
    m->removals = v;
    control_request_on_gone(req, on_gone, v);
    list_members(v);
    return 0;
}
