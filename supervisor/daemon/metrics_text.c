/* metrics_text.c: metrics as Prometheus text: one table of families, each with a function that writes its
 * series. Everything a family has stands together under one HELP and TYPE. PURE: must not read anything but
 * the struct. Format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "daemon/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct writer {
    struct buf *out;
    const char *family;
    int r; /* the first error; later writes do nothing */
};

struct label {
    const char *name, *value;
};

struct family;
typedef void (*host_fn)(struct writer *w, const struct metrics *m);
typedef void (*tenant_fn)(struct writer *w, const struct family *f, const struct metrics_tenant *t);

/* Either of the two functions. The rest is for tenant_value() and tenant_row(), which most families share. */
struct family {
    const char *name, *type, *help;
    host_fn host;
    tenant_fn tenant;
    size_t offset; /* of a uint64_t, or of a row of them, in struct metrics_tenant */
    bool seconds;  /* the value is in microseconds and shown in seconds */
    const char *label;
    const char *const *values; /* of the label, one per element of the row */
    size_t n;
};

static const char *const component_names[_METRICS_COMPONENT_MAX] = {
    [METRICS_PROXY] = "proxy", [METRICS_GATEWAY] = "gateway", [METRICS_EXTRA] = "extra"};
static const char *const probe_names[_REC_PROBE_MAX] = {
    [REC_PROBE_OK] = "ok", [REC_PROBE_FAIL] = "fail", [REC_PROBE_UNKNOWN] = "unknown"};
static const char *const done_names[_REC_DONE_MAX] = {
    [REC_DONE_OK] = "ok",
    [REC_DONE_FAILED] = "failed",
    [REC_DONE_REFUSED] = "refused",
    [REC_DONE_ROLLED_BACK] = "rolled_back",
    [REC_DONE_ENGINE_GONE] = "engine_gone",
};
static const char *const decision_names[_METRICS_DECISION_MAX] = {[METRICS_ALLOWED] = "allowed",
    [METRICS_REPORTED] = "reported",
    [METRICS_DENIED] = "denied",
    [METRICS_ERROR] = "error"};
static const char *const pressure_names[METRICS_PRESSURES] = {"memory", "cpu", "io"};
static const char *const reason_names[_METRICS_PROXY_REASON_MAX] = {
    [METRICS_PROXY_EXITED] = "exited",
    [METRICS_PROXY_UNHEALTHY] = "unhealthy",
    [METRICS_PROXY_RELOAD] = "reload",
    [METRICS_PROXY_OPERATOR] = "operator",
};

/* ---------------------------------------------------------------- one line */

static void put(struct writer *w, const char *s)
{
    if (w->r >= 0)
        w->r = buf_adds(w->out, s);
}

static void put_escaped(struct writer *w, const char *s)
{
    for (; *s && w->r >= 0; s++)
        if (*s == '\\' || *s == '"')
            w->r = buf_addf(w->out, "\\%c", *s);
        else if (*s == '\n')
            w->r = buf_adds(w->out, "\\n");
        else
            w->r = buf_add(w->out, s, 1);
}

static void put_head(struct writer *w, const char *suffix, const struct label *labels, size_t n)
{
    put(w, w->family);
    put(w, suffix);
    for (size_t i = 0; i < n; i++) {
        put(w, i == 0 ? "{" : ",");
        put(w, labels[i].name);
        put(w, "=\"");
        put_escaped(w, labels[i].value);
        put(w, "\"");
    }
    put(w, n > 0 ? "} " : " ");
}

static void put_u64(struct writer *w, uint64_t v)
{
    if (w->r >= 0)
        w->r = buf_addf(w->out, "%" PRIu64, v);
}

/* Microseconds as seconds, exactly, without a trailing zero: a double would be the locale's and rounded. */
static void put_seconds(struct writer *w, uint64_t us)
{
    char fraction[8];
    size_t n;

    put_u64(w, us / USEC_PER_SEC);
    n = (size_t)snprintf(fraction, sizeof(fraction), ".%06u", (unsigned)(us % USEC_PER_SEC));
    while (n > 0 && fraction[n - 1] == '0')
        fraction[--n] = '\0';
    if (n > 1)
        put(w, fraction);
}

static void emit(struct writer *w, const struct label *labels, size_t n, uint64_t v)
{
    put_head(w, "", labels, n);
    put_u64(w, v);
    put(w, "\n");
}

static void emit_seconds(struct writer *w, const struct label *labels, size_t n, uint64_t us)
{
    put_head(w, "", labels, n);
    put_seconds(w, us);
    put(w, "\n");
}

