/* test_engine.c: the engine client against a fake engine that fails on command: versions, faults, deadlines,
 * cancelling and freeing at bad moments, the event stream. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <fcntl.h>
#include <sys/resource.h>

#include "base/json.h"
#include "engine/engine.h"
#include "engine/version.h"
#include "tests/support/fake_engine.h"

struct got {
    unsigned calls;
    enum engine_result result;
    long status;
    char message[300];
    json_t *body; /* owned */
    uint64_t elapsed_us;
    struct engine_call *cancel; /* cancelled from inside the callback */
    bool free_engine;           /* freed from inside the callback */
};

static struct fake fake;
static sd_event *loop;
static struct engine *engine;
static struct got got;

static void setup_bare(void)
{
    memset(&got, 0, sizeof(got));
    fake_prepare(&fake);
    cr_assert_geq(sd_event_new(&loop), 0);
    cr_assert_eq(engine_new(loop, fake.socket, &engine), 0);
}

static void setup(void)
{
    setup_bare();
    fake_start(&fake, "1.52", "1.44");
}

static void teardown(void)
{
    json_decref(got.body);
    engine = engine_free(engine);
    loop = sd_event_unref(loop);
    fake_end(&fake);
}

static void on_answer(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct got *g = userdata;

    g->calls++;
    g->result = a->result;
    g->status = a->status;
    g->elapsed_us = a->elapsed_us;
    snprintf(g->message, sizeof(g->message), "%s", a->message);
    json_decref(g->body);
    g->body = a->body ? json_incref(a->body) : NULL;
    engine_call_cancel(g->cancel);
    if (g->free_engine) {
        cr_expect_eq(e, engine);
        engine = engine_free(e);
    }
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

/* Runs the loop for so long. */
static void run_for(uint64_t us)
{
    uint64_t end = now_us() + us;

    while (now_us() < end)
        cr_assert_geq(sd_event_run(loop, MIN(end - MIN(end, now_us()), us)), 0);
}

/* Runs the loop until *counter reaches `n`; fails after ten seconds. */
static void run_until(const unsigned *counter, unsigned n)
{
    uint64_t end = now_us() + 10 * USEC_PER_SEC;

    while (*(const volatile unsigned *)counter < n) {
        cr_assert_lt(now_us(), end, "nothing came for ten seconds");
        cr_assert_geq(sd_event_run(loop, USEC_PER_SEC / 10), 0);
    }
}

static void get(const char *path, uint64_t timeout_us)
{
    unsigned before = got.calls;

    cr_assert_eq(engine_request(engine, "GET", path, NULL, timeout_us, on_answer, &got, NULL), 0);
    run_until(&got.calls, before + 1);
}

static int open_fds(void)
{
    int n = 0;

    for (int fd = 3; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---------------------------------------------------------------- versions */

struct range {
    char api[8], min[8], want[8];
    enum engine_result result;
    char text[64];
};

ParameterizedTestParameters(engine, version)
{
    static struct range rows[] = {
        {"1.41", "1.12", "1.41", ENGINE_OK, ""},
        {"1.44", "1.24", "1.44", ENGINE_OK, ""},
        {"1.52", "1.52", "1.52", ENGINE_OK, ""},
        {"1.60", "1.44", "1.52", ENGINE_OK, ""},
        {"1.60", "1.52", "1.52", ENGINE_OK, ""},
        {"1.60", "1.53", "", ENGINE_INCOMPATIBLE, "speaks API 1.53 at least"},
        {"1.40", "1.12", "", ENGINE_INCOMPATIBLE, "speaks API 1.40 at most"},
        {"2.0", "1.9", "1.52", ENGINE_OK, ""},
    };
    return cr_make_param_array(struct range, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct range *r, engine, version, .init = setup_bare, .fini = teardown)
{
    char used[64];

    fake_start(&fake, r->api, r->min);
    cr_expect_str_eq(engine_api_version(engine), "");
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, r->result, "%s: %s", r->api, got.message);
    cr_expect_str_eq(engine_api_version(engine), r->want);
    cr_expect(strstr(got.message, r->text), "%s", got.message);
    if (r->result != ENGINE_OK)
        return;
    cr_expect_eq(got.status, 200);
    cr_expect_str_eq(engine_server_version(engine), "29.0.0");
    snprintf(used, sizeof(used), "GET /v%s/info", r->want);
    cr_expect(strstr(fake_admin(&fake, "GET", "requests", ""), used), "%s was not asked", used);
}

Test(engine, version_text_is_read_strictly)
{
    static const char *const bad[] = {
        "", "1", "1.", ".41", "1.4x", " 1.41", "1.41.0", "-1.41", "1.999999999"};
    unsigned a = 7, b = 7;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_eq(version_parse(bad[i], &a, &b), -EINVAL, "%s", bad[i]);
    cr_expect(a == 7 && b == 7);
    cr_expect_eq(version_parse("1.9", &a, &b), 0);
    cr_expect(a == 1 && b == 9);
}

Test(engine, version_is_asked_once_for_many_calls, .init = setup, .fini = teardown)
{
    const char *seen, *p;

    for (int i = 0; i < 20; i++)
        cr_assert_eq(
            engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC * 5, on_answer, &got, NULL), 0);
    run_until(&got.calls, 20);
    cr_expect_eq(got.result, ENGINE_OK);
    seen = fake_admin(&fake, "GET", "requests", "");
    p = strstr(seen, "GET /version");
    cr_assert_not_null(p);
    cr_expect_null(strstr(p + 1, "GET /version"), "asked twice");
}

Test(engine, version_of_an_engine_that_changed_is_asked_again, .init = setup, .fini = teardown)
{
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_str_eq(engine_api_version(engine), "1.52");
    /* A downgrade that no call noticed: the first one is refused for its version and repeated. */
    fake_admin(&fake, "POST", "set", "{\"api\":\"1.45\",\"server\":\"26.1.0\"}");
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OK, "%s", got.message);
    cr_expect_eq(got.status, 200);
    cr_expect_str_eq(engine_api_version(engine), "1.45");
    cr_expect_str_eq(engine_server_version(engine), "26.1.0");
    /* An engine that goes on complaining gets one repetition, not a loop. */
    fake_admin(&fake, "POST", "rules",
        "[{\"path\":\"^/info\",\"fault\":\"status\",\"status\":400,"
        "\"message\":\"client version 1.45 is too new. Maximum supported API version is 1.44\"}]");
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OK);
    cr_expect_eq(got.status, 400);
    cr_expect_eq(got.calls, 3);
}

