/* recorder.c: see recorder.h. Must never block and never grow without bound; a record is written whole or
 * counted as dropped. */
#include "proxy/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"

/* Records that come close together go out in one write. */
#define DELAY_US (10 * USEC_PER_MSEC)
#define WRITE_AT ((size_t)32 * 1024)
/* A full disk may have room later. */
#define RETRY_US (1 * USEC_PER_SEC)

struct recorder {
    struct proxy *proxy;
    struct loop_io io;
    struct loop_timer timer;
    struct buf out;
    size_t off; /* bytes of `out` that are written */
    bool is_socket, failed;
    bool waiting; /* for room: by epoll, or by the timer on a full disk */
    uint64_t dropped, dropped_told;
};

int recorder_open(void)
{
    struct stat st;
    int fd;

    if (fstat(STDOUT_FILENO, &st) < 0)
        return -errno;
    /* A new open file of the same pipe or terminal has flags of its own. A regular file never makes a writer
     * wait, and a socket is written with MSG_DONTWAIT: both may share theirs. */
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode))
        (void)fd_set_nonblock(fd, true);
    return fd;
}

static size_t unwritten(const struct recorder *r)
{
    return r->out.len - r->off;
}

static void give_up(struct recorder *r, int error)
{
    const char *p = r->out.data + r->off, *end = r->out.data ? r->out.data + r->out.len : p;

    for (; p < end; p++)
        r->dropped += *p == '\n';
    buf_reset(&r->out);
    r->off = 0;
    r->failed = true;
    loop_io_stop(r->proxy->loop, &r->io);
    log_error("decision records can no longer be written to standard output: %s", strerror(error));
}

static ssize_t write_some(struct recorder *r)
{
    const char *data = r->out.data + r->off;

    return r->is_socket ? send(r->io.fd, data, unwritten(r), MSG_DONTWAIT | MSG_NOSIGNAL)
                        : write(r->io.fd, data, unwritten(r));
}

static void wait_for_room(struct recorder *r, int error)
{
    buf_consume(&r->out, r->off);
    r->off = 0;
    r->waiting = true;
    if (error == ENOSPC || error == EDQUOT)
        loop_timer_set(r->proxy->loop, &r->timer, RETRY_US);
    else if (loop_io_set(r->proxy->loop, &r->io, EPOLLOUT) < 0)
        give_up(r, EIO);
}

static int append(struct recorder *r, const char *line, size_t len)
{
    int k;

    if (unwritten(r) + len + 1 > RECORDER_QUEUE_MAX)
        return -EAGAIN;
    k = buf_reserve(&r->out, len + 1); /* so that a line is whole or absent */
    if (k >= 0)
        k = buf_add(&r->out, line, len);
    return k < 0 ? k : buf_add(&r->out, "\n", 1);
}

/* Only once everything before it is out: the count belongs where the gap is. */
static void tell_dropped(struct recorder *r)
{
    _cleanup_json_ json_t *j = NULL;
    _cleanup_free_ char *text = NULL;
    uint64_t n = r->dropped - r->dropped_told;

    if (n == 0)
        return;
    j = json_pack("{s:s, s:I, s:s, s:I}", "type", "dropped", "time_us", (json_int_t)clock_now(CLOCK_REALTIME),
        "tenant", r->proxy->policy->tenant, "records", (json_int_t)n);
    text = j ? json_to_string(j) : NULL;
    if (text && append(r, text, strlen(text)) >= 0) {
        log_warning("%llu decision records were dropped: standard output was not read fast enough",
            (unsigned long long)n);
        r->dropped_told = r->dropped;
    }
    loop_timer_set(r->proxy->loop, &r->timer, DELAY_US);
}

static void flush(struct recorder *r)
{
    while (unwritten(r) > 0) {
        ssize_t n = write_some(r);

        if (n >= 0) {
            r->off += (size_t)n;
        } else if (errno == EAGAIN || errno == ENOSPC || errno == EDQUOT) {
            wait_for_room(r, errno);
            return;
        } else if (errno != EINTR) {
            give_up(r, errno);
            return;
        }
    }
    if (r->out.cap > WRITE_AT)
        buf_reset(&r->out);
    else
        buf_truncate(&r->out, 0);
    r->off = 0;
    r->waiting = false;
    loop_io_stop(r->proxy->loop, &r->io);
    tell_dropped(r);
}

static void on_writable(struct loop_io *io, uint32_t events)
{
    struct recorder *r = io->ctx;

    (void)events; /* a reader that is gone shows as the write's error */
    flush(r);
}

static void on_timer(struct loop_timer *t)
{
    struct recorder *r = t->ctx;

    if (!r->failed && r->io.events == 0)
        flush(r);
}

void recorder_record(struct recorder *r, const struct buf *record)
{
    /* Behind a gap nothing is appended until the gap has been told. */
    if (r->failed || r->dropped != r->dropped_told || append(r, record->data, record->len) < 0)
        r->dropped++;
    if (r->failed || r->waiting)
        return;
    if (unwritten(r) >= WRITE_AT)
        flush(r);
    else if (r->timer.due_us == 0)
        loop_timer_set(r->proxy->loop, &r->timer, DELAY_US);
}

int recorder_new(struct proxy *p, int fd, struct recorder **ret)
{
    struct recorder *r = calloc(1, sizeof(*r));
    struct stat st;

    if (!r) {
        (void)fd_close(fd);
        return -ENOMEM;
    }
    r->proxy = p;
    r->io = (struct loop_io){.fd = fd, .fn = on_writable, .ctx = r};
    r->timer = (struct loop_timer){.fn = on_timer, .ctx = r};
    r->out.limit = 2 * RECORDER_QUEUE_MAX; /* what is written is taken out only when the writer has to wait */
    if (fstat(fd, &st) < 0) {
        int e = -errno;

        (void)recorder_free(r);
        return e;
    }
    r->is_socket = S_ISSOCK(st.st_mode);
    *ret = r;
    return 0;
}

struct recorder *recorder_free(struct recorder *r)
{
    if (!r)
        return NULL;
    for (int i = 0; i < 2 && !r->failed; i++) /* the second time: the count of what was dropped */
        flush(r);
    loop_io_stop(r->proxy->loop, &r->io);
    loop_timer_cancel(r->proxy->loop, &r->timer);
    (void)fd_close(r->io.fd);
    buf_reset(&r->out);
    free(r);
    return NULL;
}
