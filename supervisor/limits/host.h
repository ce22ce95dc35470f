/* host.h: what this host lets clawsup enforce, found once at the start. Reads only; changes nothing. */
#pragma once

#include <jansson.h>

#include "base/defs.h"

enum limits_cgroup {
    LIMITS_CGROUP_NONE,
    LIMITS_CGROUP_V1,
    LIMITS_CGROUP_HYBRID, /* v1 controllers, a v2 tree without any */
    LIMITS_CGROUP_V2,
    _LIMITS_CGROUP_MAX
};

/* How far a tenant can be capped; higher is better. */
enum limits_level {
    LIMITS_CONTAINER, /* each container alone: a tenant with many sandboxes may use their sum */
    LIMITS_CGROUPFS,  /* a cgroup per tenant that clawsup writes itself (v2, no systemd, cgroupfs driver) */
    LIMITS_SLICE,     /* a systemd slice per tenant */
    _LIMITS_LEVEL_MAX
};

enum limits_driver {
    LIMITS_DRIVER_UNKNOWN,
    LIMITS_DRIVER_CGROUPFS,
    LIMITS_DRIVER_SYSTEMD,
    _LIMITS_DRIVER_MAX
};

enum limits_controller {
    LIMITS_CPU = 1 << 0,
    LIMITS_MEMORY = 1 << 1,
    LIMITS_PIDS = 1 << 2,
    LIMITS_IO = 1 << 3,
    LIMITS_CPUSET = 1 << 4
};

struct limits_host {
    char sysroot[256]; /* put before every path; "" on a real host, a fixture's directory in tests */
    enum limits_cgroup cgroup;
    char cgroup_root[256]; /* the v2 tree (also on a hybrid host), "" if there is none */
    char v1_memory[256];   /* mount points of v1 controllers, "" if not mounted */
    char v1_cpu[256];
    char v1_cpuacct[256];
    char v1_pids[256];
    unsigned controllers; /* enum limits_controller bits */
    bool systemd;         /* PID 1 is systemd */
    bool bus;             /* the system bus answers a connect */
    bool psi;             /* /proc/pressure/memory can be read */
    char kernel[65];
    uint64_t memory_total_bytes;
    enum limits_driver driver; /* of the engine */
    unsigned engine_cgroup;    /* 1 or 2, 0 unknown */
    bool swap_limit;           /* the engine can limit swap (else MemorySwap reads back as -1) */
    char engine_version[64];
    enum limits_level level;
    char why[256]; /* why this level and not a better one; "" at LIMITS_SLICE */
};

/* Fills *ret. `info` is the engine's GET /info, borrowed; NULL while the engine was never reached: the level
 * is then LIMITS_CONTAINER and says so; call limits_host_set_engine() later. `sysroot` NULL means "". Missing
 * files leave their field empty: it fails only with -ENAMETOOLONG and -ENOMEM. Opens no connection that
 * lasts; the bus is tried by a connect(2) to its socket. */
int limits_host_detect(const char *sysroot, const json_t *info, struct limits_host *ret);

/* Takes the engine's facts from GET /info and decides the level again. */
void limits_host_set_engine(struct limits_host *h, const json_t *info);

/* Sets `level` and `why` from the other fields. PURE. */
void limits_host_decide(struct limits_host *h);

const char *limits_cgroup_to_string(enum limits_cgroup c); /* "none", "v1", "hybrid", "v2" */
const char *limits_level_to_string(enum limits_level l);   /* "per container", "cgroup", "slice" */
const char *limits_driver_to_string(enum limits_driver d); /* "unknown", "cgroupfs", "systemd" */

/* "cpu memory pids"; `n` >= 64 is always enough. */
void limits_controllers_format(char *out, size_t n, unsigned controllers);
