/* dryrun.c: see dryrun.h. The steps are those of recovery/saga.h itself, walked with every answer good. */
#include "daemon/dryrun.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "daemon/capture.h"
#include "daemon/op.h"
#include "daemon/spec.h"
#include "daemon/spec_diff.h"
#include "recovery/saga.h"

#define TIMEOUT_US (10 * USEC_PER_SEC)

/* What is asked, in this order. */
enum question { ASK_NAME, ASK_IMAGE, ASK_NEW, ASK_OLD, _ASK_MAX };

struct dryrun {
    struct dryrun *next;
    struct manager *manager;
    struct control_request *req; /* NULL: the client is gone */
    char slug[SLUG_MAX + 1], component[32];
    char name[256]; /* of the container, without a redeploy's suffix */
    enum question at;
    json_t *answers[_ASK_MAX]; /* NULL: it is not there */
    json_t *body, *blocked;
};

static void dryrun_free(struct dryrun *d)
{
    struct dryrun **p = &d->manager->dryruns;

    while (*p && *p != d)
        p = &(*p)->next;
    if (*p)
        *p = d->next;
    if (d->req)
        control_end(d->req);
    for (size_t i = 0; i < _ASK_MAX; i++)
        json_decref(d->answers[i]);
    json_decref(d->body);
    json_decref(d->blocked);
    free(d);
}

void dryrun_forget(struct manager *m)
{
    while (m->dryruns)
        dryrun_free(m->dryruns);
}

/* One that is under way finds the tenant again, or not: the configuration may have changed. */
static struct component *component_of(struct dryrun *d)
{
    struct tenant *t = manager_find(d->manager, d->slug);
    struct component *c = t ? tenant_component_named(t, d->component) : NULL;

    return c && component_can_redeploy(c) ? c : NULL;
}

static void fail(struct dryrun *d, enum control_code code, const char *error)
{
    if (d->req)
        (void)control_error(TAKE_PTR(d->req), code, error, NULL);
    dryrun_free(d);
}

static void block(struct dryrun *d, const char *fmt, ...) _printf_(2, 3);
static void block(struct dryrun *d, const char *fmt, ...)
{
    char text[MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)json_array_append_new(d->blocked, json_string(text));
}

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static bool made_by_redeploy(const json_t *inspect)
{
    return json_object_get(json_object_get(json_object_get(inspect, "Config"), "Labels"), SPEC_LABEL_SAGA);
}

/* ---------------------------------------------------------------- the report */

static json_t *step_text(const struct dryrun *d, const struct component *c, enum saga_op op)
{
    const char *what = saga_op_to_string(op), *n = d->name;
    char time[32];

    switch (op) {
    case SAGA_OP_INSPECT_OLD:
        return json_sprintf("%s: %s%s", what, n, d->answers[ASK_NAME] ? "" : " is not there");
    case SAGA_OP_CHECK_IMAGE:
        return json_sprintf("%s: %s", what, text_at(d->body, "Image"));
    case SAGA_OP_CLEAR_LEFTOVER:
        return json_sprintf(
            "%s: %s.new %s", what, n, d->answers[ASK_NEW] ? "is there and is removed" : "is not there");
    case SAGA_OP_CREATE_NEW:
        return json_sprintf("%s: %s.new", what, n);
    case SAGA_OP_RENAME_OLD:
        return json_sprintf("%s: %s to %s.old", what, n, n);
    case SAGA_OP_RENAME_NEW:
        return json_sprintf("%s: %s.new to %s", what, n, n);
    case SAGA_OP_STOP_OLD:
        str_format_duration(time, sizeof(time), component_stop_timeout(c));
        return json_sprintf("%s: SIGTERM, and SIGKILL after %s", what, time);
    case SAGA_OP_VERIFY:
        str_format_duration(time, sizeof(time), c->health->start_deadline_us);
        return json_sprintf("%s: healthy within %s, or all of this is undone", what, time);
    case SAGA_OP_REMOVE_OLD:
        return json_sprintf("%s: %s.old; its volumes stay", what, n);
    case SAGA_OP_START_NEW:
    case SAGA_OP_STOP_NEW:
    case SAGA_OP_REMOVE_NEW:
    case SAGA_OP_RENAME_NEW_ASIDE:
    case SAGA_OP_RENAME_OLD_BACK:
    case SAGA_OP_START_OLD:
    case SAGA_OP_NONE:
    case _SAGA_OP_MAX:
    default:
        return json_string(what);
    }
}

static json_t *steps(const struct dryrun *d, const struct component *c)
{
    bool old = d->answers[ASK_NAME],
         runs = json_is_true(json_object_get(json_object_get(d->answers[ASK_NAME], "State"), "Running"));
    json_t *list = json_array();
    struct saga s;

    if (c->mode == CONFIG_MANAGED && !c->tenant->network_id[0])
        (void)json_array_append_new(list, json_sprintf("create the network clawsup-net-%s", d->slug));
    for (saga_begin(&s); s.op != SAGA_OP_NONE;) {
        bool missing = s.op == SAGA_OP_INSPECT_OLD && !old;

        (void)json_array_append_new(list, step_text(d, c, s.op));
        saga_step(&s, missing ? SAGA_MISSING : SAGA_OK, runs);
    }
    return list;
}

