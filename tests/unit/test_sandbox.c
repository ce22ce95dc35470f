/* test_sandbox.c: what the proxy cannot do any more, each tried in a child of its own; the calls are chosen
 * so that they would have no effect if they were let through. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proxy/sandbox.h"

/* The sanitizer's build has no system call filter: its runtime needs calls that a proxy must not make. */
#if !defined(__SANITIZE_ADDRESS__)

enum deed {
    DEED_NOTHING,
    DEED_OPEN,
    DEED_EXEC,
    DEED_FORK,
    DEED_INET,
    DEED_PTRACE,
    DEED_KILL_PARENT,
    DEED_EXEC_MEMORY,
    DEED_MAP_FILE,
    DEED_SETUID,
    DEED_MOUNT,
    DEED_ABORT,
    DEED_UNIX,
    DEED_FDS,
    DEED_SPLICE,
    DEED_MEMORY,
    _DEED_MAX
};

static int act(enum deed d)
{
    char *none[] = {NULL};
    int p[2];

    switch (d) {
    case DEED_NOTHING:
        return 0;
    case DEED_OPEN:
        return (int)syscall(SYS_openat, AT_FDCWD, "/nowhere", O_RDONLY);
    case DEED_EXEC:
        return execve("/nowhere", none, none);
    case DEED_FORK:
        return (int)syscall(
            SYS_clone, (unsigned long)CLONE_VM, NULL, NULL, NULL, NULL); /* CLONE_VM without a stack */
    case DEED_INET:
        return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    case DEED_PTRACE:
        return (int)ptrace(PTRACE_PEEKUSER, -1, NULL, NULL);
    case DEED_KILL_PARENT:
        return kill(getppid(), 0);
    case DEED_EXEC_MEMORY:
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
    case DEED_MAP_FILE:
        return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED;
    case DEED_SETUID:
        return setuid(getuid());
    case DEED_MOUNT:
        return (int)syscall(SYS_mount, NULL, "/nowhere", NULL, 0UL, NULL);
    case DEED_ABORT:
        abort();
    case DEED_UNIX:
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
    case DEED_FDS:
        for (int i = 0; i < 100; i++)
            if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
                return errno == EMFILE ? 0 : 1;
        return 1;
    case DEED_SPLICE:
        return pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0 ||
               splice(p[0], NULL, p[1], NULL, 1, SPLICE_F_NONBLOCK) >= 0;
    case DEED_MEMORY:
        return mmap(NULL, (size_t)2 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                           MAP_FAILED &&
                       errno == ENOMEM
                   ? 0
                   : 1;
    case _DEED_MAX:
        break;
    }
    return 1;
}

struct outcome {
    enum deed deed;
    int signal; /* 0: goes through */
};

ParameterizedTestParameters(sandbox, deeds)
{
    static struct outcome rows[] = {{DEED_NOTHING, 0}, {DEED_OPEN, SIGSYS}, {DEED_EXEC, SIGSYS},
        {DEED_FORK, SIGSYS}, {DEED_INET, SIGSYS}, {DEED_PTRACE, SIGSYS}, {DEED_KILL_PARENT, SIGSYS},
        {DEED_EXEC_MEMORY, SIGSYS}, {DEED_MAP_FILE, SIGSYS}, {DEED_SETUID, SIGSYS}, {DEED_MOUNT, SIGSYS},
        {DEED_ABORT, SIGABRT}, {DEED_UNIX, 0}, {DEED_FDS, 0}, {DEED_SPLICE, 0}, {DEED_MEMORY, 0}};
    return cr_make_param_array(struct outcome, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct outcome *o, sandbox, deeds)
{
    struct err e = {0};
    int status = 0;
    pid_t pid;

    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (sandbox_enter(64, &e) < 0)
            _exit(99);
        _exit(act(o->deed) == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (o->signal)
        cr_expect(
            WIFSIGNALED(status) && WTERMSIG(status) == o->signal, "deed %d: status %#x", o->deed, status);
    else
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "deed %d: status %#x", o->deed, status);
}

/* Alone, for the system call filter would end the process before Landlock is asked. */
Test(sandbox, landlock_takes_every_file)
{
    struct err e = {0};
    int status = 0;
    pid_t pid;

    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
        cr_skip_test("this kernel has no Landlock");
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        char *none[] = {NULL};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || access("/etc/passwd", R_OK) < 0 ||
            sandbox_landlock(&e) < 0)
            _exit(99);
        if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
            _exit(1);
        if (open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 || errno != EACCES)
            _exit(2);
        if (open("/tmp/clawtest-landlock", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
            _exit(3);
        if (mkdir("/tmp/clawtest-landlock", 0700) == 0 || errno != EACCES)
            _exit(4);
        if (execve("/bin/true", none, none) == 0 || errno != EACCES)
            _exit(5);
        /* What a proxy lives from goes on. */
        _exit(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : 6);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}

#endif

Test(sandbox, gives_up_root)
{
    struct err e = {0};
    int status = 0;
    pid_t pid;

    if (geteuid() != 0)
        cr_skip_test("needs root");
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (sandbox_drop_user(65534, 65534, 107, &e) < 0 || getuid() != 65534 || getgroups(0, NULL) != 1)
            _exit(1);
        _exit(setuid(0) == 0 || setgid(0) == 0 ? 2 : 0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}