Test(engine, version_answer_that_is_none, .init = setup, .fini = teardown)
{
    fake_admin(&fake, "POST", "rules",
        "[{\"path\":\"/version\",\"fault\":\"status\",\"status\":503,\"times\":1},"
        "{\"path\":\"/version\",\"fault\":\"body\",\"text\":\"{\\\"Hello\\\":1}\",\"times\":1},"
        "{\"path\":\"/version\",\"fault\":\"body\",\"text\":\"[\",\"times\":1},"
        "{\"path\":\"/version\",\"fault\":\"close\",\"times\":1}]");
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_HTTP_ERROR, "%s", got.message);
    cr_expect_eq(got.status, 503);
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_HTTP_ERROR, "%s", got.message);
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_HTTP_ERROR, "%s", got.message);
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_UNREACHABLE, "%s", got.message);
    get("/info", 5 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OK, "%s", got.message);
}

/* ---------------------------------------------------------------- faults */

struct fault {
    char rule[160];
    enum engine_result result;
    long status;
    char text[48];
};

ParameterizedTestParameters(engine, fault)
{
    static struct fault rows[] = {
        {"\"fault\":\"status\",\"status\":500,\"message\":\"disk on fire\"", ENGINE_HTTP_ERROR, 500,
            "disk on fire"},
        {"\"fault\":\"status\",\"status\":404,\"message\":\"not here\"", ENGINE_OK, 404, "not here"},
        {"\"fault\":\"cut\",\"bytes\":0", ENGINE_UNREACHABLE, 0, "Empty reply"},
        {"\"fault\":\"cut\",\"bytes\":20", ENGINE_UNREACHABLE, 0, ""},
        {"\"fault\":\"cut\",\"bytes\":160", ENGINE_UNREACHABLE, 0, "transfer closed"},
        {"\"fault\":\"close\"", ENGINE_UNREACHABLE, 0, "Empty reply"},
        {"\"fault\":\"garbage\",\"text\":\"hello there\"", ENGINE_UNREACHABLE, 0, ""},
        {"\"fault\":\"stall\"", ENGINE_TIMEOUT, 0, "in time"},
        {"\"fault\":\"body\",\"text\":\"{\\\"a\\\":\"", ENGINE_HTTP_ERROR, 200, "JSON line 1"},
        {"\"fault\":\"body\",\"text\":\"plain\",\"type\":\"text/plain\"", ENGINE_OK, 200, ""},
    };
    return cr_make_param_array(struct fault, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct fault *f, engine, fault, .init = setup, .fini = teardown)
{
    char rules[300];

    snprintf(rules, sizeof(rules), "[{\"path\":\"^/info\",%s}]", f->rule);
    fake_admin(&fake, "POST", "rules", rules);
    get("/info", USEC_PER_SEC / 2);
    cr_expect_eq(got.result, f->result, "%s: %d %s", f->rule, got.result, got.message);
    cr_expect_eq(got.status, f->status, "%s", f->rule);
    cr_expect(strstr(got.message, f->text), "%s: %s", f->rule, got.message);
    if (f->result == ENGINE_TIMEOUT)
        cr_expect(got.elapsed_us >= USEC_PER_SEC / 2 && got.elapsed_us < 2 * USEC_PER_SEC, "%llu",
            (unsigned long long)got.elapsed_us);
    if (f->result == ENGINE_UNREACHABLE)
        cr_expect_str_eq(engine_api_version(engine), "", "the version outlived the connection");
}

Test(engine, deadline_counts_while_the_version_is_awaited, .init = setup, .fini = teardown)
{
    fake_admin(&fake, "POST", "rules", "[{\"path\":\"/version\",\"fault\":\"stall\",\"times\":1}]");
    get("/info", USEC_PER_SEC / 4);
    cr_expect_eq(got.result, ENGINE_TIMEOUT, "%s", got.message);
    cr_expect_lt(got.elapsed_us, USEC_PER_SEC);
}

Test(engine, a_lagging_loop_is_our_own_fault, .init = setup, .fini = teardown)
{
    fake_admin(&fake, "POST", "rules", "[{\"path\":\"/_ping\",\"fault\":\"stall\"}]");
    cr_assert_eq(engine_ping(engine, USEC_PER_SEC / 10, on_answer, &got, NULL), 0);
    sd_event_run(loop, 0);
    usleep(900000);
    run_until(&got.calls, 1);
    cr_expect_eq(got.result, ENGINE_OWN_FAULT, "%s", got.message);
}

Test(engine, an_answer_that_came_while_the_loop_lagged_counts, .init = setup, .fini = teardown)
{
    cr_assert_eq(engine_ping(engine, USEC_PER_SEC / 2, on_answer, &got, NULL), 0);
    for (int i = 0; i < 5; i++) /* until it is sent */
        sd_event_run(loop, 1000);
    usleep(800000);
    run_until(&got.calls, 1);
    cr_expect_eq(got.result, ENGINE_OK, "%s", got.message);
}

Test(engine, an_answer_above_the_limit, .init = setup, .fini = teardown)
{
    size_t n = 17 * 1024 * 1024;
    char *rules = malloc(n + 200);

    cr_assert_not_null(rules);
    char *p = stpcpy(rules, "[{\"path\":\"^/info\",\"fault\":\"body\",\"text\":\"");
    memset(p, 'x', n);
    strcpy(p + n, "\"}]");
    fake_admin(&fake, "POST", "rules", rules);
    free(rules);
    get("/info", 9 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OWN_FAULT, "%s", got.message);
    cr_expect(strstr(got.message, "larger than"), "%s", got.message);
}

Test(engine, labels_that_differ_in_case_do_not_hide_a_container, .init = setup, .fini = teardown)
{
    fake_admin(&fake, "POST", "rules",
        "[{\"path\":\"/"
        "json\",\"fault\":\"body\",\"text\":\"[{\\\"Labels\\\":{\\\"Foo\\\":\\\"1\\\",\\\"foo\\\":"
        "\\\"2\\\"}}]\"}]");
    get("/containers/json", USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OK, "%s", got.message);
    cr_expect_eq(json_array_size(got.body), 1);
}

Test(engine, nesting_is_bounded, .init = setup, .fini = teardown)
{
    char rules[700] = "[{\"path\":\"^/info\",\"fault\":\"body\",\"text\":\"";
    size_t n = strlen(rules);

    memset(rules + n, '[', 200);
    strcpy(rules + n + 200, "\"}]");
    fake_admin(&fake, "POST", "rules", rules);
    get("/info", USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_HTTP_ERROR);
    cr_expect(strstr(got.message, "deep"), "%s", got.message);
}

Test(engine, socket_missing_then_there, .init = setup_bare, .fini = teardown)
{
    get("/info", 2 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_UNREACHABLE);
    cr_expect(strstr(got.message, "No such file"), "%s", got.message);
    cr_expect(strstr(got.message, fake.socket), "%s", got.message);
    cr_assert_eq(engine_ping(engine, USEC_PER_SEC, on_answer, &got, NULL), 0);
    run_until(&got.calls, 2);
    cr_expect_eq(got.result, ENGINE_UNREACHABLE);
    fake_start(&fake, "1.52", "1.44");
    get("/info", 2 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OK, "%s", got.message);
    /* A stale socket file: nobody listens. */
    kill(fake.pid, SIGKILL);
    waitpid(fake.pid, NULL, 0);
    fake.pid = 0;
    get("/info", 2 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_UNREACHABLE);
    cr_expect(strstr(got.message, "refused"), "%s", got.message);
    cr_expect_str_eq(engine_api_version(engine), "");
}

Test(engine, no_fd_is_our_own_fault, .init = setup, .fini = teardown)
{
    struct rlimit none = {3, 4096}, some = {1024, 4096};

    get("/info", 2 * USEC_PER_SEC);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    get("/info", 2 * USEC_PER_SEC);
    enum engine_result known = got.result;
    cr_assert_eq(engine_ping(engine, USEC_PER_SEC, on_answer, &got, NULL), 0);
    run_until(&got.calls, 3);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &some), 0);
    cr_expect_eq(known, ENGINE_OWN_FAULT);
    cr_expect_eq(got.result, ENGINE_OWN_FAULT);
    cr_expect(strstr(got.message, "Too many open files"), "%s", got.message);
    get("/info", 2 * USEC_PER_SEC);
    cr_expect_eq(got.result, ENGINE_OK, "%s", got.message);
}

