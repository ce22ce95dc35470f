/* test_checks.c: each kind of probe against a server of this test: what is ok, what is a failure, and what is
 * our own fault and so unknown. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "checks/check.h"

struct got {
    unsigned calls;
    struct check_sample sample;
    struct check **free_inside; /* freed from inside the callback */
};

static sd_event *loop;
static struct check_http_pool *pool;
static pid_t server;
static int listener = -EBADF;
static uint16_t port;
static char unix_path[64];

static void setup(void)
{
    cr_assert_geq(sd_event_new(&loop), 0);
    cr_assert_eq(check_http_pool_new(loop, &pool), 0);
    snprintf(unix_path, sizeof(unix_path), "/tmp/clawsup-check-%d.sock", getpid());
}

static void teardown(void)
{
    pool = check_http_pool_free(pool);
    loop = sd_event_unref(loop);
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    fd_close(listener);
    unlink(unix_path);
}

static void listen_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(listener, 16), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    port = ntohs(a.sin_port);
}

static void listen_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", unix_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(listener, 16), 0);
}

/* A child that reads a request, writes `answer` and closes; an empty answer leaves the client waiting. */
static void serve(const char *answer)
{
    server = fork();
    if (server != 0)
        return;
    for (;;) {
        char request[4096];
        int c = accept(listener, NULL, NULL);

        if (c < 0 || read(c, request, sizeof(request)) <= 0)
            _exit(1);
        if (!*answer)
            for (;;)
                pause();
        (void)!write(c, answer, strlen(answer));
        close(c);
    }
}

static void on_sample(const struct check_sample *s, void *userdata)
{
    struct got *g = userdata;

    g->calls++;
    g->sample = *s;
    if (g->free_inside)
        *g->free_inside = check_free(*g->free_inside);
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static void run_for(uint64_t us)
{
    for (uint64_t end = now_us() + us; now_us() < end;)
        cr_assert_geq(sd_event_run(loop, us / 4), 0);
}

static void wait_for(struct got *g)
{
    uint64_t end = now_us() + 8 * USEC_PER_SEC;

    while (g->calls == 0) {
        cr_assert_lt(now_us(), end, "no sample came");
        cr_assert_geq(sd_event_run(loop, USEC_PER_SEC / 10), 0);
    }
    cr_expect_eq(g->calls, 1);
}

static struct check_http_spec spec_of(char *url, size_t n, const char *path)
{
    snprintf(url, n, "http://127.0.0.1:%u%s", port, path);
    return (struct check_http_spec){.url = url, .timeout_us = USEC_PER_SEC};
}

/* ---------------------------------------------------------------- http */

struct row {
    char answer[160];
    char field[16], value[16]; /* "" = none */
    unsigned min, max;
    enum check_result want;
    char detail[64];
};

#define OK_JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

ParameterizedTestParameters(checks, http)
{
    static struct row rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", "", 0, 0, CHECK_OK, "HTTP 200"},
        {"HTTP/1.1 204 No\r\n\r\n", "", "", 0, 0, CHECK_OK, "HTTP 204"},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "", "", 0, 0, CHECK_FAIL, "HTTP 503"},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "", "", 500, 599, CHECK_OK, "HTTP 503"},
        {"HTTP/1.1 201 No\r\nContent-Length: 0\r\n\r\n", "", "", 200, 0, CHECK_FAIL, "HTTP 201"},
        {"HTTP/1.1 302 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "", "", 0, 0, CHECK_FAIL,
            "HTTP 302"},
        {OK_JSON "{\"ok\":true}", "ok", "true", 0, 0, CHECK_OK, "HTTP 200"},
        {OK_JSON "{\"ok\":false}", "ok", "true", 0, 0, CHECK_FAIL, "field ok is false"},
        {OK_JSON "{\"ok\":\"true\"}", "ok", "true", 0, 0, CHECK_FAIL, "field ok is \"true\""},
        {OK_JSON "{\"status\":\"live\"}", "status", "\"live\"", 0, 0, CHECK_OK, ""},
        {OK_JSON "{\"n\":1}", "n", "1", 0, 0, CHECK_OK, ""},
        {OK_JSON "{}", "ok", "true", 0, 0, CHECK_FAIL, "field ok is missing"},
        {OK_JSON "{\"ok\":true,\"OK\":false}", "ok", "true", 0, 0, CHECK_FAIL, "not JSON"},
        {OK_JSON "{\"ok\":tr", "ok", "true", 0, 0, CHECK_FAIL, "not JSON"},
        {OK_JSON "[true]", "ok", "true", 0, 0, CHECK_FAIL, "missing"},
        {"HTTP/1.1 500 No\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", "ok", "true", 0, 0, CHECK_FAIL,
            "HTTP 500"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", "", "", 0, 0, CHECK_FAIL, "closed"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "", "", 0, 0, CHECK_FAIL, ""},
        {"", "", "", 0, 0, CHECK_FAIL, "in time"},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *r, checks, http, .init = setup, .fini = teardown)
{
    struct got g = {};
    char url[64];

    listen_tcp();
    serve(r->answer);
    struct check_http_spec spec = spec_of(url, sizeof(url), "/healthz");
    spec.status_min = r->min;
    spec.status_max = r->max;
    spec.json_field = *r->field ? r->field : NULL;
    spec.json_value = *r->value ? r->value : NULL;
    spec.timeout_us = USEC_PER_SEC / 2;
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, r->want, "%s: %s", r->answer, g.sample.detail);
    cr_expect(strstr(g.sample.detail, r->detail), "%s: %s", r->answer, g.sample.detail);
    cr_expect_gt(g.sample.started_us, 0);
    cr_expect_lt(g.sample.duration_us, 2 * USEC_PER_SEC);
}

