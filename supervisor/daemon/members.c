/* members.c: see members.h. Judges by what the kernel and the engine show, never by what a client said. The
 * gateway's own drift is put right where it is inspected anyway, in limits_driver.c. */
#include "daemon/members.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/limits_driver.h"
#include "daemon/messages.h"
#include "daemon/spec.h"
#include "filter/create.h"
#include "limits/cgroup.h"
#include "limits/drift.h"

/* gcc's analyzer loses sight of the table where uthash found no memory for it. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#define MEMBERS_MAX 4096
#define CALL_TIMEOUT_US (20 * USEC_PER_SEC)
#define STOP_GRACE_S 5

struct member {
    UT_hash_handle hh;
    char id[65], name[128];
    bool gateway, sandbox, running; /* neither: a component of its own caps, which is only named */
    bool wanted;                    /* is to be inspected */
    bool grouped;                   /* memory.oom.group was set, or cannot be */
    bool told;                      /* that it violates, and nothing can be done about it */
    bool listed;
};

struct members {
    struct tenant *tenant;
    struct member *all;       /* hash by id */
    struct engine_call *call; /* one at a time: an inspect, an update or a stop */
    char subject[65];         /* of the call */
    char why[256];            /* of an update or a stop */
};

static void next(struct members *s);

struct members *members_new(struct tenant *t)
{
    struct members *s = calloc(1, sizeof(*s));

    if (s)
        s->tenant = t;
    return s;
}

static void drop(struct members *s, struct member *e)
{
    HASH_DEL(s->all, e);
    free(e);
}

struct members *members_free(struct members *s)
{
    struct member *e, *following;

    if (!s)
        return NULL;
    engine_call_cancel(s->call);
    HASH_ITER(hh, s->all, e, following)
    drop(s, e);
    free(s);
    return NULL;
}

static struct member *find(const struct members *s, const char *id)
{
    struct member *e = NULL;

    HASH_FIND_STR(s->all, id, e);
    return e;
}

static struct member *upsert(struct members *s, const char *id, const char *name, const char *role)
{
    struct member *e;

    if (!id || !str_is_hex(id, 64))
        return NULL;
    e = find(s, id);
    if (!e) {
        e = HASH_COUNT(s->all) < MEMBERS_MAX ? calloc(1, sizeof(*e)) : NULL;
        if (!e)
            return NULL;
        (void)snprintf(e->id, sizeof(e->id), "%s", id);
        e->gateway = str_eq(role, "gateway");
        e->sandbox = str_eq(role, ROLE_SANDBOX);
        HASH_ADD_STR(s->all, id, e);
        if (hash_refused(e)) {
            free(e);
            return NULL;
        }
    }
    if (name && *name)
        (void)snprintf(e->name, sizeof(e->name), "%s", name);
    return e;
}

const char *members_name_of_cgroup(const struct members *s, const char *child)
{
    const char *dash = strrchr(child, '-');
    char id[65];
    struct member *e;

    /* "docker-ID.scope" of the systemd driver, "ID" of the other */
    (void)snprintf(id, sizeof(id), "%s", dash ? dash + 1 : child);
    e = find(s, id);
    return e && e->name[0] ? e->name : NULL;
}

/* ---------------------------------------------------------------- what is wanted of one */

static struct drift_container_want want_of(const struct tenant *t, const struct member *e)
{
    const struct config_limits *l = &t->config->limits;
    const struct policy *p = t->config->policy;
    struct drift_container_want w = {.memory_bytes = e->gateway ? l->memory_bytes : p->memory_bytes,
        .nano_cpus = e->gateway ? l->nano_cpus : p->nano_cpus,
        .pids = e->gateway ? l->pids : p->pids,
        .cgroup_parent = t->cgroup_parent[0] ? t->cgroup_parent : NULL,
        .ignore_swap = !t->manager->host->swap_limit,
        .at_most = true};

    return w;
}

/* Its cgroup's directory, if the tenant has a cgroup. */
static int directory(const struct tenant *t, const char *id, char *out, size_t n)
{
    char parent[512];
    int r = limits_driver_tenant_dir(t, parent, sizeof(parent));

    if (r < 0)
        return r;
    r = snprintf(
        out, n, t->manager->host->level == LIMITS_SLICE ? "%s/docker-%s.scope" : "%s/%s", parent, id);
    return (size_t)r < n ? 0 : -ENAMETOOLONG;
}

/* ---------------------------------------------------------------- what is done about one */

static void on_stopped(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct members *s = userdata;
    struct member *x = find(s, s->subject);

    (void)e;
    s->call = NULL;
    observe_engine_result(s->tenant->manager, a);
    if (a->result == ENGINE_OK && a->status < 400) {
        s->tenant->limits_stops++;
        if (x)
            x->running = false;
    } else if (x && a->status != 404) {
        log_error("%s: %s cannot be stopped: %s", s->tenant->slug, x->name, a->message);
    }
    next(s);
}

