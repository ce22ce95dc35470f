/* verb_init.c: `clawsup init`: a commented tenant's file from flags, or from answers on a terminal. Needs no
 * daemon. The result passes check-config, or nothing is written. */
#include "ctl/verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "config/config.h"
#include "ctl/ask.h"
#include "ctl/locate.h"
#include "ctl/tenant_text.h"
#include "ctl/text.h"

#define PORT_FIRST 18801U
#define PORT_LAST 19999U
#define PORT_INSIDE "18789"
#define FILE_MAX ((size_t)1024 * 1024)

static const char *arg_image, *arg_data_root, *arg_port, *arg_user, *arg_health, *arg_sandbox_images,
    *arg_cpus, *arg_memory, *arg_pids, *arg_disk, *arg_output;
static bool arg_force, arg_full, arg_yes;

/* ---------------------------------------------------------------- a free port */

static bool in_configuration(const struct config *cfg, unsigned port)
{
    for (size_t i = 0; cfg && i < cfg->n_tenants; i++) {
        const struct config_gateway *g = &cfg->tenants[i]->gateway;
        const struct config_health *h = &g->health;
        char text[32];

        (void)snprintf(text, sizeof(text), ":%u/", port);
        if (h->url && strstr(h->url, text))
            return true;
        for (size_t k = 0; k < g->n_ports; k++)
            if (g->ports[k].host_port == port)
                return true;
    }
    return false;
}

static bool is_bound(unsigned port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EADDRINUSE;
}

static unsigned free_port(const struct config *cfg)
{
    for (unsigned p = PORT_FIRST; p <= PORT_LAST; p++)
        if (!in_configuration(cfg, p) && !is_bound(p))
            return p;
    return PORT_FIRST;
}

/* ---------------------------------------------------------------- values */

struct answers {
    char *image, *data_root, *port, *user, *health, *sandbox_images, *cpus, *memory, *pids, *disk;
};

static void answers_reset(struct answers *a)
{
    char **all[] = {&a->image, &a->data_root, &a->port, &a->user, &a->health, &a->sandbox_images, &a->cpus,
        &a->memory, &a->pids, &a->disk};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(*all[i]);
}

/* The flag, else an answer, else the default. NULL: no answer, or out of memory. */
static char *value(const char *flag, const char *question, const char *def, bool ask)
{
    if (flag)
        return strdup(flag);
    return ask ? ask_text(question, def) : strdup(def);
}

static int gather(const char *slug, const struct config *cfg, bool ask, struct answers *a)
{
    char root[80], port[16];

    (void)snprintf(root, sizeof(root), "/data/tenants/%s", slug);
    (void)snprintf(port, sizeof(port), "%u", free_port(cfg));
    if (ask)
        (void)fprintf(
            stderr, "A tenant's file for %s; Enter takes what is in brackets, Ctrl-C ends.\n", slug);
    a->image = value(arg_image, "Image of the gateway (clawsup never pulls)", "openclaw:latest", ask);
    a->data_root = a->image ? value(arg_data_root, "Directory of the tenant's data", root, ask) : NULL;
    a->user =
        a->data_root ? value(arg_user, "User that the gateway runs as, UID:GID", "1000:1000", ask) : NULL;
    a->port = a->user ? value(arg_port, "Port of the gateway on 127.0.0.1", port, ask) : NULL;
    a->health = a->port ? value(arg_health, "Path of its health check", "/healthz", ask) : NULL;
    a->sandbox_images = a->health ? value(arg_sandbox_images, "Images of sandboxes, separated by commas",
                                        "openclaw-sandbox:bookworm-slim", ask)
                                  : NULL;
    a->cpus =
        a->sandbox_images ? value(arg_cpus, "CPUs of gateway and sandboxes together", "2.0", ask) : NULL;
    a->memory = a->cpus ? value(arg_memory, "Memory of both together", "4G", ask) : NULL;
    a->pids = a->memory ? value(arg_pids, "Processes and threads of both together", "1024", ask) : NULL;
    a->disk = a->pids ? value(arg_disk, "Disk space of its data", "unlimited", ask) : NULL;
    return a->disk ? 0 : -EINVAL;
}

