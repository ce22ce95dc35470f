/* tenant.c: a tenant comes, changes and goes. What it does in between is decided by the recovery core. */
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/denials.h"
#include "daemon/limits_driver.h"
#include "daemon/messages.h"
#include "daemon/op.h"
#include "daemon/proxy_child.h"
#include "daemon/spec.h"

#define LIST_TIMEOUT_US (20 * USEC_PER_SEC)
#define SANDBOX_STOP_S 10
#define STOP_MARGIN_US (15 * USEC_PER_SEC)

struct tenant *manager_find(struct manager *m, const char *slug)
{
    struct tenant *t = NULL;

    HASH_FIND_STR(m->tenants, slug, t);
    return t;
}

struct component *tenant_component(struct tenant *t, uint32_t index)
{
    return index == t->proxy.index ? &t->proxy : (index == t->gateway.index ? &t->gateway : NULL);
}

/* ---------------------------------------------------------------- components */

static void component_setup(struct component *c, struct tenant *t, const char *name, enum config_mode mode,
    const struct config_health *health)
{
    c->tenant = t;
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    c->mode = mode;
    c->health = health;
    if (!c->state_since_us)
        c->state_since_us = realtime_now();
}

static void component_names(struct component *c, const char *name, const char *label)
{
    (void)snprintf(c->container_name, sizeof(c->container_name), "%s", name ? name : "");
    c->match_label = label;
}

static struct rec_component_params params_of(const struct component *c, uint32_t after)
{
    return (struct rec_component_params){.name = c->name,
        .kind = c->kind,
        .fall = c->health->fall,
        .rise = c->health->rise,
        .interval_us = c->health->interval_us,
        .start_deadline_us = c->health->start_deadline_us,
        .after = after};
}

static void bind_config(struct tenant *t, const struct config_tenant *c)
{
    t->config = c;
    component_setup(&t->proxy, t, "proxy", c->proxy.mode, &c->proxy.health);
    component_setup(&t->gateway, t, "gateway", c->gateway.mode, &c->gateway.health);
    t->proxy.kind = c->proxy.mode == CONFIG_EXTERNAL ? REC_KIND_CONTAINER : REC_KIND_PROXY;
    t->gateway.kind = REC_KIND_CONTAINER;
    component_names(&t->proxy, c->proxy.name, c->proxy.match_label);
    component_names(&t->gateway, c->gateway.name, c->gateway.match_label);
}

/* ---------------------------------------------------------------- joining the core */

struct restore {
    struct tenant *t;
    int64_t now;
};

static int restore_action(const struct store_action *a, void *userdata)
{
    struct restore *r = userdata;
    struct tenant *t = r->t;
    uint32_t c = strcmp(a->component, "proxy") == 0 ? t->proxy.index : t->gateway.index;
    uint64_t age = r->now > a->at ? (uint64_t)(r->now - a->at) : 0;
    enum rec_level level = (enum rec_level)a->level;

    /* These changed nothing: the core took them out of its budgets again. */
    if (a->result == REC_DONE_REFUSED || a->result == REC_DONE_ENGINE_GONE)
        return 0;
    if (strcmp(a->tenant, t->slug) != 0 || a->type < 0 || a->type >= _REC_ACT_MAX || a->level < 0 ||
        a->level >= _REC_LEVEL_MAX)
        return 0;
    /* What an operator asked for was no attempt of the ladder. */
    if (str_eq(a->reason, REC_REASON_OPERATOR))
        level = REC_L0;
    return recovery_restore_action(t->manager->recovery, t->index, c, (enum rec_action_type)a->type, level,
        age, manager_now(t->manager));
}

static void restore_hold(struct tenant *t, const char *kind, bool pause, int64_t now)
{
    struct manager *m = t->manager;
    int64_t until = 0;

    if (store_get_hold(m->store, t->slug, kind, &until) >= 0 && until > now)
        (void)recovery_restore_hold(m->recovery, t->index, pause, (uint64_t)(until - now), manager_now(m));
}

/* Budgets, quarantine and holds from before our start. */
static void restore(struct tenant *t)
{
    struct manager *m = t->manager;
    struct restore r = {.t = t, .now = realtime_now()};
    struct err e = {0};
    int64_t since = 0;

    manager_store_result(
        m, store_actions(m->store, r.now - (int64_t)USEC_PER_DAY, restore_action, &r, &e), &e);
    if (store_get_quarantine(m->store, t->slug, &since) >= 0 && since > 0)
        (void)recovery_restore_quarantine(
            m->recovery, t->index, r.now > since ? (uint64_t)(r.now - since) : 0, manager_now(m));
    restore_hold(t, "pause", true, r.now);
    restore_hold(t, "hold", false, r.now);
}

