/* test_loop.c: the proxy's loop: what is deleted in a round gets no event of that round, timers fire once and
 * in time, garbage lives until the round is over. */
#include <criterion/criterion.h>

#include <sys/socket.h>

#include "base/fd.h"
#include "proxy/loop.h"

struct pair {
    struct loop *loop;
    struct loop_io io;
    struct pair *peer;
    int other;
    unsigned calls;
    uint32_t events;
};

static void open_pair(struct pair *p, struct loop *l, loop_io_fn fn)
{
    int sv[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
    *p = (struct pair){.loop = l, .io = {.fd = sv[0], .fn = fn, .ctx = p}, .other = sv[1]};
}

static void close_pair(struct pair *p)
{
    loop_io_stop(p->loop, &p->io);
    (void)fd_close(p->io.fd);
    (void)fd_close(p->other);
}

static void on_stop(struct loop_timer *t)
{
    loop_exit(t->ctx, 7);
}

static void on_io_kill_peer(struct loop_io *io, uint32_t events)
{
    struct pair *p = io->ctx;

    p->calls++;
    p->events = events;
    loop_io_stop(p->loop, io);
    loop_io_stop(p->loop, &p->peer->io);
}

Test(loop, a_deleted_source_gets_no_event_of_the_round)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct pair a, b;
    struct loop_timer stop = {.fn = on_stop};

    cr_assert_eq(loop_new(&l), 0);
    stop.ctx = l;
    open_pair(&a, l, on_io_kill_peer);
    open_pair(&b, l, on_io_kill_peer);
    a.peer = &b;
    b.peer = &a;
    cr_assert_eq(loop_io_set(l, &a.io, EPOLLIN), 0);
    cr_assert_eq(loop_io_set(l, &b.io, EPOLLIN), 0);
    cr_assert_eq(write(a.other, "x", 1), 1);
    cr_assert_eq(write(b.other, "x", 1), 1);
    loop_timer_set(l, &stop, 20 * USEC_PER_MSEC);
    cr_expect_eq(loop_run(l), 7);
    cr_expect_eq(a.calls + b.calls, 1, "both were called");
    close_pair(&a);
    close_pair(&b);
}

static void on_io_count(struct loop_io *io, uint32_t events)
{
    struct pair *p = io->ctx;

    p->calls++;
    p->events |= events;
}

Test(loop, a_hangup_is_reported_once)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct pair a;
    struct loop_timer stop = {.fn = on_stop};

    cr_assert_eq(loop_new(&l), 0);
    stop.ctx = l;
    open_pair(&a, l, on_io_count);
    cr_assert_eq(loop_io_set(l, &a.io, LOOP_HANGUP), 0);
    cr_assert_eq(write(a.other, "x", 1), 1); /* not asked for */
    cr_assert_eq(shutdown(a.other, SHUT_WR), 0);
    loop_timer_set(l, &stop, 20 * USEC_PER_MSEC);
    cr_expect_eq(loop_run(l), 7);
    cr_expect_leq(a.calls, 2, "%u calls: it spins", a.calls);
    cr_expect(a.events & EPOLLRDHUP);
    close_pair(&a);
}

struct ticks {
    struct loop *loop;
    unsigned n;
    char order[8];
    size_t used;
};

static void on_tick(struct loop_timer *t)
{
    struct ticks *k = t->ctx;

    if (++k->n < 3)
        loop_timer_set(k->loop, t, 0);
    else
        loop_exit(k->loop, 0);
}

Test(loop, a_timer_may_arm_itself)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct ticks k = {0};
    struct loop_timer t = {.fn = on_tick, .ctx = &k};

    cr_assert_eq(loop_new(&l), 0);
    k.loop = l;
    loop_timer_set(l, &t, 0);
    cr_expect_eq(loop_run(l), 0);
    cr_expect_eq(k.n, 3);
    cr_expect_eq(t.due_us, 0);
}

static void on_never(struct loop_timer *t)
{
    (void)t;
    cr_assert_fail("a cancelled timer has fired");
}

static void on_cancel_other(struct loop_timer *t)
{
    struct loop_timer *other = t->ctx;

    loop_timer_cancel(other->ctx, other);
}

