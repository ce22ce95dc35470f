/* verb_explain.c: `clawsup explain`: would this request be allowed, by which rule, and what would the engine
 * be asked. Needs the configuration, not the daemon. */
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "config/config.h"
#include "config/config_remedy.h"
#include "ctl/explain.h"
#include "ctl/text.h"
#include "filter/route.h"

#define BODY_MAX ((size_t)1024 * 1024)

static const char *arg_body, *arg_api;

static int unknown_tenant(const struct ctl *c, const struct config *cfg, const char *slug)
{
    const char *names[64];
    char hint[160] = "clawsup check-config reads the tenants' files";
    size_t n = 0;
    int at;

    for (; n < cfg->n_tenants && n < ARRAY_SIZE(names); n++)
        names[n] = cfg->tenants[n]->slug;
    at = ctl_closest(slug, names, n);
    if (at >= 0)
        (void)snprintf(hint, sizeof(hint), "did you mean '%s'?", names[at]);
    return ctl_fail(c, CTL_USAGE, "unknown-tenant", hint, "%s names no tenant '%s'", c->config_file, slug);
}

/* The body: of --body, or of standard input when the route takes one and somebody pipes it in. */
static int read_body(const struct ctl *c, const struct policy *p, const char *request, unsigned minor,
    char **ret, size_t *ret_len)
{
    int r = 0;

    if (arg_body && strcmp(arg_body, "-") != 0)
        r = fd_read_file(arg_body, BODY_MAX, ret, ret_len);
    else if (arg_body || (!isatty(STDIN_FILENO) && explain_takes_body(p, request, minor)))
        r = fd_read_all(STDIN_FILENO, BODY_MAX, ret, ret_len);
    if (r < 0)
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "%s: %s", arg_body ? arg_body : "standard input",
            strerrordesc_np(-r));
    if (*ret_len == 0) {
        free(*ret);
        *ret = NULL; /* an empty body is no body */
    }
    return CTL_OK;
}

/* What in the configuration would change the verdict; NULL: nothing, or it is allowed. */
static const char *remedy(const struct explanation *x)
{
    return x->reported ? config_remedy(x->rule, 403) : x->allowed ? NULL : config_remedy(x->rule, x->status);
}

static int print_json(const struct explanation *x, const char *request)
{
    const char *line = remedy(x);
    _cleanup_json_ json_t *notes = json_array(), *body = x->body ? json_loads(x->body, 0, NULL) : NULL;
    _cleanup_json_ json_t *j = NULL;

    for (size_t i = 0; i < x->n_notes; i++)
        if (json_array_append_new(notes, json_string(x->notes[i])) < 0)
            return CTL_FAILED;
    j = json_pack("{s:i, s:b, s:b, s:s, s:s, s:s*, s:O*, s:O}", "v", 1, "ok", 1, "allowed", x->allowed,
        "request", request, "route", x->route, "engine_target", x->target, "engine_body", body, "notes",
        notes);
    if (j && x->reported)
        (void)json_object_set_new(j, "reported", json_true());
    if (j && !x->allowed)
        (void)json_object_set_new(j, "status", json_integer(x->status));
    if (j && (!x->allowed || x->reported)) {
        (void)json_object_set_new(j, "rule", json_string(x->rule));
        (void)json_object_set_new(j, "message", json_string(x->message));
        if (line)
            (void)json_object_set_new(j, "allowed_by", json_string(line));
    }
    return j ? ctl_print_json(j, false) : CTL_FAILED;
}

