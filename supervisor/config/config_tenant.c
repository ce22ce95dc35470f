/* config_tenant.c: a tenant with its defaults, what follows from other values, and its end. Reads nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/config_load.h"
#include "config/config_value.h"

void config_health_free(struct config_health *h)
{
    free(h->url);
    free(h->unix_socket);
    free(h->json_field);
    free(h->json_value);
}

void config_gateway_free(struct config_gateway *g)
{
    free(g->name);
    free(g->match_label);
    free(g->image);
    config_strv_free(&g->command);
    config_strv_free(&g->entrypoint);
    config_strv_free(&g->env);
    config_strv_free(&g->after);
    free(g->env_file);
    free(g->user);
    free(g->data_target);
    config_mounts_free(g);
    config_ports_free(g);
    config_health_free(&g->health);
}

struct config_tenant *config_tenant_free(struct config_tenant *t)
{
    if (!t)
        return NULL;
    free(t->file);
    free(t->data_root);
    free(t->proxy.name);
    free(t->proxy.match_label);
    config_listen_free(&t->proxy);
    config_health_free(&t->proxy.health);
    config_gateway_free(&t->gateway);
    config_components_free(t);
    (void)policy_free(t->policy);
    free(t);
    return NULL;
}

#define UNSET 0xff /* every byte of a number that is not written: no key allows it */

int config_schema_defaults(const struct config_schema *s, void *base, struct config_tenant *tenant)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct config_key *k = &s->keys[i];
        char *from = base;
        int r;

        if (k->base != CONFIG_BASE_GROUP)
            from = k->base == CONFIG_BASE_POLICY ? (char *)tenant->policy : (char *)tenant;
        if (k->flags & CONFIG_KEY_INHERIT) {
            memset(from + k->offset, UNSET, sizeof(struct recovery_params));
            continue;
        }
        if (k->type == CONFIG_KEY_GROUP)
            r = config_schema_defaults(k->group, from + k->offset, tenant);
        else
            r = k->def && k->type != CONFIG_KEY_CUSTOM ? config_key_set(k, from + k->offset, k->def) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

struct config_tenant *config_tenant_new(const char *slug)
{
    struct config_tenant *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    (void)snprintf(t->slug, sizeof(t->slug), "%s", slug);
    t->policy = policy_new(slug);
    recovery_params_default(&t->recovery);
    t->gateway.health.type = _CONFIG_CHECK_TYPE_MAX; /* not written: follows from url or tcp */
    if (!t->policy || config_schema_defaults(&config_schema_tenant, t, t) < 0)
        return config_tenant_free(t);
    return t;
}

/* Sets `*at` to PREFIX TEXT unless it was written. */
static int default_text(char **at, const char *prefix, const char *text)
{
    char *whole = NULL;

    if (*at)
        return 0;
    if (asprintf(&whole, "%s%s", prefix, text) < 0)
        return -ENOMEM;
    *at = whole;
    return 0;
}

