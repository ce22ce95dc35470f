/* verb_diff.c: `clawsup diff`: what a reload would change, and where what runs is not what was loaded. */
#include "ctl/verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "ctl/text.h"

#define TIMEOUT_US (60 * USEC_PER_SEC)

static void line(const struct ctl *c, enum text_colour colour, const char *before, const char *fmt, ...)
    _printf_(4, 5);
static void line(const struct ctl *c, enum text_colour colour, const char *before, const char *fmt, ...)
{
    char text[1024], safe[1024];
    const char *sgr = c->colour ? text_sgr(colour) : "";
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    text_safe(safe, sizeof(safe), text);
    (void)printf("%s%s%s%s\n", sgr, before, safe, *sgr ? TEXT_RESET : "");
}

static void print_keys(const struct ctl *c, const json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);

        if (!json_is_string(json_object_get(k, "before"))) {
            line(c, TEXT_YELLOW, "    ~ ", "%s", text_of(k, "key"));
            continue;
        }
        line(c, TEXT_RED, "    - ", "%s = %s", text_of(k, "key"), text_of(k, "before"));
        line(c, TEXT_GREEN, "    + ", "%s = %s", text_of(k, "key"), text_of(k, "after"));
    }
}

static void print_change(const struct ctl *c, const json_t *change)
{
    static const struct {
        const char *word, *sign;
        enum text_colour colour;
    } rows[] = {{"added", "+ ", TEXT_GREEN}, {"removed", "- ", TEXT_RED}, {"changed", "~ ", TEXT_YELLOW}};
    const json_t *effects = json_object_get(change, "effects");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].word, text_of(change, "change")) == 0)
            line(c, rows[i].colour, rows[i].sign, "%s (%s)", text_of(change, "tenant"), rows[i].word);
    for (size_t i = 0; i < json_array_size(effects); i++)
        line(c, TEXT_PLAIN, "    ", "%s: %s", text_of(json_array_get(effects, i), "part"),
            text_of(json_array_get(effects, i), "effect"));
    print_keys(c, json_object_get(change, "keys"));
}

static bool print_all(const struct ctl *c, const json_t *reply)
{
    const json_t *findings = json_object_get(reply, "findings"), *changes = json_object_get(reply, "changes");
    const json_t *drift = json_object_get(reply, "drift");
    bool any = json_array_size(findings) + json_array_size(changes) + json_array_size(drift) > 0 ||
               *text_of(reply, "restart");

    for (size_t i = 0; i < json_array_size(findings); i++)
        line(c, TEXT_RED, i == 0 ? "The files are not valid; a reload would change nothing:\n  " : "  ", "%s",
            json_string_value(json_array_get(findings, i)));
    if (*text_of(reply, "restart"))
        line(c, TEXT_RED, "", "A reload would be refused: %s", text_of(reply, "restart"));
    if (json_array_size(changes) > 0)
        (void)printf("A reload would change:\n");
    for (size_t i = 0; i < json_array_size(changes); i++)
        print_change(c, json_array_get(changes, i));
    if (json_array_size(drift) > 0)
        (void)printf("%sWhat runs is not what was loaded:\n", json_array_size(changes) > 0 ? "\n" : "");
    for (size_t i = 0; i < json_array_size(drift); i++) {
        const json_t *d = json_array_get(drift, i);

        line(c, TEXT_YELLOW, "  ", "%s/%s: %s", text_of(d, "tenant"), text_of(d, "component"),
            text_of(d, "text"));
    }
    if (!any)
        (void)printf("no difference\n");
    return any;
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *reply = NULL;
    int r = ctl_call(c, ctl_request("diff", NULL), TIMEOUT_US, &reply);
    bool any;

    (void)args;
    (void)n;
    if (r != CTL_OK)
        return r;
    if (!c->json)
        any = print_all(c, reply);
    else
        any = json_array_size(json_object_get(reply, "findings")) +
                      json_array_size(json_object_get(reply, "changes")) +
                      json_array_size(json_object_get(reply, "drift")) >
                  0 ||
              *text_of(reply, "restart");
    if (c->json && ctl_print_json(reply, false) != CTL_OK)
        return CTL_FAILED;
    return fflush(stdout) != 0 || any ? CTL_FAILED : CTL_OK;
}

const struct ctl_command verb_diff = {
    .name = "diff",
    .args = "",
    .summary = "the configuration on disk against what runs",
    .details =
        "What 'clawsup reload' would change, key by key, and what that would do to each tenant; then where "
        "a\n"
        "container is not what the loaded configuration says. What may hold a secret is named, not shown.\n"
        "Exit status: 0 no difference, 1 some, 3 clawsupd does not answer, 64 usage.",
    .examples = "  clawsup diff\n"
                "  clawsup diff --json | jq -r '.changes[] | select(.change == \"changed\").tenant'\n",
    .run = run,
};
