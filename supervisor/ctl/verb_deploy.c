/* verb_deploy.c: `clawsup deploy`: a tenant's file put in place, loaded, and the tenant waited for until it
 * is healthy. The daemon does the work; this watches it. */
#include "ctl/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "config/config.h"
#include "ctl/locate.h"
#include "ctl/progress.h"
#include "ctl/status_view.h"
#include "ctl/tenant_text.h"

#define TIMEOUT_US (10 * USEC_PER_MINUTE)
#define RELOAD_TIMEOUT_US (2 * USEC_PER_MINUTE)
#define POLL_MS 500
#define FILE_MAX ((size_t)1024 * 1024)

static const char *arg_timeout;

/* ---------------------------------------------------------------- the file */

/* Takes FILE into tenants_dir; what was there before is put back when the whole is not valid any more. */
static int install(const struct ctl *c, const char *slug, const char *file)
{
    _cleanup_free_ char *dir = locate_tenants_dir(c->config_file), *path = NULL, *text = NULL, *before = NULL;
    _cleanup_(config_freep) struct config *cfg = NULL;
    struct config_findings f = {0};
    struct err e = {.msg = ""};
    int r;

    if (!dir || asprintf(&path, "%s/%s.conf", dir, slug) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    r = fd_read_file(file, FILE_MAX, &text, NULL);
    if (r < 0)
        return ctl_fail(c, CTL_FAILED, "refused", NULL, "%s: %s", file, strerrordesc_np(-r));
    (void)fd_read_file(path, FILE_MAX, &before, NULL);
    r = tenant_text_write(path, text, true, &e);
    if (r < 0)
        return ctl_fail(c, CTL_FAILED, "refused", NULL, "%s", e.msg);
    r = config_load(c->config_file, &cfg, &f);
    if (r >= 0 && config_find(cfg, slug)) {
        config_findings_free(&f);
        return CTL_OK;
    }
    if (before)
        (void)tenant_text_write(path, before, true, &e);
    else
        (void)unlink(path);
    r = r < 0 ? ctl_fail(c, CTL_FAILED, "refused",
                    "nothing was changed; clawsup check-config explains findings", "%s",
                    f.n > 0 ? f.items[0] : strerrordesc_np(-r))
              : ctl_fail(
                    c, CTL_FAILED, "refused", "nothing was changed", "%s defines no tenant %s", file, slug);
    config_findings_free(&f);
    return r;
}

/* ---------------------------------------------------------------- waiting */

struct wait {
    const struct ctl *c;
    const char *slug;
    struct progress progress;
    uint64_t seen;  /* sequence number of the last event that was told */
    json_t *events; /* those since the reload */
    bool image_missing;
};

/* Events since the reload, told as they come. */
static void take_events(struct wait *w, const json_t *tenant)
{
    const json_t *list = json_object_get(tenant, "events");

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *ev = json_array_get(list, i);
        uint64_t seq = text_u64(ev, "seq", 0);
        char text[512];

        if (seq <= w->seen)
            continue;
        w->seen = seq;
        if (strcasestr(text_of(ev, "text"), "no such image"))
            w->image_missing = true;
        (void)json_array_append(w->events, ev);
        if (w->c->json)
            continue;
        progress_clear(&w->progress);
        text_safe(text, sizeof(text), text_of(ev, "text"));
        (void)printf("  %-8.8s  %s\n", *text_of(ev, "component") ? text_of(ev, "component") : "tenant", text);
        (void)fflush(stdout);
    }
}

static bool gateway_missing(const json_t *tenant)
{
    const json_t *list = json_object_get(tenant, "components"), *k = NULL;

    for (size_t i = 0; !k && i < json_array_size(list); i++)
        if (strcmp(text_of(json_array_get(list, i), "name"), "gateway") == 0)
            k = json_object_get(json_array_get(list, i), "container");
    return !*text_of(k, "id") || strcmp(text_of(k, "state"), "running") != 0;
}

static int finish(
    struct wait *w, const json_t *tenant, int code, const char *hint, const char *fmt, const char *why)
{
    char took[32];

