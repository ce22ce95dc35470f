/* observe.c: what the engine says of the containers. Its events are hints; the relist every 30 s and after
 * each reconnect is the truth. Facts go to the recovery core, nothing is done about them here. */
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/capture.h"
#include "daemon/disk_driver.h"
#include "daemon/left.h"
#include "daemon/limits_driver.h"
#include "daemon/limits_events.h"
#include "daemon/members.h"
#include "daemon/messages.h"
#include "daemon/op.h"
#include "daemon/spec.h"
#include "daemon/staging.h"
#include "filter/create.h"

#define INSPECT_TIMEOUT_US (10 * USEC_PER_SEC)
#define LIST_TIMEOUT_US (20 * USEC_PER_SEC)
#define INSPECTS_IN_TURN 32

static enum rec_presence presence_of(const struct docker_facts *f)
{
    switch (f->state) {
    case DOCKER_MISSING:
    case DOCKER_REMOVING:
        return REC_MISSING;
    case DOCKER_RUNNING:
        return REC_RUNNING;
    case DOCKER_PAUSED:
        return REC_PAUSED;
    case DOCKER_RESTARTING:
        return REC_RESTARTING;
    case DOCKER_CREATED:
    case DOCKER_EXITED:
    case DOCKER_DEAD:
        return REC_STOPPED;
    case _DOCKER_STATE_MAX:
    default:
        return REC_PRESENCE_UNKNOWN;
    }
}

static void remember_address(struct component *c, const json_t *inspect)
{
    json_t *networks = json_object_get(json_object_get(inspect, "NetworkSettings"), "Networks"), *ep;
    const char *name, *ip;

    c->address[0] = '\0';
    json_object_foreach(networks, name, ep)
    {
        ip = json_string_value(json_object_get(ep, "IPAddress"));
        if (ip && *ip)
            (void)snprintf(c->address, sizeof(c->address), "%s", ip);
    }
}

/* The configuration may have changed while no clawsupd ran. Nothing failed, so nothing is redeployed for it
 * unasked; but it is said. */
static void compare_spec(struct component *c, const json_t *inspect)
{
    struct tenant *t = c->tenant;
    char hash[HASH_HEX_SIZE];

    (void)snprintf(c->spec_running, sizeof(c->spec_running), "%s", spec_hash_of(inspect));
    if (!c->container || c->mode != CONFIG_MANAGED || c->facts.state != DOCKER_RUNNING || t->op ||
        strcmp(c->spec_checked, c->facts.id) == 0 ||
        spec_container(t->config, c->extra, t->network_id, t->cgroup_parent, NULL, hash, NULL) < 0)
        return;
    memcpy(c->spec_checked, c->facts.id, sizeof(c->spec_checked));
    if (strcmp(hash, spec_hash_of(inspect)) != 0)
        manager_note(t, c, LOG_NOTICE, NULL, "config",
            "runs with another specification than the configuration's; `clawsup redeploy %s%s%s` puts that "
            "in "
            "force",
            t->slug, c->extra ? " " : "", c->extra ? c->name : "");
}

void observe_apply(struct component *c, long status, const json_t *inspect)
{
    struct manager *m = c->tenant->manager;
    struct docker_facts f = {.state = DOCKER_MISSING};
    const char *image;

    if (status == 200 && docker_facts_from_inspect(inspect, &f) < 0) {
        log_warning("%s/%s: the engine's inspect answer is not understood", c->tenant->slug, c->name);
        return;
    }
    if (status == 200 && c->mode == CONFIG_MANAGED && !spec_is_ours(inspect, c->tenant->slug)) {
        /* Somebody else's container has our name: it is not touched, and the bring-up says why it cannot go
         * on. */
        f = (struct docker_facts){.state = DOCKER_MISSING};
    }
    c->facts = f;
    c->facts_known = true;
    if (status == 200) {
        remember_address(c, inspect);
        image = json_string_value(json_object_get(json_object_get(inspect, "Config"), "Image"));
        (void)snprintf(c->image, sizeof(c->image), "%s", image ? image : "");
        if (f.state == DOCKER_RUNNING)
            c->operator_stop = c->oom = false;
        limits_driver_inspected(c, inspect);
        disk_driver_inspected(c);
        compare_spec(c, inspect);
        capture_inspected(c, inspect);
    }
    struct rec_event ev = {.type = REC_EV_OBSERVED,
        .tenant = c->tenant->index,
        .component = c->index,
        .observed = {.presence = presence_of(&f),
            .restart_count = f.restart_count,
            .unhealthy = f.health == DOCKER_HEALTH_UNHEALTHY}};
    manager_event(m, &ev);
}

