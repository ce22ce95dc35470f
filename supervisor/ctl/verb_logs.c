/* verb_logs.c: `clawsup logs`: what a tenant's containers, its proxy and clawsupd say, in one order. Where it
 * comes from is in logs*.c. */
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "ctl/locate.h"
#include "ctl/logs.h"
#include "ctl/logs_line.h"
#include "ctl/text.h"

#define LINES_DEFAULT 100
#define LINES_MAX 10000

static bool arg_follow;
static const char *arg_lines, *arg_since;

static enum text_colour colour_of(const struct logs_entry *e)
{
    if (str_startswith(e->source, "clawsupd"))
        return TEXT_CYAN;
    return strcmp(e->stream, "stderr") == 0 ? TEXT_YELLOW : TEXT_GREEN;
}

/* "2026-05-01T10:00:00.123456Z  gateway  text"; to the second on a terminal that is not wide. */
static int print_entry(const struct logs_entry *e, void *userdata)
{
    const struct ctl *c = userdata;
    char at[RFC3339_MAX] = "-", text[LOGS_LINE_MAX + 1], source[96];
    const char *sgr = c->colour ? text_sgr(colour_of(e)) : "";

    if (e->at_us > 0)
        rfc3339_format(at, sizeof(at), e->at_us);
    logs_clean(text, sizeof(text), e->text);
    text_safe(source, sizeof(source), e->source);
    if (c->json) {
        _cleanup_json_ json_t *j =
            json_pack("{s:s, s:s, s:s, s:s}", "at", at, "source", source, "stream", e->stream, "text", text);

        return j && ctl_print_json(j, true) == CTL_OK ? 0 : -EPIPE;
    }
    if (c->plain)
        (void)printf("%s\t%s\t%s\t%s\n", at, source, e->stream, text);
    else
        (void)printf("%.19sZ  %s%-16s%s  %s\n", at, sgr, source, *sgr ? TEXT_RESET : "", text);
    return fflush(stdout) == 0 ? 0 : -EPIPE;
}

/* The daemon knows the tenants; without it any name may be right. */
static int check_tenant(const struct ctl *c, const char *slug)
{
    _cleanup_json_ json_t *request = ctl_request("status", slug), *reply = NULL;

    if (!str_is_slug(slug))
        return ctl_fail(c, CTL_USAGE, "usage", "1 to 32 of a-z, 0-9 and single dashes inside",
            "'%s' is no name of a tenant", slug);
    if (ctl_ask(c, request, CTL_TIMEOUT_US, &reply, NULL) < 0 || json_is_true(json_object_get(reply, "ok")))
        return CTL_OK;
    return ctl_refused(c, request, reply);
}

static int run(struct ctl *c, char **args, int n)
{
    struct logs_options o = {.c = c,
        .tenant = args[0],
        .component = n > 1 ? args[1] : NULL,
        .lines = LINES_DEFAULT,
        .follow = arg_follow};
    _cleanup_free_ char *socket = locate_engine_socket(c->config_file);
    struct err e = {.msg = ""};
    int r;

    if (arg_since && text_since(arg_since, &o.since_us) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", "10m, 2h, 1d, or 2026-05-01T10:00:00Z",
            "--since: '%s' is no time", arg_since);
    if (o.since_us > 0)
        o.lines = LINES_MAX;
    if (arg_lines && str_parse_u64(arg_lines, LINES_MAX, &o.lines) < 0)
        return ctl_fail(
            c, CTL_USAGE, "usage", NULL, "--lines: a number up to %d, not '%s'", LINES_MAX, arg_lines);
    r = check_tenant(c, args[0]);
    if (r != CTL_OK)
        return r;
    if (!socket)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    o.engine_socket = socket;
    r = logs_run(&o, print_entry, c, &e);
    if (r >= 0 || r == -EPIPE)
        return CTL_OK;
    return ctl_fail(c, r == -ENOENT ? CTL_UNREACHABLE : CTL_FAILED, r == -ENOENT ? "unreachable" : "internal",
        r == -ENOENT ? "be root, or in the group docker" : NULL, "%s", e.msg);
}

static const struct ctl_option options[] = {
    {.name = "follow", .help = "go on with new lines until interrupted", .flag = &arg_follow},
    {.name = "since",
        .arg = "TIME",
        .help = "only later ones: 10m ago, or 2026-05-01T10:00:00Z",
        .value = &arg_since},
    {.name = "lines",
        .arg = "N",
        .help = "so many past lines of each source (default 100)",
        .value = &arg_lines},
};

const struct ctl_command verb_logs = {
    .name = "logs",
    .args = "TENANT [COMPONENT]",
    .summary = "what a tenant's containers, its proxy and clawsupd say, in one order",
    .details =
        "COMPONENT is gateway, proxy, sandbox, clawsupd, the name of another component or of a sandbox's\n"
        "container; without it all. Container logs come from the engine, the rest from the journal, or from\n"
        "the events of clawsupd where there is no journal. Both are read with your own rights: be root, or "
        "in\n"
        "the groups docker and systemd-journal. A tenant writes these lines: escape sequences are taken out.",
    .examples = "  clawsup logs acme --follow\n"
                "  clawsup logs acme gateway --since 10m\n"
                "  clawsup logs acme sandbox --json | jq -r .text\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