/* ---------------------------------------------------------------- host */

static void emit_build_info(struct writer *w, const struct metrics *m)
{
    (void)m;
    emit(w, &(struct label){"version", CLAWSUP_VERSION}, 1, 1);
}

static void emit_start_time(struct writer *w, const struct metrics *m)
{
    emit_seconds(w, NULL, 0, m->started_us);
}

static void emit_host_state(struct writer *w, const struct metrics *m)
{
    for (enum rec_host_state s = 0; s < _REC_HOST_STATE_MAX; s++)
        emit(w, &(struct label){"state", rec_host_state_to_string(s)}, 1, s == m->host_state);
}

static void emit_engine_up(struct writer *w, const struct metrics *m)
{
    emit(w, NULL, 0, m->engine_up);
}

static void emit_config_ok(struct writer *w, const struct metrics *m)
{
    emit(w, NULL, 0, m->config_ok);
}

static void emit_state_store_ok(struct writer *w, const struct metrics *m)
{
    emit(w, NULL, 0, m->state_store_ok);
}

static void emit_reconnects(struct writer *w, const struct metrics *m)
{
    emit(w, NULL, 0, m->reconnects);
}

static void emit_divergences(struct writer *w, const struct metrics *m)
{
    emit(w, NULL, 0, m->divergences);
}

static void emit_loop_lag(struct writer *w, const struct metrics *m)
{
    emit_seconds(w, NULL, 0, m->loop_lag_us);
}

static void emit_in_flight(struct writer *w, const struct metrics *m)
{
    emit(w, NULL, 0, m->actions_in_flight);
}

static void emit_probes(struct writer *w, const struct metrics *m)
{
    for (size_t c = 0; c < _METRICS_COMPONENT_MAX; c++)
        for (size_t p = 0; p < _REC_PROBE_MAX; p++) {
            const struct label l[] = {{"component", component_names[c]}, {"result", probe_names[p]}};

            emit(w, l, ARRAY_SIZE(l), m->probes[c][p]);
        }
}

static void emit_suppressed(struct writer *w, const struct metrics *m)
{
    for (size_t i = 0; i < m->n_guards; i++)
        emit(w, &(struct label){"guard", m->guards[i]}, 1, m->suppressed[i]);
}

static void emit_bucket(struct writer *w, const char *component, uint64_t bound_us, uint64_t count)
{
    put_head(w, "_bucket", &(struct label){"component", component}, 1);
    if (w->r < 0)
        return;
    /* le comes last: re-open the braces that put_head() closed. */
    w->out->len -= 2;
    put(w, ",le=\"");
    if (bound_us == USEC_INFINITY)
        put(w, "+Inf");
    else
        put_seconds(w, bound_us);
    put(w, "\"} ");
    put_u64(w, count);
    put(w, "\n");
}

static void emit_histogram(struct writer *w, const struct metrics *m, enum metrics_histogram h)
{
    const uint64_t *bounds = metrics_bounds(h);

    for (size_t c = 0; c < _METRICS_COMPONENT_MAX; c++) {
        const struct metrics_observations *o = &m->observed[h][c];
        const struct label l = {"component", component_names[c]};
        uint64_t sum = 0;

        for (size_t i = 0; bounds[i] > 0; i++) {
            sum += o->buckets[i];
            emit_bucket(w, component_names[c], bounds[i], sum);
        }
        emit_bucket(w, component_names[c], USEC_INFINITY, o->count);
        put_head(w, "_sum", &l, 1);
        put_seconds(w, o->sum_us);
        put(w, "\n");
        put_head(w, "_count", &l, 1);
        put_u64(w, o->count);
        put(w, "\n");
    }
}

static void emit_probe_duration(struct writer *w, const struct metrics *m)
{
    emit_histogram(w, m, METRICS_PROBE_DURATION);
}

static void emit_detection(struct writer *w, const struct metrics *m)
{
    emit_histogram(w, m, METRICS_DETECTION);
}

static void emit_recovery(struct writer *w, const struct metrics *m)
{
    emit_histogram(w, m, METRICS_RECOVERY);
}

/* ---------------------------------------------------------------- tenants */

static uint64_t value_at(const struct metrics_tenant *t, size_t offset)
{
    uint64_t v;

    memcpy(&v, (const char *)t + offset, sizeof(v));
    return v;
}

static void tenant_value(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    const struct label l = {"tenant", t->slug};
    uint64_t v = value_at(t, f->offset);

    if (v == METRICS_UNKNOWN)
        return;
    (f->seconds ? emit_seconds : emit)(w, &l, 1, v);
}