/* ---------------------------------------------------------------- the file */

static void put(json_t *o, const char *key, json_t *v, int *oom)
{
    if (json_object_set_new(o, key, v) < 0)
        *oom = -ENOMEM;
}

/* A number as it is; anything else as text, for check-config to judge. */
static json_t *number(const char *s, bool real)
{
    uint64_t n;

    if (real && str_parse_cpus(s, &n) >= 0)
        return json_real((double)n / 1e9);
    return !real && str_parse_u64(s, INT32_MAX, &n) >= 0 ? json_integer((json_int_t)n) : json_string(s);
}

static json_t *list_of(const char *text)
{
    json_t *a = json_array();

    while (a && *text) {
        size_t n = strcspn(text, ","), skip = strspn(text, " ");

        if (n > skip && json_array_append_new(a, json_stringn(text + skip, n - skip)) < 0) {
            json_decref(a);
            return NULL;
        }
        text += n + (text[n] == ',');
    }
    return a;
}

/* "18801" or "18801:3000" */
static void ports(const struct answers *a, char *publish, size_t n, char *url, size_t n_url)
{
    const char *colon = strchr(a->port, ':');
    int len = colon ? (int)(colon - a->port) : (int)strlen(a->port);

    (void)snprintf(publish, n, "127.0.0.1:%.*s:%s", len, a->port, colon ? colon + 1 : PORT_INSIDE);
    (void)snprintf(
        url, n_url, "http://127.0.0.1:%.*s%s%s", len, a->port, a->health[0] == '/' ? "" : "/", a->health);
}

/* Smaller tenants get smaller sandboxes than the default. */
static json_t *sandbox(const struct answers *a)
{
    json_t *o = json_object();
    uint64_t n;
    int oom = 0;

    put(o, "cpus",
        str_parse_cpus(a->cpus, &n) >= 0 && n < 1000000000 ? number(a->cpus, true) : json_real(1.0), &oom);
    put(o, "memory",
        json_string(str_parse_size(a->memory, &n) >= 0 && n < (UINT64_C(1) << 30) ? a->memory : "1G"), &oom);
    put(o, "pids", str_parse_u64(a->pids, 256, &n) >= 0 ? number(a->pids, false) : json_integer(256), &oom);
    put(o, "max_containers", json_integer(8), &oom);
    return o;
}

static json_t *build(const char *slug, const struct answers *a)
{
    char publish[128], url[300], workspace[1100];
    uint64_t uid = 0;
    char user[32];
    int oom = 0;
    json_t *limits, *j;

    ports(a, publish, sizeof(publish), url, sizeof(url));
    (void)snprintf(workspace, sizeof(workspace), "%.1000s/workspace", a->data_root);
    (void)snprintf(user, sizeof(user), "%.*s", (int)MIN(strcspn(a->user, ":"), (size_t)20), a->user);
    (void)str_parse_u64(user, INT32_MAX, &uid);
    limits = json_pack("{s:o, s:s, s:o, s:s, s:o}", "cpus", number(a->cpus, true), "memory", a->memory,
        "pids", number(a->pids, false), "disk", a->disk, "sandbox", sandbox(a));
    j = json_pack(
        "{s:s, s:s, s:{s:I, s:{s:b, s:b, s:b, s:b}, s:o, s:[s]}, s:{s:s, s:s, s:[s], s:{s:s, s:s}}, s:o}",
        "slug", slug, "data_root", a->data_root, "proxy", "socket_uid", (json_int_t)uid, "allow", "start", 1,
        "stop", 1, "restart", 1, "exec", 1, "images", list_of(a->sandbox_images), "bind_mount_from",
        workspace, "gateway", "image", a->image, "user", a->user, "publish", publish, "health", "url", url,
        "start_deadline", "5m", "limits", limits);
    if (oom < 0) {
        json_decref(j);
        return NULL;
    }
    return j;
}

