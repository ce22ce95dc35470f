/* config_validate.c: checks within one tenant, and within the host, that look at more than one value. Each
 * finding stands at the line of the value to change. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/config_load.h"
#include "config/config_value.h"

/* A finding at `path` of the entry, or at the nearest group that was written. */
static int at(const struct config_entry *e, struct config_findings *f, const char *path, const char *text)
{
    const struct config_loc *loc = config_locs_find(&e->locs, path);

    return config_findings_add(
        f, loc ? loc->file : e->tenant->file, loc ? loc->line : e->tenant->line, "%s: %s", path, text);
}

static int at_host(const struct config *c, const struct config_locs *locs, struct config_findings *f,
    const char *path, const char *text)
{
    const struct config_loc *loc = config_locs_find(locs, path);

    return config_findings_add(f, c->file, loc ? loc->line : 1, "%s: %s", path, text);
}

/* The recovery room calls the host's numbers "host.KEY"; here their group is "recovery". */
static int host_recovery(
    const struct config *c, const struct config_locs *locs, struct config_findings *f, const char *text)
{
    _cleanup_buf_ struct buf b = {};
    const char *host, *colon;
    char path[64];
    int r = 0;

    for (; r >= 0 && (host = strstr(text, "host.")); text = host + 5)
        r = buf_addf(&b, "%.*srecovery.", (int)(host - text), text);
    if (r >= 0)
        r = buf_adds(&b, text);
    if (r < 0)
        return r;
    colon = strstr(b.data, ": ");
    (void)snprintf(path, sizeof(path), "%.*s", colon ? (int)(colon - b.data) : 0, b.data);
    return at_host(c, locs, f, path, colon ? colon + 2 : b.data);
}

int config_validate_host(const struct config *c, const struct config_locs *locs, struct config_findings *f)
{
    struct err e = {};
    int r = 0;

    if (str_path_covers(c->runtime_dir, c->state_dir) || str_path_covers(c->state_dir, c->runtime_dir))
        r = at_host(c, locs, f, "state_dir",
            "lies in runtime_dir or around it; state must survive a reboot, sockets must not");
    else if (c->disk_images_dir && str_path_covers(c->runtime_dir, c->disk_images_dir))
        r = at_host(
            c, locs, f, "disk_images_dir", "lies in runtime_dir; the tenants' disks must survive a reboot");
    if (r >= 0 && str_path_covers(c->runtime_dir, c->engine_socket))
        r = at_host(c, locs, f, "engine_socket",
            "lies in runtime_dir, which is clawsup's own; name the socket of dockerd");
    if (r >= 0 && recovery_host_params_validate(&c->recovery, &e) < 0)
        r = host_recovery(c, locs, f, e.msg);
    return r;
}

/* The engine under both of its usual names: whoever mounts it is root on the host. */
static bool covers_engine(const struct config *c, const char *path)
{
    return str_path_covers(path, c->engine_socket) || str_path_covers(path, "/run/docker.sock") ||
           str_path_covers(path, "/var/run/docker.sock");
}

static bool overlaps(const char *a, const char *b)
{
    return str_path_covers(a, b) || str_path_covers(b, a);
}

static int indexed(
    const struct config_entry *e, struct config_findings *f, const char *path, size_t i, const char *text)
{
    char p[128];

    (void)snprintf(p, sizeof(p), "%s[%zu]", path, i);
    return at(e, f, p, text);
}

/* ---------------------------------------------------------------- paths */

static int validate_listen(const struct config_entry *e, const struct config *c, struct config_findings *f)
{
    const struct config_tenant *t = e->tenant;
    char own[128];
    int r = 0;

    (void)snprintf(own, sizeof(own), "%s/%s", c->runtime_dir, t->slug);
    for (size_t i = 0; i < t->proxy.n_listen && r >= 0; i++) {
        const char *path = t->proxy.listen[i].path;

        if (!path || t->proxy.mode == CONFIG_EXTERNAL)
            continue;
        if (str_path_covers(c->runtime_dir, path) && (!str_path_covers(own, path) || str_eq(own, path)))
            r = indexed(e, f, "proxy.listen", i,
                "lies in runtime_dir but not in the tenant's own directory; RUNTIME_DIR/SLUG/NAME.sock");
        else if (t->data_root && str_path_covers(t->data_root, path))
            r = indexed(e, f, "proxy.listen", i,
                "lies in data_root, where the tenant could replace it; RUNTIME_DIR/SLUG/NAME.sock");
        else if (str_eq(path, c->engine_socket))
            r = indexed(e, f, "proxy.listen", i, "is the engine's own socket; RUNTIME_DIR/SLUG/NAME.sock");
    }
    return r;
}

