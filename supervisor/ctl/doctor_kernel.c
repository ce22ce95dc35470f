/* doctor_kernel.c: kernel features, each tried by the call itself in a form that changes nothing. */
#include "ctl/doctor_check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/fd.h"

/* Debian 12's headers have all of these; the values are fixed by the kernel's ABI. */
#ifndef LANDLOCK_CREATE_RULESET_VERSION
#define LANDLOCK_CREATE_RULESET_VERSION (1U << 0)
#endif

void doctor_check_seccomp(const struct doctor_facts *f, struct doctor_row *row)
{
    unsigned action = SECCOMP_RET_KILL_PROCESS;

    (void)f;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
        doctor_say(row, DOCTOR_OK, "filters that kill the process");
        return;
    }
    doctor_say(row, DOCTOR_MISSING, "not there: %m");
    doctor_advise(row, "use a kernel with CONFIG_SECCOMP_FILTER; the proxy does not run without it");
}

void doctor_check_landlock(const struct doctor_facts *f, struct doctor_row *row)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    (void)f;
    if (abi >= 1) {
        doctor_say(row, DOCTOR_OK, "ABI %ld", abi);
        return;
    }
    doctor_say(row, DOCTOR_DEGRADED, "not there: %m");
    doctor_advise(row, "use Linux 5.13 or later with lsm=landlock,...; the proxy runs with seccomp alone");
}

void doctor_check_pidfd(const struct doctor_facts *f, struct doctor_row *row)
{
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    (void)f;
    if (fd >= 0) {
        doctor_say(row, DOCTOR_OK, "pidfd_open works");
        return;
    }
    doctor_say(row, DOCTOR_MISSING, "pidfd_open: %m");
    doctor_advise(row, "use Linux 5.3 or later; clawsupd watches its proxies by it");
}

void doctor_check_openat2(const struct doctor_facts *f, struct doctor_row *row)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

    (void)f;
    if (fd >= 0) {
        doctor_say(row, DOCTOR_OK, "paths are resolved without symlinks");
        return;
    }
    doctor_say(row, DOCTOR_MISSING, "openat2: %m");
    doctor_advise(row, "use Linux 5.6 or later; bind mounts of sandboxes are refused without it");
}

/* open_tree(2) with OPEN_TREE_CLONE would make a mount; without it the call only resolves. */
void doctor_check_mounts(const struct doctor_facts *f, struct doctor_row *row)
{
    _cleanup_close_ int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", O_CLOEXEC);

    (void)f;
    if (fd >= 0) {
        doctor_say(row, DOCTOR_OK, "open_tree works");
        return;
    }
    doctor_say(row, errno == EPERM ? DOCTOR_DEGRADED : DOCTOR_MISSING, "open_tree: %m");
    doctor_advise(row, "use Linux 5.2 or later; bind mounts of sandboxes are staged by it");
}
