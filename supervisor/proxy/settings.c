/* settings.c: see settings.h. Opens nothing, resolves nothing; a pure reading of argv and environment. */
#include "proxy/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

#define DEFAULT_ENGINE_SOCKET "/var/run/docker.sock"
#define DEFAULT_LISTEN "unix:/run/clawsup/docker.sock"

const char *settings_help(void)
{
    return "Usage: clawsup-proxy [OPTION]...\n"
           "A filtering proxy for the Docker API: one tenant, its own containers only.\n\n"
           "Started by hand (a sidecar) it is configured by the environment:\n"
           "  TENANT                  the tenant's slug (required)\n"
           "  LISTEN                  unix:PATH[,mode=0660][,uid=N][,gid=N] or tcp:ADDRESS:PORT, separated "
           "by\n"
           "                          blanks (default " DEFAULT_LISTEN ")\n"
           "  DOCKER_SOCKET           the engine's socket (default " DEFAULT_ENGINE_SOCKET ")\n"
           "  DOCKER_GID              group of that socket (default: the group \"docker\")\n"
           "  NAMES                   scoped (default) or namespaced\n"
           "  MATCH_CONTAINER_NAME    glob, or regex:PATTERN (default openclaw-sbx-TENANT-*)\n"
           "  ALLOW_START, ALLOW_STOP, ALLOW_RESTARTS, ALLOW_EXEC\n"
           "                          0 (default) or 1\n"
           "  ALLOW_IMAGES            image references, separated by commas\n"
           "  ALLOW_BIND_MOUNT_FROM   absolute directories, separated by commas\n"
           "  LIMIT_MEMORY, LIMIT_CPUS, LIMIT_PIDS\n"
           "                          caps of one container, such as 512M, 0.5, 256\n"
           "  LOG_LEVEL               error, warning, notice, info (default) or debug\n\n"
           "  --healthcheck           ask the proxy at LISTEN for /_ping; exit 0 if it answers\n"
           "  --log-level=LEVEL       the same as LOG_LEVEL\n"
           "  --supervised, --listen-fds=N, --engine-socket=PATH\n"
           "                          used by clawsupd, which hands over descriptors\n"
           "  --version, --help\n";
}

static int set_string(char **s, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*s);
    *s = copy;
    return 0;
}

/* ---- single variables: each returns -EINVAL for a value it does not take; the caller says which and what
 * would do */
static int set_tenant(struct settings *s, const char *v)
{
    (void)s;
    return str_is_slug(v) ? 0 : -EINVAL; /* taken before the others: see find_tenant() */
}

static int set_socket(struct settings *s, const char *v)
{
    return str_is_clean_path(v) && strlen(v) < sizeof(s->listen[0].address) ? set_string(&s->engine_socket, v)
                                                                            : -EINVAL;
}

static int set_match(struct settings *s, const char *v)
{
    return *v ? set_string(&s->policy->match_container_name, v) : -EINVAL;
}

static int set_names(struct settings *s, const char *v)
{
    if (strcmp(v, "scoped") == 0)
        s->policy->names = POLICY_NAMES_SCOPED;
    else if (strcmp(v, "namespaced") == 0)
        s->policy->names = POLICY_NAMES_NAMESPACED;
    else
        return -EINVAL;
    return 0;
}

static int set_bool(bool *b, const char *v)
{
    if (strcmp(v, "1") == 0 || strcmp(v, "true") == 0)
        *b = true;
    else if (strcmp(v, "0") == 0 || strcmp(v, "false") == 0)
        *b = false;
    else
        return -EINVAL;
    return 0;
}

static int set_start(struct settings *s, const char *v)
{
    return set_bool(&s->policy->allow_start, v);
}

static int set_stop(struct settings *s, const char *v)
{
    return set_bool(&s->policy->allow_stop, v);
}

static int set_restart(struct settings *s, const char *v)
{
    return set_bool(&s->policy->allow_restart, v);
}

