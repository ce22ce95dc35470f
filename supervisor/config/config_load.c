/* config_load.c: files: reads clawsup.conf and every tenant's file to the end, whatever is wrong with the
 * others, and hands the result to the checks. Reads regular files only, and nothing but these. */
#include "config/config_load.h"

#include <dirent.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/fd.h"
#include "base/str.h"
#include "config/config_value.h"

#define FILE_MAX (1024 * 1024)
#define TENANTS_MAX 1000

struct loader {
    struct config *config;
    struct config_findings *findings;
    struct config_locs locs;          /* of clawsup.conf */
    const config_setting_t *defaults; /* inside the parsed clawsup.conf; NULL */
    struct config_entries entries;
};

/* ---------------------------------------------------------------- struct config */

struct config *config_free(struct config *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->n_tenants; i++)
        (void)config_tenant_free(c->tenants[i]);
    free(c->tenants);
    free(c->file);
    free(c->tenants_dir);
    free(c->runtime_dir);
    free(c->state_dir);
    free(c->disk_images_dir);
    free(c->engine_socket);
    free(c->metrics_file);
    free(c->proxy_program);
    free(c->proxy_user);
    free(c->docker_gid);
    free(c->control_group);
    free(c);
    return NULL;
}

static struct config *config_new(const char *path)
{
    _cleanup_(config_freep) struct config *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->file = strdup(path);
    c->log_level = LOG_INFO;
    recovery_host_params_default(&c->recovery);
    if (!c->file || config_schema_defaults(&config_schema_host, c, NULL) < 0)
        return NULL;
    return TAKE_PTR(c);
}

const struct config_tenant *config_find(const struct config *c, const char *slug)
{
    size_t lo = 0, hi = c->n_tenants;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = strcmp(c->tenants[mid]->slug, slug);

        if (d == 0)
            return c->tenants[mid];
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* ---------------------------------------------------------------- one file */

static int finding_errno(struct config_findings *f, const char *path, int e)
{
    static const struct {
        int e;
        const char *text;
    } rows[] = {{ENOENT, "there is no such file; write one, or name another with --config"},
        {EACCES, "not readable for this user"}, {EISDIR, "a directory; a file is expected"},
        {EFBIG, "larger than 1 MiB; that is no configuration"},
        {ENODEV, "not a regular file; a file is expected"}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].e == -e)
            return config_findings_add(f, path, 0, "%s", rows[i].text);
    return config_findings_add(f, path, 0, "not readable: %s", strerrordesc_np(-e));
}

static int parse_error(const config_t *cf, const char *path, struct config_findings *f)
{
    const char *text = config_error_text(cf);
    unsigned line = (unsigned)MAX(config_error_line(cf), 1);

    if (text && strstr(text, "duplicate setting"))
        return config_findings_add(f, path, line, "duplicate key; a key may be written once in a group");
    if (text && strstr(text, "mismatched element"))
        return config_findings_add(f, path, line,
            "a list in [ ] has entries of one kind only; quote the texts, or write ( ) around a list of "
            "groups");
    return config_findings_add(f, path, line,
        "%s, here or just before; write KEY = VALUE; with a ';', texts in \"...\", groups in { }, lists in [ "
        "]",
        text ? text : "not readable");
}

/* Parses `path` into `cf` (made by config_init). 0; -EINVAL with a finding; -errno of reading, with one. */
static int parse_file(const char *path, config_t *cf, struct config_findings *f)
{
    _cleanup_free_ char *text = NULL;
    size_t before = f->n, len;
    struct stat st;
    int r = 0;

    if (stat(path, &st) < 0)
        r = -errno;
    else if (!S_ISREG(st.st_mode))
        r = S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
    if (r >= 0)
        r = fd_read_file(path, FILE_MAX, &text, &len);
    if (r < 0)
        return finding_errno(f, path, r) < 0 ? -ENOMEM : r;
    r = config_scan(text, len, path, f);
    if (r != 0)
        return r < 0 ? r : -EINVAL;
    if (config_read_string(cf, text) != CONFIG_TRUE)
        return parse_error(cf, path, f) < 0 ? -ENOMEM : -EINVAL;
    return f->n > before ? 1 : 0;
}

/* ---------------------------------------------------------------- clawsup.conf */

