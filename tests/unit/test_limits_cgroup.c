/* test_limits_cgroup.c: readings of v2 and v1 cgroups from fixture files, the directory of a slice, and the
 * tenants' cgroups that clawsup writes itself. */
#include "fixture_dir.h"

#include <criterion/parameterized.h>

#include "limits/cgroup.h"

static char dir[64];

static void setup(void)
{
    fixture_new(dir, sizeof(dir));
}

static void teardown(void)
{
    fixture_free(dir);
}

TestSuite(limits_cgroup, .init = setup, .fini = teardown);

Test(limits_cgroup, v2)
{
    struct cgroup_sample s;

    fixture_write(dir, "/memory.current", "104857600\n");
    fixture_write(dir, "/memory.max", "134217728\n");
    fixture_write(dir, "/memory.high", "max\n");
    fixture_write(dir, "/memory.swap.max", "0\n");
    fixture_write(dir, "/memory.events", "low 0\nhigh 12\nmax 3\noom 2\noom_kill 7\noom_group_kill 1\n");
    fixture_write(dir, "/cpu.stat",
        "usage_usec 123456\nuser_usec 1\nsystem_usec 2\nnr_periods 40\nnr_throttled 10\nthrottled_usec 99\n");
    fixture_write(dir, "/cpu.max", "150000 100000\n");
    fixture_write(dir, "/cpu.weight", "100\n");
    fixture_write(dir, "/pids.current", "5\n");
    fixture_write(dir, "/pids.max", "max\n");
    fixture_write(dir, "/cgroup.events", "populated 1\nfrozen 0\n");
    fixture_write(dir, "/memory.pressure",
        "some avg10=1.25 avg60=0.00 avg300=0.00 total=5000\nfull avg10=0.07 avg60=0.00 avg300=0.00 "
        "total=40\n");
    cr_assert_eq(cgroup_read(dir, &s), 0);
    cr_expect_eq(s.have, (CGROUP_CPU_PERIODS << 1) - 1U);
    cr_expect_eq(s.memory_current_bytes, 104857600);
    cr_expect_eq(s.memory_max_bytes, 134217728);
    cr_expect_eq(s.memory_high_bytes, LIMITS_MAX);
    cr_expect_eq(s.swap_max_bytes, 0);
    cr_expect_eq(s.oom_kills, 7);
    cr_expect_eq(s.cpu_usage_us, 123456);
    cr_expect_eq(s.cpu_throttled_us, 99);
    cr_expect_eq(s.cpu_periods, 40);
    cr_expect_eq(s.cpu_throttled_periods, 10);
    cr_expect_eq(s.cpu_max_nano, 1500000000);
    cr_expect_eq(s.pids_current, 5);
    cr_expect_eq(s.pids_max, LIMITS_MAX);
    cr_expect_eq(s.pressure_some_avg10, 125);
    cr_expect_eq(s.pressure_full_avg10, 7);
    cr_expect_eq(s.pressure_some_us, 5000);
    cr_expect(s.populated);
}

Test(limits_cgroup, missing_and_malformed_files_are_unknown)
{
    struct cgroup_sample s;

    fixture_write(dir, "/memory.current", "");
    fixture_write(dir, "/memory.max", "12x\n");
    fixture_write(dir, "/pids.current", "-1\n");
    fixture_write(dir, "/memory.events", "oom_kill_extra 5\n");
    fixture_write(dir, "/cpu.max", "max\n");
    fixture_write(dir, "/memory.pressure", "some avg10=x\n");
    fixture_write(dir, "/pids.max", "99999999999999999999999999999\n");
    cr_assert_eq(cgroup_read(dir, &s), 0);
    cr_expect_eq(s.have, 0U, "%x", s.have);
}

Test(limits_cgroup, gone)
{
    struct cgroup_sample s;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/nothing", dir);
    cr_expect_eq(cgroup_read(path, &s), -ENOENT);
}

struct slice_row {
    char name[64], want[128];
    int r;
};

