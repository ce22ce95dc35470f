/* left.c: see left.h. The store has the tenants of the configuration in force as {SLUG: SECONDS}, the stop
 * time-out of the gateway; m->left has those of them that are gone. Another clawsupd's tenants on the same
 * engine are in neither. */
#include "daemon/left.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/messages.h"
#include "daemon/proxy_child.h"
#include "daemon/spec.h"

#define NOTE_TENANTS "tenants"
#define OTHERS_STOP_S 10
#define STOP_MARGIN_US (15 * USEC_PER_SEC)

static void tell(struct manager *m, const char *slug, const char *text)
{
    struct log_fields f = {.message_id = MESSAGE_TENANT_REMOVED, .tenant = slug};
    struct err e = {0};
    int64_t seq = 0;

    log_full(LOG_NOTICE, &f, "%s", text);
    manager_store_result(
        m, store_event_add(m->store, realtime_now(), slug, NULL, "config", text, &seq, &e), &e);
    verbs_event(m, seq, slug, NULL, "config", text);
}

void left_begin(struct manager *m)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *known = NULL;
    const char *slug;
    json_t *seconds;

    m->left = json_object();
    if (store_get_note(m->store, NOTE_TENANTS, &text, NULL) >= 0)
        (void)json_load_engine(text, strlen(text), STORE_SPEC_MAX, &known, NULL);
    json_object_foreach(known, slug, seconds)
    {
        if (!str_is_slug(slug) || config_find(m->config, slug))
            continue;
        (void)json_object_set(m->left, slug, seconds);
        proxy_pidfile_signal(m, slug, SIGTERM); /* its last streams are served to their end */
        tell(m, slug,
            "left the configuration while no clawsupd ran: its containers are stopped, not removed; "
            "data_root "
            "is untouched");
    }
    left_save(m);
}

void left_add(struct manager *m, const char *slug, uint64_t stop_timeout_us)
{
    if (m->left)
        (void)json_object_set_new(m->left, slug, json_integer((json_int_t)(stop_timeout_us / USEC_PER_SEC)));
}

void left_save(struct manager *m)
{
    _cleanup_json_ json_t *all = m->left ? json_copy(m->left) : NULL;
    _cleanup_free_ char *text = NULL, *kept = NULL;
    struct err e = {0};

    for (size_t i = 0; i < m->config->n_tenants; i++)
        (void)json_object_set_new(all, m->config->tenants[i]->slug,
            json_integer((json_int_t)(m->config->tenants[i]->gateway.stop_timeout_us / USEC_PER_SEC)));
    text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text || (store_get_note(m->store, NOTE_TENANTS, &kept, NULL) >= 0 && str_eq(kept, text)))
        return;
    manager_store_result(m, store_set_note(m->store, NOTE_TENANTS, text, &e), &e);
}

/* ---------------------------------------------------------------- stopping */

static void on_stopped(struct engine *e, const struct engine_answer *a, void *userdata)
{
    (void)e;
    if (a->result != ENGINE_OK || a->status >= 400)
        log_warning("a container of a tenant that left could not be stopped: %s", a->message);
    else
        observe_relist(userdata); /* forgets who has none left */
}

static void stop(struct manager *m, const json_t *row, const char *slug)
{
    const char *id = json_string_value(json_object_get(row, "Id"));
    const char *role = json_string_value(json_object_get(json_object_get(row, "Labels"), SPEC_LABEL_ROLE));
    json_int_t t = json_integer_value(json_object_get(m->left, slug));
    _cleanup_free_ char *path = NULL;

    if (!role || strcmp(role, SPEC_ROLE_GATEWAY) != 0 || t < 0 || t > 600)
        t = OTHERS_STOP_S;
    if (id && asprintf(&path, "/containers/%s/stop?t=%lld", id, (long long)t) >= 0)
        (void)engine_request(
            m->engine, "POST", path, NULL, (uint64_t)t * USEC_PER_SEC + STOP_MARGIN_US, on_stopped, m, NULL);
}

static bool runs(const json_t *row)
{
    const char *state = json_string_value(json_object_get(row, "State"));

    return state && (strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0 ||
                        strcmp(state, "paused") == 0);
}

void left_sweep(struct manager *m, const json_t *list)
{
    _cleanup_json_ json_t *over = m->left ? json_copy(m->left) : NULL;
    const char *slug;
    json_t *row, *v;
    size_t i;

    if (json_object_size(m->left) == 0)
        return;
    json_array_foreach(list, i, row)
    {
        slug = json_string_value(json_object_get(json_object_get(row, "Labels"), SPEC_LABEL_TENANT));
        if (!slug || !json_object_get(m->left, slug) || manager_find(m, slug) || !runs(row))
            continue;
        (void)json_object_del(over, slug); /* looked at again with the next list */
        stop(m, row, slug);
    }
    json_object_foreach(over, slug, v)
    {
        if (!manager_find(m, slug))
            log_info("%s: left, and nothing of it runs any more", slug);
        (void)json_object_del(m->left, slug);
    }
    if (json_object_size(over) > 0)
        left_save(m);
}