/* The values are only tried here, on a tenant that is thrown away; they are read again under each tenant. */
void config_read_defaults(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    _cleanup_(config_tenant_freep) struct config_tenant *scratch = config_tenant_new("defaults");
    struct config_reader sub = {
        .file = r->file, .findings = r->findings, .tenant = scratch, .in_defaults = true};

    (void)at;
    if (!scratch) {
        r->oom = -ENOMEM;
        return;
    }
    if (!config_setting_is_group(s)) {
        config_finding(r, s, "not a group; write %s = %s", k->name, k->form);
        return;
    }
    (void)config_path_push(&sub, "defaults");
    config_read_group(&sub, s, &config_schema_tenant, scratch);
    if (sub.oom < 0)
        r->oom = sub.oom;
}

static int read_host(struct loader *l, const config_t *cf)
{
    const config_setting_t *root = config_root_setting(cf), *d;
    struct config_reader r = {.file = l->config->file, .findings = l->findings, .locs = &l->locs};

    if (config_setting_get_member(root, "tenant"))
        return config_findings_add(l->findings, r.file,
            config_line(config_setting_get_member(root, "tenant")),
            "tenant: belongs into a file of its own, tenants.d/SLUG.conf");
    config_read_group(&r, root, &config_schema_host, l->config);
    d = config_setting_get_member(root, "defaults");
    if (d && config_setting_is_group(d))
        l->defaults = d;
    return r.oom;
}

static int default_tenants_dir(struct config *c)
{
    const char *slash = strrchr(c->file, '/');
    int n = slash ? (int)(slash - c->file) : 0;

    if (c->tenants_dir)
        return 0;
    if (asprintf(&c->tenants_dir, "%.*s%stenants.d", n, c->file, slash ? "/" : "") < 0) {
        c->tenants_dir = NULL;
        return -ENOMEM;
    }
    return 1;
}

static int default_images_dir(struct config *c)
{
    if (!c->disk_images_dir && asprintf(&c->disk_images_dir, "%s/images", c->state_dir) < 0) {
        c->disk_images_dir = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* ---------------------------------------------------------------- tenants */

static int entry_add(struct loader *l, struct config_tenant *t, struct config_entry **ret)
{
    struct config_entry *items = reallocarray(l->entries.items, l->entries.n + 1, sizeof(*items));

    if (!items) {
        (void)config_tenant_free(t);
        return -ENOMEM;
    }
    l->entries.items = items;
    items[l->entries.n] = (struct config_entry){.tenant = t};
    *ret = &items[l->entries.n++];
    return 0;
}

/* Reads `defaults` and then the tenant's own group into a new entry. */
static int read_tenant(struct loader *l, const char *path, const config_setting_t *group)
{
    const config_setting_t *slug = config_setting_get_member(group, "slug");
    const char *text = slug ? config_setting_get_string(slug) : NULL;
    bool valid = text && str_is_slug(text);
    struct config_tenant *t = config_tenant_new(valid ? text : "unnamed");
    struct config_reader r = {.findings = l->findings, .tenant = t};
    struct config_entry *e;
    int ret;

    if (!t)
        return -ENOMEM;
    t->file = strdup(path);
    t->line = config_line(group);
    ret = entry_add(l, t, &e);
    if (ret < 0 || !t->file)
        return -ENOMEM;
    e->slug_valid = valid;
    r.file = t->file;
    r.locs = &e->locs;
    if (l->defaults) {
        /* Without places: a cross check names the tenant's own line, or its file. */
        struct config_reader d = {
            .file = l->config->file, .findings = l->findings, .tenant = t, .in_defaults = true};

        (void)config_path_push(&d, "defaults");
        config_read_group(&d, l->defaults, &config_schema_tenant, t);
        r.oom = d.oom;
    }
    config_read_group(&r, group, &config_schema_tenant, t);
    if (!slug)
        config_finding(&r, group, "slug is missing; write slug = \"acme\";");
    if (!config_setting_get_member(group, "data_root"))
        config_finding(&r, group, "data_root is missing; write data_root = \"/data/tenants/%s\";",
            valid ? t->slug : "SLUG");
    return r.oom;
}

static int load_tenant(struct loader *l, const char *path)
{
    _cleanup_(config_destroy) config_t cf;
    const config_setting_t *root, *group;
    struct config_reader r = {.file = path, .findings = l->findings};
    int e;

    config_init(&cf);
    e = parse_file(path, &cf, l->findings);
    if (e < 0)
        return e == -ENOMEM ? e : 0;
    root = config_root_setting(&cf);
    group = config_setting_get_member(root, "tenant");
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(s);

        if (s != group)
            config_finding(&r, s, "unknown key %s; a tenant's file holds one group: tenant: { ... };",
                config_quote(name).text);
    }
    if (group && config_setting_is_group(group))
        e = read_tenant(l, path, group);
    else
        config_finding(&r, group, "no tenant here; write tenant: { slug = \"...\"; ... };");
    return r.oom < 0 ? r.oom : MIN(e, 0);
}

static int is_tenant_file(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return d->d_name[0] != '.' && n > 5 && str_eq(d->d_name + n - 5, ".conf");
}

static int load_tenants(struct loader *l, bool dir_is_default)
{
    const char *dir = l->config->tenants_dir;
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_tenant_file, alphasort), r = 0;

    if (n < 0 && errno == ENOENT)
        return dir_is_default ? 0
                              : config_findings_add(l->findings, dir, 0,
                                    "there is no such directory; tenants_dir must exist");
    if (n < 0)
        return config_findings_add(l->findings, dir, 0, "not readable: %s", strerrordesc_np(errno));
    if (n > TENANTS_MAX)
        r = config_findings_add(
            l->findings, dir, 0, "%d files; at most %d tenants on a host", n, TENANTS_MAX);
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = NULL;

        if (r >= 0 && i < TENANTS_MAX)
            r = asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0 ? (path = NULL, -ENOMEM)
                                                                    : load_tenant(l, path);
        free(names[i]);
    }
    free(names);
    return r;
}

