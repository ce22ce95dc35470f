/* handlers.c: see handlers.h: the table of routes, and whose object a reference is. A reference that does not
 * resolve here never reaches the engine. */
#include "proxy/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "proxy/link.h"
#include "proxy/registry.h"

static const struct {
    void (*run)(struct exchange *x);
    bool on_gateway; /* may name the tenant's own gateway container */
} handlers[_ROUTE_MAX] = {
    [ROUTE_PING] = {handle_ping, false},
    [ROUTE_VERSION] = {handle_version, false},
    [ROUTE_INFO] = {handle_info, false},
    [ROUTE_CONTAINER_LIST] = {handle_container_list, false},
    [ROUTE_IMAGE_LIST] = {handle_image_list, false},
    [ROUTE_EVENTS] = {handle_events, false},
    [ROUTE_CONTAINER_CREATE] = {handle_create, false},
    [ROUTE_CONTAINER_INSPECT] = {handle_inspect, true},
    [ROUTE_CONTAINER_TOP] = {handle_stream, false},
    [ROUTE_CONTAINER_LOGS] = {handle_stream, false},
    [ROUTE_CONTAINER_STATS] = {handle_stream, false},
    [ROUTE_CONTAINER_CHANGES] = {handle_stream, false},
    [ROUTE_CONTAINER_EXPORT] = {handle_stream, false},
    [ROUTE_ARCHIVE_GET] = {handle_archive, false},
    [ROUTE_ARCHIVE_HEAD] = {handle_archive, false},
    [ROUTE_ARCHIVE_PUT] = {NULL, false}, /* relay_upload() */
    [ROUTE_CONTAINER_START] = {handle_start, false},
    [ROUTE_CONTAINER_STOP] = {handle_act, false},
    [ROUTE_CONTAINER_KILL] = {handle_act, false},
    [ROUTE_CONTAINER_RESTART] = {handle_start, false},
    [ROUTE_CONTAINER_PAUSE] = {handle_act, false},
    [ROUTE_CONTAINER_UNPAUSE] = {handle_act, false},
    [ROUTE_CONTAINER_WAIT] = {handle_wait, false},
    [ROUTE_CONTAINER_RESIZE] = {handle_act, false},
    [ROUTE_CONTAINER_ATTACH] = {handle_attach, false},
    [ROUTE_CONTAINER_REMOVE] = {handle_remove, false},
    [ROUTE_CONTAINER_UPDATE] = {handle_update, false},
    [ROUTE_CONTAINER_RENAME] = {handle_rename, false},
    [ROUTE_EXEC_CREATE] = {handle_exec_create, true},
    [ROUTE_EXEC_START] = {handle_exec_start, false},
    [ROUTE_EXEC_RESIZE] = {handle_act, false},
    [ROUTE_EXEC_INSPECT] = {handle_exec_inspect, false},
    [ROUTE_IMAGE_INSPECT] = {handle_image_inspect, false},
    [ROUTE_IMAGE_HISTORY] = {handle_image_history, false},
    [ROUTE_IMAGE_PULL] = {handle_stream, false},
    [ROUTE_NETWORK_INSPECT] = {handle_network_inspect, false},
};

/* What keeps the engine busy for one tenant at the cost of all: walks over file systems, processes of the
 * host, a watch of the kernel's for each log that is followed. */
static bool is_costly(const struct exchange *x)
{
    switch ((int)x->match.id) {
    case ROUTE_CONTAINER_TOP:
    case ROUTE_CONTAINER_LOGS:
    case ROUTE_CONTAINER_STATS:
    case ROUTE_CONTAINER_CHANGES:
    case ROUTE_CONTAINER_EXPORT:
    case ROUTE_ARCHIVE_GET:
    case ROUTE_ARCHIVE_HEAD:
    case ROUTE_EVENTS:
    case ROUTE_IMAGE_LIST:
    case ROUTE_IMAGE_PULL:
        return true;
    default:
        return route_arg_bool(&x->match, "size", false);
    }
}

static void run(struct exchange *x)
{
    if (!handlers[x->match.id].run) { /* a row without a handler: nothing was decided, so nothing is done */
        exchange_deny(x, 403, "internal", "this request is not served");
        return;
    }
    if (is_costly(x)) {
        if (x->proxy->costly >= PROXY_COSTLY_MAX) {
            exchange_deny(x, 429, "costly", "too many requests of this kind at the same time");
            return;
        }
        x->costly = true;
        x->proxy->costly++;
    }
    if (!exchange_parse_body(x))
        return;
    handlers[x->match.id].run(x);
    /* A parsed document is many times its text: handlers keep their own models, never this. */
    json_decref(x->json);
    x->json = NULL;
}

bool handlers_resolve_own(struct exchange *x)
{
    const char *id = x->match.ref ? registry_find(x->proxy->registry, x->match.ref) : NULL;

    if (id)
        memcpy(x->id, id, sizeof(x->id));
    return id != NULL;
}

bool handlers_refuse_archive(struct exchange *x)
{
    if (!registry_has_binds(x->proxy->registry, x->id))
        return false;
    exchange_deny(x, 403, "archive-binds",
        "files of a container with binds are not copied by the engine; use exec, or the bound directory");
    return true;
}

/* ---- the tenant's own gateway: asked for by name, and only ever by that name, so that no answer tells
 * anything about another container */
