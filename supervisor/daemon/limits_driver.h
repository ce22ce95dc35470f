/* limits_driver.h: keeps each tenant's limits in force: its slice (where the host has them), the caps of its
 * gateway container, and what both use at the moment. */
#pragma once

#include "daemon/manager.h"

/* Connects to systemd where there is one; asks the engine for its cgroup driver when it is up. */
int limits_driver_start(struct manager *m);
void limits_driver_stop(struct manager *m);
/* The engine answered (again): its cgroup driver decides the level. */
void limits_driver_engine_up(struct manager *m);

/* Creates or changes the tenant's slice; sets tenant->cgroup_parent. */
void limits_driver_apply(struct tenant *t);
/* The directory of the tenant's cgroup. -EOPNOTSUPP where it has none, and while it could not be made. */
int limits_driver_tenant_dir(const struct tenant *t, char *out, size_t n);
/* The slice goes if it is empty. */
void limits_driver_forget(struct tenant *t);

/* A fresh inspect of a gateway: limits that drifted are put right by POST update, counted and noted. */
void limits_driver_inspected(struct component *c, const json_t *inspect);

struct limits_usage {
    uint64_t cpu_periods, cpu_throttled_periods;
    uint64_t cpu_usage_us, cpu_throttled_us, memory_bytes, pids, oom_kills;
    uint64_t disk_bytes, disk_limit_bytes, disk_inodes, disk_inodes_limit;
    bool have_cpu, have_memory, have_pids, have_disk;
};
/* What the tenant uses now: of its slice, else of its gateway's cgroups. Reads a few files. */
void limits_driver_usage(struct tenant *t, struct limits_usage *ret);
