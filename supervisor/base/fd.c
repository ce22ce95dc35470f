/* fd.c: see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buf.h"

int fd_close(int fd)
{
    int saved = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -EBADF;
}

int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_buf_ struct buf b = {.limit = max + 1};

    for (;;) {
        ssize_t n;
        int r = buf_reserve(&b, MIN(max + 1 - b.len, (size_t)4096));

        if (r < 0)
            return r;
        n = read(fd, b.data + b.len, MIN(max + 1 - b.len, (size_t)4096));
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            break;
        b.len += (size_t)n;
        if (b.len > max)
            return -EFBIG;
    }
    if (b.data)
        b.data[b.len] = '\0';
    if (ret_len)
        *ret_len = b.len;
    *ret = buf_take(&b);
    return *ret ? 0 : -ENOMEM;
}

int fd_read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    return fd_read_all(fd, max, ret, ret_len);
}

int fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fd_write_atomic(const char *path, const void *data, size_t len, mode_t mode)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    _cleanup_close_ int fd = -EBADF;
    char tmp[4096];
    int n, r;

    n = snprintf(tmp, sizeof(tmp), "%.*s.%s.tmp", (int)(base - path), path, base);
    if (n < 0 || (size_t)n >= sizeof(tmp))
        return -ENAMETOOLONG;
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = fd_write_all(fd, data, len);
    if (r >= 0 && fchmod(fd, mode) < 0)
        r = -errno;
    if (r >= 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(tmp);
    return r;
}

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int fd_memfd_sealed(const char *name, const void *data, size_t len)
{
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return -errno;
    r = fd_write_all(fd, data, len);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, ALL_SEALS) < 0)
        return -errno;
    return TAKE_FD(fd);
}

bool fd_memfd_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS;
}

static int unix_address(struct sockaddr_un *sa, const char *path)
{
    if (strlen(path) >= sizeof(sa->sun_path))
        return -ENAMETOOLONG;
    memset(sa, 0, sizeof(*sa));
    sa->sun_family = AF_UNIX;
    memcpy(sa->sun_path, path, strlen(path) + 1);
    return 0;
}

#define LISTEN_SUFFIX ".new" /* the temporary name, which getsockname() shows for ever */

int fd_listen_unix(const char *path, int type, mode_t mode, uid_t uid, gid_t gid, struct err *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct sockaddr_un sa;
    struct stat st;
    char tmp[sizeof(sa.sun_path) + 8];
    int r;

    (void)snprintf(tmp, sizeof(tmp), "%s" LISTEN_SUFFIX, path);
    r = unix_address(&sa, tmp);
    if (r < 0)
        return err_set(e, r, "%s: a unix socket's path has at most %zu bytes", path, sizeof(sa.sun_path) - 5);
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return err_set(e, -EEXIST, "%s exists and is not a socket; remove it or choose another path", path);
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, -errno, "socket: %m");
    (void)unlink(tmp);
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return err_set(e, -errno, "%s: bind: %m", path);
    if (chmod(tmp, mode) < 0 || ((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(tmp, uid, gid) < 0) ||
        listen(fd, 4096) < 0 || rename(tmp, path) < 0) {
        r = err_set(e, -errno, "%s: %m", path);
        (void)unlink(tmp);
        return r;
    }
    return TAKE_FD(fd);
}

/* How many bytes of ret->sun_path are the path that clients connect to. */
static int listener_name(int fd, struct sockaddr_un *ret, size_t *ret_len)
{
    socklen_t len = sizeof(*ret);
    size_t n, suffix = strlen(LISTEN_SUFFIX);

    if (getsockname(fd, (struct sockaddr *)ret, &len) < 0)
        return -errno;
    if (ret->sun_family != AF_UNIX || len > sizeof(*ret))
        return -EINVAL;
    n = strnlen(ret->sun_path, sizeof(ret->sun_path));
    if (n <= suffix || strncmp(ret->sun_path + n - suffix, LISTEN_SUFFIX, suffix) != 0)
        return -EINVAL;
    *ret_len = n - suffix;
    return 0;
}

int fd_listener_path(int fd, char **ret)
{
    struct sockaddr_un sa = {0};
    size_t n = 0;
    int r = listener_name(fd, &sa, &n);

    if (r < 0)
        return r;
    *ret = strndup(sa.sun_path, n);
    return *ret ? 0 : -ENOMEM;
}

bool fd_is_listener_of(int fd, const char *path)
{
    struct sockaddr_un bound = {0};
    size_t n = 0;
    int probe, type = 0;
    socklen_t len = sizeof(type);

    if (listener_name(fd, &bound, &n) < 0 || strlen(path) != n || memcmp(bound.sun_path, path, n) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return false;
    probe = fd_connect_unix(path, type);
    (void)fd_close(probe);
    return probe >= 0 || probe == -EAGAIN; /* -EAGAIN: it is there, with a full backlog */
}

int fd_connect_unix(const char *path, int type)
{
    _cleanup_close_ int fd = -EBADF;
    struct sockaddr_un sa;
    int r = unix_address(&sa, path);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int fd_flag(int fd, int get, int set, int flag, bool on)
{
    int f = fcntl(fd, get);

    if (f < 0)
        return -errno;
    return fcntl(fd, set, on ? f | flag : f & ~flag) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, bool on)
{
    return fd_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on)
{
    return fd_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}
