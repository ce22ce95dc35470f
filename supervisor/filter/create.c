/* create.c: the top level of a create body, and the model's life. What each field may be is in
 * create_config.c, create_host.c, create_mounts.c, create_limits.c, create_security.c and create_network.c.
 */
#include "filter/create.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "filter/create_internal.h"
#include "filter/process.h"

#define BOOL_READER(name)                                                                                    \
    static int read_##name(void *ctx, const json_t *v, const struct field_at *at)                            \
    {                                                                                                        \
        struct create_ctx *c = ctx;                                                                          \
        (void)at;                                                                                            \
        c->m->name = json_is_true(v);                                                                        \
        return 0;                                                                                            \
    }
BOOL_READER(tty)
BOOL_READER(open_stdin)
BOOL_READER(stdin_once)
BOOL_READER(attach_stdin)
BOOL_READER(attach_stdout)
BOOL_READER(attach_stderr)

static int read_user(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return process_user(c->policy, v, at, &c->m->user);
}

static int read_workdir(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return process_workdir(v, at, &c->m->workdir);
}

static int read_entrypoint(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return process_argv(v, at, &c->m->entrypoint);
}

static int read_cmd(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return process_argv(v, at, &c->m->cmd);
}

static int read_env(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return process_env(v, at, &c->m->env);
}

static int read_host_config(void *ctx, const json_t *v, const struct field_at *at)
{
    return fields_read(&create_host_table, v, ctx, at->refusal);
}

/* Config of the engine (api/types/container/config.go), HostConfig and NetworkingConfig beside it. */
static const struct field config_rows[] = {
    {"Hostname", FIELD_STRING, create_read_hostname}, {"Domainname", FIELD_STRING, create_read_domainname},
    {"User", FIELD_STRING, read_user}, {"AttachStdin", FIELD_BOOL, read_attach_stdin},
    {"AttachStdout", FIELD_BOOL, read_attach_stdout}, {"AttachStderr", FIELD_BOOL, read_attach_stderr},
    {"ExposedPorts", FIELD_ZERO, NULL}, {"Tty", FIELD_BOOL, read_tty},
    {"OpenStdin", FIELD_BOOL, read_open_stdin}, {"StdinOnce", FIELD_BOOL, read_stdin_once},
    {"Env", FIELD_STRINGS, read_env}, {"Cmd", FIELD_ANY, read_cmd},
    {"Healthcheck", FIELD_OBJECT, create_read_healthcheck}, {"ArgsEscaped", FIELD_ZERO, NULL},
    {"Image", FIELD_STRING, create_read_image}, {"Volumes", FIELD_OBJECT, create_read_volumes},
    {"WorkingDir", FIELD_STRING, read_workdir}, {"Entrypoint", FIELD_ANY, read_entrypoint},
    {"NetworkDisabled", FIELD_ZERO, NULL}, {"MacAddress", FIELD_ZERO, NULL}, {"OnBuild", FIELD_ZERO, NULL},
    {"Labels", FIELD_OBJECT, create_read_labels}, {"StopSignal", FIELD_STRING, create_read_stop_signal},
    {"StopTimeout", FIELD_INT, create_read_stop_timeout},
    {"Shell", FIELD_STRINGS, NULL}, /* only health checks use it */
    {"HostConfig", FIELD_OBJECT, read_host_config},
    {"NetworkingConfig", FIELD_OBJECT, create_read_networking},
    {"Cpuset", FIELD_ZERO, NULL}, /* a field of old engines' Config */
};
static const struct field_table config_table = {
    "create", config_rows, ARRAY_SIZE(config_rows), &create_host_table};

/* The defaults under the policy. NULL when out of memory. */
static struct create_model *model_new(const struct policy *p, const char *name)
{
    struct create_model *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    memcpy(m->tenant, p->tenant, sizeof(m->tenant));
    m->stop_timeout = -1;
    m->name = strdup(name);
    m->image = strdup("");
    m->user = strdup(p->users.n > 0 && !policy_list_has(&p->users, "") ? p->users.items[0] : "");
    m->workdir = strdup("");
    m->hostname = strdup("");
    m->domainname = strdup("");
    m->stop_signal = strdup("");
    m->cgroup_parent = strdup(p->cgroup_parent ? p->cgroup_parent : "");
    m->runtime = strdup(p->runtime ? p->runtime : "");
    m->labels = json_object();
    m->env = json_array();
    m->security_opt = json_array();
    m->cap_add = json_array();
    m->ulimits = json_array();
    if (!m->name || !m->image || !m->user || !m->workdir || !m->hostname || !m->domainname ||
        !m->stop_signal || !m->cgroup_parent || !m->runtime || !m->labels || !m->env || !m->security_opt ||
        !m->cap_add || !m->ulimits)
        return create_model_free(m);
    return m;
}

int create_parse(const struct policy *p, const char *name, const json_t *body, struct create_model **ret,
    struct refusal *refusal)
{
    _cleanup_create_model_ struct create_model *m = model_new(p, name);
    struct create_ctx c = {.policy = p, .m = m};
    int r;

    if (refusal)
        *refusal = (struct refusal){0};
    if (!m)
        return -ENOMEM;
    if (!json_is_object(body))
        return refusal_set(refusal, 400, "create", "the body must be an object");
    r = fields_read(&config_table, body, &c, refusal);
    if (r < 0)
        return r;
    if (!*m->image)
        return refusal_set(refusal, 400, "create.Image", "Image is missing");
    m->readonly_rootfs = m->readonly_rootfs || p->readonly_rootfs;
    r = create_settle_volumes(&c, refusal);
    if (r >= 0)
        r = create_settle_mounts(&c, refusal);
    if (r >= 0)
        r = create_settle_weight(&c, refusal);
    if (r >= 0)
        r = create_settle_limits(&c, refusal);
    if (r >= 0)
        r = create_settle_security(&c);
    if (r >= 0)
        r = create_settle_network(&c, refusal);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

static void bind_done(struct create_bind *b)
{
    free(b->source);
    free(b->root);
    free(b->target);
    free(b->staged);
}

void create_binds_free(struct create_bind *b, size_t n)
{
    for (size_t i = 0; b && i < n; i++)
        bind_done(&b[i]);
    free(b);
}

struct create_model *create_model_free(struct create_model *m)
{
    if (!m)
        return NULL;
    for (size_t i = 0; i < m->n_binds; i++)
        bind_done(&m->binds[i]);
    for (size_t i = 0; i < m->n_tmpfs; i++)
        free(m->tmpfs[i].target);
    char *texts[] = {m->name, m->image, m->image_id, m->user, m->workdir, m->hostname, m->domainname,
        m->stop_signal, m->network_id, m->network_name, m->cgroup_parent, m->runtime};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    json_t *docs[] = {m->labels, m->entrypoint, m->cmd, m->env, m->security_opt, m->cap_add, m->ulimits};
    for (size_t i = 0; i < ARRAY_SIZE(docs); i++)
        json_decref(docs[i]);
    free(m);
    return NULL;
}

int create_set_image(struct create_model *m, const char *id)
{
    if (!str_startswith(id, "sha256:") || !str_is_hex(id + strlen("sha256:"), 64))
        return -EINVAL;
    return str_set(&m->image_id, id);
}

int create_set_staged(struct create_model *m, size_t bind, const char *path)
{
    if (bind >= m->n_binds || !str_is_clean_path(path) || strcmp(path, "/") == 0)
        return -EINVAL;
    return str_set(&m->binds[bind].staged, path);
}