/* The control socket of the tenant's proxy is the longest name that clawsup makes itself. */
static int validate_socket_length(
    const struct config_entry *e, const struct config *c, struct config_findings *f)
{
    const struct config_loc *loc = config_locs_find(&e->locs, "slug");
    size_t n = strlen(c->runtime_dir) + strlen("/.supervisor/proxy/.sock") + strlen(e->tenant->slug);

    if (n <= CONFIG_LISTEN_PATH_MAX)
        return 0;
    return config_findings_add(f, e->tenant->file, loc ? loc->line : e->tenant->line,
        "slug: %s/.supervisor/proxy/%s.sock has %zu bytes; a socket's path at most %d: shorten runtime_dir "
        "or the slug",
        c->runtime_dir, e->tenant->slug, n, CONFIG_LISTEN_PATH_MAX);
}

static int validate_paths(const struct config_entry *e, const struct config *c, struct config_findings *f)
{
    const struct config_tenant *t = e->tenant;
    const struct policy_list *roots = &t->policy->bind_mount_from;
    int r = 0;

    if (t->data_root && (overlaps(t->data_root, c->runtime_dir) || overlaps(t->data_root, c->state_dir)))
        r = at(
            e, f, "data_root", "overlaps runtime_dir or state_dir of clawsup; choose a directory of its own");
    else if (t->data_root && overlaps(t->data_root, c->disk_images_dir))
        r = at(e, f, "data_root", "overlaps disk_images_dir, where the tenants' disks are kept");
    for (size_t i = 0; i < roots->n && r >= 0; i++)
        if (overlaps(roots->items[i], c->runtime_dir) || overlaps(roots->items[i], c->state_dir) ||
            overlaps(roots->items[i], c->disk_images_dir) || covers_engine(c, roots->items[i]))
            r = indexed(e, f, "proxy.bind_mount_from", i,
                "reaches clawsup's own directories or the engine's socket; a directory below data_root");
    if (r >= 0)
        r = validate_socket_length(e, c, f);
    return r < 0 ? r : validate_listen(e, c, f);
}

/* ---------------------------------------------------------------- modes */

/* A finding at PREFIX.KEY. */
static int below(const struct config_entry *e, struct config_findings *f, const char *prefix, const char *key,
    const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s.%s", prefix, key);
    return at(e, f, path, text);
}

static bool written(const struct config_entry *e, const char *prefix, const char *key)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s.%s", prefix, key);
    return config_locs_exact(&e->locs, path) != NULL;
}

static int validate_mode(const struct config_entry *e, struct config_findings *f, const char *prefix,
    const struct config_gateway *g)
{
    static const char *const managed_only[] = {"image", "command", "entrypoint", "env", "env_file", "user",
        "data_target", "mounts", "publish", "internal", "docker_host_tcp"};
    int r = 0;

    if (g->mode == CONFIG_MANAGED && !g->image && !written(e, prefix, "image"))
        r = below(e, f, prefix, "image", "missing; write image = \"...\"; or mode = \"external\";");
    if (r >= 0 && g->mode == CONFIG_MANAGED && g->match_label)
        r = below(
            e, f, prefix, "match_label", "finds an external container; write mode = \"external\"; with it");
    if (r >= 0 && g->mode == CONFIG_EXTERNAL && g->match_label && g->name)
        r = below(e, f, prefix, "match_label", "stands beside the container's name; write one of the two");
    for (size_t i = 0; i < ARRAY_SIZE(managed_only) && g->mode == CONFIG_EXTERNAL && r >= 0; i++)
        if (written(e, prefix, managed_only[i]))
            r = below(e, f, prefix, managed_only[i],
                "has no effect on an external container; whoever makes it decides; remove the key");
    return r;
}

