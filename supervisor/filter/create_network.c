/* create_network.c: the network: none, or the tenant's own by its full id, with one empty endpoint. The
 * engine lets EndpointsConfig beat NetworkMode, so both are judged together. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "filter/create_internal.h"
#include "filter/process.h"

int create_read_network_mode(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return fields_text(v, 255, at, &c->network_mode);
}

/* EndpointSettings: nothing of it is a client's to choose. */
static const struct field endpoint_rows[] = {
    {"IPAMConfig", FIELD_ZERO, NULL},
    {"Links", FIELD_ZERO, NULL},
    {"Aliases", FIELD_ZERO, NULL},
    {"MacAddress", FIELD_ZERO, NULL},
    {"DriverOpts", FIELD_ZERO, NULL},
    {"GwPriority", FIELD_ZERO, NULL},
    {"NetworkID", FIELD_ZERO, NULL},
    {"EndpointID", FIELD_ZERO, NULL},
    {"Gateway", FIELD_ZERO, NULL},
    {"IPAddress", FIELD_ZERO, NULL},
    {"IPPrefixLen", FIELD_ZERO, NULL},
    {"IPv6Gateway", FIELD_ZERO, NULL},
    {"GlobalIPv6Address", FIELD_ZERO, NULL},
    {"GlobalIPv6PrefixLen", FIELD_ZERO, NULL},
    {"DNSNames", FIELD_ZERO, NULL},
};
static const struct field_table endpoint_table = {
    "create.EndpointsConfig", endpoint_rows, ARRAY_SIZE(endpoint_rows), NULL};

static int read_endpoints(void *ctx, const json_t *v, const struct field_at *at)
{
    json_t *o = (json_t *)(uintptr_t)v; /* the iteration API takes a mutable object */
    struct create_ctx *c = ctx;
    void *it = json_object_iter(o);

    if (!it)
        return 0;
    if (json_object_size(v) > 1)
        return refusal_set(at->refusal, 403, at->rule, "more than one network is not allowed");
    c->endpoint = json_object_iter_key(it);
    return fields_read(&endpoint_table, json_object_iter_value(it), ctx, at->refusal);
}

int create_read_networking(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {{"EndpointsConfig", FIELD_OBJECT, read_endpoints}};
    static const struct field_table table = {"create.NetworkingConfig", rows, ARRAY_SIZE(rows), NULL};

    return fields_read(&table, v, ctx, at->refusal);
}

enum wanted { WANT_NONE, WANT_OPEN, WANT_OWN, WANT_FOREIGN };

/* What a network's name means; OPEN leaves the choice to us. */
static enum wanted judge(const struct policy *p, const char *name)
{
    if (strcmp(name, "none") == 0)
        return WANT_NONE;
    if (strcmp(name, "") == 0 || strcmp(name, "default") == 0 || strcmp(name, "bridge") == 0)
        return WANT_OPEN;
    if (p->network_id && (str_eq(name, p->network_id) || str_eq(name, p->network_name)))
        return WANT_OWN;
    return WANT_FOREIGN;
}

int create_settle_network(struct create_ctx *c, struct refusal *refusal)
{
    const struct policy *p = c->policy;
    enum wanted mode = judge(p, c->network_mode ? c->network_mode : "");
    enum wanted endpoint = c->endpoint ? judge(p, c->endpoint) : mode;
    int r;

    if (mode == WANT_FOREIGN)
        return refusal_set(
            refusal, 403, "create.HostConfig.NetworkMode", "network %.64s is not allowed", c->network_mode);
    if (endpoint == WANT_FOREIGN)
        return refusal_set(
            refusal, 403, "create.EndpointsConfig", "network %.64s is not allowed", c->endpoint);
    if ((mode == WANT_NONE) != (endpoint == WANT_NONE))
        return refusal_set(refusal, 403, "create.EndpointsConfig",
            "EndpointsConfig and NetworkMode name different networks");
    if (mode == WANT_NONE || !p->network_id)
        return 0;
    r = str_set(&c->m->network_id, p->network_id);
    if (r >= 0)
        r = str_set(&c->m->network_name, p->network_name ? p->network_name : p->network_id);
    return r;
}
