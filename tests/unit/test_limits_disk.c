/* test_limits_disk.c: which mount holds a data root, what disk level it allows, and when it is nearly full.
 */
#include "fixture_dir.h"

#include "limits/disk.h"

#define TABLE                                                                                                \
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"                                                                  \
    "23 22 8:2 / /data rw - xfs /dev/sdb rw,attr2,prjquota\n"                                                \
    "24 22 8:3 / /data/tenants rw - ext4 /dev/sdc rw\n"                                                      \
    "25 22 8:4 / /data/tenants rw - ext4 /dev/sdd rw,prjquota\n"

Test(limits_disk, the_last_of_the_longest_mounts_counts)
{
    struct disk_host d = {0};

    cr_assert_eq(disk_find_mount(TABLE, "/data/x", &d), 0);
    cr_expect_str_eq(d.source, "/dev/sdb");
    cr_expect_str_eq(d.fs_type, "xfs");
    cr_expect(d.project_quota);
    cr_assert_eq(disk_find_mount(TABLE, "/data/tenants/a", &d), 0);
    cr_expect_str_eq(d.source, "/dev/sdd");
    cr_assert_eq(disk_find_mount(TABLE, "/database", &d), 0);
    cr_expect_str_eq(d.source, "/dev/sda1");
    cr_expect_not(d.project_quota);
    cr_expect_eq(disk_find_mount("", "/x", &d), -ENOENT);
}

Test(limits_disk, levels)
{
    char dir[64];
    struct disk_host d;

    fixture_new(dir, sizeof(dir));
    cr_expect_eq(disk_host_detect(dir, "/data", &d), -ENOENT);
    fixture_write(dir, "/proc/self/mountinfo", TABLE);
    cr_assert_eq(disk_host_detect(dir, "/srv", &d), 0);
    cr_expect_eq(d.best, DISK_C);
    cr_expect(strstr(d.why, "loop") && strstr(d.why, "mkfs.ext4"), "%s", d.why);
    cr_assert_eq(disk_host_detect(dir, "/data", &d), 0);
    cr_expect_eq(d.best, DISK_B);
    fixture_write(dir, "/dev/loop-control", "");
    cr_assert_eq(disk_host_detect(dir, "/srv", &d), 0);
    cr_expect_eq(d.best, DISK_C);
    cr_expect_str_eq(d.why, "mkfs.ext4 is missing (install e2fsprogs)");
    fixture_write(dir, "/sbin/mkfs.ext4", "");
    cr_assert_eq(disk_host_detect(dir, "/srv", &d), 0);
    cr_expect_eq(d.best, DISK_A);
    cr_expect_str_eq(d.why, "");
    fixture_free(dir);
}

Test(limits_disk, reading)
{
    struct disk_sample s;

    cr_assert_eq(disk_read("/", &s), 0);
    cr_expect(s.limit_bytes > 0 && s.used_bytes <= s.limit_bytes && s.free_bytes <= s.limit_bytes);
    cr_expect_eq(disk_read("/nothing/here", &s), -ENOENT);
}

Test(limits_disk, reserve)
{
    struct disk_sample s = {
        .limit_bytes = 1000, .used_bytes = 500, .free_bytes = 500, .limit_inodes = 100, .used_inodes = 94};

    cr_expect_not(disk_below_reserve(&s, 500));
    cr_expect(disk_below_reserve(&s, 501));
    s.used_inodes = 96;
    cr_expect(disk_below_reserve(&s, 1));
    s.limit_inodes = s.used_inodes = 0; /* btrfs does not count them */
    cr_expect_not(disk_below_reserve(&s, 1));
}
