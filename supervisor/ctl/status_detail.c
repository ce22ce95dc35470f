/* status_detail.c: one tenant in full: what it is, what happens next, what the operator can do. Must not read
 * a clock or print to anything but the given stream. */
#include "ctl/status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

struct view {
    struct status_lines lines; /* first: what status_trouble() gets is this view */
    const json_t *tenant, *components;
    const struct table_style *style;
    FILE *out;
    uint64_t now;
};

static void heading(const struct view *v, const char *text)
{
    if (!v->style->no_heading)
        (void)fprintf(v->out, "\n%s%s%s\n", v->style->colour ? text_sgr(TEXT_BOLD) : "", text,
            v->style->colour ? TEXT_RESET : "");
}

/* "  next      TEXT" */
static void line_v(const struct view *v, const char *name, const char *fmt, va_list ap) _printf_(3, 0);
static void line_v(const struct view *v, const char *name, const char *fmt, va_list ap)
{
    char text[1024], safe[1024];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    text_safe(safe, sizeof(safe), text);
    (void)fprintf(v->out, "  %-10s %s\n", name, safe);
}

static void line(const struct view *v, const char *name, const char *fmt, ...) _printf_(3, 4);
static void line(const struct view *v, const char *name, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_v(v, name, fmt, ap);
    va_end(ap);
}

static void head_line(const struct status_lines *l, const char *name, const char *fmt, ...) _printf_(3, 4);
static void head_line(const struct status_lines *l, const char *name, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_v((const struct view *)l, name, fmt, ap);
    va_end(ap);
}

/* ", for 12s" since the member `key`; "" when it is unknown. */
static void duration_since(const struct view *v, const json_t *o, const char *key, char *out, size_t n)
{
    uint64_t at;
    char d[32];

    out[0] = '\0';
    if (!text_time(o, key, &at))
        return;
    text_between(d, sizeof(d), v->now, at);
    (void)snprintf(out, n, " for %s", d);
}

static void title(const struct view *v)
{
    const char *state = text_of(v->tenant, "state");
    const char *sgr = v->style->colour ? text_sgr(text_state_colour(state)) : "";
    char slug[64], safe[64];

    text_safe(slug, sizeof(slug), text_of(v->tenant, "slug"));
    text_safe(safe, sizeof(safe), state);
    (void)fprintf(v->out, "%s: %s%s%s\n", slug, sgr, safe, *sgr ? TEXT_RESET : "");
}

/* "L0 nothing done > [L1 restart] > L2 ..." with the current rung in brackets. */
static void ladder(const struct view *v)
{
    static const char *const rungs[] = {
        "L0 nothing done", "L1 restart", "L2 restart all", "L3 redeploy", "L4 quarantine"};
    const char *level = text_of(v->tenant, "level");
    _cleanup_buf_ struct buf b = {.limit = 512};
    uint64_t redeploys = text_u64(v->tenant, "redeploys_24h", 0);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(rungs); i++) {
        bool here = strncmp(rungs[i], level, 2) == 0;

        r = buf_addf(&b, "%s%s%s%s", i > 0 ? " > " : "", here ? "[" : "", rungs[i], here ? "]" : "");
    }
    if (r < 0)
        return;
    line(v, "ladder", "%s%s", b.data,
        json_is_true(json_object_get(v->tenant, "flapping")) ? "; flapping: only hard evidence counts" : "");
    if (redeploys > 0)
        line(v, "", "%" PRIu64 " redeploy%s in the last 24 h", redeploys, redeploys == 1 ? "" : "s");
}

static void holds(const struct view *v)
{
    uint64_t at;
    char age[48];

    if (text_time(v->tenant, "quarantined_since", &at)) {
        text_ago(age, sizeof(age), v->now, at);
        line(v, "quarantine", "since %s (%s)", text_of(v->tenant, "quarantined_since"), age);
    }
    if (text_time(v->tenant, "hold_until", &at)) {
        text_ago(age, sizeof(age), v->now, at);
        line(v, "hold", "ends %s (%s)", age, text_of(v->tenant, "hold_until"));
    }
}

