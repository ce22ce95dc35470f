/* tenant.c: a tenant comes, changes and goes. What it does in between is decided by the recovery core. */
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/admission.h"
#include "daemon/denials.h"
#include "daemon/disk_driver.h"
#include "daemon/left.h"
#include "daemon/limits_driver.h"
#include "daemon/limits_events.h"
#include "daemon/members.h"
#include "daemon/messages.h"
#include "daemon/op.h"
#include "daemon/proxy_child.h"
#include "daemon/spec.h"

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
    for (size_t i = 0; i < t->n_all; i++)
        if (t->all[i]->index == index)
            return t->all[i];
    return NULL;
}

struct component *tenant_component_named(struct tenant *t, const char *name)
{
    for (size_t i = 0; i < t->n_all; i++)
        if (strcmp(t->all[i]->name, name) == 0)
            return t->all[i];
    return NULL;
}

enum metrics_component component_metrics(const struct component *c)
{
    return c->part == CONFIG_PART_PROXY     ? METRICS_PROXY
           : c->part == CONFIG_PART_GATEWAY ? METRICS_GATEWAY
                                            : METRICS_EXTRA;
}

bool component_can_redeploy(const struct component *c)
{
    return c->container && (c->mode == CONFIG_MANAGED || c == &c->tenant->gateway);
}

uint64_t component_stop_timeout(const struct component *c)
{
    return c->container ? c->container->stop_timeout_us : SANDBOX_STOP_S * USEC_PER_SEC;
}

/* ---------------------------------------------------------------- components */

static void component_setup(struct component *c, struct tenant *t, const char *name, enum config_mode mode,
    const struct config_health *health, const struct recovery_params *recovery)
{
    c->tenant = t;
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    c->mode = mode;
    c->health = health;
    c->recovery = recovery;
    c->kind = REC_KIND_CONTAINER;
    if (!c->state_since_us)
        c->state_since_us = realtime_now();
}

static void component_names(struct component *c, const char *name, const char *label)
{
    (void)snprintf(c->container_name, sizeof(c->container_name), "%s", name ? name : "");
    c->match_label = label;
}

static struct rec_component_params params_of(const struct component *c)
{
    return (struct rec_component_params){.name = c->name,
        .kind = c->kind,
        .fall = c->health->fall,
        .rise = c->health->rise,
        .interval_us = c->health->interval_us,
        .start_deadline_us = c->health->start_deadline_us,
        .after = config_part_after(c->tenant->config, c->part),
        .redeploy = component_can_redeploy(c),
        .recovery = c->recovery};
}

static void bind_container(struct component *c, const struct config_gateway *g)
{
    c->container = g;
    component_names(c, g->name, g->match_label);
}

static struct component *part_of(struct tenant *t, unsigned part)
{
    if (part == CONFIG_PART_PROXY)
        return &t->proxy;
    return part == CONFIG_PART_GATEWAY ? &t->gateway : &t->extras[part - CONFIG_PART_FIRST_COMPONENT];
}

