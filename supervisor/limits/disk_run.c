/* disk_run.c: see disk_run.h. Knows no option of any program. */
#include "limits/disk_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/str.h"

#define OUTPUT_MAX ((size_t)64 * 1024)

const char *disk_program(const char *name)
{
    static const char *const paths[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/sbin/e2fsck",
        "/sbin/e2fsck", "/usr/sbin/resize2fs", "/sbin/resize2fs"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (str_eq(strrchr(paths[i], '/') + 1, name) && access(paths[i], X_OK) == 0)
            return paths[i];
    return NULL;
}

static _Noreturn void child(int out, char *const *argv)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
    static char *const environment[] = {path, locale, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0)
        _exit(127);
    (void)execve(argv[0], argv, environment);
    _exit(127);
}

/* What a program complains of begins with its path; else the last line with a word in it is the one that
 * matters. Counters are drawn with backspaces. */
static void telling_line(const char *output, const char *program, char *text, size_t n)
{
    const char *best = output;
    size_t prefix = strlen(program), len;
    bool named = false;

    for (const char *p = output; *p;) {
        bool complaint = strncmp(p, program, prefix) == 0 && p[prefix] == ':';

        len = strcspn(p, "\n\r\b");
        if (len > 0 && (!named || complaint)) {
            best = p;
            named = named || complaint;
        }
        p += len;
        p += strspn(p, "\n\r\b");
    }
    len = strcspn(best, "\n\r\b");
    (void)snprintf(text, n, "%.*s", (int)MIN(len, n - 1), best);
}

/* Reads to the end; what is above the limit is thrown away, so that the program does not wait for us. */
static void drain(int fd, const char *program, char *text, size_t n)
{
    _cleanup_free_ char *buf = calloc(1, OUTPUT_MAX + 1);
    size_t used = 0;
    char rest[512] = "";
    ssize_t r;

    for (;;) {
        bool room = buf && used < OUTPUT_MAX;

        r = read(fd, room ? buf + used : rest, room ? OUTPUT_MAX - used : sizeof(rest));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        if (room)
            used += (size_t)r;
    }
    telling_line(buf ? buf : "", program, text, n);
}

int disk_run(char *const *argv, char *text, size_t n)
{
    int p[2], status = 0;
    pid_t pid;

    text[0] = '\0';
    if (pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        child(p[1], argv);
    p[1] = fd_close(p[1]);
    if (pid > 0)
        drain(p[0], argv[0], text, n);
    p[0] = fd_close(p[0]);
    if (pid < 0)
        return -errno;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