static void next_turns(struct manager *m);

static void end_turn(struct component *c)
{
    if (c->inspect_in_turn)
        c->tenant->manager->inspects_in_turn--;
    c->inspect_in_turn = false;
}

static void on_inspect(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct component *c = userdata;
    struct manager *m = c->tenant->manager;

    (void)e;
    c->inspect_call = NULL;
    end_turn(c);
    observe_engine_result(m, a);
    if (c->inspect_again)
        observe_inspect(c);
    else if (a->result == ENGINE_OK && (a->status == 200 || a->status == 404))
        observe_apply(c, a->status, a->body);
    next_turns(m);
}

static void inspect_ref(struct component *c, const char *ref)
{
    _cleanup_free_ char *path = NULL;

    /* One at a time; what it will say may be older than what just happened. */
    c->inspect_again = c->inspect_call != NULL;
    if (c->inspect_call || asprintf(&path, "/containers/%s/json", ref) < 0)
        return;
    (void)engine_request(
        c->tenant->manager->engine, "GET", path, NULL, INSPECT_TIMEOUT_US, on_inspect, c, &c->inspect_call);
}

void observe_inspect(struct component *c)
{
    if (c->match_label && c->facts_known && c->facts.id[0])
        inspect_ref(c, c->facts.id);
    else if (!c->match_label)
        inspect_ref(c, c->container_name);
    else
        observe_relist(c->tenant->manager);
}

void observe_forget(struct component *c)
{
    if (c->inspect_waits)
        c->tenant->manager->inspects_waiting--;
    c->inspect_waits = false;
    end_turn(c);
    engine_call_cancel(c->inspect_call);
    c->inspect_call = NULL;
}

/* After a relist every container is inspected. All of them at once would be a burst that the engine feels,
 * and memory for as many transfers: they take turns. What an event asks for does not wait. */
static void take_turn(struct component *c)
{
    struct manager *m = c->tenant->manager;

    if (!c->inspect_waits || m->inspects_in_turn >= INSPECTS_IN_TURN)
        return;
    c->inspect_waits = false;
    m->inspects_waiting--;
    observe_inspect(c);
    c->inspect_in_turn = c->inspect_call && !c->inspect_again;
    m->inspects_in_turn += c->inspect_in_turn;
}

static void next_turns(struct manager *m)
{
    struct tenant *t, *next;

    /* Half of the turns at a time: each look goes over all tenants. */
    if (m->inspects_waiting == 0 || m->inspects_in_turn > INSPECTS_IN_TURN / 2)
        return;
    HASH_ITER(hh, m->tenants, t, next)
    {
        take_turn(&t->proxy);
        take_turn(&t->gateway);
    }
}

static void inspect_in_turn(struct component *c)
{
    struct manager *m = c->tenant->manager;

    if (!c->inspect_waits)
        m->inspects_waiting++;
    c->inspect_waits = true;
    take_turn(c);
}

/* ---------------------------------------------------------------- relist */

static bool row_has_name(const json_t *row, const char *name)
{
    json_t *n;
    size_t i;

    json_array_foreach(json_object_get(row, "Names"), i, n)
    {
        const char *s = json_string_value(n);
        if (s && s[0] == '/' && strcmp(s + 1, name) == 0)
            return true;
    }
    return false;
}

static bool has_label(const json_t *labels, const char *label)
{
    _cleanup_free_ char *key = strdup(label);
    char *value = key ? strchr(key, '=') : NULL;
    const char *have;

    if (!value)
        return false;
    *value++ = '\0';
    have = json_string_value(json_object_get(labels, key));
    return have && strcmp(have, value) == 0;
}

/* A sandbox is nobody's component, whatever its labels say: a client chooses them. Nor is another tenant's
 * container ours. */
static bool may_be_component(const struct component *c, const json_t *labels)
{
    const char *tenant = json_string_value(json_object_get(labels, SPEC_LABEL_TENANT));
    const char *role = json_string_value(json_object_get(labels, SPEC_LABEL_ROLE));

    return (!tenant || strcmp(tenant, c->tenant->slug) == 0) && (!role || strcmp(role, ROLE_SANDBOX) != 0);
}

