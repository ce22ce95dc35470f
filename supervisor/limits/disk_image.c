/* disk_image.c: see disk_image.h. Follows no symbolic link on the way to a data root; hides no file. */
#include "limits/disk_image_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/disk_loop.h"
#include "limits/disk_skeleton.h"

int disk_image_path(const char *dir, const char *slug, char *out, size_t n)
{
    return (size_t)snprintf(out, n, "%s/%s.img", dir, slug) < n ? 0 : -ENAMETOOLONG;
}

bool disk_image_exists(const char *dir, const char *slug)
{
    char path[4096];
    struct stat st;

    return disk_image_path(dir, slug, path, sizeof(path)) >= 0 && lstat(path, &st) == 0;
}

/* ---------------------------------------------------------------- the data root */

static int open_strict(const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* Only the last component is made: a missing parent is more likely an unmounted disk than a wish. */
static int make_root(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    _cleanup_close_ int fd = -EBADF;

    if (!parent)
        return -ENOMEM;
    fd = open_strict(parent, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return fd;
    return mkdirat(fd, slash + 1, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_root(const char *path, bool make, struct err *e)
{
    int fd = open_strict(path, O_RDONLY | O_DIRECTORY);

    if (fd == -ENOENT && make) {
        fd = make_root(path);
        if (fd >= 0)
            fd = open_strict(path, O_RDONLY | O_DIRECTORY);
    }
    if (fd == -ELOOP)
        return err_set(e, fd, "data_root %s leads through a symbolic link; name it by its real path", path);
    return fd < 0 ? err_set(e, fd, "data_root %s: %s", path, strerror(-fd)) : fd;
}

static int is_mount(int fd, bool *ret)
{
    struct statx sx;

    if (statx(fd, "", AT_EMPTY_PATH, 0, &sx) < 0)
        return -errno;
    *ret = sx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return 0;
}

int disk_image_is_mounted(const char *dir, const char *slug, const char *data_root)
{
    _cleanup_close_ int root = open_root(data_root, false, NULL);
    struct stat image, st;
    char path[4096];

    TRY(disk_image_path(dir, slug, path, sizeof(path)));
    if (root < 0)
        return root == -ENOENT ? 0 : root;
    if (lstat(path, &image) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(root, &st) < 0)
        return -errno;
    return disk_loop_is(st.st_dev, &image);
}

/* ---------------------------------------------------------------- the image */

static int check_dir(const char *dir, struct err *e)
{
    struct stat st;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set(e, -errno, "disk_images_dir %s: mkdir: %m", dir);
    if (lstat(dir, &st) < 0)
        return err_set(e, -errno, "disk_images_dir %s: %m", dir);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return err_set(e, -EPERM, "disk_images_dir %s must be root's own directory with mode 0700", dir);
    return 0;
}

/* The programs inherit it: while one of them is still at work, nobody else begins. */
static int lock(const struct disk_image_want *w, struct err *e)
{
    _cleanup_close_ int fd = -EBADF;
    char path[4096];

    if ((size_t)snprintf(path, sizeof(path), "%s/.%s.lock", w->dir, w->slug) >= sizeof(path))
        return err_set(e, -ENAMETOOLONG, "%s: the name is too long", w->dir);
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, -errno, "%s: %m", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, -EAGAIN, "another process is at work on the image of %s", w->slug);
    (void)fd_set_cloexec(fd, false);
    return TAKE_FD(fd);
}

static int open_image(const char *path, struct stat *ret, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return err_set(e, -errno, "%s: %m", path);
    if (fstat(fd, ret) < 0)
        return err_set(e, -errno, "%s: %m", path);
    if (!S_ISREG(ret->st_mode) || ret->st_uid != geteuid() || (ret->st_mode & 077) || ret->st_nlink != 1)
        return err_set(
            e, -EPERM, "%s must be root's own regular file with mode 0600 and no other name", path);
    return TAKE_FD(fd);
}

/* ---------------------------------------------------------------- mounting */

static int set_option(int fs, const char *key, const char *value)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* The directory that was looked at is what is mounted on, whatever its path leads to by now. */
static int mount_device(const char *device, int root, const char *data_root, struct err *e)
{
    _cleanup_close_ int fs = fsopen("ext4", FSOPEN_CLOEXEC), tree = -EBADF;

    if (fs < 0)
        return err_set(e, -errno, "ext4: fsopen: %m");
    if (set_option(fs, "source", device) < 0 || set_option(fs, "errors", "remount-ro") < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set(e, -errno, "%s: mount: %m", device);
    tree = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    if (tree < 0)
        return err_set(e, -errno, "%s: fsmount: %m", device);
    if (move_mount(tree, "", root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_set(e, -errno, "%s: move_mount: %m", data_root);
    return 0;
}

/* A fresh file system takes the data root's mode and directories; what mkfs put in it is not the tenant's. */
static int furnish(const char *data_root, int below, const struct stat *was, struct err *e)
{
    _cleanup_close_ int fd = open_root(data_root, false, e);
    int r;

    if (fd < 0)
        return fd;
    if (fchown(fd, was->st_uid, was->st_gid) < 0 || fchmod(fd, was->st_mode & 07777) < 0)
        return err_set(e, -errno, "data_root %s: %m", data_root);
    if (unlinkat(fd, "lost+found", AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_set(e, -errno, "data_root %s: lost+found: %m", data_root);
    r = disk_skeleton_copy(below, fd);
    return r < 0 ? err_set(e, r, "data_root %s: its directories: %s", data_root, strerror(-r)) : 0;
}

static int refuse_full(const struct disk_image_want *w, bool image, struct err *e)
{
    return err_set(e, -ENOTEMPTY,
        image ? "data_root %s has files, and the image of %s would hide them; move them away, then reload"
              : "data_root %s has files already, so no image can be mounted there; move them away, reload, "
                "and copy them back (%s: see limits.disk_mode in clawsup.conf(5))",
        w->data_root, w->slug);
}

/* Nothing of ours is mounted on `root` yet. */
static int attach(
    const struct disk_image_want *w, const char *path, int root, struct disk_image_done *ret, struct err *e)
{
    _cleanup_close_ int fd = -EBADF, device = -EBADF;
    char loop[DISK_LOOP_PATH];
    struct stat was, image;
    unsigned number = 0;
    int r = disk_skeleton_is_bare(root);

    if (r < 0 || fstat(root, &was) < 0)
        return err_set(e, r < 0 ? r : -errno, "data_root %s cannot be read", w->data_root);
    if (r == 0)
        return refuse_full(w, disk_image_exists(w->dir, w->slug), e);
    if (!disk_image_exists(w->dir, w->slug)) {
        if (!w->bytes)
            return err_set(e, -ENOENT, "%s: there is no such image", path);
        TRY(disk_image_make(w, path, &was, e));
        ret->created = true;
    }
    fd = open_image(path, &image, e);
    if (fd < 0)
        return fd;
    r = disk_loop_find(&image);
    if (r < 0) {
        TRY(disk_image_check(path, &ret->check, e));
        device = disk_loop_bind(fd, &number, e);
        if (device < 0)
            return device;
    } else {
        /* Mounted elsewhere, perhaps only in the mount namespace of another service: the same device is the
         * same file system, which must be neither checked nor bound a second time. */
        number = (unsigned)r;
    }
    disk_loop_path(loop, number);
    TRY(mount_device(loop, root, w->data_root, e));
    ret->mounted = true;
    return ret->created ? furnish(w->data_root, root, &was, e) : 0;
}

int disk_image_ensure(const struct disk_image_want *w, struct disk_image_done *ret, struct err *e)
{
    _cleanup_close_ int held = -EBADF, root = -EBADF, fd = -EBADF;
    struct disk_image_done done = {0};
    struct stat st, image;
    char path[4096];
    bool mounted = false;
    int r;

    TRY(check_dir(w->dir, e));
    if (disk_image_path(w->dir, w->slug, path, sizeof(path)) < 0)
        return err_set(e, -ENAMETOOLONG, "%s: the name is too long", w->dir);
    held = lock(w, e);
    if (held < 0)
        return held;
    root = open_root(w->data_root, true, e);
    if (root < 0)
        return root;
    r = is_mount(root, &mounted);
    if (r < 0)
        return err_set(e, r, "data_root %s: %s", w->data_root, strerror(-r));
    if (!mounted) {
        TRY(attach(w, path, root, &done, e));
        (void)fd_close(root);
        root = open_root(w->data_root, false, e);
        if (root < 0)
            return root;
    }
    fd = open_image(path, &image, e);
    if (fd < 0)
        return fd;
    if (fstat(root, &st) < 0 || !disk_loop_is(st.st_dev, &image))
        return err_set(e, -EBUSY, "something else than %s is mounted on data_root %s", path, w->data_root);
    TRY(disk_image_grow(w, fd, minor(st.st_dev), &done, e));
    *ret = done;
    return 0;
}

int disk_image_trim(const char *data_root, uint64_t *ret, struct err *e)
{
    _cleanup_close_ int fd = open_root(data_root, false, e);
    struct fstrim_range range = {.len = UINT64_MAX};

    if (fd < 0)
        return fd;
    if (ioctl(fd, FITRIM, &range) < 0)
        return err_set(e, -errno, "data_root %s: fstrim: %m", data_root);
    *ret = range.len;
    return 0;
}
