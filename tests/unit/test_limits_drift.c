/* test_limits_drift.c: what an inspect answer or a cgroup sample says against what was configured. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <string.h>

#include "limits/drift.h"

struct container_row {
    char host[256];
    uint64_t memory, cpus, pids;
    char parent[32];
    bool ignore_swap, at_most;
    int r;
    char update[128], text[128];
    bool recreate;
};

#define M128 UINT64_C(134217728)

ParameterizedTestParameters(limits_drift, container)
{
    static struct container_row rows[] = {
        /* as wanted */
        {"{\"Memory\":134217728,\"MemorySwap\":134217728,\"NanoCpus\":500000000,\"PidsLimit\":20}", M128,
            500000000, 20, "", false, false, 0, "", "", false},
        /* nothing wanted, nothing compared */
        {"{\"Memory\":1,\"PidsLimit\":null}", 0, 0, 0, "", false, false, 0, "", "", false},
        /* a container without limits; PidsLimit is null there */
        {"{\"Memory\":0,\"MemorySwap\":0,\"NanoCpus\":0,\"PidsLimit\":null}", M128, 1500000000, 64, "", false,
            false, 1,
            "{\"Memory\":134217728,\"MemorySwap\":134217728,\"NanoCpus\":1500000000,\"PidsLimit\":64}",
            "memory none -> 128M, cpus none -> 1.500, pids none -> 64", false},
        /* the engine's default: swap as large as memory */
        {"{\"Memory\":134217728,\"MemorySwap\":268435456}", M128, 0, 0, "", false, false, 1,
            "{\"Memory\":134217728,\"MemorySwap\":134217728}", "memory and swap 256M -> 128M", false},
        {"{\"Memory\":134217728,\"MemorySwap\":-1}", M128, 0, 0, "", false, false, 1,
            "{\"Memory\":134217728,\"MemorySwap\":134217728}", "memory and swap none -> 128M", false},
        /* a kernel that cannot limit swap: the engine keeps -1 whatever is asked */
        {"{\"Memory\":134217728,\"MemorySwap\":-1}", M128, 0, 0, "", true, false, 0, "", "", false},
        {"{\"PidsLimit\":-1}", 0, 0, 8, "", false, false, 1, "{\"PidsLimit\":8}", "pids none -> 8", false},
        /* made with --cpu-quota: an update must speak quota too */
        {"{\"NanoCpus\":0,\"CpuQuota\":150000,\"CpuPeriod\":0}", 0, 1500000000, 0, "", false, false, 0, "",
            "", false},
        {"{\"NanoCpus\":0,\"CpuQuota\":150000,\"CpuPeriod\":50000}", 0, 500000000, 0, "", false, false, 1,
            "{\"CpuPeriod\":100000,\"CpuQuota\":50000}", "cpus 3.000 -> 0.500", false},
        /* CgroupParent cannot be updated */
        {"{\"CgroupParent\":\"\"}", 0, 0, 0, "clawsup-a.slice", false, false, 1, "",
            "cgroup parent none -> clawsup-a.slice", true},
        {"{\"CgroupParent\":\"clawsup-a.slice\"}", 0, 0, 0, "clawsup-a.slice", false, false, 0, "", "",
            false},
        {"{\"CgroupParent\":\"x\",\"PidsLimit\":1}", 0, 0, 2, "y", false, false, 1, "{\"PidsLimit\":2}",
            "pids 1 -> 2, cgroup parent x -> y", true},
        {"[]", 1, 1, 1, "", false, false, -EINVAL, "", "", false},
        /* caps: less is as good, and an update asks for the cap */
        {"{\"Memory\":67108864,\"MemorySwap\":67108864,\"NanoCpus\":250000000,\"PidsLimit\":10}", M128,
            500000000, 20, "", false, true, 0, "", "", false},
        {"{\"Memory\":67108864,\"MemorySwap\":-1,\"NanoCpus\":250000000,\"PidsLimit\":30}", M128, 500000000,
            20, "", false, true, 1, "{\"Memory\":134217728,\"MemorySwap\":134217728,\"PidsLimit\":20}",
            "memory and swap none -> 128M, pids 30 -> 20", false},
    };
    return cr_make_param_array(struct container_row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct container_row *row, limits_drift, container)
{
    struct drift_container_want w = {.memory_bytes = row->memory,
        .nano_cpus = row->cpus,
        .pids = row->pids,
        .cgroup_parent = row->parent[0] ? row->parent : NULL,
        .ignore_swap = row->ignore_swap,
        .at_most = row->at_most};
    json_t *inspect = json_pack("{s:o}", "HostConfig", json_loads(row->host, 0, NULL));
    struct drift d = {0};

    cr_assert_eq(drift_container(inspect, &w, &d), row->r, "%s", row->host);
    json_decref(inspect);
    if (row->r < 0)
        return;
    cr_expect_str_eq(d.text, row->text, "%s", d.text);
    cr_expect_eq(d.recreate, row->recreate);
    cr_expect_eq(d.update != NULL, row->update[0] != '\0');
    if (d.update) {
        char *text = json_dumps(d.update, JSON_COMPACT);
        cr_expect_str_eq(text, row->update, "%s", text);
        free(text);
    }
    drift_done(&d);
}

Test(limits_drift, not_an_inspect_answer)
{
    struct drift_container_want w = {.pids = 1};
    struct drift d;

    cr_expect_eq(drift_container(NULL, &w, &d), -EINVAL);
}

static struct cgroup_sample as_wanted(void)
{
    return (struct cgroup_sample){
        .have = CGROUP_MEMORY_MAX | CGROUP_MEMORY_HIGH | CGROUP_CPU_MAX | CGROUP_CPU_WEIGHT | CGROUP_PIDS_MAX,
        .memory_max_bytes = M128,
        .memory_high_bytes = 120795136, /* 90 % in whole pages */
        .cpu_max_nano = 500000000,
        .cpu_weight = 100,
        .pids_max = 50};
}

Test(limits_drift, slice)
{
    struct limits_want w = {.nano_cpus = 500000000, .memory_bytes = M128, .pids = 50};
    struct cgroup_sample s = as_wanted();
    char text[256];

    cr_expect_eq(drift_sample(&s, &w, text, sizeof(text)), 0, "%s", text);
    cr_expect_str_eq(text, "");
    s.pids_max = LIMITS_MAX;
    s.memory_max_bytes = M128 / 2;
    cr_expect_eq(drift_sample(&s, &w, text, sizeof(text)), 1);
    cr_expect_str_eq(text, "memory.max 64M -> 128M, pids.max none -> 50");
    s.have = CGROUP_CPU_MAX; /* what the host does not show is not compared */
    cr_expect_eq(drift_sample(&s, &w, text, sizeof(text)), 0);
}

Test(limits_drift, slice_limit_that_must_be_lifted)
{
    struct limits_want w = {0};
    struct cgroup_sample s = as_wanted();
    char text[256];

    cr_expect_eq(drift_sample(&s, &w, text, sizeof(text)), 1);
    cr_expect_str_eq(text, "memory.max 128M -> none, memory.high 115M -> none, cpu.max 0.500 -> none, "
                           "pids.max 50 -> none");
}
