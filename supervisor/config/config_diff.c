/* config_diff.c: what differs between two loads, key by key along the tables. Compares values, never places:
 * a tenant whose file was only reformatted has not changed. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "config/config_load.h"
#include "config/config_value.h"

bool config_equal_slug(const void *a, const void *b)
{
    return strcmp(a, b) == 0;
}

bool config_equal_string(const void *a, const void *b)
{
    return str_eq(*(char *const *)a, *(char *const *)b);
}

bool config_equal_int(const void *a, const void *b)
{
    return *(const int *)a == *(const int *)b;
}

bool config_equal_listen(const void *a, const void *b)
{
    const struct config_proxy *p = a, *q = b;

    if (p->n_listen != q->n_listen)
        return false;
    for (size_t i = 0; i < p->n_listen; i++)
        if (!str_eq(p->listen[i].path, q->listen[i].path) || p->listen[i].port != q->listen[i].port ||
            !str_eq(p->listen[i].address, q->listen[i].address))
            return false;
    return true;
}

bool config_equal_publish(const void *a, const void *b)
{
    const struct config_gateway *p = a, *q = b;

    if (p->n_ports != q->n_ports)
        return false;
    for (size_t i = 0; i < p->n_ports; i++)
        if (!str_eq(p->ports[i].host_address, q->ports[i].host_address) ||
            p->ports[i].host_port != q->ports[i].host_port ||
            p->ports[i].container_port != q->ports[i].container_port)
            return false;
    return true;
}

bool config_equal_components(const void *a, const void *b)
{
    const struct config_tenant *p = a, *q = b;

    if (p->n_components != q->n_components)
        return false;
    for (size_t i = 0; i < p->n_components; i++)
        if (config_schema_changes(
                &config_schema_component, &p->components[i], &q->components[i], CONFIG_CHANGE_COMPONENTS))
            return false;
    return true;
}

bool config_equal_mounts(const void *a, const void *b)
{
    const struct config_gateway *p = a, *q = b;

    if (p->n_mounts != q->n_mounts)
        return false;
    for (size_t i = 0; i < p->n_mounts; i++)
        if (!str_eq(p->mounts[i].source, q->mounts[i].source) ||
            !str_eq(p->mounts[i].target, q->mounts[i].target) ||
            p->mounts[i].read_only != q->mounts[i].read_only)
            return false;
    return true;
}

bool config_equal_expect_json(const void *a, const void *b)
{
    const struct config_health *p = a, *q = b;

    return str_eq(p->json_field, q->json_field) && str_eq(p->json_value, q->json_value);
}

bool config_equal_tcp(const void *a, const void *b)
{
    const struct config_health *p = a, *q = b;

    return str_eq(p->address, q->address) && p->port == q->port;
}

bool config_equal_delays(const void *a, const void *b)
{
    const struct recovery_rung *p = a, *q = b;

    return p->n_delays == q->n_delays &&
           memcmp(p->delay_us, q->delay_us, p->n_delays * sizeof(p->delay_us[0])) == 0;
}

static bool equal_strv(const struct config_strv *p, const struct config_strv *q)
{
    if (p->n != q->n)
        return false;
    for (size_t i = 0; i < p->n; i++)
        if (!str_eq(p->items[i], q->items[i]))
            return false;
    return true;
}

bool config_key_equal(const struct config_key *k, const void *a, const void *b)
{
    switch (k->type) {
    case CONFIG_KEY_STRING:
        return config_equal_string(a, b);
    case CONFIG_KEY_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_KEY_U32:
    case CONFIG_KEY_ENUM:
        return *(const uint32_t *)a == *(const uint32_t *)b;
    case CONFIG_KEY_U64:
    case CONFIG_KEY_DURATION:
    case CONFIG_KEY_SIZE:
    case CONFIG_KEY_CPUS:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case CONFIG_KEY_STRV:
        return equal_strv(a, b);
    case CONFIG_KEY_CUSTOM:
        return !k->equal || k->equal(a, b);
    case CONFIG_KEY_LIST:
    case CONFIG_KEY_GROUP:
    case _CONFIG_KEY_TYPE_MAX:
    default:
        return false;
    }
}

/* Which changes lie between two structs that the schema describes (keys without a class give `change`).
 * Values that live in the policy are skipped: policies are compared as a whole. */
unsigned config_schema_changes(
    const struct config_schema *s, const void *a, const void *b, enum config_change change)
{
    unsigned changes = 0;

    for (size_t i = 0; i < s->n; i++) {
        const struct config_key *k = &s->keys[i];
        const char *pa = (const char *)a + k->offset, *pb = (const char *)b + k->offset;

        if (k->base != CONFIG_BASE_GROUP)
            continue; /* the policy as a whole, below */
        if (k->type == CONFIG_KEY_GROUP)
            changes |= config_schema_changes(k->group, pa, pb, k->change ? k->change : change);
        else if (!config_key_equal(k, pa, pb))
            changes |= k->change ? k->change : change;
    }
    return changes;
}

static bool equal_policy(const struct policy *a, const struct policy *b)
{
    _cleanup_json_ json_t *ja = NULL, *jb = NULL;

    /* Out of memory counts as a difference: the proxy is then replaced for nothing, which harms nobody. */
    return policy_to_json(a, &ja) >= 0 && policy_to_json(b, &jb) >= 0 && json_equal(ja, jb);
}

unsigned config_tenant_changes(const struct config_tenant *a, const struct config_tenant *b)
{
    unsigned changes = config_schema_changes(&config_schema_tenant, a, b, CONFIG_CHANGE_IDENTITY);

    if (!equal_policy(a->policy, b->policy) || a->sandbox_network != b->sandbox_network)
        changes |= CONFIG_CHANGE_POLICY;
    return changes;
}

bool config_tenant_equal(const struct config_tenant *a, const struct config_tenant *b)
{
    return config_tenant_changes(a, b) == 0;
}

bool config_needs_restart(const struct config *a, const struct config *b, struct err *e)
{
    const struct config_schema *s = &config_schema_host;

    for (size_t i = 0; i < s->n; i++) {
        const struct config_key *k = &s->keys[i];

        if ((k->flags & CONFIG_KEY_RESTART) &&
            !config_key_equal(k, (const char *)a + k->offset, (const char *)b + k->offset)) {
            (void)err_set(
                e, -EINVAL, "%s differs; it takes effect with the next restart of clawsupd", k->name);
            return true;
        }
    }
    return false;
}
