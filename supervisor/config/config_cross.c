/* config_cross.c: two tenants at a time: nothing that one owns may be, contain or answer for something of
 * another. The finding stands in the later tenant's file and names the place in the earlier one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/config_load.h"
#include "filter/names.h"

struct pair {
    const struct config_entry *a, *b; /* a comes first by slug, then by file */
    struct config_findings *f;
};

/* "PATH: WHAT at FILE:LINE; VALID", in b's file. */
static int clash(
    const struct pair *p, const char *path_b, const char *path_a, const char *what, const char *valid)
{
    const struct config_loc *b = config_locs_find(&p->b->locs, path_b);
    const struct config_loc *a = config_locs_find(&p->a->locs, path_a);

    return config_findings_add(p->f, p->b->tenant->file, b ? b->line : p->b->tenant->line,
        "%s: %s at %s:%u; %s", path_b, what, p->a->tenant->file, a ? a->line : p->a->tenant->line, valid);
}

static bool overlaps(const char *a, const char *b)
{
    return a && b && (str_path_covers(a, b) || str_path_covers(b, a));
}

/* ---------------------------------------------------------------- sockets and ports */

static bool same_listen(const struct config_listen *a, const struct config_listen *b)
{
    if (!a->text || !b->text)
        return false; /* one that was not valid */
    if (a->is_unix || b->is_unix)
        return a->is_unix && b->is_unix && str_eq(a->path, b->path);
    return a->port == b->port && str_eq(a->address, b->address);
}

static int listens(const struct pair *p)
{
    const struct config_proxy *a = &p->a->tenant->proxy, *b = &p->b->tenant->proxy;
    int r = 0;

    for (size_t j = 0; j < b->n_listen && r >= 0; j++)
        for (size_t i = 0; i < (p->a == p->b ? j : a->n_listen) && r >= 0; i++) {
            char pa[64], pb[64];

            (void)snprintf(pa, sizeof(pa), "proxy.listen[%zu]", i);
            (void)snprintf(pb, sizeof(pb), "proxy.listen[%zu]", j);
            if (same_listen(&a->listen[i], &b->listen[j]))
                r = clash(p, pb, pa, "this socket is already used", "each socket needs its own path or port");
        }
    return r;
}

/* Every container of a tenant with the path of its group. */
struct container {
    char path[32];
    const struct config_gateway *g;
};

static size_t containers_of(const struct config_tenant *t, struct container ret[static CONFIG_PARTS_MAX])
{
    size_t n = 0;

    ret[n++] = (struct container){.path = "gateway", .g = &t->gateway};
    for (size_t i = 0; i < t->n_components; i++) {
        ret[n].g = &t->components[i].container;
        (void)snprintf(ret[n++].path, sizeof(ret[0].path), "components[%zu]", i);
    }
    return n;
}

static int ports_of(const struct pair *p, const struct container *a, const struct container *b)
{
    int r = 0;

    for (size_t j = 0; j < b->g->n_ports && r >= 0; j++)
        for (size_t i = 0; i < (a->g == b->g ? j : a->g->n_ports) && r >= 0; i++) {
            char pa[64], pb[64], what[64];

            (void)snprintf(pa, sizeof(pa), "%.31s.publish[%zu]", a->path, i);
            (void)snprintf(pb, sizeof(pb), "%.31s.publish[%zu]", b->path, j);
            (void)snprintf(what, sizeof(what), "host port %u is already published", b->g->ports[j].host_port);
            if (a->g->ports[i].host_port > 0 && a->g->ports[i].host_port == b->g->ports[j].host_port &&
                str_eq(a->g->ports[i].host_address, b->g->ports[j].host_address))
                r = clash(p, pb, pa, what, "choose another host port");
        }
    return r;
}

static int ports(const struct pair *p)
{
    struct container a[CONFIG_PARTS_MAX], b[CONFIG_PARTS_MAX];
    size_t n = containers_of(p->a->tenant, a), m = containers_of(p->b->tenant, b);
    int r = 0;

    for (size_t j = 0; j < m && r >= 0; j++)
        for (size_t i = 0; i < (p->a == p->b ? j + 1 : n) && r >= 0; i++)
            r = ports_of(p, &a[i], &b[j]);
    return r;
}