static void next_steps(const struct view *v)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(v->components); i++) {
        const json_t *c = json_array_get(v->components, i);
        char text[192];

        status_next(text, sizeof(text), c, v->now);
        if (!*text)
            continue;
        line(v, any ? "" : "next", "%s: %s", text_of(c, "name"), text);
        any = true;
    }
    if (!any)
        line(v, "next", "nothing planned");
}

/* What a person can do about it, most useful first. */
static void you_can(const struct view *v, const json_t *reply)
{
    const char *slug = text_of(v->tenant, "slug"), *state = text_of(v->tenant, "state");
    const json_t *engine = json_object_get(json_object_get(reply, "host"), "engine");

    if (json_is_false(json_object_get(engine, "up"))) {
        line(v, "you can", "bring the Docker Engine back: systemctl status docker");
        return;
    }
    if (strcmp(state, "quarantined") == 0) {
        line(v, "you can", "clawsup release %s       once the cause is found", slug);
        line(v, "", "clawsup redeploy %s      a new container from the configuration", slug);
    } else if (strcmp(state, "paused") == 0) {
        line(v, "you can", "clawsup resume %s        act again at once", slug);
    } else if (strcmp(state, "held") == 0) {
        line(v, "you can", "clawsup resume %s        somebody stopped it; act again at once", slug);
        line(v, "", "clawsup pause %s         leave it stopped for longer", slug);
    } else if (strcmp(state, "starting") == 0 || strcmp(state, "recovering") == 0) {
        line(v, "you can", "clawsup status %s --watch   it is being worked on", slug);
    } else if (strcmp(state, "healthy") != 0) {
        line(v, "you can", "clawsup restart %s       now, instead of waiting", slug);
        line(v, "", "clawsup pause %s         keep clawsup away while you look", slug);
    } else {
        return;
    }
    line(v, "", "clawsup events %s        what happened", slug);
}

/* ---------------------------------------------------------------- tables */

static int components(const struct view *v)
{
    static const struct table_column columns[] = {{.name = "COMPONENT"}, {.name = "MODE"}, {.name = "STATE"},
        {.name = "SINCE", .right = true}, {.name = "FAILS", .right = true}, {.name = "OKS", .right = true},
        {.name = "RESTARTS 1H", .right = true}, {.name = "24H", .right = true},
        {.name = "WHY", .truncate = true}};
    _cleanup_(table_freep) struct table *t = table_new(columns, ARRAY_SIZE(columns), v->style);

    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(v->components); i++) {
        const json_t *c = json_array_get(v->components, i);
        const char *state = text_of(c, "state");
        uint64_t hour = text_u64(c, "budget_1h", 0), day = text_u64(c, "budget_24h", 0), since;
        char age[32] = "";

        if (text_time(c, "since", &since))
            text_between(age, sizeof(age), v->now, since);
        table_cell(t, TEXT_PLAIN, text_of(c, "name"));
        table_cell(t, TEXT_PLAIN, text_of(c, "mode"));
        table_cell(t, text_state_colour(state), state);
        table_cell(t, TEXT_PLAIN, age);
        table_cellf(t, TEXT_PLAIN, "%" PRIu64, text_u64(c, "fails", 0));
        table_cellf(t, TEXT_PLAIN, "%" PRIu64, text_u64(c, "oks", 0));
        table_cellf(t, TEXT_PLAIN, hour > 0 ? "%" PRIu64 "/%" PRIu64 : "%" PRIu64,
            text_u64(c, "restarts_1h", 0), hour);
        table_cellf(t, TEXT_PLAIN, day > 0 ? "%" PRIu64 "/%" PRIu64 : "%" PRIu64,
            text_u64(c, "restarts_24h", 0), day);
        table_cell(t, TEXT_PLAIN, text_of(c, "reason"));
    }
    return table_print(t, v->out);
}

/* What stands behind each component: a process or a container. */
static void behind(const struct view *v)
{
    for (size_t i = 0; i < json_array_size(v->components); i++) {
        const json_t *c = json_array_get(v->components, i), *k = json_object_get(c, "container");
        const json_t *code = json_object_get(k, "exit_code");
        const char *name = text_of(c, "name"), *health = text_of(k, "health");
        char up[48];

        if (text_u64(c, "pid", 0) > 0)
            line(v, name, "process %" PRIu64, text_u64(c, "pid", 0));
        if (!json_is_object(k))
            continue;
        duration_since(v, k, "started_at", up, sizeof(up));
        line(v, name, "container %s %.12s, %s%s%s%s, image %s", text_of(k, "name"), text_of(k, "id"),
            text_of(k, "state"), strcmp(text_of(k, "state"), "running") == 0 ? up : "", *health ? ", " : "",
            health, text_of(k, "image"));
        if (json_is_integer(code))
            line(v, "", "last exit status %lld, restarted %" PRIu64 " times by the engine",
                (long long)json_integer_value(code), text_u64(k, "restart_count", 0));
    }
}