static int validate_check(const struct config_entry *e, struct config_findings *f, const char *prefix,
    const struct config_health *h)
{
    int r = 0;

    if (h->type == CONFIG_CHECK_HTTP && !h->url)
        r = below(e, f, prefix, "health",
            "has type \"http\" but no url; write url = \"http://127.0.0.1:PORT/healthz\"");
    if (r >= 0 && h->type == CONFIG_CHECK_TCP && !h->address[0])
        r = below(e, f, prefix, "health", "has type \"tcp\" but no address; write tcp = \"127.0.0.1:PORT\"");
    if (r >= 0 && h->url && h->address[0])
        r = below(e, f, prefix, "health.tcp", "stands beside url; write one of the two");
    if (r >= 0 && h->type != CONFIG_CHECK_HTTP && h->json_field && written(e, prefix, "health.expect_json"))
        r = below(e, f, prefix, "health.expect_json",
            "needs a url to ask; write url = \"http://127.0.0.1:PORT/healthz\"");
    if (r >= 0 && h->start_deadline_us < h->timeout_us)
        r = below(e, f, prefix, "health.start_deadline", "is shorter than timeout; make it longer");
    return r;
}

/* Below a directory that the tenant's gateway or sandboxes have as their own. */
static bool is_writable_for(const struct config_tenant *t, const char *path)
{
    const struct policy_list *roots = &t->policy->bind_mount_from;
    bool found = t->data_root && !str_eq(t->data_root, path) && str_path_covers(t->data_root, path);

    for (size_t i = 0; i < roots->n; i++)
        found = found || (!str_eq(roots->items[i], path) && str_path_covers(roots->items[i], path));
    return found;
}

int config_validate_container(const struct config_entry *e, const struct config *c, struct config_findings *f,
    const char *prefix, const struct config_gateway *g)
{
    const char *root = e->tenant->data_root;
    char path[64];
    int r = 0;

    (void)snprintf(path, sizeof(path), "%s.mounts", prefix);
    for (size_t i = 0; i < g->n_mounts && r >= 0; i++) {
        const char *source = g->mounts[i].source;

        if (source && covers_engine(c, source))
            r = indexed(e, f, path, i,
                "would give the container the engine's socket, and with it the host; mount something "
                "narrower");
        else if (source && is_writable_for(e->tenant, source))
            r = indexed(e, f, path, i,
                "lies where the tenant writes, and could be made a link to any file of the host, which the "
                "engine follows at each start; name a directory outside of data_root and bind_mount_from");
    }
    if (r >= 0 && g->env_file && root && str_path_covers(root, g->env_file))
        r = below(e, f, prefix, "env_file",
            "lies in data_root, where the tenant could make it a link to any file; such as "
            "\"/etc/clawsup/env/SLUG\"");
    if (r >= 0)
        r = validate_mode(e, f, prefix, g);
    return r < 0 ? r : validate_check(e, f, prefix, &g->health);
}

static int validate_proxy(const struct config_entry *e, struct config_findings *f)
{
    const struct config_proxy *p = &e->tenant->proxy;
    bool external = p->mode == CONFIG_EXTERNAL;
    int r = 0;

    if (!external && (p->name || p->match_label))
        r = at(e, f, p->name ? "proxy.name" : "proxy.match_label",
            "finds an external proxy; write mode = \"external\"; with it");
    if (r >= 0 && external && !p->name == !p->match_label)
        r = at(e, f, "proxy.mode", "\"external\" needs either name or match_label; write one of the two");
    if (r >= 0 && !external && config_locs_exact(&e->locs, "proxy.health.url"))
        r = at(e, f, "proxy.health.url",
            "is for an external proxy; the embedded one is asked on its own socket");
    if (r >= 0 && !external && config_locs_exact(&e->locs, "proxy.health.unix_socket"))
        r = at(e, f, "proxy.health.unix_socket",
            "is for an external proxy; the embedded one is asked on its own socket");
    if (r >= 0 && !external && e->tenant->gateway.docker_host_tcp &&
        e->tenant->gateway.mode == CONFIG_MANAGED) {
        bool tcp = false;

        for (size_t i = 0; i < p->n_listen; i++)
            tcp = tcp || !p->listen[i].is_unix;
        if (!tcp)
            r = at(e, f, "gateway.docker_host_tcp",
                "needs a tcp socket of the proxy; add \"tcp://BRIDGE_ADDRESS:2375\" to proxy.listen");
    }
    return r;
}

