/* status_view.c: the overview of status_view.h and what both views share. Must not read a clock or print to
 * anything but the given stream. */
#include "ctl/status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"

static const json_t *find_component(const json_t *tenant, const char *name)
{
    const json_t *list = json_object_get(tenant, "components");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);

        if (strcmp(text_of(c, "name"), name) == 0)
            return c;
    }
    return NULL;
}

/* ---------------------------------------------------------------- host */

static void host_line(
    const struct table_style *style, FILE *out, enum text_colour colour, const char *what, const char *text)
{
    char safe[1024];

    text_safe(safe, sizeof(safe), text);
    (void)fprintf(out, "%s%s%s: %s\n", style->colour ? text_sgr(colour) : "", what,
        style->colour && colour != TEXT_PLAIN ? TEXT_RESET : "", safe);
}

static const char *host_explained(const char *state)
{
    static const struct {
        const char *state, *text;
    } rows[] = {
        {"engine-down", "the Docker Engine does not answer; nothing is restarted until it does"},
        {"mass-failure", "many tenants fail at once; one at a time is tried"},
        {"settling", "the Docker Engine is back; containers are looked at before anything is restarted"},
        {"safe", "clawsupd itself restarted too often; it only observes for a while"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].state, state) == 0)
            return rows[i].text;
    return "";
}

void status_host(const json_t *reply, const struct table_style *style, FILE *out)
{
    const json_t *host = json_object_get(reply, "host");
    const json_t *engine = json_object_get(host, "engine"), *config = json_object_get(host, "config");
    const char *state = text_of(host, "state");
    uint64_t now = 0, since = 0;
    char line[256], age[48] = "";

    if (*state && strcmp(state, "normal") != 0) {
        if (text_time(reply, "now", &now) && text_time(host, "since", &since))
            text_between(age, sizeof(age), now, since);
        (void)snprintf(
            line, sizeof(line), "%.32s%s%s; %s", state, *age ? " for " : "", age, host_explained(state));
        host_line(style, out, text_state_colour(state), "host", line);
    }
    if (json_is_false(json_object_get(engine, "up"))) {
        text_safe(line, sizeof(line), text_of(engine, "error"));
        host_line(style, out, TEXT_RED, "engine", *line ? line : "does not answer: systemctl status docker");
    }
    if (json_is_true(json_object_get(host, "observing")))
        host_line(
            style, out, TEXT_YELLOW, "host", "clawsupd has just started and only observes for some seconds");
    if (strcmp(text_of(host, "state_store"), "degraded") == 0)
        host_line(style, out, TEXT_RED, "state store",
            "cannot be written; a restart of clawsupd would forget budgets and holds");
    if (*text_of(config, "error"))
        host_line(style, out, TEXT_YELLOW, "configuration", text_of(config, "error"));
}

/* ---------------------------------------------------------------- shared */

void status_next(char *out, size_t n, const json_t *component, uint64_t now_us)
{
    const json_t *next = json_object_get(component, "next");
    const char *held_by = text_of(component, "held_by"), *action = text_of(next, "action");
    uint64_t attempt = text_u64(next, "attempt", 0), attempts = text_u64(next, "attempts", 0), at;
    char when[48] = "", count[64] = "";

    if (n > 0)
        out[0] = '\0';
    if (!json_is_object(next)) {
        if (*held_by)
            (void)snprintf(out, n, "held back: %.64s", held_by);
        return;
    }
    if (strcmp(action, "restart-all") == 0)
        action = "restart with its dependents";
    if (attempt > 0 && attempts > 0)
        (void)snprintf(count, sizeof(count), " %" PRIu64 " of %" PRIu64, attempt, attempts);
    if (text_time(next, "at", &at)) {
        if (at > now_us)
            text_ago(when, sizeof(when), now_us, at);
        else
            (void)snprintf(when, sizeof(when), "now");
    }
    (void)snprintf(out, n, "%.32s%s%s%s%s%.48s%s", action, count, *when ? " " : "", when,
        *held_by ? " (held back: " : "", held_by, *held_by ? ")" : "");
}

void status_subject(char *out, size_t n, const json_t *event, bool with_tenant)
{
    const char *tenant = text_of(event, "tenant"), *component = text_of(event, "component");

    if (!*tenant)
        (void)snprintf(out, n, "host");
    else if (with_tenant)
        (void)snprintf(out, n, "%.32s%s%.31s", tenant, *component ? "/" : "", component);
    else
        (void)snprintf(out, n, "%.31s", component);
}

