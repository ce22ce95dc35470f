/* staging.c: see staging.h. Takes nothing on trust from the proxy: the roots come from the configuration. */
#include "daemon/staging_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "filter/create.h"

#define STAGING_MAX 4096 /* paths per tenant; fewer when its containers need fewer */
#define STAGING_SLACK 64 /* of creates that are on their way, or were given up */
#define SWEEP_AGE_US (60 * USEC_PER_SEC)

int staging_dir(const struct config *c, const char *slug, char **ret)
{
    return asprintf(ret, "%s/.supervisor/staging/%s", c->runtime_dir, slug) < 0 ? -ENOMEM : 0;
}

static bool is_allowed(const struct config_tenant *t, const char *source)
{
    const struct policy_list *l = &t->policy->bind_mount_from;

    for (size_t i = 0; i < l->n; i++)
        if (str_path_covers(l->items[i], source))
            return true;
    return false;
}

/* Opens `source`; no component of it, from the host's root on, may be a symlink. Not only those below the
 * bind root: a gateway that has its data root mounted can rename the workspace and put a link in its place.
 */
static int open_source(const char *source, struct err *e)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, source, &how, sizeof(how));

    if (fd >= 0)
        return (int)fd;
    if (errno == ELOOP)
        return err_set(
            e, -EACCES, "%s leads through a symbolic link; name the directory by its real path", source);
    return err_set(e, -errno, "%s: %m", source);
}

/* True for DIR/N, as make_target() names them. */
static bool is_target(const char *dir, const char *path)
{
    size_t n = strlen(dir);
    uint64_t number;

    return str_startswith(path, dir) && path[n] == '/' &&
           str_parse_u64(path + n + 1, UINT64_MAX, &number) >= 0;
}

static int make_node(const char *path, mode_t kind)
{
    int fd;

    if (S_ISDIR(kind))
        return mkdir(path, 0700) < 0 ? -errno : 0;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    (void)fd_close(fd);
    return 0;
}

/* Each path is a mount of the host's, which every start of every container reads: a proxy gets as many as its
 * tenant's containers can have. */
static bool is_full(const struct policy *p, const char *dir)
{
    size_t n = 0,
           max = (size_t)MIN(p->max_containers * CREATE_MOUNTS_MAX + STAGING_SLACK, (uint64_t)STAGING_MAX);
    DIR *h = opendir(dir);

    while (h && readdir(h))
        n++;
    if (h)
        (void)closedir(h);
    return n >= max + 2; /* "." and ".." */
}

/* An empty directory or file of the source's kind, to be mounted on. Its name is the time: a name that came
 * back after a reboot would show a container what was staged for another. */
static int make_target(const struct policy *p, const char *dir, mode_t kind, char **ret)
{
    uint64_t number = clock_now(CLOCK_REALTIME);

    if (is_full(p, dir))
        return -ENOSPC;
    for (unsigned i = 0; i < 100; i++) {
        char *path = NULL;
        int r;

        if (asprintf(&path, "%s/%" PRIu64, dir, number + i) < 0)
            return -ENOMEM;
        r = make_node(path, kind);
        if (r >= 0) {
            *ret = path;
            return 0;
        }
        free(path);
        if (r != -EEXIST)
            return r;
    }
    return -EEXIST;
}

/* The same for a given path, after a reboot. 1: the source is mounted there already. */
static int reuse_target(const struct policy *p, const char *dir, const char *at, const struct stat *source)
{
    struct statx sx;
    struct stat st;
    int r;

    if (!is_target(dir, at))
        return -EINVAL;
    r = access(at, F_OK) < 0 && is_full(p, dir) ? -ENOSPC : make_node(at, source->st_mode);
    if (r < 0 && r != -EEXIST)
        return r;
    if (r == -EEXIST) {
        if (lstat(at, &st) < 0 || statx(AT_FDCWD, at, AT_SYMLINK_NOFOLLOW, 0, &sx) < 0)
            return -errno;
        r = 1;
        if (!(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT)) /* left behind by a crash before the mount */
            r = (st.st_mode & S_IFMT) == (source->st_mode & S_IFMT) ? 0 : -EEXIST;
        else if (st.st_dev != source->st_dev || st.st_ino != source->st_ino)
            r = -EEXIST;
    }
    return r;
}

