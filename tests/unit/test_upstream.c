/* test_upstream.c: when a connection to the engine is used again, and when not: an engine in the same loop
 * that answers by a script, and counts connections and requests. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "fixture_dir.h"
#include "proxy/pool.h"
#include "proxy/upstream.h"

#define OK_LENGTH "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
#define OK_CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n"
#define OK_CLOSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
#define OK_UNTIL_END "HTTP/1.1 200 OK\r\n\r\nOK"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
#define CONNECTIONS 8

struct step {
    enum http1_method method;
    const char *answers[2]; /* to the request, and to the second attempt; NULL: close without a byte */
    bool close;             /* the engine closes after it */
    int result;             /* status, or -errno */
    unsigned connections, requests; /* in all, once the step is over */
};

struct world {
    struct proxy *proxy;
    struct loop_io listener, conns[CONNECTIONS];
    const struct step *steps;
    size_t n_steps, at;
    unsigned connections, requests, attempt;
    struct upstream *up;
    struct loop_timer next;
};

static void step_start(struct world *w);

static void engine_close(struct world *w, struct loop_io *io)
{
    loop_io_stop(w->proxy->loop, io);
    io->fd = fd_close(io->fd);
}

static void engine_read(struct loop_io *io, uint32_t events)
{
    struct world *w = io->ctx;
    const struct step *s = &w->steps[w->at];
    const char *answer;
    char text[4096];
    ssize_t n = recv(io->fd, text, sizeof(text), 0);

    (void)events;
    if (n <= 0) {
        engine_close(w, io);
        return;
    }
    w->requests++;
    answer = s->answers[w->attempt++];
    if (answer)
        cr_assert_eq(send(io->fd, answer, strlen(answer), MSG_NOSIGNAL), (ssize_t)strlen(answer));
    if (!answer || s->close)
        engine_close(w, io);
}

static void engine_accept(struct loop_io *io, uint32_t events)
{
    struct world *w = io->ctx;
    struct loop_io *c = &w->conns[w->connections++];

    (void)events;
    cr_assert_leq(w->connections, CONNECTIONS);
    *c = (struct loop_io){.fn = engine_read, .ctx = w};
    c->fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert_geq(c->fd, 0);
    cr_assert_eq(loop_io_set(w->proxy->loop, c, EPOLLIN), 0);
}

static void step_done(void *ctx, int error, const struct http1_response *res, const struct buf *body)
{
    struct world *w = ctx;
    const struct step *s = &w->steps[w->at];
    int got = error < 0 ? error : res->status;

    cr_expect_eq(got, s->result, "step %zu: %d", w->at, got);
    if (got == 200 && s->method != HTTP1_HEAD)
        cr_expect_str_eq(body->data, "OK");
    cr_expect_eq(w->connections, s->connections, "step %zu: %u connections", w->at, w->connections);
    cr_expect_eq(w->requests, s->requests, "step %zu: %u requests", w->at, w->requests);
    w->at++;
    w->attempt = 0;
    loop_timer_set(w->proxy->loop, &w->next, s->close ? 20 * USEC_PER_MSEC : 0);
}

static void on_next(struct loop_timer *t)
{
    step_start(t->ctx);
}

static void step_start(struct world *w)
{
    struct upstream_request r = {.target = "/_ping", .timeout_us = USEC_PER_SEC};

    if (w->at == w->n_steps) {
        loop_exit(w->proxy->loop, 0);
        return;
    }
    r.method = w->steps[w->at].method;
    cr_assert_eq(upstream_fetch(w->proxy, &r, 1024, step_done, w, &w->up), 0);
}

static size_t held; /* by others, before the first step */

