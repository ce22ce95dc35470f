/* limits_driver.c: see limits_driver.h. Decides no policy: wanted values come from the configuration. */
#include "daemon/limits_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/disk_driver.h"
#include "daemon/limits_events.h"
#include "daemon/members.h"
#include "daemon/messages.h"
#include "daemon/proxy_child.h"
#include "limits/cgroup.h"
#include "limits/drift.h"
#include "limits/slice.h"

#define INFO_TIMEOUT_US (10 * USEC_PER_SEC)
#define CHECK_PERIOD_US (5 * USEC_PER_SEC)
#define UPDATE_TIMEOUT_US (20 * USEC_PER_SEC)

/* A tenant that is throttled has half of its CPUs, and the smallest share when others want theirs. */
static struct limits_want want_of(const struct tenant *t)
{
    const struct config_limits *l = &t->config->limits;
    bool slow = limits_events_throttled(t);

    return (struct limits_want){.nano_cpus = slow ? l->nano_cpus / 2 : l->nano_cpus,
        .cpu_weight = slow ? 1 : l->cpu_weight,
        .memory_bytes = l->memory_bytes,
        .pids = l->pids};
}

/* ---------------------------------------------------------------- the host's level */

static void apply_all(struct manager *m)
{
    struct tenant *t, *next;

    HASH_ITER(hh, m->tenants, t, next)
    limits_driver_apply(t);
}

static void on_parent(int r, const char *text, void *userdata)
{
    (void)userdata;
    if (r < 0)
        log_error("clawsup.slice cannot be set up: %s", text);
}

static void apply_parent(struct manager *m)
{
    uint64_t total = m->host->memory_total_bytes, reserve = m->config->host_reserve_memory_bytes;
    struct limits_want w = {.memory_bytes = total > reserve && reserve ? total - reserve : 0};

    if (m->host->level == LIMITS_SLICE && m->slices)
        (void)slice_apply(m->slices, SLICE_PARENT, &w, on_parent, m, NULL);
    else if (m->host->level == LIMITS_CGROUPFS && cgroup_tenant_apply(m->host, NULL, &w) < 0)
        log_error("the cgroup /clawsup cannot be set up: %m");
}

static void on_info(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct manager *m = userdata;

    (void)e;
    m->info_call = NULL;
    observe_engine_result(m, a);
    if (a->result != ENGINE_OK || a->status != 200) {
        startup_limits_known(m);
        return;
    }
    limits_host_set_engine(m->host, a->body);
    log_info(
        "limits: %s%s%s", limits_level_to_string(m->host->level), m->host->why[0] ? ": " : "", m->host->why);
    apply_parent(m);
    apply_all(m);
    startup_limits_known(m);
}

void limits_driver_engine_up(struct manager *m)
{
    if (!m->info_call)
        (void)engine_request(m->engine, "GET", "/info", NULL, INFO_TIMEOUT_US, on_info, m, &m->info_call);
}

static int on_check_timer(sd_event_source *s, uint64_t usec, void *userdata);

int limits_driver_start(struct manager *m)
{
    int r;

    m->host = calloc(1, sizeof(*m->host));
    if (!m->host)
        return -ENOMEM;
    r = limits_host_detect("", NULL, m->host);
    if (r < 0)
        return r;
    if (m->host->systemd && m->host->bus)
        r = slice_bus_new(m->event, &m->slices);
    if (r < 0)
        return r;
    return sd_event_add_time(
        m->event, &m->limits_timer, CLOCK_MONOTONIC, manager_now(m) + CHECK_PERIOD_US, 0, on_check_timer, m);
}

void limits_driver_stop(struct manager *m)
{
    engine_call_cancel(m->info_call);
    m->info_call = NULL;
    m->limits_timer = sd_event_source_disable_unref(m->limits_timer);
    m->slices = slice_bus_free(m->slices);
    free(m->host);
    m->host = NULL;
}

/* ---------------------------------------------------------------- one tenant */

