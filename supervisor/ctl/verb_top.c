/* verb_top.c: `clawsup top`: what the tenants use, live. What is computed and how it looks is in top_view.h.
 */
#include "ctl/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/screen.h"
#include "ctl/top_view.h"

#define INTERVAL_US (2 * USEC_PER_SEC)

static const char *arg_interval, *arg_count, *arg_sort;

struct top {
    const struct ctl *c;
    uint64_t interval_us, count; /* count 0: without end */
    enum top_sort by;
    json_t *before; /* the last answer; owned */
};

/* The next sample: 0 and the rates since the last one; or the exit code, the reason in `e`. */
static int sample(struct top *t, json_t **ret, struct err *e)
{
    _cleanup_json_ json_t *request = ctl_request("status", NULL), *reply = NULL, *rates = NULL;
    int r = ctl_ask(t->c, request, CTL_TIMEOUT_US, &reply, e);

    if (r < 0)
        return CTL_UNREACHABLE;
    if (!json_is_true(json_object_get(reply, "ok"))) {
        (void)err_set(e, -1, "%s", text_of(reply, "error"));
        return CTL_FAILED;
    }
    rates = top_rates(t->before, reply);
    json_decref(t->before);
    t->before = TAKE_PTR(reply);
    if (!rates || top_arrange(rates, t->by) < 0) {
        (void)err_set(e, -1, "out of memory");
        return CTL_FAILED;
    }
    *ret = TAKE_PTR(rates);
    return CTL_OK;
}

static struct table_style style_of(const struct ctl *c)
{
    return (struct table_style){
        .plain = c->plain, .no_heading = c->no_heading, .colour = c->colour, .width = screen_width()};
}

/* ---------------------------------------------------------------- on a terminal */

static int draw(struct top *t, struct screen *s)
{
    const struct table_style style = style_of(t->c);
    _cleanup_json_ json_t *rates = NULL;
    _cleanup_free_ char *text = NULL;
    struct err e = {.msg = ""};
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    int r;

    if (!f)
        return CTL_FAILED;
    r = sample(t, &rates, &e);
    if (r == CTL_OK) {
        top_summary(rates, f);
        (void)fprintf(f, "by %s; keys: c cpu, m memory, d disk, r requests, f refused, n name, q end\n\n",
            top_sort_to_string(t->by));
        (void)top_print(rates, &style, f);
    } else {
        (void)fprintf(f, "clawsupd at %s: %s\n\nwaiting for it; q ends\n", t->c->socket_path, e.msg);
    }
    return fclose(f) != 0 || screen_draw(s, text) < 0 ? CTL_FAILED : r;
}

/* False: the key ends it. */
static bool take_key(struct top *t, int key)
{
    static const struct {
        char key;
        enum top_sort by;
    } rows[] = {{'c', TOP_SORT_CPU}, {'m', TOP_SORT_MEMORY}, {'d', TOP_SORT_DISK}, {'r', TOP_SORT_REQUESTS},
        {'f', TOP_SORT_REFUSALS}, {'n', TOP_SORT_NAME}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].key == key)
            t->by = rows[i].by;
    return key != 'q';
}

static int run_screen(struct top *t)
{
    _cleanup_(screen_freep) struct screen *s = NULL;

    if (screen_new(&s) < 0)
        return ctl_fail(t->c, CTL_FAILED, "internal", NULL, "out of memory");
    for (uint64_t i = 1;; i++) {
        int r = draw(t, s);

        /* The second sample comes soon: the first one has no rates. */
        if (r == CTL_FAILED || i == t->count ||
            !take_key(t, screen_wait(s, i == 1 ? 500 : (unsigned)(t->interval_us / USEC_PER_MSEC))))
            return r;
    }
}

/* ---------------------------------------------------------------- elsewhere */

static int run_stream(struct top *t)
{
    const struct table_style style = style_of(t->c);

    for (uint64_t i = 0;; i++) {
        _cleanup_json_ json_t *rates = NULL;
        struct err e = {.msg = ""};
        int r = sample(t, &rates, &e);

        if (r == CTL_UNREACHABLE)
            return ctl_unreachable(t->c, -ENOENT, &e);
        if (r != CTL_OK)
            return ctl_fail(t->c, r, "internal", NULL, "%s", e.msg);
        /* The first sample is what the second one is compared with. */
        if (i > 0 && t->c->json)
            r = ctl_print_json(rates, true);
        else if (i > 0 && (top_print(rates, &style, stdout) < 0 || fflush(stdout) != 0))
            r = CTL_FAILED;
        if (r != CTL_OK || (t->count > 0 && i == t->count))
            return r;
        (void)poll(NULL, 0, (int)(t->interval_us / USEC_PER_MSEC));
    }
}

static int run(struct ctl *c, char **args, int n)
{
    struct top t = {.c = c, .interval_us = INTERVAL_US};
    bool screen = isatty(STDOUT_FILENO) && !c->json && !c->plain;
    int r;

    (void)args;
    (void)n;
    if (arg_interval && (str_parse_duration(arg_interval, &t.interval_us) < 0 ||
                            t.interval_us < USEC_PER_SEC / 10 || t.interval_us > USEC_PER_HOUR))
        return ctl_fail(c, CTL_USAGE, "usage", "500ms, 2s, 1m",
            "--interval: '%s' is no time from 100ms to 1h", arg_interval);
    if (arg_count && (str_parse_u64(arg_count, 1000000, &t.count) < 0 || t.count == 0))
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "--count: a number from 1, not '%s'", arg_count);
    if (arg_sort && top_sort_from_string(arg_sort, &t.by) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", "cpu, memory, disk, requests, refusals, name",
            "--sort: no order '%s'", arg_sort);
    if (!screen && t.count == 0 && !c->json)
        t.count = 1;
    r = screen ? run_screen(&t) : run_stream(&t);
    json_decref(t.before);
    return r;
}

static const struct ctl_option options[] = {
    {.name = "interval", .arg = "TIME", .help = "between two looks; default 2s", .value = &arg_interval},
    {.name = "count", .arg = "N", .help = "so many looks, then end", .value = &arg_count},
    {.name = "sort",
        .arg = "ORDER",
        .help = "cpu (default), memory, disk, requests, refusals, name",
        .value = &arg_sort},
};

const struct ctl_command verb_top = {
    .name = "top",
    .args = "",
    .summary = "what the tenants use now: CPU, memory, disk, requests, refusals",
    .details =
        "Live on a terminal, the hungriest first; q ends, c m d r f n choose the order. Elsewhere one table "
        "of\n"
        "what happened within the interval, or so many as --count says; with --json one object per line,\n"
        "without end.",
    .examples = "  clawsup top\n"
                "  clawsup top --sort refusals --interval 10s --count 1 | head -n 5\n"
                "  clawsup top --json | jq -r '.tenants[] | select(.refusals_per_s > 1).slug'\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