static void violates(struct members *s, struct member *e, const char *why)
{
    struct tenant *t = s->tenant;
    bool strict = t->config->limits.enforce == CONFIG_ENFORCE_STRICT;
    _cleanup_free_ char *path = NULL;

    if (!e->told || strict)
        manager_note(t, NULL, LOG_ERR, MESSAGE_LIMITS_VIOLATED, "limits", "%s %s, and cannot be put right%s",
            e->name, why, strict ? ": it is stopped (limits.enforce)" : "");
    e->told = true;
    if (!strict || asprintf(&path, "/containers/%s/stop?t=%d", e->id, STOP_GRACE_S) < 0)
        return;
    (void)snprintf(s->subject, sizeof(s->subject), "%s", e->id);
    (void)engine_request(t->manager->engine, "POST", path, NULL,
        STOP_GRACE_S * USEC_PER_SEC + CALL_TIMEOUT_US, on_stopped, s, &s->call);
}

static void on_updated(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct members *s = userdata;
    struct member *x = find(s, s->subject);
    char why[sizeof(s->why) + 160];

    (void)e;
    s->call = NULL;
    observe_engine_result(s->tenant->manager, a);
    if (a->result == ENGINE_OK && a->status == 200) {
        s->tenant->drift_repairs++;
        if (x)
            x->told = false;
    } else if (x && x->running && a->status != 404 &&
               (a->result == ENGINE_OK || a->result == ENGINE_HTTP_ERROR)) {
        (void)snprintf(why, sizeof(why), "is above its caps (%s; %.120s)", s->why, a->message);
        violates(s, x, why);
    }
    next(s);
}

static void put_right(struct members *s, struct member *e, const json_t *update, const char *what)
{
    _cleanup_free_ char *path = NULL;

    manager_note(s->tenant, NULL, LOG_WARNING, MESSAGE_LIMITS_DRIFT, "limits",
        "the limits of %s changed, putting them right: %s", e->name, what);
    if (asprintf(&path, "/containers/%s/update", e->id) < 0)
        return;
    (void)snprintf(s->why, sizeof(s->why), "%s", what);
    (void)engine_request(
        s->tenant->manager->engine, "POST", path, update, CALL_TIMEOUT_US, on_updated, s, &s->call);
}

/* The engine's own view is right, so somebody went past it (`systemctl set-property`): saying the same again
 * puts it in force. */
static json_t *same_again(const json_t *inspect, const struct drift_container_want *w)
{
    static const char *const keys[] = {"Memory", "MemorySwap", "NanoCpus", "PidsLimit"};
    const json_t *host = json_object_get(inspect, "HostConfig");
    json_t *o = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        json_int_t v = json_integer_value(json_object_get(host, keys[i]));

        if (v > 0 && !(w->ignore_swap && i == 1))
            (void)json_object_set_new(o, keys[i], json_integer(v));
    }
    return o;
}

/* Whether the process is where the engine says. Somebody may have moved it. */
static bool is_outside(const struct tenant *t, const json_t *inspect)
{
    json_int_t pid = json_integer_value(json_object_get(json_object_get(inspect, "State"), "Pid"));
    char have[1024], want[512];

    return pid > 1 && limits_driver_tenant_dir(t, want, sizeof(want)) >= 0 &&
           cgroup_dir_of_pid(t->manager->host, (pid_t)pid, have, sizeof(have)) >= 0 &&
           !str_path_covers(want, have);
}

static void judge(struct members *s, struct member *e, const json_t *inspect)
{
    struct drift_container_want w = want_of(s->tenant, e);
    _cleanup_drift_ struct drift d = {0};
    struct cgroup_sample sample = {0};
    char dir[1024];

    if (drift_container(inspect, &w, &d) < 0)
        return;
    if (d.recreate || is_outside(s->tenant, inspect)) {
        if (e->gateway)
            members_gateway_violates(s->tenant, "runs outside of the tenant's cgroup");
        else
            violates(s, e, "runs outside of the tenant's cgroup");
    } else if (e->gateway) {
        observe_inspect(&s->tenant->gateway);
    } else if (d.update) {
        put_right(s, e, d.update, d.text);
    } else if (directory(s->tenant, e->id, dir, sizeof(dir)) >= 0 && cgroup_read(dir, &sample) >= 0 &&
               drift_above(&sample, &w)) {
        json_t *o = same_again(inspect, &w);

        put_right(s, e, o, "its cgroup allows more than the engine was told");
        json_decref(o);
    }
}

static void on_inspected(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct members *s = userdata;
    struct member *x = find(s, s->subject);

    (void)e;
    s->call = NULL;
    observe_engine_result(s->tenant->manager, a);
    if (x && a->result == ENGINE_OK && a->status == 200) {
        x->running = json_is_true(json_object_get(json_object_get(a->body, "State"), "Running"));
        if (x->running)
            judge(s, x, a->body);
    } else if (x && a->status == 404) {
        drop(s, x);
    }
    next(s);
}

