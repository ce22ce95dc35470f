/* verb_import.c: `clawsup import-compose`: Compose projects as tenants' files. What a service becomes is in
 * compose*.c. Needs no daemon and no engine. */
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/compose.h"
#include "ctl/options.h"
#include "ctl/tenant_text.h"
#include "ctl/text.h"

static const char *arg_output, *arg_env_file, *arg_tenant, *arg_data_root;
static bool arg_force;

/* "FILE:LINE: KEY: TEXT" */
static void note_line(const json_t *note, char *out, size_t n)
{
    uint64_t line = text_u64(note, "line", 0);
    const char *key = text_of(note, "key");
    char at[32] = "", safe[1024], text[1024];

    if (line > 0)
        (void)snprintf(at, sizeof(at), ":%llu", (unsigned long long)line);
    (void)snprintf(text, sizeof(text), "%s%s: %s%s%s", text_of(note, "file"), at, key, *key ? ": " : "",
        text_of(note, "text"));
    text_safe(safe, sizeof(safe), text);
    (void)snprintf(out, n, "%s", safe);
}

static json_t *note_lines(const json_t *notes)
{
    json_t *lines = json_array();

    for (size_t i = 0; i < json_array_size(notes); i++) {
        char text[1024];

        note_line(json_array_get(notes, i), text, sizeof(text));
        if (json_array_append_new(lines, json_string(text)) < 0) {
            json_decref(lines);
            return NULL;
        }
    }
    return lines;
}

/* Adds what check-config finds to the notes: the values of the Compose file may be none of clawsup's. */
static int check(json_t *one, const char *file, const char *text)
{
    struct config_findings f = {0};
    json_t *notes = json_object_get(one, "notes");
    int r = tenant_text_check(text, text_of(one, "slug"), &f), code = 0;

    for (size_t i = 0; i < f.n; i++) {
        const char *s = strstr(f.items[i], ".conf:");

        s = s ? strstr(s, ": ") : NULL;
        if (json_array_append_new(notes, json_pack("{s:s, s:i, s:s, s:s}", "file", file, "line", 0, "key",
                                             "check-config", "text", s ? s + 2 : f.items[i])) < 0)
            code = -ENOMEM;
    }
    config_findings_free(&f);
    return code < 0 ? code : r == -EINVAL ? 0 : r;
}

