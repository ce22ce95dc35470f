/* test_exec.c: bodies of exec create, exec start and update. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "filter/exec.h"
#include "filter/update.h"
#include "filter_fixture.h"

struct row {
    char body[160];
    int status;
    char rule[48];
};

ParameterizedTestParameters(exec, refused)
{
    static struct row rows[] = {
        {"{\"Cmd\":[\"x\"],\"Privileged\":true}", 403, "exec.Privileged"},
        {"{\"Cmd\":[\"x\"],\"privileged\":true}", 400, "exec.privileged"},
        {"{\"Cmd\":[\"x\"],\"PRIVILEGED\":false}", 400, "exec.PRIVILEGED"},
        {"{\"Cmd\":[]}", 400, "exec.Cmd"},
        {"{\"Cmd\":null}", 400, "exec.Cmd"},
        {"{\"Cmd\":\"\"}", 400, "exec.Cmd"},
        {"{}", 400, "exec.Cmd"},
        {"[]", 400, "exec"},
        {"{\"Cmd\":[1]}", 400, "exec.Cmd"},
        {"{\"Cmd\":[\"x\"],\"User\":\"a:b:c\"}", 400, "exec.User"},
        {"{\"Cmd\":[\"x\"],\"User\":\"other\"}", 403, "exec.User"},
        {"{\"Cmd\":[\"x\"],\"WorkingDir\":\"/proc/self/fd/8\"}", 403, "exec.WorkingDir"},
        {"{\"Cmd\":[\"x\"],\"WorkingDir\":\"/proc\"}", 403, "exec.WorkingDir"},
        {"{\"Cmd\":[\"x\"],\"WorkingDir\":\"../x\"}", 403, "exec.WorkingDir"},
        {"{\"Cmd\":[\"x\"],\"DetachKeys\":\"ctrl-\"}", 400, "exec.DetachKeys"},
        {"{\"Cmd\":[\"x\"],\"DetachKeys\":\"ctrl-p,\"}", 400, "exec.DetachKeys"},
        {"{\"Cmd\":[\"x\"],\"DetachKeys\":\",\"}", 400, "exec.DetachKeys"},
        {"{\"Cmd\":[\"x\"],\"Env\":[\"=1\"]}", 400, "exec.Env"},
        {"{\"Cmd\":[\"x\"],\"Env\":{\"A\":\"1\"}}", 400, "exec.Env"},
        {"{\"Cmd\":[\"x\"],\"Tty\":\"true\"}", 400, "exec.Tty"},
        {"{\"Cmd\":[\"x\"],\"Detach\":\"true\"}", 400, "exec.Detach"},
        {"{\"Cmd\":[\"x\"],\"AttachStderr\":1}", 400, "exec.AttachStderr"},
        {"{\"Cmd\":[\"x\"],\"ConsoleSize\":[1,2,3]}", 400, "exec.ConsoleSize"},
        {"{\"Cmd\":[\"x\"],\"Container\":1}", 400, "exec.Container"},
        {"{\"Cmd\":[\"x\"],\"container\":\"x\"}", 400, "exec.container"},
        {"{\"Cmd\":[\"x\"],\"Containers\":\"x\"}", 403, "exec.Containers"},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, exec, refused)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_json(row->body);
    struct exec_model *m = NULL;
    struct refusal r = {0};

    cr_assert_eq(policy_list_add(&p->users, "1000"), 0);
    int rc = exec_parse(p, body, &m, &r);
    cr_expect_eq(rc, row->status == 400 ? -EINVAL : -EPERM, "%s: %d", row->body, rc);
    cr_expect_eq(r.status, row->status, "%s: %s", row->body, r.reason);
    cr_expect_str_eq(r.rule, row->rule, "%s", row->body);
    cr_expect_null(m);
}

Test(exec, rendered_body_is_exactly_the_model)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body =
        fixture_json("{\"Container\":\"x\",\"Cmd\":[\"sh\",\"-c\",\"x\"],\"Env\":[\"A=b\\nc\"],\"User\":"
                     "\"1000:1000\",\"WorkingDir\":\"/w\","
                     "\"Tty\":true,\"AttachStdin\":true,\"AttachStdout\":true,\"Detach\":true,"
                     "\"DetachKeys\":\"ctrl-p,q\",\"ConsoleSize\":[24,80]}");
    _cleanup_json_ json_t *want = fixture_json(
        "{\"User\":\"1000:1000\",\"Privileged\":false,\"Tty\":true,\"AttachStdin\":true,\"AttachStdout\":"
        "true,"
        "\"AttachStderr\":false,\"Detach\":false,\"DetachKeys\":\"ctrl-p,q\",\"Env\":[\"A=b\\nc\"],"
        "\"WorkingDir\":\"/w\",\"Cmd\":[\"sh\",\"-c\",\"x\"]}");
    _cleanup_exec_model_ struct exec_model *m = NULL;
    _cleanup_free_ char *old = NULL, *new = NULL;
    struct refusal r = {0};

    cr_assert_eq(exec_parse(p, body, &m, &r), 0, "%s", r.reason);
    cr_assert_eq(exec_render(m, 41, &old), 0);
    _cleanup_json_ json_t *got = fixture_json(old);
    cr_expect(json_equal(got, want), "%s", old);
    cr_assert_eq(exec_render(m, 42, &new), 0);
    cr_expect(strstr(new, "\"ConsoleSize\":[24,80]"));
}

Test(exec, users_of_the_policy)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_json("{\"Cmd\":[\"x\"]}");
    _cleanup_exec_model_ struct exec_model *m = NULL;
    struct refusal r = {0};

    cr_assert_eq(policy_list_add(&p->users, "1000"), 0);
    cr_assert_eq(exec_parse(p, body, &m, &r), 0);
    cr_expect_str_eq(m->user, "1000");
}

Test(exec, too_many_arguments)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = json_pack("{s:[]}", "Cmd");
    struct exec_model *m = NULL;
    struct refusal r = {0};

    for (int i = 0; i < 1025; i++)
        json_array_append_new(json_object_get(body, "Cmd"), json_string("x"));
    cr_expect_eq(exec_parse(p, body, &m, &r), -EFBIG);
    cr_expect_eq(r.status, 413);
}

Test(exec, command_lines)
{
    static const char *const kinds[] = {"plain", "user", "it", "det", "tty"}, *const versions[] = {
                                                                                  "2010", "282"};
    _cleanup_policy_ struct policy *p = fixture_policy();

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
            _cleanup_exec_model_ struct exec_model *m = NULL;
            struct exec_start s = {0};
            struct refusal r = {0};
            char name[64];

            (void)snprintf(name, sizeof(name), "cli/exec-%s-%s.json", versions[v], kinds[k]);
            _cleanup_json_ json_t *body = fixture_file(name);
            cr_expect_eq(exec_parse(p, body, &m, &r), 0, "%s: %s", name, r.reason);
            (void)snprintf(name, sizeof(name), "cli/execstart-%s-%s.json", versions[v], kinds[k]);
            _cleanup_json_ json_t *start = fixture_file(name);
            cr_expect_eq(exec_parse_start(start, &s, &r), 0, "%s: %s", name, r.reason);
            cr_expect_eq(s.detach, strcmp(kinds[k], "det") == 0);
            cr_expect_eq(s.tty, strcmp(kinds[k], "tty") == 0);
        }
}

ParameterizedTestParameters(exec, start_refused)
{
    static struct row rows[] = {
        {"[]", 400, "exec-start"},
        {"{\"detach\":true}", 400, "exec-start.detach"},
        {"{\"Detach\":1}", 400, "exec-start.Detach"},
        {"{\"Tty\":\"x\"}", 400, "exec-start.Tty"},
        {"{\"ConsoleSize\":[-1,0]}", 403, "exec-start.ConsoleSize"},
        {"{\"Container\":\"x\"}", 403, "exec-start.Container"},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, exec, start_refused)
{
    _cleanup_json_ json_t *body = fixture_json(row->body);
    struct exec_start s = {0};
    struct refusal r = {0};

    cr_expect(exec_parse_start(body, &s, &r) < 0, "%s", row->body);
    cr_expect_eq(r.status, row->status, "%s", row->body);
    cr_expect_str_eq(r.rule, row->rule);
}

Test(exec, start_without_a_body_is_attached)
{
    struct exec_start s = {.detach = true};
    struct refusal r = {0};
    _cleanup_free_ char *text = NULL;

    cr_assert_eq(exec_parse_start(NULL, &s, &r), 0);
    cr_expect_eq(exec_parse_start(json_null(), &s, &r), -EINVAL);
    cr_expect_eq(r.status, 400);
    cr_assert_eq(exec_parse_start(NULL, &s, &r), 0);
    cr_expect_not(s.detach || s.tty);
    cr_assert_eq(exec_render_start(&s, 41, &text), 0);
    cr_expect_str_eq(text, "{\"Detach\":false,\"Tty\":false}");
}

Test(exec, start_writes_a_size_only_with_a_tty_and_a_version_that_knows_it)
{
    struct exec_start s = {.tty = true, .console_height = 24, .console_width = 80};
    _cleanup_free_ char *with = NULL, *old = NULL, *without = NULL;

    cr_assert_eq(exec_render_start(&s, 42, &with), 0);
    cr_expect_str_eq(with, "{\"Detach\":false,\"Tty\":true,\"ConsoleSize\":[24,80]}");
    cr_assert_eq(exec_render_start(&s, 41, &old), 0);
    cr_expect_str_eq(old, "{\"Detach\":false,\"Tty\":true}");
    s.tty = false;
    cr_assert_eq(exec_render_start(&s, 42, &without), 0);
    cr_expect_str_eq(without, "{\"Detach\":false,\"Tty\":false}");
}

/* ---------------------------------------------------------------- update */
ParameterizedTestParameters(update, refused)
{
    static struct row rows[] = {
        {"[]", 400, "update"},
        {"{\"PidsLimit\":0}", 403, "update.PidsLimit"},
        {"{\"PidsLimit\":-1}", 403, "update.PidsLimit"},
        {"{\"PidsLimit\":257}", 403, "update.PidsLimit"},
        {"{\"Memory\":1073741825}", 403, "update.Memory"},
        {"{\"Memory\":-1}", 403, "update.Memory"},
        {"{\"MemorySwap\":-1}", 403, "update.MemorySwap"},
        {"{\"MemorySwap\":1073741825}", 403, "update.MemorySwap"},
        {"{\"NanoCpus\":1000000001}", 403, "update.NanoCpus"},
        {"{\"nanocpus\":1}", 400, "update.nanocpus"},
        {"{\"RestartPolicy\":{\"Name\":\"always\"}}", 403, "update.RestartPolicy.Name"},
        {"{\"RestartPolicy\":{\"name\":\"always\"}}", 400, "update.RestartPolicy.name"},
        {"{\"CpuShares\":2}", 403, "update.CpuShares"},
        {"{\"CpuQuota\":-1}", 403, "update.CpuQuota"},
        {"{\"Devices\":[{}]}", 403, "update.Devices"},
        {"{\"CgroupParent\":\"/x\"}", 403, "update.CgroupParent"},
        {"{\"BlkioWeight\":10}", 403, "update.BlkioWeight"},
        {"{\"Frobnicate\":10}", 403, "update.Frobnicate"},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, update, refused)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_json(row->body);
    struct update_model u = {0};
    struct refusal r = {0};

    p->allow_update = true;
    cr_expect(update_parse(p, body, &u, &r) < 0, "%s", row->body);
    cr_expect_eq(r.status, row->status, "%s %s", row->body, r.reason);
    cr_expect_str_eq(r.rule, row->rule);
}

