/* test_verify.c: the engine's inspect answers against the model: recorded ones agree, and each change of one
 * field that matters is found. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "filter/create.h"
#include "filter_fixture.h"

#define IMAGE "sha256:29847baf0768e9349ed1bcb0a151ec1452791c6675d7c5b04f12c601827953e6"
#define NETWORK "de6cc1e2a8d765dc93b609448759c5946548ba0435511e1a01485924c1701691"

/* The model that the recorded container was made from. */
static struct create_model *recorded(const char *body_file, bool network)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_file(body_file);
    struct create_model *m = NULL;
    struct refusal r = {0};

    p->cgroup_parent = strdup("/clawsup/a");
    if (network) {
        p->network_id = strdup(NETWORK);
        p->network_name = strdup("clawsup-net-a");
    }
    cr_assert_eq(create_parse(p, "box", body, &m, &r), 0, "%s", r.reason);
    cr_assert_eq(create_set_image(m, IMAGE), 0);
    for (size_t i = 0; i < m->n_binds; i++)
        cr_assert_eq(create_set_staged(m, i, "/run/clawsup/.supervisor/staging/a/0"), 0);
    return m;
}

Test(verify, recorded_answers_agree)
{
    static const struct {
        const char *body, *inspect;
        bool network;
    } cases[] = {{"cli/create-2010-openclaw.json", "engine/inspect-oc-created.json", false},
        {"cli/create-2010-openclaw.json", "engine/inspect-oc-started.json", false},
        {"cli/create-282-tty.json", "engine/inspect-net-created.json", true},
        {"cli/create-282-tty.json", "engine/inspect-net-started.json", true}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_create_model_ struct create_model *m = recorded(cases[i].body, cases[i].network);
        _cleanup_json_ json_t *inspect = fixture_file(cases[i].inspect);
        struct err e = {{0}};

        cr_expect_eq(create_verify(m, inspect, &e), 0, "%s: %s", cases[i].inspect, e.msg);
    }
}

/* `path` in the inspect answer ("HostConfig.Memory", array indices as numbers) becomes `value`; "-" removes
 * it. */
struct row {
    char path[64], value[160];
};

