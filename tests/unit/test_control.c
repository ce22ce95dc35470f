/* test_control.c: the control socket's server over socketpairs and a real listening socket: framing, bounds,
 * deferred answers, streams, clients that leave or do not read. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/fd.h"
#include "daemon/control.h"

struct fixture {
    sd_event *event;
    struct control *control;
    struct control_request *kept;
    int gone, calls;
};

static void on_gone(struct control_request *req, void *userdata)
{
    struct fixture *f = userdata;

    f->gone++;
    f->kept = NULL;
    control_end(req);
}

static int verb_echo(struct control_request *req, void *userdata)
{
    struct fixture *f = userdata;
    const char *tenant = "none";
    uint64_t n = 0;

    f->calls++;
    if (control_request_string(req, "tenant", &tenant) < 0)
        return control_error(req, CONTROL_USAGE, "tenant: not a string", NULL);
    if (control_request_u64(req, "n", 100, &n) < 0)
        return control_error(req, CONTROL_USAGE, "n: 0 to 100", "a number");
    return control_reply(req, json_pack("{s:s, s:I, s:i}", "tenant", tenant, "n", (json_int_t)n, "uid",
                                  (int)control_request_peer(req)->uid));
}

static int verb_keep(struct control_request *req, void *userdata)
{
    struct fixture *f = userdata;

    f->kept = req;
    control_request_on_gone(req, on_gone, f);
    return 0;
}

static int verb_fail(struct control_request *req, void *userdata)
{
    (void)req;
    (void)userdata;
    return -ENOSPC;
}

static int verb_stream(struct control_request *req, void *userdata)
{
    (void)verb_keep(req, userdata);
    return control_stream_begin(req, json_pack("{s:[]}", "events"));
}

static int verb_big(struct control_request *req, void *userdata)
{
    char *text = calloc(1, 600 * 1024);
    int r;

    (void)userdata;
    memset(text, 'x', 600 * 1024 - 1);
    r = control_reply(req, json_pack("{s:s}", "text", text));
    free(text);
    return r < 0 ? 0 : r;
}

static const struct control_verb verbs[] = {{"echo", verb_echo}, {"keep", verb_keep}, {"fail", verb_fail},
    {"stream", verb_stream}, {"big", verb_big}};

static void setup(struct fixture *f, int listen_fd)
{
    *f = (struct fixture){0};
    cr_assert_geq(sd_event_new(&f->event), 0);
    cr_assert_geq(control_server_new(f->event, listen_fd, verbs, ARRAY_SIZE(verbs), f, &f->control), 0);
}

static void teardown(struct fixture *f)
{
    f->control = control_server_free(f->control);
    sd_event_unref(f->event);
}

static int client(struct fixture *f)
{
    int sv[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
    cr_assert_eq(control_add_client(f->control, sv[1]), 0);
    return sv[0];
}

/* Runs the loop until nothing is ready. */
static void settle(struct fixture *f)
{
    for (int i = 0; i < 200 && sd_event_run(f->event, 1000) > 0; i++)
        ;
}

static void say(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What the client has got so far; "EOF" when the server closed without a byte. */
static const char *heard(struct fixture *f, int fd)
{
    static char text[4096];
    ssize_t n;

    settle(f);
    n = recv(fd, text, sizeof(text) - 1, 0);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return "EOF";
    text[MAX(n, 0)] = '\0';
    return text;
}

struct row {
    char in[80];
    char want[200];
};

ParameterizedTestParameters(control, answers)
{
    static struct row rows[] = {
        {"{\"v\":1,\"verb\":\"echo\",\"tenant\":\"a\",\"n\":7}\n", "\"tenant\":\"a\",\"n\":7"},
        {"{\"v\":1,\"verb\":\"echo\",\"tenant\":null}\n", "{\"v\":1,\"ok\":true,\"tenant\":\"none\",\"n\":0"},
        {"{\"v\":1,\"verb\":\"echo\",\"tenant\":5}\n",
            "\"code\":\"usage\",\"error\":\"tenant: not a string\"}"},
        {"{\"v\":1,\"verb\":\"echo\",\"n\":101}\n", "\"error\":\"n: 0 to 100\",\"hint\":\"a number\""},
        {"{\"v\":1,\"verb\":\"echo\",\"n\":-1}\n", "\"error\":\"n: 0 to 100\""},
        {"{\"v\":1,\"verb\":\"ecko\"}\n", "\"hint\":\"did you mean \\\"echo\\\"?\""},
        {"{\"v\":1,\"verb\":\"frobnicate\"}\n", "\"hint\":\"verbs: echo, keep, fail, stream, big\""},
        {"{\"v\":2,\"verb\":\"echo\"}\n", "this clawsupd speaks"},
        {"{\"verb\":\"echo\"}\n", "protocol version"}, {"{\"v\":1}\n", "\"error\":\"no verb\""},
        {"[1]\n", "\"code\":\"usage\""}, {"{\"v\":1,\"verb\":7}\n", "\"error\":\"no verb\""},
        {"nonsense\n", "\"code\":\"usage\""}, {"\n", "\"code\":\"usage\""},
        {"{\"v\":1,\"verb\":\"fail\"}\n", "\"code\":\"internal\""}};
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *v, control, answers)
{
    struct fixture f;
    const char *got;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, v->in);
    got = heard(&f, fd);
    cr_expect_not_null(strstr(got, v->want), "%s gave %s", v->in, got);
    cr_expect_eq(got[MAX(strlen(got), 1) - 1], '\n');
    teardown(&f);
    close(fd);
}

