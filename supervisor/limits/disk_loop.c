/* disk_loop.c: see disk_loop.h. */
#include "limits/disk_loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/str.h"

#define LOOP_MAJOR 7
#define TRIES 64 /* others take free devices, too */

void disk_loop_path(char out[static DISK_LOOP_PATH], unsigned number)
{
    (void)snprintf(out, DISK_LOOP_PATH, "/dev/loop%u", number);
}

static bool shows(unsigned number, const struct stat *st)
{
    char path[DISK_LOOP_PATH];
    struct loop_info64 info = {0};
    _cleanup_close_ int fd = -EBADF;

    disk_loop_path(path, number);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) >= 0 && info.lo_device == st->st_dev &&
           info.lo_inode == st->st_ino;
}

bool disk_loop_is(dev_t dev, const struct stat *st)
{
    return major(dev) == LOOP_MAJOR && shows(minor(dev), st);
}

int disk_loop_find(const struct stat *st)
{
    DIR *h = opendir("/sys/block");
    int found = -ENOENT;
    struct dirent *d;

    if (!h)
        return -errno;
    while (found < 0 && (d = readdir(h))) {
        char backing[300];
        uint64_t n;

        if (!str_startswith(d->d_name, "loop") || str_parse_u64(d->d_name + 4, 1 << 20, &n) < 0)
            continue;
        (void)snprintf(backing, sizeof(backing), "/sys/block/%s/loop/backing_file", d->d_name);
        if (access(backing, F_OK) == 0 && shows((unsigned)n, st))
            found = (int)n;
    }
    (void)closedir(h);
    return found;
}

static int bind_to(int device, int fd)
{
    struct loop_config c = {
        .fd = (unsigned)fd, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO}};

    if (ioctl(device, LOOP_CONFIGURE, &c) >= 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    c.info.lo_flags = LO_FLAGS_AUTOCLEAR; /* a file system without direct I/O, such as tmpfs */
    return ioctl(device, LOOP_CONFIGURE, &c) < 0 ? -errno : 0;
}

int disk_loop_bind(int fd, unsigned *ret, struct err *e)
{
    _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int r = -EBUSY;

    if (control < 0)
        return err_set(e, -errno, "/dev/loop-control: %m (load the module loop)");
    for (unsigned i = 0; i < TRIES; i++) {
        _cleanup_close_ int device = -EBADF;
        char path[DISK_LOOP_PATH];
        int n = ioctl(control, LOOP_CTL_GET_FREE);

        if (n < 0)
            return err_set(e, -errno, "/dev/loop-control: no free device: %m");
        disk_loop_path(path, (unsigned)n);
        device = open(path, O_RDWR | O_CLOEXEC);
        if (device < 0)
            return err_set(e, -errno, "%s: %m", path);
        r = bind_to(device, fd);
        if (r >= 0) {
            *ret = (unsigned)n;
            return TAKE_FD(device);
        }
        if (r != -EBUSY)
            return err_set(e, r, "%s: LOOP_CONFIGURE: %s", path, strerror(-r));
    }
    return err_set(e, r, "no free loop device after %d tries", TRIES);
}

int disk_loop_grown(unsigned number)
{
    char path[DISK_LOOP_PATH];
    _cleanup_close_ int fd = -EBADF;

    disk_loop_path(path, number);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 || ioctl(fd, LOOP_SET_CAPACITY, 0) < 0 ? -errno : 0;
}
