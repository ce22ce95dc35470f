/* status.c: everything the daemon knows, as the object of contrib/docs/status-schema.json. Reads only. */
#include "daemon/manager.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/rfc3339.h"
#include "daemon/disk_driver.h"
#include "daemon/limits_driver.h"
#include "daemon/limits_events.h"
#include "daemon/proxy_child.h"
#include "daemon/status.h"

#define EVENTS_SHOWN 10

static json_t *time_json(int64_t real)
{
    char text[RFC3339_MAX];

    if (real <= 0)
        return json_null();
    rfc3339_format(text, sizeof(text), (uint64_t)real);
    return json_string(text);
}

/* A monotonic moment as wall-clock time, given both clocks now. */
static json_t *mono_json(uint64_t mono, uint64_t now, int64_t real)
{
    return time_json(real + (int64_t)(mono - now));
}

static json_t *text_json(const char *s)
{
    return s && *s ? json_string(s) : json_null();
}

static json_t *count_json(bool have, uint64_t v)
{
    return have ? json_integer((json_int_t)v) : json_null();
}

/* Takes the reference; a failed allocation anywhere shows as NULL at the end. */
static void put(json_t *o, const char *key, json_t *v)
{
    if (json_object_set_new(o, key, v) < 0)
        (void)json_object_set_new(o, key, json_null());
}

/* ---------------------------------------------------------------- a component */

static json_t *probes_json(const struct component *c)
{
    static const char *const words[_CHECK_RESULT_MAX] = {
        [CHECK_OK] = "ok", [CHECK_FAIL] = "fail", [CHECK_UNKNOWN] = "unknown"};
    size_t n = MIN(c->n_history, (size_t)PROBE_HISTORY);
    json_t *a = json_array();

    for (size_t i = c->n_history - n; i < c->n_history; i++) {
        const struct probe_record *p = &c->history[i % PROBE_HISTORY];
        (void)json_array_append_new(
            a, json_pack("{s:o, s:s, s:I, s:s}", "at", time_json(p->at_us), "result", words[p->result],
                   "duration_us", (json_int_t)p->duration_us, "detail", p->detail));
    }
    return a;
}

static json_t *container_json(const struct component *c)
{
    const struct docker_facts *f = &c->facts;
    bool exists = c->facts_known && f->state != DOCKER_MISSING;
    json_t *o;

    if (c->kind != REC_KIND_CONTAINER)
        return json_null();
    o = json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", exists ? f->id : "", "name",
        exists && f->name[0] ? f->name : c->container_name, "image", exists ? c->image : "", "state",
        c->facts_known ? docker_state_to_string(f->state) : "unknown", "restart_count",
        (json_int_t)f->restart_count);
    if (!o)
        return NULL;
    put(o, "health",
        f->health == DOCKER_HEALTH_NONE ? json_null() : json_string(docker_health_to_string(f->health)));
    put(o, "started_at", time_json(f->started_at_us));
    put(o, "exit_code", exists && f->state == DOCKER_EXITED ? json_integer(f->exit_code) : json_null());
    return o;
}

static const char *next_action(const struct rec_component_view *v)
{
    switch (v->next_level) {
    case REC_L0:
        return "bring-up";
    case REC_L1:
        return "restart";
    case REC_L2:
        return "restart-all";
    case REC_L3:
        return "redeploy";
    case REC_L4:
    case _REC_LEVEL_MAX:
    default:
        return v->state == REC_QUARANTINED ? "redeploy" : "probe";
    }
}

static json_t *reason_json(const struct component *c, const struct rec_component_view *v)
{
    bool why = c->message[0] && v->state != REC_HEALTHY;

    return json_sprintf("%s%s%s%s%s%s", v->reason, why ? " (" : "", why ? c->message : "", why ? ")" : "",
        c->others[0] ? "; not supervised though they have its label: " : "", c->others);
}

