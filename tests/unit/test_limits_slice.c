/* test_limits_slice.c: the calls of limits/slice against a systemd that a child process plays on a private
 * bus address: which methods are called in which order, and what every answer leads to. */
#include "fixture_dir.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "limits/slice.h"

/* How the played systemd behaves. */
enum mood {
    MOOD_FRESH,       /* no unit exists yet */
    MOOD_EXISTS,      /* StartTransientUnit says UnitExists */
    MOOD_MISSING,     /* StopUnit says NoSuchUnit */
    MOOD_JOB_FAILS,   /* jobs end with "failed" */
    MOOD_REFUSES,     /* every method is an error */
    MOOD_HANGS_UP,    /* closes the connection instead of ending a job */
    MOOD_FOREIGN_JOBS /* ends jobs of others first */
};

static char dir[64];
static pid_t child;
static char log_path[128];

static void play_log(const char *text)
{
    FILE *f = fopen(log_path, "ae");

    (void)fprintf(f, "%s ", text);
    (void)fclose(f);
}

static void send_job_removed(sd_bus *bus, uint32_t id, const char *path, const char *result)
{
    sd_bus_message *m = NULL;

    (void)sd_bus_message_new_signal(
        bus, &m, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved");
    (void)sd_bus_message_append(m, "uoss", id, path, "x.slice", result);
    (void)sd_bus_message_set_sender(m, "org.freedesktop.systemd1");
    (void)sd_bus_send(bus, m, NULL);
    sd_bus_message_unref(m);
}

static int play_job(sd_bus_message *m, enum mood mood)
{
    static uint32_t id;
    sd_bus *bus = sd_bus_message_get_bus(m);
    char path[64];

    (void)snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", ++id);
    (void)sd_bus_reply_method_return(m, "o", path);
    if (mood == MOOD_HANGS_UP) {
        (void)sd_bus_flush(bus);
        _exit(0);
    }
    if (mood == MOOD_FOREIGN_JOBS)
        send_job_removed(bus, 999, "/org/freedesktop/systemd1/job/999", "failed");
    send_job_removed(bus, id, path, mood == MOOD_JOB_FAILS ? "failed" : "done");
    return 1;
}

static int play_message(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
    enum mood mood = *(enum mood *)userdata;
    const char *member = sd_bus_message_get_member(m);
    uint8_t type;

    (void)e;
    (void)sd_bus_message_get_type(m, &type);
    if (type != SD_BUS_MESSAGE_METHOD_CALL)
        return 1;
    if (strcmp(member, "Hello") == 0)
        return sd_bus_reply_method_return(m, "s", ":1.7");
    if (strcmp(member, "AddMatch") == 0 || strcmp(member, "Subscribe") == 0)
        return sd_bus_reply_method_return(m, "");
    play_log(member);
    if (mood == MOOD_REFUSES)
        return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_ACCESS_DENIED, "not today");
    if (mood == MOOD_EXISTS && strcmp(member, "StartTransientUnit") == 0)
        return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.UnitExists", "it exists");
    if (mood == MOOD_MISSING && strcmp(member, "StopUnit") == 0)
        return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit", "not loaded");
    if (strcmp(member, "SetUnitProperties") == 0 || strcmp(member, "RevertUnitFiles") == 0)
        return sd_bus_reply_method_return(m, "");
    return play_job(m, mood);
}

static void play_connection(int fd, enum mood mood)
{
    sd_bus *bus = NULL;
    sd_id128_t id;

    (void)sd_id128_randomize(&id);
    if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_set_server(bus, 1, id) < 0 ||
        sd_bus_set_trusted(bus, 1) < 0 || sd_bus_add_filter(bus, NULL, play_message, &mood) < 0 ||
        sd_bus_start(bus) < 0)
        _exit(1);
    for (;;) {
        int r = sd_bus_process(bus, NULL);

        if (r < 0)
            _exit(0);
        if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
            _exit(0);
    }
}