int staging_open(const struct config_tenant *t, const char *source, struct stat *ret, struct err *e)
{
    _cleanup_close_ int fd = -EBADF;

    if (!str_is_clean_path(source))
        return err_set(e, -EACCES, "%s is not a clean absolute path", source);
    if (!is_allowed(t, source))
        return err_set(e, -EACCES, "%s is not below bind_mount_from", source);
    fd = open_source(source, e);
    if (fd < 0)
        return fd;
    if (fstat(fd, ret) < 0)
        return err_set(e, -errno, "%s: %m", source);
    if (!S_ISDIR(ret->st_mode) && !S_ISREG(ret->st_mode))
        return err_set(e, -EACCES, "%s is neither a directory nor a regular file", source);
    return TAKE_FD(fd);
}

int staging_clone(int fd, bool readonly)
{
    /* A workspace holds files: no device in it is one for a sandbox, and no set-id bit counts there. */
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | (readonly ? (uint64_t)MOUNT_ATTR_RDONLY : 0),
        .propagation = MS_PRIVATE};
    _cleanup_close_ int tree = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

    /* The copy of a shared mount is its peer: what is mounted in one would appear in the other. */
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    return TAKE_FD(tree);
}

int staging_add(const struct config *c, const struct config_tenant *t, const char *source, const char *at,
    char **ret, struct err *e)
{
    _cleanup_close_ int fd = -EBADF, tree = -EBADF;
    _cleanup_free_ char *dir = NULL, *path = NULL;
    struct stat st = {0};
    int r;

    fd = staging_open(t, source, &st, e);
    if (fd < 0)
        return fd;
    r = staging_dir(c, t->slug, &dir);
    if (r >= 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0 && at) {
        path = strdup(at);
        r = path ? reuse_target(t->policy, dir, path, &st) : -ENOMEM;
    } else if (r >= 0) {
        r = make_target(t->policy, dir, st.st_mode, &path);
    }
    if (r < 0)
        return err_set(e, r, "staging directory: %s", strerror(-r));
    if (r > 0) {
        *ret = TAKE_PTR(path);
        return 0;
    }
    /* The descriptor is what is mounted: whatever the tenant renames or links meanwhile, this file stays. */
    tree = staging_clone(fd, false);
    r = tree < 0 ? tree : (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0);
    if (r < 0) {
        (void)(S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path));
        return err_set(e, r, "%s: bind mount: %s", source, strerror(-r));
    }
    *ret = TAKE_PTR(path);
    return 0;
}

int staging_remove(const struct config *c, const char *slug, const char *path, struct err *e)
{
    _cleanup_free_ char *dir = NULL;
    int r = staging_dir(c, slug, &dir);

    if (r < 0)
        return err_set(e, r, "out of memory");
    if (staging_is_nested(c, slug, path))
        return 0;
    if (!is_target(dir, path))
        return err_set(e, -EINVAL, "%s is not a staging path of %s", path, slug);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return err_set(e, -errno, "%s: umount: %m", path);
    if (rmdir(path) < 0 && errno == ENOTDIR && unlink(path) < 0)
        return err_set(e, -errno, "%s: %m", path);
    return 0;
}

/* What was staged a moment ago belongs to a create that is still on its way to the engine. Its name says
 * when. */
static bool is_young(const char *name)
{
    uint64_t at, now = clock_now(CLOCK_REALTIME);

    return str_parse_u64(name, UINT64_MAX, &at) >= 0 && at <= now && now - at < SWEEP_AGE_US;
}

int staging_sweep(const struct config *c, const char *slug, char *const *used, size_t n_used)
{
    _cleanup_free_ char *dir = NULL;
    struct dirent *d;
    int gone = 0;
    DIR *h;

    if (staging_dir(c, slug, &dir) < 0)
        return 0;
    h = opendir(dir);
    if (!h)
        return 0;
    while ((d = readdir(h))) {
        _cleanup_free_ char *path = NULL;
        bool keep = d->d_name[0] == '.' || is_young(d->d_name);

        if (keep || asprintf(&path, "%s/%s", dir, d->d_name) < 0)
            continue;
        for (size_t i = 0; i < n_used && !keep; i++)
            keep = strcmp(used[i], path) == 0;
        if (!keep && staging_remove(c, slug, path, NULL) >= 0)
            gone++;
    }
    (void)closedir(h);
    return gone;
}