static int probes(const struct view *v)
{
    static const struct table_column columns[] = {{.name = "PROBE"}, {.name = "WHEN", .right = true},
        {.name = "RESULT"}, {.name = "LATENCY", .right = true}, {.name = "DETAIL", .truncate = true}};
    _cleanup_(table_freep) struct table *t = table_new(columns, ARRAY_SIZE(columns), v->style);

    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(v->components); i++) {
        const json_t *c = json_array_get(v->components, i), *list = json_object_get(c, "last_probes");

        for (size_t p = 0; p < json_array_size(list); p++) {
            const json_t *probe = json_array_get(list, p);
            const char *result = text_of(probe, "result");
            char age[48] = "";
            uint64_t at;

            if (text_time(probe, "at", &at))
                text_ago(age, sizeof(age), v->now, at);
            table_cell(t, TEXT_PLAIN, text_of(c, "name"));
            table_cell(t, TEXT_PLAIN, age);
            table_cell(t, text_state_colour(result), result);
            table_cellf(t, TEXT_PLAIN, "%.1fms", (double)text_u64(probe, "duration_us", 0) / 1000.0);
            table_cell(t, TEXT_PLAIN, text_of(probe, "detail"));
        }
    }
    return table_print(t, v->out);
}

static void requests(const struct view *v, const json_t *q)
{
    uint64_t reported = text_u64(q, "reported", 0), dropped = text_u64(q, "records_dropped", 0);
    char more[64] = "", lost[64] = "";

    if (reported > 0)
        (void)snprintf(more, sizeof(more), ", %" PRIu64 " reported", reported);
    if (dropped > 0)
        (void)snprintf(lost, sizeof(lost), ", %" PRIu64 " records lost", dropped);
    line(v, "requests", "%" PRIu64 " allowed%s, %" PRIu64 " denied, %" PRIu64 " errors%s",
        text_u64(q, "allowed", 0), more, text_u64(q, "denied", 0), text_u64(q, "errors", 0), lost);
    if (strcmp(text_of(v->tenant, "filter"), "report") == 0)
        line(v, "filter", "reports only: opt-in switches that are off refuse nothing");
}

static void disk(const struct view *v, const json_t *r, const char *usage)
{
    const char *level = text_of(r, "disk_level"), *problem = text_of(r, "disk_problem"), *alarm = "";

    if (json_is_true(json_object_get(r, "disk_frozen")))
        alarm = ", FROZEN";
    else if (json_is_true(json_object_get(r, "disk_full")))
        alarm = ", FULL";
    if (str_eq(level, "none"))
        level = "";
    line(v, "disk", "%s%s%s%s%s", usage, *level ? ", " : "", level, alarm, *problem ? ":" : "");
    if (*problem)
        line(v, "", "%s", problem);
}

/* What went past a limit, or waits at one; a line each only where there is something to say. */
static void pressure(const struct view *v, const json_t *r)
{
    const json_t *p = json_object_get(r, "pressure"),
                 *throttled = json_object_get(r, "cpu_throttled_percent");
    uint64_t ooms = text_u64(r, "oom_kills", 0), forks = text_u64(r, "forks_refused", 0);
    uint64_t repairs = text_u64(r, "limits_repairs", 0), stops = text_u64(r, "limits_stops", 0);

    if (json_is_number(json_object_get(p, "memory")))
        line(v, "waiting", "memory %.1f%%, cpu %.1f%%, io %.1f%% of the last 10 s%s",
            json_number_value(json_object_get(p, "memory")), json_number_value(json_object_get(p, "cpu")),
            json_number_value(json_object_get(p, "io")),
            json_is_true(json_object_get(r, "throttled")) ? "; slowed down (limits.on_pressure)" : "");
    if (json_is_number(throttled) && json_number_value(throttled) > 0)
        line(v, "at its quota", "%.1f%% of the CPU's periods", json_number_value(throttled));
    if (ooms + forks > 0)
        line(v, "at its caps", "%" PRIu64 " OOM kills, %" PRIu64 " forks refused", ooms, forks);
    if (repairs + stops > 0)
        line(v, "put right", "%" PRIu64 " limits, %" PRIu64 " containers stopped or made anew", repairs,
            stops);
}