Test(checks, http_over_a_unix_socket, .init = setup, .fini = teardown)
{
    struct check_http_spec spec = {
        .url = "http://proxy/_ping", .unix_socket = unix_path, .timeout_us = USEC_PER_SEC};
    struct got g = {}, missing = {};

    listen_unix();
    serve("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_OK, "%s", g.sample.detail);
    unlink(unix_path);
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &missing, NULL), 0);
    wait_for(&missing);
    cr_expect_eq(missing.sample.result, CHECK_FAIL);
    cr_expect(strstr(missing.sample.detail, "No such file"), "%s", missing.sample.detail);
}

Test(checks, http_reads_a_bounded_body, .init = setup, .fini = teardown)
{
    char *answer = malloc(200000), *p, url[64];
    struct got g = {};

    cr_assert_not_null(answer);
    p = stpcpy(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    memset(p, 'x', 100000);
    p[100000] = '\0';
    listen_tcp();
    serve(answer);
    free(answer);
    struct check_http_spec spec = spec_of(url, sizeof(url), "/");
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_FAIL);
    cr_expect(strstr(g.sample.detail, "larger than 65536"), "%s", g.sample.detail);
}

Test(checks, http_refused, .init = setup, .fini = teardown)
{
    struct got g = {};
    char url[64];

    listen_tcp();
    listener = fd_close(listener);
    struct check_http_spec spec = spec_of(url, sizeof(url), "/");
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_FAIL);
    cr_expect(strstr(g.sample.detail, "refused"), "%s", g.sample.detail);
}

Test(checks, http_ignores_the_environment, .init = setup, .fini = teardown)
{
    struct got g = {};
    char url[64];

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1);
    listen_tcp();
    serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct check_http_spec spec = spec_of(url, sizeof(url), "/");
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_OK, "%s", g.sample.detail);
}

Test(checks, http_specs_that_cannot_be, .init = setup, .fini = teardown)
{
    static const char *const urls[] = {"", "nonsense", "https://127.0.0.1/", "ftp://127.0.0.1/",
        "file:///etc/passwd", "http://gateway.example/", "http://gateway/", "http://"};
    struct check_http_spec spec = {.timeout_us = USEC_PER_SEC};
    struct got g = {};

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        spec.url = urls[i];
        cr_expect_eq(check_http_start(pool, &spec, on_sample, &g, NULL), -EINVAL, "%s", urls[i]);
    }
    spec.url = "http://127.0.0.1/";
    spec.json_field = "ok";
    cr_expect_eq(check_http_start(pool, &spec, on_sample, &g, NULL), -EINVAL, "a field without its value");
    spec.json_value = "tru";
    cr_expect_eq(check_http_start(pool, &spec, on_sample, &g, NULL), -EINVAL, "a value that is not JSON");
    spec.json_field = NULL;
    spec.status_min = 300;
    spec.status_max = 200;
    cr_expect_eq(check_http_start(pool, &spec, on_sample, &g, NULL), -EINVAL, "a range without members");
    spec.status_min = spec.status_max = 0;
    spec.timeout_us = 0;
    cr_expect_eq(check_http_start(pool, &spec, on_sample, &g, NULL), -EINVAL, "no deadline");
    cr_expect_eq(g.calls, 0);
}