static bool may_be_gateway(const struct exchange *x)
{
    const char *name = x->proxy->policy->gateway_name, *ref = x->match.ref;
    size_t len = strlen(ref);

    return name && names_is_valid(name, NAMES_ENGINE_MAX) &&
           (strcmp(ref, name) == 0 || (len >= 4 && str_is_hex(ref, len)));
}

static void gateway_found(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    _cleanup_json_ json_t *j = NULL;
    const char *name = x->proxy->policy->gateway_name, *id, *got;

    if (error < 0) {
        exchange_failed(x, error);
        return;
    }
    if (res->status != 200 || exchange_parse(body, &j) < 0) {
        exchange_absent(x);
        return;
    }
    id = json_string_value(json_object_get(j, "Id"));
    got = json_string_value(json_object_get(j, "Name"));
    if (!id || !str_is_hex(id, REGISTRY_ID_LEN) || !got || got[0] != '/' || strcmp(got + 1, name) != 0 ||
        (strcmp(x->match.ref, name) != 0 && !str_startswith(id, x->match.ref))) {
        exchange_absent(x);
        return;
    }
    if (!handlers[x->match.id].on_gateway) {
        exchange_deny(x, 403, "gateway", "this is the gateway's own container: it can be inspected, no more");
        return;
    }
    memcpy(x->id, id, sizeof(x->id));
    x->gateway = true;
    run(x);
}

static void find_gateway(struct exchange *x)
{
    char target[256];
    struct upstream_request r = {.method = HTTP1_GET, .target = target, .timeout_us = PROXY_ENGINE_TIMEOUT};

    (void)snprintf(target, sizeof(target), "/v1.%u/containers/%s/json", link_minor(x->proxy->link),
        x->proxy->policy->gateway_name);
    exchange_fetch(x, &r, gateway_found);
}

static void resolve_container(struct exchange *x)
{
    if (handlers_resolve_own(x))
        run(x);
    else if (may_be_gateway(x))
        find_gateway(x);
    else
        exchange_absent(x);
}

static void resolve_exec(struct exchange *x)
{
    const struct registry_exec *e = registry_exec_find(x->proxy->registry, x->match.ref);
    const struct policy *p = x->proxy->policy;

    /* An exec may have been named by the proxy before this one: that its container is own is looked at again.
     */
    if (!e || (!registry_has(x->proxy->registry, e->container) &&
                  policy_opt_in(p, p->allow_gateway_exec) == POLICY_REFUSED)) {
        exchange_absent(x);
        return;
    }
    memcpy(x->id, e->id, sizeof(x->id));
    run(x);
}

/* ---- an image by its id, which lists and containers show: it is one of the tenant's when the engine knows
 * it by a tag of the list. Only in full: a prefix could be somebody else's. */
static void image_found(
    struct exchange *x, int error, const struct http1_response *res, const struct buf *body)
{
    _cleanup_json_ json_t *j = NULL;
    const json_t *tags;

    if (error < 0) {
        exchange_failed(x, error);
        return;
    }
    if (res->status == 200 && exchange_parse(body, &j) >= 0) {
        tags = json_object_get(j, "RepoTags");
        for (size_t i = 0; i < json_array_size(tags); i++) {
            const char *tag = json_string_value(json_array_get(tags, i));

            if (tag && policy_allows_image(x->proxy->policy, tag)) {
                run(x);
                return;
            }
        }
    }
    exchange_absent(x);
}

static void resolve_image(struct exchange *x)
{
    static const char algorithm[] = "sha256:";
    const char *ref = x->match.ref;
    char target[128];
    struct upstream_request r = {.method = HTTP1_GET, .target = target, .timeout_us = PROXY_ENGINE_TIMEOUT};

    if (policy_allows_image(x->proxy->policy, ref)) {
        run(x);
    } else if (str_startswith(ref, algorithm) && str_is_hex(ref + sizeof(algorithm) - 1, REGISTRY_ID_LEN)) {
        (void)snprintf(target, sizeof(target), "/v1.%u/images/%s/json", link_minor(x->proxy->link), ref);
        exchange_fetch(x, &r, image_found);
    } else {
        exchange_absent(x);
    }
}

static void resolve_network(struct exchange *x)
{
    const struct policy *p = x->proxy->policy;

    if (!p->network_id || !str_is_hex(p->network_id, REGISTRY_ID_LEN) ||
        (strcmp(x->match.ref, p->network_id) != 0 && !str_eq(x->match.ref, p->network_name))) {
        exchange_absent(x);
        return;
    }
    memcpy(x->id, p->network_id, sizeof(x->id));
    run(x);
}

void handlers_run(struct exchange *x)
{
    if (!link_is_ready(x->proxy->link)) {
        exchange_failed(x, -ENOTCONN);
        return;
    }
    switch (x->match.ref_kind) {
    case ROUTE_REF_NONE:
        run(x);
        return;
    case ROUTE_REF_CONTAINER:
        resolve_container(x);
        return;
    case ROUTE_REF_EXEC:
        resolve_exec(x);
        return;
    case ROUTE_REF_IMAGE:
        resolve_image(x);
        return;
    case ROUTE_REF_NETWORK:
        resolve_network(x);
        return;
    case ROUTE_REF_VOLUME:
    case ROUTE_REF_PLUGIN:
        break;
    }
    exchange_absent(x);
}
