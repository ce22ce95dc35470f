/* cgroup.h: reads what a cgroup uses and which limits are in force, v2 and v1. A missing file leaves its
 * value unknown: controllers differ from host to host. Blocking reads of kernel files only. */
#pragma once

#include <sys/types.h>

#include "base/defs.h"
#include "limits/host.h"
#include "limits/limits.h"

enum cgroup_field {
    CGROUP_MEMORY_CURRENT = 1 << 0,
    CGROUP_MEMORY_MAX = 1 << 1,
    CGROUP_MEMORY_HIGH = 1 << 2,
    CGROUP_SWAP_MAX = 1 << 3,
    CGROUP_OOM_KILLS = 1 << 4,
    CGROUP_CPU_USAGE = 1 << 5,
    CGROUP_CPU_THROTTLED = 1 << 6,
    CGROUP_CPU_MAX = 1 << 7,
    CGROUP_CPU_WEIGHT = 1 << 8,
    CGROUP_PIDS_CURRENT = 1 << 9,
    CGROUP_PIDS_MAX = 1 << 10,
    CGROUP_PRESSURE = 1 << 11,
    CGROUP_POPULATED = 1 << 12,
    CGROUP_CPU_PERIODS = 1 << 13
};

struct cgroup_sample {
    unsigned have; /* enum cgroup_field bits; a field without its bit is 0 and means nothing */
    uint64_t memory_current_bytes;
    uint64_t memory_max_bytes, memory_high_bytes, swap_max_bytes; /* LIMITS_MAX: not limited */
    uint64_t oom_kills;
    uint64_t cpu_usage_us, cpu_throttled_us;
    uint64_t cpu_periods, cpu_throttled_periods; /* of a cgroup with a quota */
    uint64_t cpu_max_nano;                       /* CPUs in 1e-9 (quota/period); LIMITS_MAX: not limited */
    uint64_t cpu_weight;
    uint64_t pids_current, pids_max;
    uint64_t pressure_some_avg10, pressure_full_avg10; /* hundredths of a percent */
    uint64_t pressure_some_us, pressure_full_us;       /* totals */
    bool populated;
};

/* Reads the v2 cgroup at `dir` (an absolute path). -ENOENT when the directory is gone, -ENAMETOOLONG; a file
 * that is missing or malformed is not an error. */
int cgroup_read(const char *dir, struct cgroup_sample *ret);

/* Reads the cgroups of process `pid` by /proc/PID/cgroup, on any kind of host: for per-container usage where
 * no slice exists. -ESRCH when the process is gone, -EOPNOTSUPP when the host has no cgroups. */
int cgroup_read_pid(const struct limits_host *h, pid_t pid, struct cgroup_sample *ret);

/* The v2 directory of the cgroup of `pid`. -ESRCH, -EOPNOTSUPP when the host is not on v2, -ENAMETOOLONG. */
int cgroup_dir_of_pid(const struct limits_host *h, pid_t pid, char *out, size_t n);

/* An OOM kill in the cgroup `dir` takes all its processes with it, so that no half of a container goes on
 * (memory.oom.group). Written by us although the cgroup is the engine's: neither the engine nor systemd knows
 * this value for a container. -ENOENT, -EACCES, -EROFS, -ENAMETOOLONG. */
int cgroup_set_oom_group(const char *dir);

/* The v2 directory of a slice, with the nesting that systemd derives from its dashes:
 * "clawsup-a\x2db.slice" -> ROOT/clawsup.slice/clawsup-a\x2db.slice. -EINVAL for a name that is no slice,
 * -EOPNOTSUPP without a v2 tree, -ENAMETOOLONG. Does not touch the disk. */
int cgroup_slice_dir(const struct limits_host *h, const char *slice, char *out, size_t n);

/* ---- tenants on a v2 host without systemd (LIMITS_CGROUPFS): clawsup is the writer there */

/* The CgroupParent of a tenant, as the engine takes it: "/clawsup/SLUG". */
void cgroup_tenant_parent(char *out, size_t n, const char *slug);
/* Makes ROOT/clawsup/SLUG, switches the controllers on for it and writes the limits. `slug` NULL: the parent
 * of all tenants. Also switches the controllers on in the root. -errno. */
int cgroup_tenant_apply(const struct limits_host *h, const char *slug, const struct limits_want *w);
/* Removes it; 0 when it does not exist, -EBUSY while something lives in it. */
int cgroup_tenant_remove(const struct limits_host *h, const char *slug);
