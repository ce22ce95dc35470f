/* verbs.c: what each verb of the control socket does. Protocol: contrib/docs/control-protocol.md. */
#include "daemon/manager.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rfc3339.h"
#include "config/config_remedy.h"
#include "daemon/admission.h"
#include "daemon/control.h"
#include "daemon/denials.h"
#include "daemon/diff.h"
#include "daemon/dryrun.h"
#include "daemon/messages.h"
#include "daemon/op.h"
#include "daemon/removal.h"
#include "daemon/status.h"
#include "daemon/upgrade.h"

#define EVENTS_DEFAULT 50
#define EVENTS_MAX 10000
#define PAUSE_DEFAULT_US USEC_PER_HOUR
#define PAUSE_MAX_US USEC_PER_DAY
#define WAITERS_MAX 64

struct follower {
    struct control_request *req;
    char tenant[SLUG_MAX + 1]; /* "": all */
};

/* Somebody who asked for a restart or a redeploy and waits for its end. */
struct waiter {
    struct control_request *req;
    struct tenant *tenant;
    enum rec_action_type type;
};

struct verbs {
    struct manager *manager;
    int fd;
    struct follower followers[CONTROL_CLIENTS_MAX];
    size_t n_followers;
    struct waiter waiters[WAITERS_MAX];
    size_t n_waiters;
};

/* ---------------------------------------------------------------- helpers */

static int unknown_tenant(struct manager *m, struct control_request *req, const char *slug)
{
    char error[96];
    json_t *list = json_array();
    struct tenant *t, *next;

    HASH_ITER(hh, m->tenants, t, next)
    (void)json_array_append_new(list, json_string(t->slug));
    (void)snprintf(error, sizeof(error), "there is no tenant \"%.40s\"", slug);
    return control_error_with(req, CONTROL_UNKNOWN_TENANT, error, NULL, json_pack("{s:o}", "tenants", list));
}

/* The tenant that the request must name. NULL: answered already. */
static struct tenant *need_tenant(struct manager *m, struct control_request *req, int *ret)
{
    const char *slug = NULL;
    struct tenant *t;

    if (control_request_string(req, "tenant", &slug) < 0 || !slug) {
        *ret =
            control_error(req, CONTROL_USAGE, "the field \"tenant\" is missing", "name a tenant by its slug");
        return NULL;
    }
    t = manager_find(m, slug);
    if (!t)
        *ret = unknown_tenant(m, req, slug);
    return t;
}

static int reply_text(struct control_request *req, const char *text)
{
    return control_reply(req, json_pack("{s:s}", "text", text));
}

static void log_operator(
    struct tenant *t, struct control_request *req, const char *what, const char *message_id)
{
    const struct ucred *peer = control_request_peer(req);

    manager_note(t, NULL, LOG_NOTICE, message_id, "operator", "%s, asked by uid %u (pid %d)", what,
        (unsigned)peer->uid, (int)peer->pid);
}

/* ---------------------------------------------------------------- reading verbs */

static int verb_status(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    const char *slug = NULL;
    json_t *j;

    if (control_request_string(req, "tenant", &slug) < 0)
        return control_error(req, CONTROL_USAGE, "the field \"tenant\" is not a string", NULL);
    if (slug && !manager_find(m, slug))
        return unknown_tenant(m, req, slug);
    j = status_to_json(m, slug);
    return j ? control_reply(req, j) : -ENOMEM;
}

static int verb_version(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    char started[RFC3339_MAX];

    rfc3339_format(started, sizeof(started), (uint64_t)m->started_realtime_us);
    return control_reply(req, json_pack("{s:s, s:{s:s, s:s}, s:s}", "version", CLAWSUP_VERSION, "engine",
                                  "version", engine_server_version(m->engine), "api_version",
                                  engine_api_version(m->engine), "started_at", started));
}

static int collect(const struct store_event *ev, void *userdata)
{
    return json_array_append_new(
        userdata, status_event_json(ev->seq, ev->at, ev->tenant, ev->component, ev->kind, ev->text));
}

static void follower_gone(struct control_request *req, void *userdata)
{
    struct verbs *v = userdata;

    for (size_t i = 0; i < v->n_followers; i++) {
        if (v->followers[i].req == req) {
            v->followers[i] = v->followers[--v->n_followers];
            break;
        }
    }
    control_end(req);
}