Test(checks, http_cancelled, .init = setup, .fini = teardown)
{
    struct check *running = NULL, *self = NULL, *orphan = NULL;
    struct got never = {}, g = {.free_inside = &self};
    char url[64];

    listen_tcp();
    serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct check_http_spec spec = spec_of(url, sizeof(url), "/");
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &never, &running), 0);
    cr_expect_null(check_free(running));
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, &self), 0);
    wait_for(&g);
    cr_expect_null(self);
    /* The pool goes first: with a handle kept, and with none. */
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &never, &orphan), 0);
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &never, NULL), 0);
    pool = check_http_pool_free(pool);
    check_free(orphan);
    run_for(USEC_PER_SEC / 10);
    cr_expect_eq(never.calls, 0);
    cr_expect_null(check_free(NULL));
}

/* ---------------------------------------------------------------- tcp */

Test(checks, tcp_connects, .init = setup, .fini = teardown)
{
    struct got g = {};

    listen_tcp();
    cr_assert_eq(check_tcp_start(loop, "127.0.0.1", port, USEC_PER_SEC, on_sample, &g, NULL), 0);
    cr_expect_eq(g.calls, 0, "not from inside the start");
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_OK, "%s", g.sample.detail);
}

Test(checks, tcp_refused, .init = setup, .fini = teardown)
{
    struct got g = {};

    listen_tcp();
    listener = fd_close(listener);
    cr_assert_eq(check_tcp_start(loop, "127.0.0.1", port, USEC_PER_SEC, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_FAIL);
    cr_expect_str_eq(g.sample.detail, "connect: Connection refused");
}

/* A listener whose backlog is full drops the handshake. */
Test(checks, tcp_times_out, .init = setup, .fini = teardown)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct got g = {};
    int fill[8];

    listen_tcp();
    cr_assert_eq(listen(listener, 0), 0);
    a.sin_port = htons(port);
    for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
    }
    cr_assert_eq(check_tcp_start(loop, "127.0.0.1", port, USEC_PER_SEC / 5, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_FAIL);
    cr_expect_str_eq(g.sample.detail, "connect: no answer in time");
    for (size_t i = 0; i < ARRAY_SIZE(fill); i++)
        close(fill[i]);
}

Test(checks, tcp_arguments, .init = setup, .fini = teardown)
{
    struct check *c = NULL;
    struct got g = {};

    cr_expect_eq(check_tcp_start(loop, "localhost", 80, USEC_PER_SEC, on_sample, &g, NULL), -EINVAL);
    cr_expect_eq(check_tcp_start(loop, "127.0.0.1", 0, USEC_PER_SEC, on_sample, &g, NULL), -EINVAL);
    cr_expect_eq(check_tcp_start(loop, "", 80, USEC_PER_SEC, on_sample, &g, NULL), -EINVAL);
    listen_tcp();
    cr_assert_eq(check_tcp_start(loop, "127.0.0.1", port, USEC_PER_SEC, on_sample, &g, &c), 0);
    check_free(c);
    run_for(USEC_PER_SEC / 20);
    cr_expect_eq(g.calls, 0);
}

/* ---------------------------------------------------------------- pidfd */

static int start_child(int *ret_pidfd)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    cr_assert_geq(*ret_pidfd, 0);
    return pid;
}

Test(checks, pidfd_killed, .init = setup, .fini = teardown)
{
    struct got g = {};
    int pidfd, pid = start_child(&pidfd);

    cr_assert_eq(check_pidfd_start(loop, pidfd, on_sample, &g, NULL), 0);
    run_for(USEC_PER_SEC / 20);
    cr_expect_eq(g.calls, 0);
    kill(pid, SIGKILL);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_FAIL);
    cr_expect_str_eq(g.sample.detail, "killed by signal 9");
    cr_expect(waitpid(pid, NULL, 0) < 0 && errno == ECHILD, "it was not reaped");
    cr_expect_geq(fcntl(pidfd, F_GETFD), 0, "the pidfd is borrowed");
    close(pidfd);
}

struct relaunch {
    unsigned exits;
    int pidfd, pid;
};

