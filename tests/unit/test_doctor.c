/* test_doctor.c: the report of clawsup doctor: on a host with nothing, with a configuration of our own, as
 * JSON. */
#include "fixture_dir.h"

#include <sys/socket.h>

#include "ctl/doctor_check.h"

static const struct doctor_row *row(const struct doctor_report *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->rows[i].name, name) == 0)
            return &r->rows[i];
    cr_assert_fail("no row %s", name);
    return NULL;
}

static struct doctor_report *run(const struct config *c)
{
    struct doctor_report *r = NULL;

    cr_assert_eq(doctor_run(c, &r), 0);
    return r;
}

Test(doctor, every_row_is_whole)
{
    struct doctor_report *r = run(NULL);

    cr_assert_gt(r->n, 15);
    for (size_t i = 0; i < r->n; i++) {
        cr_expect(r->rows[i].what[0], "%s", r->rows[i].name);
        cr_expect_eq(r->rows[i].todo[0] != '\0', r->rows[i].state != DOCTOR_OK, "%s: %s", r->rows[i].name,
            r->rows[i].todo);
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(r->rows[i].name, r->rows[j].name);
    }
    cr_expect_eq(row(r, "config")->state, DOCTOR_MISSING);
    cr_expect_eq(doctor_report_worst(r), DOCTOR_MISSING);
    (void)doctor_report_free(r);
}

Test(doctor, a_host_without_an_engine)
{
    char dir[64], socket[128], program[] = "/bin/true", user[] = "nobody", root[] = "root",
                               missing[] = "/nope/nope";
    struct config c = {.engine_socket = socket,
        .runtime_dir = dir,
        .state_dir = dir,
        .proxy_program = program,
        .proxy_user = user};
    struct doctor_report *r;

    fixture_new(dir, sizeof(dir));
    (void)snprintf(socket, sizeof(socket), "%s/docker.sock", dir);
    r = run(&c);
    cr_expect_eq(row(r, "config")->state, DOCTOR_OK);
    cr_expect_eq(row(r, "engine")->state, DOCTOR_MISSING);
    cr_expect(strstr(row(r, "engine")->what, "No such file"), "%s", row(r, "engine")->what);
    cr_expect(strstr(row(r, "engine")->todo, "start the engine"));
    cr_expect_eq(row(r, "limits")->state, DOCTOR_DEGRADED);
    cr_expect_eq(row(r, "proxy-program")->state, DOCTOR_OK);
    cr_expect_eq(row(r, "proxy-user")->state, DOCTOR_OK);
    cr_expect_eq(row(r, "state-dir")->state, DOCTOR_OK);
    cr_expect_eq(row(r, "clawsupd")->state, DOCTOR_MISSING);
    (void)doctor_report_free(r);

    c.proxy_user = root;
    c.proxy_program = missing;
    r = run(&c);
    cr_expect_eq(row(r, "proxy-user")->state, DOCTOR_MISSING);
    cr_expect_eq(row(r, "proxy-program")->state, DOCTOR_MISSING);
    (void)doctor_report_free(r);
    fixture_free(dir);
}

Test(doctor, a_daemon_that_listens_and_an_engine_that_does_not)
{
    char dir[64], socket[128], control[128];
    struct config c = {.engine_socket = socket, .runtime_dir = dir, .state_dir = dir};
    _cleanup_close_ int fd = -EBADF, stale = -EBADF;
    struct doctor_report *r;
    struct err e;

    fixture_new(dir, sizeof(dir));
    (void)snprintf(socket, sizeof(socket), "%s/docker.sock", dir);
    (void)snprintf(control, sizeof(control), "%s/control.sock", dir);
    fd = fd_listen_unix(control, SOCK_STREAM, 0600, (uid_t)-1, (gid_t)-1, &e);
    stale = fd_listen_unix(socket, SOCK_STREAM, 0600, (uid_t)-1, (gid_t)-1, &e);
    cr_assert(fd >= 0 && stale >= 0);
    stale = fd_close(stale);
    r = run(&c);
    cr_expect_eq(row(r, "clawsupd")->state, DOCTOR_OK);
    cr_expect_eq(row(r, "engine")->state, DOCTOR_MISSING);
    cr_expect(strstr(row(r, "engine")->todo, "systemctl status docker"), "%s", row(r, "engine")->todo);
    (void)doctor_report_free(r);
    fixture_free(dir);
}

Test(doctor, a_program_that_others_may_replace)
{
    char dir[64], program[128];
    struct config c = {.proxy_program = program};
    struct doctor_report *r;

    fixture_new(dir, sizeof(dir));
    fixture_write(dir, "/proxy", "#!/bin/sh\n");
    (void)snprintf(program, sizeof(program), "%s/proxy", dir);
    cr_assert_eq(chmod(program, 0775), 0);
    r = run(&c);
    cr_expect_eq(row(r, "proxy-program")->state, DOCTOR_DEGRADED, "%s", row(r, "proxy-program")->what);
    (void)doctor_report_free(r);
    cr_assert_eq(chmod(program, 0755), 0);
    r = run(&c);
    cr_expect_eq(row(r, "proxy-program")->state, DOCTOR_OK, "%s", row(r, "proxy-program")->what);
    (void)doctor_report_free(r);
    fixture_free(dir);
}

Test(doctor, runc_versions)
{
    static const char *const fixed[] = {
        "1.2.8", "1.2.10", "1.3.3", "1.3.3+ds1-2", "1.4.0", "1.10.0", "2.0.0"};
    static const char *const not_fixed[] = {
        "1.1.5+ds1-1+deb12u1", "1.2.7", "1.3.0", "1.3.2", "1.0.0-rc93", "0.1", "", "x", "1.2", "99999.0.0"};

    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        cr_expect(doctor_runc_is_fixed(fixed[i]), "%s", fixed[i]);
    for (size_t i = 0; i < ARRAY_SIZE(not_fixed); i++)
        cr_expect_not(doctor_runc_is_fixed(not_fixed[i]), "%s", not_fixed[i]);
}

Test(doctor, json)
{
    struct doctor_report r = {.n = 2,
        .rows = {{.name = "a", .state = DOCTOR_OK, .what = "fine"},
            {.name = "b", .state = DOCTOR_DEGRADED, .what = "so so", .todo = "mend it"}}};
    json_t *j = doctor_report_json(&r);
    char *text = json_dumps(j, JSON_COMPACT);

    cr_expect_str_eq(text,
        "{\"v\":1,\"state\":\"degraded\",\"first\":\"b\",\"checks\":["
        "{\"name\":\"a\",\"state\":\"ok\",\"what\":\"fine\",\"todo\":\"\"},"
        "{\"name\":\"b\",\"state\":\"degraded\",\"what\":\"so so\",\"todo\":\"mend it\"}]}");
    free(text);
    json_decref(j);
}
