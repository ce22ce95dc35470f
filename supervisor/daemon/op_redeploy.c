/* op_redeploy.c: performs the redeploy saga (recovery/saga.h) on the engine, one operation at a time, forward
 * and back. Volumes, binds and the workspace are never removed: no DELETE here carries v=1. */
#include "daemon/op.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/capture.h"
#include "daemon/messages.h"
#include "daemon/spec.h"

#define VERIFY_POLL_US (500 * USEC_PER_MSEC)
#define VERIFY_PLAIN_US (5 * USEC_PER_SEC) /* without a health check: running for so long */

static void perform(struct op *op);

static void advance(struct op *op, enum saga_result r)
{
    struct log_fields f = {.tenant = op->tenant->slug, .component = op->component->name};

    log_full(LOG_DEBUG, &f, "redeploy: %s: %s", saga_op_to_string(op->saga.op),
        r == SAGA_OK ? "done"
                     : (r == SAGA_MISSING ? "not there" : (r == SAGA_FAILED ? "failed" : "engine gone")));
    saga_step(&op->saga, r, op->old_running);
    perform(op);
}

static enum saga_result classify(const struct op *op, const struct engine_answer *a)
{
    if (op_engine_gone(op, a))
        return SAGA_ENGINE_GONE;
    if (a->status == 404)
        return SAGA_MISSING;
    return a->status >= 200 && a->status < 400 ? SAGA_OK : SAGA_FAILED;
}

/* Keeps the first reason: what comes after it is only the way back. */
static void remember_problem(struct op *op, const char *text)
{
    if (!op->problem[0])
        (void)snprintf(op->problem, sizeof(op->problem), "%s: %.250s", saga_op_to_string(op->saga.op), text);
}

static void on_done(struct op *op, const struct engine_answer *a)
{
    enum saga_result r = classify(op, a);

    if (r != SAGA_OK)
        remember_problem(op, a->message);
    advance(op, r);
}

static void on_tampered(struct op *op, const char *why)
{
    remember_problem(op, why);
    advance(op, SAGA_FAILED);
}

/* ---------------------------------------------------------------- single operations */

/* The container is gone: what was kept of it is what the new one is made from. */
static enum saga_result take_captured(struct op *op)
{
    struct err e = {0};
    char name[sizeof(op->name)];

    json_decref(op->body);
    op->body = NULL;
    if (capture_load(op->component, &op->body, name, sizeof(name), &e) >= 0)
        return SAGA_MISSING;
    remember_problem(op, e.msg[0] ? e.msg : "out of memory");
    return SAGA_FAILED;
}

static void on_old(struct op *op, const struct engine_answer *a)
{
    const char *id = json_string_value(json_object_get(a->body, "Id"));
    enum saga_result r = classify(op, a);

    if (r == SAGA_OK && (!id || !str_is_hex(id, 64)))
        r = SAGA_FAILED;
    if (r == SAGA_FAILED)
        remember_problem(op, op_inspect_problem(a));
    if (r == SAGA_OK) {
        (void)snprintf(op->old_id, sizeof(op->old_id), "%s", id);
        op->old_running = json_is_true(json_object_get(json_object_get(a->body, "State"), "Running"));
        if (op->component->mode == CONFIG_EXTERNAL && !op->body && spec_capture(a->body, &op->body) < 0)
            r = SAGA_FAILED;
        else if (op->component->mode == CONFIG_MANAGED && !spec_is_ours(a->body, op->tenant->slug))
            r = SAGA_FAILED;
        if (r == SAGA_FAILED)
            remember_problem(op, "the container that has its name is not clawsup's");
    }
    if (r == SAGA_MISSING && op->component->mode == CONFIG_EXTERNAL)
        r = take_captured(op);
    advance(op, r);
}

static void on_leftover(struct op *op, const struct engine_answer *a)
{
    const json_t *labels = json_object_get(json_object_get(a->body, "Config"), "Labels");
    const char *id = json_string_value(json_object_get(a->body, "Id"));
    enum saga_result r = classify(op, a);

    if (r == SAGA_MISSING) {
        advance(op, SAGA_OK);
    } else if (r == SAGA_OK && id && str_is_hex(id, 64) && json_object_get(labels, SPEC_LABEL_SAGA)) {
        op_call(op, on_done, "DELETE", NULL, OP_TIMEOUT_US, "/containers/%s?force=1", id);
    } else {
        remember_problem(op, "a container with the temporary name exists that is not clawsup's");
        advance(op, r == SAGA_ENGINE_GONE ? r : SAGA_FAILED);
    }
}

