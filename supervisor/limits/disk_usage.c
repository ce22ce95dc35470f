/* disk_usage.c: see disk_usage.h. Reads only. */
#include "limits/disk_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"

#define DEPTH_MAX 64
#define INODES_MAX 4000000

/* A file with several names is counted a part at each. */
static void count(struct disk_usage *u, const struct stat *st)
{
    u->bytes += (uint64_t)st->st_blocks * 512 / (uint64_t)MAX(st->st_nlink, (nlink_t)1);
    u->inodes++;
}

static void visit(int dir, dev_t dev, unsigned depth, struct disk_usage *u);

static void enter(int dir, const char *name, dev_t dev, unsigned depth, struct disk_usage *u)
{
    _cleanup_close_ int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (sub >= 0 && depth < DEPTH_MAX)
        visit(sub, dev, depth + 1, u);
    else if (sub >= 0 || errno != ENOENT)
        u->partial = true;
}

static void visit(int dir, dev_t dev, unsigned depth, struct disk_usage *u)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *h = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *d;

    if (!h) {
        (void)fd_close(copy);
        return;
    }
    while (!u->partial && (d = readdir(h))) {
        struct stat st;

        if (str_eq(d->d_name, ".") || str_eq(d->d_name, "..") ||
            fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
            continue;
        count(u, &st);
        u->partial = u->inodes >= INODES_MAX;
        if (S_ISDIR(st.st_mode))
            enter(dir, d->d_name, dev, depth, u);
    }
    (void)closedir(h);
}

int disk_usage_of(const char *path, struct disk_usage *ret, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct disk_usage u = {0};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %m", path);
    count(&u, &st);
    visit(fd, st.st_dev, 0, &u);
    *ret = u;
    return 0;
}