static void play(const struct step *steps, size_t n)
{
    static struct proxy p;
    char dir[64], path[128];
    struct world w = {.proxy = &p, .steps = steps, .n_steps = n};
    struct err e;

    p = (struct proxy){.engine_socket = path, .held_bytes = held};
    fixture_new(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/engine", dir);
    w.next = (struct loop_timer){.fn = on_next, .ctx = &w};
    w.listener = (struct loop_io){.fn = engine_accept, .ctx = &w};
    w.listener.fd = fd_listen_unix(path, SOCK_STREAM, 0600, getuid(), getgid(), &e);
    cr_assert_geq(w.listener.fd, 0, "%s", e.msg);
    cr_assert_eq(fd_set_nonblock(w.listener.fd, true), 0);
    cr_assert_eq(loop_new(&p.loop), 0);
    cr_assert_eq(pool_new(p.loop, &p.pool), 0);
    cr_assert_eq(loop_io_set(p.loop, &w.listener, EPOLLIN), 0);
    step_start(&w);
    cr_expect_eq(loop_run(p.loop), 0);
    for (size_t i = 0; i < w.connections; i++)
        if (w.conns[i].fd >= 0)
            engine_close(&w, &w.conns[i]);
    engine_close(&w, &w.listener);
    p.pool = pool_free(p.pool);
    p.loop = loop_free(p.loop);
    cr_expect_eq(p.held_bytes, held, "%zu bytes are still held", p.held_bytes);
    fixture_free(dir);
}
#define PLAY(...)                                                                                            \
    play((const struct step[]){__VA_ARGS__}, sizeof((struct step[]){__VA_ARGS__}) / sizeof(struct step))

Test(upstream, a_get_uses_the_connection_of_the_last_one)
{
    PLAY({HTTP1_GET, {OK_LENGTH}, false, 200, 1, 1}, {HTTP1_GET, {OK_CHUNKED}, false, 200, 1, 2},
        {HTTP1_HEAD, {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"}, false, 200, 1, 3},
        {HTTP1_GET, {OK_LENGTH}, false, 200, 1, 4});
}

/* What changes something has a connection of its own, and leaves none behind. */
Test(upstream, no_other_method_shares_a_connection)
{
    PLAY({HTTP1_GET, {OK_LENGTH}, false, 200, 1, 1}, {HTTP1_POST, {OK_LENGTH}, false, 200, 2, 2},
        {HTTP1_DELETE, {OK_LENGTH}, false, 200, 3, 3}, {HTTP1_POST, {OK_LENGTH}, false, 200, 4, 4},
        {HTTP1_GET, {OK_LENGTH}, false, 200, 4, 5});
}

Test(upstream, an_error_answer_ends_the_connection)
{
    PLAY({HTTP1_GET, {NOT_FOUND}, false, 404, 1, 1}, {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 2});
}

Test(upstream, an_engine_that_says_close_is_believed)
{
    PLAY({HTTP1_GET, {OK_CLOSE}, false, 200, 1, 1}, {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 2});
}

Test(upstream, an_answer_until_the_end_has_none_behind_it)
{
    PLAY({HTTP1_GET, {OK_UNTIL_END}, true, 200, 1, 1}, {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 2});
}

/* Bytes behind the end: the next answer would not be the next request's. */
Test(upstream, bytes_behind_the_answer_end_the_connection)
{
    PLAY({HTTP1_GET, {OK_LENGTH "HTTP/1.1 200 OK\r\n"}, false, 200, 1, 1},
        {HTTP1_GET, {OK_CHUNKED "x"}, false, 200, 2, 2}, {HTTP1_GET, {OK_LENGTH}, false, 200, 3, 3});
}

Test(upstream, a_malformed_answer_ends_the_connection)
{
    PLAY({HTTP1_GET, {OK_LENGTH}, false, 200, 1, 1},
        {HTTP1_GET, {"HTTP/1.1 2OO\r\n\r\n"}, false, -EBADMSG, 1, 2},
        {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 3});
}

Test(upstream, a_connection_that_ends_while_it_waits_is_not_used)
{
    PLAY({HTTP1_GET, {OK_LENGTH}, true, 200, 1, 1}, {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 2});
}

/* It was closed as the request went out: nothing came back, so that the request is sent once more. */
Test(upstream, a_stale_connection_is_replaced_once)
{
    PLAY({HTTP1_GET, {OK_LENGTH}, false, 200, 1, 1}, {HTTP1_GET, {NULL, OK_LENGTH}, false, 200, 2, 3},
        {HTTP1_GET, {NULL, NULL}, false, -EPIPE, 3, 5});
}

Test(upstream, a_new_connection_without_an_answer_is_a_failure)
{
    PLAY({HTTP1_GET, {NULL}, false, -EPIPE, 1, 1}, {HTTP1_POST, {NULL}, false, -EPIPE, 2, 2});
}

/* From the first byte on the request was taken: no second attempt. */
Test(upstream, an_answer_that_is_cut_short_is_a_failure)
{
    PLAY({HTTP1_GET, {OK_LENGTH}, false, 200, 1, 1},
        {HTTP1_GET, {"HTTP/1.1 200 OK\r\nCon"}, true, -EPIPE, 1, 2},
        {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 3}, {HTTP1_GET, {"H"}, true, -EPIPE, 2, 4});
}

/* A tenant may ask for its list a thousand times at once; what is collected is bounded for all together. */
Test(upstream, many_large_answers_at_once)
{
    static char large[40 * 1024];
    int n = snprintf(large, sizeof(large), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 32 * 1024);

    memset(large + n, ' ', 32 * 1024);
    held = PROXY_HELD_MAX;
    PLAY({HTTP1_GET, {OK_LENGTH}, false, 200, 1, 1}, {HTTP1_GET, {large}, false, -EDQUOT, 1, 2},
        {HTTP1_GET, {OK_LENGTH}, false, 200, 2, 3});
}
