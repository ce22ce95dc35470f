/* fake_engine.h: starts tests/support/fake_engine.py for a unit test and drives it. Blocking, for tests only;
 * run from the top of the tree. Each test includes it once. */
#pragma once

#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/defs.h"

struct fake {
    pid_t pid;
    char dir[64];
    char socket[96];
};

static inline void fake_prepare(struct fake *f)
{
    f->pid = 0;
    snprintf(f->dir, sizeof(f->dir), "/tmp/clawsup-fake-XXXXXX");
    cr_assert_not_null(mkdtemp(f->dir));
    snprintf(f->socket, sizeof(f->socket), "%s/docker.sock", f->dir);
}

/* Starts it and waits until it listens. */
static inline void fake_start(struct fake *f, const char *api, const char *min)
{
    int out[2];
    char ready[8];

    cr_assert_eq(pipe(out), 0);
    f->pid = fork();
    cr_assert_geq(f->pid, 0);
    if (f->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/usr/bin/python3", "python3", "tests/support/fake_engine.py", "--socket", f->socket, "--api",
            api, "--min", min, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    cr_assert_gt(read(out[0], ready, sizeof(ready)), 0, "the fake engine did not start");
    close(out[0]);
}

static inline void fake_end(struct fake *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    f->pid = 0;
    unlink(f->socket);
    rmdir(f->dir);
}

/* One request to /_fake/...; the answer (head and body) in a static buffer. */
static inline const char *fake_admin(struct fake *f, const char *method, const char *path, const char *body)
{
    static char answer[65536];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n = 0;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->socket);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    dprintf(fd, "%s /_fake/%s HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
        method, path, strlen(body), body);
    for (;;) {
        ssize_t r = read(fd, answer + n, sizeof(answer) - 1 - n);

        if (r <= 0)
            break;
        n += (size_t)r;
    }
    close(fd);
    answer[n] = '\0';
    cr_assert_not_null(strstr(answer, " 200 "), "%s %s: %s", method, path, answer);
    return answer;
}
