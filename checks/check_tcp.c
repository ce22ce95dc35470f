/* check_tcp.c: does a TCP handshake complete (see check.h)? Must not send a byte: the service may not like
 * it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "checks/internal.h"
#include "engine/transfer.h"

/* A deadline that we notice later than this was missed by our loop, not by the service. */
#define LAG_MAX_US (500 * USEC_PER_MSEC)

struct check_tcp {
    struct check check; /* first */
    int fd;
    int error; /* of connect(2), when it failed at once */
    sd_event_source *io, *deadline, *now;
};

static void tcp_destroy(struct check *c)
{
    struct check_tcp *t = (struct check_tcp *)c;

    sd_event_source_disable_unref(t->io);
    sd_event_source_disable_unref(t->deadline);
    sd_event_source_disable_unref(t->now);
    (void)fd_close(t->fd);
    free(t);
}

static void judge(struct check_tcp *t, int error)
{
    const char *text = error ? strerrordesc_np(error) : NULL;

    if (error == 0)
        check_finish(&t->check, CHECK_OK, "connected");
    else
        check_finish(&t->check, transfer_is_own_fault(error) ? CHECK_UNKNOWN : CHECK_FAIL, "connect: %s",
            text ? text : "unknown error");
}

/* A connect to a dead port of the ephemeral range can meet itself (simultaneous open) and would look alive.
 */
static bool met_itself(int fd)
{
    struct sockaddr_storage a = {}, b = {};
    socklen_t alen = sizeof(a), blen = sizeof(b);

    return getsockname(fd, (struct sockaddr *)&a, &alen) == 0 &&
           getpeername(fd, (struct sockaddr *)&b, &blen) == 0 && alen == blen && memcmp(&a, &b, alen) == 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct check_tcp *t = userdata;
    int error = 0;
    socklen_t len = sizeof(error);

    (void)s;
    (void)revents;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error == 0 && met_itself(fd))
        error = ECONNREFUSED;
    judge(t, error);
    return 0;
}

static int on_failed_at_once(sd_event_source *s, void *userdata)
{
    struct check_tcp *t = userdata;

    (void)s;
    judge(t, t->error);
    return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct check_tcp *t = userdata;
    uint64_t now = usec;

    (void)s;
    (void)sd_event_now(t->check.event, CLOCK_MONOTONIC, &now);
    if (now > usec + LAG_MAX_US)
        check_finish(&t->check, CHECK_UNKNOWN, "our event loop lagged past the deadline");
    else
        check_finish(&t->check, CHECK_FAIL, "connect: no answer in time");
    return 0;
}

static int parse_address(const char *address, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (port == 0)
        return -EINVAL;
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
        memcpy(ret, &v4, sizeof(v4));
        *ret_len = sizeof(v4);
        return 0;
    }
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
        memcpy(ret, &v6, sizeof(v6));
        *ret_len = sizeof(v6);
        return 0;
    }
    return -EINVAL;
}

static int tcp_connect(struct check_tcp *t, const struct sockaddr_storage *a, socklen_t len)
{
    t->fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0)
        return -errno;
    if (connect(t->fd, (const struct sockaddr *)a, len) < 0 && errno != EINPROGRESS) {
        t->error = errno;
        /* Never from inside the start: the caller has not its handle yet. */
        return sd_event_add_defer(t->check.event, &t->now, on_failed_at_once, t);
    }
    return sd_event_add_io(t->check.event, &t->io, t->fd, EPOLLOUT, on_io, t);
}

int check_tcp_start(sd_event *event, const char *address, uint16_t port, uint64_t timeout_us, check_fn fn,
    void *userdata, struct check **ret)
{
    struct sockaddr_storage a = {};
    struct check_tcp *t;
    socklen_t len;
    int r;

    r = parse_address(address, port, &a, &len);
    if (r < 0)
        return r;
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->fd = -EBADF;
    r = check_init(&t->check, event, tcp_destroy, fn, userdata);
    if (r >= 0)
        r = sd_event_add_time_relative(
            event, &t->deadline, CLOCK_MONOTONIC, timeout_us, USEC_PER_MSEC, on_deadline, t);
    /* When the handshake and the deadline are both due, the handshake counts. */
    if (r >= 0)
        r = sd_event_source_set_priority(t->deadline, SD_EVENT_PRIORITY_NORMAL + 1);
    if (r >= 0)
        r = tcp_connect(t, &a, len);
    if (r < 0) {
        tcp_destroy(&t->check);
        return r;
    }
    if (ret)
        *ret = &t->check;
    return 0;
}
