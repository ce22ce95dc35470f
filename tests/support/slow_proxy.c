/* slow_proxy.c: stands in for clawsup-proxy and takes its time: sleeps up to 1.5 s, every fourth time, before
 * it becomes the clawsup-proxy beside itself. A script could not do that: clawsupd executes what it has
 * opened. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    struct timespec pause = {.tv_nsec = (getpid() / 4 % 10) * 50000000L};
    char *slash;

    if (n <= 0 || argc < 1)
        return 70;
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash)
        return 70;
    (void)snprintf(slash, sizeof("/clawsup-proxy"), "/clawsup-proxy");
    pause.tv_sec = getpid() % 8 == 0;
    if (getpid() % 4 == 0)
        (void)nanosleep(&pause, NULL);
    (void)execv(path, argv);
    perror(path);
    return 74;
}