int status_exit_code(const json_t *reply)
{
    const json_t *host = json_object_get(reply, "host"), *list = json_object_get(reply, "tenants");
    bool fine = strcmp(text_of(host, "state"), "normal") == 0 &&
                json_is_true(json_object_get(json_object_get(host, "engine"), "up")) &&
                strcmp(text_of(host, "state_store"), "ok") == 0 &&
                !*text_of(json_object_get(host, "config"), "error");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *state = text_of(json_array_get(list, i), "state");

        if (strcmp(state, "quarantined") == 0)
            return CTL_QUARANTINED;
        fine = fine && strcmp(state, "healthy") == 0;
    }
    return fine ? CTL_OK : CTL_DEGRADED;
}

/* ---------------------------------------------------------------- overview */

static void cell_state(struct table *t, const json_t *o)
{
    const char *state = text_of(o, "state");

    table_cell(t, text_state_colour(state), state);
}

static void cell_restarts(struct table *t, const json_t *tenant)
{
    const json_t *list = json_object_get(tenant, "components");
    uint64_t hour = 0, day = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        hour += text_u64(json_array_get(list, i), "restarts_1h", 0);
        day += text_u64(json_array_get(list, i), "restarts_24h", 0);
    }
    table_cellf(t, hour > 0 ? TEXT_YELLOW : TEXT_PLAIN, "%" PRIu64 "/%" PRIu64, hour, day);
}

static void cell_cpu(struct table *t, const json_t *resources)
{
    const json_t *percent = json_object_get(resources, "cpu_percent");

    if (json_is_number(percent))
        table_cellf(t, TEXT_PLAIN, "%.0f%%", json_number_value(percent));
    else
        table_cell(t, TEXT_DIM, "");
}

/* Red from 95 % of the limit on, yellow from 85 %. */
static void cell_usage(struct table *t, const json_t *resources, const char *used_key, const char *limit_key)
{
    uint64_t used = text_u64(resources, used_key, UINT64_MAX),
             limit = text_u64(resources, limit_key, UINT64_MAX);
    enum text_colour colour = TEXT_PLAIN;
    char text[48];

    if (used != UINT64_MAX && limit != UINT64_MAX && limit > 0) {
        double share = (double)used / (double)limit;

        colour = share >= 0.95 ? TEXT_RED : share >= 0.85 ? TEXT_YELLOW : TEXT_PLAIN;
    }
    text_usage(text, sizeof(text), used, limit);
    table_cell(t, colour, text);
}

static void cell_last_event(struct table *t, const json_t *tenant, uint64_t now)
{
    const json_t *e = json_object_get(tenant, "last_event");
    char age[48];
    uint64_t at;

    if (!json_is_object(e) || !text_time(e, "at", &at)) {
        table_cell(t, TEXT_DIM, "");
        return;
    }
    text_ago(age, sizeof(age), now, at);
    table_cellf(t, TEXT_PLAIN, "%s: %s%s%s", age, text_of(e, "component"),
        *text_of(e, "component") ? " " : "", text_of(e, "text"));
}

/* So many columns fit everything but the last event. */
#define WIDTH_FULL 110

int status_overview(const json_t *reply, const struct table_style *style, FILE *out)
{
    static const struct table_column full[] = {{.name = "TENANT"}, {.name = "STATE"}, {.name = "PROXY"},
        {.name = "GATEWAY"}, {.name = "LEVEL"}, {.name = "RESTARTS 1H/24H", .right = true},
        {.name = "CPU", .right = true}, {.name = "MEMORY", .right = true}, {.name = "DISK", .right = true},
        {.name = "LAST EVENT", .truncate = true}};
    static const struct table_column narrow[] = {{.name = "TENANT"}, {.name = "STATE"}, {.name = "LEVEL"},
        {.name = "1H/24H", .right = true}, {.name = "CPU", .right = true}, {.name = "MEMORY", .right = true},
        {.name = "DISK", .right = true}, {.name = "LAST EVENT", .truncate = true}};
    bool all = style->plain || style->width == 0 || style->width >= WIDTH_FULL;
    _cleanup_(table_freep) struct table *t =
        table_new(all ? full : narrow, all ? ARRAY_SIZE(full) : ARRAY_SIZE(narrow), style);
    const json_t *list = json_object_get(reply, "tenants");
    uint64_t now = 0;

    if (!t)
        return -ENOMEM;
    (void)text_time(reply, "now", &now);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *tenant = json_array_get(list, i), *r = json_object_get(tenant, "resources");

        table_cell(t, TEXT_BOLD, text_of(tenant, "slug"));
        cell_state(t, tenant);
        if (all) {
            cell_state(t, find_component(tenant, "proxy"));
            cell_state(t, find_component(tenant, "gateway"));
        }
        table_cell(t, TEXT_PLAIN, text_of(tenant, "level"));
        cell_restarts(t, tenant);
        cell_cpu(t, r);
        cell_usage(t, r, "memory_bytes", "memory_limit_bytes");
        cell_usage(t, r, "disk_bytes", "disk_limit_bytes");
        cell_last_event(t, tenant, now);
    }
    return table_print(t, out);
}