static void change(json_t *o, const char *path, const char *value)
{
    char word[64];
    size_t n = strcspn(path, "/");

    memcpy(word, path, n);
    word[n] = '\0';
    if (path[n] == '/') {
        json_t *next = json_is_array(o) ? json_array_get(o, (size_t)atoi(word)) : json_object_get(o, word);
        cr_assert(next, "%s", path);
        change(next, path + n + 1, value);
        return;
    }
    if (strcmp(value, "-") == 0)
        json_object_del(o, word);
    else if (json_is_array(o) && strcmp(word, "+") == 0)
        json_array_append_new(o, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_set_new(o, word, json_loads(value, JSON_DECODE_ANY, NULL));
}

ParameterizedTestParameters(verify, differences)
{
    static struct row rows[] = {
        {"HostConfig", "-"},
        {"HostConfig/Privileged", "true"},
        {"HostConfig/Binds", "[\"/:/h\"]"},
        {"HostConfig/CapAdd", "[\"SYS_ADMIN\"]"},
        {"HostConfig/CapDrop", "[]"},
        {"HostConfig/CapDrop", "-"},
        {"HostConfig/SecurityOpt", "[]"},
        {"HostConfig/SecurityOpt", "[\"no-new-privileges\",\"seccomp=unconfined\"]"},
        {"HostConfig/SecurityOpt", "[\"seccomp=unconfined\"]"},
        {"HostConfig/SecurityOpt", "[1]"},
        {"HostConfig/Annotations", "{\"a\":\"b\"}"},
        {"HostConfig/Cgroup", "\"container:x\""},
        {"HostConfig/VolumeDriver", "\"x\""},
        {"HostConfig/PublishAllPorts", "true"},
        {"HostConfig/PidMode", "\"host\""},
        {"HostConfig/IpcMode", "\"host\""},
        {"HostConfig/UTSMode", "\"host\""},
        {"HostConfig/UsernsMode", "\"host\""},
        {"HostConfig/CgroupnsMode", "\"host\""},
        {"HostConfig/NetworkMode", "\"host\""},
        {"HostConfig/NetworkMode", "-"},
        {"HostConfig/Memory", "0"},
        {"HostConfig/Memory", "-"},
        {"HostConfig/MemorySwap", "0"},
        {"HostConfig/NanoCpus", "0"},
        {"HostConfig/PidsLimit", "null"},
        {"HostConfig/PidsLimit", "-1"},
        {"HostConfig/ShmSize", "99999999999"},
        {"HostConfig/CgroupParent", "\"\""},
        {"HostConfig/CgroupParent", "\"/\""},
        {"HostConfig/Devices", "[{\"PathOnHost\":\"/dev/sda\"}]"},
        {"HostConfig/DeviceRequests", "[{}]"},
        {"HostConfig/DeviceCgroupRules", "[\"a\"]"},
        {"HostConfig/VolumesFrom", "[\"x\"]"},
        {"HostConfig/PortBindings", "{\"80/tcp\":[]}"},
        {"HostConfig/Links", "[\"x:y\"]"},
        {"HostConfig/ExtraHosts", "[\"x:1.1.1.1\"]"},
        {"HostConfig/GroupAdd", "[\"0\"]"},
        {"HostConfig/Sysctls", "{\"a\":\"b\"}"},
        {"HostConfig/OomKillDisable", "true"},
        {"HostConfig/ReadonlyRootfs", "false"},
        {"HostConfig/RestartPolicy/Name", "\"always\""},
        {"HostConfig/LogConfig/Type", "\"syslog\""},
        {"HostConfig/Tmpfs", "{\"/tmp\":\"rw\"}"},
        {"HostConfig/Tmpfs", "null"},
        {"Mounts/0/Source", "\"/\""},
        {"Mounts/0/Source", "\"/data/tenants/a/workspace\""},
        {"Mounts/0/RW", "false"},
        {"Mounts/0/Destination", "\"/other\""},
        {"Mounts/0/Type", "\"volume\""},
        {"Mounts/+",
            "{\"Type\":\"volume\",\"Name\":\"x\",\"Source\":\"/v\",\"Destination\":\"/v\",\"RW\":true}"},
        {"Mounts", "[]"},
        {"NetworkSettings/Networks/bridge", "{}"},
        {"NetworkSettings/Networks", "{\"host\":{}}"},
        {"Image", "\"sha256:00\""},
        {"Config/Healthcheck", "-"},
        {"Config/Healthcheck", "{\"Test\":[\"CMD\",\"x\"]}"},
        {"Config/Labels/clawsup.tenant", "\"b\""},
        {"Config/Labels/clawsup.binds", "\"[]\""},
        {"Config/Labels/clawsup.role", "-"},
        {"Config/Labels/clawsup.spec", "\"x\""},
        {"Config/Labels/Clawsup.Tenant", "\"b\""},
        {"Config/Labels/openclaw.sandbox", "\"0\""},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, verify, differences)
{
    _cleanup_create_model_ struct create_model *m = recorded("cli/create-2010-openclaw.json", false);
    _cleanup_json_ json_t *inspect = fixture_file("engine/inspect-oc-started.json");
    struct err e = {{0}};

    change(inspect, row->path, row->value);
    cr_expect_eq(create_verify(m, inspect, &e), -EBADMSG, "%s = %s", row->path, row->value);
    cr_expect(e.msg[0]);
}

ParameterizedTestParameters(verify, network_differences)
{
    static struct row rows[] = {
        {"HostConfig/NetworkMode", "\"none\""},
        {"HostConfig/NetworkMode", "\"clawsup-net-b\""},
        {"NetworkSettings/Networks/other", "{}"},
        {"NetworkSettings/Networks", "{}"},
        {"NetworkSettings/Networks", "{\"clawsup-net-b\":{}}"},
        {"NetworkSettings/Networks/clawsup-net-a/NetworkID", "\"00\""},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, verify, network_differences)
{
    _cleanup_create_model_ struct create_model *m = recorded("cli/create-282-tty.json", true);
    _cleanup_json_ json_t *inspect = fixture_file("engine/inspect-net-started.json");
    struct err e = {{0}};

    change(inspect, row->path, row->value);
    cr_expect_eq(create_verify(m, inspect, &e), -EBADMSG, "%s = %s", row->path, row->value);
}

/* The engine is given only the outer one; were the inner one its mount after all, it would follow links to
 * it. */
Test(verify, binds_inside_others_are_no_mounts)
{
    _cleanup_create_model_ struct create_model *m = recorded("cli/create-2010-openclaw.json", false);
    _cleanup_json_ json_t *inspect = fixture_file("engine/inspect-oc-created.json");
    json_t *mounts = json_object_get(inspect, "Mounts"), *inner;
    struct err e = {{0}};
    size_t i = m->n_binds++;

    m->binds[i] = (struct create_bind){.source = strdup("/data/tenants/a/workspace/s"),
        .root = strdup("/data/tenants/a/workspace"),
        .target = strdup("/workspace/s"),
        .staged = strdup("/run/clawsup/.supervisor/staging/a/0/s"),
        .readonly = true};
    create_binds_nest(m->binds, m->n_binds);
    cr_assert_eq(m->binds[i].inside, 1);
    (void)json_object_set_new(
        json_object_get(json_object_get(inspect, "Config"), "Labels"), "clawsup.binds", json_null());
    inner = json_deep_copy(json_array_get(mounts, 0));
    (void)json_object_set_new(inner, "Destination", json_string("/workspace/s"));
    (void)json_object_set_new(inner, "Source", json_string(m->binds[i].staged));
    (void)json_object_set_new(inner, "RW", json_false());
    cr_expect_eq(create_verify(m, inspect, &e), -EBADMSG);
    cr_expect(strstr(e.msg, "label"), "the mounts agree: %s", e.msg);
    (void)json_array_append_new(mounts, inner);
    cr_expect_eq(create_verify(m, inspect, &e), -EBADMSG);
    cr_expect(strstr(e.msg, "unexpected mount"), "%s", e.msg);
}

/* Whoever asked for a user does not get root instead. */
Test(verify, another_user_is_a_difference)
{
    _cleanup_create_model_ struct create_model *m = recorded("cli/create-2010-openclaw.json", false);
    _cleanup_json_ json_t *inspect = fixture_file("engine/inspect-oc-created.json");
    struct err e = {{0}};

    free(m->user);
    m->user = strdup("1000");
    change(inspect, "Config/User", "\"1000\"");
    cr_expect_eq(create_verify(m, inspect, &e), 0, "%s", e.msg);
    change(inspect, "Config/User", "\"0\"");
    cr_expect_eq(create_verify(m, inspect, &e), -EBADMSG);
}
