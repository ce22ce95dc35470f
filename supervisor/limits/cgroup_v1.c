/* cgroup_v1.c: usage and limits of one process's v1 cgroups: each controller has a tree of its own. Writes
 * nothing. */
#include "limits/cgroup_file.h"

#include <errno.h>
#include <limits.h>

/* "not limited" is the largest page-aligned number of the counter; anything near it means the same. */
#define V1_UNLIMITED (UINT64_C(1) << 62)

static void read_memory(const char *dir, struct cgroup_sample *s)
{
    cgroup_file_field(dir, "memory.usage_in_bytes", NULL, CGROUP_MEMORY_CURRENT, s, &s->memory_current_bytes);
    cgroup_file_field(dir, "memory.limit_in_bytes", NULL, CGROUP_MEMORY_MAX, s, &s->memory_max_bytes);
    if (s->memory_max_bytes >= V1_UNLIMITED)
        s->memory_max_bytes = LIMITS_MAX;
    cgroup_file_field(dir, "memory.oom_control", "oom_kill", CGROUP_OOM_KILLS, s, &s->oom_kills);
}

static void read_cpu(const char *dir, struct cgroup_sample *s)
{
    _cleanup_free_ char *quota = cgroup_file_read(dir, "cpu.cfs_quota_us");
    _cleanup_free_ char *period = cgroup_file_read(dir, "cpu.cfs_period_us");
    uint64_t q, p;

    cgroup_file_field(dir, "cpu.stat", "throttled_time", CGROUP_CPU_THROTTLED, s, &s->cpu_throttled_us);
    s->cpu_throttled_us /= 1000;
    if (!quota || !period || !cgroup_file_number(period, &p))
        return;
    if (!cgroup_file_number(quota, &q)) /* "-1" */
        q = LIMITS_MAX;
    s->cpu_max_nano = cgroup_file_quota_nano(q, p);
    s->have |= CGROUP_CPU_MAX;
}

static void read_cpuacct(const char *dir, struct cgroup_sample *s)
{
    cgroup_file_field(dir, "cpuacct.usage", NULL, CGROUP_CPU_USAGE, s, &s->cpu_usage_us);
    s->cpu_usage_us /= 1000;
}

static void read_pids(const char *dir, struct cgroup_sample *s)
{
    cgroup_file_field(dir, "pids.current", NULL, CGROUP_PIDS_CURRENT, s, &s->pids_current);
    cgroup_file_field(dir, "pids.max", NULL, CGROUP_PIDS_MAX, s, &s->pids_max);
}

int cgroup_v1_read_pid(const struct limits_host *h, pid_t pid, struct cgroup_sample *ret)
{
    const struct {
        const char *controller, *mount;
        void (*read)(const char *dir, struct cgroup_sample *s);
    } parts[] = {{"memory", h->v1_memory, read_memory}, {"cpu", h->v1_cpu, read_cpu},
        {"cpuacct", h->v1_cpuacct, read_cpuacct}, {"pids", h->v1_pids, read_pids}};
    struct cgroup_sample s = {0};
    char dir[PATH_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        int r;

        if (!parts[i].mount[0])
            continue;
        r = cgroup_file_of_pid(h, pid, parts[i].controller, parts[i].mount, dir, sizeof(dir));
        if (r == -ESRCH)
            return r;
        if (r >= 0)
            parts[i].read(dir, &s);
    }
    *ret = s;
    return 0;
}