static int join_core(struct tenant *t, struct err *e)
{
    struct manager *m = t->manager;
    struct rec_component_params p = params_of(&t->proxy, 0), g;
    int r = recovery_add_tenant(m->recovery, t->slug, &t->config->recovery, &t->index);

    if (r >= 0)
        r = recovery_add_component(m->recovery, t->index, &p, &t->proxy.index);
    if (r >= 0) {
        g = params_of(&t->gateway, UINT32_C(1) << t->proxy.index);
        r = recovery_add_component(m->recovery, t->index, &g, &t->gateway.index);
    }
    if (r >= 0)
        r = tenant_index_set(&m->by_index, t->index, t);
    if (r < 0)
        return err_set(e, r, "tenant %s: %s", t->slug, strerror(-r));
    restore(t);
    return 0;
}

/* ---------------------------------------------------------------- come */

/* Spreads the tenants' probes over the period, the same way after each start. */
static uint64_t phase_of(const struct component *c)
{
    char hex[HASH_HEX_SIZE];
    uint64_t h = 0;

    hash_hex(c->tenant->slug, strlen(c->tenant->slug), hex);
    for (size_t i = 0; i < 8; i++)
        h = h * 16 + (uint64_t)(hex[8 + i] <= '9' ? hex[8 + i] - '0' : hex[8 + i] - 'a' + 10);
    return c->health->interval_us ? h % c->health->interval_us : 0;
}

int tenant_add(struct manager *m, const struct config_tenant *c, struct err *e)
{
    struct tenant *t = calloc(1, sizeof(*t));
    const char *network;
    int r;

    if (!t)
        return err_set(e, -ENOMEM, "out of memory");
    t->manager = m;
    memcpy(t->slug, c->slug, sizeof(t->slug));
    bind_config(t, c);
    t->denials = denials_new(realtime_now());
    r = t->denials ? join_core(t, e) : err_set(e, -ENOMEM, "out of memory");
    if (r < 0) {
        (void)denials_free(t->denials);
        free(t);
        return r;
    }
    HASH_ADD_STR(m->tenants, slug, t);
    if (!metrics_tenant(m->metrics, t->slug))
        log_warning("%s: no memory for its metrics", t->slug);
    limits_driver_apply(t);
    if (c->limits.disk_bytes && !limits_driver_own_disk(t))
        manager_note(t, NULL, LOG_WARNING, NULL, "limits",
            "limits.disk is not enforced: data_root %s is not a file system of its own", c->data_root);
    network = json_string_value(json_object_get(m->networks, t->slug));
    (void)snprintf(t->network_id, sizeof(t->network_id), "%s", network ? network : "");
    if (t->proxy.kind == REC_KIND_PROXY) {
        r = proxy_child_new(t, &t->child, e);
        if (r < 0) {
            tenant_remove(t, false);
            return err_prefix(e, r, "tenant %s", c->slug);
        }
    }
    probe_arm(&t->proxy, phase_of(&t->proxy));
    probe_arm(&t->gateway, phase_of(&t->gateway));
    return 0;
}

/* ---------------------------------------------------------------- change */

static bool listens_equal(const struct config_proxy *a, const struct config_proxy *b)
{
    if (a->n_listen != b->n_listen || a->socket_uid != b->socket_uid)
        return false;
    for (size_t i = 0; i < a->n_listen; i++)
        if (strcmp(a->listen[i].text, b->listen[i].text) != 0)
            return false;
    return true;
}

static int hand_over_proxy(struct tenant *t, bool sockets, struct err *e)
{
    struct metrics_tenant *mt;
    int r = 0;

    if (!t->child || proxy_child_adopting(t->child))
        return 0;
    if (sockets)
        r = proxy_child_reopen(t->child, e);
    if (r > 0 || (r == 0 && !proxy_child_is_current(t->child))) {
        r = proxy_child_launch(t->child, true, e);
        mt = metrics_tenant(t->manager->metrics, t->slug);
        if (r >= 0 && mt)
            mt->proxy_restarts[METRICS_PROXY_RELOAD]++;
    }
    return r;
}

static bool gateway_spec_changed(const struct tenant *t, const struct config_tenant *c)
{
    char old[HASH_HEX_SIZE], fresh[HASH_HEX_SIZE];

    if (c->gateway.mode != CONFIG_MANAGED || t->config->gateway.mode != CONFIG_MANAGED)
        return false;
    /* An unreadable env_file is reported when the gateway is next created. */
    return spec_gateway(t->config, t->network_id, t->cgroup_parent, NULL, old, NULL) >= 0 &&
           spec_gateway(c, t->network_id, t->cgroup_parent, NULL, fresh, NULL) >= 0 &&
           strcmp(old, fresh) != 0;
}

void tenant_rebind(struct tenant *t, const struct config_tenant *c)
{
    bind_config(t, c);
}

