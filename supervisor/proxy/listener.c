/* listener.c: see listener.h. Counts connections; must not read from one. */
#include "proxy/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "filter/http1.h"
#include "proxy/conn.h"
#include "proxy/exchange.h"

#define ACCEPTS_PER_WAKEUP 32
#define PAUSE_US (100 * USEC_PER_MSEC)

/* ---- opening */
static int open_tcp(const struct settings_listen *l, struct err *e)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
    bool v4 = inet_pton(AF_INET, l->address, &a4.sin_addr) == 1;
    _cleanup_close_ int fd = -EBADF;
    int one = 1;

    if (!v4 && inet_pton(AF_INET6, l->address, &a6.sin6_addr) != 1)
        return err_set(e, -EINVAL, "%s is not an IP address", l->address);
    fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, -errno, "socket: %m");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6, v4 ? sizeof(a4) : sizeof(a6)) < 0 ||
        listen(fd, 4096) < 0)
        return err_set(e, -errno, "%s:%u: %m", l->address, (unsigned)l->port);
    return TAKE_FD(fd);
}

int listener_open(const struct settings *s, int *ret_fds, size_t *ret_n, struct err *e)
{
    for (size_t i = 0; i < s->n_listen; i++) {
        const struct settings_listen *l = &s->listen[i];
        int fd =
            l->tcp ? open_tcp(l, e) : fd_listen_unix(l->address, SOCK_STREAM, l->mode, l->uid, l->gid, e);

        if (fd < 0) {
            while (i > 0)
                (void)fd_close(ret_fds[--i]);
            return fd;
        }
        ret_fds[i] = fd;
    }
    *ret_n = s->n_listen;
    return 0;
}

/* ---- accepting */
static void describe(int fd, const struct sockaddr_storage *ss, char *out, size_t n)
{
    char text[INET6_ADDRSTRLEN] = "?";
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);

    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const void *)ss;
        (void)snprintf(
            out, n, "%s:%u", inet_ntop(AF_INET, &a->sin_addr, text, sizeof(text)), ntohs(a->sin_port));
    } else if (ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const void *)ss;
        (void)snprintf(
            out, n, "[%s]:%u", inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text)), ntohs(a->sin6_port));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
        (void)snprintf(out, n, "uid=%u pid=%d", (unsigned)cred.uid, (int)cred.pid);
    } else {
        (void)snprintf(out, n, "unknown");
    }
}

static bool same_v4(uint32_t a, uint32_t b)
{
    a = ntohl(a);
    b = ntohl(b);
    return a >> 8 == b >> 8 || (a >> 24 == IN_LOOPBACKNET && b >> 24 == IN_LOOPBACKNET);
}

bool listener_is_near(const struct sockaddr_storage *local, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *l4 = (const void *)local, *p4 = (const void *)peer;
    const struct sockaddr_in6 *l6 = (const void *)local, *p6 = (const void *)peer;

    if (local->ss_family != peer->ss_family)
        return false;
    if (local->ss_family == AF_INET)
        return same_v4(l4->sin_addr.s_addr, p4->sin_addr.s_addr);
    return local->ss_family == AF_INET6 && memcmp(&l6->sin6_addr, &p6->sin6_addr, 8) == 0;
}

static void turn_away(int fd, int status, const char *text)
{
    _cleanup_buf_ struct buf b = {0};

    if (http1_write_message(&b, status, text, false, false, NULL, 0) >= 0)
        (void)send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)fd_close(fd);
}

/* False when there is nothing more to accept. */
static bool accept_one(struct listener *l)
{
    struct proxy *p = l->proxy;
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    int fd = accept4(l->io.fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    char peer[64];

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warning("cannot accept a connection: %s", strerror(errno));
            loop_io_stop(p->loop, &l->io);
            loop_timer_set(p->loop, &l->pause, PAUSE_US);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    describe(fd, &ss, peer, sizeof(peer));
    /* A sidecar's networks are its operator's business. */
    if (l->tcp && p->control && !listener_is_near(&l->local, &ss)) {
        p->counters.denied++;
        exchange_record_malformed(p, peer, 403, "the client is not in the tenant's network");
        turn_away(fd, 403, "clawsup: only clients in the tenant's own network are served");
        return true;
    }
    if (p->open_connections >= p->policy->max_connections) {
        turn_away(fd, 503, "clawsup: too many connections");
        return true;
    }
    (void)conn_new(p, fd, l->tcp, peer);
    return true;
}

static void on_listener(struct loop_io *io, uint32_t events)
{
    struct listener *l = io->ctx;

    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_WAKEUP && accept_one(l); i++)
        ;
}

static void on_pause_over(struct loop_timer *t)
{
    struct listener *l = t->ctx;

    if (loop_io_set(l->proxy->loop, &l->io, EPOLLIN) < 0)
        loop_timer_set(l->proxy->loop, t, PAUSE_US);
}

int listener_init(struct proxy *p, struct listener *ls, const int *fds, size_t n, struct err *e)
{
    int one = 1, r;

    p->listeners = ls;
    p->n_listeners = n;
    for (size_t i = 0; i < n; i++) {
        int domain = 0, listening = 0;
        socklen_t len = sizeof(int), local_len = sizeof(ls[i].local);

        ls[i] = (struct listener){.io = {.fd = fds[i], .fn = on_listener, .ctx = &ls[i]},
            .pause = {.fn = on_pause_over, .ctx = &ls[i]},
            .proxy = p};
        if (getsockopt(fds[i], SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
            getsockopt(fds[i], SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
            getsockname(fds[i], (struct sockaddr *)&ls[i].local, &local_len) < 0)
            return err_set(e, -EINVAL, "descriptor %d is no listening socket", fds[i]);
        ls[i].tcp = domain != AF_UNIX;
        r = fd_set_nonblock(fds[i], true);
        if (r < 0)
            return err_set(e, r, "descriptor %d: %s", fds[i], strerror(-r));
        /* Inherited by what is accepted: setsockopt is not among the calls that remain later. */
        if (ls[i].tcp && (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
                             setsockopt(fds[i], SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) < 0))
            return err_set(e, -errno, "setsockopt: %m");
    }
    return 0;
}

void listener_start(struct proxy *p)
{
    for (size_t i = 0; i < p->n_listeners && !p->draining; i++)
        if (loop_io_set(p->loop, &p->listeners[i].io, EPOLLIN) < 0)
            loop_timer_set(p->loop, &p->listeners[i].pause, PAUSE_US);
}

void listener_stop(struct proxy *p)
{
    for (size_t i = 0; i < p->n_listeners; i++) {
        loop_io_stop(p->loop, &p->listeners[i].io);
        loop_timer_cancel(p->loop, &p->listeners[i].pause);
        p->listeners[i].io.fd = fd_close(p->listeners[i].io.fd);
    }
    p->n_listeners = 0;
}