static void play(enum mood mood)
{
    char path[128], address[160];
    struct err e;
    int listener;

    (void)snprintf(path, sizeof(path), "%s/bus", dir);
    (void)snprintf(address, sizeof(address), "unix:path=%s", path);
    (void)snprintf(log_path, sizeof(log_path), "%s/calls", dir);
    fixture_write(dir, "/calls", "");
    listener = fd_listen_unix(path, SOCK_STREAM, 0600, (uid_t)-1, (gid_t)-1, &e);
    cr_assert_geq(listener, 0, "%s", e.msg);
    (void)fd_set_nonblock(listener, false);
    (void)setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        play_connection(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), mood);
    (void)fd_close(listener);
}

static void setup(void)
{
    fixture_new(dir, sizeof(dir));
}

static void teardown(void)
{
    if (child > 0) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
    }
    fixture_free(dir);
}

TestSuite(limits_slice, .init = setup, .fini = teardown, .timeout = 60);

struct seen {
    sd_event *event;
    int r, count, expect;
    char text[256];
};

static void on_done(int r, const char *text, void *userdata)
{
    struct seen *s = userdata;

    s->r = r;
    (void)snprintf(s->text, sizeof(s->text), "%s", text);
    if (++s->count >= s->expect)
        (void)sd_event_exit(s->event, 0);
}

/* Applies or stops (w NULL) one slice and expects this result, text and sequence of methods. */
static void expect(enum mood mood, const struct limits_want *w, int r, const char *text, const char *calls)
{
    struct seen s = {.expect = 1};
    struct slice_bus *b = NULL;

    play(mood);
    cr_assert_geq(sd_event_new(&s.event), 0);
    cr_assert_eq(slice_bus_new(s.event, &b), 0);
    if (w)
        cr_assert_eq(slice_apply(b, "clawsup-a.slice", w, on_done, &s, NULL), 0);
    else
        cr_assert_eq(slice_stop(b, "clawsup-a.slice", "/nothing", on_done, &s, NULL), 0);
    cr_assert_eq(s.count, 0, "the answer comes from the loop");
    cr_assert_eq(sd_event_loop(s.event), 0);
    cr_expect_eq(s.count, 1);
    cr_expect_eq(s.r, r, "%d: %s", s.r, s.text);
    cr_expect_str_eq(s.text, text, "%s", s.text);
    fixture_expect_file(dir, "/calls", calls);
    (void)slice_bus_free(b);
    sd_event_unref(s.event);
}

static const struct limits_want some = {.nano_cpus = 500000000, .memory_bytes = 1 << 27, .pids = 10};

Test(limits_slice, fresh)
{
    expect(MOOD_FRESH, &some, 0, "", "StartTransientUnit ");
}

Test(limits_slice, exists)
{
    expect(MOOD_EXISTS, &some, 0, "", "StartTransientUnit SetUnitProperties StartUnit ");
}

Test(limits_slice, the_job_of_another_is_not_ours)
{
    expect(MOOD_FOREIGN_JOBS, &some, 0, "", "StartTransientUnit ");
}

Test(limits_slice, a_failed_job_is_an_error)
{
    expect(
        MOOD_JOB_FAILS, &some, -EIO, "clawsup-a.slice: its job ended with \"failed\"", "StartTransientUnit ");
}

Test(limits_slice, a_refusal_keeps_its_text)
{
    expect(MOOD_REFUSES, &some, -EACCES, "clawsup-a.slice: not today", "StartTransientUnit ");
}

Test(limits_slice, a_broken_connection_ends_the_call)
{
    expect(MOOD_HANGS_UP, &some, -ECONNRESET, "clawsup-a.slice: the system bus closed the connection",
        "StartTransientUnit ");
}

Test(limits_slice, stop)
{
    expect(MOOD_FRESH, NULL, 0, "", "StopUnit RevertUnitFiles ");
}

Test(limits_slice, stop_of_what_is_not_there)
{
    expect(MOOD_MISSING, NULL, 0, "", "StopUnit ");
}