int tenant_update(struct tenant *t, const struct config_tenant *c, struct err *e)
{
    struct manager *m = t->manager;
    const struct config_tenant *old = t->config;
    bool sockets = !listens_equal(&old->proxy, &c->proxy), respec = gateway_spec_changed(t, c);
    struct rec_component_params p, g;
    int r;

    if (old->proxy.mode != c->proxy.mode || old->gateway.mode != c->gateway.mode ||
        strcmp(t->gateway.container_name, c->gateway.name ? c->gateway.name : "") != 0) {
        /* Another kind of tenant under the same slug: it goes and comes anew; containers are not touched. */
        tenant_remove(t, false);
        return tenant_add(m, c, e);
    }
    bind_config(t, c);
    p = params_of(&t->proxy, 0);
    g = params_of(&t->gateway, UINT32_C(1) << t->proxy.index);
    (void)recovery_set_params(m->recovery, t->index, &c->recovery);
    (void)recovery_set_component_params(m->recovery, t->index, t->proxy.index, &p);
    (void)recovery_set_component_params(m->recovery, t->index, t->gateway.index, &g);
    limits_driver_apply(t);
    r = hand_over_proxy(t, sockets, e);
    if (respec) {
        struct rec_event ev = {.type = REC_EV_OPERATOR,
            .tenant = t->index,
            .component = t->gateway.index,
            .op = {.op = REC_OP_REDEPLOY}};
        manager_note(t, &t->gateway, LOG_NOTICE, NULL, "config", "its specification changed: redeploying");
        manager_event(m, &ev);
    } else {
        observe_inspect(&t->gateway); /* limits that changed are put in force as drift */
    }
    return r;
}

/* ---------------------------------------------------------------- go */

static void component_release(struct component *c)
{
    probe_stop(c);
    engine_call_cancel(c->inspect_call);
    c->inspect_call = NULL;
}

static void on_stopped(struct engine *e, const struct engine_answer *a, void *userdata)
{
    (void)e;
    (void)userdata;
    if (a->result != ENGINE_OK || a->status >= 400)
        log_warning("a container of a tenant that left could not be stopped: %s", a->message);
}

/* Everything with the tenant's label, gateway and sandboxes; nothing is removed. `userdata` is the gateway's
 * stop time-out in seconds: the tenant itself is gone by now. */
static void on_members(struct engine *e, const struct engine_answer *a, void *userdata)
{
    unsigned timeout = (unsigned)(uintptr_t)userdata;
    json_t *row;
    size_t i;

    if (a->result != ENGINE_OK || a->status != 200) {
        log_error(
            "the containers of a tenant that left could not be listed, and may still run: %s", a->message);
        return;
    }
    json_array_foreach(a->body, i, row)
    {
        const char *id = json_string_value(json_object_get(row, "Id"));
        const char *role =
            json_string_value(json_object_get(json_object_get(row, "Labels"), SPEC_LABEL_ROLE));
        bool gateway = role && strcmp(role, "gateway") == 0;
        unsigned t = gateway ? timeout : SANDBOX_STOP_S;
        _cleanup_free_ char *path = NULL;

        if (id && asprintf(&path, "/containers/%s/stop?t=%u", id, t) >= 0)
            (void)engine_request(
                e, "POST", path, NULL, t * USEC_PER_SEC + STOP_MARGIN_US, on_stopped, NULL, NULL);
    }
}

static void stop_members(struct tenant *t)
{
    _cleanup_free_ char *path = NULL, *filter = NULL, *escaped = NULL;

    if (asprintf(&filter, "{\"label\":[\"%s=%s\"]}", SPEC_LABEL_TENANT, t->slug) < 0)
        return;
    escaped = engine_escape(filter);
    if (escaped && asprintf(&path, "/containers/json?filters=%s", escaped) >= 0)
        (void)engine_request(t->manager->engine, "GET", path, NULL, LIST_TIMEOUT_US, on_members,
            (void *)(uintptr_t)(t->config->gateway.stop_timeout_us / USEC_PER_SEC), NULL);
}

void tenant_remove(struct tenant *t, bool stop)
{
    struct manager *m = t->manager;

    if (stop) {
        manager_note(t, NULL, LOG_NOTICE, MESSAGE_TENANT_REMOVED, "config",
            "left the configuration: its containers are stopped, not removed; data_root is untouched");
        stop_members(t);
    }
    verbs_tenant_gone(t);
    t->op = op_free(t->op);
    t->relaunch = op_free(t->relaunch);
    component_release(&t->proxy);
    component_release(&t->gateway);
    engine_call_cancel(t->limits_call);
    t->child = proxy_child_free(t->child, stop);
    if (stop)
        limits_driver_forget(t);
    slice_call_cancel(t->slice_call);
    (void)recovery_remove_tenant(m->recovery, t->index);
    (void)tenant_index_set(&m->by_index, t->index, NULL);
    metrics_remove_tenant(m->metrics, t->slug);
    HASH_DELETE(hh, m->tenants, t);
    (void)denials_free(t->denials);
    free(t);
}