static void connect_next(struct op *op);

/* It was created, and is taken back: the saga knows nothing of it. */
static void on_unconnected(struct op *op, const struct engine_answer *a)
{
    advance(op, op_engine_gone(op, a) ? SAGA_ENGINE_GONE : SAGA_FAILED);
}

static void on_connected(struct op *op, const struct engine_answer *a)
{
    enum saga_result r = classify(op, a);

    if (r == SAGA_OK) {
        connect_next(op);
        return;
    }
    remember_problem(op, a->message);
    if (r == SAGA_ENGINE_GONE)
        advance(op, r);
    else
        op_call(op, on_unconnected, "DELETE", NULL, OP_TIMEOUT_US, "/containers/%s?force=1", op->new_id);
}

/* Engines before 25 take one network at create: the others follow, one by one, before the start. */
static void connect_next(struct op *op)
{
    _cleanup_json_ json_t *body = NULL, *endpoint = NULL;
    _cleanup_free_ char *network = NULL;
    const char *name = json_object_iter_key(json_object_iter(op->networks));

    if (!name) {
        advance(op, SAGA_OK);
        return;
    }
    network = engine_escape(name);
    endpoint = json_incref(json_object_get(op->networks, name));
    (void)json_object_del(op->networks, name);
    body = json_pack("{s:s, s:O}", "Container", op->new_id, "EndpointConfig", endpoint);
    if (!network || !body) {
        remember_problem(op, "out of memory");
        op_call(op, on_unconnected, "DELETE", NULL, OP_TIMEOUT_US, "/containers/%s?force=1", op->new_id);
        return;
    }
    op_call(op, on_connected, "POST", body, OP_TIMEOUT_US, "/networks/%s/connect", network);
}

/* Leaves the network that the container is created in, and sets the others aside. */
static int set_networks_aside(struct op *op)
{
    json_t *all = json_object_get(json_object_get(op->body, "NetworkingConfig"), "EndpointsConfig");
    const char *first =
        json_string_value(json_object_get(json_object_get(op->body, "HostConfig"), "NetworkMode"));
    _cleanup_json_ json_t *kept = json_object();

    if (!first || !json_object_get(all, first))
        first = json_object_iter_key(json_object_iter(all));
    json_decref(op->networks);
    op->networks = json_copy(all);
    if (json_object_size(all) < 2)
        return json_object_clear(op->networks);
    if (!op->networks || json_object_set(kept, first, json_object_get(all, first)) < 0 ||
        json_object_del(op->networks, first) < 0)
        return -ENOMEM;
    return json_object_set(json_object_get(op->body, "NetworkingConfig"), "EndpointsConfig", kept);
}

static void on_new(struct op *op, const struct engine_answer *a)
{
    const char *id = json_string_value(json_object_get(a->body, "Id"));
    enum saga_result r = classify(op, a);

    if (r == SAGA_OK && (!id || !str_is_hex(id, 64)))
        r = SAGA_FAILED;
    if (r != SAGA_OK) {
        remember_problem(op, a->message);
        advance(op, r);
        return;
    }
    (void)snprintf(op->new_id, sizeof(op->new_id), "%s", id);
    connect_next(op);
}

static int build_body(struct op *op, struct err *e)
{
    struct tenant *t = op->tenant;
    char hash[HASH_HEX_SIZE];
    json_t *labels;
    int r;

    if (op->component->mode == CONFIG_MANAGED) {
        json_decref(op->body);
        op->body = NULL;
        r = spec_container(
            t->config, op->component->extra, t->network_id, op_cgroup_parent(op), &op->body, hash, e);
        if (r < 0)
            return r;
    }
    labels = json_object_get(op->body, "Labels");
    if (!json_is_object(labels)) {
        labels = json_object();
        if (json_object_set_new(op->body, "Labels", labels) < 0)
            return err_set(e, -ENOMEM, "out of memory");
    }
    return json_object_set_new(labels, SPEC_LABEL_SAGA, json_string("new")) < 0
               ? err_set(e, -ENOMEM, "out of memory")
               : 0;
}