static int set_exec(struct settings *s, const char *v)
{
    return set_bool(&s->policy->allow_exec, v);
}

/* "a,b": no empty item. */
static int set_list(struct policy_list *l, const char *v, bool paths)
{
    _cleanup_free_ char *copy = strdup(v);
    char *item, *rest = copy;
    int r;

    if (!copy)
        return -ENOMEM;
    while ((item = strsep(&rest, ",")) != NULL) {
        if (!*item || (paths && !str_is_clean_path(item)))
            return -EINVAL;
        r = policy_list_add(l, item);
        if (r < 0)
            return r;
    }
    return 0;
}

static int set_images(struct settings *s, const char *v)
{
    return set_list(&s->policy->images, v, false);
}

static int set_binds(struct settings *s, const char *v)
{
    return set_list(&s->policy->bind_mount_from, v, true);
}

static int set_memory(struct settings *s, const char *v)
{
    int r = str_parse_size(v, &s->policy->memory_bytes);

    /* The engine's own minimum. */
    return r >= 0 && s->policy->memory_bytes < UINT64_C(6) * 1024 * 1024 ? -EINVAL : r;
}

static int set_cpus(struct settings *s, const char *v)
{
    return str_parse_cpus(v, &s->policy->nano_cpus);
}

static int set_pids(struct settings *s, const char *v)
{
    int r = str_parse_u64(v, 1 << 22, &s->policy->pids);

    return r >= 0 && s->policy->pids == 0 ? -EINVAL : r;
}

static int set_log_level(struct settings *s, const char *v)
{
    int level = log_level_from_string(v);

    if (level >= 0)
        s->log_level = level;
    return level < 0 ? level : 0;
}

static int set_gid(struct settings *s, const char *v)
{
    return set_string(&s->docker_gid, v); /* gid_resolve() says what is wrong with it */
}

/* ---- LISTEN */
static int listen_option(struct settings_listen *l, const char *opt)
{
    uint64_t v = 0;

    if (str_startswith(opt, "mode=") && strlen(opt) == 9 && strspn(opt + 5, "01234567") == 4) {
        for (const char *p = opt + 5; *p; p++)
            v = v * 8 + (uint64_t)(*p - '0');
        l->mode = (mode_t)v;
        return v <= 0777 ? 0 : -EINVAL;
    }
    if (str_startswith(opt, "uid=") && str_parse_u64(opt + 4, UINT32_MAX - 1, &v) >= 0) {
        l->uid = (uid_t)v;
        return 0;
    }
    if (str_startswith(opt, "gid=") && str_parse_u64(opt + 4, UINT32_MAX - 1, &v) >= 0) {
        l->gid = (gid_t)v;
        return 0;
    }
    return -EINVAL;
}

static int listen_unix(struct settings_listen *l, char *text)
{
    char *path = strsep(&text, ","), *opt;

    if (!str_is_clean_path(path) || strlen(path) >= sizeof(l->address) - 5)
        return -EINVAL;
    (void)snprintf(l->address, sizeof(l->address), "%s", path);
    while ((opt = strsep(&text, ",")) != NULL)
        if (listen_option(l, opt) < 0)
            return -EINVAL;
    return 0;
}

static int listen_tcp(struct settings_listen *l, char *text)
{
    unsigned char any[sizeof(struct in6_addr)];
    char *colon = strrchr(text, ':'), *host = text;
    uint64_t port;

    if (!colon || str_parse_u64(colon + 1, 65535, &port) < 0 || port == 0)
        return -EINVAL;
    *colon = '\0';
    if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    if (inet_pton(strchr(host, ':') ? AF_INET6 : AF_INET, host, any) != 1)
        return -EINVAL;
    (void)snprintf(l->address, sizeof(l->address), "%s", host);
    l->tcp = true;
    l->port = (uint16_t)port;
    return 0;
}

