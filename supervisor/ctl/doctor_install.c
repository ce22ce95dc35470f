/* doctor_install.c: the parts of clawsup itself: directories, programs, users, the daemon. Reads only; to the
 * daemon it connects and says nothing. */
#include "ctl/doctor_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/disk.h"

#define STATE_FREE_MIN (UINT64_C(100) << 20)

void doctor_check_config(const struct doctor_facts *f, struct doctor_row *row)
{
    if (f->config) {
        doctor_say(row, DOCTOR_OK, "%.160s, %zu tenant%s", f->config->file ? f->config->file : "in memory",
            f->config->n_tenants, f->config->n_tenants == 1 ? "" : "s");
        return;
    }
    doctor_say(row, DOCTOR_MISSING, "cannot be used; the other rows are for the defaults");
    doctor_advise(row, "clawsup check-config names every error");
}

void doctor_check_runtime_dir(const struct doctor_facts *f, struct doctor_row *row)
{
    struct stat st;

    if (lstat(f->runtime_dir, &st) < 0) {
        doctor_say(row, DOCTOR_MISSING, "%.200s: %m", f->runtime_dir);
        doctor_advise(row, "start clawsupd, which makes it, or run systemd-tmpfiles --create clawsup.conf");
    } else if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH))) {
        doctor_say(row, DOCTOR_MISSING, "%.128s: mode %04o, uid %u: others may change it", f->runtime_dir,
            (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid);
        doctor_advise(row, "chown root: and chmod 0755 it; tenants' sockets live there");
    } else {
        doctor_say(
            row, DOCTOR_OK, "%.200s, root's, mode %04o", f->runtime_dir, (unsigned)(st.st_mode & 07777));
    }
}

void doctor_check_state_dir(const struct doctor_facts *f, struct doctor_row *row)
{
    struct disk_sample s;
    char free_text[16];
    int r = disk_read(f->state_dir, &s);

    if (r < 0) {
        doctor_say(row, DOCTOR_MISSING, "%.200s: %s", f->state_dir, strerror(-r));
        doctor_advise(row,
            r == -ENOENT ? "start clawsupd, which makes it, or make it with mode 0700" : "let root read it");
        return;
    }
    str_format_size(free_text, sizeof(free_text), s.free_bytes);
    if (faccessat(AT_FDCWD, f->state_dir, W_OK, AT_EACCESS) < 0 && (errno == EROFS || geteuid() == 0)) {
        doctor_say(row, DOCTOR_MISSING, "%.128s cannot be written: %m", f->state_dir);
        doctor_advise(row, "remount it read-write; budgets and holds are kept there");
    } else if (disk_below_reserve(&s, STATE_FREE_MIN)) {
        doctor_say(row, DOCTOR_DEGRADED, "%.128s has %s and %llu inodes left", f->state_dir, free_text,
            (unsigned long long)(s.limit_inodes - s.used_inodes));
        doctor_advise(row, "free some space: clawsup's own state needs 100M and 5 %% of the inodes");
    } else {
        doctor_say(row, DOCTOR_OK, "%.128s, %s free", f->state_dir, free_text);
    }
}

/* What runs with the docker group must not be changeable by others, nor any directory above it. */
static bool others_may_change(const char *program, char *ret_where, size_t n)
{
    char path[PATH_MAX];
    struct stat st;

    if (!realpath(program, path))
        return false;
    for (;;) {
        char *slash = strrchr(path, '/');

        if (stat(path[0] ? path : "/", &st) < 0)
            return false;
        if (st.st_uid != 0 || ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))) {
            (void)snprintf(ret_where, n, "%.128s", path[0] ? path : "/");
            return true;
        }
        if (!slash || !path[0])
            return false;
        *slash = '\0';
    }
}

void doctor_check_proxy_program(const struct doctor_facts *f, struct doctor_row *row)
{
    char where[160];

    if (access(f->proxy_program, X_OK) < 0) {
        doctor_say(row, DOCTOR_MISSING, "%.200s: %m", f->proxy_program);
        doctor_advise(row, "install clawsup-proxy there, or set proxy_program");
    } else if (others_may_change(f->proxy_program, where, sizeof(where))) {
        doctor_say(row, DOCTOR_DEGRADED, "%.200s can be replaced by others than root", where);
        doctor_advise(row, "chown root: and chmod go-w it");
    } else {
        doctor_say(row, DOCTOR_OK, "%.200s", f->proxy_program);
    }
}

void doctor_check_proxy_user(const struct doctor_facts *f, struct doctor_row *row)
{
    char buf[16384];
    struct passwd pw, *found = NULL;
    int r = getpwnam_r(f->proxy_user, &pw, buf, sizeof(buf), &found);

    if (!found) {
        doctor_say(row, DOCTOR_MISSING, "there is no user %.64s%s%s", f->proxy_user, r ? ": " : "",
            r ? strerror(r) : "");
        doctor_advise(row, "systemd-sysusers clawsup.conf, or useradd --system %.64s", f->proxy_user);
    } else if (found->pw_uid == 0) {
        doctor_say(row, DOCTOR_MISSING, "%.64s is root", f->proxy_user);
        doctor_advise(row, "set proxy_user to an unprivileged user of its own");
    } else {
        doctor_say(row, DOCTOR_OK, "%.64s, uid %u", f->proxy_user, (unsigned)found->pw_uid);
    }
}

void doctor_check_daemon(const struct doctor_facts *f, struct doctor_row *row)
{
    _cleanup_close_ int fd = -EBADF;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/control.sock", f->runtime_dir);
    fd = fd_connect_unix(path, SOCK_STREAM);
    if (fd >= 0) {
        doctor_say(row, DOCTOR_OK, "answers at %.200s", path);
        return;
    }
    doctor_say(row, fd == -EACCES ? DOCTOR_DEGRADED : DOCTOR_MISSING, "%.200s: %s", path, strerror(-fd));
    doctor_advise(row, fd == -EACCES ? "run this as root, or as a member of control_group"
                                     : "systemctl start clawsupd, then journalctl -u clawsupd");
}