static void tenant_row(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct label l[] = {{"tenant", t->slug}, {f->label, f->values[i]}};

        (f->seconds ? emit_seconds : emit)(
            w, l, ARRAY_SIZE(l), value_at(t, f->offset + i * sizeof(uint64_t)));
    }
}

static void tenant_up(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    (void)f;
    for (size_t c = 0; c < ARRAY_SIZE(t->components) && *t->components[c].name; c++) {
        const struct label l[] = {{"tenant", t->slug}, {"component", t->components[c].name}};

        emit(w, l, ARRAY_SIZE(l), t->components[c].up);
    }
}

static void tenant_state(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    (void)f;
    for (size_t i = 0; i < ARRAY_SIZE(t->components) * _REC_STATE_MAX; i++) {
        size_t c = i / _REC_STATE_MAX;
        enum rec_state s = (enum rec_state)(i % _REC_STATE_MAX);
        const struct label l[] = {
            {"tenant", t->slug}, {"component", t->components[c].name}, {"state", rec_state_to_string(s)}};

        if (!*t->components[c].name)
            break;
        emit(w, l, ARRAY_SIZE(l), s == t->components[c].state);
    }
}

static void tenant_actions(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    (void)f;
    for (size_t i = 0; i < (size_t)_REC_LEVEL_MAX * _REC_DONE_MAX; i++) {
        enum rec_level v = (enum rec_level)(i / _REC_DONE_MAX);
        size_t d = i % _REC_DONE_MAX;
        const struct label l[] = {
            {"tenant", t->slug}, {"level", rec_level_to_string(v)}, {"result", done_names[d]}};

        emit(w, l, ARRAY_SIZE(l), t->actions[v][d]);
    }
}

static void tenant_level(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    (void)f;
    emit(w, &(struct label){"tenant", t->slug}, 1, t->level);
}

static void tenant_quarantined(struct writer *w, const struct family *f, const struct metrics_tenant *t)
{
    (void)f;
    emit(w, &(struct label){"tenant", t->slug}, 1, t->quarantined);
}

/* ---------------------------------------------------------------- the families */

#define HOST(name_, type_, fn, help_)                                                                        \
    {                                                                                                        \
        .name = "clawsup_" name_, .type = type_, .help = help_, .host = fn                                   \
    }
#define TENANT(name_, type_, fn, help_)                                                                      \
    {                                                                                                        \
        .name = "clawsup_" name_, .type = type_, .help = help_, .tenant = fn                                 \
    }
#define VALUE(name_, type_, field, seconds_, help_)                                                          \
    {                                                                                                        \
        .name = "clawsup_" name_, .type = type_, .help = help_, .tenant = tenant_value,                      \
        .offset = offsetof(struct metrics_tenant, field), .seconds = seconds_                                \
    }
#define SECONDS_ROW(name_, field, label_, values_, help_)                                                    \
    {                                                                                                        \
        .name = "clawsup_" name_, .type = "counter", .help = help_, .tenant = tenant_row,                    \
        .offset = offsetof(struct metrics_tenant, field), .seconds = true, .label = label_,                  \
        .values = values_, .n = ARRAY_SIZE(values_)                                                          \
    }
#define ROW(name_, field, label_, values_, help_)                                                            \
    {                                                                                                        \
        .name = "clawsup_" name_, .type = "counter", .help = help_, .tenant = tenant_row,                    \
        .offset = offsetof(struct metrics_tenant, field), .label = label_, .values = values_,                \
        .n = ARRAY_SIZE(values_)                                                                             \
    }