static int set_listen(struct settings *s, const char *v)
{
    _cleanup_free_ char *copy = strdup(v);
    char *item, *rest = copy;
    int r = 0;

    if (!copy)
        return -ENOMEM;
    s->n_listen = 0;
    while (r >= 0 && (item = strsep(&rest, " ")) != NULL) {
        struct settings_listen *l = &s->listen[s->n_listen];

        if (!*item)
            continue;
        if (s->n_listen == SETTINGS_LISTEN_MAX)
            return -EINVAL;
        *l = (struct settings_listen){.mode = 0660, .uid = (uid_t)-1, .gid = (gid_t)-1};
        if (str_startswith(item, "unix:"))
            r = listen_unix(l, item + 5);
        else if (str_startswith(item, "tcp:"))
            r = listen_tcp(l, item + 4);
        else
            r = -EINVAL;
        s->n_listen++;
    }
    return r < 0 ? r : (s->n_listen > 0 ? 0 : -EINVAL);
}

/* ---- the table */
static const struct variable {
    const char *name;
    int (*set)(struct settings *s, const char *v);
    const char *valid;
} variables[] = {
    {"TENANT", set_tenant, "1 to 32 of a-z, 0-9 and single '-', such as acme"},
    {"LISTEN", set_listen, "unix:PATH[,mode=0660][,uid=N][,gid=N] or tcp:ADDRESS:PORT, separated by blanks"},
    {"DOCKER_SOCKET", set_socket, "an absolute path of at most 107 bytes without \"..\""},
    {"DOCKER_GID", set_gid, "decimal digits"},
    {"NAMES", set_names, "scoped or namespaced"},
    {"MATCH_CONTAINER_NAME", set_match, "a glob, or regex: and a pattern"},
    {"ALLOW_START", set_start, "0 or 1"},
    {"ALLOW_STOP", set_stop, "0 or 1"},
    {"ALLOW_RESTARTS", set_restart, "0 or 1"},
    {"ALLOW_EXEC", set_exec, "0 or 1"},
    {"ALLOW_IMAGES", set_images, "at most 32 image references, separated by commas"},
    {"ALLOW_BIND_MOUNT_FROM", set_binds,
        "at most 32 absolute directories without \"..\", separated by commas"},
    {"LIMIT_MEMORY", set_memory, "a size of at least 6M, such as 512M or 1.5G"},
    {"LIMIT_CPUS", set_cpus, "a number such as 0.5 or 2"},
    {"LIMIT_PIDS", set_pids, "a number from 1"},
    {"LOG_LEVEL", set_log_level, "error, warning, notice, info or debug"},
};

static const struct variable *find_variable(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        if (strlen(variables[i].name) == len && strncmp(variables[i].name, name, len) == 0)
            return &variables[i];
    return NULL;
}

/* A misspelt switch would silently allow or forbid something. Other variables are none of our business. */
static int check_unknown(const char *name, size_t len, struct err *e)
{
    const char *best = NULL;
    char copy[64];
    unsigned d = 4;

    if (len >= sizeof(copy) || (!str_startswith(name, "ALLOW_") && !str_startswith(name, "LIMIT_")))
        return 0;
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)len, name);
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        if (str_distance(copy, variables[i].name) < d) {
            d = str_distance(copy, variables[i].name);
            best = variables[i].name;
        }
    return err_set(e, -EINVAL, "%s is not a setting%s%s%s", copy, best ? "; did you mean " : "",
        best ? best : "", best ? "?" : "");
}

static int read_environment(struct settings *s, char *const *env, struct err *e)
{
    for (; *env; env++) {
        const char *eq = strchr(*env, '=');
        const struct variable *v = eq ? find_variable(*env, (size_t)(eq - *env)) : NULL;
        int r;

        if (!eq)
            continue;
        r = v ? v->set(s, eq + 1) : check_unknown(*env, (size_t)(eq - *env), e);
        if (!v && r < 0)
            return r;
        if (r == -ENOMEM)
            return err_set(e, r, "out of memory");
        if (r < 0)
            return err_set(e, -EINVAL, "%s=\"%s\" is not valid: it takes %s", v->name, eq + 1, v->valid);
    }
    return 0;
}

