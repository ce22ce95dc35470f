/* probe.c: when each component is probed and with what; the samples go to the recovery core. Judges nothing.
 */
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#include "daemon/limits_events.h"

#define PROBE_SLACK 64 /* part of the delay */
#define PROBE_SLACK_MAX_US (50 * USEC_PER_MSEC)

static void arm_next(struct component *c)
{
    uint64_t interval = recovery_probe_interval(c->tenant->manager->recovery, c->tenant->index, c->index);

    /* 10 % of jitter, so that probes that once fell together drift apart. */
    probe_arm(c, (uint64_t)((double)interval * (0.95 + 0.1 * manager_jitter())));
}

static void finish(struct component *c, const struct check_sample *s)
{
    struct manager *m = c->tenant->manager;
    static const enum rec_probe map[] = {
        [CHECK_OK] = REC_PROBE_OK, [CHECK_FAIL] = REC_PROBE_FAIL, [CHECK_UNKNOWN] = REC_PROBE_UNKNOWN};
    enum metrics_component mc = component_metrics(c);
    struct probe_record *rec = &c->history[c->n_history++ % PROBE_HISTORY];
    struct rec_event ev = {.type = REC_EV_PROBE,
        .tenant = c->tenant->index,
        .component = c->index,
        .probe = {.result = map[s->result], .started_us = s->started_us}};

    rec->result = s->result;
    rec->at_us = realtime_now();
    rec->duration_us = s->duration_us;
    (void)snprintf(rec->detail, sizeof(rec->detail), "%s", s->detail);
    if (s->result == CHECK_FAIL && !c->message_of_action)
        (void)snprintf(c->message, sizeof(c->message), "%s", s->detail);
    m->metrics->probes[mc][map[s->result]]++;
    metrics_observe(m->metrics, METRICS_PROBE_DURATION, mc, s->duration_us);
    if (s->result == CHECK_OK)
        c->failing_since_us = 0;
    else if (s->result == CHECK_FAIL && !c->failing_since_us)
        c->failing_since_us = s->started_us;
    manager_event(m, &ev);
    arm_next(c);
}

/* The engine was asked while the proxy's sample waited: a proxy cannot be good when the engine is not, and
 * restarting it would only cut its streams. */
static void on_engine_asked(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct component *c = userdata;
    struct manager *m = c->tenant->manager;

    (void)e;
    c->probe_call = NULL;
    if (a->result != ENGINE_OK || a->status != 200) {
        c->doubtful.result = CHECK_UNKNOWN;
        if (!m->engine_ping) /* its own pulse should not be the last to notice */
            (void)sd_event_source_set_time(m->engine_timer, manager_now(m));
    }
    finish(c, &c->doubtful);
}

static bool goes_through_engine(const struct component *c)
{
    return c == &c->tenant->proxy && c->health->type != CONFIG_CHECK_DOCKER &&
           c->health->type != CONFIG_CHECK_TCP;
}

static void on_sample(const struct check_sample *s, void *userdata)
{
    struct component *c = userdata;
    struct manager *m = c->tenant->manager;

    struct check_sample doubted = *s;

    c->probe = check_free(c->probe);
    if (s->result == CHECK_OK && c == &c->tenant->gateway &&
        limits_events_verdict(c->tenant, doubted.detail, sizeof(doubted.detail))) {
        doubted.result = CHECK_FAIL;
        finish(c, &doubted);
        return;
    }
    if (s->result == CHECK_FAIL && goes_through_engine(c)) {
        c->doubtful = *s;
        /* As much time as the proxy had: an engine that is too slow for the one is too slow for the other. */
        if (engine_ping(m->engine, manager_stretch(m, c->health->timeout_us), on_engine_asked, c,
                &c->probe_call) >= 0)
            return;
    }
    finish(c, s);
}

/* A sample that could not be taken says nothing about the component. */
static void unknown(struct component *c, const char *detail)
{
    struct check_sample s = {.result = CHECK_UNKNOWN, .started_us = c->probe_started_us};

    (void)snprintf(s.detail, sizeof(s.detail), "%s", detail);
    finish(c, &s);
}

/* A HEALTHCHECK that has not ended once says nothing yet. One whose interval is so long that half of
 * start_deadline passes without a word is not waited for: that it runs must do. */
static enum check_result docker_result(const struct component *c)
{
    int64_t age = realtime_now() - c->facts.started_at_us;

    if (c->facts.state != DOCKER_RUNNING || c->facts.health == DOCKER_HEALTH_UNHEALTHY)
        return CHECK_FAIL;
    return c->facts.health == DOCKER_HEALTH_STARTING && age < (int64_t)c->health->start_deadline_us / 2
               ? CHECK_UNKNOWN
               : CHECK_OK;
}

static void on_docker_inspect(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct component *c = userdata;
    struct check_sample s = {.started_us = c->probe_started_us, .duration_us = a->elapsed_us};

    (void)e;
    c->probe_call = NULL;
    if (a->result != ENGINE_OK || (a->status != 200 && a->status != 404)) {
        s.result = CHECK_UNKNOWN; /* the engine failed, not the component */
        (void)snprintf(s.detail, sizeof(s.detail), "engine: %.120s", a->message);
    } else {
        observe_apply(c, a->status, a->body);
        s.result = docker_result(c);
        (void)snprintf(s.detail, sizeof(s.detail), "%s%s%s", docker_state_to_string(c->facts.state),
            c->facts.health == DOCKER_HEALTH_NONE ? "" : ", health ",
            c->facts.health == DOCKER_HEALTH_NONE ? "" : docker_health_to_string(c->facts.health));
    }
    finish(c, &s);
}