static void create_new(struct op *op)
{
    struct err e = {0};

    if (build_body(op, &e) < 0 || set_networks_aside(op) < 0) {
        remember_problem(op, e.msg[0] ? e.msg : "out of memory");
        advance(op, SAGA_FAILED);
        return;
    }
    op_call(op, on_new, "POST", op->body, OP_TIMEOUT_US, "/containers/create?name=%s.new", op->name);
}

/* ---------------------------------------------------------------- verify */

/* Enough good probes since the start of the new container. */
static bool probes_are_good(struct op *op)
{
    struct component *c = op->component;
    uint32_t need = c->health->rise ? c->health->rise : 1;
    uint64_t since = op->verify_until_us - c->health->start_deadline_us;
    int64_t since_real = realtime_now() - (int64_t)(manager_now(op->tenant->manager) - since);

    if (c->n_history < need || need > PROBE_HISTORY)
        return false;
    for (size_t i = 1; i <= need; i++) {
        const struct probe_record *p = &c->history[(c->n_history - i) % PROBE_HISTORY];
        if (p->result != CHECK_OK || p->at_us - (int64_t)p->duration_us < since_real)
            return false;
    }
    return true;
}

static void verify_poll(struct op *op);

static void on_verify(struct op *op, const struct engine_answer *a)
{
    struct component *c = op->component;
    uint64_t now = manager_now(op->tenant->manager),
             began = op->verify_until_us - c->health->start_deadline_us;
    enum saga_result r = classify(op, a);
    bool plain = c->health->type == CONFIG_CHECK_NONE || c->health->type == CONFIG_CHECK_DOCKER;
    struct docker_facts f = {0};

    if (r == SAGA_ENGINE_GONE) {
        advance(op, r);
        return;
    }
    if (r != SAGA_OK || docker_facts_from_inspect(a->body, &f) < 0 || f.state != DOCKER_RUNNING) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s, exit code %d", docker_state_to_string(f.state), f.exit_code);
        remember_problem(op, text);
        advance(op, SAGA_FAILED);
    } else if (plain ? now - began >= VERIFY_PLAIN_US && f.health != DOCKER_HEALTH_STARTING &&
                           f.health != DOCKER_HEALTH_UNHEALTHY
                     : probes_are_good(op)) {
        advance(op, SAGA_OK);
    } else if (now >= op->verify_until_us) {
        remember_problem(op, "never became healthy");
        advance(op, SAGA_FAILED);
    } else {
        op_wait(op, VERIFY_POLL_US, verify_poll);
    }
}

static void verify_poll(struct op *op)
{
    op_call(op, on_verify, "GET", NULL, OP_TIMEOUT_US, "/containers/%s/json", op->new_id);
}

static void on_new_started(struct op *op, const struct engine_answer *a)
{
    enum saga_result r = classify(op, a);

    if (r != SAGA_OK)
        remember_problem(op, a->message);
    else
        probe_arm(op->component, VERIFY_POLL_US);
    op->verify_until_us = manager_now(op->tenant->manager) + op->component->health->start_deadline_us;
    advance(op, r);
}

/* ---------------------------------------------------------------- the end */

static void conclude(struct op *op)
{
    const char *why = op->problem[0] ? op->problem : "no reason known";

    op->keep_on_engine_loss = false;
    switch (op->saga.outcome) {
    case SAGA_DONE:
        op_finish(op, REC_DONE_OK, "redeployed");
        break;
    case SAGA_REFUSED:
        op_finish(op, REC_DONE_REFUSED, "nothing was changed: %s", why);
        break;
    case SAGA_ROLLED_BACK:
        op_finish(op, REC_DONE_ROLLED_BACK, "to the old container: %s", why);
        break;
    case SAGA_SUSPENDED:
        op_finish(op, REC_DONE_ENGINE_GONE, "the engine is gone; it is picked up again after it is back");
        break;
    case SAGA_LEFT:
        op_finish(op, REC_DONE_FAILED, "the new container is kept, stopped, for its logs: %s", why);
        break;
    case SAGA_STUCK:
        manager_note(op->tenant, op->component, LOG_CRIT, MESSAGE_ACTION_FAILED, "alert",
            "redeploy and its way back both failed; what there is of %s, %s.old and %s.new is kept, look at "
            "it: "
            "%s",
            op->name, op->name, op->name, why);
        op_finish(op, REC_DONE_FAILED, "stuck: %s", why);
        break;
    case SAGA_RUNNING:
    case _SAGA_OUTCOME_MAX:
    default:
        op_finish(op, REC_DONE_FAILED, "redeploy ended in an unknown state");
        break;
    }
}