static int render(json_t *one, const char *file, char **ret, struct err *e)
{
    _cleanup_json_ json_t *lines = NULL;
    char head[512];
    struct tenant_text how = {.head = head};
    _cleanup_free_ char *text = NULL;
    int r;

    (void)snprintf(head, sizeof(head),
        "Tenant %s, from %.200s by `clawsup import-compose`.\nAll keys: clawsup.conf(5).\n",
        text_of(one, "slug"), file);
    for (char *p = head; *p; p++)
        if ((unsigned char)*p < 0x20 && *p != '\n')
            *p = '?';
    r = tenant_text(json_object_get(one, "tenant"), &how, &text, e);
    if (r >= 0)
        r = check(one, file, text);
    if (r < 0)
        return e->msg[0] ? r : err_set(e, r, "%s", strerrordesc_np(-r));
    lines = note_lines(json_object_get(one, "notes"));
    how.notes = lines;
    return lines ? tenant_text(json_object_get(one, "tenant"), &how, ret, e)
                 : err_set(e, -ENOMEM, "out of memory");
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Writes one tenant's file, or prints it. *ret_path NULL: printed. */
static int deliver(const struct ctl *c, const json_t *one, const char *text, char **ret_path, struct err *e)
{
    _cleanup_free_ char *path = NULL;
    int r;

    if (!arg_output || strcmp(arg_output, "-") == 0) {
        if (!c->json)
            (void)fputs(text ? text : "", stdout);
        return 0;
    }
    if ((is_directory(arg_output) ? asprintf(&path, "%s/%s.conf", arg_output, text_of(one, "slug"))
                                  : asprintf(&path, "%s", arg_output)) < 0) {
        path = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    r = tenant_text_write(path, text, arg_force, e);
    if (r >= 0)
        *ret_path = TAKE_PTR(path);
    return r;
}

static void tell(const struct ctl *c, const json_t *one, const char *path)
{
    const json_t *notes = json_object_get(one, "notes");
    size_t n = json_array_size(notes);

    if (c->json)
        return;
    if (path)
        (void)printf("%s: %zu thing%s to look at\n", path, n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++) {
        char text[1024];

        note_line(json_array_get(notes, i), text, sizeof(text));
        (void)fprintf(path ? stdout : stderr, "%s%s\n", path ? "  " : "", text);
    }
}

/* One Compose file; what became of each of its tenants goes into `result`. */
static int import(struct ctl *c, const char *file, json_t *result)
{
    const struct compose_options o = {
        .file = file, .env_file = arg_env_file, .tenant = arg_tenant, .data_root = arg_data_root};
    _cleanup_json_ json_t *list = NULL;
    struct err e = {.msg = ""};
    int r = compose_import(&o, &list, &e);

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        _cleanup_free_ char *text = NULL, *path = NULL;

        r = render(one, file, &text, &e);
        if (r >= 0 && text)
            r = deliver(c, one, text, &path, &e);
        if (r < 0)
            break;
        tell(c, one, path);
        if (json_array_append_new(result,
                json_pack("{s:O, s:s, s:s*, s:s, s:O}", "slug", json_object_get(one, "slug"), "from", file,
                    "written", path, "config", text, "notes", json_object_get(one, "notes"))) < 0)
            r = err_set(&e, -ENOMEM, "out of memory");
    }
    if (r >= 0)
        return CTL_OK;
    return ctl_fail(c, CTL_FAILED, "refused", r == -EEXIST ? "--force replaces it" : NULL, "%s", e.msg);
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *result = json_array(), *j = NULL;
    int code = CTL_OK;

    if (arg_tenant && !str_is_slug(arg_tenant))
        return ctl_fail(c, CTL_USAGE, "usage", "1 to 32 of a-z, 0-9 and single dashes inside",
            "--tenant: '%s' is no name of a tenant", arg_tenant);
    if (n > 1 && arg_tenant)
        return ctl_fail(c, CTL_USAGE, "usage", "one FILE at a time", "--tenant names one tenant");
    if (n > 1 && arg_output && strcmp(arg_output, "-") != 0 && !is_directory(arg_output))
        return ctl_fail(c, CTL_USAGE, "usage", "a directory gets one file per tenant",
            "--output: %s is no directory", arg_output);
    for (int i = 0; i < n && code == CTL_OK; i++)
        code = import(c, args[i], result);
    if (!c->json || code != CTL_OK)
        return code;
    j = json_pack("{s:i, s:b, s:O}", "v", 1, "ok", 1, "tenants", result);
    return j ? ctl_print_json(j, false) : CTL_FAILED;
}

static const struct ctl_option options[] = {
    {.name = "output",
        .arg = "PATH",
        .help = "file to write, or a directory such as tenants.d; default standard output",
        .value = &arg_output},
    {.name = "force", .help = "replace a file that is there", .flag = &arg_force},
    {.name = "tenant",
        .arg = "TENANT",
        .help = "name of the tenant; default from the file",
        .value = &arg_tenant},
    {.name = "data-root",
        .arg = "DIR",
        .help = "the tenant's directory; default from the binds",
        .value = &arg_data_root},
    {.name = "env-file",
        .arg = "FILE",
        .help = "variables of the Compose file; default .env beside it",
        .value = &arg_env_file},
};

const struct ctl_command verb_import_compose = {
    .name = "import-compose",
    .args = "FILE...",
    .summary = "tenants' files from Compose files with a socket proxy",
    .details =
        "Reads Compose files with a gateway and its socket-proxy sidecar and writes what clawsup needs of\n"
        "them, one file per gateway. What could not be translated is named with file and line, on standard\n"
        "error and at the head of the result; a permission that was wider than clawsup's is never taken\n"
        "over. Variables come from the environment, then from the env file. Nothing is started or stopped.",
    .examples = "  clawsup import-compose docker-compose.yml\n"
                "  clawsup import-compose /srv/*/docker-compose.yml --output /etc/clawsup/tenants.d\n"
                "  clawsup check-config && clawsup deploy acme\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .min_args = 1,
    .max_args = OPTIONS_ARGS_MAX,
    .run = run,
};
