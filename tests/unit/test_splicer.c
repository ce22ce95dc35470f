/* test_splicer.c: bytes come out as they went in, whatever the other side takes, and none stays in the pipe.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "proxy/splicer.h"

#define MUCH ((size_t)4 * 1024 * 1024)

/* a[0] -> (a[1] -> splicer -> b[0]) -> b[1] */
struct scene {
    struct splicer s;
    int a[2], b[2];
};

static void scene_open(struct scene *w)
{
    (void)signal(SIGPIPE, SIG_IGN);
    splicer_open(&w->s);
    cr_assert_geq(w->s.in, 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, w->a), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, w->b), 0);
}

static void scene_close(struct scene *w)
{
    splicer_close(&w->s);
    for (size_t i = 0; i < 2; i++) {
        w->a[i] = fd_close(w->a[i]);
        w->b[i] = fd_close(w->b[i]);
    }
}

/* The pipe is empty: nothing can be read from it. */
static void expect_empty(const struct scene *w)
{
    char c;

    cr_expect_eq(read(w->s.out, &c, 1), -1);
    cr_expect_eq(errno, EAGAIN);
}

static char pattern(size_t i)
{
    return (char)((i * 31 + i / 251) & 0xff);
}

static size_t feed(const struct scene *w, size_t at)
{
    char data[5000];

    for (;;) {
        size_t n = MIN(sizeof(data), MUCH - at);
        ssize_t k;

        for (size_t i = 0; i < n; i++)
            data[i] = pattern(at + i);
        k = n > 0 ? send(w->a[0], data, n, MSG_NOSIGNAL) : -1;
        if (k < 0)
            return at;
        at += (size_t)k;
    }
}

static size_t take(const struct scene *w, size_t at, size_t most)
{
    char data[8192];
    ssize_t k;

    while (most > 0 && (k = recv(w->b[1], data, MIN(sizeof(data), most), 0)) > 0) {
        for (size_t i = 0; i < (size_t)k; i++)
            cr_assert_eq(data[i], pattern(at + i), "byte %zu", at + i);
        at += (size_t)k;
        most -= (size_t)k;
    }
    return at;
}

Test(splicer, much_through_a_slow_reader)
{
    struct scene w;
    _cleanup_buf_ struct buf rest = {0};
    size_t in = 0, out = 0, off = 0, spilled = 0;
    bool dead;

    scene_open(&w);
    while (out < MUCH) {
        in = feed(&w, in);
        if (rest.len == 0) {
            ssize_t n = splicer_move(&w.s, w.a[1], w.b[0], &rest, &dead);

            cr_assert(n > 0 || n == -EAGAIN, "%zd", n);
            cr_assert_not(dead);
            spilled += rest.len > 0;
        } else {
            ssize_t k = send(w.b[0], rest.data + off, rest.len - off, MSG_NOSIGNAL);

            off += k > 0 ? (size_t)k : 0;
            if (off == rest.len) {
                buf_reset(&rest);
                off = 0;
            }
        }
        expect_empty(&w);
        out = take(&w, out, 50000);
    }
    cr_expect_gt(spilled, 0);
    cr_expect_eq(splicer_move(&w.s, w.a[1], w.b[0], &rest, &dead), -EAGAIN);
    w.a[0] = fd_close(w.a[0]);
    cr_expect_eq(splicer_move(&w.s, w.a[1], w.b[0], &rest, &dead), 0);
    scene_close(&w);
}

Test(splicer, nobody_takes_it)
{
    struct scene w;
    struct buf rest = {0};
    bool dead = false;

    scene_open(&w);
    (void)feed(&w, 0);
    w.b[1] = fd_close(w.b[1]);
    cr_expect_gt(splicer_move(&w.s, w.a[1], w.b[0], &rest, &dead), 0);
    cr_expect(dead);
    cr_expect_eq(rest.len, 0);
    expect_empty(&w);
    scene_close(&w);
}

Test(splicer, no_room_for_the_rest)
{
    struct scene w;
    struct buf rest = {.limit = 10};
    size_t in = 0;
    ssize_t n;
    bool dead = false;

    scene_open(&w);
    do {
        in = feed(&w, in);
        n = splicer_move(&w.s, w.a[1], w.b[0], &rest, &dead);
    } while (n > 0);
    cr_expect_eq(n, -E2BIG);
    cr_expect_not(dead);
    expect_empty(&w);
    scene_close(&w);
}

Test(splicer, without_a_pipe)
{
    struct scene w;
    struct buf rest = {0};
    bool dead;

    scene_open(&w);
    (void)feed(&w, 0);
    splicer_close(&w.s);
    cr_expect_eq(splicer_move(&w.s, w.a[1], w.b[0], &rest, &dead), -EOPNOTSUPP);
    scene_close(&w);
}
