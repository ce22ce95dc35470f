/* verb_action.c: the verbs that change something: restart, redeploy, pause, resume, release, reload. Each is
 * one request; the daemon decides and says what became of it. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/progress.h"
#include "ctl/text.h"

/* A redeploy waits for the old gateway to stop and for the new one to be verified. */
#define ACTION_TIMEOUT_US (20 * USEC_PER_MINUTE)
#define PAUSE_MAX_US (24 * USEC_PER_HOUR)

static const char *arg_for;
static bool arg_dry_run;

/* Prints what the daemon says about a request that was granted. */
static int granted(const struct ctl *c, const json_t *reply)
{
    static const char *const lists[] = {"added", "changed", "removed"};
    char text[1024];

    if (c->json)
        return ctl_print_json(reply, false);
    text_safe(text, sizeof(text), *text_of(reply, "text") ? text_of(reply, "text") : "done");
    (void)printf("%s\n", text);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const json_t *list = json_object_get(reply, lists[i]);

        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *s = json_string_value(json_array_get(list, k));

            text_safe(text, sizeof(text), s ? s : "");
            (void)printf("  %-8s %s\n", lists[i], text);
        }
    }
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

static int send_request(struct ctl *c, json_t *request)
{
    _cleanup_json_ json_t *reply = NULL;
    int r = progress_call(c, request, ACTION_TIMEOUT_US, &reply);

    return r != CTL_OK ? r : granted(c, reply);
}

static int run_simple(struct ctl *c, char **args, int n)
{
    return send_request(c, ctl_request(c->command->name, n > 0 ? args[0] : NULL));
}

static int run_action(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *request = ctl_request(c->command->name, args[0]);

    if (!request || (n > 1 && json_object_set_new(request, "component", json_string(args[1])) < 0))
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    return send_request(c, TAKE_PTR(request));
}

/* What a redeploy would do. Exit status 1 when something stands in its way. */
static int print_plan(const json_t *reply)
{
    static const struct {
        const char *key, *title, *none;
    } lists[] = {{"steps", "steps:", NULL}, {"differences", "different from what is there:", "nothing"},
        {"blocked", "in the way:", "nothing"}};
    char text[1024];

    text_safe(text, sizeof(text), text_of(reply, "text"));
    (void)printf("%s\n", text);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const json_t *list = json_object_get(reply, lists[i].key);

        (void)printf("%s%s%s\n", lists[i].title, json_array_size(list) || !lists[i].none ? "" : " ",
            json_array_size(list) || !lists[i].none ? "" : lists[i].none);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *s = json_string_value(json_array_get(list, k));

            text_safe(text, sizeof(text), s ? s : "");
            if (i == 0)
                (void)printf("  %2zu. %s\n", k + 1, text);
            else
                (void)printf("  %s\n", text);
        }
    }
    if (fflush(stdout) != 0)
        return CTL_FAILED;
    return json_array_size(json_object_get(reply, "blocked")) ? CTL_FAILED : CTL_OK;
}

static int run_redeploy(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *request = NULL, *reply = NULL;
    int r;

    if (!arg_dry_run)
        return run_action(c, args, n);
    request = ctl_request(c->command->name, args[0]);
    if (!request || json_object_set_new(request, "dry_run", json_true()) < 0 ||
        (n > 1 && json_object_set_new(request, "component", json_string(args[1])) < 0))
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    r = ctl_call(c, TAKE_PTR(request), ACTION_TIMEOUT_US, &reply);
    if (r != CTL_OK)
        return r;
    if (!c->json)
        return print_plan(reply);
    r = ctl_print_json(reply, false);
    return r == CTL_OK && json_array_size(json_object_get(reply, "blocked")) ? CTL_FAILED : r;
}

static const struct ctl_option redeploy_options[] = {
    {.name = "dry-run",
        .help = "only say what would be done, what would be different and what stands in the way",
        .flag = &arg_dry_run},
};

static int run_pause(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *request = ctl_request("pause", args[0]);
    uint64_t us = 0;

    (void)n;
    if (arg_for && (str_parse_duration(arg_for, &us) < 0 || us < USEC_PER_SEC || us > PAUSE_MAX_US))
        return ctl_fail(c, CTL_USAGE, "usage", "90s, 30m, 2h; a pause always ends, after 24h at most",
            "--for: '%s' is no time from 1s to 24h", arg_for);
    if (!request || (arg_for && json_object_set_new(request, "for_us", json_integer((json_int_t)us)) < 0))
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    return send_request(c, TAKE_PTR(request));
}

static const struct ctl_option pause_options[] = {
    {.name = "for",
        .arg = "TIME",
        .help = "how long: 90s, 30m, 2h; default 1h, at most 24h",
        .value = &arg_for},
};

const struct ctl_command verb_restart = {
    .name = "restart",
    .args = "TENANT [COMPONENT]",
    .summary = "restart a component now (default: the gateway)",
    .details =
        "COMPONENT is proxy, gateway, or one of the tenant's components. Waits for its end; Ctrl-C ends the\n"
        "waiting, not the restart. A proxy is replaced on the same sockets: its clients wait and are not\n"
        "refused.",
    .examples = "  clawsup restart acme\n"
                "  clawsup restart acme proxy\n",
    .min_args = 1,
    .max_args = 2,
    .run = run_action,
};

const struct ctl_command verb_redeploy = {
    .name = "redeploy",
    .args = "TENANT [COMPONENT]",
    .summary = "replace the gateway by a new container from its specification",
    .details =
        "The old container is kept until the new one is verified; if that fails, the old one runs "
        "again. Data,\n"
        "volumes and the workspace are never removed. COMPONENT: another managed one than the gateway.\n"
        "With --dry-run the exit status is 1 when something stands in its way.",
    .examples = "  clawsup redeploy acme --dry-run\n"
                "  clawsup redeploy acme\n",
    .options = redeploy_options,
    .n_options = ARRAY_SIZE(redeploy_options),
    .min_args = 1,
    .max_args = 2,
    .run = run_redeploy,
};

const struct ctl_command verb_pause = {
    .name = "pause",
    .args = "TENANT",
    .summary = "do not act on a tenant for a while",
    .details = "It is still observed. A pause always ends by itself, and ends at once with 'clawsup resume'.",
    .examples = "  clawsup pause acme --for 30m\n",
    .options = pause_options,
    .n_options = ARRAY_SIZE(pause_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_pause,
};

const struct ctl_command verb_resume = {
    .name = "resume",
    .args = "TENANT",
    .summary = "end a pause, or a hold after somebody stopped a component",
    .details = "clawsupd acts on the tenant again at once.",
    .examples = "  clawsup resume acme\n",
    .min_args = 1,
    .max_args = 1,
    .run = run_simple,
};

const struct ctl_command verb_release = {
    .name = "release",
    .args = "TENANT",
    .summary = "let a quarantined tenant be recovered again",
    .details =
        "It starts at the bottom of the recovery ladder. The sliding budgets of restarts are kept: find the\n"
        "cause first, 'clawsup status TENANT' helps.",
    .examples = "  clawsup release acme\n",
    .min_args = 1,
    .max_args = 1,
    .run = run_simple,
};

const struct ctl_command verb_reload = {
    .name = "reload",
    .args = "",
    .summary = "read the configuration again",
    .details = "Tenants that did not change are not touched. If a file has an error, nothing changes, each "
               "finding is\n"
               "printed and the exit status is 1.",
    .examples = "  clawsup check-config && clawsup reload\n",
    .run = run_simple,
};