static int tell_findings(const struct ctl *c, const struct config_findings *f, const char *only)
{
    for (size_t i = 0; i < f->n; i++) {
        const char *s = strstr(f->items[i], ".conf:");
        char text[1024];

        if (only && !strstr(f->items[i], only))
            continue;
        s = !only && s ? strstr(s, ": ") : NULL; /* the place is of a file that nobody will see */
        text_safe(text, sizeof(text), s ? s + 2 : f->items[i]);
        (void)fprintf(stderr, "  %s\n", text);
    }
    return ctl_fail(c, CTL_FAILED, "refused", "nothing was written", "the tenant's file would not be valid");
}

static int render(const struct ctl *c, const char *slug, const struct answers *a, char **ret)
{
    static const char head[] = "Written by `clawsup init`. All keys, with more examples: clawsup.conf(5).\n"
                               "After a change: clawsup check-config, then clawsup deploy TENANT.\n";
    const struct tenant_text how = {.head = head, .full = arg_full};
    _cleanup_json_ json_t *j = build(slug, a);
    struct config_findings f = {0};
    struct err e = {.msg = ""};
    int r;

    if (!j)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory, or text that is not UTF-8");
    r = tenant_text(j, &how, ret, &e);
    if (r < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "%s", e.msg);
    r = tenant_text_check(*ret, slug, &f);
    if (r < 0)
        r = f.n > 0
                ? tell_findings(c, &f, NULL)
                : ctl_fail(c, CTL_FAILED, "internal", NULL, "it cannot be checked: %s", strerrordesc_np(-r));
    config_findings_free(&f);
    return r;
}

/* Beside the other tenants it must be valid, too: no port, no directory twice. */
static int check_whole(const struct ctl *c, const char *path)
{
    _cleanup_(config_freep) struct config *cfg = NULL;
    struct config_findings f = {0};
    bool ours = false;
    int r = config_load(c->config_file, &cfg, &f);

    for (size_t i = 0; r < 0 && i < f.n; i++)
        ours = ours || strstr(f.items[i], path);
    r = ours ? tell_findings(c, &f, path) : CTL_OK;
    config_findings_free(&f);
    return r;
}

