/* capture.c: see capture.h. The record is {"name": NAME, "body": CREATE BODY}. */
#include "daemon/capture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/spec.h"

static bool is_adopted(const struct component *c)
{
    return c == &c->tenant->gateway && c->mode == CONFIG_EXTERNAL;
}

/* As JSON text, or NULL. A container in the middle of a redeploy has a name that is not its own. */
static char *record_of(const json_t *inspect)
{
    const char *name = json_string_value(json_object_get(inspect, "Name")), *network;
    _cleanup_json_ json_t *body = NULL, *record = NULL;
    json_t *endpoint;
    size_t n = name ? strlen(name) : 0;

    if (n < 2 || name[0] != '/' ||
        (n > 5 && (strcmp(name + n - 4, ".old") == 0 || strcmp(name + n - 4, ".new") == 0)) ||
        spec_capture(inspect, &body) < 0)
        return NULL;
    (void)json_object_del(json_object_get(body, "Labels"), SPEC_LABEL_SAGA);
    /* A network that was made anew meanwhile has its name, and another id. */
    json_object_foreach(json_object_get(json_object_get(body, "NetworkingConfig"), "EndpointsConfig"),
        network, endpoint)(void) json_object_del(endpoint, "NetworkID");
    record = json_pack("{s:s, s:O}", "name", name + 1, "body", body);
    return record ? json_to_string(record) : NULL;
}

void capture_inspected(struct component *c, const json_t *inspect)
{
    struct manager *m = c->tenant->manager;
    _cleanup_free_ char *text = NULL, *kept = NULL;
    char hash[HASH_HEX_SIZE];
    struct err e = {0};
    int r;

    if (!is_adopted(c) || c->state != REC_HEALTHY || c->facts.state != DOCKER_RUNNING || c->tenant->op)
        return;
    text = record_of(inspect);
    if (!text)
        return;
    hash_hex(text, strlen(text), hash);
    if (strcmp(hash, c->captured) == 0)
        return;
    if (!c->captured[0] && store_get_spec(m->store, c->tenant->slug, &kept, NULL) >= 0 &&
        str_eq(kept, text)) {
        memcpy(c->captured, hash, sizeof(c->captured));
        return;
    }
    r = store_set_spec(m->store, c->tenant->slug, text, &e);
    if (r != -E2BIG)
        manager_store_result(m, r, &e);
    if (r < 0)
        return;
    memcpy(c->captured, hash, sizeof(c->captured));
    manager_note(c->tenant, c, LOG_INFO, NULL, "config",
        "its description is kept: should it be removed, it is made again as it is now");
}

int capture_load(
    const struct component *c, json_t **ret_body, char *ret_name, size_t name_size, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *record = NULL;
    const char *name;
    json_t *body;
    int r;

    if (!is_adopted(c))
        return err_set(e, -ENOENT, "it is not an adopted gateway");
    r = store_get_spec(c->tenant->manager->store, c->tenant->slug, &text, e);
    if (r == -ENOENT)
        return err_set(e, r, "its container is gone, and was never seen healthy");
    if (r < 0)
        return r;
    r = json_load_engine(text, strlen(text), STORE_SPEC_MAX, &record, e);
    if (r < 0)
        return r;
    name = json_string_value(json_object_get(record, "name"));
    body = json_object_get(record, "body");
    if (!name || !json_is_object(body))
        return err_set(e, -EUCLEAN, "what was kept of the container is not understood");
    /* The name that the configuration gives it comes first: it may have been renamed in both. */
    (void)snprintf(ret_name, name_size, "%s", c->match_label ? name : c->container_name);
    *ret_body = json_incref(body);
    return 0;
}

bool capture_exists(const struct component *c)
{
    _cleanup_json_ json_t *body = NULL;
    char name[256];

    return capture_load(c, &body, name, sizeof(name), NULL) >= 0;
}
