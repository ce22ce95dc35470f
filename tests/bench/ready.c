/* ready.c: how long a server takes from its start to its first answer: ready SOCKET COMMAND...
 * Starts the command, asks for /_ping again and again, prints the microseconds until a 200, ends the command
 * by SIGTERM. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/defs.h"
#include "base/fd.h"

#define GIVE_UP_US (10 * USEC_PER_SEC)
#define PAUSE_NS 100000

static uint64_t now_us(void)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static bool answers(const char *path)
{
    static const char request[] = "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct timeval tv = {.tv_sec = 5};
    char head[16] = "";
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0 &&
           connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
           send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 &&
           recv(fd, head, sizeof(head) - 1, 0) > 12 && strncmp(head + 9, "200", 3) == 0;
}

int main(int argc, char **argv)
{
    uint64_t start = now_us();
    bool up = false;
    pid_t pid;

    if (argc < 3) {
        (void)fprintf(stderr, "Usage: ready SOCKET COMMAND...\n");
        return 64;
    }
    pid = fork();
    if (pid == 0) {
        (void)execvp(argv[2], argv + 2);
        _exit(127);
    }
    while (pid > 0 && now_us() - start < GIVE_UP_US && waitpid(pid, NULL, WNOHANG) == 0) {
        up = answers(argv[1]);
        if (up)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    if (up)
        (void)printf("%llu\n", (unsigned long long)(now_us() - start));
    if (pid > 0 && kill(pid, SIGTERM) == 0)
        (void)waitpid(pid, NULL, 0);
    return up ? 0 : 1;
}
