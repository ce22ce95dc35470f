/* test_http1.c: heads and bodies: what is accepted, what is refused and how, the same however the bytes
 * arrive. Every input ends at the end of a page: a read behind it kills the test. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "filter/http1.h"

#define ARENA ((size_t)64 * 1024)

/* A copy of data that ends where an unreadable page begins. One arena for each slot. */
static const char *guard(unsigned slot, const char *data, size_t n)
{
    static char *arenas[2];
    char *a = arenas[slot];

    cr_assert_leq(n, ARENA);
    if (!a) {
        a = mmap(NULL, ARENA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(a, MAP_FAILED);
        cr_assert_eq(mprotect(a + ARENA, 4096, PROT_NONE), 0);
        arenas[slot] = a;
    }
    memcpy(a + ARENA - n, data, n);
    return a + ARENA - n;
}

/* Everything that was parsed, as text. */
static void describe(char *out, size_t n, const struct http1_request *q)
{
    size_t used = (size_t)snprintf(out, n, "%s", http1_method_name(q->method));

    for (size_t i = 0; i < q->n_segments; i++)
        used += (size_t)snprintf(out + used, n - used, " /%s", q->segments[i]);
    for (size_t i = 0; i < q->n_params; i++)
        used += (size_t)snprintf(out + used, n - used, " %s=%s", q->params[i].key, q->params[i].value);
    (void)snprintf(out + used, n - used, " %d %llu%s%s%s", (int)q->framing,
        (unsigned long long)q->content_length, q->keep_alive ? " keep" : "",
        q->expect_continue ? " expect" : "", q->upgrade ? " upgrade" : "");
}

/* Feeds the first 1, 2, ... bytes until an answer comes: it must be the one that all bytes at once give. */
static ssize_t parse(const char *in, size_t len, struct http1_request *q, struct http1_error *e)
{
    _cleanup_http1_request_ struct http1_request step = {0};
    struct http1_error es = {0};
    char whole[1024], parts[1024];
    ssize_t want = http1_parse_request(q, guard(0, in, len), len, e), got = -EAGAIN;

    for (size_t k = 0; k <= len && got == -EAGAIN; k++)
        got = http1_parse_request(&step, guard(1, in, k), k, &es);
    cr_assert_eq(got, want, "in parts %zd, whole %zd", got, want);
    cr_assert_eq(es.status, e->status);
    if (want > 0) {
        describe(whole, sizeof(whole), q);
        describe(parts, sizeof(parts), &step);
        cr_assert_str_eq(parts, whole);
    }
    return want;
}

struct good {
    char in[420];
    char want[200];
};

ParameterizedTestParameters(http1, accepted)
{
#define H "Host: docker\r\n"
    static struct good rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", "GET 0 0 keep"},
        {"HEAD /_ping HTTP/1.1\r\nHost: api.moby.localhost\r\nUser-Agent: Docker-Client/28.2.2 "
         "(linux)\r\n\r\n",
            "HEAD /_ping 0 0 keep"},
        {"HEAD /_ping HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n", "HEAD /_ping 0 0 keep"},
        {"GET /v1.47/containers/json?all=1&filters=%7B%22label%22%3A%7B%22a%3D%22%3Atrue%7D%7D HTTP/1.1\r\n"
         "Host: %2Fvar%2Frun%2Fdocker.sock\r\nUser-Agent: x\r\n\r\n",
            "GET /v1.47 /containers /json all=1 filters={\"label\":{\"a=\":true}} 0 0 keep"},
        {"POST /v1.41/containers/abc/start HTTP/1.1\r\nHost: docker\r\nUser-Agent: Go-http-client/1.1\r\n"
         "Content-Length: 0\r\nContent-Type: text/plain\r\n\r\n",
            "POST /v1.41 /containers /abc /start 0 0 keep"},
        {"POST /exec/e/start HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/20.10\r\nContent-Length: "
         "29\r\n"
         "Connection: Upgrade\r\nContent-Type: application/json\r\nUpgrade: tcp\r\n\r\n",
            "POST /exec /e /start 1 29 keep upgrade"},
        {"GET /containers/json HTTP/1.1\r\nHost: localhost\r\nUser-Agent: python-requests/2.28.1\r\n"
         "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
            "GET /containers /json 0 0 keep"},
        {"GET /info HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
            "GET /info 0 0 keep"},
        {"PUT /containers/x/archive?path=/a%20b HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nExpect: "
         "100-continue\r\nConnection: close\r\n\r\n",
            "PUT /containers /x /archive path=/a b 2 0 expect"},
        {"DELETE /containers/x?force=1&v HTTP/1.1\r\n" H "\r\n", "DELETE /containers /x force=1 v= 0 0 keep"},
        {"GET /images/a%40b%3Ac/json? HTTP/1.1\r\n" H "\r\n", "GET /images /a@b:c /json 0 0 keep"},
        {"GET /%73/x+y?a=b+c&d=e=f HTTP/1.1\r\n" H "\r\n", "GET /s /x+y a=b c d=e=f 0 0 keep"},
        {"GET / HTTP/1.1\r\nhOST:docker\r\nA:\r\nB:  \t x \t\r\nTE: gzip\r\n\r\n", "GET 0 0 keep"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET 0 0 keep"},
        {"OPTIONS / HTTP/1.1\r\n" H "Connection: foo, CLOSE ,bar\r\n\r\n", "OPTIONS 0 0"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\nUpgrade: h2c\r\n\r\n", "POST 2 0 keep"},
        {"GET / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\nGET /next", "GET 0 0 keep"},
    };
    return cr_make_param_array(struct good, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct good *g, http1, accepted)
{
    _cleanup_http1_request_ struct http1_request q = {0};
    struct http1_error e = {0};
    ssize_t n = parse(g->in, strlen(g->in), &q, &e);
    char got[1024];

    cr_assert_gt(n, 0, "%s -> %zd %d %s", g->in, n, e.status, e.text ? e.text : "");
    cr_expect_eq(n, strstr(g->in, "\r\n\r\n") + 4 - g->in);
    describe(got, sizeof(got), &q);
    cr_expect_str_eq(got, g->want);
}

struct bad {
    char in[200];
    int status;
};

ParameterizedTestParameters(http1, refused)
{
    static struct bad rows[] = {
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
        {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
        {"\nGET / HTTP/1.1\r\n" H "\r\n", 400},
        {" GET / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /  HTTP/1.1\r\n" H "\r\n", 400},
        {"GET\t/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a\tb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" H "\r\n", 400},
        {"GET /\r\n" H "\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\n" H "\r\n", 505},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"GET / HTTP/1.10\r\n" H "\r\n", 400},
        {"GET / http/1.1\r\n" H "\r\n", 400},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://docker/info HTTP/1.1\r\n" H "\r\n", 400},
        {"CONNECT docker:80 HTTP/1.1\r\n" H "\r\n", 400},
        {"PATCH / HTTP/1.1\r\n" H "\r\n", 405},
        {"TRACE / HTTP/1.1\r\n" H "\r\n", 405},
        {"get / HTTP/1.1\r\n" H "\r\n", 405},
        {"G(T / HTTP/1.1\r\n" H "\r\n", 400},
        /* path */
        {"GET //info HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /info/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a/./b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a/../b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%2Fb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%5Cb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a\\b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%252Fb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%00b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%0Ab HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%C3%A9 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a;b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%3Bb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%3Fb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%2 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a% HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a%zz HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a#b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1 HTTP/1.1\r\n" H "\r\n", 400},
        /* query */
        {"GET /?a=1&a=2 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=1&%61=2 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=1;b=2 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=1&&b=2 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=1& HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?& HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?=1 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a%3D=1 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a+b=1 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=%00 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=%0d%0aX HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=%7f HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=% HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=%4 HTTP/1.1\r\n" H "\r\n", 400},
        /* fields */
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n\tb: c\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Connection: keep-alive,\tclose\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Upgrade:\ttcp\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\t2\r\n\r\n{}", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: \xc3\xa9\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Type: a\r\nContent-Type: b\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Upgrade: tcp\r\nUpgrade: tcp\r\n\r\n", 400},
        /* framing */
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 01\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 00\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 400},
        {"HEAD / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417},
        {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 400},
    };
    return cr_make_param_array(struct bad, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct bad *b, http1, refused)
{
    _cleanup_http1_request_ struct http1_request q = {0};
    struct http1_error e = {0};

    cr_expect_eq(parse(b->in, strlen(b->in), &q, &e), -EBADMSG, "%s", b->in);
    cr_expect_eq(e.status, b->status, "%s gave %d %s", b->in, e.status, e.text);
    cr_expect_not_null(e.text);
}

Test(http1, nul_in_head)
{
    _cleanup_http1_request_ struct http1_request q = {0};
    struct http1_error e = {0};
    static const char in[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";

    cr_expect_eq(parse(in, sizeof(in) - 1, &q, &e), -EBADMSG);
    cr_expect_eq(e.status, 400);
}

static size_t big_head(char *out, size_t n_fields, size_t pad)
{
    size_t n = (size_t)sprintf(out, "GET / HTTP/1.1\r\nHost: a\r\n");

    for (size_t i = 1; i < n_fields; i++)
        n += (size_t)sprintf(out + n, "X%zu: y\r\n", i);
    if (pad > 0) {
        n += (size_t)sprintf(out + n, "P: ");
        memset(out + n, 'p', pad);
        n += pad;
        n += (size_t)sprintf(out + n, "\r\n");
    }
    return n + (size_t)sprintf(out + n, "\r\n");
}

Test(http1, head_limits)
{
    struct http1_error e = {0};
    char *in = malloc(ARENA);
    size_t n, base;

    cr_assert_not_null(in);
    for (size_t fields = 64; fields <= 65; fields++) {
        _cleanup_http1_request_ struct http1_request q = {0};

        n = big_head(in, fields, 0);
        cr_expect_eq(parse(in, n, &q, &e), fields == 64 ? (ssize_t)n : -EBADMSG);
    }
    cr_expect_eq(e.status, 431);
    base = big_head(in, 1, 1) - 1;
    for (size_t over = 0; over <= 1; over++) {
        _cleanup_http1_request_ struct http1_request q = {0};

        e = (struct http1_error){0};
        n = big_head(in, 1, HTTP1_HEAD_LIMIT - base + over);
        cr_assert_eq(n, HTTP1_HEAD_LIMIT + over);
        cr_expect_eq(http1_parse_request(&q, guard(0, in, n), n, &e), over ? -EBADMSG : (ssize_t)n);
        cr_expect_eq(e.status, over ? 431 : 0);
    }
    free(in);
}

Test(http1, target_limit)
{
    struct http1_error e = {0};
    char *in = malloc(ARENA);

    cr_assert_not_null(in);
    for (size_t over = 0; over <= 1; over++) {
        _cleanup_http1_request_ struct http1_request q = {0};
        size_t n = (size_t)sprintf(in, "GET /?a=");

        memset(in + n, 'x', HTTP1_TARGET_LIMIT - 4 + over);
        n += HTTP1_TARGET_LIMIT - 4 + over;
        n += (size_t)sprintf(in + n, " HTTP/1.1\r\nHost: a\r\n\r\n");
        cr_expect_eq(http1_parse_request(&q, guard(0, in, n), n, &e), over ? -EBADMSG : (ssize_t)n);
    }
    cr_expect_eq(e.status, 414);
    free(in);
}

/* Two requests in one buffer: each is parsed where the one before ended, with the same struct. */
Test(http1, pipelined)
{
    static const char in[] = "GET /a?x=1 HTTP/1.1\r\n" H "\r\nDELETE /b HTTP/1.1\r\n" H "\r\n";
    _cleanup_http1_request_ struct http1_request q = {0};
    struct http1_error e = {0};
    ssize_t n = http1_parse_request(&q, in, sizeof(in) - 1, &e);

    cr_assert_gt(n, 0);
    cr_expect_str_eq(q.segments[0], "a");
    cr_expect_str_eq(http1_request_param(&q, "x"), "1");
    cr_expect_gt(http1_parse_request(&q, in + n, sizeof(in) - 1 - (size_t)n, &e), 0);
    cr_expect_eq(q.method, HTTP1_DELETE);
    cr_expect_str_eq(q.segments[0], "b");
    cr_expect_eq(q.n_params, 0);
    cr_expect_eq(q.n_fields, 1);
    cr_expect_str_eq(http1_request_field(&q, "host"), "docker");
    cr_expect_null(http1_request_field(&q, "x"));
}

/* ---------------------------------------------------------------- responses */

struct answer {
    int method;
    char in[200];
    int status; /* -1: refused */
    int framing;
    uint64_t length;
    bool keep;
};

ParameterizedTestParameters(http1, responses)
{
    static struct answer rows[] = {
        {HTTP1_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", 200, HTTP1_BODY_LENGTH, 2, true},
        {HTTP1_HEAD, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\n", 200,
            HTTP1_BODY_NONE, 2, true},
        {HTTP1_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, HTTP1_BODY_CHUNKED, 0,
            true},
        {HTTP1_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, HTTP1_BODY_NONE, 0, true},
        {HTTP1_POST, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n", 200,
            HTTP1_BODY_CLOSE, 0, false},
        {HTTP1_POST, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", 101,
            HTTP1_BODY_NONE, 0, false},
        {HTTP1_POST, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 204, HTTP1_BODY_NONE, 0, false},
        {HTTP1_POST, "HTTP/1.1 304 Not Modified\r\n\r\n", 304, HTTP1_BODY_NONE, 0, true},
        {HTTP1_POST, "HTTP/1.1 100 Continue\r\n\r\n", 100, HTTP1_BODY_NONE, 0, true},
        {HTTP1_GET, "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, HTTP1_BODY_NONE, 0, true},
        {HTTP1_GET, "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 404, HTTP1_BODY_NONE, 0, true},
        {HTTP1_GET, "HTTP/1.0 200 OK\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 099 X\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 600 X\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 2000\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 20\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1  200 OK\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 200 OK\n\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, 0,
            false},
        {HTTP1_GET, "HTTP/1.1 204 X\r\nContent-Length: 1\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 101 X\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, 0, false},
        {HTTP1_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -1, 0, 0, false},
    };
    return cr_make_param_array(struct answer, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct answer *a, http1, responses)
{
    _cleanup_http1_response_ struct http1_response res = {0}, step = {0};
    struct http1_error e = {0};
    size_t len = strlen(a->in);
    ssize_t n = http1_parse_response(&res, (enum http1_method)a->method, guard(0, a->in, len), len, &e);
    ssize_t got = -EAGAIN;

    for (size_t k = 0; k <= len && got == -EAGAIN; k++)
        got = http1_parse_response(&step, (enum http1_method)a->method, guard(1, a->in, k), k, &e);
    cr_expect_eq(got, n);
    if (a->status < 0) {
        cr_expect_eq(n, -EBADMSG, "%s", a->in);
        cr_expect_eq(e.status, 502);
        return;
    }
    cr_assert_gt(n, 0, "%s: %s", a->in, e.text ? e.text : "");
    cr_expect_eq(res.status, a->status);
    cr_expect_eq((int)res.framing, a->framing);
    cr_expect_eq(res.content_length, a->length);
    cr_expect_eq(res.keep_alive, a->keep);
    cr_expect_eq(res.interim, a->status == 100);
    cr_expect_eq(res.upgraded, a->status == 101);
}

Test(http1, response_after_interim)
{
    static const char in[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nOstype: linux\r\n"
                             "Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{}\n";
    _cleanup_http1_response_ struct http1_response res = {0};
    struct http1_error e = {0};
    ssize_t n = http1_parse_response(&res, HTTP1_POST, in, sizeof(in) - 1, &e);

    cr_assert(res.interim);
    cr_assert_gt(http1_parse_response(&res, HTTP1_POST, in + n, sizeof(in) - 1 - (size_t)n, &e), 0);
    cr_expect_eq(res.status, 201);
    cr_expect_not(res.interim);
    cr_expect_str_eq(res.content_type, "application/json");
    cr_expect_str_eq(http1_response_field(&res, "ostype"), "linux");
}

/* ---------------------------------------------------------------- bodies */

struct body {
    char in[120];
    uint64_t limit;
    int r;         /* 0 or the error */
    char want[64]; /* payload */
    int left;      /* bytes not consumed */
};

ParameterizedTestParameters(http1, chunked)
{
    static struct body rows[] = {
        {"0\r\n\r\n", 100, 0, "", 0},
        {"5\r\nhello\r\n0\r\n\r\nGET /", 100, 0, "hello", 5},
        {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 11, 0, "hello world", 0},
        {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 10, -EFBIG, "hello", 0},
        {"0A\r\n0123456789\r\n0\r\n\r\n", 100, 0, "0123456789", 0},
        {"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", 100, 0, "\r\n\r\n\r\n\r\n\r\n", 0},
        {"\r\n", 100, -EBADMSG, "", 0},
        {"5;x=y\r\nhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {"5 \r\nhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {" 5\r\nhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {"0x5\r\nhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {"+5\r\nhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {"5\nhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {"5\r\rhello\r\n0\r\n\r\n", 100, -EBADMSG, "", 0},
        {"5\r\nhello0\r\n\r\n", 100, -EBADMSG, "hello", 0},
        {"5\r\nhello\n0\r\n\r\n", 100, -EBADMSG, "hello", 0},
        {"5\r\nhello\r\n0\r\nX: y\r\n\r\n", 100, -EBADMSG, "hello", 0},
        {"5\r\nhello\r\n0\r\n\n", 100, -EBADMSG, "hello", 0},
        {"123456789\r\n", UINT64_MAX, -EBADMSG, "", 0},
        {"ffffffff\r\n", 100, -EFBIG, "", 0},
        {"5\r\nhel", 100, -EAGAIN, "hel", 0},
        {"5\r\nhello\r\n0\r\n", 100, -EAGAIN, "hello", 0},
    };
    return cr_make_param_array(struct body, rows, ARRAY_SIZE(rows));
}

/* Feeds at most `step` bytes at a time; returns 0, -EAGAIN (more needed) or the error. */
static int run_body(const struct body *b, size_t step, char *out, size_t n_out, size_t *ret_left)
{
    size_t len = strlen(b->in), at = 0, used = 0;
    struct http1_body m;

    cr_assert_eq(http1_body_init(&m, HTTP1_BODY_CHUNKED, 0, b->limit), 0);
    out[0] = '\0';
    *ret_left = 0;
    while (at < len && !m.done) {
        size_t n = MIN(step, len - at);
        const char *p = guard(0, b->in + at, n);
        struct http1_span s;
        ssize_t r = http1_body_feed(&m, p, n, &s);

        if (r < 0)
            return (int)r;
        cr_assert_gt(r, 0);
        if (s.len > 0) {
            cr_assert_geq(s.data, p);
            cr_assert_leq(s.data + s.len, p + r);
            cr_assert_lt(used + s.len, n_out);
            memcpy(out + used, s.data, s.len);
            used += s.len;
            out[used] = '\0';
        }
        cr_assert_eq(m.total, used);
        at += (size_t)r;
    }
    *ret_left = len - at;
    if (m.done)
        cr_expect_eq(http1_body_eof(&m), 0);
    else
        cr_expect_eq(http1_body_eof(&m), -EBADMSG);
    return m.done ? 0 : -EAGAIN;
}

ParameterizedTest(struct body *b, http1, chunked)
{
    for (size_t step = 1; step <= strlen(b->in); step++) {
        char out[128];
        size_t left;
        int r = run_body(b, step, out, sizeof(out), &left);

        cr_expect_eq(r, b->r, "%s in steps of %zu: %d", b->in, step, r);
        cr_expect_str_eq(out, b->want, "%s in steps of %zu", b->in, step);
        if (r == 0)
            cr_expect_eq((int)left, b->left);
    }
}

Test(http1, body_length)
{
    struct http1_body b;
    struct http1_span s;

    cr_expect_eq(http1_body_init(&b, HTTP1_BODY_LENGTH, 11, 10), -EFBIG);
    cr_assert_eq(http1_body_init(&b, HTTP1_BODY_LENGTH, 5, 10), 0);
    cr_expect_eq(http1_body_feed(&b, "hel", 3, &s), 3);
    cr_expect_eq(http1_body_eof(&b), -EBADMSG);
    cr_expect_eq(http1_body_feed(&b, "loGET", 5, &s), 2);
    cr_expect_eq(s.len, 2);
    cr_expect(b.done);
    cr_expect_eq(http1_body_feed(&b, "GET", 3, &s), 0);
    cr_expect_eq(http1_body_eof(&b), 0);
}

Test(http1, body_none_and_close)
{
    struct http1_body b;
    struct http1_span s;

    cr_assert_eq(http1_body_init(&b, HTTP1_BODY_NONE, 0, 10), 0);
    cr_expect(b.done);
    cr_assert_eq(http1_body_init(&b, HTTP1_BODY_LENGTH, 0, 10), 0);
    cr_expect(b.done);
    cr_assert_eq(http1_body_init(&b, HTTP1_BODY_CLOSE, 0, 4), 0);
    cr_expect_eq(http1_body_feed(&b, "abc", 3, &s), 3);
    cr_expect_eq(http1_body_feed(&b, "de", 2, &s), -EFBIG);
    cr_expect_not(b.done);
    cr_expect_eq(http1_body_eof(&b), 0);
    cr_expect(b.done);
}

/* ---------------------------------------------------------------- writing */

Test(http1, write_requests)
{
    _cleanup_buf_ struct buf out = {0};
    struct http1_out_request r = {.method = HTTP1_POST, .target = "/v1.41/x?t=1"};

    cr_assert_eq(http1_write_request(&out, &r), 0);
    cr_expect_str_eq(out.data, "POST /v1.41/x?t=1 HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n");
    buf_reset(&out);
    r = (struct http1_out_request){.method = HTTP1_POST,
        .target = "/e",
        .framing = HTTP1_BODY_LENGTH,
        .content_length = 7,
        .content_type = "application/json",
        .upgrade = true};
    cr_assert_eq(http1_write_request(&out, &r), 0);
    cr_expect_str_eq(out.data, "POST /e HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
                               "Content-Length: 7\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
    buf_reset(&out);
    r = (struct http1_out_request){.method = HTTP1_GET, .target = "/e", .keep_alive = true};
    cr_assert_eq(http1_write_request(&out, &r), 0);
    cr_expect_str_eq(out.data, "GET /e HTTP/1.1\r\nHost: docker\r\n\r\n");
}

Test(http1, write_refuses_injection)
{
    static const char *const targets[] = {"x", "", "/a b", "/a\r\nX: y", "/\xc3\xa9", "/a#b"};
    _cleanup_buf_ struct buf out = {0};
    struct http1_out_request r = {.method = HTTP1_GET};
    struct http1_field f = {"X", "a\r\nY: b"};
    struct http1_out_response s = {.status = 200, .extra = &f, .n_extra = 1};

    cr_assert_eq(buf_adds(&out, "kept"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        r.target = targets[i];
        cr_expect_eq(http1_write_request(&out, &r), -EINVAL, "%s", targets[i]);
    }
    r.target = "/";
    r.content_type = "a\nb";
    cr_expect_eq(http1_write_request(&out, &r), -EINVAL);
    cr_expect_eq(http1_write_response(&out, &s), -EINVAL);
    f = (struct http1_field){"X: a", "b"};
    cr_expect_eq(http1_write_response(&out, &s), -EINVAL);
    cr_expect_eq(http1_write_chunk_head(&out, 0), -EINVAL);
    cr_expect_str_eq(out.data, "kept");
}

Test(http1, write_responses)
{
    _cleanup_buf_ struct buf out = {0};
    struct http1_field extra[] = {
        {"Server", "Docker/20.10 (linux)"}, {"Api-Version", "1.41"}, {"Ostype", "linux"}};
    struct http1_out_response r = {.status = 200,
        .framing = HTTP1_BODY_CHUNKED,
        .content_type = "application/json",
        .keep_alive = true,
        .extra = extra,
        .n_extra = 3};

    cr_assert_eq(http1_write_response(&out, &r), 0);
    cr_expect_str_eq(out.data,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        "Api-Version: 1.41\r\nOstype: linux\r\nServer: Docker/20.10 (linux)\r\n\r\n");
    buf_reset(&out);
    r = (struct http1_out_response){.status = 101, .content_type = "application/vnd.docker.raw-stream"};
    cr_assert_eq(http1_write_response(&out, &r), 0);
    cr_expect_str_eq(out.data, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                               "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
    buf_reset(&out);
    cr_assert_eq(http1_write_chunk_head(&out, 26), 0);
    cr_assert_eq(http1_write_chunk_tail(&out), 0);
    cr_assert_eq(http1_write_last_chunk(&out), 0);
    cr_expect_str_eq(out.data, "1a\r\n\r\n0\r\n\r\n");
}

Test(http1, write_messages)
{
    _cleanup_buf_ struct buf out = {0};

    cr_assert_eq(http1_write_message(&out, 404, "No such container: \"x\"", false, true, NULL, 0), 0);
    cr_expect_str_eq(out.data,
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 39\r\n"
        "\r\n{\"message\":\"No such container: \\\"x\\\"\"}\n");
    buf_reset(&out);
    cr_assert_eq(http1_write_message(&out, 400, "\xff\x01", true, false, NULL, 0), 0);
    cr_expect_str_eq(out.data,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 22\r\n"
        "Connection: close\r\n\r\n");
}

/* What we write, we read. */
Test(http1, writes_parse)
{
    _cleanup_http1_response_ struct http1_response res = {0};
    _cleanup_http1_request_ struct http1_request req = {0};
    _cleanup_buf_ struct buf out = {0};
    struct http1_error e = {0};
    struct http1_out_request r = {.method = HTTP1_PUT, .target = "/a/b?c=d", .framing = HTTP1_BODY_CHUNKED};

    cr_assert_eq(http1_write_request(&out, &r), 0);
    cr_expect_eq(http1_parse_request(&req, out.data, out.len, &e), (ssize_t)out.len);
    cr_expect_eq(req.framing, HTTP1_BODY_CHUNKED);
    cr_expect_not(req.keep_alive);
    buf_reset(&out);
    cr_assert_eq(http1_write_message(&out, 503, "x", true, false, NULL, 0), 0);
    cr_expect_eq(http1_parse_response(&res, HTTP1_HEAD, out.data, out.len, &e), (ssize_t)out.len);
    cr_expect_eq(res.content_length, 16);
}