/* The next one that is to be inspected, unless a call is under way. */
static void next(struct members *s)
{
    struct member *e, *following;

    HASH_ITER(hh, s->all, e, following)
    {
        _cleanup_free_ char *path = NULL;

        if (s->call)
            return;
        if (!e->wanted || !e->running)
            continue;
        e->wanted = false;
        if (asprintf(&path, "/containers/%s/json", e->id) < 0)
            return;
        (void)snprintf(s->subject, sizeof(s->subject), "%s", e->id);
        (void)engine_request(
            s->tenant->manager->engine, "GET", path, NULL, CALL_TIMEOUT_US, on_inspected, s, &s->call);
    }
}

/* ---------------------------------------------------------------- what is heard of one */

void members_event(struct manager *m, const struct engine_event *ev)
{
    const char *slug = json_string_value(json_object_get(ev->attributes, SPEC_LABEL_TENANT));
    const char *role = json_string_value(json_object_get(ev->attributes, SPEC_LABEL_ROLE));
    struct tenant *t = slug ? manager_find(m, slug) : NULL;
    struct member *e;

    if (!t || !t->members)
        return;
    if (str_eq(ev->action, "destroy")) {
        e = find(t->members, ev->id);
        if (e)
            drop(t->members, e);
        return;
    }
    e = upsert(t->members, ev->id, ev->name, role);
    if (!e)
        return;
    if (str_eq(ev->action, "die")) {
        e->running = e->grouped = false;
    } else if (str_eq(ev->action, "start") || str_eq(ev->action, "update")) {
        e->running = true;
        e->wanted = e->sandbox; /* a gateway is inspected on its events anyway */
        next(t->members);
    }
}

void members_listed(struct tenant *t, const json_t *list)
{
    struct member *e, *following;
    json_t *row;
    size_t i;

    if (!t->members)
        return;
    json_array_foreach(list, i, row)
    {
        const json_t *labels = json_object_get(row, "Labels");
        const char *slug = json_string_value(json_object_get(labels, SPEC_LABEL_TENANT));
        const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
        bool is_new;

        if (!str_eq(slug, t->slug))
            continue;
        is_new = !find(t->members, json_string_value(json_object_get(row, "Id")));
        e = upsert(t->members, json_string_value(json_object_get(row, "Id")), name ? name + 1 : NULL,
            json_string_value(json_object_get(labels, SPEC_LABEL_ROLE)));
        if (!e)
            continue;
        e->listed = true;
        e->running = str_eq(json_string_value(json_object_get(row, "State")), "running");
        e->wanted = e->wanted || (is_new && e->sandbox);
    }
    HASH_ITER(hh, t->members->all, e, following)
    if (e->listed)
        e->listed = false;
    else
        drop(t->members, e);
    next(t->members);
}

void members_check(struct tenant *t)
{
    struct member *e, *following;
    char dir[1024];

    if (!t->members || limits_driver_tenant_dir(t, dir, sizeof(dir)) < 0)
        return;
    HASH_ITER(hh, t->members->all, e, following)
    {
        struct drift_container_want w = want_of(t, e);
        struct cgroup_sample s = {0};

        if (!e->running || (!e->gateway && !e->sandbox) || directory(t, e->id, dir, sizeof(dir)) < 0)
            continue;
        if (cgroup_read(dir, &s) < 0 || !s.populated) {
            e->wanted = true; /* outside, or ended a moment ago */
            continue;
        }
        e->wanted = e->wanted || drift_above(&s, &w);
        if (e->sandbox && !e->grouped) {
            (void)cgroup_set_oom_group(dir);
            e->grouped = true;
        }
    }
    next(t->members);
}

/* ---------------------------------------------------------------- the gateway */

void members_gateway_violates(struct tenant *t, const char *why)
{
    struct component *c = &t->gateway;
    struct rec_event ev = {
        .type = REC_EV_OPERATOR, .tenant = t->index, .component = c->index, .op = {.op = REC_OP_REDEPLOY}};
    bool strict = t->config->limits.enforce == CONFIG_ENFORCE_STRICT && c->mode == CONFIG_MANAGED;

    /* Once per container: what the recovery makes of it is its own affair. */
    if (t->op || strcmp(t->violated_id, c->facts.id) == 0)
        return;
    (void)snprintf(t->violated_id, sizeof(t->violated_id), "%s", c->facts.id);
    manager_note(t, c, LOG_ERR, MESSAGE_LIMITS_VIOLATED, "limits", "the gateway %s%s", why,
        strict ? ": it is made anew (limits.enforce)"
               : (c->mode == CONFIG_MANAGED ? "" : "; whoever makes it must set its cgroup parent"));
    if (!strict)
        return;
    t->limits_stops++;
    manager_event(t->manager, &ev);
}
