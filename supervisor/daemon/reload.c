/* reload.c: mark and sweep: what is in the new configuration is marked, changed tenants take it over,
 * unmarked ones go, new ones come. Unchanged tenants are not touched. A bad file changes nothing. */
#include "daemon/manager.h"

#include <errno.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "daemon/left.h"
#include "daemon/messages.h"

static int refuse(struct manager *m, struct config_findings *f, struct err *e)
{
    struct log_fields fields = {.message_id = MESSAGE_CONFIG_REFUSED};

    for (size_t i = 0; i < f->n; i++)
        log_full(LOG_ERR, &fields, "%s", f->items[i]);
    log_full(LOG_ERR, &fields, "%s: not loaded; the running configuration stays in force", m->config_path);
    (void)snprintf(m->config_error, sizeof(m->config_error), "%s", f->n ? f->items[0] : e->msg);
    return err_set(e, -EINVAL, "%s", m->config_error);
}

static void list(json_t *report, const char *key, const char *slug)
{
    json_t *a = json_object_get(report, key);

    if (!a && json_object_set_new(report, key, a = json_array()) < 0)
        return;
    (void)json_array_append_new(a, json_string(slug));
}

static void sweep(struct manager *m, struct config *fresh, json_t *report)
{
    struct tenant *t, *next;
    struct err e = {0};

    /* Sockets and ports of those that leave are free before others come. */
    HASH_ITER(hh, m->tenants, t, next)
    {
        if (config_find(fresh, t->slug))
            continue;
        list(report, "removed", t->slug);
        tenant_remove(t, true);
    }
    json_decref(m->refused); /* who is still refused will say so again */
    m->refused = NULL;
    for (size_t i = 0; i < fresh->n_tenants; i++) {
        const struct config_tenant *c = fresh->tenants[i];
        int r = 0;

        t = manager_find(m, c->slug);
        if (t && config_tenant_equal(t->config, c)) {
            tenant_rebind(t, c);
            continue;
        }
        list(report, t ? "changed" : "added", c->slug);
        r = t ? tenant_update(t, c, &e) : tenant_add(m, c, &e);
        if (r < 0)
            log_error("tenant %s: %s", c->slug, e.msg);
    }
    log_notice("configuration loaded: %zu tenants (%zu new, %zu changed, %zu gone)", fresh->n_tenants,
        json_array_size(json_object_get(report, "added")),
        json_array_size(json_object_get(report, "changed")),
        json_array_size(json_object_get(report, "removed")));
}

int manager_reload(struct manager *m, json_t *report, struct config_findings *f, struct err *e)
{
    struct log_fields fields = {.message_id = MESSAGE_CONFIG_LOADED};
    struct config_findings own = {0};
    struct config *fresh = NULL, *old;
    int r;

    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)manager_now(m));
    r = config_load(m->config_path, &fresh, &own);
    if (r < 0) {
        r = refuse(m, &own, e);
    } else if (config_needs_restart(m->config, fresh, e)) {
        log_full(LOG_ERR, &fields,
            "%s: %s; restart clawsupd for it. The running configuration stays in force", m->config_path,
            e->msg);
        (void)snprintf(
            m->config_error, sizeof(m->config_error), "%.440s: needs a restart of clawsupd", e->msg);
        (void)config_free(fresh);
        r = -EBUSY;
    } else {
        old = m->config;
        m->config = fresh; /* tenants that come or change read it */
        sweep(m, fresh, report);
        left_save(m);
        if (json_array_size(json_object_get(report, "removed")) > 0)
            observe_relist(m); /* it stops what they leave */
        (void)config_free(old);
        recovery_set_host_params(m->recovery, &fresh->recovery);
        if (!m->log_level_fixed)
            log_set_level(fresh->log_level);
        m->config_error[0] = '\0';
        m->config_loaded_at_us = realtime_now();
    }
    m->metrics->config_ok = r >= 0;
    m->metrics_wanted = true;
    (void)sd_notifyf(0, "READY=1\nSTATUS=Supervising %zu tenants%s", m->config->n_tenants,
        r < 0 ? "; the last reload was refused" : "");
    if (f)
        *f = own;
    else
        config_findings_free(&own);
    return r;
}