/* A published port of one against a tcp socket of the other's proxy. */
static int port_listens(const struct pair *p, bool swap, const struct container *c)
{
    const struct config_proxy *x = &(swap ? p->a : p->b)->tenant->proxy;
    int r = 0;

    for (size_t i = 0; i < c->g->n_ports && r >= 0; i++)
        for (size_t j = 0; j < x->n_listen && r >= 0; j++) {
            char port[64], listen[64];

            (void)snprintf(port, sizeof(port), "%.31s.publish[%zu]", c->path, i);
            (void)snprintf(listen, sizeof(listen), "proxy.listen[%zu]", j);
            if (x->listen[j].port > 0 && c->g->ports[i].host_port == x->listen[j].port &&
                str_eq(c->g->ports[i].host_address, x->listen[j].address))
                r = clash(p, swap ? port : listen, swap ? listen : port,
                    "this address and port are already used", "choose another port");
        }
    return r;
}

static int ports_listens(const struct pair *p, bool swap)
{
    struct container c[CONFIG_PARTS_MAX];
    size_t n = containers_of((swap ? p->b : p->a)->tenant, c);
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = port_listens(p, swap, &c[i]);
    return r;
}

/* ---------------------------------------------------------------- directories */

static int roots(const struct pair *p)
{
    const struct config_tenant *a = p->a->tenant, *b = p->b->tenant;
    int r = 0;

    if (overlaps(a->data_root, b->data_root))
        r = clash(p, "data_root", "data_root", "overlaps the data_root", "tenants need directories apart");
    for (size_t i = 0; i < b->policy->bind_mount_from.n && r >= 0; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "proxy.bind_mount_from[%zu]", i);
        if (overlaps(a->data_root, b->policy->bind_mount_from.items[i]))
            r = clash(p, path, "data_root", "overlaps another tenant's data_root",
                "a directory below this tenant's data_root");
    }
    for (size_t i = 0; i < a->policy->bind_mount_from.n && r >= 0; i++) {
        struct pair back = {.a = p->b, .b = p->a, .f = p->f};
        char path[64];

        (void)snprintf(path, sizeof(path), "proxy.bind_mount_from[%zu]", i);
        if (overlaps(b->data_root, a->policy->bind_mount_from.items[i]))
            r = clash(&back, path, "data_root", "overlaps another tenant's data_root",
                "a directory below this tenant's data_root");
    }
    return r;
}

/* A container's mount out of another tenant's directories: that one could put a link there. */
static int mounts(const struct pair *p, bool swap)
{
    const struct pair pair = {.a = swap ? p->b : p->a, .b = swap ? p->a : p->b, .f = p->f};
    struct container all[CONFIG_PARTS_MAX];
    size_t n = containers_of(pair.b->tenant, all);
    const char *root = pair.a->tenant->data_root;
    int r = 0;

    for (size_t k = 0; k < n && root; k++)
        for (size_t i = 0; i < all[k].g->n_mounts && r >= 0; i++) {
            const char *source = all[k].g->mounts[i].source;
            char path[64];

            (void)snprintf(path, sizeof(path), "%.31s.mounts[%zu]", all[k].path, i);
            if (source && str_path_covers(root, source))
                r = clash(&pair, path, "data_root", "lies in another tenant's data_root",
                    "name a directory outside of it");
        }
    return r;
}

/* ---------------------------------------------------------------- names */

/* A name or a label, and where it was written. */
struct handle {
    char path[48];
    const char *name, *label;
};

static size_t handles_of(const struct config_tenant *t, struct handle ret[static CONFIG_PARTS_MAX])
{
    struct container c[CONFIG_PARTS_MAX];
    size_t n = containers_of(t, c);

    for (size_t i = 0; i < n; i++) {
        ret[i].name = c[i].g->name;
        ret[i].label = c[i].g->match_label;
        (void)snprintf(ret[i].path, sizeof(ret[i].path), "%.31s.%s", c[i].path,
            ret[i].label ? "match_label" : (i == 0 ? "name" : "container"));
    }
    ret[n].name = t->proxy.name;
    ret[n].label = t->proxy.match_label;
    (void)snprintf(
        ret[n].path, sizeof(ret[n].path), "proxy.%s", t->proxy.match_label ? "match_label" : "name");
    return n + 1;
}

