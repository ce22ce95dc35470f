/* fd.h: descriptors: closing, whole reads and writes, sealed memfds, unix sockets. Every fd is CLOEXEC at
 * birth. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <sys/types.h>

/* Closes if fd >= 0, keeps errno; returns -EBADF so that `x = fd_close(x)` leaves a dead value. */
int fd_close(int fd);
static inline void fd_closep(const int *fd)
{
    (void)fd_close(*fd);
}
#define _cleanup_close_ _cleanup_(fd_closep)

/* Reads a whole file, at most `max` bytes (-EFBIG above it); the text is NUL-terminated, ret_len (may be
 * NULL) does not count the NUL. Caller frees. -errno of open and read. Works on /proc files and on regular
 * files only: -EISDIR for a directory. */
int fd_read_file(const char *path, size_t max, char **ret, size_t *ret_len);
int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len);

/* Writes everything or fails with -errno; for files and blocking pipes, not for the event loop. */
int fd_write_all(int fd, const void *data, size_t len);

/* Writes `path` through a temporary name in the same directory (".NAME.tmp"), fchmod, rename. The file is
 * never seen half-written. No fsync: for files in /run and textfiles only. -errno. */
int fd_write_atomic(const char *path, const void *data, size_t len, mode_t mode);

/* A memfd that holds `data`, sealed against every change (memfd_create(2), F_ADD_SEALS), offset at 0. -errno.
 */
int fd_memfd_sealed(const char *name, const void *data, size_t len);
/* True if fd is a memfd with all of WRITE, GROW, SHRINK and SEAL sealed. */
bool fd_memfd_is_sealed(int fd);

/* Creates a listening unix stream (or seqpacket) socket at `path`: bound under a temporary name, chown and
 * chmod, then renamed, so that no client ever sees it with wrong rights; a stale socket file is replaced,
 * anything else at the path is -EEXIST. uid or gid (uid_t)-1 leaves it alone. Non-blocking. -errno, and text
 * in `e`. */
int fd_listen_unix(const char *path, int type, mode_t mode, uid_t uid, gid_t gid, struct err *e);

/* True if fd was made by fd_listen_unix() for this path, and the path leads to a listener now. */
bool fd_is_listener_of(int fd, const char *path);
/* The path of a socket that fd_listen_unix() made; -EINVAL for another one. */
int fd_listener_path(int fd, char **ret);

/* Connects to a unix socket without waiting: returns the non-blocking fd, or -errno (-EAGAIN: backlog full).
 */
int fd_connect_unix(const char *path, int type);

int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);