/* ---------------------------------------------------------------- all of it */

static int by_slug(const void *a, const void *b)
{
    const struct config_entry *x = a, *y = b;
    int d = strcmp(x->tenant->slug, y->tenant->slug);

    return d ? d : strcmp(x->tenant->file, y->tenant->file);
}

static int check_all(struct loader *l)
{
    int r = config_validate_host(l->config, &l->locs, l->findings);

    if (l->entries.n > 0)
        qsort(l->entries.items, l->entries.n, sizeof(*l->entries.items), by_slug);
    for (size_t i = 0; i < l->entries.n && r >= 0; i++) {
        struct config_entry *e = &l->entries.items[i];

        r = config_tenant_finish(e->tenant, l->config);
        if (r >= 0)
            r = config_tenant_others(e, &l->entries, l->findings);
        if (r >= 0)
            r = config_validate_tenant(e, l->config, l->findings);
    }
    return r < 0 ? r : config_validate_tenants(&l->entries, l->findings);
}

static int load_all(struct loader *l, config_t *cf)
{
    int r = parse_file(l->config->file, cf, l->findings), dir;

    if (r < 0)
        return r;
    r = read_host(l, cf);
    if (r < 0)
        return r;
    dir = default_images_dir(l->config);
    if (dir >= 0)
        dir = default_tenants_dir(l->config);
    if (dir < 0)
        return dir;
    r = load_tenants(l, dir > 0);
    return r < 0 ? r : check_all(l);
}

/* Hands the tenants over to the config; the entries keep nothing. */
static int take_tenants(struct loader *l)
{
    struct config *c = l->config;

    c->tenants = calloc(l->entries.n + 1, sizeof(struct config_tenant *));
    if (!c->tenants)
        return -ENOMEM;
    for (size_t i = 0; i < l->entries.n; i++)
        c->tenants[c->n_tenants++] = TAKE_PTR(l->entries.items[i].tenant);
    return 0;
}

int config_load(const char *path, struct config **ret, struct config_findings *ret_findings)
{
    _cleanup_(config_destroy) config_t cf;
    _cleanup_(config_freep) struct config *c = config_new(path);
    struct config_findings findings = {};
    struct loader l = {.config = c, .findings = &findings};
    int r;

    config_init(&cf);
    r = c ? load_all(&l, &cf) : -ENOMEM;
    if (r >= 0)
        r = findings.n > 0 ? -EINVAL : take_tenants(&l);
    for (size_t i = 0; i < l.entries.n; i++) {
        (void)config_tenant_free(l.entries.items[i].tenant);
        config_locs_free(&l.entries.items[i].locs);
    }
    free(l.entries.items);
    config_locs_free(&l.locs);
    if (r < 0) {
        *ret_findings = findings;
        return r == -ENOENT || r == -EACCES || r == -ENOMEM ? r : -EINVAL;
    }
    *ret = TAKE_PTR(c);
    return 0;
}