static void on_exit_relaunch(const struct check_sample *s, void *userdata)
{
    struct relaunch *x = userdata;
    int old = x->pidfd;

    (void)s;
    if (++x->exits == 2)
        return;
    close(x->pidfd);
    x->pid = start_child(&x->pidfd);
    cr_assert_eq(x->pidfd, old, "the test wants the number again");
    cr_assert_eq(check_pidfd_start(loop, x->pidfd, on_exit_relaunch, x, NULL), 0);
}

/* What a supervisor does in its callback: close, start anew, watch the new one under the same number. */
Test(checks, pidfd_successor_is_watched, .init = setup, .fini = teardown)
{
    struct relaunch x = {};

    x.pid = start_child(&x.pidfd);
    cr_assert_eq(check_pidfd_start(loop, x.pidfd, on_exit_relaunch, &x, NULL), 0);
    kill(x.pid, SIGKILL);
    run_for(USEC_PER_SEC / 5);
    cr_assert_eq(x.exits, 1);
    kill(x.pid, SIGKILL);
    run_for(USEC_PER_SEC / 5);
    cr_expect_eq(x.exits, 2);
    close(x.pidfd);
}

Test(checks, pidfd_exited, .init = setup, .fini = teardown)
{
    struct got g = {};
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    cr_assert_eq(check_pidfd_start(loop, pidfd, on_sample, &g, NULL), 0);
    wait_for(&g);
    cr_expect_str_eq(g.sample.detail, "exited with status 7");
    close(pidfd);
}

Test(checks, pidfd_of_a_stranger, .init = setup, .fini = teardown)
{
    struct got g = {};
    int p[2], pid, child;

    /* A grandchild: its parent reaps it, we only see the end. */
    cr_assert_eq(pipe(p), 0);
    child = fork();
    if (child == 0) {
        pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        (void)!write(p[1], &pid, sizeof(pid));
        waitpid(pid, NULL, 0);
        _exit(0);
    }
    cr_assert_eq(read(p[0], &pid, sizeof(pid)), (ssize_t)sizeof(pid));
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    cr_assert_eq(check_pidfd_start(loop, pidfd, on_sample, &g, NULL), 0);
    kill(pid, SIGTERM);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_FAIL);
    cr_expect_str_eq(g.sample.detail, "exited");
    waitpid(child, NULL, 0);
    close(pidfd);
}

Test(checks, pidfd_cancelled, .init = setup, .fini = teardown)
{
    struct check *c = NULL;
    struct got g = {};
    int pidfd, pid = start_child(&pidfd);

    cr_assert_eq(check_pidfd_start(loop, pidfd, on_sample, &g, &c), 0);
    check_free(c);
    kill(pid, SIGKILL);
    run_for(USEC_PER_SEC / 10);
    cr_expect_eq(g.calls, 0);
    waitpid(pid, NULL, 0);
    close(pidfd);
    cr_expect_lt(check_pidfd_start(loop, pidfd, on_sample, &g, NULL), 0, "a closed pidfd");
}

/* ---------------------------------------------------------------- our own faults */

Test(checks, no_fd_is_unknown, .init = setup, .fini = teardown)
{
    struct rlimit none = {3, 4096}, some = {1024, 4096};
    struct got http = {}, tcp = {};
    char url[64];
    int r;

    listen_tcp();
    struct check_http_spec spec = spec_of(url, sizeof(url), "/");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &http, NULL), 0);
    r = check_tcp_start(loop, "127.0.0.1", port, USEC_PER_SEC, on_sample, &tcp, NULL);
    wait_for(&http);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &some), 0);
    cr_expect_eq(http.sample.result, CHECK_UNKNOWN, "%s", http.sample.detail);
    cr_expect_eq(r, -EMFILE);
    cr_expect_eq(tcp.calls, 0);
}

Test(checks, a_lagging_loop_is_unknown, .init = setup, .fini = teardown)
{
    struct got g = {};
    char url[64];

    listen_tcp();
    serve("");
    struct check_http_spec spec = spec_of(url, sizeof(url), "/");
    spec.timeout_us = USEC_PER_SEC / 10;
    cr_assert_eq(check_http_start(pool, &spec, on_sample, &g, NULL), 0);
    sd_event_run(loop, 0);
    usleep(900000);
    wait_for(&g);
    cr_expect_eq(g.sample.result, CHECK_UNKNOWN, "%s", g.sample.detail);
}
