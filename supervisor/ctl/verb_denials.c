/* verb_denials.c: `clawsup denials`: what a tenant was refused, and what in its configuration would allow it.
 */
#include "ctl/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define LINES_MAX 256

static const char *arg_lines;

/* "POST /networks/create", or the reason alone where the route says what was asked. */
static void example(const json_t *d, char *out, size_t n)
{
    const char *path = text_of(d, "path");

    (void)snprintf(out, n, "%s%s%s%s%s", *path ? text_of(d, "method") : "", *path ? " " : "", path,
        *path ? ": " : "", text_of(d, "reason"));
}

static void add_row(struct table *t, const json_t *d, uint64_t now)
{
    const char *line = text_of(d, "allowed_by");
    char age[48] = "", text[512];
    uint64_t at;

    if (now > 0 && text_time(d, "last_at", &at))
        text_ago(age, sizeof(age), now, at);
    table_cellf(t, TEXT_PLAIN, "%" PRIu64, text_u64(d, "denied", 0));
    table_cellf(t, TEXT_PLAIN, "%" PRIu64, text_u64(d, "reported", 0));
    table_cell(t, TEXT_PLAIN, age);
    table_cell(t, TEXT_PLAIN, text_of(d, "rule"));
    table_cell(t, TEXT_PLAIN, text_of(d, "route"));
    table_cell(t, *line ? TEXT_GREEN : TEXT_DIM, *line ? line : "cannot be allowed");
    example(d, text, sizeof(text));
    table_cell(t, TEXT_PLAIN, text);
}

static int print_list(const struct ctl *c, const json_t *reply)
{
    static const struct table_column columns[] = {{.name = "REFUSED", .right = true},
        {.name = "REPORTED", .right = true}, {.name = "LAST", .right = true}, {.name = "RULE"},
        {.name = "ROUTE"}, {.name = "ALLOWED BY"}, {.name = "EXAMPLE", .truncate = true}};
    const struct table_style style = {.plain = c->plain, .no_heading = c->no_heading, .colour = c->colour};
    const json_t *list = json_object_get(reply, "denials");
    _cleanup_(table_freep) struct table *t = table_new(columns, ARRAY_SIZE(columns), &style);
    uint64_t now = 0, groups = text_u64(reply, "groups", 0), lost = text_u64(reply, "forgotten", 0);
    char since[64];

    if (!t)
        return CTL_FAILED;
    (void)text_time(reply, "now", &now); /* the daemon's clock, as the times in the rows */
    text_safe(since, sizeof(since), text_of(reply, "since"));
    if (groups == 0)
        (void)printf("nothing was refused since %s\n", since);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_row(t, json_array_get(list, i), now);
    if (table_print(t, stdout) < 0)
        return CTL_FAILED;
    if (!c->plain && groups > json_array_size(list))
        (void)printf("%" PRIu64 " more groups: --lines %d\n", groups - json_array_size(list), LINES_MAX);
    if (!c->plain && lost > 0)
        (void)printf("%" PRIu64 " groups of long ago were forgotten\n", lost);
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *request = ctl_request("denials", args[0]), *reply = NULL;
    uint64_t lines = 50;
    int r;

    (void)n;
    if (arg_lines && str_parse_u64(arg_lines, LINES_MAX, &lines) < 0)
        return ctl_fail(
            c, CTL_USAGE, "usage", NULL, "--lines: a number up to %d, not '%s'", LINES_MAX, arg_lines);
    if (!request || json_object_set_new(request, "lines", json_integer((json_int_t)lines)) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    r = ctl_call(c, TAKE_PTR(request), CTL_TIMEOUT_US, &reply);
    if (r != CTL_OK)
        return r;
    return c->json ? ctl_print_json(reply, false) : print_list(c, reply);
}

static const struct ctl_option options[] = {
    {.name = "lines",
        .arg = "N",
        .help = "so many groups, the most frequent first (default 50)",
        .value = &arg_lines},
};

const struct ctl_command verb_denials = {
    .name = "denials",
    .args = "TENANT",
    .summary = "what the tenant was refused, and which line of its configuration would allow it",
    .details = "One line per rule and route since clawsupd knows the tenant: how often it was refused, how "
               "often only\n"
               "reported (proxy.filter = \"report\"), when last, the line that would allow it, and the "
               "latest example.\n"
               "\"cannot be allowed\": what is malformed, another tenant's, or not for any tenant.",
    .examples = "  clawsup denials acme\n"
                "  clawsup denials acme --json | jq -r '.denials[] | select(.allowed_by) | .allowed_by'\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
