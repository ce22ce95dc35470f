/* test_disk_image.c: a tenant's image on a real loop device: made, filled, grown, damaged, refused. Needs
 * root and loop devices; says so where they are missing. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/disk_image.h"
#include "limits/disk_loop.h"
#include "limits/disk_run.h"

#define MIB(n) ((uint64_t)(n) << 20)

static char dir[64], images[96], root[96], image[128];
static struct disk_image_want want;
static struct disk_image_done done;
static struct err err;

static void setup(void)
{
    int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    if (geteuid() != 0 || fd < 0 || !disk_program("mkfs.ext4"))
        cr_skip_test("needs root, loop devices and e2fsprogs");
    (void)close(fd);
    (void)snprintf(dir, sizeof(dir), "/tmp/clawsup-test-image-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(unshare(CLONE_NEWNS), 0); /* what is mounted ends with the test */
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    (void)snprintf(images, sizeof(images), "%s/images", dir);
    (void)snprintf(root, sizeof(root), "%s/root", dir);
    (void)snprintf(image, sizeof(image), "%s/a.img", images);
    want = (struct disk_image_want){.dir = images, .slug = "a", .data_root = root, .bytes = MIB(64)};
}

static void teardown(void)
{
    char command[160];

    while (umount2(root, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    if (str_startswith(dir, "/tmp/clawsup-test-image-"))
        cr_expect_eq(system(command), 0);
}

TestSuite(disk_image, .init = setup, .fini = teardown, .timeout = 120);

static int ensure(void)
{
    err.msg[0] = '\0';
    return disk_image_ensure(&want, &done, &err);
}

static void put(const char *name, const char *text)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    cr_assert_eq(fd_write_atomic(path, text, strlen(text), 0644), 0);
}

static bool has(const char *name, const char *text)
{
    _cleanup_free_ char *have = NULL;
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    return fd_read_file(path, 4096, &have, NULL) >= 0 && strcmp(have, text) == 0;
}

/* ext4 grows online for CAP_SYS_RESOURCE alone, which a container's root does not have. */
static bool can_grow(void)
{
    return prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1;
}

/* A loop device lets go a moment after its last user. */
static void detach(void)
{
    struct stat st;

    cr_assert_eq(umount2(root, UMOUNT_NOFOLLOW), 0);
    cr_assert_eq(stat(image, &st), 0);
    for (unsigned i = 0; i < 3000 && disk_loop_find(&st) >= 0; i++)
        (void)usleep(10000);
    cr_assert_eq(disk_loop_find(&st), -ENOENT);
}

Test(disk_image, made_mounted_and_found_again)
{
    struct statvfs v;
    struct stat st;
    char path[160];
    DIR *h;
    int n = 0;

    cr_assert_eq(mkdir(root, 0750), 0);
    cr_assert_eq(chown(root, 1234, 1235), 0);
    (void)snprintf(path, sizeof(path), "%s/workspace", root); /* no file would be hidden */
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(chown(path, 1234, 0), 0);
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect(done.created && done.mounted && !done.grown);
    cr_expect_eq(done.bytes, MIB(64));
    cr_assert_eq(stat(root, &st), 0);
    cr_expect(st.st_uid == 1234 && st.st_gid == 1235 && (st.st_mode & 07777) == 0750);
    cr_assert_eq(statvfs(root, &v), 0);
    cr_expect(v.f_flag & ST_NODEV);
    cr_expect(v.f_flag & ST_NOSUID);
    cr_expect_gt(v.f_bavail, v.f_bfree / 100 * 97); /* 5 % are not kept back for root */
    cr_assert_eq(stat(path, &st), 0);
    cr_expect(st.st_uid == 1234 && (st.st_mode & 07777) == 0700);
    h = opendir(root);
    while (h && readdir(h))
        n++;
    if (h)
        (void)closedir(h);
    cr_expect_eq(n, 3); /* no lost+found in a tenant's directory */
    cr_assert_eq(stat(image, &st), 0);
    cr_expect(st.st_uid == 0 && (st.st_mode & 07777) == 0600);
    cr_expect_geq((uint64_t)st.st_blocks * 512, MIB(64)); /* allocated, not promised */
    cr_expect_eq(disk_image_is_mounted(images, "a", root), 1);

    put("f", "kept");
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect(!done.created && !done.mounted && !done.grown);
    detach();
    cr_expect_eq(disk_image_is_mounted(images, "a", root), 0);
    cr_assert_eq(ensure(), 0, "%s", err.msg); /* as after a reboot */
    cr_expect(!done.created && done.mounted);
    cr_expect(has("f", "kept"));
}

Test(disk_image, full_is_full)
{
    char path[160], block[65536] = {1};
    ssize_t n = 0;
    int fd;

    want.inodes = 1024;
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    (void)snprintf(path, sizeof(path), "%s/video", root);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    for (unsigned i = 0; i < 2048 && n >= 0; i++)
        n = write(fd, block, sizeof(block));
    cr_expect(n < 0 && errno == ENOSPC);
    (void)close(fd);
    cr_assert_eq(unlink(path), 0);
    for (unsigned i = 0; i < 4096 && fd >= 0; i++) {
        (void)snprintf(path, sizeof(path), "%s/%u", root, i);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void)close(fd);
    }
    cr_expect(fd < 0 && errno == ENOSPC, "inodes are capped as well");
}

