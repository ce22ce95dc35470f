/* disk_skeleton.c: see disk_skeleton.h. */
#include "limits/disk_skeleton.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"

#define DEPTH_MAX 16
#define ENTRIES_MAX 4096

struct walk {
    unsigned depth, entries;
    bool copy;
};

static int visit(struct walk *w, int from, int to);

/* `name` is a directory, or becomes the answer 0. */
static int enter(struct walk *w, int from, int to, const char *name)
{
    _cleanup_close_ int sub = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                        made = -EBADF;
    struct stat st;

    if (sub < 0)
        return errno == ENOTDIR || errno == ELOOP || errno == ENXIO ? 0 : -errno;
    if (w->copy) {
        if (fstat(sub, &st) < 0 || (mkdirat(to, name, 0700) < 0 && errno != EEXIST))
            return -errno;
        made = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (made < 0 || fchown(made, st.st_uid, st.st_gid) < 0 || fchmod(made, st.st_mode & 07777) < 0)
            return -errno;
    }
    return visit(w, sub, made);
}

static int visit(struct walk *w, int from, int to)
{
    int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 1;
    DIR *h = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *d;

    if (!h) {
        r = -errno;
        (void)fd_close(copy);
        return r;
    }
    w->depth++;
    while (r > 0 && (d = readdir(h))) {
        if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
            continue;
        r = w->depth > DEPTH_MAX || ++w->entries > ENTRIES_MAX ? 0 : enter(w, from, to, d->d_name);
    }
    w->depth--;
    (void)closedir(h);
    return r;
}

int disk_skeleton_is_bare(int fd)
{
    struct walk w = {0};

    return visit(&w, fd, -1);
}

int disk_skeleton_copy(int from, int to)
{
    struct walk w = {.copy = true};
    int r = visit(&w, from, to);

    return r < 0 ? r : (r > 0 ? 0 : -ENOTEMPTY);
}
