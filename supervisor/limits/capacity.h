/* capacity.h: what the host has, what its tenants may use at most, and whether one more fits. PURE. */
#pragma once

#include "base/defs.h"

enum capacity_resource { CAPACITY_CPU, CAPACITY_MEMORY, CAPACITY_PIDS, CAPACITY_DISK, _CAPACITY_MAX };

#define CAPACITY_UNLIMITED UINT64_MAX
#define CAPACITY_FACTOR_ONE UINT64_C(1000000000)

/* Units: CPUs in 1e-9, bytes, processes, bytes. */
struct capacity {
    struct {
        uint64_t total;  /* what tenants may have altogether before overcommit; 0: not known, not checked */
        uint64_t factor; /* of overcommit, in 1e-9; 0: not checked */
        uint64_t committed; /* the sum of the tenants' hard limits */
    } r[_CAPACITY_MAX];
};

/* total * factor; CAPACITY_UNLIMITED when it is not checked. */
uint64_t capacity_ceiling(const struct capacity *c, enum capacity_resource r);
/* What is left below the ceiling, at least 0. */
uint64_t capacity_free(const struct capacity *c, enum capacity_resource r);

/* Whether a tenant of this size (0: not limited, so nothing is committed) fits. If not, `text` says what is
 * missing. */
bool capacity_fits(const struct capacity *c, const uint64_t want[static _CAPACITY_MAX], char *text, size_t n);

/* How many more of them fit; *ret_by is the resource that ends it. CAPACITY_UNLIMITED when none does. */
uint64_t capacity_more(
    const struct capacity *c, const uint64_t want[static _CAPACITY_MAX], enum capacity_resource *ret_by);

const char *capacity_resource_to_string(enum capacity_resource r); /* "cpu", "memory", "pids", "disk" */
/* "1.5", "2G", "512". */
void capacity_format(char *out, size_t n, enum capacity_resource r, uint64_t v);