Test(update, off_by_default)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_json("{\"Memory\":67108864}");
    struct update_model u = {0};
    struct refusal r = {0};

    cr_expect_eq(update_parse(p, body, &u, &r), -EPERM);
    cr_expect_str_eq(r.rule, "update");
}

Test(update, a_filter_that_reports_keeps_the_caps)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *good = fixture_json("{\"Memory\":67108864}"),
                          *bad = fixture_json("{\"PidsLimit\":-1}");
    struct update_model u = {0};
    struct refusal r = {0};

    p->filter = POLICY_FILTER_REPORT;
    cr_expect_eq(update_parse(p, good, &u, &r), 0);
    cr_expect_eq(update_parse(p, bad, &u, &r), -EPERM);
    cr_expect_str_eq(r.rule, "update.PidsLimit");
}

Test(update, command_lines)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    static const struct {
        const char *file, *want;
    } cases[] = {{"cli/update-2010-mem.json", "{\"Memory\":104857600,\"MemorySwap\":104857600}"},
        {"cli/update-282-mem.json", "{\"Memory\":104857600,\"MemorySwap\":104857600}"},
        {"cli/update-282-cpus.json", "{\"NanoCpus\":1000000000,\"PidsLimit\":10}"},
        {"cli/update-2010-cpus.json", "{\"NanoCpus\":1000000000,\"PidsLimit\":10}"},
        {"cli/update-282-restart.json", NULL}, {"cli/update-2010-restart.json", NULL}};
    p->allow_update = true;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *body = fixture_file(cases[i].file);
        _cleanup_free_ char *text = NULL;
        struct update_model u = {0};
        struct refusal r = {0};
        int rc = update_parse(p, body, &u, &r);

        cr_expect_eq(rc, cases[i].want ? 0 : -EPERM, "%s: %s", cases[i].file, r.reason);
        if (rc < 0)
            continue;
        cr_assert_eq(update_render(&u, &text), 0);
        cr_expect_str_eq(text, cases[i].want);
    }
}

