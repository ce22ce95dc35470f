/* exec.c: see exec.h. */
#include "filter/exec.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/fields.h"
#include "filter/process.h"

struct exec_ctx {
    const struct policy *policy;
    struct exec_model *m;
};

#define BOOL_READER(name)                                                                                    \
    static int read_##name(void *ctx, const json_t *v, const struct field_at *at)                            \
    {                                                                                                        \
        struct exec_ctx *c = ctx;                                                                            \
        (void)at;                                                                                            \
        c->m->name = json_is_true(v);                                                                        \
        return 0;                                                                                            \
    }
BOOL_READER(tty)
BOOL_READER(attach_stdin)
BOOL_READER(attach_stdout)
BOOL_READER(attach_stderr)

static int read_user(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_ctx *c = ctx;

    return process_user(c->policy, v, at, &c->m->user);
}

static int read_workdir(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_ctx *c = ctx;

    return process_workdir(v, at, &c->m->workdir);
}

static int read_env(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_ctx *c = ctx;

    return process_env(v, at, &c->m->env);
}

static int read_cmd(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_ctx *c = ctx;

    return process_argv(v, at, &c->m->cmd);
}

static int read_console(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_ctx *c = ctx;

    return process_console(v, at, &c->m->console_height, &c->m->console_width);
}

/* One key: a letter or digit, or "ctrl-" and one of the engine's control characters. */
static bool is_detach_key(const char *s, size_t n)
{
    if (n == 1)
        return (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
    return n == 6 && strncmp(s, "ctrl-", 5) == 0 &&
           ((s[5] >= 'a' && s[5] <= 'z') || (s[5] && strchr("@[\\]^_", s[5])));
}

static int read_detach_keys(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_ctx *c = ctx;
    const char *s, *p;
    int r = fields_text(v, 128, at, &s);

    if (r < 0)
        return r;
    for (p = s; *p;) {
        size_t n = strcspn(p, ",");

        if (!is_detach_key(p, n) || (p[n] == ',' && p[n + 1] == '\0'))
            return refusal_set(at->refusal, 400, at->rule, "DetachKeys is a list such as \"ctrl-p,ctrl-q\"");
        p += p[n] ? n + 1 : n;
    }
    return str_set(&c->m->detach_keys, s);
}

static const struct field exec_rows[] = {
    {"Container", FIELD_STRING, NULL}, /* Docker's Python library repeats the path's; no engine reads it */
    {"User", FIELD_STRING, read_user},
    {"Privileged", FIELD_ZERO, NULL},
    {"Tty", FIELD_BOOL, read_tty},
    {"ConsoleSize", FIELD_ARRAY, read_console},
    {"AttachStdin", FIELD_BOOL, read_attach_stdin},
    {"AttachStdout", FIELD_BOOL, read_attach_stdout},
    {"AttachStderr", FIELD_BOOL, read_attach_stderr},
    {"Detach", FIELD_BOOL, NULL}, /* decided at start */
    {"DetachKeys", FIELD_STRING, read_detach_keys},
    {"Env", FIELD_STRINGS, read_env},
    {"WorkingDir", FIELD_STRING, read_workdir},
    {"Cmd", FIELD_ANY, read_cmd},
};
static const struct field_table exec_table = {"exec", exec_rows, ARRAY_SIZE(exec_rows), NULL};

static struct exec_model *model_new(const struct policy *p)
{
    struct exec_model *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->user = strdup(p->users.n > 0 && !policy_list_has(&p->users, "") ? p->users.items[0] : "");
    m->workdir = strdup("");
    m->detach_keys = strdup("");
    m->env = json_array();
    if (!m->user || !m->workdir || !m->detach_keys || !m->env)
        return exec_model_free(m);
    return m;
}

int exec_parse(const struct policy *p, const json_t *body, struct exec_model **ret, struct refusal *refusal)
{
    _cleanup_exec_model_ struct exec_model *m = model_new(p);
    struct exec_ctx c = {p, m};
    int r;

    if (refusal)
        *refusal = (struct refusal){0};
    if (!m)
        return -ENOMEM;
    if (!json_is_object(body))
        return refusal_set(refusal, 400, "exec", "the body must be an object");
    r = fields_read(&exec_table, body, &c, refusal);
    if (r < 0)
        return r;
    if (json_array_size(m->cmd) == 0)
        return refusal_set(refusal, 400, "exec.Cmd", "No exec command specified");
    *ret = TAKE_PTR(m);
    return 0;
}

struct exec_model *exec_model_free(struct exec_model *m)
{
    if (!m)
        return NULL;
    json_decref(m->cmd);
    json_decref(m->env);
    free(m->user);
    free(m->workdir);
    free(m->detach_keys);
    free(m);
    return NULL;
}

/* Adds the console's size where the API version knows it (1.42 and later). 0 or -ENOMEM. */
static int add_console(json_t *o, unsigned api_minor, unsigned height, unsigned width)
{
    if (api_minor < 42 || (height == 0 && width == 0))
        return 0;
    return json_object_set_new(o, "ConsoleSize", json_pack("[i, i]", (int)height, (int)width)) < 0 ? -ENOMEM
                                                                                                   : 0;
}

static int to_text(json_t *o, char **ret)
{
    char *text = json_to_string(o);

    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}

int exec_render(const struct exec_model *m, unsigned api_minor, char **ret)
{
    _cleanup_json_ json_t *o = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:s, s:O, s:s, s:O}", "User",
        m->user, "Privileged", 0, "Tty", m->tty, "AttachStdin", m->attach_stdin, "AttachStdout",
        m->attach_stdout, "AttachStderr", m->attach_stderr, "Detach", 0, "DetachKeys", m->detach_keys, "Env",
        m->env, "WorkingDir", m->workdir, "Cmd", m->cmd);

    if (!o || add_console(o, api_minor, m->console_height, m->console_width) < 0)
        return -ENOMEM;
    return to_text(o, ret);
}