static int verb_events(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    struct verbs *v = m->verbs;
    _cleanup_json_ json_t *list = json_array();
    const char *slug = NULL;
    uint64_t lines = EVENTS_DEFAULT;
    bool follow = false;
    struct err e = {0};
    json_t *reply;

    if (control_request_string(req, "tenant", &slug) < 0 ||
        control_request_u64(req, "lines", EVENTS_MAX, &lines) < 0 ||
        control_request_bool(req, "follow", &follow) < 0)
        return control_error(
            req, CONTROL_USAGE, "malformed field", "tenant: slug; lines: 0..10000; follow: true or false");
    if (slug && !manager_find(m, slug))
        return unknown_tenant(m, req, slug);
    if (lines > 0 && store_events(m->store, slug, 0, (uint32_t)lines, collect, list, &e) < 0)
        return control_error(req, CONTROL_INTERNAL, e.msg, NULL);
    reply = json_pack("{s:O}", "events", list);
    if (!follow)
        return control_reply(req, reply);
    if (v->n_followers == ARRAY_SIZE(v->followers)) {
        json_decref(reply);
        return control_error(
            req, CONTROL_BUSY, "too many followers", "close another `clawsup events --follow`");
    }
    v->followers[v->n_followers].req = req;
    (void)snprintf(
        v->followers[v->n_followers++].tenant, sizeof(v->followers[0].tenant), "%s", slug ? slug : "");
    control_request_on_gone(req, follower_gone, v);
    (void)control_stream_begin(req, reply); /* a client that is gone already is forgotten by follower_gone */
    return 0;
}

void verbs_event(struct manager *m, int64_t seq, const char *tenant, const char *component, const char *kind,
    const char *text)
{
    struct verbs *v = m->verbs;

    for (size_t i = 0; v && i < v->n_followers; i++) {
        struct follower *f = &v->followers[i];

        if (f->tenant[0] && strcmp(f->tenant, tenant) != 0)
            continue;
        (void)control_stream(
            f->req, json_pack("{s:o}", "event",
                        status_event_json(seq, realtime_now(), tenant, component, kind, text)));
    }
}

/* ---------------------------------------------------------------- what was refused */

static int verb_denials(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    uint64_t lines = DENIALS_MAX;
    int r = 0;
    struct tenant *t = need_tenant(m, req, &r);
    char now[RFC3339_MAX];
    json_t *j;

    if (!t)
        return r;
    if (control_request_u64(req, "lines", DENIALS_MAX, &lines) < 0)
        return control_error(req, CONTROL_USAGE, "malformed field", "lines: 0..256");
    if (!t->child)
        return control_error(req, CONTROL_REFUSED, "its proxy is external: it does not tell what it refuses",
            "the log of that proxy's container");
    j = denials_to_json(t->denials, lines, config_remedy);
    rfc3339_format(now, sizeof(now), (uint64_t)realtime_now());
    if (j && (json_object_set_new(j, "now", json_string(now)) < 0 ||
                 json_object_set_new(j, "tenant", json_string(t->slug)) < 0 ||
                 json_object_set_new(j, "filter", json_string(status_filter(t))) < 0)) {
        json_decref(j);
        j = NULL;
    }
    return j ? control_reply(req, j) : -ENOMEM;
}

/* ---------------------------------------------------------------- acting verbs */

static void operator_event(struct tenant *t, uint32_t component, enum rec_op op, uint64_t for_us)
{
    struct rec_event ev = {.type = REC_EV_OPERATOR,
        .tenant = t->index,
        .component = component,
        .op = {.op = op, .for_us = for_us}};

    manager_event(t->manager, &ev);
}

static void waiter_gone(struct control_request *req, void *userdata)
{
    struct verbs *v = userdata;

    for (size_t i = 0; i < v->n_waiters; i++) {
        if (v->waiters[i].req == req) {
            v->waiters[i] = v->waiters[--v->n_waiters];
            break;
        }
    }
    control_end(req);
}

void verbs_action_done(struct tenant *t, const struct rec_action *a, enum rec_done result, const char *text)
{
    struct verbs *v = t->manager->verbs;

    for (size_t i = 0; v && i < v->n_waiters;) {
        struct waiter w = v->waiters[i];

        /* A restart of what is missing is a bring-up. */
        if (w.tenant != t ||
            (w.type != a->type && (w.type != REC_ACT_RESTART || a->type != REC_ACT_BRING_UP))) {
            i++;
            continue;
        }
        v->waiters[i] = v->waiters[--v->n_waiters];
        if (result == REC_DONE_OK)
            (void)control_reply(w.req, json_pack("{s:s, s:I}", "text", text, "action", (json_int_t)a->id));
        else
            (void)control_error(w.req, CONTROL_REFUSED, text, "`clawsup status` and the journal have more");
    }
}

