/* sandbox.c: see sandbox.h. Must not open or read anything; runs once, before the first client byte.
 *
 * Landlock is called by number: the C library has no wrappers and Debian 12's kernel headers stop at ABI 2.
 * Its filesystem rights are all taken away without one exception, because connecting to the engine's socket
 * is not among the rights handled here; what keeps the process from other sockets is its own uid and groups.
 */
#include "proxy/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* The sanitizers' runtimes open files, trace and fork at exit: their builds keep everything but the filter,
 * the process limit and the dumpable flag. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* What PROXY_HELD_MAX allows, parsed (a document is many times its text) and written once more, and a head
 * and an answer on every connection: far above what is used, and what a leak or a flaw may take from the
 * host. */
#define DATA_MAX ((rlim_t)512 * 1024 * 1024)
#define DATA_PER_FD ((rlim_t)64 * 1024)

int sandbox_drop_user(uid_t uid, gid_t gid, gid_t docker_gid, struct err *e)
{
    if (setgroups(1, &docker_gid) < 0)
        return err_set(e, -errno,
            "setgroups: %m; root without CAP_SETUID and CAP_SETGID cannot become another user: start it as "
            "one "
            "(user: \"65534:65534\" and group_add: [\"%u\"] in Compose)",
            (unsigned)docker_gid);
    if (setresgid(gid, gid, gid) < 0)
        return err_set(e, -errno, "setresgid %u: %m", (unsigned)gid);
    if (setresuid(uid, uid, uid) < 0)
        return err_set(e, -errno, "setresuid %u: %m", (unsigned)uid);
    /* Trust nothing: a kernel or a wrapper that ignores the calls would leave us root. */
    if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid || setuid(0) == 0)
        return err_set(e, -EPERM, "could not give up root");
    return 0;
}

static int drop_capabilities(struct err *e)
{
    capng_clear(CAPNG_SELECT_ALL);
    /* The bounding set can only be dropped with CAP_SETPCAP; without it there is nothing left to gain from it
     * under no_new_privs. */
    if (capng_apply(CAPNG_SELECT_CAPS) < 0)
        return err_set(e, -EPERM, "could not drop capabilities");
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    capng_get_caps_process();
    if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
        return err_set(e, -EPERM, "capabilities remain after dropping them");
    return 0;
}

static int limit(enum __rlimit_resource which, rlim_t value, struct err *e)
{
    struct rlimit now, want = {value, value};

    if (getrlimit(which, &now) < 0)
        return err_set(e, -errno, "getrlimit: %m");
    if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max)
        want.rlim_cur = want.rlim_max = now.rlim_max;
    if (setrlimit(which, &want) < 0)
        return err_set(e, -errno, "setrlimit: %m");
    return 0;
}

static bool is_regular(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int set_limits(unsigned max_fds, struct err *e)
{
    bool to_file = is_regular(STDOUT_FILENO) || is_regular(STDERR_FILENO);
    int r = limit(RLIMIT_NOFILE, max_fds, e);

    if (r >= 0)
        r = limit(RLIMIT_CORE, 0, e);
    if (r >= 0 && !SANITIZED)
        r = limit(RLIMIT_DATA, DATA_MAX + max_fds * DATA_PER_FD, e);
    if (r >= 0 && !SANITIZED)
        r = limit(RLIMIT_NPROC, 0, e);
    /* Records and a log that were redirected to a regular file must stay writable; otherwise no file can grow
     * by our hand. */
    if (r >= 0 && !to_file)
        r = limit(RLIMIT_FSIZE, 0, e);
    return r;
}

/* ---- Landlock: rights by ABI, from the kernel's documentation (userspace-api/landlock) */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

#define FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND_AND_CONNECT_TCP UINT64_C(3)
#define SCOPE_ABSTRACT_UNIX_AND_SIGNAL UINT64_C(3)

int sandbox_landlock(struct err *e)
{
    struct ruleset_attr a = {.handled_access_fs = FS_ABI1};
    size_t size = sizeof(a.handled_access_fs);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), fd;
    int r = 0;

    if (abi < 0) /* ENOSYS, or EOPNOTSUPP when disabled at boot */
        return 0;
    if (abi >= 2)
        a.handled_access_fs |= FS_REFER;
    if (abi >= 3)
        a.handled_access_fs |= FS_TRUNCATE;
    if (abi >= 4) {
        a.handled_access_net = NET_BIND_AND_CONNECT_TCP;
        size = offsetof(struct ruleset_attr, scoped);
    }
    if (abi >= 5)
        a.handled_access_fs |= FS_IOCTL_DEV;
    if (abi >= 6) {
        a.scoped = SCOPE_ABSTRACT_UNIX_AND_SIGNAL;
        size = sizeof(a);
    }
    fd = syscall(SYS_landlock_create_ruleset, &a, size, 0);
    if (fd < 0)
        return err_set(e, -errno, "landlock_create_ruleset: %m");
    if (syscall(SYS_landlock_restrict_self, (int)fd, 0) < 0)
        r = err_set(e, -errno, "landlock_restrict_self: %m");
    (void)close((int)fd);
    return r;
}

/* ---- seccomp */
static const int plain_calls[] = {SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(close),
    SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(splice), SCMP_SYS(pipe2), SCMP_SYS(clock_gettime),
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getrandom), SCMP_SYS(uname)};

static int add_rules(scmp_filter_ctx ctx)
{
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(plain_calls) && r >= 0; i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain_calls[i], 0);
    /* Only unix sockets: TCP clients come in by accept alone. */
    if (r >= 0)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
    /* Memory is never executable once we run; anonymous maps only. */
    if (r >= 0)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
            SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (r >= 0)
        r = seccomp_rule_add(
            ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* abort(3), for the stack protector and _FORTIFY_SOURCE, may signal ourselves only. */
    if (r >= 0)
        r = seccomp_rule_add(
            ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    if (r >= 0)
        r = seccomp_rule_add(
            ctx, SCMP_ACT_ALLOW, SCMP_SYS(rt_sigaction), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)SIGABRT, 0));
    /* stdio asks for the type of standard error before its first line. */
    if (r >= 0)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fstat), 1, SCMP_A0(SCMP_CMP_LE, 2, 0));
    if (r >= 0)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A0(SCMP_CMP_LE, 2, 0));
    return r;
}

static int enter_seccomp(struct err *e)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int r;

    if (!ctx)
        return err_set(e, -ENOMEM, "seccomp_init failed");
    r = add_rules(ctx);
    if (r >= 0)
        r = seccomp_load(ctx);
    seccomp_release(ctx);
    return r < 0 ? err_set(e, r, "the system call filter could not be loaded (error %d)", -r) : 0;
}

int sandbox_enter(unsigned max_fds, struct err *e)
{
    int r;

    /* What opens a file at its first use must be used before no file opens: gmtime_r(3) in the log reads the
     * zone file, jansson takes the seed of its hash tables from the kernel. */
    tzset();
    json_object_seed(0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, -errno, "no_new_privs: %m");
    if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set(e, -errno, "PR_SET_DUMPABLE: %m");
    r = set_limits(max_fds, e);
    if (r >= 0)
        r = drop_capabilities(e);
    if (r >= 0 && !SANITIZED)
        r = sandbox_landlock(e);
    if (r >= 0 && !SANITIZED)
        r = enter_seccomp(e);
    return r;
}