static bool is_component(const struct component *c, const json_t *row)
{
    const json_t *labels = json_object_get(row, "Labels");

    return may_be_component(c, labels) &&
           (c->match_label ? has_label(labels, c->match_label) : row_has_name(row, c->container_name));
}

/* A redeploy that is under way, or did not end, has its containers under NAME.old and NAME.new. */
static bool is_temporary(const json_t *row)
{
    const char *s = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
    size_t n = s ? strlen(s) : 0;

    return n > 5 && (strcmp(s + n - 4, ".old") == 0 || strcmp(s + n - 4, ".new") == 0);
}

static const char *row_text(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));

    return s ? s : "";
}

/* Which of two containers with the same label is meant: the one that is supervised already, one that runs
 * before one that does not, the older one, and in the end the lower id. The same answer each time, whatever
 * the order of the list. */
static bool is_meant(const struct component *c, const json_t *a, const json_t *b)
{
    bool known_a = c->facts_known && strcmp(row_text(a, "Id"), c->facts.id) == 0;
    bool known_b = c->facts_known && strcmp(row_text(b, "Id"), c->facts.id) == 0;
    bool runs_a = strcmp(row_text(a, "State"), "running") == 0;
    bool runs_b = strcmp(row_text(b, "State"), "running") == 0;
    json_int_t at_a = json_integer_value(json_object_get(a, "Created"));
    json_int_t at_b = json_integer_value(json_object_get(b, "Created"));

    if (known_a != known_b)
        return known_a;
    if (runs_a != runs_b)
        return runs_a;
    if (at_a != at_b)
        return at_a < at_b;
    return strcmp(row_text(a, "Id"), row_text(b, "Id")) < 0;
}

/* A label is on the containers of a redeploy, too: the one without a temporary name is meant. */
static const json_t *find_row(const struct component *c, const json_t *list)
{
    const json_t *temporary = NULL, *found = NULL;
    json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        if (!is_component(c, row))
            continue;
        if (!c->match_label)
            return row;
        if (is_temporary(row))
            temporary = row;
        else if (!found || is_meant(c, row, found))
            found = row;
    }
    return found ? found : temporary;
}

static const char *row_name(const json_t *row)
{
    const char *s = json_string_value(json_array_get(json_object_get(row, "Names"), 0));

    return s && s[0] == '/' ? s + 1 : "?";
}

/* Says which of several containers with the component's label is supervised, and which are not. */
static void tell_others(struct component *c, const json_t *list, const json_t *meant)
{
    char text[sizeof(c->others)] = "";
    size_t n = 0, i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        if (!c->match_label || row == meant || !is_component(c, row) || is_temporary(row))
            continue;
        if (n < sizeof(text))
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "", row_name(row));
    }
    if (strcmp(text, c->others) == 0 || c->tenant->op) /* an action of ours has two for a while */
        return;
    memcpy(c->others, text, sizeof(c->others));
    if (n > 0)
        manager_note(c->tenant, c, LOG_WARNING, NULL, "config",
            "several containers have the label %s: %s is supervised, %s not; give each its own label, or "
            "name one "
            "in the configuration",
            c->match_label, row_name(meant), text);
    else
        manager_note(
            c->tenant, c, LOG_NOTICE, NULL, "config", "one container has the label %s again", c->match_label);
}

static void relist_component(struct component *c, const json_t *list)
{
    struct manager *m = c->tenant->manager;
    const json_t *row = find_row(c, list);
    const char *id = json_string_value(json_object_get(row, "Id")), *state;

    tell_others(c, list, row);
    if (!row || !id) {
        if (c->facts_known && c->facts.state != DOCKER_MISSING && !c->tenant->op)
            m->relist_divergence++;
        observe_apply(c, 404, NULL);
        return;
    }
    state = json_string_value(json_object_get(row, "State"));
    /* An event should have told. During an action of ours the picture changes faster than the events come in.
     */
    if (c->facts_known && c->facts.state != DOCKER_MISSING && !c->tenant->op && state &&
        strcmp(state, docker_state_to_string(c->facts.state)) != 0)
        m->relist_divergence++;
    /* Restart count and health are only there. */
    if (c->match_label &&
        !(c->facts_known && strcmp(c->facts.id, id) == 0)) /* another one, after a redeploy */
        inspect_ref(c, id);
    else
        inspect_in_turn(c);
}