/* Everything else of the engine's UpdateConfig, each refused by its own row. */
Test(update, every_key_has_its_row)
{
    static const char *const keys[] = {"MemoryReservation", "MemorySwappiness", "KernelMemory",
        "KernelMemoryTCP", "CpuQuota", "CpuPeriod", "CpuShares", "CpuRealtimePeriod", "CpuRealtimeRuntime",
        "CpusetCpus", "CpusetMems", "CpuCount", "CpuPercent", "CgroupParent", "BlkioWeight",
        "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps", "Devices", "DeviceCgroupRules", "DeviceRequests", "OomKillDisable", "Ulimits",
        "IOMaximumIOps", "IOMaximumBandwidth"};
    _cleanup_policy_ struct policy *p = fixture_policy();

    p->allow_update = true;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        _cleanup_json_ json_t *body = json_pack("{s:[i]}", keys[i], 1);
        struct update_model u = {0};
        struct refusal r = {0};

        cr_expect_eq(update_parse(p, body, &u, &r), -EPERM, "%s", keys[i]);
        cr_expect_str_eq(r.rule + strlen("update."), keys[i]);
        cr_expect_null(strstr(r.reason, "not a known field"), "%s", keys[i]);
    }
    _cleanup_json_ json_t *retry = fixture_json("{\"RestartPolicy\":{\"MaximumRetryCount\":3}}");
    struct update_model u = {0};
    struct refusal r = {0};
    cr_expect_eq(update_parse(p, retry, &u, &r), -EPERM);
    cr_expect_null(strstr(r.reason, "not a known field"));
}

/* Each within its own limit, together above the one of all. */
Test(exec, arguments_together_are_bounded)
{
    static char large[100 * 1024];
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_exec_model_ struct exec_model *m = NULL;
    _cleanup_json_ json_t *body = NULL;
    struct refusal r = {0};

    memset(large, 'x', sizeof(large) - 1);
    body = json_pack("{s:[s, s]}", "Cmd", large, large);
    cr_expect_eq(exec_parse(p, body, &m, &r), -EFBIG);
    cr_expect(r.status == 413 && strcmp(r.rule, "exec.Cmd") == 0, "%d %s", r.status, r.rule);
}