Test(loop, timers_are_moved_and_cancelled)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct loop_timer a = {.fn = on_never}, b = {.fn = on_cancel_other, .ctx = &a}, stop = {.fn = on_stop};
    uint64_t start;

    cr_assert_eq(loop_new(&l), 0);
    a.ctx = stop.ctx = l;
    start = loop_now(l);
    loop_timer_set(l, &a, 5 * USEC_PER_MSEC);
    loop_timer_set(l, &a, 30 * USEC_PER_MSEC);
    loop_timer_set(l, &b, 10 * USEC_PER_MSEC);
    loop_timer_set(l, &stop, 50 * USEC_PER_MSEC);
    cr_expect_eq(loop_run(l), 7);
    cr_expect_geq(loop_now(l) - start, 50 * USEC_PER_MSEC);
}

static unsigned reaped;

static void on_reap(void *p)
{
    reaped++;
    free(p);
}

struct thing {
    struct loop_garbage garbage;
    int value;
};

static void on_timer_reap(struct loop_timer *t)
{
    struct thing *thing = calloc(1, sizeof(*thing));

    cr_assert_not_null(thing);
    loop_reap(t->ctx, &thing->garbage, on_reap, thing);
    thing->value = 1; /* still ours */
    cr_expect_eq(reaped, 0);
    loop_exit(t->ctx, 0);
}

Test(loop, garbage_lives_until_the_round_is_over)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct loop_timer t = {.fn = on_timer_reap};

    cr_assert_eq(loop_new(&l), 0);
    t.ctx = l;
    loop_timer_set(l, &t, 0);
    cr_expect_eq(loop_run(l), 0);
    cr_expect_eq(reaped, 1);
}

/* Left armed while nobody wants its bytes: they wait, and a half-close behind them is reported all the same.
 */
Test(loop, bytes_that_nobody_wants_wait)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct pair a;
    struct loop_timer stop = {.fn = on_stop};

    cr_assert_eq(loop_new(&l), 0);
    stop.ctx = l;
    open_pair(&a, l, on_io_count);
    cr_assert_eq(loop_io_set(l, &a.io, EPOLLIN), 0);
    cr_assert_eq(loop_io_set(l, &a.io, LOOP_HANGUP), 0);
    cr_assert_eq(write(a.other, "x", 1), 1);
    loop_timer_set(l, &stop, 5 * USEC_PER_MSEC);
    cr_expect_eq(loop_run(l), 7);
    cr_expect_eq(a.calls, 0, "called for bytes: %u", a.calls);
    close_pair(&a);
}

Test(loop, a_half_close_behind_unwanted_bytes_is_reported_once)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct pair a;
    struct loop_timer stop = {.fn = on_stop};

    cr_assert_eq(loop_new(&l), 0);
    stop.ctx = l;
    open_pair(&a, l, on_io_count);
    cr_assert_eq(loop_io_set(l, &a.io, EPOLLIN), 0);
    cr_assert_eq(loop_io_set(l, &a.io, LOOP_HANGUP), 0);
    cr_assert_eq(write(a.other, "x", 1), 1);
    cr_assert_eq(shutdown(a.other, SHUT_WR), 0);
    loop_timer_set(l, &stop, 5 * USEC_PER_MSEC);
    cr_expect_eq(loop_run(l), 7);
    cr_expect_eq(a.calls, 1, "calls: %u", a.calls);
    cr_expect(a.events == EPOLLRDHUP, "events: %x", a.events);
    close_pair(&a);
}

static void on_io_want_bytes(struct loop_io *io, uint32_t events)
{
    struct pair *p = io->ctx;

    p->calls++;
    p->events |= events;
    loop_io_stop(p->loop, io);
    loop_exit(p->loop, 9);
}

static void on_want(struct loop_timer *t)
{
    struct pair *p = t->ctx;

    cr_assert_eq(loop_io_set(p->loop, &p->io, EPOLLIN), 0);
}

Test(loop, bytes_that_waited_come_when_they_are_wanted)
{
    _cleanup_loop_ struct loop *l = NULL;
    struct pair a;
    struct loop_timer want = {.fn = on_want, .ctx = &a};

    cr_assert_eq(loop_new(&l), 0);
    open_pair(&a, l, on_io_want_bytes);
    cr_assert_eq(loop_io_set(l, &a.io, EPOLLIN), 0);
    cr_assert_eq(loop_io_set(l, &a.io, LOOP_HANGUP), 0);
    cr_assert_eq(write(a.other, "x", 1), 1);
    loop_timer_set(l, &want, 5 * USEC_PER_MSEC);
    cr_expect_eq(loop_run(l), 9);
    cr_expect_eq(a.calls, 1);
    cr_expect(a.events & EPOLLIN, "events: %x", a.events);
    close_pair(&a);
}
