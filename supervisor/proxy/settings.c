/* settings.c: see settings.h: from argv and environment to named values; what each value may be is in
 * settings_value.c. Opens nothing, resolves nothing. */
#include "proxy/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/settings_internal.h"

#define NAME_MAX_BYTES 64

const char *settings_help(void)
{
    return "Usage: clawsup-proxy [OPTION]...\n"
           "A filtering proxy for the Docker API: one tenant, its own containers only.\n\n"
           "Alone (a sidecar) it is configured by the environment. Each variable is also an option, which\n"
           "wins: ALLOW_START=1 is --allow-start=1.\n"
           "  TENANT                  the tenant's slug (required)\n"
           "  LISTEN                  a list, separated by commas, of unix:/PATH and tcp://ADDRESS:PORT\n"
           "                          (default " SETTINGS_DEFAULT_LISTEN "); mode=0660, uid=N and gid=N\n"
           "                          after a unix socket are for that socket\n"
           "  DOCKER_SOCKET           the engine's socket (default " SETTINGS_DEFAULT_ENGINE ")\n"
           "  DOCKER_GID              group of that socket (default: the group \"docker\")\n"
           "  ALLOW_ROOT_GID          1: that group may be 0, root's\n"
           "  NAMES                   scoped (default) or namespaced\n"
           "  MATCH_CONTAINER_NAME    glob, or regex:PATTERN (default openclaw-sbx-TENANT-*)\n"
           "  OTHER_TENANTS           whose names are not this tenant's, separated by commas\n"
           "  GATEWAY_NAME            the gateway's own container: it can be inspected\n"
           "  SANDBOX_NETWORK_ID      full id of the network that sandboxes are on (default: none at all)\n"
           "  SANDBOX_NETWORK_NAME    its name, by which it may be asked for too\n"
           "  ALLOW_START, ALLOW_STOP, ALLOW_RESTARTS, ALLOW_EXEC, ALLOW_ARCHIVE_PUT, ALLOW_EXPORT,\n"
           "  ALLOW_UPDATE, ALLOW_RENAME, ALLOW_IMAGE_PULL, ALLOW_GATEWAY_EXEC, ALLOW_NETWORK_READ\n"
           "                          0 (default) or 1\n"
           "  FILTER                  enforce (default), or report: what only one of the last seven\n"
           "                          switches stands against is done all the same, and recorded\n"
           "  ALLOW_IMAGES            image references, separated by commas\n"
           "  ALLOW_BIND_MOUNT_FROM   absolute directories, separated by commas\n"
           "  LIMIT_MEMORY, LIMIT_CPUS, LIMIT_PIDS\n"
           "                          caps of one container (default 1G, 1 and 256)\n"
           "  LIMIT_CONTAINERS        how many containers (default 8)\n"
           "  LOG_LEVEL               error, warning, notice, info (default) or debug\n"
           "Decisions are written to standard output, one JSON object per line.\n\n"
           "  --healthcheck           ask the proxy at LISTEN for /_ping; exit 0 if it answers\n"
           "  --supervised, --listen-fds=N, --engine-socket=PATH\n"
           "                          used by clawsupd, which hands over descriptors\n"
           "  --version, --help\n";
}

/* The value that each variable was given, and where. */
struct given {
    const char *value; /* NULL: not at all */
    bool flag;
};

struct reader {
    struct given given[SETTINGS_VARIABLES_MAX];
    struct settings *s;
    bool engine_given; /* --engine-socket */
};

/* "ALLOW_START", or "--allow-start" when that is where the value came from. */
static const char *spell(const struct settings_variable *v, bool flag, char out[static NAME_MAX_BYTES])
{
    size_t i = 0;

    if (!flag)
        return v->name;
    for (; v->name[i] && i + 3 < NAME_MAX_BYTES; i++)
        out[i + 2] = v->name[i] == '_' ? '-' : (char)tolower((unsigned char)v->name[i]);
    out[0] = out[1] = '-';
    out[i + 2] = '\0';
    return out;
}

/* The variable whose name (spelled as a flag or not) is the first `len` bytes of `text`. */
static const struct settings_variable *find_variable(const char *text, size_t len, bool flag)
{
    char buf[NAME_MAX_BYTES];

    for (size_t i = 0; i < settings_variables_n; i++) {
        const char *name = spell(&settings_variables[i], flag, buf);

        if (strlen(name) == len && strncmp(name, text, len) == 0)
            return &settings_variables[i];
    }
    return NULL;
}