ParameterizedTestParameters(limits_cgroup_slice, path)
{
    static struct slice_row rows[] = {
        {"clawsup.slice", "/cg/clawsup.slice", 0},
        {"clawsup-acme.slice", "/cg/clawsup.slice/clawsup-acme.slice", 0},
        {"clawsup-a\\x2db.slice", "/cg/clawsup.slice/clawsup-a\\x2db.slice", 0},
        {"clawsup-a-b.slice", "/cg/clawsup.slice/clawsup-a.slice/clawsup-a-b.slice", 0},
        {"-.slice", "", -EINVAL},
        {".slice", "", -EINVAL},
        {"clawsup-.slice", "", -EINVAL},
        {"clawsup--a.slice", "", -EINVAL},
        {"clawsup", "", -EINVAL},
        {"clawsup-a/b.slice", "", -EINVAL},
    };
    return cr_make_param_array(struct slice_row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct slice_row *row, limits_cgroup_slice, path)
{
    struct limits_host h = {.cgroup = LIMITS_CGROUP_V2, .cgroup_root = "/cg"};
    char out[256] = "", small[8];

    cr_expect_eq(cgroup_slice_dir(&h, row->name, out, sizeof(out)), row->r, "%s", row->name);
    if (row->r == 0) {
        cr_expect_str_eq(out, row->want, "%s", out);
        cr_expect_eq(cgroup_slice_dir(&h, row->name, small, sizeof(small)), -ENAMETOOLONG);
    }
    h.cgroup = LIMITS_CGROUP_V1;
    cr_expect_eq(cgroup_slice_dir(&h, row->name, out, sizeof(out)), -EOPNOTSUPP);
}

static struct limits_host v1_host(void)
{
    struct limits_host h = {.cgroup = LIMITS_CGROUP_V1,
        .v1_memory = "/cg/memory",
        .v1_cpu = "/cg/cpu,cpuacct",
        .v1_cpuacct = "/cg/cpu,cpuacct",
        .v1_pids = "/cg/pids"};

    (void)snprintf(h.sysroot, sizeof(h.sysroot), "%s", dir);
    return h;
}

Test(limits_cgroup, v1_by_pid)
{
    struct limits_host h = v1_host();
    struct cgroup_sample s;

    fixture_write(dir, "/proc/42/cgroup",
        "9:name=systemd:/docker/x\n8:pids:/docker/x\n4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/\n");
    fixture_write(dir, "/cg/memory/docker/x/memory.usage_in_bytes", "4096\n");
    fixture_write(dir, "/cg/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
    fixture_write(
        dir, "/cg/memory/docker/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    fixture_write(dir, "/cg/cpu,cpuacct/docker/x/cpuacct.usage", "5000000\n");
    fixture_write(dir, "/cg/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n");
    fixture_write(dir, "/cg/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    fixture_write(
        dir, "/cg/cpu,cpuacct/docker/x/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 7000\n");
    fixture_write(dir, "/cg/pids/docker/x/pids.current", "2\n");
    fixture_write(dir, "/cg/pids/docker/x/pids.max", "64\n");
    cr_assert_eq(cgroup_read_pid(&h, 42, &s), 0);
    cr_expect_eq(s.memory_current_bytes, 4096);
    cr_expect_eq(s.memory_max_bytes, LIMITS_MAX);
    cr_expect_eq(s.oom_kills, 3);
    cr_expect_eq(s.cpu_usage_us, 5000);
    cr_expect_eq(s.cpu_throttled_us, 7);
    cr_expect_eq(s.cpu_max_nano, 500000000);
    cr_expect_eq(s.pids_current, 2);
    cr_expect_eq(s.pids_max, 64);
    cr_expect_not(s.have & CGROUP_POPULATED);
    fixture_write(dir, "/cg/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
    cr_assert_eq(cgroup_read_pid(&h, 42, &s), 0);
    cr_expect_eq(s.cpu_max_nano, LIMITS_MAX);
}

Test(limits_cgroup, a_pid_that_is_gone_or_points_outside)
{
    struct limits_host h = v1_host();
    struct cgroup_sample s;

    cr_expect_eq(cgroup_read_pid(&h, 43, &s), -ESRCH);
    h.cgroup = LIMITS_CGROUP_NONE;
    cr_expect_eq(cgroup_read_pid(&h, 43, &s), -EOPNOTSUPP);
    h.cgroup = LIMITS_CGROUP_V2;
    (void)snprintf(h.cgroup_root, sizeof(h.cgroup_root), "/cg");
    fixture_write(dir, "/proc/44/cgroup", "0::/../../etc\n"); /* seen from another cgroup namespace */
    cr_expect_eq(cgroup_read_pid(&h, 44, &s), -ENOENT);
    fixture_write(dir, "/proc/45/cgroup", "0::/system.slice/docker-x.scope\n");
    fixture_write(dir, "/cg/system.slice/docker-x.scope/pids.current", "9\n");
    cr_assert_eq(cgroup_read_pid(&h, 45, &s), 0);
    cr_expect_eq(s.pids_current, 9);
}

Test(limits_cgroup, tenant_cgroups_are_written)
{
    static const char *const files[] = {"cgroup.subtree_control", "acme/cpu.max", "acme/cpu.weight",
        "acme/memory.high", "acme/memory.max", "acme/memory.swap.max", "acme/pids.max"};
    struct limits_want w = {.nano_cpus = 250000000, .memory_bytes = 1000000000, .pids = 20};
    struct limits_host h = {.cgroup = LIMITS_CGROUP_V2, .cgroup_root = "/cg"};
    char path[128];

    (void)snprintf(h.sysroot, sizeof(h.sysroot), "%s", dir);
    fixture_write(dir, "/cg/cgroup.subtree_control", "");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        (void)snprintf(path, sizeof(path), "/cg/clawsup/%s", files[i]);
        fixture_write(dir, path, "old");
    }
    cr_assert_eq(cgroup_tenant_apply(&h, "acme", &w), 0);
    fixture_expect_file(dir, "/cg/cgroup.subtree_control", "+cpu +memory +pids");
    fixture_expect_file(dir, "/cg/clawsup/acme/cpu.max", "25000 100000\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/cpu.weight", "100\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/memory.high", "900000000\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/memory.max", "1000000000\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/memory.swap.max", "0\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/pids.max", "20\n");
    w = (struct limits_want){0};
    cr_assert_eq(cgroup_tenant_apply(&h, "acme", &w), 0);
    fixture_expect_file(dir, "/cg/clawsup/acme/cpu.max", "max 100000\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/memory.max", "max\n");
    fixture_expect_file(dir, "/cg/clawsup/acme/pids.max", "max\n");

    cr_expect_eq(cgroup_tenant_apply(&h, "../etc", &w), -EINVAL);
    cr_expect_eq(cgroup_tenant_remove(&h, "other"), 0);
    cr_expect_eq(cgroup_tenant_remove(&h, "acme"), -ENOTEMPTY);
    h.cgroup = LIMITS_CGROUP_V1;
    cr_expect_eq(cgroup_tenant_apply(&h, "acme", &w), -EOPNOTSUPP);
}
