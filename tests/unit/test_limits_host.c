/* test_limits_host.c: what a host allows, from fixtures of /proc and /sys and from the engine's /info. */
#include "fixture_dir.h"

#include <criterion/parameterized.h>
#include <sys/socket.h>

#include "limits/host.h"
#include "limits/mountinfo.h"

static char dir[64];

static void setup(void)
{
    fixture_new(dir, sizeof(dir));
}

static void teardown(void)
{
    fixture_free(dir);
}

TestSuite(limits_host, .init = setup, .fini = teardown);

#define V2_LINE "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

static void make_v2(const char *controllers)
{
    fixture_write(dir, "/proc/self/mountinfo", "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n" V2_LINE);
    fixture_write(dir, "/sys/fs/cgroup/cgroup.controllers", controllers);
    fixture_write(dir, "/proc/meminfo", "MemTotal:        2025988 kB\nMemFree: 1 kB\n");
    fixture_write(dir, "/proc/sys/kernel/osrelease", "6.1.0-30-amd64\n");
    fixture_write(dir, "/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
}

Test(limits_host, v2_facts)
{
    struct limits_host h;

    make_v2("cpuset cpu io memory hugetlb pids rdma\n");
    fixture_mkdir(dir, "/run/systemd/system");
    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect_eq(h.cgroup, LIMITS_CGROUP_V2);
    cr_expect_str_eq(h.cgroup_root, "/sys/fs/cgroup");
    cr_expect_eq(h.controllers, LIMITS_CPU | LIMITS_MEMORY | LIMITS_PIDS | LIMITS_IO | LIMITS_CPUSET);
    cr_expect(h.systemd && !h.bus && h.psi);
    cr_expect_str_eq(h.kernel, "6.1.0-30-amd64");
    cr_expect_eq(h.memory_total_bytes, UINT64_C(2025988) * 1024);
    cr_expect_eq(h.level, LIMITS_CONTAINER);
    cr_expect(strstr(h.why, "was not asked"), "%s", h.why);
}

Test(limits_host, v1_and_hybrid)
{
    struct limits_host h;
    const char *v1 = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                     "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                     "33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
                     "34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
    char text[2048];

    fixture_write(dir, "/proc/self/mountinfo", v1);
    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect_eq(h.cgroup, LIMITS_CGROUP_V1);
    cr_expect_eq(h.controllers, LIMITS_CPU | LIMITS_MEMORY | LIMITS_PIDS);
    cr_expect_str_eq(h.v1_memory, "/sys/fs/cgroup/memory");
    cr_expect_str_eq(h.v1_cpu, "/sys/fs/cgroup/cpu,cpuacct");
    cr_expect_str_eq(h.v1_cpuacct, "/sys/fs/cgroup/cpu,cpuacct");

    (void)snprintf(text, sizeof(text), "%s35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", v1);
    fixture_write(dir, "/proc/self/mountinfo", text);
    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect_eq(h.cgroup, LIMITS_CGROUP_HYBRID);
    cr_expect_str_eq(h.cgroup_root, "/sys/fs/cgroup/unified");
    cr_expect(strstr(h.why, "cgroup v1"), "%s", h.why);
}

Test(limits_host, a_named_hierarchy_alone_is_not_v1)
{
    struct limits_host h;

    fixture_write(dir, "/proc/self/mountinfo",
        "34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" V2_LINE);
    fixture_write(dir, "/sys/fs/cgroup/cgroup.controllers", "memory\n");
    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect_eq(h.cgroup, LIMITS_CGROUP_V2);
}

Test(limits_host, nothing_at_all)
{
    struct limits_host h;

    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect_eq(h.cgroup, LIMITS_CGROUP_NONE);
    cr_expect_eq(h.level, LIMITS_CONTAINER);
    cr_expect(h.why[0]);
}

Test(limits_host, the_bus_is_a_socket_that_takes_a_connection)
{
    _cleanup_close_ int fd = -EBADF;
    struct limits_host h;
    char path[256];
    struct err e;

    make_v2("cpu memory pids\n");
    fixture_mkdir(dir, "/run/dbus");
    (void)snprintf(path, sizeof(path), "%s/run/dbus/system_bus_socket", dir);
    fd = fd_listen_unix(path, SOCK_STREAM, 0666, (uid_t)-1, (gid_t)-1, &e);
    cr_assert_geq(fd, 0, "%s", e.msg);
    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect(h.bus);
    fd = fd_close(fd);
    cr_assert_eq(limits_host_detect(dir, NULL, &h), 0);
    cr_expect_not(h.bus, "a stale socket is no bus");
}

struct decision {
    char info[160];
    unsigned controllers;
    int cgroup, level;
    bool systemd, bus;
    char why[64];
};

#define ALL (LIMITS_CPU | LIMITS_MEMORY | LIMITS_PIDS)
#define INFO(driver, version)                                                                                \
    "{\"CgroupDriver\":\"" driver "\",\"CgroupVersion\":\"" version "\",\"ServerVersion\":\"26.1.5\"}"

ParameterizedTestParameters(limits_host_level, decide)
{
    static struct decision rows[] = {
        {INFO("systemd", "2"), ALL, LIMITS_CGROUP_V2, LIMITS_SLICE, true, true, ""},
        {INFO("systemd", "2"), ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, false, "system bus"},
        {INFO("systemd", "2"), ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, false, false, "PID 1 is not"},
        {INFO("cgroupfs", "2"), ALL, LIMITS_CGROUP_V2, LIMITS_CGROUPFS, false, false, "not PID 1"},
        {INFO("cgroupfs", "2"), ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, true, "native.cgroupdriver"},
        {INFO("none", "2"), ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, true, "no cgroup driver"},
        {INFO("systemd", "1"), ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, true, "cgroup v1"},
        {INFO("systemd", "2"), ALL, LIMITS_CGROUP_HYBRID, LIMITS_CONTAINER, true, true, "cgroup v1"},
        {INFO("systemd", "2"), LIMITS_CPU | LIMITS_PIDS, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, true,
            "missing: memory"},
        {"{}", ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, true, "not asked"},
        {"[]", ALL, LIMITS_CGROUP_V2, LIMITS_CONTAINER, true, true, "not asked"},
    };
    return cr_make_param_array(struct decision, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct decision *d, limits_host_level, decide)
{
    struct limits_host h = {.cgroup = (enum limits_cgroup)d->cgroup,
        .controllers = d->controllers,
        .systemd = d->systemd,
        .bus = d->bus};
    json_t *info = json_loads(d->info, 0, NULL);

    limits_host_set_engine(&h, info);
    json_decref(info);
    cr_expect_eq((int)h.level, d->level, "%s: %s", d->info, h.why);
    cr_expect(d->why[0] ? strstr(h.why, d->why) != NULL : !h.why[0], "%s", h.why);
}

Test(limits_mountinfo, fields)
{
    const char *text =
        "short line\n"
        "22 1 8:1 / /mnt/a\\040b rw,noatime shared:1 master:2 - xfs /dev/disk\\134x rw,prjquota\n"
        "23 1 8:1 / /plain rw - ext4 /dev/sda1 rw"; /* no newline at the end */
    struct mountinfo m;

    cr_assert_eq(mountinfo_next(&text, &m), 1);
    cr_expect_str_eq(m.mount_point, "/mnt/a b");
    cr_expect_str_eq(m.fs_type, "xfs");
    cr_expect_str_eq(m.source, "/dev/disk\\x");
    cr_expect(mountinfo_has_option(m.super_options, "prjquota"));
    cr_expect(!mountinfo_has_option(m.super_options, "prj"));
    cr_expect(!mountinfo_has_option("", "x"));
    cr_assert_eq(mountinfo_next(&text, &m), 1);
    cr_expect_str_eq(m.mount_point, "/plain");
    cr_expect_eq(mountinfo_next(&text, &m), 0);
}