static void print_text(const struct ctl *c, const struct explanation *x)
{
    const char *sgr = c->colour ? text_sgr(x->allowed ? TEXT_GREEN : TEXT_RED) : "";
    _cleanup_json_ json_t *body = x->body ? json_loads(x->body, 0, NULL) : NULL;
    const char *allowed_by = remedy(x);
    char text[1024];

    (void)printf("%s%s%s", sgr, x->allowed ? "allowed" : "refused", *sgr ? TEXT_RESET : "");
    if (!x->allowed) {
        text_safe(text, sizeof(text), x->message);
        (void)printf(" with %d by rule %s\n  %s\n", x->status, x->rule, text);
        if (*x->route)
            (void)printf("  route %s\n", x->route);
        if (allowed_by)
            (void)printf("  allowed by %s\n", allowed_by);
        return;
    }
    (void)printf(" by route %s\n", x->route);
    if (x->reported)
        (void)printf(
            "Only because the filter reports (proxy.filter); by rule %s\n  %s\n", x->rule, x->message);
    if (x->target)
        (void)printf("The engine would be asked:\n  %s %s\n", x->method, x->target);
    if (body) {
        _cleanup_free_ char *pretty = json_dumps(body, JSON_INDENT(2));

        for (char *line = pretty, *nl; line && *line; line = nl ? nl + 1 : NULL) {
            nl = strchr(line, '\n');
            if (nl)
                *nl = '\0';
            text_safe(text, sizeof(text), line);
            (void)printf("  %s\n", text);
        }
    }
    for (size_t i = 0; i < x->n_notes; i++)
        (void)printf("%s  - %s\n", i == 0 ? "Depends on:\n" : "", x->notes[i]);
}

static int explain(const struct ctl *c, const struct policy *p, const char *request, unsigned minor)
{
    _cleanup_explanation_ struct explanation x = {0};
    _cleanup_free_ char *body = NULL;
    struct err e = {.msg = ""};
    size_t len = 0;
    int r = read_body(c, p, request, minor, &body, &len);

    if (r != CTL_OK)
        return r;
    r = explain_request(p, request, body, len, minor, &x, &e);
    if (r < 0)
        return ctl_fail(
            c, r == -EINVAL ? CTL_USAGE : CTL_FAILED, r == -EINVAL ? "usage" : "internal", NULL, "%s", e.msg);
    if (c->json) {
        r = print_json(&x, request);
    } else {
        print_text(c, &x);
        r = fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
    }
    return r != CTL_OK ? r : x.allowed ? CTL_OK : CTL_FAILED;
}

/* "1.41" -> 41. */
static bool parse_api(const char *s, unsigned *ret)
{
    uint64_t v;

    if (!str_startswith(s, "1.") || str_parse_u64(s + 2, ROUTE_ENGINE_MINOR_MAX, &v) < 0 ||
        v < ROUTE_ENGINE_MINOR_MIN)
        return false;
    *ret = (unsigned)v;
    return true;
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_(config_freep) struct config *cfg = NULL;
    const struct config_tenant *t;
    struct config_findings f = {0};
    unsigned minor = ROUTE_ENGINE_MINOR_MAX;
    int r = config_load(c->config_file, &cfg, &f);

    (void)n;
    if (r < 0)
        r = ctl_fail(c, CTL_FAILED, "refused", "clawsup check-config lists all findings", "%s",
            f.n > 0 ? f.items[0] : strerrordesc_np(-r));
    config_findings_free(&f);
    if (r != 0)
        return r;
    t = config_find(cfg, args[0]);
    if (!t)
        return unknown_tenant(c, cfg, args[0]);
    if (t->policy->api_version[0])
        (void)parse_api(t->policy->api_version, &minor);
    if (arg_api && !parse_api(arg_api, &minor))
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "--api: 1.%u to 1.%u, not '%s'", ROUTE_ENGINE_MINOR_MIN,
            ROUTE_ENGINE_MINOR_MAX, arg_api);
    return explain(c, t->policy, args[1], minor);
}

static const struct ctl_option options[] = {
    {.name = "body",
        .arg = "FILE",
        .help = "the request's JSON body; default standard input",
        .value = &arg_body},
    {.name = "api", .arg = "1.NN", .help = "API version of the engine", .value = &arg_api},
};

const struct ctl_command verb_explain = {
    .name = "explain",
    .args = "TENANT 'METHOD /path?query'",
    .summary = "would a request be allowed, by which rule, and what would the engine be asked",
    .details =
        "Runs the filter of the tenant's proxy on a request, with the configuration on disk and without the\n"
        "daemon or the engine. The body is read from standard input unless that is a terminal. What only "
        "the\n"
        "running proxy knows is listed as a dependency. Exit status: 0 allowed, 1 refused, 64 usage.",
    .examples = "  clawsup explain acme 'GET /containers/json?all=1'\n"
                "  clawsup explain acme 'POST /containers/create?name=openclaw-sbx-acme-1' < body.json\n"
                "  clawsup explain acme 'POST /build' --json | jq .rule\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