/* The names of the components that it waits for. */
static json_t *after_json(const struct component *c)
{
    uint32_t mask = config_part_after(c->tenant->config, c->part);
    json_t *a = json_array();

    for (size_t i = 0; i < c->tenant->n_all; i++)
        if (mask & (UINT32_C(1) << c->tenant->all[i]->part))
            (void)json_array_append_new(a, json_string(c->tenant->all[i]->name));
    return a;
}

static json_t *component_json(const struct component *c, uint64_t now, int64_t real)
{
    const struct tenant *t = c->tenant;
    const struct recovery_params *p = c->recovery;
    struct rec_component_view v;
    uint32_t hour, day;
    pid_t pid = t->child && c == &t->proxy ? proxy_child_pid(t->child) : 0;
    json_t *o;

    recovery_component_view(t->manager->recovery, t->index, c->index, now, &v);
    recovery_component_budget(t->manager->recovery, t->index, c->index, now, &hour, &day);
    o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", c->name, "kind",
        c->kind == REC_KIND_PROXY ? "proxy" : "container", "mode",
        c->mode == CONFIG_MANAGED ? "managed" : "external", "state", rec_state_to_string(v.state), "fails",
        (json_int_t)v.fails, "oks", (json_int_t)v.oks, "fall", (json_int_t)c->health->fall, "rise",
        (json_int_t)c->health->rise, "restarts_1h", (json_int_t)hour, "restarts_24h", (json_int_t)day,
        "budget_1h", (json_int_t)p->restarts_per_hour, "budget_24h", (json_int_t)p->restarts_per_day);
    if (!o)
        return NULL;
    put(o, "since", mono_json(v.since_us, now, real));
    put(o, "after", after_json(c));
    put(o, "reason", reason_json(c, &v));
    put(o, "held_by", text_json(v.held_by));
    put(o, "next",
        v.next_us == USEC_INFINITY
            ? json_null()
            : json_pack("{s:s, s:s, s:I, s:I, s:o}", "action", next_action(&v), "level",
                  rec_level_to_string(v.next_level), "attempt", (json_int_t)v.next_attempt, "attempts",
                  (json_int_t)v.next_attempts, "at", mono_json(v.next_us, now, real)));
    put(o, "container", container_json(c));
    put(o, "pid", pid > 0 ? json_integer(pid) : json_null());
    put(o, "last_probes", probes_json(c));
    return o;
}

/* ---------------------------------------------------------------- a tenant */

static const char *tenant_state(const struct tenant *t, const struct rec_tenant_view *v, uint64_t now)
{
    static const struct {
        enum rec_state state;
        const char *word;
    } order[] = {{REC_QUARANTINED, "quarantined"}, {REC_HELD, "held"}, {REC_RECOVERING, "recovering"},
        {REC_VERIFYING, "recovering"}, {REC_BACKOFF, "down"}, {REC_SUSPECT, "degraded"},
        {REC_STARTING, "starting"}, {REC_UNKNOWN, "starting"}};
    struct rec_component_view c[CONFIG_PARTS_MAX];

    if (v->quarantined)
        return "quarantined";
    if (v->paused)
        return "paused";
    for (size_t k = 0; k < t->n_all; k++)
        recovery_component_view(t->manager->recovery, t->index, t->all[k]->index, now, &c[k]);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        for (size_t k = 0; k < t->n_all; k++)
            if (c[k].state == order[i].state)
                return order[i].word;
    return "healthy";
}

/* Of the last 10 s, in percent; null where the kernel does not say. */
static json_t *pressure_json(const struct tenant *t)
{
    json_t *o = json_object();

    for (enum pressure_resource r = 0; r < _PRESSURE_MAX; r++) {
        struct pressure_sample p;
        bool known = limits_events_pressure(t, r, &p) >= 0;

        put(o, pressure_resource_to_string(r), known ? json_real((double)p.avg10 / 100) : json_null());
    }
    return o;
}