static const char *image_of(const struct op *op)
{
    const char *image;

    if (op->component->mode == CONFIG_MANAGED)
        return op->component->container->image;
    image = json_string_value(json_object_get(op->body, "Image"));
    return image ? image : "";
}

static void check_image(struct op *op)
{
    char *ref = engine_escape(image_of(op));

    if (ref) {
        op_call(op, on_done, "GET", NULL, OP_TIMEOUT_US, "/images/%s/json", ref);
        free(ref);
        return;
    }
    remember_problem(op, "out of memory");
    advance(op, SAGA_FAILED);
}

static void container_call(struct op *op, const char *method, const char *id, const char *suffix)
{
    op_call(op, on_done, method, NULL, op_stop_deadline(op), "/containers/%s%s", id, suffix);
}

static void rename_to(struct op *op, const char *id, const char *suffix)
{
    op_call(
        op, on_done, "POST", NULL, OP_TIMEOUT_US, "/containers/%s/rename?name=%s%s", id, op->name, suffix);
}

static void stop(struct op *op, const char *id)
{
    op_call(op, on_done, "POST", NULL, op_stop_deadline(op), "/containers/%s/stop?t=%u", id,
        (unsigned)(component_stop_timeout(op->component) / USEC_PER_SEC));
}

static void perform(struct op *op)
{
    switch (op->saga.op) {
    case SAGA_OP_INSPECT_OLD:
        op_call(op, on_old, "GET", NULL, OP_TIMEOUT_US, "/containers/%s/json",
            op->component->match_label && op->component->facts.id[0] ? op->component->facts.id : op->name);
        break;
    case SAGA_OP_CHECK_IMAGE:
        check_image(op);
        break;
    case SAGA_OP_CLEAR_LEFTOVER:
        op_call(op, on_leftover, "GET", NULL, OP_TIMEOUT_US, "/containers/%s.new/json", op->name);
        break;
    case SAGA_OP_CREATE_NEW:
        create_new(op);
        break;
    case SAGA_OP_RENAME_OLD:
        rename_to(op, op->old_id, ".old");
        break;
    case SAGA_OP_RENAME_NEW:
        rename_to(op, op->new_id, "");
        break;
    case SAGA_OP_STOP_OLD:
        stop(op, op->old_id);
        break;
    case SAGA_OP_START_NEW:
        op_start_container(op, op->new_id, on_new_started, on_tampered);
        break;
    case SAGA_OP_VERIFY:
        verify_poll(op);
        break;
    case SAGA_OP_REMOVE_OLD:
        container_call(op, "DELETE", op->old_id, "");
        break;
    case SAGA_OP_STOP_NEW:
        stop(op, op->new_id);
        break;
    case SAGA_OP_REMOVE_NEW:
        container_call(op, "DELETE", op->new_id, "?force=1");
        break;
    case SAGA_OP_RENAME_NEW_ASIDE:
        rename_to(op, op->new_id, ".new");
        break;
    case SAGA_OP_RENAME_OLD_BACK:
        rename_to(op, op->old_id, "");
        break;
    case SAGA_OP_START_OLD:
        op_start_container(op, op->old_id, on_done, on_tampered);
        break;
    case SAGA_OP_NONE:
    case _SAGA_OP_MAX:
    default:
        conclude(op);
        break;
    }
}

/* ---------------------------------------------------------------- picking up an interrupted one */

/* The id of the container if it is there and ours, or NULL. `saga`: it must also have been made by a
 * redeploy. */