Test(control, a_request_may_come_in_pieces_and_several_are_answered_in_order)
{
    static const char text[] = "{\"v\":1,\"verb\":\"echo\",\"n\":1}\n{\"v\":1,\"verb\":\"echo\",\"n\":2}\n"
                               "{\"v\":1,\"verb\":\"echo\",\"n\":3}\n";
    struct fixture f;
    const char *got, *one, *two, *three;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    for (size_t i = 0; i < 40; i++) {
        cr_assert_eq(send(fd, text + i, 1, 0), 1);
        settle(&f);
    }
    say(fd, text + 40);
    shutdown(fd, SHUT_WR);
    got = heard(&f, fd);
    one = strstr(got, "\"n\":1");
    two = strstr(got, "\"n\":2");
    three = strstr(got, "\"n\":3");
    cr_assert(one && two && three && one < two && two < three, "%s", got);
    cr_expect_eq(f.calls, 3);
    cr_expect_str_eq(heard(&f, fd), "EOF", "a half-closed client is closed once it has its answers");
    cr_expect_eq(control_clients(f.control), 0);
    teardown(&f);
    close(fd);
}

Test(control, a_request_that_is_too_long_is_refused)
{
    char chunk[4096];
    struct fixture f;
    size_t sent = 0;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    memset(chunk, ' ', sizeof(chunk));
    while (sent < CONTROL_REQUEST_MAX + 8192) {
        ssize_t n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

        if (n < 0)
            break;
        sent += (size_t)n;
        settle(&f);
    }
    cr_expect_not_null(strstr(heard(&f, fd), "request too long"));
    cr_expect_eq(control_clients(f.control), 0);
    teardown(&f);
    close(fd);
}

Test(control, an_answer_may_come_later)
{
    struct fixture f;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"keep\"}\n{\"v\":1,\"verb\":\"echo\"}\n");
    cr_expect_str_eq(heard(&f, fd), "");
    cr_assert_not_null(f.kept);
    cr_expect_eq(f.calls, 0, "the second request waits for the first");
    cr_expect_eq(control_reply(f.kept, json_pack("{s:s}", "text", "done")), 0);
    f.kept = NULL;
    cr_expect_not_null(strstr(heard(&f, fd), "done"));
    settle(&f);
    cr_expect_eq(f.calls, 1);
    teardown(&f);
    close(fd);
}

Test(control, a_client_that_leaves_is_noticed_while_its_answer_is_pending)
{
    struct fixture f;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"keep\"}\n");
    settle(&f);
    cr_assert_not_null(f.kept);
    close(fd);
    settle(&f);
    cr_expect_eq(f.gone, 1);
    cr_expect_eq(control_clients(f.control), 0);
    teardown(&f);
}

Test(control, a_kept_request_outlives_the_server)
{
    struct control_request *kept;
    struct fixture f;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"keep\"}\n");
    settle(&f);
    kept = f.kept;
    control_request_on_gone(kept, NULL, NULL);
    f.control = control_server_free(f.control);
    cr_expect_not(control_request_alive(kept));
    cr_expect_eq(control_reply(kept, NULL), -EPIPE);
    teardown(&f);
    close(fd);
}