Test(limits_slice, a_new_connection_after_a_broken_one)
{
    struct seen s = {.expect = 1};
    struct slice_bus *b = NULL;

    play(MOOD_HANGS_UP);
    cr_assert_geq(sd_event_new(&s.event), 0);
    cr_assert_eq(slice_bus_new(s.event, &b), 0);
    cr_assert_eq(slice_apply(b, "clawsup-a.slice", &some, on_done, &s, NULL), 0);
    cr_assert_eq(sd_event_loop(s.event), 0);
    cr_assert_eq(s.r, -ECONNRESET);
    (void)waitpid(child, NULL, 0);
    sd_event_unref(s.event);
    (void)slice_bus_free(b);

    /* the loop has exited: a second one, and the same for a bus that stays */
    cr_assert_geq(sd_event_new(&s.event), 0);
    cr_assert_eq(slice_bus_new(s.event, &b), 0);
    play(MOOD_HANGS_UP);
    s.count = 0;
    s.expect = 2;
    cr_assert_eq(slice_apply(b, "clawsup-a.slice", &some, on_done, &s, NULL), 0);
    while (s.count < 1)
        cr_assert_geq(sd_event_run(s.event, UINT64_MAX), 0);
    (void)waitpid(child, NULL, 0);
    play(MOOD_FRESH);
    cr_assert_eq(slice_apply(b, "clawsup-a.slice", &some, on_done, &s, NULL), 0);
    while (s.count < 2)
        cr_assert_geq(sd_event_run(s.event, UINT64_MAX), 0);
    cr_expect_eq(s.r, 0, "%s", s.text);
    (void)slice_bus_free(b);
    sd_event_unref(s.event);
}

Test(limits_slice, many_calls_and_a_cancelled_one)
{
    struct seen s = {.expect = 19};
    struct slice_call *calls[20];
    struct slice_bus *b = NULL;
    char unit[64];

    play(MOOD_EXISTS);
    cr_assert_geq(sd_event_new(&s.event), 0);
    cr_assert_eq(slice_bus_new(s.event, &b), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        (void)snprintf(unit, sizeof(unit), "clawsup-t%u.slice", i);
        cr_assert_eq(slice_apply(b, unit, &some, on_done, &s, &calls[i]), 0);
    }
    slice_call_cancel(calls[7]);
    slice_call_cancel(NULL);
    cr_assert_eq(sd_event_loop(s.event), 0);
    cr_expect_eq(s.count, 19);
    cr_expect_eq(s.r, 0, "%s", s.text);
    (void)slice_bus_free(b);
    sd_event_unref(s.event);
}

Test(limits_slice, free_with_calls_in_flight)
{
    struct seen s = {.expect = 1};
    struct slice_bus *b = NULL;

    play(MOOD_FRESH);
    cr_assert_geq(sd_event_new(&s.event), 0);
    cr_assert_eq(slice_bus_new(s.event, &b), 0);
    cr_assert_eq(slice_apply(b, "clawsup-a.slice", &some, on_done, &s, NULL), 0);
    cr_assert_geq(sd_event_run(s.event, 0), 0);
    (void)slice_bus_free(b);
    cr_expect_eq(s.count, 0);
    sd_event_unref(s.event);
}

Test(limits_slice, names_that_are_not_ours)
{
    static const char *const bad[] = {"system.slice", "clawsup-.slice", "clawsup-a.service",
        "clawsup-a/b.slice", "clawsup-A.slice", "xclawsup-a.slice", "", "clawsup-a.slice\n"};
    struct slice_bus *b = NULL;
    sd_event *event = NULL;

    cr_assert_geq(sd_event_new(&event), 0);
    cr_assert_eq(slice_bus_new(event, &b), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_eq(slice_apply(b, bad[i], &some, on_done, NULL, NULL), -EINVAL, "%s", bad[i]);
    (void)setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nothing/here", 1);
    cr_expect_lt(slice_apply(b, "clawsup-a.slice", &some, on_done, NULL, NULL), 0, "no bus at all");
    fixture_write(dir, "/slice/cgroup.events", "populated 1\nfrozen 0\n");
    {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/slice", dir);
        cr_expect_eq(slice_stop(b, "clawsup-a.slice", path, on_done, NULL, NULL), -EBUSY);
    }
    (void)slice_bus_free(b);
    sd_event_unref(event);
}