static int read_start_detach(void *ctx, const json_t *v, const struct field_at *at)
{
    (void)at;
    ((struct exec_start *)ctx)->detach = json_is_true(v);
    return 0;
}

static int read_start_tty(void *ctx, const json_t *v, const struct field_at *at)
{
    (void)at;
    ((struct exec_start *)ctx)->tty = json_is_true(v);
    return 0;
}

static int read_start_console(void *ctx, const json_t *v, const struct field_at *at)
{
    struct exec_start *s = ctx;

    return process_console(v, at, &s->console_height, &s->console_width);
}

int exec_parse_start(const json_t *body, struct exec_start *ret, struct refusal *refusal)
{
    static const struct field rows[] = {
        {"Detach", FIELD_BOOL, read_start_detach},
        {"Tty", FIELD_BOOL, read_start_tty},
        {"ConsoleSize", FIELD_ARRAY, read_start_console},
    };
    static const struct field_table table = {"exec-start", rows, ARRAY_SIZE(rows), NULL};
    struct exec_start s = {0};
    int r;

    if (refusal)
        *refusal = (struct refusal){0};
    if (body && !json_is_object(body))
        return refusal_set(refusal, 400, "exec-start", "the body must be an object");
    r = fields_read(&table, body, &s, refusal);
    if (r < 0)
        return r;
    *ret = s;
    return 0;
}

int exec_render_start(const struct exec_start *s, unsigned api_minor, char **ret)
{
    _cleanup_json_ json_t *o = json_pack("{s:b, s:b}", "Detach", s->detach, "Tty", s->tty);

    /* The engine refuses a size without a TTY. */
    if (!o || (s->tty && add_console(o, api_minor, s->console_height, s->console_width) < 0))
        return -ENOMEM;
    return to_text(o, ret);
}