Test(disk_image, grows_and_never_shrinks)
{
    struct statvfs v;
    uint64_t trimmed;

    cr_assert_eq(ensure(), 0, "%s", err.msg);
    put("f", "kept");
    want.bytes = MIB(160);
    if (can_grow()) {
        cr_assert_eq(ensure(), 0, "%s", err.msg);
        cr_expect(done.grown && !done.mounted);
        cr_assert_eq(statvfs(root, &v), 0);
        cr_expect_gt((uint64_t)v.f_blocks * v.f_frsize, MIB(140));
    } else {
        cr_expect_eq(ensure(), -EIO);
        cr_expect_not_null(strstr(err.msg, "Permission denied"), "%s", err.msg);
    }
    want.bytes = MIB(48);
    if (can_grow()) {
        cr_assert_eq(ensure(), 0, "%s", err.msg);
        cr_expect(done.shrink_refused && !done.grown);
        cr_expect_eq(done.bytes, MIB(160));
    }
    cr_expect(has("f", "kept"));
    cr_expect_eq(disk_image_trim(root, &trimmed, &err), 0, "%s", err.msg);
}

/* The file grew, then the machine went down: the next start finishes it. */
Test(disk_image, growth_that_was_cut_short)
{
    struct statvfs v;

    cr_assert_eq(ensure(), 0, "%s", err.msg);
    detach();
    cr_assert_eq(truncate(image, (off_t)MIB(160)), 0);
    want.bytes = MIB(160);
    if (!can_grow())
        return;
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect(done.mounted && done.grown);
    cr_assert_eq(statvfs(root, &v), 0);
    cr_expect_gt((uint64_t)v.f_blocks * v.f_frsize, MIB(140));
}

Test(disk_image, a_making_that_was_cut_short_starts_anew)
{
    char temp[160];

    cr_assert_eq(mkdir(images, 0700), 0);
    (void)snprintf(temp, sizeof(temp), "%s/.a.img.new", images);
    cr_assert_eq(fd_write_atomic(temp, "half", 4, 0600), 0);
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect(done.created);
    cr_expect_eq(access(temp, F_OK), -1);
}

Test(disk_image, hides_no_file)
{
    cr_assert_eq(mkdir(root, 0755), 0);
    put("precious", "data");
    cr_expect_eq(ensure(), -ENOTEMPTY);
    cr_expect_not_null(strstr(err.msg, "files already"));
    cr_expect_eq(access(image, F_OK), -1);
    cr_expect(has("precious", "data"));
}