Test(engine, arguments_that_cannot_be_sent, .init = setup, .fini = teardown)
{
    static const char *const bad[] = {"info", "", "/a b", "/a\nHost: x", "/a#b", "/\xc3\xa4"};
    char text[200] = "/";
    struct engine *other = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_eq(
            engine_request(engine, "GET", bad[i], NULL, 1, on_answer, &got, NULL), -EINVAL, "%s", bad[i]);
    cr_expect_eq(engine_request(engine, "GET", "/info", NULL, 0, on_answer, &got, NULL), -EINVAL);
    memset(text + 1, 'x', 150);
    cr_expect_eq(engine_new(loop, text, &other), -ENAMETOOLONG);
    cr_expect_eq(engine_new(loop, "docker.sock", &other), -EINVAL);
    cr_expect_null(other);
    cr_expect_eq(got.calls, 0);
}

Test(engine, escape)
{
    _cleanup_free_ char *plain = engine_escape("Az09-._~"), *odd = engine_escape("a/b c%\xc3\xa9?&=:");

    cr_expect_str_eq(plain, "Az09-._~");
    cr_expect_str_eq(odd, "a%2Fb%20c%25%C3%A9%3F%26%3D%3A");
}

/* ---------------------------------------------------------------- cancelling and freeing */

Test(engine, cancel_before_and_while_it_runs, .init = setup, .fini = teardown)
{
    struct engine_call *waiting = NULL, *running = NULL;

    cr_assert_eq(engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &got, &waiting), 0);
    engine_call_cancel(waiting);
    get("/info", USEC_PER_SEC);
    fake_admin(&fake, "POST", "rules", "[{\"path\":\"^/info\",\"fault\":\"stall\"}]");
    cr_assert_eq(
        engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC / 5, on_answer, &got, &running), 0);
    run_for(USEC_PER_SEC / 10);
    engine_call_cancel(running);
    engine_call_cancel(NULL);
    run_for(USEC_PER_SEC / 4);
    cr_expect_eq(got.calls, 1);
}

