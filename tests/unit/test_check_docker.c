/* test_check_docker.c: an inspect as typed facts; anything of another shape is refused as a whole. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "checks/check_docker.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD "{\"Id\":\"" ID "\",\"Name\":\"/gw\",\"RestartCount\":2,\"State\":"

static int facts(const char *text, struct docker_facts *ret)
{
    json_error_t je;
    _cleanup_json_ json_t *j = json_loads(text, JSON_DECODE_ANY, &je);

    cr_assert_not_null(j, "%s: %s", text, je.text);
    return docker_facts_from_inspect(j, ret);
}

struct word {
    char text[16];
    int want;
};

Test(check_docker, all_fields)
{
    struct docker_facts f;

    cr_assert_eq(
        facts(HEAD "{\"Status\":\"running\",\"Running\":true,\"Pid\":77,\"ExitCode\":0,\"OOMKilled\":false,"
                   "\"StartedAt\":\"2024-02-29T12:00:00.123456789Z\","
                   "\"FinishedAt\":\"0001-01-01T00:00:00Z\",\"Health\":{\"Status\":\"unhealthy\"}}}",
            &f),
        0);
    cr_expect_str_eq(f.id, ID);
    cr_expect_str_eq(f.name, "gw");
    cr_expect_eq(f.state, DOCKER_RUNNING);
    cr_expect_eq(f.health, DOCKER_HEALTH_UNHEALTHY);
    cr_expect_eq(f.pid, 77);
    cr_expect_eq(f.restart_count, 2);
    cr_expect(!f.engine_restarts);
    cr_expect_eq(f.started_at_us, INT64_C(1709208000123456));
    cr_expect_eq(f.finished_at_us, 0);
    cr_expect_not(f.oom_killed);
}

ParameterizedTestParameters(check_docker, policy)
{
    static struct word rows[] = {{"", 0}, {"no", 0}, {"always", 1}, {"on-failure", 1}, {"unless-stopped", 1}};
    return cr_make_param_array(struct word, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct word *w, check_docker, policy)
{
    struct docker_facts f;
    char text[300];

    snprintf(text, sizeof(text),
        HEAD "{\"Status\":\"running\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"%s\"}}}", w->text);
    cr_assert_eq(facts(text, &f), 0);
    cr_expect_eq(f.engine_restarts, w->want == 1, "%s", w->text);
}

Test(check_docker, dead_of_memory)
{
    struct docker_facts f;

    cr_assert_eq(facts(HEAD "{\"Status\":\"exited\",\"OOMKilled\":true,\"ExitCode\":137}}", &f), 0);
    cr_expect_eq(f.state, DOCKER_EXITED);
    cr_expect_eq(f.exit_code, 137);
    cr_expect(f.oom_killed);
    cr_expect_eq(f.health, DOCKER_HEALTH_NONE);
}

ParameterizedTestParameters(check_docker, state)
{
    static struct word rows[] = {{"created", DOCKER_CREATED}, {"running", DOCKER_RUNNING},
        {"paused", DOCKER_PAUSED}, {"restarting", DOCKER_RESTARTING}, {"removing", DOCKER_REMOVING},
        {"exited", DOCKER_EXITED}, {"dead", DOCKER_DEAD}, {"missing", -EINVAL}, {"Running", -EINVAL},
        {"", -EINVAL}};
    return cr_make_param_array(struct word, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct word *w, check_docker, state)
{
    struct docker_facts f;
    char text[300];

    snprintf(text, sizeof(text), HEAD "{\"Status\":\"%s\"}}", w->text);
    int r = facts(text, &f);
    cr_expect_eq(r < 0 ? r : (int)f.state, w->want, "%s", w->text);
    if (r >= 0)
        cr_expect_str_eq(docker_state_to_string(f.state), w->text);
}

ParameterizedTestParameters(check_docker, health)
{
    static struct word rows[] = {{"none", DOCKER_HEALTH_NONE}, {"", DOCKER_HEALTH_NONE},
        {"starting", DOCKER_HEALTH_STARTING}, {"healthy", DOCKER_HEALTH_HEALTHY},
        {"unhealthy", DOCKER_HEALTH_UNHEALTHY}, {"sick", -EINVAL}};
    return cr_make_param_array(struct word, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct word *w, check_docker, health)
{
    struct docker_facts f;
    char text[300];

    snprintf(text, sizeof(text), HEAD "{\"Status\":\"running\",\"Health\":{\"Status\":\"%s\"}}}", w->text);
    int r = facts(text, &f);
    cr_expect_eq(r < 0 ? r : (int)f.health, w->want, "%s", w->text);
}

struct bad {
    char text[200];
};

ParameterizedTestParameters(check_docker, shape)
{
    static struct bad rows[] = {{"[]"}, {"{}"}, {"null"}, {"{\"Id\":\"" ID "\",\"Name\":\"/gw\"}"},
        {"{\"Id\":\"xyz\",\"Name\":\"/gw\",\"State\":{\"Status\":\"running\"}}"},
        {"{\"Id\":\"" ID "\",\"State\":{\"Status\":\"running\"}}"},
        {"{\"Id\":\"" ID "\",\"Name\":7,\"State\":{\"Status\":\"running\"}}"}, {HEAD "{\"Status\":7}}"},
        {HEAD "{\"Status\":\"running\",\"Pid\":-1}}"}, {HEAD "{\"Status\":\"running\",\"Pid\":\"1\"}}"},
        {HEAD "{\"Status\":\"running\",\"ExitCode\":99999999999}}"},
        {HEAD "{\"Status\":\"running\",\"StartedAt\":\"yesterday\"}}"}};
    return cr_make_param_array(struct bad, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct bad *b, check_docker, shape)
{
    struct docker_facts f = {.pid = 42};

    cr_expect_eq(facts(b->text, &f), -EINVAL, "%s", b->text);
    cr_expect_eq(f.pid, 42, "the output was touched");
}

Test(check_docker, long_name_is_refused)
{
    struct docker_facts f;
    char text[700], name[300];

    memset(name, 'n', sizeof(name));
    name[299] = '\0';
    snprintf(
        text, sizeof(text), "{\"Id\":\"" ID "\",\"Name\":\"/%s\",\"State\":{\"Status\":\"running\"}}", name);
    cr_expect_eq(facts(text, &f), -EINVAL);
}

Test(check_docker, strings_of_values_out_of_range)
{
    cr_expect_str_eq(docker_state_to_string(_DOCKER_STATE_MAX), "invalid");
    cr_expect_str_eq(docker_health_to_string(_DOCKER_HEALTH_MAX), "invalid");
    cr_expect_str_eq(docker_state_to_string(DOCKER_MISSING), "missing");
}