static int default_listen(struct config_tenant *t, const struct config *c)
{
    struct config_listen *l;

    if (t->proxy.n_listen > 0)
        return 0;
    l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    free(t->proxy.listen);
    t->proxy.listen = l;
    t->proxy.n_listen = 1;
    l->is_unix = true;
    if (asprintf(&l->path, "%s/%s/docker.sock", c->runtime_dir, t->slug) < 0) {
        l->path = NULL;
        return -ENOMEM;
    }
    if (asprintf(&l->text, "unix:%s", l->path) < 0) {
        l->text = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int default_proxy_health(struct config_tenant *t)
{
    struct config_health *h = &t->proxy.health;
    const struct config_listen *l = &t->proxy.listen[0];
    const char *six;
    int r;

    h->type = CONFIG_CHECK_HTTP;
    if (h->url)
        return 0;
    if (h->unix_socket || l->is_unix) {
        r = default_text(&h->unix_socket, "", l->is_unix ? l->path : "");
        return r < 0 ? r : default_text(&h->url, "", "http://localhost/_ping");
    }
    six = strchr(l->address, ':');
    if (asprintf(&h->url, "http://%s%s%s:%u/_ping", six ? "[" : "", l->address, six ? "]" : "", l->port) <
        0) {
        h->url = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* What is not written in a component's recovery is the tenant's. */
static void inherit(const struct config_schema *s, char *own, const char *from)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct config_key *k = &s->keys[i];
        char *at = own + k->offset;
        const char *theirs = from + k->offset;
        struct recovery_rung *rung = (void *)at;
        const struct recovery_rung *its = (const void *)theirs;

        if (k->type == CONFIG_KEY_GROUP) {
            inherit(k->group, at, theirs);
        } else if (k->type == CONFIG_KEY_CUSTOM) { /* delays */
            if (rung->n_delays != UINT32_MAX)
                continue;
            rung->n_delays = its->n_delays;
            memcpy(rung->delay_us, its->delay_us, sizeof(rung->delay_us));
        } else if (k->type == CONFIG_KEY_U32) {
            if (*(uint32_t *)(void *)at == UINT32_MAX)
                memcpy(at, theirs, sizeof(uint32_t));
        } else if (*(uint64_t *)(void *)at == UINT64_MAX) {
            memcpy(at, theirs, sizeof(uint64_t));
        }
    }
}

void config_inherit_recovery(struct recovery_params *own, const struct recovery_params *tenants)
{
    for (size_t i = 0; i < config_schema_tenant.n; i++)
        if (str_eq(config_schema_tenant.keys[i].name, "recovery"))
            inherit(config_schema_tenant.keys[i].group, (char *)own, (const char *)tenants);
}

void config_default_check(struct config_health *h, const struct recovery_params *p)
{
    if (h->type == _CONFIG_CHECK_TYPE_MAX)
        h->type = h->url ? CONFIG_CHECK_HTTP : h->address[0] ? CONFIG_CHECK_TCP : CONFIG_CHECK_DOCKER;
    h->fall = h->fall ? h->fall : p->fall;
    h->rise = h->rise ? h->rise : p->rise;
}

int config_tenant_finish(struct config_tenant *t, const struct config *c)
{
    int r;

    config_inherit_recovery(&t->gateway.recovery, &t->recovery);
    config_inherit_recovery(&t->proxy.recovery, &t->recovery);
    config_default_check(&t->gateway.health, &t->gateway.recovery);
    config_default_check(&t->proxy.health, &t->proxy.recovery);
    r = default_listen(t, c);
    if (r >= 0)
        r = config_components_finish(t);
    if (r >= 0)
        r = default_proxy_health(t);
    if (r >= 0 && !t->gateway.match_label)
        r = default_text(&t->gateway.name, "openclaw-gw-", t->slug);
    if (r >= 0 && t->data_root)
        r = default_text(&t->gateway.data_target, "", t->data_root);
    if (r >= 0 && t->gateway.name)
        r = default_text(&t->policy->gateway_name, "", t->gateway.name);
    if (r >= 0 && t->sandbox_network)
        r = default_text(&t->policy->network_name, "clawsup-net-", t->slug);
    return r;
}

int config_tenant_others(struct config_entry *e, const struct config_entries *all, struct config_findings *f)
{
    struct config_tenant *t = e->tenant;
    size_t n = strlen(t->slug);

    /* Only names behind "SLUG-" can be meant for somebody else by this tenant's own rule; of those, a slug
     * that extends another one is covered by it. A tenant that comes or goes so changes few policies. */
    for (size_t i = 0; i < all->n; i++) {
        const char *other = all->items[i].tenant->slug;
        bool covered = false;

        if (!all->items[i].slug_valid || strncmp(other, t->slug, n) != 0 || other[n] != '-')
            continue;
        for (size_t j = 0; j < t->policy->other_tenants.n && !covered; j++) {
            const char *known = t->policy->other_tenants.items[j];
            covered = str_startswith(other, known) && (other[strlen(known)] == '-' || !other[strlen(known)]);
        }
        if (covered)
            continue;
        if (t->policy->other_tenants.n == POLICY_LIST_MAX)
            return config_findings_add(f, t->file, t->line,
                "slug: more than %d other tenants have slugs that begin with \"%s-\"; choose another slug "
                "for this "
                "one",
                POLICY_LIST_MAX, t->slug);
        if (policy_list_add(&t->policy->other_tenants, other) < 0)
            return -ENOMEM;
    }
    return 0;
}