Test(engine, cancel_of_another_and_of_itself_inside_a_callback, .init = setup, .fini = teardown)
{
    struct got self = {}, killer = {}, victim = {};

    fake_admin(&fake, "POST", "rules", "[{\"path\":\"^/containers/json\",\"fault\":\"stall\"}]");
    cr_assert_eq(engine_request(engine, "GET", "/containers/json", NULL, USEC_PER_SEC, on_answer, &victim,
                     &killer.cancel),
        0);
    cr_assert_eq(engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &killer, NULL), 0);
    cr_assert_eq(
        engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &self, &self.cancel), 0);
    run_until(&killer.calls, 1);
    run_until(&self.calls, 1);
    killer.cancel = NULL;
    run_for(USEC_PER_SEC * 6 / 5);
    cr_expect_eq(victim.calls, 0);
    cr_expect_eq(self.calls, 1);
    json_decref(self.body);
    json_decref(killer.body);
}

Test(engine, cancel_of_a_waiting_call_while_the_waiting_are_failed, .init = setup_bare, .fini = teardown)
{
    struct got first = {}, second = {}, third = {};

    cr_assert_eq(engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &first, NULL), 0);
    cr_assert_eq(
        engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &second, &first.cancel), 0);
    cr_assert_eq(engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &third, NULL), 0);
    run_until(&third.calls, 1);
    cr_expect_eq(first.calls, 1);
    cr_expect_eq(second.calls, 0);
    cr_expect_eq(third.result, ENGINE_UNREACHABLE);
}