static int report(
    const struct ctl *c, const char *slug, const struct answers *a, const char *path, const char *text)
{
    uint64_t uid;
    char user[32];

    if (c->json) {
        _cleanup_json_ json_t *j = json_pack(
            "{s:i, s:b, s:s, s:s*, s:s}", "v", 1, "ok", 1, "slug", slug, "written", path, "config", text);

        return j ? ctl_print_json(j, false) : CTL_FAILED;
    }
    if (!path) {
        (void)fputs(text, stdout);
        return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
    }
    (void)snprintf(user, sizeof(user), "%.*s", (int)MIN(strcspn(a->user, ":"), (size_t)20), a->user);
    (void)printf("%s\n\nNext:\n", path);
    if (access(a->data_root, F_OK) < 0)
        (void)printf("  install -d -m 755 %s && install -d%s%s %s/workspace\n", a->data_root,
            str_parse_u64(user, INT32_MAX, &uid) >= 0 ? " -o " : "",
            str_parse_u64(user, INT32_MAX, &uid) >= 0 ? user : "", a->data_root);
    (void)printf("  clawsup deploy %s\n", slug);
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

static int write_file(const struct ctl *c, const char *slug, const struct answers *a, const char *text)
{
    _cleanup_free_ char *dir = locate_tenants_dir(c->config_file), *path = NULL, *before = NULL;
    struct err e = {.msg = ""};
    int r;

    if (arg_output && strcmp(arg_output, "-") == 0)
        return report(c, slug, a, NULL, text);
    if ((arg_output ? asprintf(&path, "%s", arg_output)
                    : asprintf(&path, "%s/%s.conf", dir ? dir : "", slug)) < 0 ||
        !dir)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    (void)fd_read_file(path, FILE_MAX, &before, NULL);
    r = tenant_text_write(path, text, arg_force, &e);
    if (r < 0)
        return ctl_fail(c, CTL_FAILED, "refused", r == -EEXIST ? "--force replaces it" : NULL, "%s", e.msg);
    r = check_whole(c, path);
    if (r != CTL_OK && before)
        (void)tenant_text_write(path, before, true, &e);
    else if (r != CTL_OK)
        (void)unlink(path);
    if (r != CTL_OK)
        return r;
    return report(c, slug, a, path, text);
}

static int init(const struct ctl *c, const char *slug, bool ask)
{
    _cleanup_(config_freep) struct config *cfg = NULL;
    _cleanup_(answers_reset) struct answers a = {.image = NULL};
    _cleanup_free_ char *text = NULL;
    struct config_findings f = {0};
    int r;

    (void)config_load(c->config_file, &cfg, &f);
    config_findings_free(&f);
    if (cfg && config_find(cfg, slug) && !arg_force)
        return ctl_fail(c, CTL_FAILED, "refused", "edit it, or --force replaces it",
            "there is a tenant %s: %s", slug, config_find(cfg, slug)->file);
    if (gather(slug, cfg, ask, &a) < 0)
        return ctl_fail(c, CTL_FAILED, "refused", NULL, "nothing was written");
    r = render(c, slug, &a, &text);
    return r == CTL_OK ? write_file(c, slug, &a, text) : r;
}

static int run(struct ctl *c, char **args, int n)
{
    bool ask = ask_possible() && !arg_yes && !c->json;
    _cleanup_free_ char *slug = n > 0 ? strdup(args[0]) : ask ? ask_text("Name of the tenant", "") : NULL;

    if (!slug)
        return ctl_fail(c, CTL_USAGE, "usage", "usage: clawsup init TENANT", "an argument is missing");
    if (!str_is_slug(slug))
        return ctl_fail(c, CTL_USAGE, "usage", "1 to 32 of a-z, 0-9 and single dashes inside",
            "'%s' is no name of a tenant", slug);
    return init(c, slug, ask);
}

static const struct ctl_option options[] = {
    {.name = "image", .arg = "IMAGE", .help = "of the gateway; default openclaw:latest", .value = &arg_image},
    {.name = "data-root", .arg = "DIR", .help = "default /data/tenants/TENANT", .value = &arg_data_root},
    {.name = "user",
        .arg = "UID:GID",
        .help = "that the gateway runs as; default 1000:1000",
        .value = &arg_user},
    {.name = "port",
        .arg = "HOST[:INSIDE]",
        .help = "on 127.0.0.1, and in the container; default a free one, 18789",
        .value = &arg_port},
    {.name = "health", .arg = "PATH", .help = "of the health check; default /healthz", .value = &arg_health},
    {.name = "sandbox-images",
        .arg = "IMAGE,...",
        .help = "that sandboxes may be made of",
        .value = &arg_sandbox_images},
    {.name = "cpus",
        .arg = "N",
        .help = "of gateway and sandboxes together; default 2.0",
        .value = &arg_cpus},
    {.name = "memory", .arg = "SIZE", .help = "of both together; default 4G", .value = &arg_memory},
    {.name = "pids", .arg = "N", .help = "of both together; default 1024", .value = &arg_pids},
    {.name = "disk", .arg = "SIZE", .help = "of the data; default unlimited", .value = &arg_disk},
    {.name = "output",
        .arg = "FILE",
        .help = "default tenants.d/TENANT.conf; - prints it",
        .value = &arg_output},
    {.name = "full", .help = "also every key that is not set, as a comment", .flag = &arg_full},
    {.name = "force", .help = "replace a file that is there", .flag = &arg_force},
    {.name = "yes", .help = "do not ask: take the defaults", .flag = &arg_yes},
};

const struct ctl_command verb_init = {
    .name = "init",
    .args = "[TENANT]",
    .summary = "write a commented tenant's file, from flags or answers",
    .details =
        "On a terminal it asks for what no flag gives; elsewhere, or with --yes, it takes the defaults. The\n"
        "port is the first that is free on this host and in the configuration. The file is checked alone "
        "and\n"
        "beside the other tenants before it stays; nothing is loaded until 'clawsup deploy'.",
    .examples = "  clawsup init acme\n"
                "  clawsup init acme --image openclaw:2026.1 --memory 2G --yes && clawsup deploy acme\n"
                "  clawsup init acme --full --output - | less\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .max_args = 1,
    .run = run,
};