static const char *ours(const struct op *op, const struct engine_answer *a, bool saga)
{
    const json_t *labels = json_object_get(json_object_get(a->body, "Config"), "Labels");
    const char *id = json_string_value(json_object_get(a->body, "Id"));

    if (classify(op, a) != SAGA_OK || !id || !str_is_hex(id, 64))
        return NULL;
    if (op->component->mode == CONFIG_MANAGED && !spec_is_ours(a->body, op->tenant->slug))
        return NULL;
    return saga && !json_object_get(labels, SPEC_LABEL_SAGA) ? NULL : id;
}

/* Nothing is decided from half a picture. */
static bool picture_is_lost(struct op *op, const struct engine_answer *a)
{
    if (classify(op, a) != SAGA_ENGINE_GONE)
        return false;
    op_finish(
        op, REC_DONE_ENGINE_GONE, "the engine is gone; the redeploy is picked up again after it is back");
    return true;
}

static void on_resume_new(struct op *op, const struct engine_answer *a)
{
    const char *id = ours(op, a, true);
    struct saga_facts *f = &op->facts;

    if (picture_is_lost(op, a))
        return;
    f->new_exists = id;
    /* NAME was given to the new container only after the old one had been renamed. */
    f->name_is_new = f->name_is_new && f->old_exists;
    if (f->name_is_new)
        memcpy(op->new_id, op->name_id, sizeof(op->new_id));
    else if (id)
        (void)snprintf(op->new_id, sizeof(op->new_id), "%s", id);
    if (f->name_exists && !f->name_is_new && !f->old_exists)
        memcpy(op->old_id, op->name_id, sizeof(op->old_id));
    op->verify_until_us = manager_now(op->tenant->manager) + op->component->health->start_deadline_us;
    saga_resume(&op->saga, f);
    perform(op);
}

static void on_resume_old(struct op *op, const struct engine_answer *a)
{
    const char *id = ours(op, a, false);

    if (picture_is_lost(op, a))
        return;
    op->facts.old_exists = id;
    if (id)
        (void)snprintf(op->old_id, sizeof(op->old_id), "%s", id);
    op_call(op, on_resume_new, "GET", NULL, OP_TIMEOUT_US, "/containers/%s.new/json", op->name);
}

static void on_resume_name(struct op *op, const struct engine_answer *a)
{
    const char *id = ours(op, a, false);

    if (picture_is_lost(op, a))
        return;
    /* Somebody else's container holds the name: whatever is there, it is not for us to move. */
    op->facts.name_exists = classify(op, a) != SAGA_MISSING;
    if (id) {
        op->facts.name_is_new = ours(op, a, true);
        op->facts.name_running = json_is_true(json_object_get(json_object_get(a->body, "State"), "Running"));
        (void)snprintf(op->name_id, sizeof(op->name_id), "%s", id);
    } else if (op->facts.name_exists) {
        op_finish(op, REC_DONE_REFUSED, "a container has its name that is not clawsup's");
        return;
    }
    op_call(op, on_resume_old, "GET", NULL, OP_TIMEOUT_US, "/containers/%s.old/json", op->name);
}

static void begin(struct op *op)
{
    const struct component *c = op->component;
    _cleanup_json_ json_t *body = NULL;

    (void)snprintf(op->name, sizeof(op->name), "%s", c->match_label ? c->found_name : c->container_name);
    if (!op->name[0]) /* found by a label, and not there since our start */
        (void)capture_load(c, &body, op->name, sizeof(op->name), NULL);
    op->keep_on_engine_loss = true;
}

void op_redeploy_resume(struct op *op)
{
    begin(op);
    op_call(op, on_resume_name, "GET", NULL, OP_TIMEOUT_US, "/containers/%s/json", op->name);
}

static void begin_saga(struct op *op)
{
    begin(op);
    saga_begin(&op->saga);
    perform(op);
}

void op_redeploy(struct op *op)
{
    if (op->component->mode == CONFIG_MANAGED)
        op_network(op, begin_saga);
    else if (op_reference(op->component) || capture_exists(op->component))
        begin_saga(op);
    else
        op_finish_absent(op);
}