Test(engine, free_with_calls_in_flight, .init = setup, .fini = teardown)
{
    int before = open_fds();

    get("/info", USEC_PER_SEC);
    fake_admin(&fake, "POST", "rules", "[{\"path\":\"^/info\",\"fault\":\"stall\"}]");
    for (int i = 0; i < 5; i++)
        cr_assert_eq(engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, &got, NULL), 0);
    run_for(USEC_PER_SEC / 10);
    engine = engine_free(engine);
    cr_expect_null(engine_free(NULL));
    run_for(USEC_PER_SEC / 10);
    cr_expect_eq(got.calls, 1);
    cr_expect_leq(open_fds(), before);
}

Test(engine, free_inside_a_callback, .init = setup, .fini = teardown)
{
    struct got later = {};

    got.free_engine = true;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(
            engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, i ? &later : &got, NULL),
            0);
    run_until(&got.calls, 1);
    run_for(USEC_PER_SEC / 5);
    cr_expect_null(engine);
    cr_expect_eq(got.calls + later.calls, 1 + later.calls);
    json_decref(later.body);
}

Test(engine, free_inside_the_callback_of_a_failed_negotiation, .init = setup_bare, .fini = teardown)
{
    struct got later = {};

    got.free_engine = true;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(
            engine_request(engine, "GET", "/info", NULL, USEC_PER_SEC, on_answer, i ? &later : &got, NULL),
            0);
    run_until(&got.calls, 1);
    run_for(USEC_PER_SEC / 5);
    cr_expect_null(engine);
    cr_expect_eq(later.calls, 0);
}

Test(engine, free_inside_a_deadline, .init = setup, .fini = teardown)
{
    got.free_engine = true;
    fake_admin(&fake, "POST", "rules", "[{\"path\":\".\",\"fault\":\"stall\"}]");
    cr_assert_eq(engine_ping(engine, USEC_PER_SEC / 10, on_answer, &got, NULL), 0);
    run_until(&got.calls, 1);
    cr_expect_eq(got.result, ENGINE_TIMEOUT);
    cr_expect_null(engine);
}

/* ---------------------------------------------------------------- events */

static void post(const char *path, const json_t *body, long status)
{
    unsigned n = got.calls + 1;

    cr_assert_eq(engine_request(engine, "POST", path, body, USEC_PER_SEC, on_answer, &got, NULL), 0);
    run_until(&got.calls, n);
    cr_assert_eq(got.result, ENGINE_OK, "%s", got.message);
    cr_assert_eq(got.status, status, "%ld %s", got.status, got.message);
}