/* "; did you mean ALLOW_START?", or "". */
static void suggest(const char *text, size_t len, bool flag, char *out, size_t n)
{
    char copy[NAME_MAX_BYTES], buf[NAME_MAX_BYTES];
    unsigned best = 3;

    out[0] = '\0';
    if (len >= sizeof(copy))
        return;
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
    for (size_t i = 0; i < settings_variables_n; i++) {
        const char *name = spell(&settings_variables[i], flag, buf);
        unsigned d = str_distance(copy, name);

        if (d >= best)
            continue;
        best = d;
        (void)snprintf(out, n, "; did you mean %s?", name);
    }
}

static int give(
    struct reader *rd, const struct settings_variable *v, const char *value, bool flag, struct err *e)
{
    struct given *g = &rd->given[v - settings_variables];
    char buf[NAME_MAX_BYTES];

    if (g->value && g->flag == flag)
        return err_set(e, -EINVAL, "%s is given twice", spell(v, flag, buf));
    if (!g->value)
        *g = (struct given){value, flag};
    return 0;
}

/* ---- the environment: a misspelt switch would silently allow or forbid something; what begins neither with
 * ALLOW_ nor with LIMIT_ is none of our business. */
static int read_environment(struct reader *rd, char *const *env, struct err *e)
{
    char hint[NAME_MAX_BYTES * 2];

    for (; *env; env++) {
        const char *eq = strchr(*env, '=');
        size_t len = eq ? (size_t)(eq - *env) : 0;
        const struct settings_variable *v = eq ? find_variable(*env, len, false) : NULL;
        int r = v ? give(rd, v, eq + 1, false, e) : 0;

        if (r < 0)
            return r;
        if (v || !eq || rd->s->mode == SETTINGS_HEALTHCHECK ||
            (!str_startswith(*env, "ALLOW_") && !str_startswith(*env, "LIMIT_")))
            continue;
        suggest(*env, len, false, hint, sizeof(hint));
        return err_set(
            e, -EINVAL, "%.*s is not a setting%s", (int)MIN(len, (size_t)NAME_MAX_BYTES), *env, hint);
    }
    return 0;
}

/* ---- from values to settings */
static int apply(struct reader *rd, const struct settings_variable *v, struct err *e)
{
    const struct given *g = &rd->given[v - settings_variables];
    char buf[NAME_MAX_BYTES];
    int r = g->value ? v->set(rd->s, g->value) : 0;

    if (r == -ENOMEM)
        return err_set(e, r, "out of memory");
    if (r < 0)
        return err_set(
            e, -EINVAL, "%s=\"%s\" is not valid: it takes %s", spell(v, g->flag, buf), g->value, v->valid);
    return 0;
}

/* policy_validate() speaks of its own fields: the reader knows them by the variables' names. */
static void rename_field(const struct reader *rd, struct err *e)
{
    char buf[NAME_MAX_BYTES], rest[sizeof(e->msg)];

    for (size_t i = 0; i < settings_variables_n; i++) {
        const struct settings_variable *v = &settings_variables[i];
        size_t n = v->field ? strlen(v->field) : 0;

        if (n == 0 || !str_startswith(e->msg, v->field) || !strchr(" :", e->msg[n]))
            continue;
        (void)snprintf(rest, sizeof(rest), "%s", e->msg + n);
        (void)err_set(e, -EINVAL, "%s%s", spell(v, rd->given[i].flag, buf), rest);
        return;
    }
}

static int read_sidecar(struct reader *rd, struct err *e)
{
    int r;

    if (!rd->given[0].value)
        return err_set(e, -EINVAL, "%s is not set: it takes %s", settings_variables[0].name,
            settings_variables[0].valid);
    for (size_t i = 0; i < settings_variables_n; i++) {
        r = apply(rd, &settings_variables[i], e);
        if (r < 0)
            return r;
    }
    r = policy_validate(rd->s->policy, e);
    if (r < 0 && r != -ENOMEM)
        rename_field(rd, e);
    return r;
}

/* A health check asks where the proxy listens and nothing else: the rest is the proxy's own concern. */
static int read_healthcheck(struct reader *rd, struct err *e)
{
    return apply(rd, find_variable("LISTEN", 6, false), e);
}