static void resources(const struct view *v)
{
    const json_t *r = json_object_get(v->tenant, "resources");
    const json_t *percent = json_object_get(r, "cpu_percent");
    uint64_t cpus = text_u64(r, "cpu_limit_nano", 0), used = text_u64(r, "cpu_usage_usec", UINT64_MAX);
    uint64_t pids = text_u64(r, "pids", UINT64_MAX), pids_limit = text_u64(r, "pids_limit", UINT64_MAX);
    char total[32] = "-", now[32] = "", limit[48] = "", a[48], b[48];

    if (used != UINT64_MAX)
        str_format_duration(total, sizeof(total), used);
    if (json_is_number(percent))
        (void)snprintf(now, sizeof(now), ", %.0f%% now", json_number_value(percent));
    if (cpus > 0)
        (void)snprintf(limit, sizeof(limit), ", limit %.3g CPUs", (double)cpus / 1e9);
    line(v, "cpu", "%s used%s%s", total, now, limit);
    text_usage(
        a, sizeof(a), text_u64(r, "memory_bytes", UINT64_MAX), text_u64(r, "memory_limit_bytes", UINT64_MAX));
    text_usage(
        b, sizeof(b), text_u64(r, "disk_bytes", UINT64_MAX), text_u64(r, "disk_limit_bytes", UINT64_MAX));
    line(v, "memory", "%s", a);
    disk(v, r, b);
    a[0] = b[0] = '-';
    a[1] = b[1] = '\0';
    if (pids != UINT64_MAX)
        (void)snprintf(a, sizeof(a), "%" PRIu64, pids);
    if (pids_limit != UINT64_MAX)
        (void)snprintf(b, sizeof(b), "%" PRIu64, pids_limit);
    line(v, "pids", "%s%s%s", a, pids_limit != UINT64_MAX ? "/" : "", pids_limit != UINT64_MAX ? b : "");
    pressure(v, r);
    if (*text_of(r, "level"))
        line(v, "enforced", "%s", text_of(r, "level"));
    requests(v, json_object_get(v->tenant, "proxy_requests"));
}

static int events(const struct view *v)
{
    static const struct table_column columns[] = {{.name = "EVENT", .right = true}, {.name = "KIND"},
        {.name = "COMPONENT"}, {.name = "TEXT", .truncate = true}};
    const json_t *list = json_object_get(v->tenant, "events");
    _cleanup_(table_freep) struct table *t = table_new(columns, ARRAY_SIZE(columns), v->style);

    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        char age[48] = "";
        uint64_t at;

        if (text_time(e, "at", &at))
            text_ago(age, sizeof(age), v->now, at);
        table_cell(t, TEXT_PLAIN, age);
        table_cell(t, TEXT_PLAIN, text_of(e, "kind"));
        table_cell(t, TEXT_PLAIN, text_of(e, "component"));
        table_cell(t, TEXT_PLAIN, text_of(e, "text"));
    }
    return table_print(t, v->out);
}

int status_detail(const json_t *reply, const json_t *tenant, const struct table_style *style, FILE *out)
{
    struct view v = {
        .tenant = tenant, .components = json_object_get(tenant, "components"), .style = style, .out = out};
    int r;

    (void)text_time(reply, "now", &v.now);
    v.lines = (struct status_lines){.tenant = tenant, .now = v.now, .line = head_line};
    title(&v);
    status_trouble(&v.lines);
    holds(&v);
    next_steps(&v);
    you_can(&v, reply);
    ladder(&v);
    heading(&v, "Components");
    r = components(&v);
    if (r < 0)
        return r;
    behind(&v);
    heading(&v, "Last probes");
    r = probes(&v);
    if (r < 0)
        return r;
    heading(&v, "Resources");
    resources(&v);
    heading(&v, "Last events");
    return events(&v);
}