void verbs_tenant_gone(struct tenant *t)
{
    struct verbs *v = t->manager->verbs;

    for (size_t i = 0; v && i < v->n_waiters;) {
        struct waiter w = v->waiters[i];

        if (w.tenant != t) {
            i++;
            continue;
        }
        v->waiters[i] = v->waiters[--v->n_waiters];
        (void)control_error(w.req, CONTROL_REFUSED, "the tenant left the configuration meanwhile", NULL);
    }
}

static int ask_for_action(struct manager *m, struct control_request *req, struct tenant *t,
    struct component *c, enum rec_op op, enum rec_action_type type)
{
    struct verbs *v = m->verbs;

    if (t->op)
        return control_error(req, CONTROL_BUSY, "an action of this tenant is in flight",
            "try again when `clawsup status` shows its end");
    if (!m->engine_up && c->kind == REC_KIND_CONTAINER)
        return control_error(req, CONTROL_REFUSED, "the engine does not answer", "start the engine first");
    if (v->n_waiters == ARRAY_SIZE(v->waiters))
        return control_error(req, CONTROL_BUSY, "too many requests wait for actions", NULL);
    log_operator(t, req, op == REC_OP_RESTART ? "restart" : "redeploy", NULL);
    operator_event(t, c->index, op, 0);
    if (!t->op) {
        struct rec_component_view view;
        char text[160];

        recovery_component_view(m->recovery, t->index, c->index, manager_now(m), &view);
        (void)snprintf(text, sizeof(text), "%s: %s",
            view.next_us == USEC_INFINITY ? "not started" : "accepted, and waits",
            view.held_by ? view.held_by : view.reason);
        if (view.next_us == USEC_INFINITY)
            return control_error(req, CONTROL_REFUSED, text, "`clawsup status` has more");
        return reply_text(req, text);
    }
    v->waiters[v->n_waiters++] = (struct waiter){.req = req, .tenant = t, .type = type};
    control_request_on_gone(req, waiter_gone, v);
    return 0;
}

/* The component that the request names; the gateway if it names none. NULL: answered already. */
static struct component *need_component(struct tenant *t, struct control_request *req, int *ret)
{
    const char *name = "gateway";
    struct component *c = NULL;
    char error[96];
    json_t *known;

    if (control_request_string(req, "component", &name) >= 0)
        c = tenant_component_named(t, name);
    if (c)
        return c;
    known = json_array();
    for (size_t i = 0; i < t->n_all; i++)
        (void)json_array_append_new(known, json_string(t->all[i]->name));
    (void)snprintf(error, sizeof(error), "no component '%.40s'", name);
    *ret = control_error_with(req, CONTROL_USAGE, error, NULL, json_pack("{s:o}", "components", known));
    return NULL;
}

static int verb_restart(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    int r = 0;
    struct tenant *t = need_tenant(m, req, &r);
    struct component *c = t ? need_component(t, req, &r) : NULL;

    return c ? ask_for_action(m, req, t, c, REC_OP_RESTART, REC_ACT_RESTART) : r;
}

static int verb_redeploy(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    bool dry = false;
    int r = 0;
    struct tenant *t = need_tenant(m, req, &r);
    struct component *c = t ? need_component(t, req, &r) : NULL;

    if (!c)
        return r;
    if (control_request_bool(req, "dry_run", &dry) < 0)
        return control_error(req, CONTROL_USAGE, "malformed field", "dry_run: true or false");
    if (component_can_redeploy(c) && dry)
        return dryrun_begin(c, req);
    if (!component_can_redeploy(c))
        return control_error(req, CONTROL_REFUSED, "there is no specification to make it from",
            "the gateway and managed components can be redeployed");
    return ask_for_action(m, req, t, c, REC_OP_REDEPLOY, REC_ACT_REDEPLOY);
}

static int verb_pause(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    uint64_t for_us = PAUSE_DEFAULT_US;
    char until[RFC3339_MAX];
    int r = 0;
    struct tenant *t = need_tenant(m, req, &r);

    if (!t)
        return r;
    if (control_request_u64(req, "for_us", PAUSE_MAX_US, &for_us) < 0 || for_us == 0)
        return control_error(
            req, CONTROL_USAGE, "a pause lasts more than nothing and at most 24 h", "--for 30m");
    log_operator(t, req, "pause", MESSAGE_TENANT_PAUSED);
    operator_event(t, t->gateway.index, REC_OP_PAUSE, for_us);
    rfc3339_format(until, sizeof(until), (uint64_t)realtime_now() + for_us);
    return control_reply(
        req, json_pack("{s:s, s:s}", "text", "paused: observed, not acted upon", "until", until));
}

