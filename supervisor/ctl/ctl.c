/* ctl.c: see ctl.h. Must not know any verb. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/client.h"
#include "ctl/locate.h"
#include "ctl/text.h"

/* So many letters of a name are enough to guess it. */
#define PREFIX_MIN 3

int ctl_print_json(const json_t *j, bool one_line)
{
    /* Nothing on standard output is worse than an exit code that says so. */
    if (json_dumpf(j, stdout, one_line ? JSON_COMPACT : JSON_INDENT(2)) < 0 || putchar('\n') == EOF ||
        fflush(stdout) != 0)
        return CTL_FAILED;
    return CTL_OK;
}

static void print_line(FILE *f, const char *before, const char *text)
{
    char safe[1024];

    text_safe(safe, sizeof(safe), text);
    (void)fprintf(f, "%s%s\n", before, safe);
}

int ctl_fail(const struct ctl *c, int exit_code, const char *code, const char *hint, const char *fmt, ...)
{
    char text[1024], prefix[64];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)snprintf(prefix, sizeof(prefix), "clawsup %s: ", c->command ? c->command->name : "");
    print_line(stderr, c->command ? prefix : "clawsup: ", text);
    if (hint)
        print_line(stderr, "  ", hint);
    if (c->json) {
        _cleanup_json_ json_t *j = json_pack(
            "{s:i, s:b, s:s, s:s, s:s*}", "v", 1, "ok", 0, "code", code, "error", text, "hint", hint);

        if (j)
            (void)ctl_print_json(j, false);
    }
    return exit_code;
}

json_t *ctl_request(const char *verb, const char *tenant)
{
    return json_pack("{s:i, s:s, s:s*}", "v", 1, "verb", verb, "tenant", tenant);
}

int ctl_closest(const char *s, const char *const *names, size_t n)
{
    unsigned best = 3;
    int at = -1;

    for (size_t i = 0; i < n; i++) {
        unsigned d = str_distance(s, names[i]);

        /* The beginning of a name is meant for it. A short word is close to everything: at most half of it
         * may differ. */
        if (strlen(s) >= PREFIX_MIN && str_startswith(names[i], s))
            d = 1;
        if (d < best && 2 * d <= strlen(names[i])) {
            best = d;
            at = (int)i;
        }
    }
    return at;
}

int ctl_unreachable(const struct ctl *c, int r, const struct err *e)
{
    const char *hint = "is it running? systemctl status clawsupd";

    if (r == -EACCES || r == -EPERM)
        hint = "be root, or in the group that control_group in clawsup.conf names";
    else if (r == -ETIMEDOUT)
        hint = "it accepts connections but does not answer: journalctl -u clawsupd";
    else if (r == -EBADMSG)
        hint = "is it of another version? clawsup version";
    return ctl_fail(c, CTL_UNREACHABLE, "unreachable", hint, "clawsupd at %s: %s", c->socket_path, e->msg);
}

/* A file that clawsupd has not read yet. */
static bool suggest_reload(const struct ctl *c, const char *slug, char *out, size_t n)
{
    _cleanup_free_ char *dir = NULL, *path = NULL;

    if (!slug || !str_is_slug(slug))
        return false;
    dir = locate_tenants_dir(c->config_file);
    if (!dir || asprintf(&path, "%s/%s.conf", dir, slug) < 0 || access(path, F_OK) < 0)
        return false;
    (void)snprintf(out, n, "%s is there, but not loaded: clawsup deploy %s", path, slug);
    return true;
}

/* "did you mean ..." from the names that the daemon knows: "tenants" for what the request has as "tenant", or
 * "components"; false when there is nothing to say. */
static bool suggest_name(const json_t *request, const json_t *reply, char *out, size_t n)
{
    bool component = json_object_get(reply, "components") != NULL;
    const json_t *known = json_object_get(reply, component ? "components" : "tenants");
    const char *wanted = json_string_value(json_object_get(request, component ? "component" : "tenant"));
    const char *names[256];
    size_t used = 0, n_names = 0;
    int at;

    for (size_t i = 0; i < json_array_size(known) && n_names < ARRAY_SIZE(names); i++) {
        const char *s = json_string_value(json_array_get(known, i));

        if (s)
            names[n_names++] = s;
    }
    if (n_names == 0)
        return false;
    at = wanted ? ctl_closest(wanted, names, n_names) : -1;
    if (at >= 0) {
        (void)snprintf(out, n, "did you mean '%s'?", names[at]);
        return true;
    }
    used = (size_t)snprintf(out, n, component ? "components:" : "tenants:");
    for (size_t i = 0; i < MIN(n_names, (size_t)12) && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, " %s", names[i]);
    if (n_names > 12 && used < n)
        (void)snprintf(out + used, n - used, " ...");
    return true;
}

int ctl_refused(const struct ctl *c, const json_t *request, const json_t *reply)
{
    const char *code = json_string_value(json_object_get(reply, "code"));
    const char *error = json_string_value(json_object_get(reply, "error"));
    const char *hint = json_string_value(json_object_get(reply, "hint"));
    const json_t *findings = json_object_get(reply, "findings");
    char text[1024], prefix[64];

    (void)snprintf(prefix, sizeof(prefix), "clawsup %s: ", c->command->name);
    print_line(stderr, prefix, error ? error : "refused");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const char *s = json_string_value(json_array_get(findings, i));

        print_line(stderr, "  ", s ? s : "");
    }
    if ((str_eq(code, "unknown-tenant") &&
            suggest_reload(c, json_string_value(json_object_get(request, "tenant")), text, sizeof(text))) ||
        suggest_name(request, reply, text, sizeof(text)))
        hint = text;
    if (hint)
        print_line(stderr, "  ", hint);
    if (c->json)
        (void)ctl_print_json(reply, false);
    return str_eq(code, "usage") || str_eq(code, "unknown-tenant") ? CTL_USAGE : CTL_FAILED;
}

int ctl_ask(
    const struct ctl *c, const json_t *request, uint64_t timeout_us, json_t **ret_reply, struct err *e)
{
    _cleanup_(client_freep) struct client *cl = NULL;
    int r;

    if (!request)
        return err_set(e, -ENOMEM, "out of memory");
    r = client_connect(c->socket_path, CTL_TIMEOUT_US, &cl, e);
    if (r >= 0)
        r = client_send(cl, request, CTL_TIMEOUT_US, e);
    /* A daemon that refuses a client says so and closes: its line may be there although sending failed. */
    if (cl && (r >= 0 || r == -EPIPE)) {
        int sent = r;

        r = client_receive(cl, timeout_us, ret_reply, e);
        if (r < 0 && sent < 0)
            r = sent;
    }
    return r;
}

int ctl_call(const struct ctl *c, json_t *request, uint64_t timeout_us, json_t **ret_reply)
{
    _cleanup_json_ json_t *owned = request, *reply = NULL;
    struct err e = {.msg = ""};
    int r;

    if (!owned)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    r = ctl_ask(c, owned, timeout_us, &reply, &e);
    if (r < 0)
        return ctl_unreachable(c, r, &e);
    if (!json_is_true(json_object_get(reply, "ok")))
        return ctl_refused(c, owned, reply);
    *ret_reply = TAKE_PTR(reply);
    return CTL_OK;
}

json_t *ctl_daemon_version(const struct ctl *c)
{
    _cleanup_json_ json_t *request = ctl_request("version", NULL), *reply = NULL;

    if (ctl_ask(c, request, CTL_TIMEOUT_US, &reply, NULL) < 0 || !json_is_true(json_object_get(reply, "ok")))
        return NULL;
    return TAKE_PTR(reply);
}