static const struct family families[] = {
    HOST("build_info", "gauge", emit_build_info, "Version of clawsupd; always 1."),
    HOST("start_time_seconds", "gauge", emit_start_time, "When clawsupd started, seconds since 1970."),
    HOST("host_state", "gauge", emit_host_state, "1 for the state the host is in, 0 for the others."),
    HOST("engine_up", "gauge", emit_engine_up, "Whether the Docker Engine answers."),
    HOST("config_ok", "gauge", emit_config_ok, "0 after a reload that was refused: the files differ."),
    HOST("state_store_ok", "gauge", emit_state_store_ok, "0 while budgets and holds are in memory only."),
    HOST("event_stream_reconnects_total", "counter", emit_reconnects, "Reconnects of the event stream."),
    HOST("relist_divergence_total", "counter", emit_divergences,
        "Containers that a full list showed in another state than the events had said."),
    HOST("loop_lag_seconds", "gauge", emit_loop_lag, "Worst delay of the event loop since the last write."),
    HOST("actions_in_flight", "gauge", emit_in_flight, "Restarts and redeploys under way."),
    TENANT("component_up", "gauge", tenant_up, "Whether a component is healthy."),
    TENANT("component_state", "gauge", tenant_state, "1 for the state a component is in, 0 for the others."),
    HOST("probes_total", "counter", emit_probes, "Probes by result; unknown ones failed on our own side."),
    HOST("probe_duration_seconds", "histogram", emit_probe_duration, "How long one probe took."),
    HOST("detection_seconds", "histogram", emit_detection, "From a failure's first sign to the decision."),
    HOST("recovery_seconds", "histogram", emit_recovery, "From the decision to act to healthy again."),
    TENANT("actions_total", "counter", tenant_actions, "Actions by ladder level and result."),
    HOST("actions_suppressed_total", "counter", emit_suppressed, "Actions that a guard held back."),
    TENANT("tenant_level", "gauge", tenant_level, "Position on the ladder: 0 nothing done, 4 quarantined."),
    TENANT("quarantined", "gauge", tenant_quarantined, "Whether clawsup gave up on the tenant."),
    VALUE("hold_until_timestamp_seconds", "gauge", hold_until_us, true,
        "End of a pause or a hold, seconds since 1970; 0 without one."),
    VALUE("memory_usage_bytes", "gauge", memory_bytes, false, "Memory of the whole tenant."),
    VALUE("memory_limit_bytes", "gauge", memory_limit_bytes, false, "Memory limit; absent: not limited."),
    VALUE("oom_kills_total", "counter", oom_kills, false, "Processes killed for want of memory."),
    VALUE("cpu_usage_seconds_total", "counter", cpu_usage_us, true, "CPU time used."),
    VALUE("cpu_throttled_seconds_total", "counter", cpu_throttled_us, true, "Time spent throttled."),
    VALUE("cpu_periods_total", "counter", cpu_periods, false, "Periods of the CPU quota with work to do."),
    VALUE("cpu_throttled_periods_total", "counter", cpu_throttled_periods, false,
        "Those in which the quota was used up."),
    SECONDS_ROW("pressure_seconds_total", pressure_us, "resource", pressure_names,
        "Time in which a process waited (PSI, some)."),
    ROW("pressure_events_total", pressure_events, "resource", pressure_names,
        "Windows of 2 s in which limits.pressure was exceeded."),
    VALUE("pressure_throttled", "gauge", throttled, false, "1 while on_pressure slows the tenant down."),
    VALUE("forks_refused_total", "counter", forks_refused, false, "Forks refused at a cap of processes."),
    VALUE("limits_repairs_total", "counter", drift_repairs, false, "Limits that were changed and put right."),
    VALUE("limits_stops_total", "counter", limits_stops, false,
        "Containers stopped or made anew, since their limits could not be put right."),
    VALUE("pids", "gauge", pids, false, "Processes and threads."),
    VALUE("pids_limit", "gauge", pids_limit, false, "Limit of processes and threads; absent: not limited."),
    VALUE("disk_usage_bytes", "gauge", disk_bytes, false, "Disk space of the tenant's data."),
    VALUE("disk_limit_bytes", "gauge", disk_limit_bytes, false, "Disk limit; absent: not limited."),
    VALUE("disk_inodes", "gauge", disk_inodes, false, "Files and directories of the tenant's data."),
    VALUE("disk_inodes_limit", "gauge", disk_inodes_limit, false, "Limit of them; absent: not limited."),
    VALUE("disk_full", "gauge", disk_full, false, "Whether the tenant's disk is full."),
    VALUE("disk_frozen", "gauge", disk_frozen, false,
        "Whether its containers are frozen for want of space on the host."),
    VALUE("disk_full_total", "counter", disk_full_total, false, "How often the tenant's disk became full."),
    ROW("proxy_requests_total", requests, "decision", decision_names, "Requests decided by the proxy."),
    VALUE("proxy_records_dropped_total", "counter", records_dropped, false,
        "Records of decisions that the proxy could not hand over."),
    ROW("proxy_restarts_total", proxy_restarts, "reason", reason_names, "Starts of a new embedded proxy."),
};

int metrics_render(const struct metrics *m, struct buf *out)
{
    struct writer w = {.out = out};

    for (size_t i = 0; i < ARRAY_SIZE(families) && w.r >= 0; i++) {
        const struct family *f = &families[i];

        w.family = f->name;
        w.r = buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
        if (f->host)
            f->host(&w, m);
        for (size_t t = 0; f->tenant && t < m->n_tenants; t++)
            f->tenant(&w, f, m->tenants[t]);
    }
    return w.r < 0 ? w.r : 0;
}