static void sweep_staging(struct tenant *t, const json_t *list)
{
    char *used[4096];
    size_t n = 0, i, k;
    json_t *row, *mount;

    json_array_foreach(list, i, row)
    {
        const char *tenant =
            json_string_value(json_object_get(json_object_get(row, "Labels"), SPEC_LABEL_TENANT));

        if (!tenant || strcmp(tenant, t->slug) != 0)
            continue;
        json_array_foreach(json_object_get(row, "Mounts"), k, mount)
        {
            const char *source = json_string_value(json_object_get(mount, "Source"));
            if (source && n < ARRAY_SIZE(used))
                used[n++] = (char *)(uintptr_t)source;
        }
    }
    if (n < ARRAY_SIZE(used))
        (void)staging_sweep(t->manager->config, t->slug, used, n);
}

static void remember_name(struct component *c, const json_t *list)
{
    const json_t *row = find_row(c, list);
    const char *s = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
    size_t n;

    if (!s || s[0] != '/')
        return;
    n = strlen(s + 1) - (is_temporary(row) ? 4 : 0);
    (void)snprintf(c->found_name, sizeof(c->found_name), "%.*s", (int)n, s + 1);
}

/* By label: a temporary name, and one that a redeploy has made. */
static bool has_labelled_leftover(const struct component *c, const json_t *list)
{
    bool temporary = false, made = false;
    json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        if (!is_component(c, row))
            continue;
        temporary = temporary || is_temporary(row);
        made = made || json_object_get(json_object_get(row, "Labels"), SPEC_LABEL_SAGA);
    }
    return temporary && made;
}

/* NAME.old or NAME.new belong to a redeploy that did not end. */
static bool has_leftover(const struct component *c, const json_t *list)
{
    static const char *const suffixes[] = {".old", ".new"};
    char name[sizeof(c->container_name) + 4];
    json_t *row;
    size_t i;

    if (c->match_label)
        return has_labelled_leftover(c, list);
    for (size_t s = 0; s < ARRAY_SIZE(suffixes); s++) {
        (void)snprintf(name, sizeof(name), "%s%s", c->container_name, suffixes[s]);
        json_array_foreach(list, i, row) if (row_has_name(row, name)) return true;
    }
    return false;
}

static void look_at_component(struct component *c, const json_t *list)
{
    if (c->kind != REC_KIND_CONTAINER)
        return;
    if (c->match_label)
        remember_name(c, list);
    if (component_can_redeploy(c)) {
        if (!has_leftover(c, list))
            c->resume_delay_us = c->resume_after_us = 0;
        else if (!c->tenant->op)
            op_resume_redeploy(c);
    }
    relist_component(c, list);
}

static void on_list(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct manager *m = userdata;
    struct tenant *t, *next;

    (void)e;
    m->list_call = NULL;
    observe_engine_result(m, a);
    if (a->result != ENGINE_OK || a->status != 200 || !json_is_array(a->body))
        return;
    HASH_ITER(hh, m->tenants, t, next)
    {
        for (size_t i = 0; i < t->n_all; i++)
            look_at_component(t->all[i], a->body);
        members_listed(t, a->body);
        if (t->child)
            sweep_staging(t, a->body);
    }
    left_sweep(m, a->body);
    if (m->relist_wanted)
        observe_relist(m);
}

void observe_relist(struct manager *m)
{
    /* One at a time; what happens while a list is under way needs another one. */
    m->relist_wanted = m->list_call != NULL;
    if (m->list_call)
        return;
    (void)engine_request(
        m->engine, "GET", "/containers/json?all=1", NULL, LIST_TIMEOUT_US, on_list, m, &m->list_call);
}

static int on_relist_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;

    (void)usec;
    if (m->engine_up)
        observe_relist(m);
    (void)sd_event_source_set_time(s, manager_now(m) + m->config->relist_interval_us);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

/* ---------------------------------------------------------------- events */

static struct component *component_of_event(struct manager *m, const struct engine_event *ev)
{
    struct tenant *t, *next;

    HASH_ITER(hh, m->tenants, t, next)
    {
        for (size_t i = 0; i < t->n_all; i++) {
            struct component *c = t->all[i];
            if (c->kind != REC_KIND_CONTAINER)
                continue;
            if (c->facts.id[0] && strcmp(c->facts.id, ev->id) == 0)
                return c;
            if (c->match_label ? !c->facts.id[0] && may_be_component(c, ev->attributes) &&
                                     has_label(ev->attributes, c->match_label)
                               : strcmp(c->container_name, ev->name) == 0)
                return c;
        }
    }
    return NULL;
}