static int start_docker(struct component *c)
{
    _cleanup_free_ char *path = NULL;
    const char *ref = c->facts_known && c->facts.id[0] && c->match_label ? c->facts.id : c->container_name;

    if (asprintf(&path, "/containers/%s/json", ref) < 0)
        return -ENOMEM;
    return engine_request(c->tenant->manager->engine, "GET", path, NULL, c->health->timeout_us,
        on_docker_inspect, c, &c->probe_call);
}

/* "http://NAME", the component's own name, stands for its container's address on the tenant's network. The
 * length of that, or 0. */
static size_t own_host(const struct component *c, const char *url)
{
    size_t n = strlen("http://"), k = strlen(c->name);

    return str_startswith(url, "http://") && strncmp(url + n, c->name, k) == 0 && strchr(":/", url[n + k])
               ? n + k
               : 0;
}

static int start_http(struct component *c)
{
    struct manager *m = c->tenant->manager;
    const struct config_health *h = c->health;
    _cleanup_free_ char *url = NULL;
    struct check_http_spec spec = {.url = h->url,
        .unix_socket = h->unix_socket,
        .json_field = h->json_field,
        .json_value = h->json_value,
        .timeout_us = manager_stretch(m, h->timeout_us)};
    size_t n = own_host(c, h->url);

    if (n > 0) {
        if (!c->address[0])
            return -ENETUNREACH;
        if (asprintf(&url, "http://%s%s", c->address, h->url + n) < 0)
            return -ENOMEM;
        spec.url = url;
    }
    return check_http_start(m->pool, &spec, on_sample, c, &c->probe);
}

/* /_ping through the first listening socket: it proves the whole path to the engine. */
static int start_ping(struct component *c)
{
    struct manager *m = c->tenant->manager;
    const struct config_listen *l = c->tenant->config->proxy.listen;
    struct check_http_spec spec = {
        .url = "http://clawsup/_ping", .timeout_us = manager_stretch(m, c->health->timeout_us)};
    char url[128];

    if (c->health->type == CONFIG_CHECK_HTTP && c->health->url)
        return start_http(c);
    if (c->tenant->config->proxy.n_listen == 0)
        return -ENODEV;
    if (l->is_unix) {
        spec.unix_socket = l->path;
    } else {
        (void)snprintf(url, sizeof(url),
            strchr(l->address, ':') ? "http://[%s]:%u/_ping" : "http://%s:%u/_ping", l->address, l->port);
        spec.url = url;
    }
    return check_http_start(m->pool, &spec, on_sample, c, &c->probe);
}

static int start(struct component *c)
{
    struct manager *m = c->tenant->manager;

    if (goes_through_engine(c))
        return start_ping(c);
    switch (c->health->type) {
    case CONFIG_CHECK_HTTP:
        return start_http(c);
    case CONFIG_CHECK_TCP:
        return check_tcp_start(m->event, c->health->address, c->health->port,
            manager_stretch(m, c->health->timeout_us), on_sample, c, &c->probe);
    case CONFIG_CHECK_NONE:
    case CONFIG_CHECK_DOCKER:
    case _CONFIG_CHECK_TYPE_MAX:
    default:
        return start_docker(c);
    }
}

/* A container that is known not to run needs no probe: the relist and the events have said so already. */
static bool nothing_to_probe(const struct component *c)
{
    if (c->kind == REC_KIND_PROXY || c->health->type == CONFIG_CHECK_DOCKER ||
        c->health->type == CONFIG_CHECK_NONE)
        return false;
    if (c->container_name[0] == '\0' && !c->match_label)
        return false;
    return !c->facts_known || (c->facts.state != DOCKER_RUNNING && c->facts.state != DOCKER_PAUSED);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct component *c = userdata;
    int r;

    (void)s;
    (void)usec;
    if (c->probe || c->probe_call)
        return 0;
    if (nothing_to_probe(c)) {
        arm_next(c);
        return 0;
    }
    c->probe_started_us = manager_now(c->tenant->manager);
    r = start(c);
    if (r < 0)
        unknown(c, strerror(-r));
    return 0;
}

void probe_arm(struct component *c, uint64_t delay_us)
{
    struct manager *m = c->tenant->manager;
    uint64_t due = manager_now(m) + delay_us;
    /* Probes that are due within a few milliseconds share one wake-up of the loop. */
    uint64_t slack = MIN(MAX(delay_us / PROBE_SLACK, USEC_PER_MSEC), PROBE_SLACK_MAX_US);

    c->probe_due_us = due;
    if (!c->probe_timer) {
        (void)sd_event_add_time(m->event, &c->probe_timer, CLOCK_MONOTONIC, due, slack, on_timer, c);
        return;
    }
    (void)sd_event_source_set_time_accuracy(c->probe_timer, slack);
    (void)sd_event_source_set_time(c->probe_timer, due);
    (void)sd_event_source_set_enabled(c->probe_timer, SD_EVENT_ONESHOT);
}

void probe_reschedule(struct component *c)
{
    struct manager *m = c->tenant->manager;
    uint64_t interval;

    if (!c->probe_timer || c->probe || c->probe_call)
        return;
    interval = recovery_probe_interval(m->recovery, c->tenant->index, c->index);
    if (c->probe_due_us > manager_now(m) + interval)
        probe_arm(c, interval);
}

void probe_stop(struct component *c)
{
    c->probe = check_free(c->probe);
    engine_call_cancel(c->probe_call);
    c->probe_call = NULL;
    c->probe_timer = sd_event_source_disable_unref(c->probe_timer);
}
