/* config_component.c: a tenant's components beside proxy and gateway: reading, what follows from other
 * values, the order in which they start, and what is wrong with them. */
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/config_load.h"
#include "config/config_value.h"

static const struct config_strv *after_of(const struct config_tenant *t, unsigned part)
{
    static const struct config_strv none = {};

    if (part == CONFIG_PART_PROXY)
        return &none;
    return part == CONFIG_PART_GATEWAY ? &t->gateway.after
                                       : &t->components[part - CONFIG_PART_FIRST_COMPONENT].container.after;
}

static size_t parts(const struct config_tenant *t)
{
    return CONFIG_PART_FIRST_COMPONENT + t->n_components;
}

static const char *part_name(const struct config_tenant *t, unsigned part)
{
    static const char *const names[] = {"proxy", "gateway"};

    return part < ARRAY_SIZE(names) ? names[part] : t->components[part - CONFIG_PART_FIRST_COMPONENT].name;
}

static int part_find(const struct config_tenant *t, const char *name)
{
    for (unsigned i = 0; i < parts(t); i++)
        if (str_eq(part_name(t, i), name))
            return (int)i;
    return -ENOENT;
}

/* ---------------------------------------------------------------- reading */

void config_components_free(struct config_tenant *t)
{
    for (size_t i = 0; i < t->n_components; i++) {
        free(t->components[i].name);
        config_gateway_free(&t->components[i].container);
    }
    free(t->components);
    t->components = NULL;
    t->n_components = 0;
}

void config_read_components(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct config_tenant *t = at;
    int n = config_read_count(r, s, k);
    struct config_component *items;

    if (n < 0)
        return;
    items = calloc((size_t)n + 1, sizeof(*items));
    if (!items) {
        r->oom = -ENOMEM;
        return;
    }
    config_components_free(t);
    t->components = items;
    for (int i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        struct config_component *c = &items[t->n_components++];
        size_t mark = config_path_push_index(r, (size_t)i);

        config_loc_record(r, item);
        c->container.health.type = _CONFIG_CHECK_TYPE_MAX;
        if (config_schema_defaults(k->group, c, t) < 0)
            r->oom = -ENOMEM;
        if (config_setting_is_group(item))
            config_read_group(r, item, k->group, c);
        if (!config_setting_is_group(item) || !config_setting_get_member(item, "name"))
            config_finding(r, item, "has no name; { name = \"memory\"; image = \"redis:7\"; }");
        config_path_pop(r, mark);
    }
}

