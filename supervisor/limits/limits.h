/* limits.h: what a tenant may use, as the rooms above say it to this one. Knows no configuration. */
#pragma once

#include "base/defs.h"

/* "max" in a cgroup file: not limited. */
#define LIMITS_MAX UINT64_MAX

/* The whole tenant: gateway and sandboxes together. 0: not limited (cpu_weight: the default, 100). */
struct limits_want {
    uint64_t nano_cpus; /* CPUs in units of 1e-9 */
    uint64_t cpu_weight;
    uint64_t memory_bytes;
    uint64_t pids;
};

/* MemoryHigh: 90 % of the hard limit, so that a tenant is slowed before it is killed. 0 stays 0. */
static inline uint64_t limits_memory_high(uint64_t memory_bytes)
{
    return memory_bytes - memory_bytes / 10;
}
