/* proxy_pidfile.c: which process serves a tenant, on file: a proxy that hangs while no clawsupd runs is found
 * and ended by the next one. A pid alone names nobody for long, so its start time stands beside it. */
#include "daemon/proxy_internal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

/* Field 22 of /proc/PID/stat (proc(5)): tells a process from a later one with the same pid. */
static int start_time(pid_t pid, uint64_t *ret)
{
    _cleanup_free_ char *text = NULL;
    char path[64], *s, *save = NULL;
    int r;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    r = fd_read_file(path, 4096, &text, NULL);
    if (r < 0)
        return r;
    s = strrchr(text, ')'); /* the name may hold blanks and parentheses */
    if (!s || !(s = strtok_r(s + 1, " ", &save)))
        return -EINVAL;
    for (int field = 3; field < 22 && s; field++)
        s = strtok_r(NULL, " ", &save);
    return s ? str_parse_u64(s, UINT64_MAX, ret) : -EINVAL;
}

static int pidfile_path(const struct manager *m, const char *slug, char *out, size_t n)
{
    int len = snprintf(out, n, "%s/.supervisor/proxy/%s.pid", m->config->runtime_dir, slug);
    return len < 0 || (size_t)len >= n ? -ENAMETOOLONG : 0;
}

void proxy_pidfile_write(const struct proxy_child *p, pid_t pid)
{
    char path[PATH_MAX], text[64];
    uint64_t start;
    int n;

    if (pidfile_path(p->tenant->manager, p->tenant->slug, path, sizeof(path)) < 0 ||
        start_time(pid, &start) < 0)
        return;
    n = snprintf(text, sizeof(text), "%d %llu\n", (int)pid, (unsigned long long)start);
    if (fd_write_atomic(path, text, (size_t)n, 0600) < 0)
        log_warning("%s: cannot be written; a hung proxy would not be found after a crash", path);
}

/* 0, or -errno: no file, or one that cannot be read as such. */
static int pidfile_read(const char *path, pid_t *ret_pid, uint64_t *ret_start)
{
    _cleanup_free_ char *text = NULL;
    uint64_t pid;
    char *blank;
    int r = fd_read_file(path, 128, &text, NULL);

    if (r < 0)
        return r;
    blank = strchr(text, ' ');
    if (!blank)
        return -EINVAL;
    *blank++ = '\0';
    blank[strcspn(blank, "\n")] = '\0';
    if (str_parse_u64(text, INT32_MAX, &pid) < 0 || str_parse_u64(blank, UINT64_MAX, ret_start) < 0 ||
        pid <= 1)
        return -EINVAL;
    *ret_pid = (pid_t)pid;
    return 0;
}

bool proxy_pidfile_names(const struct proxy_child *p, pid_t pid)
{
    uint64_t want, have;
    char path[PATH_MAX];
    pid_t named;

    return pidfile_path(p->tenant->manager, p->tenant->slug, path, sizeof(path)) >= 0 &&
           pidfile_read(path, &named, &want) >= 0 && named == pid && start_time(pid, &have) >= 0 &&
           have == want;
}

void proxy_pidfile_kill(const struct proxy_child *p)
{
    proxy_pidfile_signal(p->tenant->manager, p->tenant->slug, SIGKILL);
}

void proxy_pidfile_signal(const struct manager *m, const char *slug, int signal)
{
    _cleanup_close_ int pidfd = -EBADF;
    uint64_t want, have;
    char path[PATH_MAX];
    pid_t pid;
    int r;

    if (pidfile_path(m, slug, path, sizeof(path)) < 0)
        return;
    r = pidfile_read(path, &pid, &want);
    if (r != -ENOENT)
        (void)unlink(path);
    if (r < 0)
        return;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0 && start_time(pid, &have) >= 0 && have == want)
        (void)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}
