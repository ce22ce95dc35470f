/* config_load.h: what the loader hands to the cross checks. Internal to the room. */
#pragma once

#include "base/defs.h"
#include "config/config_read.h"

/* A tenant with the places of its keys. */
struct config_entry {
    struct config_tenant *tenant;
    struct config_locs locs;
    bool slug_valid;
};
struct config_entries {
    struct config_entry *items;
    size_t n;
};

/* config_tenant.c: a tenant with every default of the tables (slug: a valid one). NULL: out of memory. */
struct config_tenant *config_tenant_new(const char *slug);
struct config_tenant *config_tenant_free(struct config_tenant *t);
DEFINE_CLEANUP(struct config_tenant *, config_tenant_free)
/* Fills what follows from other values: names, sockets, the kind of the health check. -ENOMEM. */
int config_tenant_finish(struct config_tenant *t, const struct config *c);
/* Fills policy->other_tenants from the slugs of all entries. -ENOMEM; too many are a finding. */
int config_tenant_others(struct config_entry *e, const struct config_entries *all, struct config_findings *f);

/* config_validate.c: checks that look at more than one value. `other` findings go to `f`; -ENOMEM. */
int config_validate_host(const struct config *c, const struct config_locs *locs, struct config_findings *f);
int config_validate_tenant(const struct config_entry *e, const struct config *c, struct config_findings *f);
/* config_component.c: what follows from other values, and the checks of a tenant's components. -ENOMEM. */
int config_components_finish(struct config_tenant *t);
int config_validate_components(
    const struct config_entry *e, const struct config *c, struct config_findings *f);
void config_default_check(struct config_health *h, const struct recovery_params *p);
/* What a component did not write is the tenant's. */
void config_inherit_recovery(struct recovery_params *own, const struct recovery_params *tenants);
/* config_validate.c: what holds for the gateway and for each component; `prefix` is "gateway" or
 * "components[0]". */
int config_validate_container(const struct config_entry *e, const struct config *c, struct config_findings *f,
    const char *prefix, const struct config_gateway *g);

/* config_cross.c: two tenants at a time, `all` sorted by slug. */
int config_validate_tenants(const struct config_entries *all, struct config_findings *f);

/* config_scan.c: what libconfig would take silently and wrongly: @include, numbers beyond 32 bits, NUL bytes.
 * 1 when the file is not to be read at all, 0, -ENOMEM. */
int config_scan(const char *text, size_t len, const char *file, struct config_findings *f);