static json_t *resources_json(struct tenant *t, uint64_t now)
{
    const struct config_limits *l = &t->config->limits;
    const struct metrics_tenant *mt = metrics_tenant(t->manager->metrics, t->slug);
    struct limits_usage u;
    json_t *o = json_object();
    double rate;
    uint64_t permille;

    limits_driver_usage(t, &u);
    permille = u.cpu_periods > 0 ? u.cpu_throttled_periods * 1000 / u.cpu_periods : 0;
    put(o, "cpu_usage_usec", count_json(u.have_cpu, u.cpu_usage_us));
    put(o, "cpu_percent",
        u.have_cpu && rate_sample(&t->cpu_rate, now, u.cpu_usage_us, &rate)
            ? json_real((double)(uint64_t)(rate * 1000) / 10)
            : json_null());
    put(o, "cpu_limit_nano", count_json(l->nano_cpus > 0, l->nano_cpus));
    put(o, "memory_bytes", count_json(u.have_memory, u.memory_bytes));
    put(o, "memory_limit_bytes", count_json(l->memory_bytes > 0, l->memory_bytes));
    put(o, "pids", count_json(u.have_pids, u.pids));
    put(o, "pids_limit", count_json(l->pids > 0, l->pids));
    put(o, "disk_bytes", count_json(u.have_disk, u.disk_bytes));
    put(o, "disk_limit_bytes",
        u.have_disk ? count_json(true, u.disk_limit_bytes) : count_json(l->disk_bytes > 0, l->disk_bytes));
    put(o, "disk_inodes", count_json(u.have_disk, u.disk_inodes));
    put(o, "disk_inodes_limit", count_json(u.have_disk && u.disk_inodes_limit > 0, u.disk_inodes_limit));
    put(o, "disk_full", json_boolean(t->disk && t->disk->full));
    put(o, "disk_level", json_string(disk_driver_level(t)));
    put(o, "disk_frozen", json_boolean(t->disk && t->disk->freeze != DISK_FREEZE_NONE));
    put(o, "disk_problem", text_json(t->disk ? t->disk->why : NULL));
    put(o, "cpu_throttled_percent", u.cpu_periods > 0 ? json_real((double)permille / 10) : json_null());
    put(o, "pressure", pressure_json(t));
    put(o, "oom_kills", json_integer(mt ? (json_int_t)mt->oom_kills : 0));
    put(o, "forks_refused", json_integer(mt ? (json_int_t)mt->forks_refused : 0));
    put(o, "limits_repairs", json_integer((json_int_t)t->drift_repairs));
    put(o, "limits_stops", json_integer((json_int_t)t->limits_stops));
    put(o, "throttled", json_boolean(limits_events_throttled(t)));
    put(o, "level",
        json_string(t->slice_failed ? "per container" : limits_level_to_string(t->manager->host->level)));
    return o;
}

json_t *status_event_json(
    int64_t seq, int64_t at, const char *tenant, const char *component, const char *kind, const char *text)
{
    json_t *o = json_pack(
        "{s:I, s:o, s:s, s:s}", "seq", (json_int_t)seq, "at", time_json(at), "kind", kind, "text", text);

    if (o) {
        put(o, "tenant", text_json(tenant));
        put(o, "component", text_json(component));
    }
    return o;
}

static int collect_event(const struct store_event *ev, void *userdata)
{
    return json_array_append_new(
        userdata, status_event_json(ev->seq, ev->at, ev->tenant, ev->component, ev->kind, ev->text));
}

const char *status_filter(const struct tenant *t)
{
    return t->config->policy->filter == POLICY_FILTER_REPORT ? "report" : "enforce";
}

static json_t *components_json(const struct tenant *t, uint64_t now, int64_t real)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->n_all; i++)
        (void)json_array_append_new(list, component_json(t->all[i], now, real));
    return list;
}

