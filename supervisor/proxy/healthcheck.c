/* healthcheck.c: see healthcheck.h. Reads one status line; must not wait longer than LIMIT_US in all, because
 * who asks has a time limit of his own and then learns nothing. */
#include "proxy/healthcheck.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"

/* The proxy itself gives the engine 2 s. */
#define LIMIT_US (3 * USEC_PER_SEC)

/* -ETIMEDOUT when nothing happens before `due`. */
static int wait_for(int fd, short events, uint64_t due)
{
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t now = clock_now(CLOCK_MONOTONIC);
    int r = now >= due ? 0 : poll(&p, 1, (int)((due - now) / USEC_PER_MSEC) + 1);

    if (r < 0)
        return errno == EINTR ? 0 : -errno;
    return r == 0 ? -ETIMEDOUT : 0;
}

/* A proxy that listens on every address is asked on the loopback one. */
static int connect_tcp(const struct settings_listen *l)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
    bool v4 = inet_pton(AF_INET, l->address, &a4.sin_addr) == 1;
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (!v4 && inet_pton(AF_INET6, l->address, &a6.sin6_addr) != 1)
        return -EINVAL;
    if (v4 && a4.sin_addr.s_addr == htonl(INADDR_ANY))
        a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!v4 && IN6_IS_ADDR_UNSPECIFIED(&a6.sin6_addr))
        a6.sin6_addr = in6addr_loopback;
    fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    r = connect(fd, v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6, v4 ? sizeof(a4) : sizeof(a6));
    if (r < 0 && errno != EINPROGRESS)
        return -errno;
    return TAKE_FD(fd);
}

static int send_request(int fd, uint64_t due)
{
    static const char request[] = "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
    int error = 0, r = wait_for(fd, POLLOUT, due);
    socklen_t len = sizeof(error);

    if (r < 0)
        return r;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    if (error)
        return -error;
    /* So few bytes always fit an empty socket buffer. */
    return send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1 ? 0 : -EIO;
}

/* "HTTP/1.1 200 OK"; -EPROTO for what is no status line. */
static int read_status(int fd, uint64_t due)
{
    static const char start[] = "HTTP/1.1 ";
    char text[sizeof(start) + 4] = "";
    size_t have = 0;

    while (have < sizeof(text) - 1) {
        int r = wait_for(fd, POLLIN, due);
        ssize_t n;

        if (r < 0)
            return r;
        n = recv(fd, text + have, sizeof(text) - 1 - have, MSG_DONTWAIT);
        if (n == 0)
            return -EPROTO;
        if (n > 0)
            have += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    if (!str_startswith(text, start) || strspn(text + sizeof(start) - 1, "0123456789") != 3)
        return -EPROTO;
    return (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
}

int healthcheck_run(const struct settings *s, struct err *e)
{
    const struct settings_listen *l = &s->listen[0];
    uint64_t due = clock_now(CLOCK_MONOTONIC) + LIMIT_US;
    _cleanup_close_ int fd = l->tcp ? connect_tcp(l) : fd_connect_unix(l->address, SOCK_STREAM);
    char port[8] = "";
    int r = fd < 0 ? fd : send_request(fd, due);

    if (r >= 0)
        r = read_status(fd, due);
    if (r == 200)
        return 0;
    if (l->tcp)
        (void)snprintf(port, sizeof(port), ":%u", (unsigned)l->port);
    if (r >= 0)
        return err_set(e, -EIO, "%s%s: not healthy: status %d", l->address, port, r);
    return err_set(e, r, "%s%s: no answer: %s", l->address, port, strerror(-r));
}