/* ---- argv */
static bool read_mode(struct settings *s, const char *arg)
{
    static const struct {
        const char *arg;
        enum settings_mode mode;
    } modes[] = {{"--supervised", SETTINGS_SUPERVISED}, {"--healthcheck", SETTINGS_HEALTHCHECK},
        {"--version", SETTINGS_VERSION}, {"--help", SETTINGS_HELP}};

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (strcmp(arg, modes[i].arg) == 0) {
            s->mode = modes[i].mode;
            return true;
        }
    return false;
}

/* What only clawsupd says. 1: it was that. */
static int read_supervised(struct reader *rd, const char *arg, struct err *e)
{
    static const char fds[] = "--listen-fds=", socket[] = "--engine-socket=";
    uint64_t n;

    if (str_startswith(arg, fds)) {
        if (str_parse_u64(arg + sizeof(fds) - 1, SETTINGS_LISTEN_MAX, &n) < 0 || n == 0)
            return err_set(e, -EINVAL, "%s: it takes a number from 1 to %d", arg, SETTINGS_LISTEN_MAX);
        rd->s->n_listen_fds = (unsigned)n;
        return 1;
    }
    if (str_startswith(arg, socket)) {
        int r = settings_set_socket(rd->s, arg + sizeof(socket) - 1);

        rd->engine_given = true;
        if (r < 0)
            return err_set(e, r, "%s: it takes an absolute path of at most 107 bytes", arg);
        return 1;
    }
    return 0;
}

/* Reads argv[*i], and argv[*i + 1] where that is its value. */
static int read_arg(struct reader *rd, int argc, char *const *argv, int *i, struct err *e)
{
    const char *arg = argv[*i], *eq = strchr(arg, '=');
    size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
    const struct settings_variable *v;
    char hint[NAME_MAX_BYTES * 2];
    int r;

    if (read_mode(rd->s, arg))
        return 0;
    r = read_supervised(rd, arg, e);
    if (r != 0)
        return r;
    v = find_variable(arg, len, true);
    if (!v) {
        suggest(arg, len, true, hint, sizeof(hint));
        return err_set(e, -EINVAL, "%s is not an option%s See --help", arg, hint[0] ? hint : ".");
    }
    if (!eq && *i + 1 == argc)
        return err_set(e, -EINVAL, "%s needs a value: it takes %s", arg, v->valid);
    return give(rd, v, eq ? eq + 1 : argv[++*i], true, e);
}

/* clawsupd's policy has everything; a flag beside it would be a second opinion. */
static int check_supervised(struct reader *rd, struct err *e)
{
    char buf[NAME_MAX_BYTES];

    if (rd->s->n_listen_fds == 0)
        return err_set(e, -EINVAL, "--supervised needs --listen-fds=N");
    for (size_t i = 0; i < settings_variables_n; i++) {
        const struct settings_variable *v = &settings_variables[i];
        int r;

        if (!rd->given[i].value)
            continue;
        if (v->set != settings_set_log_level)
            return err_set(e, -EINVAL, "%s does not go with --supervised", spell(v, true, buf));
        r = apply(rd, v, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int settings_parse(int argc, char *const *argv, char *const *env, struct settings *ret, struct err *e)
{
    struct reader rd = {.s = ret};
    int r = str_set(&ret->engine_socket, SETTINGS_DEFAULT_ENGINE);

    ret->log_level = LOG_INFO;
    if (r < 0 || settings_set_listen(ret, SETTINGS_DEFAULT_LISTEN) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    for (int i = 1; i < argc; i++) {
        r = read_arg(&rd, argc, argv, &i, e);
        if (r < 0)
            return r;
    }
    if (ret->mode == SETTINGS_VERSION || ret->mode == SETTINGS_HELP)
        return 0;
    if (ret->mode == SETTINGS_SUPERVISED)
        return check_supervised(&rd, e);
    if (ret->n_listen_fds > 0 || rd.engine_given)
        return err_set(e, -EINVAL, "%s goes with --supervised only",
            rd.engine_given ? "--engine-socket (alone it is --docker-socket)" : "--listen-fds");
    r = read_environment(&rd, env, e);
    if (r < 0)
        return r;
    return ret->mode == SETTINGS_HEALTHCHECK ? read_healthcheck(&rd, e) : read_sidecar(&rd, e);
}

void settings_done(struct settings *s)
{
    free(s->engine_socket);
    free(s->docker_gid);
    (void)policy_free(s->policy);
    *s = (struct settings){0};
}