/* Whether or not it could be made. */
static int tenant_dir(const struct tenant *t, char *out, size_t n)
{
    const struct manager *m = t->manager;
    char unit[160];

    if (m->host->level == LIMITS_SLICE && m->slices) {
        str_slice_name(unit, sizeof(unit), t->slug);
        return cgroup_slice_dir(m->host, unit, out, n);
    }
    if (m->host->level == LIMITS_CGROUPFS) {
        cgroup_tenant_parent(unit, sizeof(unit), t->slug);
        return (size_t)snprintf(out, n, "%s%s%s", m->host->sysroot, m->host->cgroup_root, unit) < n
                   ? 0
                   : -ENAMETOOLONG;
    }
    return -EOPNOTSUPP;
}

int limits_driver_tenant_dir(const struct tenant *t, char *out, size_t n)
{
    return t->slice_failed ? -EOPNOTSUPP : tenant_dir(t, out, n);
}

static void on_slice(int r, const char *text, void *userdata)
{
    struct tenant *t = userdata;

    t->slice_call = NULL;
    t->slice_failed = r < 0;
    if (r < 0)
        manager_note(t, NULL, LOG_ERR, MESSAGE_LIMITS_DRIFT, "limits",
            "the tenant's slice cannot be set up: %s", text);
    else
        limits_events_check(t);
}

void limits_driver_apply(struct tenant *t)
{
    struct manager *m = t->manager;
    struct limits_want w = want_of(t);
    char unit[160];
    int r;

    if (m->host->level == LIMITS_SLICE && m->slices) {
        str_slice_name(unit, sizeof(unit), t->slug);
        (void)snprintf(t->cgroup_parent, sizeof(t->cgroup_parent), "%s", unit);
        slice_call_cancel(t->slice_call);
        t->slice_call = NULL;
        r = slice_apply(m->slices, unit, &w, on_slice, t, &t->slice_call);
        if (r < 0)
            on_slice(r, strerror(-r), t);
    } else if (m->host->level == LIMITS_CGROUPFS) {
        cgroup_tenant_parent(t->cgroup_parent, sizeof(t->cgroup_parent), t->slug);
        r = cgroup_tenant_apply(m->host, t->slug, &w);
        t->slice_failed = r < 0;
        if (r < 0)
            manager_note(t, NULL, LOG_ERR, MESSAGE_LIMITS_DRIFT, "limits",
                "the tenant's cgroup cannot be set up: %s", strerror(-r));
    }
}

static void on_slice_gone(int r, const char *text, void *userdata)
{
    (void)userdata;
    if (r < 0 && r != -EBUSY)
        log_warning("a slice cannot be stopped: %s", text);
}

void limits_driver_forget(struct tenant *t)
{
    struct manager *m = t->manager;
    char unit[160], dir[512];

    slice_call_cancel(t->slice_call);
    t->slice_call = NULL;
    if (m->host->level == LIMITS_SLICE && m->slices) {
        str_slice_name(unit, sizeof(unit), t->slug);
        if (cgroup_slice_dir(m->host, unit, dir, sizeof(dir)) >= 0)
            (void)slice_stop(m->slices, unit, dir, on_slice_gone, m, NULL);
    } else if (m->host->level == LIMITS_CGROUPFS) {
        (void)cgroup_tenant_remove(m->host, t->slug);
    }
}

/* ---------------------------------------------------------------- drift */

static void on_update(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct tenant *t = userdata;
    char why[192];

    (void)e;
    t->limits_call = NULL;
    observe_engine_result(t->manager, a);
    if (a->result == ENGINE_OK && a->status == 200) {
        t->drift_repairs++;
        return;
    }
    if (a->status != 404 && (a->result == ENGINE_OK || a->result == ENGINE_HTTP_ERROR)) {
        (void)snprintf(why, sizeof(why), "has other limits than it should: %.120s", a->message);
        members_gateway_violates(t, why);
    }
}