struct seen {
    unsigned ups, downs, events;
    char action[32], name[64], id[80], extra[32];
    uint64_t time_nano;
    unsigned free_at; /* frees the engine at this event; 0: never */
};

static void on_event(struct engine *e, const struct engine_event *ev, void *userdata)
{
    struct seen *s = userdata;

    switch (ev->type) {
    case ENGINE_EV_STREAM_UP:
        s->ups++;
        /* A listener relists here: it must be able to start a call. */
        cr_expect_eq(
            engine_request(e, "GET", "/containers/json", NULL, USEC_PER_SEC, on_answer, &got, NULL), 0);
        break;
    case ENGINE_EV_STREAM_DOWN:
        s->downs++;
        break;
    case ENGINE_EV_CONTAINER: {
        const char *code = json_string_value(json_object_get(ev->attributes, "exitCode"));

        s->events++;
        snprintf(s->action, sizeof(s->action), "%s", ev->action);
        snprintf(s->name, sizeof(s->name), "%s", ev->name);
        snprintf(s->id, sizeof(s->id), "%s", ev->id);
        snprintf(s->extra, sizeof(s->extra), "%s", code ? code : "");
        s->time_nano = ev->time_nano;
        if (s->free_at == s->events)
            engine = engine_free(e);
        break;
    }
    case _ENGINE_EV_MAX:
        break;
    }
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LINE(action)                                                                                         \
    "{\\\"Type\\\":\\\"container\\\",\\\"Action\\\":\\\"" action "\\\",\\\"Actor\\\":{\\\"ID\\\":\\\"" ID    \
    "\\\",\\\"Attributes\\\":{\\\"name\\\":\\\"n\\\"}},\\\"timeNano\\\":7}"

static void subscribe(struct seen *s)
{
    cr_assert_eq(engine_subscribe(engine, on_event, s), 0);
    cr_expect_eq(engine_subscribe(engine, on_event, s), -EBUSY);
    run_until(&s->ups, 1);
    run_until(&got.calls, 1);
}

Test(engine, events_of_a_container, .init = setup, .fini = teardown)
{
    _cleanup_json_ json_t *body = json_pack("{s:s}", "Image", "x");
    struct seen s = {};

    subscribe(&s);
    post("/containers/create?name=gw", body, 201);
    run_until(&s.events, 1);
    cr_expect_str_eq(s.action, "create");
    post("/containers/gw/start", NULL, 204);
    fake_admin(&fake, "POST", "die", "{\"id\":\"gw\",\"exit\":3}");
    run_until(&s.events, 3);
    cr_expect_str_eq(s.action, "die");
    cr_expect_str_eq(s.name, "gw");
    cr_expect_str_eq(s.extra, "3");
    cr_expect_eq(strlen(s.id), 64);
    cr_expect_gt(s.time_nano, 0);
    cr_expect_eq(engine_reconnects(engine), 0);
}

Test(engine, events_split_anywhere, .init = setup, .fini = teardown)
{
    struct seen s = {};

    subscribe(&s);
    fake_admin(&fake, "POST", "emit",
        "{\"text\":\"" LINE("one") "\\n\\r\\n" LINE("two") "\\n{\\\"Type\\\":\\\"cont\"}");
    run_until(&s.events, 2);
    cr_expect_str_eq(s.action, "two");
    run_for(USEC_PER_SEC / 10);
    fake_admin(&fake, "POST", "emit",
        "{\"text\":\"ainer\\\",\\\"Action\\\":\\\"three\\\",\\\"Actor\\\":{\\\"ID\\\":\\\"" ID
        "\\\"}}\\n\"}");
    run_until(&s.events, 3);
    cr_expect_str_eq(s.action, "three");
    cr_expect_str_eq(s.name, "");
    /* Other types are not ours. */
    fake_admin(&fake, "POST", "emit", "{\"text\":\"{\\\"Type\\\":\\\"network\\\"}\\n" LINE("four") "\\n\"}");
    run_until(&s.events, 4);
    cr_expect_str_eq(s.action, "four");
    cr_expect_eq(s.downs, 0);
}

Test(engine, events_break_in_the_middle_of_a_line, .init = setup, .fini = teardown)
{
    struct seen s = {};

    subscribe(&s);
    fake_admin(&fake, "POST", "break", "{\"text\":\"" LINE("one") "\\n{\\\"Type\\\":\\\"contai\"}");
    run_until(&s.downs, 1);
    cr_expect_eq(s.events, 1, "the half line is not an event");
    uint64_t broke = now_us();
    run_until(&s.ups, 2);
    cr_expect_geq(now_us() - broke, USEC_PER_SEC * 45 / 100);
    cr_expect_lt(now_us() - broke, USEC_PER_SEC * 2);
    cr_expect_eq(engine_reconnects(engine), 1);
    fake_admin(&fake, "POST", "emit", "{\"text\":\"" LINE("two") "\\n\"}");
    run_until(&s.events, 2);
    cr_expect_str_eq(s.action, "two");
    /* A clean end is an end all the same, and the second break in a row waits longer. */
    fake_admin(&fake, "POST", "break", "{\"clean\":true}");
    run_until(&s.downs, 2);
    broke = now_us();
    run_until(&s.ups, 3);
    cr_expect_geq(now_us() - broke, USEC_PER_SEC * 95 / 100);
}

Test(engine, events_that_are_not_json_end_the_stream, .init = setup, .fini = teardown)
{
    struct seen s = {};

    subscribe(&s);
    fake_admin(&fake, "POST", "emit", "{\"text\":\"what?\\n\"}");
    run_until(&s.downs, 1);
    run_until(&s.ups, 2);
    cr_expect_eq(s.events, 0);
}

Test(engine, events_wait_for_the_socket, .init = setup_bare, .fini = teardown)
{
    struct seen s = {};

    cr_assert_eq(engine_subscribe(engine, on_event, &s), 0);
    run_for(USEC_PER_SEC / 5);
    cr_expect(s.ups == 0 && s.downs == 0);
    fake_start(&fake, "1.44", "1.24");
    run_until(&s.ups, 1);
    cr_expect_eq(engine_reconnects(engine), 0);
    cr_expect_str_eq(engine_api_version(engine), "1.44");
}

Test(engine, events_refused_are_no_stream, .init = setup, .fini = teardown)
{
    struct seen s = {};

    fake_admin(
        &fake, "POST", "rules", "[{\"path\":\"^/events\",\"fault\":\"status\",\"status\":500,\"times\":1}]");
    cr_assert_eq(engine_subscribe(engine, on_event, &s), 0);
    run_for(USEC_PER_SEC / 4);
    cr_expect(s.ups == 0 && s.downs == 0);
    run_until(&s.ups, 1);
}

Test(engine, events_survive_an_engine_of_another_version, .init = setup, .fini = teardown)
{
    struct seen s = {};

    subscribe(&s);
    kill(fake.pid, SIGKILL);
    waitpid(fake.pid, NULL, 0);
    run_until(&s.downs, 1);
    fake_start(&fake, "1.45", "1.24");
    run_until(&s.ups, 2);
    cr_expect_str_eq(engine_api_version(engine), "1.45");
}

Test(engine, events_listener_frees_the_engine, .init = setup, .fini = teardown)
{
    struct seen s = {.free_at = 2};

    subscribe(&s);
    fake_admin(
        &fake, "POST", "emit", "{\"text\":\"" LINE("one") "\\n" LINE("two") "\\n" LINE("three") "\\n\"}");
    run_until(&s.events, 2);
    run_for(USEC_PER_SEC / 10);
    cr_expect_eq(s.events, 2);
    cr_expect_null(engine);
}

Test(engine, events_flood, .init = setup, .fini = teardown)
{
    enum { N = 2000 };
    struct seen s = {};
    char *body = malloc(N * (strlen(LINE("x")) + 4) + 64), *p;

    cr_assert_not_null(body);
    subscribe(&s);
    p = stpcpy(body, "{\"text\":\"");
    for (int i = 0; i < N; i++)
        p = stpcpy(p, LINE("x") "\\n");
    strcpy(p, "\"}");
    fake_admin(&fake, "POST", "emit", body);
    free(body);
    run_until(&s.events, N);
    cr_expect_eq(s.downs, 0);
}