/* ---------------------------------------------------------------- limits, policy, recovery */

static int cap(const struct config_entry *e, struct config_findings *f, const char *key, uint64_t sandbox,
    uint64_t tenant)
{
    const struct config_loc *loc;
    char path[64];

    if (tenant == 0 || sandbox <= tenant)
        return 0;
    (void)snprintf(path, sizeof(path), "limits.sandbox.%s", key);
    loc = config_locs_find(&e->locs, path);
    return config_findings_add(f, loc ? loc->file : e->tenant->file, loc ? loc->line : e->tenant->line,
        "%s: one sandbox may use more than the whole tenant; at most limits.%s", path, key);
}

static int validate_limits(const struct config_entry *e, struct config_findings *f)
{
    const struct config_limits *l = &e->tenant->limits;
    const struct policy *p = e->tenant->policy;
    int r = cap(e, f, "cpus", p->nano_cpus, l->nano_cpus);

    if (r >= 0)
        r = cap(e, f, "memory", p->memory_bytes, l->memory_bytes);
    return r < 0 ? r : cap(e, f, "pids", p->pids, l->pids);
}

/* The group whose key the text of a lower room begins with, so that the finding gets that key's line. */
static int lower(const struct config_entry *e, struct config_findings *f, const char *text)
{
    static const char *const groups[] = {"", "proxy.", "proxy.allow.", "limits.sandbox."};
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.[]");

    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        const struct config_loc *loc;
        char path[128];

        (void)snprintf(path, sizeof(path), "%s%.*s", groups[i], (int)MIN(n, (size_t)64), text);
        loc = config_locs_exact(&e->locs, path);
        if (loc)
            return config_findings_add(f, loc->file, loc->line, "%s%s", groups[i], text);
    }
    return config_findings_add(f, e->tenant->file, e->tenant->line, "%s", text);
}

/* A component's own numbers may be impossible only together with the tenant's. */
static int validate_recovery(const struct config_entry *e, struct config_findings *f)
{
    const struct config_tenant *t = e->tenant;
    char text[sizeof(((struct err *)0)->msg) + 64];
    struct err err = {};
    int r = 0;

    if (recovery_params_validate(&t->recovery, &err) < 0)
        return lower(e, f, err.msg);
    for (unsigned part = 0; part < 2 + t->n_components && r >= 0; part++) {
        const struct recovery_params *p = part == 0   ? &t->proxy.recovery
                                          : part == 1 ? &t->gateway.recovery
                                                      : &t->components[part - 2].container.recovery;

        if (recovery_params_validate(p, &err) >= 0)
            continue;
        if (part < 2)
            (void)snprintf(text, sizeof(text), "%s.%s", part == 0 ? "proxy" : "gateway", err.msg);
        else
            (void)snprintf(text, sizeof(text), "components[%u].%s", part - 2, err.msg);
        r = lower(e, f, text);
    }
    return r;
}

int config_validate_tenant(const struct config_entry *e, const struct config *c, struct config_findings *f)
{
    struct policy policy = *e->tenant->policy; /* borrows everything */
    const struct config_health *p = &e->tenant->proxy.health;
    size_t before = f->n;
    struct err err = {};
    int r = validate_paths(e, c, f);

    if (r >= 0)
        r = config_validate_container(e, c, f, "gateway", &e->tenant->gateway);
    if (r >= 0)
        r = config_validate_components(e, c, f);
    if (r >= 0)
        r = validate_proxy(e, f);
    if (r >= 0 && p->start_deadline_us < p->timeout_us)
        r = at(e, f, "proxy.health.start_deadline", "is shorter than timeout; make it longer");
    if (r >= 0)
        r = validate_limits(e, f);
    if (r >= 0)
        r = validate_recovery(e, f);
    policy.network_name = NULL; /* goes with an id that only the running daemon knows */
    /* The policy's own check repeats ours in other words: it speaks only when nothing else did. */
    if (r >= 0 && f->n == before && policy_validate(&policy, &err) < 0)
        r = lower(e, f, err.msg);
    return r;
}