static int find_tenant(char *const *env, const char **ret, struct err *e)
{
    for (; *env; env++)
        if (str_startswith(*env, "TENANT=")) {
            *ret = *env + 7;
            if (!str_is_slug(*ret))
                return err_set(
                    e, -EINVAL, "TENANT=\"%s\" is not valid: it takes %s", *ret, variables[0].valid);
            return 0;
        }
    return err_set(e, -EINVAL, "TENANT is not set: it takes %s", variables[0].valid);
}

static int read_sidecar(struct settings *s, char *const *env, struct err *e)
{
    const char *tenant = NULL;
    int r = find_tenant(env, &tenant, e);

    if (r < 0)
        return r;
    s->policy = policy_new(tenant);
    if (!s->policy || set_listen(s, DEFAULT_LISTEN) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    /* What nobody has switched on is off. */
    s->policy->allow_start = s->policy->allow_stop = s->policy->allow_restart = s->policy->allow_exec = false;
    r = read_environment(s, env, e);
    if (r < 0)
        return r;
    return policy_validate(s->policy, e);
}

/* ---- argv */
static int read_arg(struct settings *s, const char *arg, struct err *e)
{
    uint64_t n;

    if (strcmp(arg, "--supervised") == 0)
        s->mode = SETTINGS_SUPERVISED;
    else if (strcmp(arg, "--healthcheck") == 0)
        s->mode = SETTINGS_HEALTHCHECK;
    else if (strcmp(arg, "--version") == 0)
        s->mode = SETTINGS_VERSION;
    else if (strcmp(arg, "--help") == 0)
        s->mode = SETTINGS_HELP;
    else if (str_startswith(arg, "--listen-fds=") &&
             str_parse_u64(arg + strlen("--listen-fds="), SETTINGS_LISTEN_MAX, &n) >= 0 && n > 0)
        s->n_listen_fds = (unsigned)n;
    else if (str_startswith(arg, "--engine-socket=") && set_socket(s, arg + strlen("--engine-socket=")) >= 0)
        return 0;
    else if (str_startswith(arg, "--log-level=") && set_log_level(s, arg + strlen("--log-level=")) >= 0)
        return 0;
    else
        return err_set(e, -EINVAL, "%s: unknown option, or a value that it does not take; see --help", arg);
    return 0;
}

int settings_parse(int argc, char *const *argv, char *const *env, struct settings *ret, struct err *e)
{
    int r = set_string(&ret->engine_socket, DEFAULT_ENGINE_SOCKET);

    if (r < 0)
        return err_set(e, r, "out of memory");
    ret->log_level = LOG_INFO;
    for (int i = 1; i < argc; i++) {
        r = read_arg(ret, argv[i], e);
        if (r < 0)
            return r;
    }
    switch (ret->mode) {
    case SETTINGS_SUPERVISED:
        if (ret->n_listen_fds == 0)
            return err_set(e, -EINVAL, "--supervised needs --listen-fds=N");
        return 0;
    case SETTINGS_SIDECAR:
    case SETTINGS_HEALTHCHECK:
        if (ret->n_listen_fds > 0)
            return err_set(e, -EINVAL, "--listen-fds goes with --supervised only");
        return read_sidecar(ret, env, e);
    case SETTINGS_VERSION:
    case SETTINGS_HELP:
    case _SETTINGS_MODE_MAX:
        break;
    }
    return 0;
}

void settings_done(struct settings *s)
{
    free(s->engine_socket);
    free(s->docker_gid);
    (void)policy_free(s->policy);
    *s = (struct settings){0};
}
