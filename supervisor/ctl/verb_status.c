/* verb_status.c: `clawsup status`: asks the daemon, shows the answer once or again and again. How it looks is
 * in status_view.h. */
#include "ctl/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/status_view.h"

#define WATCH_INTERVAL_MS 1000

static bool arg_watch;

static int show(const struct ctl *c, const json_t *reply, const char *tenant, FILE *out)
{
    const struct table_style style = {.plain = c->plain, .no_heading = c->no_heading, .colour = c->colour};
    const json_t *list = json_object_get(reply, "tenants");

    if (!c->plain)
        status_host(reply, &style, out);
    if (tenant)
        return status_detail(reply, json_array_get(list, 0), &style, out);
    if (json_array_size(list) == 0 && !c->plain)
        (void)fprintf(out, "no tenants; add one in tenants.d and run 'clawsup reload'\n");
    return status_overview(reply, &style, out);
}

static int once(const struct ctl *c, const char *tenant)
{
    _cleanup_json_ json_t *reply = NULL;
    int r = ctl_call(c, ctl_request("status", tenant), CTL_TIMEOUT_US, &reply);

    if (r != CTL_OK)
        return r;
    if (c->json)
        r = ctl_print_json(reply, arg_watch);
    else if (show(c, reply, tenant, stdout) < 0 || fflush(stdout) != 0)
        r = ctl_fail(c, CTL_FAILED, "internal", NULL, "cannot write: %s", strerrordesc_np(errno));
    return r != CTL_OK ? r : status_exit_code(reply);
}

/* Writes a frame over the last one: each line is cleared to its end, then what is below; nothing flickers. */
static void draw(const char *text)
{
    (void)fputs("\033[H", stdout);
    for (const char *p = text, *nl; *p; p = nl + 1) {
        nl = strchr(p, '\n');
        if (!nl)
            break;
        (void)fwrite(p, 1, (size_t)(nl - p), stdout);
        (void)fputs("\033[K\n", stdout);
    }
    (void)fputs("\033[J", stdout);
}

static int frame(const struct ctl *c, const char *tenant)
{
    _cleanup_json_ json_t *reply = NULL;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *f;
    int r;

    r = ctl_call(c, ctl_request("status", tenant), CTL_TIMEOUT_US, &reply);
    if (r != CTL_OK)
        return r;
    f = open_memstream(&text, &len);
    if (!f)
        return CTL_FAILED;
    (void)fprintf(f, "%s  (every second; Ctrl-C ends)\n\n", text_of(reply, "now"));
    r = show(c, reply, tenant, f);
    if (fclose(f) != 0 || r < 0)
        return CTL_FAILED;
    draw(text);
    return status_exit_code(reply);
}

/* Ends on a signal, when the output is closed, or when the request itself is wrong; a daemon that is
 * restarted meanwhile is waited for. */
static int watch(const struct ctl *c, const char *tenant)
{
    bool terminal = isatty(STDOUT_FILENO) && !c->json && !c->plain;
    int r;

    if (terminal)
        (void)fputs("\033[2J", stdout);
    for (;;) {
        r = terminal ? frame(c, tenant) : once(c, tenant);
        if (r == CTL_USAGE || fflush(stdout) != 0)
            return r;
        (void)poll(NULL, 0, WATCH_INTERVAL_MS);
        if (!terminal && !c->json)
            (void)putchar('\n');
    }
}

static int run(struct ctl *c, char **args, int n)
{
    const char *tenant = n > 0 ? args[0] : NULL;

    return arg_watch ? watch(c, tenant) : once(c, tenant);
}

static const struct ctl_option options[] = {
    {.name = "watch", .help = "redraw every second", .flag = &arg_watch},
};

const struct ctl_command verb_status = {
    .name = "status",
    .args = "[TENANT]",
    .summary = "how the tenants are, or one of them in detail",
    .details =
        "Without a tenant one row each: state, proxy, gateway, position on the recovery ladder, restarts,\n"
        "resources, last event. With a tenant also its components, the last probes, what happens next and\n"
        "when, and what you can do about it.\n\n"
        "Exit status: 0 all healthy, 1 something is not, 2 something is quarantined, 3 clawsupd does not\n"
        "answer, 64 usage.",
    .examples = "  clawsup status\n"
                "  clawsup status acme --watch\n"
                "  clawsup status --json | jq -r '.tenants[] | select(.state != \"healthy\").slug'\n"
                "  clawsup status --plain --no-heading | cut -f1,2\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .max_args = 1,
    .run = run,
};