Test(control, a_stream_goes_on_until_it_is_ended)
{
    struct fixture f;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"stream\"}\n");
    cr_expect_str_eq(heard(&f, fd), "{\"v\":1,\"ok\":true,\"events\":[]}\n");
    cr_expect_eq(control_stream(f.kept, json_pack("{s:i}", "event", 1)), 0);
    cr_expect_eq(control_stream(f.kept, json_pack("{s:i}", "event", 2)), 0);
    cr_expect_str_eq(heard(&f, fd), "{\"v\":1,\"event\":1}\n{\"v\":1,\"event\":2}\n");
    control_end(f.kept);
    f.kept = NULL;
    say(fd, "{\"v\":1,\"verb\":\"echo\"}\n");
    cr_expect_not_null(strstr(heard(&f, fd), "none"), "the connection can be used again");
    teardown(&f);
    close(fd);
}

Test(control, a_stream_whose_client_does_not_read_is_dropped)
{
    char text[1024];
    struct fixture f;
    int fd, r = 0;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"stream\"}\n");
    settle(&f);
    for (int i = 0; i < 4096 && r >= 0; i++)
        r = control_stream(f.kept, json_pack("{s:s}", "event", text));
    cr_expect_eq(r, -EPIPE);
    cr_expect_eq(f.gone, 0, "not from inside control_stream()");
    settle(&f);
    cr_expect_eq(f.gone, 1);
    cr_expect_eq(control_clients(f.control), 0);
    teardown(&f);
    close(fd);
}

Test(control, a_long_answer_is_written_as_the_client_reads)
{
    struct fixture f;
    size_t got = 0;
    char b[8192];
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"big\"}\n");
    for (int i = 0; i < 4000; i++) {
        ssize_t n;

        settle(&f);
        n = recv(fd, b, sizeof(b), 0);
        if (n <= 0)
            break;
        got += (size_t)n;
        if (b[n - 1] == '\n')
            break;
    }
    cr_expect_gt(got, 600 * 1024);
    teardown(&f);
    close(fd);
}

Test(control, a_silent_client_is_closed)
{
    struct fixture f;
    uint64_t t0, t1;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,");
    settle(&f);
    cr_assert_eq(control_clients(f.control), 1);
    cr_assert_geq(sd_event_now(f.event, CLOCK_MONOTONIC, &t0), 0);
    while (control_clients(f.control) > 0)
        cr_assert_gt(sd_event_run(f.event, 2 * CONTROL_IDLE_US), 0);
    cr_assert_geq(sd_event_now(f.event, CLOCK_MONOTONIC, &t1), 0);
    cr_expect_geq(t1 - t0, CONTROL_IDLE_US / 2);
    teardown(&f);
    close(fd);
}

Test(control, too_many_clients_are_told_so)
{
    int fds[CONTROL_CLIENTS_MAX], sv[2];
    struct fixture f;

    setup(&f, -1);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = client(&f);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
    cr_expect_eq(control_add_client(f.control, sv[1]), -EBUSY);
    cr_expect_not_null(strstr(heard(&f, sv[0]), "\"code\":\"busy\""));
    close(fds[0]);
    settle(&f);
    fds[0] = client(&f);
    say(fds[0], "{\"v\":1,\"verb\":\"echo\"}\n");
    cr_expect_not_null(strstr(heard(&f, fds[0]), "none"));
    teardown(&f);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
    close(sv[0]);
}

Test(control, accepts_on_a_listening_socket_and_knows_the_peer)
{
    char dir[] = "/tmp/control-XXXXXX", path[64], want[64];
    struct fixture f;
    int listen_fd, fd;

    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    listen_fd = fd_listen_unix(path, SOCK_STREAM, 0600, (uid_t)-1, (gid_t)-1, NULL);
    cr_assert_geq(listen_fd, 0);
    setup(&f, listen_fd);
    fd = fd_connect_unix(path, SOCK_STREAM);
    cr_assert_geq(fd, 0);
    say(fd, "{\"v\":1,\"verb\":\"echo\"}\n");
    (void)snprintf(want, sizeof(want), "\"uid\":%u}", (unsigned)getuid());
    cr_expect_not_null(strstr(heard(&f, fd), want));
    teardown(&f);
    close(fd);
    close(listen_fd);
    unlink(path);
    rmdir(dir);
}

Test(control, text_that_is_no_utf8_still_gives_an_error_line)
{
    struct fixture f;
    int fd;

    setup(&f, -1);
    fd = client(&f);
    say(fd, "{\"v\":1,\"verb\":\"keep\"}\n");
    settle(&f);
    control_error(f.kept, CONTROL_REFUSED, "caf\xe9", "\xff");
    cr_expect_str_eq(
        heard(&f, fd), "{\"v\":1,\"ok\":false,\"code\":\"refused\",\"error\":\"caf?\",\"hint\":\"?\"}\n");
    teardown(&f);
    close(fd);
}
