/* staging_nest.c: a bind inside another bind, put together before the engine sees either. The place inside
 * belongs to the tenant and may change at any moment: it is opened once, without following a link, and that
 * very file is mounted on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/str.h"
#include "daemon/staging_internal.h"
#include "filter/create.h"

#define MOUNTINFO_MAX ((size_t)16 * 1024 * 1024)

/* Takes DIR/N/REST apart: *ret_into is DIR/N, *ret_rest points to REST. */
static int split(const char *dir, const char *path, char **ret_into, const char **ret_rest)
{
    size_t n = strlen(dir), digits;

    if (!str_is_clean_path(path) || !str_startswith(path, dir) || path[n] != '/')
        return -EINVAL;
    digits = strspn(path + n + 1, "0123456789");
    if (digits == 0 || digits > 20 || path[n + 1 + digits] != '/')
        return -EINVAL;
    *ret_into = strndup(path, n + 1 + digits);
    *ret_rest = path + n + 1 + digits + 1;
    return *ret_into ? 0 : -ENOMEM;
}

bool staging_is_nested(const struct config *c, const char *slug, const char *path)
{
    _cleanup_free_ char *dir = NULL, *into = NULL;
    const char *rest;

    return staging_dir(c, slug, &dir) >= 0 && split(dir, path, &into, &rest) >= 0;
}

static int open_at(int dir, const char *name, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* One missing component of a place, of the source's kind when it is the last. */
static int make_at(int dir, const char *name, bool is_dir)
{
    int fd;

    if (is_dir)
        return mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    (void)fd_close(fd);
    return 0;
}

/* Opens REST below `root`, component by component, and makes what is missing. */
static int open_place(int root, const char *rest, bool is_dir)
{
    _cleanup_close_ int at = open_at(root, ".", O_DIRECTORY);
    char name[NAME_MAX + 1];

    while (at >= 0 && *rest) {
        size_t n = strcspn(rest, "/");
        bool last = rest[n] == '\0';
        int next, r;

        if (n >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, rest, n);
        name[n] = '\0';
        rest += n + !last;
        next = open_at(at, name, last && !is_dir ? 0 : O_DIRECTORY);
        if (next == -ENOENT) {
            r = make_at(at, name, !last || is_dir);
            next = r < 0 ? r : open_at(at, name, last && !is_dir ? 0 : O_DIRECTORY);
        }
        (void)fd_close(at);
        at = next;
    }
    return TAKE_FD(at);
}

static bool is_mount_root(int fd)
{
    struct statx sx;

    return statx(fd, "", AT_EMPTY_PATH, 0, &sx) == 0 && (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* As many mounts as a container may have: each is read at every start of every container. */
static bool is_full(const char *into)
{
    _cleanup_free_ char *text = NULL, *mark = NULL;
    size_t n = 0;

    if (asprintf(&mark, " %s/", into) < 0 ||
        fd_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) < 0)
        return true;
    for (const char *s = text; (s = strstr(s, mark)); s++)
        n++;
    return n >= CREATE_MOUNTS_MAX;
}

static int mount_on(int place, int source, const struct stat *st, bool readonly)
{
    _cleanup_close_ int tree = -EBADF;
    struct stat now;

    if (fstat(place, &now) < 0)
        return -errno;
    if ((now.st_mode & S_IFMT) != (st->st_mode & S_IFMT))
        return -ENOTDIR;
    if (is_mount_root(place)) /* staged before, and no reboot since */
        return now.st_dev == st->st_dev && now.st_ino == st->st_ino ? 0 : -EEXIST;
    tree = staging_clone(source, readonly);
    if (tree < 0)
        return tree;
    return move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno
                                                                                                  : 0;
}

int staging_nest(const struct config *c, const struct config_tenant *t, const char *source, const char *path,
    bool readonly, struct err *e)
{
    _cleanup_close_ int fd = -EBADF, root = -EBADF, place = -EBADF;
    _cleanup_free_ char *dir = NULL, *into = NULL;
    const char *rest = NULL;
    struct stat st;
    int r = staging_dir(c, t->slug, &dir);

    if (r >= 0)
        r = split(dir, path, &into, &rest);
    if (r < 0)
        return err_set(e, r, "the place of %s is not in a staging path of %s", source, t->slug);
    fd = staging_open(t, source, &st, e);
    if (fd < 0)
        return fd;
    root = open(into, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0 || !is_mount_root(root))
        return err_set(e, -EINVAL, "the bind in which %s lies is not staged", rest);
    place = open_place(root, rest, S_ISDIR(st.st_mode));
    if (place == -ELOOP)
        return err_set(e, -EACCES, "%s leads through a symbolic link in the bind that it lies in", rest);
    r = place < 0 ? place : (is_full(into) ? -ENOSPC : mount_on(place, fd, &st, readonly));
    return r < 0 ? err_set(e, r, "%s in %s: %s", source, rest, strerror(-r)) : 0;
}