static int verb_resume(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    int r = 0;
    struct tenant *t = need_tenant(m, req, &r);

    if (!t)
        return r;
    if (!t->paused && !t->held)
        return control_error(req, CONTROL_REFUSED, "it is neither paused nor held", NULL);
    log_operator(t, req, "resume", MESSAGE_TENANT_RESUMED);
    operator_event(t, t->gateway.index, REC_OP_RESUME, 0);
    return reply_text(req, "resumed");
}

static int verb_release(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    int r = 0;
    struct tenant *t = need_tenant(m, req, &r);

    if (!t)
        return r;
    if (!t->quarantined)
        return control_error(req, CONTROL_REFUSED, "it is not quarantined", NULL);
    log_operator(t, req, "release", MESSAGE_TENANT_RELEASED);
    operator_event(t, t->gateway.index, REC_OP_RELEASE, 0);
    return reply_text(req, "released from quarantine");
}

static int verb_reload(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    json_t *report = json_pack("{s:s, s:[], s:[], s:[]}", "text", "reloaded", "added", "changed", "removed"),
           *list;
    struct config_findings f = {0};
    struct err e = {0};
    int r;

    if (!report)
        return -ENOMEM;
    r = manager_reload(m, report, &f, &e);
    if (r >= 0)
        return control_reply(req, report);
    json_decref(report);
    list = json_array();
    for (size_t i = 0; i < f.n; i++)
        (void)json_array_append_new(list, json_string(f.items[i]));
    config_findings_free(&f);
    return control_error_with(req, CONTROL_REFUSED, "not loaded; the running configuration stays in force",
        r == -EBUSY ? e.msg : "clawsup check-config", json_pack("{s:o}", "findings", list));
}

static int verb_upgrade(struct control_request *req, void *userdata)
{
    return upgrade_begin(userdata, req);
}

/* ---------------------------------------------------------------- the socket */

static const struct control_verb table[] = {{"status", verb_status}, {"events", verb_events},
    {"denials", verb_denials}, {"version", verb_version}, {"restart", verb_restart},
    {"redeploy", verb_redeploy}, {"pause", verb_pause}, {"resume", verb_resume}, {"release", verb_release},
    {"reload", verb_reload}, {"upgrade", verb_upgrade}, {"remove", removal_verb}, {"diff", diff_verb},
    {"capacity", admission_verb}};

static int control_gid(const struct config *c, gid_t *ret, struct err *e)
{
    char buf[16384];
    struct group gr, *found = NULL;

    *ret = (gid_t)-1;
    if (!c->control_group || !*c->control_group)
        return 0;
    if (getgrnam_r(c->control_group, &gr, buf, sizeof(buf), &found) != 0 || !found)
        return err_set(e, -ESRCH, "control_group: there is no group \"%s\"", c->control_group);
    *ret = found->gr_gid;
    return 0;
}

int verbs_start(struct manager *m, struct err *e)
{
    _cleanup_free_ char *path = NULL;
    gid_t gid;
    int r = control_gid(m->config, &gid, e);

    if (r < 0)
        return r;
    if (asprintf(&path, "%s/control.sock", m->config->runtime_dir) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    m->verbs = calloc(1, sizeof(*m->verbs));
    if (!m->verbs)
        return err_set(e, -ENOMEM, "out of memory");
    m->verbs->manager = m;
    m->verbs->fd = fd_listen_unix(path, SOCK_STREAM, gid == (gid_t)-1 ? 0600 : 0660, (uid_t)-1, gid, e);
    if (m->verbs->fd < 0)
        return m->verbs->fd;
    r = control_server_new(m->event, m->verbs->fd, table, ARRAY_SIZE(table), m, &m->control);
    return r < 0 ? err_set(e, r, "control socket: %s", strerror(-r)) : 0;
}

void verbs_stop(struct manager *m)
{
    removals_forget(m);
    m->control = control_server_free(m->control);
    if (!m->verbs)
        return;
    (void)fd_close(m->verbs->fd);
    free(m->verbs);
    m->verbs = NULL;
}
