/* staging.c: see staging.h. Takes nothing on trust from the proxy: the roots come from the configuration. */
#include "daemon/staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/fd.h"
#include "base/str.h"

#define STAGING_MAX 4096 /* paths per tenant: max_containers times mounts is far below */

static int staging_dir(const struct config *c, const char *slug, char **ret)
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

/* An empty directory or file of the source's kind, to be mounted on. */
static int make_target(const char *dir, mode_t kind, char **ret)
{
    char *path = NULL;

    for (unsigned i = 1; i <= STAGING_MAX; i++) {
        int r;

        if (asprintf(&path, "%s/%u", dir, i) < 0)
            return -ENOMEM;
        if (S_ISDIR(kind)) {
            r = mkdir(path, 0700);
        } else {
            r = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
            if (r >= 0)
                r = fd_close(r) == -EBADF ? 0 : -1;
        }
        if (r >= 0) {
            *ret = path;
            return 0;
        }
        r = -errno;
        free(path);
        if (r != -EEXIST)
            return r;
    }
    return -ENOSPC;
}

int staging_add(
    const struct config *c, const struct config_tenant *t, const char *source, char **ret, struct err *e)
{
    _cleanup_close_ int fd = -EBADF, tree = -EBADF;
    _cleanup_free_ char *dir = NULL, *path = NULL;
    struct stat st;
    int r;

    if (!str_is_clean_path(source))
        return err_set(e, -EACCES, "%s is not a clean absolute path", source);
    if (!is_allowed(t, source))
        return err_set(e, -EACCES, "%s is not below bind_mount_from", source);
    fd = open_source(source, e);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %m", source);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return err_set(e, -EACCES, "%s is neither a directory nor a regular file", source);
    r = staging_dir(c, t->slug, &dir);
    if (r >= 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0)
        r = make_target(dir, st.st_mode, &path);
    if (r < 0)
        return err_set(e, r, "staging directory: %s", strerror(-r));
    /* The descriptor is what is mounted: whatever the tenant renames or links meanwhile, this file stays. */
    tree = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0 || move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
        r = err_set(e, -errno, "%s: bind mount: %m", source);
        (void)(S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path));
        return r;
    }
    *ret = TAKE_PTR(path);
    return 0;
}

int staging_remove(const struct config *c, const char *slug, const char *path, struct err *e)
{
    _cleanup_free_ char *dir = NULL;
    uint64_t n;
    int r = staging_dir(c, slug, &dir);

    if (r < 0)
        return err_set(e, r, "out of memory");
    if (!str_startswith(path, dir) || path[strlen(dir)] != '/' ||
        str_parse_u64(path + strlen(dir) + 1, STAGING_MAX, &n) < 0)
        return err_set(e, -EINVAL, "%s is not a staging path of %s", path, slug);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return err_set(e, -errno, "%s: umount: %m", path);
    if (rmdir(path) < 0 && errno == ENOTDIR && unlink(path) < 0)
        return err_set(e, -errno, "%s: %m", path);
    return 0;
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
        struct stat st;
        bool keep = d->d_name[0] == '.';

        if (keep || asprintf(&path, "%s/%s", dir, d->d_name) < 0)
            continue;
        for (size_t i = 0; i < n_used && !keep; i++)
            keep = strcmp(used[i], path) == 0;
        /* What was staged a moment ago belongs to a create that is still on its way to the engine. The time
         * is the directory's, not the file's: the mounted file is the tenant's. */
        if (keep || stat(dir, &st) < 0 || time(NULL) - st.st_mtime < 60)
            continue;
        if (staging_remove(c, slug, path, NULL) >= 0)
            gone++;
    }
    (void)closedir(h);
    return gone;
}
