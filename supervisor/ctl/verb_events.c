/* verb_events.c: `clawsup events`: what happened, and with --follow what happens. One line per event. */
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/client.h"
#include "ctl/status_view.h"

#define LINES_MAX 10000

static bool arg_follow;
static const char *arg_lines, *arg_tenant, *arg_since;
static uint64_t since_us; /* earlier events are not shown */

static enum text_colour kind_colour(const char *kind)
{
    return strcmp(kind, "action") == 0 ? TEXT_YELLOW : strcmp(kind, "operator") == 0 ? TEXT_CYAN : TEXT_PLAIN;
}

/* "2026-05-01T10:00:00.123456Z  acme/gateway  state     healthy -> suspect: HTTP 503" */
static void print_event(const struct ctl *c, const json_t *e)
{
    char subject[80], safe_subject[80], text[1024], at[48], kind[32];
    const char *sgr = c->colour ? text_sgr(kind_colour(text_of(e, "kind"))) : "";

    if (c->json) {
        (void)ctl_print_json(e, true);
        return;
    }
    status_subject(subject, sizeof(subject), e, true);
    text_safe(safe_subject, sizeof(safe_subject), subject);
    text_safe(text, sizeof(text), text_of(e, "text"));
    text_safe(at, sizeof(at), text_of(e, "at"));
    text_safe(kind, sizeof(kind), text_of(e, "kind"));
    if (c->plain)
        (void)printf("%s\t%s\t%s\t%s\n", at, safe_subject, kind, text);
    else
        (void)printf(
            "%-27s  %-20s  %s%-8s%s  %s\n", at, safe_subject, sgr, kind, *sgr ? TEXT_RESET : "", text);
}

static bool is_late_enough(const json_t *event)
{
    uint64_t at;

    return since_us == 0 || !text_time(event, "at", &at) || at >= since_us;
}

/* The answer with what --since leaves of it. */
static int print_json_list(json_t *reply)
{
    json_t *list = json_object_get(reply, "events");

    for (size_t i = json_array_size(list); i-- > 0;)
        if (!is_late_enough(json_array_get(list, i)))
            (void)json_array_remove(list, i);
    return ctl_print_json(reply, false);
}

static bool print_list(const struct ctl *c, const json_t *reply)
{
    const json_t *list = json_object_get(reply, "events");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (is_late_enough(json_array_get(list, i)))
            print_event(c, json_array_get(list, i));
    return fflush(stdout) == 0;
}

/* The first line is the backlog; then one event per line until the daemon closes or the reader of our output
 * goes away. */
static int follow(const struct ctl *c, const json_t *request)
{
    _cleanup_(client_freep) struct client *cl = NULL;
    struct err e = {.msg = ""};
    bool begun = false;
    int r = client_connect(c->socket_path, CTL_TIMEOUT_US, &cl, &e);

    if (r >= 0)
        r = client_send(cl, request, CTL_TIMEOUT_US, &e);
    while (r >= 0) {
        _cleanup_json_ json_t *j = NULL;

        r = client_receive(cl, begun ? USEC_INFINITY : CTL_TIMEOUT_US, &j, &e);
        if (r < 0)
            break;
        if (begun) {
            print_event(c, json_object_get(j, "event"));
        } else if (!json_is_true(json_object_get(j, "ok"))) {
            return ctl_refused(c, request, j);
        } else if (!print_list(c, j)) {
            return CTL_FAILED;
        }
        begun = true;
        if (fflush(stdout) != 0)
            return CTL_FAILED;
    }
    return ctl_unreachable(c, r, &e);
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *request = ctl_request("events", n > 0 ? args[0] : arg_tenant), *reply = NULL;
    uint64_t lines = 50;
    int r;

    if (arg_lines && str_parse_u64(arg_lines, LINES_MAX, &lines) < 0)
        return ctl_fail(
            c, CTL_USAGE, "usage", NULL, "--lines: a number up to %d, not '%s'", LINES_MAX, arg_lines);
    if (arg_since && !arg_lines)
        lines = LINES_MAX;
    if (arg_since && text_since(arg_since, &since_us) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", "10m, 2h, 1d, or 2026-05-01T10:00:00Z",
            "--since: '%s' is no time", arg_since);
    if (n > 0 && arg_tenant && strcmp(args[0], arg_tenant) != 0)
        return ctl_fail(
            c, CTL_USAGE, "usage", "name one of them", "two tenants: %s and %s", args[0], arg_tenant);
    if (!request || json_object_set_new(request, "lines", json_integer((json_int_t)lines)) < 0 ||
        json_object_set_new(request, "follow", json_boolean(arg_follow)) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    if (arg_follow)
        return follow(c, request);
    r = ctl_call(c, TAKE_PTR(request), CTL_TIMEOUT_US, &reply);
    if (r != CTL_OK)
        return r;
    if (c->json)
        return print_json_list(reply);
    return print_list(c, reply) ? CTL_OK : CTL_FAILED;
}

static const struct ctl_option options[] = {
    {.name = "follow", .help = "go on with new events until interrupted", .flag = &arg_follow},
    {.name = "tenant", .arg = "TENANT", .help = "the same as the argument TENANT", .value = &arg_tenant},
    {.name = "since",
        .arg = "TIME",
        .help = "only later ones: 10m ago, or 2026-05-01T10:00:00Z",
        .value = &arg_since},
    {.name = "lines", .arg = "N", .help = "so many past events (default 50)", .value = &arg_lines},
};

const struct ctl_command verb_events = {
    .name = "events",
    .args = "[TENANT]",
    .summary = "what happened: changes of state, actions, results, operators",
    .details =
        "One line per event, oldest first: time, tenant and component, kind, text. With --json one JSON\n"
        "object per line. The journal keeps more: journalctl -u clawsupd CLAWSUP_TENANT=NAME.",
    .examples = "  clawsup events acme\n"
                "  clawsup events --follow --tenant acme\n"
                "  clawsup events --since 2h\n"
                "  clawsup events --follow --json | jq -r 'select(.kind == \"action\").text'\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .max_args = 1,
    .run = run,
};
