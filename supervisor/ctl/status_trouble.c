/* status_trouble.c: the first lines of a tenant's page: what is wrong, since when, what was done about it.
 * Must not read a clock or print to anything but the given stream. */
#include "ctl/status_view.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"

#define DONE_SHOWN 3

static bool is_healthy(const json_t *o)
{
    return strcmp(text_of(o, "state"), "healthy") == 0;
}

/* The detail of the newest failed probe, or "". */
static const char *last_failure(const json_t *component)
{
    const json_t *list = json_object_get(component, "last_probes");

    for (size_t i = json_array_size(list); i-- > 0;) {
        const json_t *p = json_array_get(list, i);

        if (strcmp(text_of(p, "result"), "fail") == 0)
            return text_of(p, "detail");
    }
    return "";
}

static bool of_component(const json_t *event, const char *name)
{
    return strcmp(text_of(event, "component"), name) == 0;
}

/* When the component left "healthy" last, if the events go back so far; else since it is in its state. */
static bool began(const json_t *tenant, const json_t *component, uint64_t *ret_us)
{
    const json_t *events = json_object_get(tenant, "events");
    const char *name = text_of(component, "name");

    for (size_t i = json_array_size(events); i-- > 0;) {
        const json_t *e = json_array_get(events, i);

        if (strcmp(text_of(e, "kind"), "state") != 0 || !of_component(e, name))
            continue;
        if (strstr(text_of(e, "text"), "-> healthy"))
            break;
        if (str_startswith(text_of(e, "text"), "healthy -> "))
            return text_time(e, "at", ret_us);
    }
    return text_time(component, "since", ret_us);
}

static void print_wrong(const struct status_lines *v, const json_t *component, bool first)
{
    const char *reason = text_of(component, "reason"), *detail = last_failure(component);
    bool more = *detail && !strstr(reason, detail);

    v->line(v, first ? "wrong" : "", "%s %s%s%s%s%s", text_of(component, "name"), text_of(component, "state"),
        *reason || more ? ": " : "", reason, *reason && more ? "; " : "", more ? detail : "");
}

static void print_since(const struct status_lines *v, uint64_t at_us)
{
    char age[48];

    text_ago(age, sizeof(age), v->now, at_us);
    v->line(v, "since", "%s", age);
}

/* What clawsupd, or an operator, did since then. */
static void print_done(const struct status_lines *v, uint64_t since_us)
{
    const json_t *events = json_object_get(v->tenant, "events");
    size_t n = json_array_size(events), first = n, shown = 0;

    for (; first > 0 && shown < DONE_SHOWN; first--) {
        const json_t *e = json_array_get(events, first - 1);
        const char *kind = text_of(e, "kind");
        uint64_t at;

        if (!text_time(e, "at", &at) || at < since_us)
            break;
        shown += strcmp(kind, "result") == 0 || strcmp(kind, "operator") == 0 || strcmp(kind, "alert") == 0;
    }
    shown = 0;
    for (; first < n; first++) {
        const json_t *e = json_array_get(events, first);
        const char *kind = text_of(e, "kind"), *name = text_of(e, "component");
        uint64_t at = 0;
        char age[48];

        if (strcmp(kind, "result") != 0 && strcmp(kind, "operator") != 0 && strcmp(kind, "alert") != 0)
            continue;
        (void)text_time(e, "at", &at);
        text_ago(age, sizeof(age), v->now, at);
        v->line(v, shown++ > 0 ? "" : "done", "%s: %s%s%s", age, name, *name ? " " : "", text_of(e, "text"));
    }
    if (shown == 0)
        v->line(v, "done", "nothing yet");
}

void status_trouble(const struct status_lines *v)
{
    const json_t *list = json_object_get(v->tenant, "components");
    uint64_t oldest = USEC_INFINITY;
    bool any = false;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        uint64_t at;

        if (is_healthy(c) || !json_is_object(c))
            continue;
        print_wrong(v, c, !any);
        if (began(v->tenant, c, &at))
            oldest = MIN(oldest, at);
        any = true;
    }
    if (!any)
        return;
    if (oldest != USEC_INFINITY)
        print_since(v, oldest);
    print_done(v, oldest == USEC_INFINITY ? 0 : oldest);
}