void limits_driver_inspected(struct component *c, const json_t *inspect)
{
    struct tenant *t = c->tenant;
    const struct config_limits *l = &t->config->limits;
    struct drift_container_want w = {.memory_bytes = l->memory_bytes,
        .nano_cpus = l->nano_cpus,
        .pids = l->pids,
        .cgroup_parent = t->cgroup_parent[0] ? t->cgroup_parent : NULL,
        .ignore_swap = !t->manager->host->swap_limit};
    _cleanup_drift_ struct drift d = {0};
    _cleanup_free_ char *path = NULL;

    /* A stopped container may be updated as well, but it is about to be started or replaced. */
    if (c != &t->gateway || t->op || t->limits_call || c->facts.state != DOCKER_RUNNING ||
        drift_container(inspect, &w, &d) <= 0)
        return;
    if (d.recreate)
        members_gateway_violates(t, "runs outside of the tenant's cgroup");
    if (!d.update || t->op)
        return;
    manager_note(
        t, c, LOG_WARNING, MESSAGE_LIMITS_DRIFT, "limits", "limits drifted, putting them right: %s", d.text);
    if (asprintf(&path, "/containers/%s/update", c->facts.id) < 0)
        return;
    (void)engine_request(
        t->manager->engine, "POST", path, d.update, UPDATE_TIMEOUT_US, on_update, t, &t->limits_call);
}

/* Somebody's `systemctl set-property` on a tenant's slice is found within one period and put right. */
static void check_slice(struct tenant *t)
{
    struct limits_want w = want_of(t);
    struct cgroup_sample s = {0};
    char dir[512], text[256];

    if (t->slice_call || tenant_dir(t, dir, sizeof(dir)) < 0)
        return;
    if (cgroup_read(dir, &s) < 0)
        (void)snprintf(text, sizeof(text), "the slice is gone");
    else if (drift_sample(&s, &w, text, sizeof(text)) <= 0)
        return;
    if (!t->slice_failed) /* one that cannot be put right is not told every period */
        manager_note(t, NULL, LOG_WARNING, MESSAGE_LIMITS_DRIFT, "limits",
            "the slice's limits drifted, putting them right: %s", text);
    t->drift_repairs++;
    limits_driver_apply(t);
}

static int on_check_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;
    struct tenant *t, *next;

    (void)usec;
    HASH_ITER(hh, m->tenants, t, next)
    {
        check_slice(t);
        limits_events_check(t);
        members_check(t);
    }
    (void)sd_event_source_set_time(s, manager_now(m) + CHECK_PERIOD_US);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

/* ---------------------------------------------------------------- usage */

static int read_sample(struct tenant *t, struct cgroup_sample *ret)
{
    struct manager *m = t->manager;
    char dir[512];

    if (limits_driver_tenant_dir(t, dir, sizeof(dir)) >= 0 && cgroup_read(dir, ret) >= 0)
        return 0;
    if (t->gateway.facts_known && t->gateway.facts.state == DOCKER_RUNNING && t->gateway.facts.pid > 1)
        return cgroup_read_pid(m->host, t->gateway.facts.pid, ret);
    return -ENOENT;
}

void limits_driver_usage(struct tenant *t, struct limits_usage *ret)
{
    struct cgroup_sample s = {0};
    const struct tenant_disk *disk = t->disk;

    *ret = (struct limits_usage){0};
    if (read_sample(t, &s) >= 0) {
        ret->have_cpu = s.have & CGROUP_CPU_USAGE;
        ret->have_memory = s.have & CGROUP_MEMORY_CURRENT;
        ret->have_pids = s.have & CGROUP_PIDS_CURRENT;
        ret->cpu_usage_us = s.cpu_usage_us;
        ret->cpu_throttled_us = s.cpu_throttled_us;
        ret->cpu_periods = s.cpu_periods;
        ret->cpu_throttled_periods = s.cpu_throttled_periods;
        ret->memory_bytes = s.memory_current_bytes;
        ret->pids = s.pids_current;
        ret->oom_kills = s.oom_kills;
    }
    if (disk && disk->have_sample) {
        ret->have_disk = true;
        ret->disk_bytes = disk->sample.used_bytes;
        ret->disk_limit_bytes = disk->sample.limit_bytes;
        ret->disk_inodes = disk->sample.used_inodes;
        ret->disk_inodes_limit = disk->sample.limit_inodes;
    }
}