int config_components_finish(struct config_tenant *t)
{
    for (size_t i = 0; i < t->n_components; i++) {
        struct config_component *c = &t->components[i];

        config_inherit_recovery(&c->container.recovery, &t->recovery);
        config_default_check(&c->container.health, &c->container.recovery);
        /* A dot is in no slug: no other tenant's container can have this name. */
        if (c->name && c->container.mode == CONFIG_MANAGED && !c->container.name &&
            asprintf(&c->container.name, "clawsup-%s.%s", t->slug, c->name) < 0) {
            c->container.name = NULL;
            return -ENOMEM;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- order */

uint32_t config_part_after(const struct config_tenant *t, unsigned part)
{
    const struct config_strv *after = after_of(t, part);
    uint32_t mask = part == CONFIG_PART_GATEWAY ? UINT32_C(1) << CONFIG_PART_PROXY : 0;

    for (size_t i = 0; i < after->n; i++) {
        int other = part_find(t, after->items[i]);

        if (other >= 0)
            mask |= UINT32_C(1) << other;
    }
    return mask;
}

size_t config_start_order(const struct config_tenant *t, unsigned ret_parts[static CONFIG_PARTS_MAX])
{
    uint32_t done = 0;
    size_t n = 0;
    bool more = true;

    /* The proxy first, and the gateway as late as the components that nothing asks to wait for it. */
    while (more) {
        more = false;
        for (unsigned k = 0; k < parts(t); k++) {
            unsigned part = k == 0 ? CONFIG_PART_PROXY : k + 1 < parts(t) ? k + 1 : CONFIG_PART_GATEWAY;

            if (!(done & (UINT32_C(1) << part)) && !(config_part_after(t, part) & ~done)) {
                done |= UINT32_C(1) << part;
                ret_parts[n++] = part;
                more = true;
                break;
            }
        }
    }
    return n;
}

/* ---------------------------------------------------------------- checks */

static int found(const struct config_entry *e, struct config_findings *f, const char *path, const char *fmt,
    ...) _printf_(4, 5);
static int found(
    const struct config_entry *e, struct config_findings *f, const char *path, const char *fmt, ...)
{
    const struct config_loc *loc = config_locs_find(&e->locs, path);
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return config_findings_add(
        f, loc ? loc->file : e->tenant->file, loc ? loc->line : e->tenant->line, "%s: %s", path, text);
}

static void after_path(unsigned part, char *out, size_t n)
{
    if (part == CONFIG_PART_GATEWAY)
        (void)snprintf(out, n, "gateway.after");
    else
        (void)snprintf(out, n, "components[%u].after", part - CONFIG_PART_FIRST_COMPONENT);
}

static int validate_name(const struct config_entry *e, struct config_findings *f, size_t i)
{
    /* "extra" is what the metrics call them all together; NAME.old and NAME.new are a redeploy's. */
    static const char *const reserved[] = {"proxy", "gateway", "extra", "old", "new"};
    const struct config_tenant *t = e->tenant;
    char path[64];

    (void)snprintf(path, sizeof(path), "components[%zu].name", i);
    for (size_t k = 0; k < ARRAY_SIZE(reserved); k++)
        if (str_eq(t->components[i].name, reserved[k]))
            return found(e, f, path, "\"%s\" has a meaning of its own; choose another name", reserved[k]);
    for (size_t k = 0; k < i; k++)
        if (str_eq(t->components[i].name, t->components[k].name))
            return found(e, f, path, "\"%s\" is already the name of components[%zu]; choose another name",
                t->components[i].name, k);
    return 0;
}

static int validate_after(const struct config_entry *e, struct config_findings *f, unsigned part)
{
    const struct config_tenant *t = e->tenant;
    const struct config_strv *after = after_of(t, part);
    int r = 0;

    for (size_t i = 0; i < after->n && r >= 0; i++) {
        _cleanup_buf_ struct buf known = {};
        char path[96];
        size_t n;

        after_path(part, path, sizeof(path));
        n = strlen(path);
        (void)snprintf(path + n, sizeof(path) - n, "[%zu]", i);
        if (str_eq(after->items[i], part_name(t, part)))
            r = found(e, f, path, "waits for itself; take it out");
        else if (part_find(t, after->items[i]) < 0) {
            for (unsigned k = 0; k < parts(t) && r >= 0; k++)
                if (k != part && part_name(t, k))
                    r = buf_addf(&known, "%s\"%s\"", known.len ? ", " : "", part_name(t, k));
            if (r >= 0)
                r = found(e, f, path, "\"%s\" is no component of this tenant; known here: %s",
                    after->items[i], known.data ? known.data : "");
        }
    }
    return r;
}

/* Walks from a part that cannot start to one that it waits for and that cannot start either, until one comes
 * again: the way from there is the loop. */
static int validate_order(const struct config_entry *e, struct config_findings *f)
{
    const struct config_tenant *t = e->tenant;
    unsigned order[CONFIG_PARTS_MAX], way[CONFIG_PARTS_MAX + 1] = {}, part = 0;
    size_t n = config_start_order(t, order), k = 0, first = 0;
    _cleanup_buf_ struct buf text = {};
    uint32_t can = 0, seen = 0;
    char path[64];
    int r = 0;

    if (n == parts(t))
        return 0;
    for (size_t i = 0; i < n; i++)
        can |= UINT32_C(1) << order[i];
    while (can & (UINT32_C(1) << part))
        part++;
    for (; !(seen & (UINT32_C(1) << part));
         part = (unsigned)__builtin_ctz(config_part_after(t, part) & ~can)) {
        seen |= UINT32_C(1) << part;
        way[k++] = part;
    }
    while (first < k && way[first] != part)
        first++;
    for (size_t i = first; i < k && r >= 0; i++)
        r = buf_addf(&text, "%s -> ", part_name(t, way[i]));
    after_path(way[k - 1], path, sizeof(path));
    return r < 0 ? r
                 : found(e, f, path, "goes round in a circle: %s%s; take one of them out", text.data,
                       part_name(t, part));
}

int config_validate_components(
    const struct config_entry *e, const struct config *c, struct config_findings *f)
{
    const struct config_tenant *t = e->tenant;
    size_t before = f->n;
    int r = 0;

    for (size_t i = 0; i < t->n_components && r >= 0; i++) {
        const struct config_gateway *g = &t->components[i].container;
        char path[64];

        (void)snprintf(path, sizeof(path), "components[%zu]", i);
        if (!t->components[i].name)
            continue; /* found already */
        r = validate_name(e, f, i);
        if (r >= 0 && g->mode == CONFIG_EXTERNAL && !g->name && !g->match_label)
            r = found(e, f, path, "\"external\" needs either container or match_label; write one of the two");
        if (r >= 0)
            r = config_validate_container(e, c, f, path, g);
    }
    for (unsigned part = CONFIG_PART_GATEWAY; part < parts(t) && r >= 0; part++)
        r = validate_after(e, f, part);
    return r < 0 || f->n > before ? r : validate_order(e, f);
}
