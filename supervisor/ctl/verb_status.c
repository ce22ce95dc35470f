/* verb_status.c: `clawsup status`: asks the daemon, shows the answer once or again and again. How it looks is
 * in status_view.h. */
#include "ctl/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/screen.h"
#include "ctl/status_view.h"

#define WATCH_INTERVAL_MS 1000

static bool arg_watch;
static const char *arg_state, *arg_sort;

static int show(const struct ctl *c, const json_t *reply, const char *tenant, FILE *out)
{
    const struct table_style style = {
        .plain = c->plain, .no_heading = c->no_heading, .colour = c->colour, .width = screen_width()};
    const json_t *list = json_object_get(reply, "tenants");

    if (!c->plain)
        status_host(reply, &style, out);
    if (tenant)
        return status_detail(reply, json_array_get(list, 0), &style, out);
    if (json_array_size(list) == 0 && !c->plain)
        (void)fprintf(out,
            arg_state ? "no tenant is %s\n" : "no tenants; 'clawsup init' writes the first one\n", arg_state);
    return status_overview(reply, &style, out);
}

/* Sorts and filters; the exit code is that of all tenants. */
static int arrange(json_t *reply, const char *tenant, enum status_sort by)
{
    int code = status_exit_code(reply);

    return tenant || status_arrange(reply, by, arg_state) >= 0 ? code : CTL_FAILED;
}

static int once(const struct ctl *c, const char *tenant, enum status_sort by)
{
    _cleanup_json_ json_t *reply = NULL;
    int r = ctl_call(c, ctl_request("status", tenant), CTL_TIMEOUT_US, &reply), code;

    if (r != CTL_OK)
        return r;
    code = arrange(reply, tenant, by);
    if (c->json)
        r = ctl_print_json(reply, arg_watch);
    else if (show(c, reply, tenant, stdout) < 0 || fflush(stdout) != 0)
        r = ctl_fail(c, CTL_FAILED, "internal", NULL, "cannot write: %s", strerrordesc_np(errno));
    return r != CTL_OK ? r : code;
}

/* The page of one moment. CTL_USAGE and *ret_reply: the daemon refuses, and would again. */
static int frame(const struct ctl *c, const char *tenant, enum status_sort by, FILE *f, json_t **ret_reply)
{
    _cleanup_json_ json_t *request = ctl_request("status", tenant);
    struct err e = {.msg = ""};
    int r = ctl_ask(c, request, CTL_TIMEOUT_US, ret_reply, &e);

    if (r < 0) {
        (void)fprintf(f, "clawsupd at %s: %s\n\nwaiting for it; q ends\n", c->socket_path, e.msg);
        return CTL_UNREACHABLE;
    }
    if (!json_is_true(json_object_get(*ret_reply, "ok")))
        return CTL_USAGE;
    r = arrange(*ret_reply, tenant, by);
    (void)fprintf(f, "%.19sZ  (every second; q ends)\n\n", text_of(*ret_reply, "now"));
    return show(c, *ret_reply, tenant, f) < 0 ? CTL_FAILED : r;
}

static int draw_frame(
    const struct ctl *c, struct screen *s, const char *tenant, enum status_sort by, json_t **ret_reply)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    int r;

    if (!f)
        return CTL_FAILED;
    r = frame(c, tenant, by, f, ret_reply);
    if (fclose(f) != 0 || r == CTL_USAGE)
        return r == CTL_USAGE ? r : CTL_FAILED;
    return screen_draw(s, text) < 0 ? CTL_FAILED : r;
}

/* Ends by 'q', a signal, or when the request itself is wrong; a daemon that is restarted meanwhile is waited
 * for. */
static int watch_screen(const struct ctl *c, const char *tenant, enum status_sort by)
{
    _cleanup_(screen_freep) struct screen *s = NULL;
    int r;

    if (screen_new(&s) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    for (;;) {
        _cleanup_json_ json_t *reply = NULL;

        r = draw_frame(c, s, tenant, by, &reply);
        if (r == CTL_USAGE) {
            _cleanup_json_ json_t *request = ctl_request("status", tenant);

            s = screen_free(s);
            return ctl_refused(c, request, reply);
        }
        if (screen_wait(s, WATCH_INTERVAL_MS) == 'q')
            return r;
    }
}

/* Not on a terminal: one answer after the other. */
static int watch_stream(const struct ctl *c, const char *tenant, enum status_sort by)
{
    for (;;) {
        int r = once(c, tenant, by);

        if (r == CTL_USAGE || fflush(stdout) != 0)
            return r;
        (void)poll(NULL, 0, WATCH_INTERVAL_MS);
        if (!c->json)
            (void)putchar('\n');
    }
}

static int run(struct ctl *c, char **args, int n)
{
    const char *tenant = n > 0 ? args[0] : NULL;
    enum status_sort by = arg_watch ? STATUS_SORT_STATE : STATUS_SORT_NAME;
    struct err e = {.msg = ""};

    if (arg_sort && status_sort_from_string(arg_sort, &by) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", "name, state, restarts, cpu, memory, disk",
            "--sort: no order '%s'", arg_sort);
    if (arg_state && status_filter_check(arg_state, &e) < 0)
        return ctl_fail(c, CTL_USAGE, "usage",
            "unhealthy, quarantined, down, recovering, degraded, starting, held, paused, healthy",
            "--state: %s", e.msg);
    if (!arg_watch)
        return once(c, tenant, by);
    return isatty(STDOUT_FILENO) && !c->json && !c->plain ? watch_screen(c, tenant, by)
                                                          : watch_stream(c, tenant, by);
}

static const struct ctl_option options[] = {
    {.name = "watch", .help = "redraw every second, worst first; q ends", .flag = &arg_watch},
    {.name = "state",
        .arg = "STATE,...",
        .help = "only tenants in these states, or unhealthy",
        .value = &arg_state},
    {.name = "sort",
        .arg = "ORDER",
        .help = "name, state, restarts, cpu, memory or disk",
        .value = &arg_sort},
};

const struct ctl_command verb_status = {
    .name = "status",
    .args = "[TENANT]",
    .summary = "how the tenants are, or one of them in detail",
    .details =
        "Without a tenant one row each: state, proxy, gateway, position on the recovery ladder, restarts,\n"
        "resources, last event. With a tenant: what is wrong, since when, what was done, what comes next "
        "and\n"
        "what you can do; then its components, the last probes, resources and events.\n\n"
        "Exit status, of all tenants whatever is shown: 0 all healthy, 1 something is not, 2 something is "
        "quarantined, 3 clawsupd does not\n"
        "answer, 64 usage.",
    .examples = "  clawsup status\n"
                "  clawsup status acme --watch\n"
                "  clawsup status --watch --state unhealthy\n"
                "  clawsup status --sort memory\n"
                "  clawsup status --json | jq -r '.tenants[] | select(.state != \"healthy\").slug'\n"
                "  clawsup status --plain --no-heading | cut -f1,2\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .max_args = 1,
    .run = run,
};