/* The image exists, and somebody wrote on the mount point while it was not mounted. */
Test(disk_image, hides_no_file_below_an_image)
{
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    put("inside", "1");
    detach();
    put("below", "2");
    cr_expect_eq(ensure(), -ENOTEMPTY);
    cr_expect(has("below", "2"));
}

/* What a crash leaves: the journal is not empty, the file system not marked clean, counts are wrong. */
Test(disk_image, a_dirty_image_is_checked)
{
    char copy[160], command[800];

    cr_assert_eq(ensure(), 0, "%s", err.msg);
    put("f", "kept");
    sync();
    (void)snprintf(copy, sizeof(copy), "%s/copy", dir);
    (void)snprintf(command, sizeof(command), "cp --sparse=never '%s' '%s'", image, copy);
    cr_assert_eq(system(command), 0); /* as it was in the middle of its life */
    detach();
    (void)snprintf(command, sizeof(command), "cat '%s' > '%s'", copy, image);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect(has("f", "kept"));
    detach();
    (void)snprintf(command, sizeof(command),
        "debugfs -w -R 'ssv free_blocks_count 7' '%s' 2>&1 && debugfs -w -R 'ssv state 2' '%s' 2>&1", image,
        image);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect_eq(done.check, DISK_IMAGE_REPAIRED);
    cr_expect(has("f", "kept"));
}

Test(disk_image, a_ruined_image_is_left_alone)
{
    struct stat before, after;
    char zero[4096] = {0};
    int fd;

    cr_assert_eq(ensure(), 0, "%s", err.msg);
    detach();
    fd = open(image, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, zero, sizeof(zero), 0), (ssize_t)sizeof(zero));
    (void)close(fd);
    cr_assert_eq(stat(image, &before), 0);
    cr_expect_eq(ensure(), -EUCLEAN);
    cr_expect_not_null(strstr(err.msg, "e2fsck -f"));
    cr_assert_eq(stat(image, &after), 0);
    cr_expect(before.st_ino == after.st_ino && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
              before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

Test(disk_image, refusals)
{
    char other[160], path[160];
    struct stat st, there;
    int fd;

    want.reserve_bytes = UINT64_C(1) << 60;
    cr_expect_eq(ensure(), -ENOSPC);
    cr_expect_not_null(strstr(err.msg, "no room"));
    want.reserve_bytes = 0;
    cr_expect_eq(access(image, F_OK), -1);

    /* a link in the way */
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    (void)snprintf(path, sizeof(path), "%s/link", dir);
    (void)rmdir(root);
    cr_assert_eq(mkdir(other, 0755), 0);
    cr_assert_eq(symlink(other, path), 0);
    want.data_root = path;
    cr_expect_eq(ensure(), -ELOOP);
    want.data_root = root;

    /* another process at work */
    (void)snprintf(path, sizeof(path), "%s/.a.lock", images);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_expect_eq(ensure(), -EAGAIN);
    (void)close(fd);

    /* mounted elsewhere, too: the same file system, never a second device of the same file */
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    put("f", "once");
    want.data_root = other;
    cr_assert_eq(ensure(), 0, "%s", err.msg);
    cr_expect(stat(root, &st) == 0 && stat(other, &there) == 0 && st.st_dev == there.st_dev);
    cr_expect_eq(umount2(other, UMOUNT_NOFOLLOW), 0);
    want.data_root = root;
    cr_expect(has("f", "once"));
    detach();

    /* somebody else could write it */
    cr_assert_eq(chmod(image, 0620), 0);
    cr_expect_eq(ensure(), -EPERM);
    cr_assert_eq(chmod(image, 0600), 0);
    cr_assert_eq(chmod(images, 0750), 0);
    cr_expect_eq(ensure(), -EPERM);
}
