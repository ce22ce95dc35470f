/* startup.c: what must be known before the first tenant is looked at: the engine's cgroup driver and the ids
 * of the tenants' networks are part of each proxy's policy and of each gateway's spec, and a proxy that runs
 * is only adopted if its policy is the one that is wanted. An engine that is down is not waited for. */
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/left.h"
#include "daemon/limits_driver.h"
#include "daemon/messages.h"
#include "daemon/spec.h"

#define WAIT_US (5 * USEC_PER_SEC)
#define LIST_TIMEOUT_US (3 * USEC_PER_SEC)

static void add_tenants(struct manager *m)
{
    struct err e = {0};

    for (size_t i = 0; i < m->config->n_tenants; i++)
        if (tenant_add(m, m->config->tenants[i], &e) < 0) /* one tenant's trouble is not the others' */
            log_error("%s; this tenant is not supervised", e.msg);
    /* What an action of the former clawsupd did is found out by inspection, never by doing it again. */
    manager_store_result(m,
        store_close_intents(m->store, realtime_now(), (int)REC_DONE_FAILED, "clawsupd ended meanwhile", &e),
        &e);
}

static void finish(struct manager *m)
{
    struct log_fields f = {.message_id = MESSAGE_STARTED};
    struct err e = {0};

    if (m->started)
        return;
    m->started = true;
    m->startup_timer = sd_event_source_disable_unref(m->startup_timer);
    left_begin(m);
    add_tenants(m);
    if (verbs_start(m, &e) < 0) {
        log_error("%s", e.msg);
        (void)sd_event_exit(m->event, EXIT_FAILURE);
        return;
    }
    if (m->engine_up)
        observe_relist(m);
    log_full(LOG_NOTICE, &f, "clawsupd %s supervises %zu tenant%s, engine at %s", CLAWSUP_VERSION,
        m->config->n_tenants, m->config->n_tenants == 1 ? "" : "s", m->config->engine_socket);
    if (m->reload_wanted) {
        _cleanup_json_ json_t *report = json_object();

        if (report)
            (void)manager_reload(m, report, NULL, &e);
    }
    (void)sd_notifyf(0, "READY=1\nSTATUS=Supervising %zu tenants", m->config->n_tenants);
}

/* Without the engine's word: Docker's default on a systemd host with cgroup v2 is the systemd driver. If it
 * is another one, that is learned when the engine is back, and policies follow. */
static void guess_driver(struct manager *m)
{
    if (m->host->systemd && m->host->bus && m->host->cgroup == LIMITS_CGROUP_V2) {
        m->host->driver = LIMITS_DRIVER_SYSTEMD;
        m->host->engine_cgroup = 2;
        (void)snprintf(m->host->engine_version, sizeof(m->host->engine_version), "not known yet");
        limits_host_decide(m->host);
    }
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;

    (void)s;
    (void)usec;
    log_warning("the engine takes its time; going on without its facts");
    guess_driver(m);
    finish(m);
    return 0;
}

static void on_networks(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct manager *m = userdata;
    json_t *row;
    size_t i;

    (void)e;
    m->networks_call = NULL;
    json_array_foreach(a->status == 200 ? a->body : NULL, i, row)
    {
        const char *slug =
            json_string_value(json_object_get(json_object_get(row, "Labels"), SPEC_LABEL_TENANT));
        const char *id = json_string_value(json_object_get(row, "Id"));

        if (slug && id && str_is_hex(id, 64))
            (void)json_object_set_new(m->networks, slug, json_string(id));
    }
    finish(m);
}

void startup_limits_known(struct manager *m)
{
    if (m->started || m->networks_call)
        return;
    if (engine_request(m->engine, "GET",
            "/networks?filters=%7B%22label%22%3A%5B%22" SPEC_LABEL_ROLE "%3Dnetwork%22%5D%7D", NULL,
            LIST_TIMEOUT_US, on_networks, m, &m->networks_call) < 0)
        finish(m);
}

void startup_engine_down(struct manager *m)
{
    if (m->started)
        return;
    guess_driver(m);
    finish(m);
}

int startup_begin(struct manager *m)
{
    m->networks = json_object();
    if (!m->networks)
        return -ENOMEM;
    return sd_event_add_time_relative(
        m->event, &m->startup_timer, CLOCK_MONOTONIC, WAIT_US, 0, on_deadline, m);
}
