/* client.c: see client.h. Must not print. */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"

#define CONNECT_RETRY_MS 20

struct client {
    int fd;
    struct buf in;
    size_t scanned; /* bytes of `in` that hold no newline */
};

static uint64_t deadline_of(uint64_t timeout_us)
{
    return timeout_us == USEC_INFINITY ? USEC_INFINITY : clock_now(CLOCK_MONOTONIC) + timeout_us;
}

/* Waits for `events`; -ETIMEDOUT at the deadline. */
static int wait_for(int fd, short events, uint64_t deadline, struct err *e)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t now = clock_now(CLOCK_MONOTONIC);
        int ms = -1, n;

        if (deadline != USEC_INFINITY) {
            if (now >= deadline)
                return err_set(e, -ETIMEDOUT, "no answer in time");
            ms = (int)MIN((deadline - now) / 1000 + 1, (uint64_t)INT32_MAX);
        }
        n = poll(&p, 1, ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "poll: %m");
    }
}

int client_connect(const char *path, uint64_t timeout_us, struct client **ret, struct err *e)
{
    uint64_t deadline = deadline_of(timeout_us);
    struct client *c;
    int fd;

    while ((fd = fd_connect_unix(path, SOCK_STREAM)) == -EAGAIN && clock_now(CLOCK_MONOTONIC) < deadline)
        (void)poll(NULL, 0, CONNECT_RETRY_MS);
    if (fd == -EAGAIN)
        return err_set(e, -ETIMEDOUT, "too many clients are waiting");
    if (fd < 0)
        return err_set(e, fd, "%s", strerrordesc_np(-fd));
    c = calloc(1, sizeof(*c));
    if (!c) {
        (void)fd_close(fd);
        return err_set(e, -ENOMEM, "out of memory");
    }
    c->fd = fd;
    c->in.limit = CLIENT_LINE_MAX;
    *ret = c;
    return 0;
}

struct client *client_free(struct client *c)
{
    if (!c)
        return NULL;
    c->fd = fd_close(c->fd);
    buf_reset(&c->in);
    free(c);
    return NULL;
}

int client_send(struct client *c, const json_t *request, uint64_t timeout_us, struct err *e)
{
    _cleanup_free_ char *text = json_to_string(request);
    uint64_t deadline = deadline_of(timeout_us);
    size_t len, at = 0;

    if (!text)
        return err_set(e, -ENOMEM, "out of memory");
    len = strlen(text);
    text[len] = '\n'; /* in place of the NUL: from here on only the length counts */
    while (at < len + 1) {
        ssize_t n = send(c->fd, text + at, len + 1 - at, MSG_NOSIGNAL);
        int r;

        if (n >= 0) {
            at += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EPIPE || errno == ECONNRESET)
            return err_set(e, -EPIPE, "it closed the connection");
        if (errno != EAGAIN)
            return err_set(e, -errno, "%m");
        r = wait_for(c->fd, POLLOUT, deadline, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Reads once. 0, or -errno; -ECONNRESET at the end. */
static int fill(struct client *c, struct err *e)
{
    ssize_t n;
    int r = buf_reserve(&c->in, 65536);

    if (r == -E2BIG)
        return err_set(e, -EBADMSG, "its answer is too long");
    if (r < 0)
        return err_set(e, r, "out of memory");
    n = recv(c->fd, c->in.data + c->in.len, 65536, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return err_set(e, -ECONNRESET, "it closed the connection");
    if (n < 0)
        return err_set(e, -errno, "%m");
    c->in.len += (size_t)n;
    return 0;
}

int client_receive(struct client *c, uint64_t timeout_us, json_t **ret, struct err *e)
{
    uint64_t deadline = deadline_of(timeout_us);
    _cleanup_json_ json_t *j = NULL;
    struct err why = {.msg = ""};
    char *nl = NULL;
    size_t len;
    int r;

    for (;;) {
        if (c->in.len > c->scanned)
            nl = memchr(c->in.data + c->scanned, '\n', c->in.len - c->scanned);
        if (nl)
            break;
        c->scanned = c->in.len;
        r = wait_for(c->fd, POLLIN, deadline, e);
        if (r >= 0)
            r = fill(c, e);
        if (r < 0)
            return r;
    }
    len = (size_t)(nl - c->in.data);
    r = json_load_strict(c->in.data, len, CLIENT_LINE_MAX, &j, &why);
    buf_consume(&c->in, len + 1);
    c->scanned = 0;
    if (r == -ENOMEM)
        return err_set(e, r, "out of memory");
    if (r < 0 || !json_is_object(j))
        return err_set(e, -EBADMSG, "its answer cannot be read%s%s", why.msg[0] ? ": " : "", why.msg);
    *ret = TAKE_PTR(j);
    return 0;
}