    progress_clear(&w->progress);
    str_format_duration(took, sizeof(took), progress_elapsed(&w->progress));
    if (w->c->json) {
        _cleanup_json_ json_t *j = json_pack("{s:i, s:b, s:s, s:s, s:I, s:O}", "v", 1, "ok", code == CTL_OK,
            "tenant", w->slug, "state", *text_of(tenant, "state") ? text_of(tenant, "state") : "unknown",
            "took_us", (json_int_t)progress_elapsed(&w->progress), "events", w->events);

        return j && ctl_print_json(j, false) == CTL_OK ? code : CTL_FAILED;
    }
    if (code != CTL_OK)
        return ctl_fail(w->c, code, "refused", hint, "%s: %s%s", w->slug, fmt, why);
    (void)printf("%s: healthy after %s\n", w->slug, took);
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

/* 0: still on its way; else *ret_code is the end. */
static bool is_over(struct wait *w, const json_t *tenant, uint64_t timeout_us, int *ret_code)
{
    const char *state = text_of(tenant, "state");
    char hint[96];

    (void)snprintf(hint, sizeof(hint), "clawsup status %s says what is wrong and what you can do", w->slug);
    if (strcmp(state, "healthy") == 0)
        *ret_code = finish(w, tenant, CTL_OK, NULL, "", "");
    else if (strcmp(state, "quarantined") == 0)
        *ret_code = finish(w, tenant, CTL_QUARANTINED, hint, "it is in quarantine", "");
    else if (strcmp(state, "paused") == 0 || strcmp(state, "held") == 0)
        *ret_code = finish(w, tenant, CTL_FAILED, "clawsup resume ends that", "loaded, but it is ", state);
    else if (w->image_missing && gateway_missing(tenant))
        *ret_code = finish(w, tenant, CTL_FAILED,
            "clawsup never pulls: docker pull or docker build it, then deploy again",
            "the engine does not have its image", "");
    else if (progress_elapsed(&w->progress) >= timeout_us)
        *ret_code = finish(w, tenant, CTL_FAILED, hint, "not healthy in time, still ", state);
    else
        return false;
    return true;
}

static int wait_healthy(struct wait *w, uint64_t timeout_us)
{
    for (;;) {
        _cleanup_json_ json_t *request = ctl_request("status", w->slug), *reply = NULL;
        struct err e = {.msg = ""};
        const json_t *tenant;
        char states[160];
        int code, r = ctl_ask(w->c, request, CTL_TIMEOUT_US, &reply, &e);

        if (r < 0 || !json_is_true(json_object_get(reply, "ok"))) {
            progress_clear(&w->progress);
            return r < 0 ? ctl_unreachable(w->c, r, &e) : ctl_refused(w->c, request, reply);
        }
        tenant = json_array_get(json_object_get(reply, "tenants"), 0);
        take_events(w, tenant);
        if (is_over(w, tenant, timeout_us, &code))
            return code;
        progress_states(tenant, states, sizeof(states));
        progress_say(&w->progress, "%s: %s", w->slug, states);
        (void)poll(NULL, 0, POLL_MS);
    }
}

/* The newest event's number, so that only later ones are told. */
static uint64_t last_event(const struct ctl *c)
{
    _cleanup_json_ json_t *request = ctl_request("events", NULL), *reply = NULL;
    const json_t *list;

    if (!request || json_object_set_new(request, "lines", json_integer(1)) < 0 ||
        ctl_ask(c, request, CTL_TIMEOUT_US, &reply, NULL) < 0)
        return 0;
    list = json_object_get(reply, "events");
    return text_u64(json_array_get(list, json_array_size(list) - 1), "seq", 0);
}

static int run(struct ctl *c, char **args, int n)
{
    struct wait w = {.c = c, .slug = args[0]};
    _cleanup_json_ json_t *reply = NULL, *events = json_array();
    uint64_t timeout_us = TIMEOUT_US;
    int r;

    if (arg_timeout && str_parse_duration(arg_timeout, &timeout_us) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", "90s, 10m", "--timeout: '%s' is no time", arg_timeout);
    if (!str_is_slug(args[0]))
        return ctl_fail(c, CTL_USAGE, "usage", "1 to 32 of a-z, 0-9 and single dashes inside",
            "'%s' is no name of a tenant", args[0]);
    if (!events)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    w.events = events;
    w.seen = last_event(c);
    if (n > 1 && (r = install(c, args[0], args[1])) != CTL_OK)
        return r;
    progress_begin(&w.progress, c);
    r = ctl_call(c, ctl_request("reload", NULL), RELOAD_TIMEOUT_US, &reply);
    return r != CTL_OK ? r : wait_healthy(&w, timeout_us);
}

static const struct ctl_option options[] = {
    {.name = "timeout",
        .arg = "TIME",
        .help = "how long to wait: 90s, 10m (the default)",
        .value = &arg_timeout},
};

const struct ctl_command verb_deploy = {
    .name = "deploy",
    .args = "TENANT [FILE]",
    .summary = "load a tenant's file and wait until the tenant is healthy",
    .details =
        "With FILE that becomes the tenant's file in tenants.d; if the configuration were not valid with "
        "it,\n"
        "what was there before stays. Then the configuration is loaded, as by 'clawsup reload', and what\n"
        "happens to the tenant is told until it is healthy. Ctrl-C ends the waiting, not the deployment.\n"
        "Exit status: 0 healthy, 1 not, 2 in quarantine, 3 clawsupd does not answer, 64 usage.",
    .examples = "  clawsup init acme && clawsup deploy acme\n"
                "  clawsup deploy acme ./acme.conf --timeout 3m\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
