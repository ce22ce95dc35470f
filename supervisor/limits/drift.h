/* drift.h: the limits in force against those configured: what differs, and what puts it right. PURE: reads
 * nothing; the caller brings an inspect answer or a cgroup sample. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "limits/cgroup.h"
#include "limits/limits.h"

/* One container. 0 or NULL: not compared. Memory implies MemorySwap = Memory (no swap) unless
 * `ignore_swap` (struct limits_host.swap_limit is false there: the engine discards the value). */
struct drift_container_want {
    uint64_t memory_bytes, nano_cpus, pids;
    const char *cgroup_parent;
    bool ignore_swap;
    bool at_most; /* the numbers are caps: less is as good */
};

struct drift {
    json_t
        *update; /* body for POST /containers/{id}/update; NULL when an update cannot help or is not needed */
    bool recreate;  /* differs in what only a new container can change (CgroupParent) */
    char text[256]; /* "memory 2G -> 1G, pids none -> 256"; "" without drift */
};

void drift_done(struct drift *d); /* releases `update` */
#define _cleanup_drift_ _cleanup_(drift_done)

/* Compares `inspect` (GET /containers/{id}/json). 1: drifted, 0: as wanted, -EINVAL: not the engine's shape,
 * -ENOMEM. *ret is filled in both good cases. */
int drift_container(const json_t *inspect, const struct drift_container_want *w, struct drift *ret);

/* True if the cgroup of a container lets it use more than `w`; what the host does not show is not compared.
 */
bool drift_above(const struct cgroup_sample *s, const struct drift_container_want *w);

/* Compares a slice's (or tenant cgroup's) sample with what slice_apply() sets: memory.max and .high, cpu.max,
 * pids.max; values that the host does not show are not compared. 1: drifted (apply again), 0. `text` takes
 * the difference; `n` >= 256 is always enough. */
int drift_sample(const struct cgroup_sample *s, const struct limits_want *w, char *text, size_t n);