static json_t *tenant_json(struct tenant *t, bool detail, uint64_t now, int64_t real)
{
    struct manager *m = t->manager;
    _cleanup_json_ json_t *events = json_array();
    struct rec_tenant_view v;
    size_t n;
    json_t *o;

    recovery_tenant_view(m->recovery, t->index, now, &v);
    (void)store_events(m->store, t->slug, 0, detail ? EVENTS_SHOWN : 1, collect_event, events, NULL);
    n = json_array_size(events);
    o = json_pack("{s:s, s:s, s:s, s:b, s:I, s:o, s:{s:I, s:I, s:I, s:I, s:I}, s:s}", "slug", t->slug,
        "state", tenant_state(t, &v, now), "level", rec_level_to_string(v.level), "flapping", (int)v.flapping,
        "redeploys_24h", (json_int_t)v.redeploys_day, "components", components_json(t, now, real),
        "proxy_requests", "allowed", (json_int_t)t->requests.allowed, "reported",
        (json_int_t)t->requests.reported, "denied", (json_int_t)t->requests.denied, "errors",
        (json_int_t)t->requests.errors, "records_dropped", (json_int_t)t->requests.dropped, "filter",
        status_filter(t));
    if (!o)
        return NULL;
    put(o, "quarantined_since", v.quarantined ? mono_json(v.quarantine_since_us, now, real) : json_null());
    put(o, "hold_until", v.paused || v.held ? mono_json(v.hold_until_us, now, real) : json_null());
    put(o, "resources", resources_json(t, now));
    put(o, "last_event", n ? json_incref(json_array_get(events, n - 1)) : json_null());
    if (detail)
        put(o, "events", json_incref(events));
    return o;
}

/* ---------------------------------------------------------------- the host */

static json_t *host_json(struct manager *m, uint64_t now, int64_t real)
{
    struct rec_host_view h;
    json_t *o;

    recovery_host_view(m->recovery, now, &h);
    o = json_pack("{s:s, s:o, s:o, s:{s:b, s:o, s:o}, s:b, s:I, s:s, s:s, s:{s:s, s:o, s:o}}", "state",
        rec_host_state_to_string(h.state), "since", mono_json(h.since_us, now, real), "started_at",
        time_json(m->started_realtime_us), "engine", "up", (int)m->engine_up, "version",
        text_json(engine_server_version(m->engine)), "api_version", text_json(engine_api_version(m->engine)),
        "observing", (int)h.observing, "actions_in_flight",
        (json_int_t)h.restarts_in_flight + h.redeploys_in_flight, "limits_level",
        limits_level_to_string(m->host->level), "state_store", m->store_degraded ? "degraded" : "ok",
        "config", "file", m->config_path, "loaded_at", time_json(m->config_loaded_at_us), "error",
        text_json(m->config_error));
    if (o && !m->engine_up)
        put(json_object_get(o, "engine"), "error", text_json(m->engine_message));
    return o;
}

static int by_slug(const void *a, const void *b)
{
    const struct tenant *const *x = a, *const *y = b;
    return strcmp((*x)->slug, (*y)->slug);
}

json_t *status_to_json(struct manager *m, const char *slug)
{
    uint64_t now = manager_now(m);
    int64_t real = realtime_now();
    size_t n = HASH_COUNT(m->tenants), i = 0;
    _cleanup_free_ struct tenant **sorted = calloc(n + 1, sizeof(*sorted));
    json_t *list = json_array();
    struct tenant *t, *next;

    if (!sorted || !list) {
        json_decref(list);
        return NULL;
    }
    HASH_ITER(hh, m->tenants, t, next)
    if (!slug || strcmp(slug, t->slug) == 0)
        sorted[i++] = t;
    if (i > 0)
        qsort(sorted, i, sizeof(*sorted), by_slug);
    for (size_t k = 0; k < i; k++)
        (void)json_array_append_new(list, tenant_json(sorted[k], slug != NULL, now, real));
    return json_pack("{s:o, s:s, s:o, s:o}", "now", time_json(real), "version", CLAWSUP_VERSION, "host",
        host_json(m, now, real), "tenants", list);
}