/* As many extras as at the tenant's start: one with others comes anew. */
static void bind_config(struct tenant *t, const struct config_tenant *c)
{
    unsigned order[CONFIG_PARTS_MAX];

    t->config = c;
    component_setup(&t->proxy, t, "proxy", c->proxy.mode, &c->proxy.health, &c->proxy.recovery);
    component_setup(&t->gateway, t, "gateway", c->gateway.mode, &c->gateway.health, &c->gateway.recovery);
    t->proxy.kind = c->proxy.mode == CONFIG_EXTERNAL ? REC_KIND_CONTAINER : REC_KIND_PROXY;
    component_names(&t->proxy, c->proxy.name, c->proxy.match_label);
    bind_container(&t->gateway, &c->gateway);
    for (size_t i = 0; i < c->n_components; i++) {
        const struct config_component *x = &c->components[i];

        component_setup(
            &t->extras[i], t, x->name, x->container.mode, &x->container.health, &x->container.recovery);
        t->extras[i].extra = x;
        bind_container(&t->extras[i], &x->container);
    }
    t->n_all = config_start_order(c, order);
    for (size_t i = 0; i < t->n_all; i++) {
        t->all[i] = part_of(t, order[i]);
        t->all[i]->part = order[i];
    }
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
    const struct component *c = tenant_component_named(t, a->component);
    uint64_t age = r->now > a->at ? (uint64_t)(r->now - a->at) : 0;
    enum rec_level level = (enum rec_level)a->level;

    /* These changed nothing: the core took them out of its budgets again. */
    if (a->result == REC_DONE_REFUSED || a->result == REC_DONE_ENGINE_GONE)
        return 0;
    if (strcmp(a->tenant, t->slug) != 0 || !c || a->type < 0 || a->type >= _REC_ACT_MAX || a->level < 0 ||
        a->level >= _REC_LEVEL_MAX)
        return 0;
    /* What an operator asked for was no attempt of the ladder. */
    if (str_eq(a->reason, REC_REASON_OPERATOR))
        level = REC_L0;
    return recovery_restore_action(t->manager->recovery, t->index, c->index, (enum rec_action_type)a->type,
        level, age, manager_now(t->manager));
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
    int r = recovery_add_tenant(m->recovery, t->slug, &t->config->recovery, &t->index);

    if (r < 0)
        return err_set(e, r, "tenant %s: %s", t->slug, strerror(-r));
    /* By part, not by order: the core names them by the place in which they came. */
    for (unsigned part = 0; r >= 0 && part < t->n_all; part++) {
        struct component *c = part_of(t, part);
        struct rec_component_params p = params_of(c);

        r = recovery_add_component(m->recovery, t->index, &p, &c->index);
    }
    if (r >= 0)
        r = tenant_index_set(&m->by_index, t->index, t);
    if (r < 0) {
        (void)recovery_remove_tenant(m->recovery, t->index);
        return err_set(e, r, "tenant %s: %s", t->slug, strerror(-r));
    }
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

static void tenant_free(struct tenant *t)
{
    (void)denials_free(t->denials);
    free(t->extras);
    free(t);
}

static void name_metrics(struct tenant *t)
{
    struct metrics_tenant *mt = metrics_tenant(t->manager->metrics, t->slug);

    if (!mt)
        log_warning("%s: no memory for its metrics", t->slug);
    for (size_t i = 0; mt && i < t->n_all; i++)
        metrics_name_component(mt, t->all[i]->part, t->all[i]->name);
}

int tenant_add(struct manager *m, const struct config_tenant *c, struct err *e)
{
    struct tenant *t;
    const char *network;
    int r = admission_check(m, c, e);

    if (r < 0)
        return r;
    t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "out of memory");
    t->manager = m;
    memcpy(t->slug, c->slug, sizeof(t->slug));
    t->denials = denials_new(realtime_now());
    t->extras = calloc(c->n_components + 1, sizeof(*t->extras));
    if (!t->denials || !t->extras) {
        tenant_free(t);
        return err_set(e, -ENOMEM, "out of memory");
    }
    bind_config(t, c);
    r = join_core(t, e);
    if (r < 0) {
        tenant_free(t);
        return r;
    }
    HASH_ADD_STR(m->tenants, slug, t);
    if (hash_refused(t)) {
        (void)recovery_remove_tenant(m->recovery, t->index);
        (void)tenant_index_set(&m->by_index, t->index, NULL);
        tenant_free(t);
        return err_set(e, -ENOMEM, "out of memory");
    }
    name_metrics(t);
    t->members = members_new(t);
    t->events = limits_events_new(t);
    if (!t->members || !t->events)
        log_warning("%s: no memory to watch its limits", t->slug);
    limits_driver_apply(t);
    if (disk_driver_add(t) < 0) {
        tenant_remove(t, false);
        return err_set(e, -ENOMEM, "out of memory");
    }
    network = json_string_value(json_object_get(m->networks, t->slug));
    (void)snprintf(t->network_id, sizeof(t->network_id), "%s", network ? network : "");
    if (t->proxy.kind == REC_KIND_PROXY) {
        r = proxy_child_new(t, &t->child, e);
        if (r < 0) {
            tenant_remove(t, false);
            return err_prefix(e, r, "tenant %s", c->slug);
        }
    }
    for (size_t i = 0; i < t->n_all; i++)
        probe_arm(t->all[i], phase_of(t->all[i]));
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

static bool spec_changed(const struct tenant *t, const struct config_tenant *c, const struct component *k)
{
    const struct config_component *extra =
        k->extra ? &c->components[k->part - CONFIG_PART_FIRST_COMPONENT] : NULL;
    char old[HASH_HEX_SIZE], fresh[HASH_HEX_SIZE];

    if (!k->container || k->mode != CONFIG_MANAGED)
        return false;
    /* An unreadable env_file is reported when the container is next created. */
    return spec_container(t->config, k->extra, t->network_id, t->cgroup_parent, NULL, old, NULL) >= 0 &&
           spec_container(c, extra, t->network_id, t->cgroup_parent, NULL, fresh, NULL) >= 0 &&
           strcmp(old, fresh) != 0;
}

static void on_stopped(struct engine *e, const struct engine_answer *a, void *userdata)
{
    (void)e;
    (void)userdata;
    if (a->result != ENGINE_OK || a->status >= 400)
        log_warning("a container that left the configuration could not be stopped: %s", a->message);
}

/* The same containers under the same words. */
static bool same_parts(const struct tenant *t, const struct config_tenant *c)
{
    const struct config_tenant *old = t->config;

    if (old->proxy.mode != c->proxy.mode || old->gateway.mode != c->gateway.mode ||
        !str_eq(old->gateway.name, c->gateway.name) || old->n_components != c->n_components)
        return false;
    for (size_t i = 0; i < c->n_components; i++) {
        const struct config_component *a = &old->components[i], *b = &c->components[i];

        if (!str_eq(a->name, b->name) || a->container.mode != b->container.mode ||
            !str_eq(a->container.name, b->container.name) ||
            !str_eq(a->container.match_label, b->container.match_label))
            return false;
    }
    return true;
}

/* Containers that clawsup made for components which the new configuration has no more. */
static void stop_left_components(struct tenant *t, const struct config_tenant *c)
{
    for (size_t i = 0; i < t->config->n_components; i++) {
        struct component *k = &t->extras[i];
        bool stays = false;
        _cleanup_free_ char *path = NULL;
        unsigned timeout = (unsigned)(component_stop_timeout(k) / USEC_PER_SEC);

        for (size_t j = 0; j < c->n_components; j++)
            stays = stays || str_eq(c->components[j].container.name, k->container_name);
        if (stays || k->mode != CONFIG_MANAGED || k->facts.state != DOCKER_RUNNING)
            continue;
        manager_note(t, k, LOG_NOTICE, NULL, "config",
            "left the configuration: its container %s is stopped, not removed", k->container_name);
        if (asprintf(&path, "/containers/%s/stop?t=%u", k->facts.id, timeout) >= 0)
            (void)engine_request(t->manager->engine, "POST", path, NULL,
                timeout * USEC_PER_SEC + STOP_MARGIN_US, on_stopped, NULL, NULL);
    }
}

static void redeploy_changed(struct tenant *t, uint32_t parts)
{
    for (size_t i = 0; i < t->n_all; i++) {
        struct component *c = t->all[i];
        struct rec_event ev = {.type = REC_EV_OPERATOR,
            .tenant = t->index,
            .component = c->index,
            .op = {.op = REC_OP_REDEPLOY}};

        if (c->kind != REC_KIND_CONTAINER)
            continue;
        if (!(parts & (UINT32_C(1) << c->part))) {
            observe_inspect(c); /* limits that changed are put in force as drift */
            continue;
        }
        manager_note(t, c, LOG_NOTICE, NULL, "config", "its specification changed: redeploying");
        manager_event(t->manager, &ev);
    }
}

void tenant_rebind(struct tenant *t, const struct config_tenant *c)
{
    bind_config(t, c);
}

int tenant_update(struct tenant *t, const struct config_tenant *c, struct err *e)
{
    struct manager *m = t->manager;
    const struct config_tenant *old = t->config;
    bool sockets = !listens_equal(&old->proxy, &c->proxy);
    uint32_t respec = 0;
    int r;

    if (!same_parts(t, c)) {
        /* Another kind of tenant under the same slug: it goes and comes anew; containers are not touched. */
        stop_left_components(t, c);
        tenant_remove(t, false);
        return tenant_add(m, c, e);
    }
    for (size_t i = 0; i < t->n_all; i++)
        if (spec_changed(t, c, t->all[i]))
            respec |= UINT32_C(1) << t->all[i]->part;
    bind_config(t, c);
    (void)recovery_set_params(m->recovery, t->index, &c->recovery);
    for (size_t i = 0; i < t->n_all; i++) {
        struct rec_component_params p = params_of(t->all[i]);
        (void)recovery_set_component_params(m->recovery, t->index, t->all[i]->index, &p);
    }
    limits_driver_apply(t);
    disk_driver_apply(t);
    r = hand_over_proxy(t, sockets, e);
    redeploy_changed(t, respec);
    return r;
}

/* ---------------------------------------------------------------- go */

static void component_release(struct component *c)
{
    probe_stop(c);
    observe_forget(c);
}

void tenant_remove(struct tenant *t, bool stop)
{
    struct manager *m = t->manager;

    if (stop) {
        manager_note(t, NULL, LOG_NOTICE, MESSAGE_TENANT_REMOVED, "config",
            "left the configuration: its containers are stopped, not removed; data_root is untouched");
        left_add(m, t->slug, t->config->gateway.stop_timeout_us);
    }
    verbs_tenant_gone(t);
    t->op = op_free(t->op);
    t->relaunch = op_free(t->relaunch);
    for (size_t i = 0; i < t->n_all; i++)
        component_release(t->all[i]);
    engine_call_cancel(t->limits_call);
    t->child = proxy_child_free(t->child, stop);
    if (stop)
        limits_driver_forget(t);
    slice_call_cancel(t->slice_call);
    t->events = limits_events_free(t->events);
    t->members = members_free(t->members);
    disk_driver_forget(t);
    (void)recovery_remove_tenant(m->recovery, t->index);
    (void)tenant_index_set(&m->by_index, t->index, NULL);
    metrics_remove_tenant(m->metrics, t->slug);
    HASH_DELETE(hh, m->tenants, t);
    tenant_free(t);
}