/* What we did ourselves raises events too. The engine's clock is the host's, so an event that comes in late
 * is still known for what it is. */
static bool is_ours(const struct component *c, const struct engine_event *ev)
{
    return op_touches(c->tenant->op, c) || (int64_t)(ev->time_nano / 1000) <= c->ours_until_us;
}

static void on_die(struct component *c, const struct engine_event *ev)
{
    struct manager *m = c->tenant->manager;
    bool ours = is_ours(c, ev);
    struct rec_event exit = {.type = REC_EV_EXIT,
        .tenant = c->tenant->index,
        .component = c->index,
        .exit = {.ours = ours, .operator_stop = !ours && c->operator_stop, .oom = c->oom}};

    /* The engine restarts it by itself, unless its policy says otherwise: what it does is seen by the inspect
     * that follows, and acting beside it would restart it twice. */
    if (!ours && !c->operator_stop && c->facts.engine_restarts)
        return;
    if (!ours) {
        const char *code = json_string_value(json_object_get(ev->attributes, "exitCode"));

        (void)snprintf(c->message, sizeof(c->message), "exit code %.12s%s", code ? code : "?",
            c->oom ? ", a process in it was killed: out of memory" : "");
        if (!c->failing_since_us)
            c->failing_since_us = manager_now(m);
    }
    manager_event(m, &exit);
}

/* `docker stop` sends the stop signal first, and the engine reports "kill" before "die": that is how a stop
 * by a person is told from a crash. SIGKILL alone is no such intent. */
static void on_kill(struct component *c, const struct engine_event *ev)
{
    const char *signal = json_string_value(json_object_get(ev->attributes, "signal"));

    if (!is_ours(c, ev) && signal && strcmp(signal, "9") != 0 && strcmp(signal, "SIGKILL") != 0)
        c->operator_stop = true;
}

static void on_oom(struct component *c, const char *name)
{
    struct metrics_tenant *mt = metrics_tenant(c->tenant->manager->metrics, c->tenant->slug);

    c->oom = true; /* until it runs again; comes before "die" */
    if (limits_events_watching(c->tenant))
        return;
    if (mt)
        mt->oom_kills++;
    manager_note(c->tenant, c, LOG_WARNING, MESSAGE_LIMITS_OOM, "limits", "out of memory in %s", name);
}

static void on_container_event(struct manager *m, const struct engine_event *ev)
{
    struct component *c = component_of_event(m, ev);
    const char *slug = json_string_value(json_object_get(ev->attributes, SPEC_LABEL_TENANT));
    struct tenant *t = !c && slug ? manager_find(m, slug) : NULL;

    members_event(m, ev);
    if (c && strcmp(ev->action, "oom") == 0)
        limits_events_engine_oom(c->tenant, ev->name);
    else if (t && strcmp(ev->action, "oom") == 0)
        limits_events_engine_oom(t, ev->name);
    if (!c || str_startswith(ev->action, "exec_"))
        return;
    if (strcmp(ev->action, "kill") == 0)
        on_kill(c, ev);
    else if (strcmp(ev->action, "die") == 0)
        on_die(c, ev);
    else if (strcmp(ev->action, "oom") == 0)
        on_oom(c, ev->name);
    if (strcmp(ev->action, "kill") != 0 && strcmp(ev->action, "top") != 0 &&
        strcmp(ev->action, "attach") != 0)
        observe_inspect(c);
}

static void on_event(struct engine *e, const struct engine_event *ev, void *userdata)
{
    struct manager *m = userdata;

    (void)e;
    switch (ev->type) {
    case ENGINE_EV_CONTAINER:
        on_container_event(m, ev);
        break;
    case ENGINE_EV_STREAM_UP:
        m->stream_up = true;
        observe_relist(m);
        break;
    case ENGINE_EV_STREAM_DOWN:
        m->stream_up = false;
        break;
    case _ENGINE_EV_MAX:
    default:
        break;
    }
}

int observe_start(struct manager *m)
{
    int r = engine_subscribe(m->engine, on_event, m);

    if (r < 0)
        return r;
    return sd_event_add_time(m->event, &m->relist_timer, CLOCK_MONOTONIC,
        manager_now(m) + m->config->relist_interval_us, 0, on_relist_timer, m);
}