static void what_blocks(struct dryrun *d, struct component *c)
{
    struct tenant *t = c->tenant;
    struct manager *m = t->manager;
    const char *guard =
        recovery_operator_held_by(m->recovery, t->index, c->index, REC_OP_REDEPLOY, manager_now(m));
    const json_t *old = d->answers[ASK_NAME];

    if (t->op)
        block(d, "%s of the tenant is under way", rec_action_type_to_string(t->op->action.type));
    else if (guard)
        block(d, "it would wait: %s", guard);
    if (d->body && !d->answers[ASK_IMAGE])
        block(d, "image %s is not on this host", text_at(d->body, "Image"));
    if (old && c->mode == CONFIG_MANAGED && !spec_is_ours(old, t->slug))
        block(d, "a container named %s exists that is not clawsup's", d->name);
    if (d->answers[ASK_NEW] && !made_by_redeploy(d->answers[ASK_NEW]))
        block(d, "a container named %s.new exists that is not clawsup's", d->name);
    if (d->answers[ASK_OLD] && old)
        block(d, "a container named %s.old exists: an interrupted redeploy, or somebody else's", d->name);
}

static void report(struct dryrun *d, struct component *c)
{
    json_t *changes = json_array(), *reply;
    const json_t *old = d->answers[ASK_NAME];

    what_blocks(d, c);
    if (old && d->body)
        spec_diff(old, d->body, d->answers[ASK_IMAGE], changes);
    reply = json_pack("{s:o, s:s, s:s, s:o, s:o, s:O}", "text",
        json_sprintf("would redeploy the %s of %s; nothing was done", d->component, d->slug), "tenant",
        d->slug, "component", d->component, "steps", steps(d, c), "differences", changes, "blocked",
        d->blocked);
    if (d->req && reply)
        (void)control_reply(TAKE_PTR(d->req), reply);
    else
        json_decref(reply);
    dryrun_free(d);
}

/* ---------------------------------------------------------------- asking */

static void ask(struct dryrun *d);

/* The name is known: the body can be made, which the image's question needs. */
static void make_body(struct dryrun *d, struct component *c)
{
    struct tenant *t = c->tenant;
    char hash[HASH_HEX_SIZE], name[256];
    struct err e = {0};
    int r;

    if (c->mode == CONFIG_MANAGED)
        r = spec_container(t->config, c->extra, t->network_id, t->cgroup_parent, &d->body, hash, &e);
    else if (d->answers[ASK_NAME])
        r = spec_capture(d->answers[ASK_NAME], &d->body);
    else
        r = capture_load(c, &d->body, name, sizeof(name), &e);
    if (r < 0)
        block(d, "%s", e.msg[0] ? e.msg : "out of memory");
}

static void on_answer(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct dryrun *d = userdata;
    struct component *c = component_of(d);

    (void)e;
    if (!c) {
        fail(d, CONTROL_REFUSED, "the tenant left the configuration meanwhile");
        return;
    }
    if (a->result != ENGINE_OK || (a->status != 200 && a->status != 404)) {
        fail(d, CONTROL_REFUSED, *a->message ? a->message : "the engine's answer is not understood");
        return;
    }
    if (a->status == 200)
        d->answers[d->at] = json_incref(a->body);
    if (d->at == ASK_NAME)
        make_body(d, c);
    d->at++;
    if (d->at == ASK_IMAGE && !d->body)
        d->at++;
    if (d->at == _ASK_MAX)
        report(d, c);
    else
        ask(d);
}

static void ask(struct dryrun *d)
{
    static const char *const suffixes[_ASK_MAX] = {
        [ASK_NAME] = "", [ASK_IMAGE] = "", [ASK_NEW] = ".new", [ASK_OLD] = ".old"};
    _cleanup_free_ char *image = NULL, *path = NULL;
    int r;

    if (d->at == ASK_IMAGE) {
        image = engine_escape(text_at(d->body, "Image"));
        r = image ? asprintf(&path, "/images/%s/json", image) : -1;
    } else {
        r = asprintf(&path, "/containers/%s%s/json", d->name, suffixes[d->at]);
    }
    if (r < 0) {
        path = NULL;
        fail(d, CONTROL_INTERNAL, "out of memory");
        return;
    }
    r = engine_request(d->manager->engine, "GET", path, NULL, TIMEOUT_US, on_answer, d, NULL);
    if (r < 0)
        fail(d, CONTROL_INTERNAL, strerror(-r));
}

static void client_gone(struct control_request *req, void *userdata)
{
    struct dryrun *d = userdata;

    control_end(req);
    d->req = NULL; /* the engine's answer finds nobody, and ends it */
}

int dryrun_begin(struct component *c, struct control_request *req)
{
    struct manager *m = c->tenant->manager;
    struct dryrun *d;

    if (!m->engine_up)
        return control_error(req, CONTROL_REFUSED, "the engine does not answer", "start the engine first");
    d = calloc(1, sizeof(*d));
    if (d)
        d->blocked = json_array();
    if (!d || !d->blocked) {
        free(d);
        return -ENOMEM;
    }
    d->manager = m;
    (void)snprintf(d->slug, sizeof(d->slug), "%s", c->tenant->slug);
    (void)snprintf(d->component, sizeof(d->component), "%s", c->name);
    (void)snprintf(d->name, sizeof(d->name), "%s", c->match_label ? c->found_name : c->container_name);
    if (!d->name[0]) {
        _cleanup_json_ json_t *body = NULL;

        if (capture_load(c, &body, d->name, sizeof(d->name), NULL) < 0) {
            json_decref(d->blocked);
            free(d);
            return control_error(
                req, CONTROL_REFUSED, "there is no container, and none was seen healthy", NULL);
        }
    }
    d->req = req;
    d->next = m->dryruns;
    m->dryruns = d;
    control_request_on_gone(req, client_gone, d);
    ask(d);
    return 0;
}