static int containers(const struct pair *p)
{
    struct handle a[CONFIG_PARTS_MAX], b[CONFIG_PARTS_MAX];
    size_t n = handles_of(p->a->tenant, a), m = handles_of(p->b->tenant, b);
    int r = 0;

    for (size_t j = 0; j < m && r >= 0; j++)
        for (size_t i = 0; i < (p->a == p->b ? j : n) && r >= 0; i++)
            if ((a[i].name && str_eq(a[i].name, b[j].name)) || (a[i].label && str_eq(a[i].label, b[j].label)))
                r = clash(p, b[j].path, a[i].path, "this container is already used",
                    p->a == p->b ? "each component needs one of its own"
                                 : "each tenant needs containers of its own");
    return r;
}

/* A name that the tenant's own sandboxes would have: the pattern with its wildcards filled in. */
static void sample_name(const struct policy *p, char *out, size_t n)
{
    const char *pattern = p->match_container_name;

    if (p->names == POLICY_NAMES_SCOPED && pattern && !str_startswith(pattern, "regex:")) {
        (void)snprintf(out, n, "%s", pattern);
        for (; *out; out++)
            if (*out == '*' || *out == '?')
                *out = 'x';
    } else if (p->names == POLICY_NAMES_NAMESPACED && p->name_prefix) {
        (void)snprintf(out, n, "%sx", p->name_prefix);
    } else {
        (void)snprintf(out, n, "openclaw-sbx-%s-x", p->tenant);
    }
}

/* Prefix overlap alone ("a" and "a-b") is fine: the filter refuses names behind the longer prefix. A pattern
 * that was written so that it takes another tenant's names is not. */
static int patterns(const struct config_entries *all, struct config_findings *f)
{
    int r = 0;

    for (size_t i = 0; i < all->n && r >= 0; i++) {
        const struct config_entry *e = &all->items[i];
        const struct policy *p = e->tenant->policy;
        const char *key =
            p->names == POLICY_NAMES_SCOPED ? "proxy.match_container_name" : "proxy.name_prefix";
        const struct config_loc *loc = config_locs_exact(&e->locs, key);
        _cleanup_names_ struct names *names = NULL;
        char sample[POLICY_PATTERN_MAX + 1];

        if (!loc || !e->slug_valid || names_new(p, &names, NULL) < 0)
            continue;
        for (size_t j = 0; j < all->n && r >= 0; j++) {
            const struct config_entry *o = &all->items[j];
            struct pair pair = {.a = o, .b = e, .f = f};

            if (j == i || !o->slug_valid || str_eq(o->tenant->slug, e->tenant->slug))
                continue;
            sample_name(o->tenant->policy, sample, sizeof(sample));
            if (names_is_own(names, sample))
                r = clash(&pair, key, "proxy", "takes container names of another tenant",
                    "a pattern that begins with \"openclaw-sbx-SLUG-\"");
        }
    }
    return r;
}

static int slugs(const struct pair *p)
{
    char what[SLUG_MAX + 32];

    (void)snprintf(what, sizeof(what), "\"%s\" is already used", p->a->tenant->slug);
    return clash(p, "slug", "slug", what, "each tenant needs its own");
}

static int check_pair(const struct pair *p)
{
    bool same = p->a == p->b, valid = p->a->slug_valid && p->b->slug_valid;
    bool twin = !same && valid && str_eq(p->a->tenant->slug, p->b->tenant->slug);
    int r = twin ? slugs(p) : 0;

    /* What follows from a slug clashes with it, or has no meaning without: only what was written counts. */
    if (r >= 0 && !twin && (same || valid))
        r = listens(p);
    if (r >= 0 && !twin && valid)
        r = containers(p);
    if (r >= 0)
        r = ports(p);
    if (r >= 0)
        r = ports_listens(p, false);
    if (r >= 0 && !same)
        r = ports_listens(p, true);
    if (r >= 0 && !same)
        r = mounts(p, false);
    if (r >= 0 && !same)
        r = mounts(p, true);
    return r < 0 || same ? r : roots(p);
}

int config_validate_tenants(const struct config_entries *all, struct config_findings *f)
{
    int r = 0;

    for (size_t j = 0; j < all->n && r >= 0; j++)
        for (size_t i = 0; i <= j && r >= 0; i++)
            r = check_pair(&(struct pair){.a = &all->items[i], .b = &all->items[j], .f = f});
    return r < 0 ? r : patterns(all, f);
}
