/* splicer.c: see splicer.h. Never leaves a byte in the pipe: it would turn up in another connection. */
#include "proxy/splicer.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"

#define FLAGS ((unsigned)SPLICE_F_MOVE | (unsigned)SPLICE_F_NONBLOCK)

static void open_pipe(struct splicer *s)
{
    int p[2];

    if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    s->in = p[1];
    s->out = p[0];
}

void splicer_open(struct splicer *s)
{
    *s = (struct splicer)SPLICER_NONE;
    open_pipe(s);
    /* A user's pipes have a limit together: a small one will do. */
    if (s->in >= 0)
        (void)fcntl(s->in, F_SETPIPE_SZ, (int)SPLICER_SIZE);
}

void splicer_close(struct splicer *s)
{
    s->in = fd_close(s->in);
    s->out = fd_close(s->out);
}

/* Takes `n` bytes out of the pipe, into `to` if there is one. A pipe that does not give them is replaced. */
static int empty_pipe(struct splicer *s, char *to, size_t n)
{
    char waste[4096] = {0};

    while (n > 0) {
        ssize_t k = read(s->out, to ? to : waste, to ? n : MIN(n, sizeof(waste)));

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            splicer_close(s);
            open_pipe(s);
            return -EIO;
        }
        if (to)
            to += k;
        n -= (size_t)k;
    }
    return 0;
}

static int keep_rest(struct splicer *s, struct buf *rest, size_t n)
{
    int r = buf_reserve(rest, n);

    if (r < 0) {
        (void)empty_pipe(s, NULL, n);
        return r;
    }
    if (empty_pipe(s, rest->data + rest->len, n) < 0)
        return -ENOMEM;
    rest->len += n;
    rest->data[rest->len] = '\0';
    return 0;
}

ssize_t splicer_move(struct splicer *s, int from, int to, struct buf *rest, bool *ret_dead)
{
    size_t left;
    ssize_t n;
    int r = 0;

    *ret_dead = false;
    if (s->in < 0)
        return -EOPNOTSUPP;
    n = splice(from, NULL, s->in, NULL, SPLICER_SIZE, FLAGS);
    if (n < 0)
        return errno == EINVAL ? -EOPNOTSUPP : (errno == EINTR ? -EAGAIN : -errno);
    for (left = (size_t)n; left > 0;) {
        ssize_t k = splice(s->out, NULL, to, NULL, left, FLAGS);

        if (k > 0) {
            left -= (size_t)k;
        } else if (k < 0 && errno != EINTR) {
            *ret_dead = errno != EAGAIN && errno != EINVAL;
            break;
        } else if (k == 0) {
            break;
        }
    }
    if (left > 0 && *ret_dead)
        (void)empty_pipe(s, NULL, left);
    else if (left > 0)
        r = keep_rest(s, rest, left);
    return r < 0 ? r : n;
}
