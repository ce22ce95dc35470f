/* tenant_index.h: the tenants by the recovery core's index. Owns its array, not the tenants. */
#pragma once

#include "base/defs.h"

struct tenant;

struct tenant_index {
    struct tenant **items;
    size_t n;
};

/* `t` NULL: nobody has that index any more; never fails then. -ENOMEM. */
int tenant_index_set(struct tenant_index *x, uint32_t index, struct tenant *t);
/* NULL: nobody. */
struct tenant *tenant_index_get(const struct tenant_index *x, uint32_t index);
void tenant_index_clear(struct tenant_index *x);
