/* test_respond.c: what clients are shown: rebuilt lists with filters, redacted inspects, synthesised answers,
 * error bodies; and the decision record. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "base/buf.h"
#include "filter/decision.h"
#include "filter/respond.h"
#include "filter_fixture.h"

static const char *const own_ids[] = {FIXTURE_OWN, FIXTURE_OWN2,
    "4749978bec8ba69fd20ce0ec02e2ad01d81bb063099dc8050439510e9bae7cbe",
    "9c87d8b1990c1c47ebff8cc5ce4f92e8c99fca0668a888610d08a54dbbea4b29"};

static bool owns(void *userdata, const char *id)
{
    (void)userdata;
    for (size_t i = 0; i < ARRAY_SIZE(own_ids); i++)
        if (strcmp(own_ids[i], id) == 0)
            return true;
    return false;
}

#define VIEW(p)                                                                                              \
    (struct respond_view)                                                                                    \
    {                                                                                                        \
        .policy = p, .owns = owns                                                                            \
    }

/* Three own containers, newest first, one of which only the registry or only the label marks as own. */
#define ROW(id, name, tenant, state, extra)                                                                  \
    "{\"Id\":\"" id "\",\"Names\":[\"/openclaw-sbx-a-" name "\",\"/other/alias\"],\"Image\":\"sha256:22\","  \
    "\"ImageID\":\"" FIXTURE_IMAGE "\",\"Command\":\"sh\",\"Created\":100,\"Ports\":[],\"Labels\":{"         \
    "\"clawsup.tenant\":\"" tenant "\",\"clawsup.image\":\"img\",\"x\":\"" name "\"},\"State\":\"" state     \
    "\",\"Status\":\"" extra "\",\"Mounts\":[],\"HostConfig\":{\"NetworkMode\":\"none\"},"                   \
    "\"NetworkSettings\":{\"Networks\":{\"clawsup-net-b\":{\"NetworkID\":\"77\"},\"none\":{}}},"             \
    "\"GraphDriver\":{\"x\":1}}"
static const char rows_text[] = "[" ROW(FIXTURE_OWN, "new", "a", "running", "Up 2 minutes") "," ROW(
    FIXTURE_FOREIGN, "unregistered", "a", "running", "Up") "," ROW(FIXTURE_OWN2, "old", "a", "exited",
    "Exited (137) 2 hours ago") "," ROW("4749978bec8ba69fd20ce0ec02e2ad01d81bb063099dc8050439510e9bae7cbe",
    "unlabelled", "b", "running", "Up") "]";

/* The two that write as they read, for documents. */
static int containers(const struct policy *p, const struct respond_containers_query *q, const json_t *rows,
    json_t **ret, struct refusal *refusal)
{
    _cleanup_free_ char *text = json_to_string(rows);
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf out = {0};
    int r;

    cr_assert_eq(jdoc_parse(&d, text, strlen(text), 1 << 20, NULL), 0);
    r = respond_containers(&VIEW(p), q, &d, &out, refusal);
    if (r >= 0)
        *ret = fixture_json(out.data);
    return r;
}

static int inspect(const struct policy *p, const json_t *in, bool gateway, json_t **ret)
{
    _cleanup_free_ char *text = json_to_string(in);
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf out = {0};
    int r;

    cr_assert_eq(jdoc_parse(&d, text, strlen(text), 1 << 20, NULL), 0);
    r = respond_inspect(&VIEW(p), &d, gateway, &out);
    if (r >= 0)
        *ret = fixture_json(out.data);
    return r;
}

/* Names of the rows that a query shows, joined with ' '; "404" and so on for a refusal. */
static void list(const struct policy *p, bool all, unsigned limit, const char *filters, char out[320])
{
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    _cleanup_json_ json_t *rows = fixture_json(rows_text), *shown = NULL;
    struct refusal r = {0};

    if (respond_filters_parse(RESPOND_CONTAINERS, filters, &f, &r) < 0) {
        (void)snprintf(out, 256, "%d", r.status);
        return;
    }
    struct respond_containers_query q = {all, limit, f};
    if (containers(p, &q, rows, &shown, &r) < 0) {
        (void)snprintf(out, 320, "%d %s", r.status, r.reason);
        return;
    }
    _cleanup_buf_ struct buf b = {.limit = 255};
    for (size_t i = 0; i < json_array_size(shown); i++) {
        const json_t *names = json_object_get(json_array_get(shown, i), "Names");

        cr_assert_eq(json_array_size(names), 1);
        cr_assert_eq(buf_addf(&b, "%s%s", i ? " " : "",
                         json_string_value(json_array_get(names, 0)) + strlen("/openclaw-sbx-a-")),
            0);
    }
    (void)snprintf(out, 256, "%s", b.data ? b.data : "");
}

struct row {
    bool all;
    unsigned limit;
    char filters[112], want[80];
};

ParameterizedTestParameters(respond, filters)
{
    static struct row rows[] = {
        {false, 0, "", "new"},
        {true, 0, "", "new old"},
        {false, 1, "", "new"},
        {false, 5, "", "new old"},
        {true, 0, "{}", "new old"},
        {true, 0, "{\"label\":[\"x=old\"]}", "old"},
        {true, 0, "{\"label\":{\"x=old\":true}}", "old"},
        {true, 0, "{\"label\":{\"x=old\":false}}", "new old"},
        {true, 0, "{\"label\":[\"x\"]}", "new old"},
        {true, 0, "{\"label\":[\"x\",\"x=new\"]}", "new"},
        {true, 0, "{\"label\":[\"x=new\",\"x=old\"]}", ""},
        {true, 0, "{\"label\":[\"clawsup.tenant=b\"]}", ""},
        {true, 0, "{\"name\":[\"ol\"]}", "old"},
        {true, 0, "{\"name\":[\"^/openclaw-sbx-a-new$\"]}", "new"},
        {true, 0, "{\"name\":[\"^openclaw-sbx-a-(new|old)$\"]}", "new old"},
        {true, 0, "{\"name\":[\"unregistered\"]}", ""},
        {true, 0, "{\"name\":[\"(\"]}", ""},
        {true, 0, "{\"id\":[\"aa\"]}", "new"},
        {true, 0, "{\"id\":[\"ab\",\"aa\"]}", "new old"},
        {true, 0, "{\"id\":[\"ff\"]}", ""},
        {true, 0, "{\"id\":[\"\"]}", ""},
        {false, 0, "{\"status\":[\"exited\"]}", "old"},
        {false, 0, "{\"status\":[\"running\",\"exited\"]}", "new old"},
        {true, 0, "{\"exited\":[\"137\"]}", "old"},
        {true, 0, "{\"exited\":[\"13\"]}", ""},
        {true, 0, "{\"health\":[\"none\"]}", "new old"},
        {true, 0, "{\"health\":[\"healthy\"]}", ""},
        {true, 0, "{\"ancestor\":[\"img\"]}", "new old"},
        {true, 0, "{\"ancestor\":[\"img:latest\"]}", "new old"},
        {true, 0, "{\"ancestor\":[\"im\"]}", ""},
        {true, 0, "{\"ancestor\":[\"2222\"]}", "new old"},
        {true, 0, "{\"network\":[\"none\"]}", "new old"},
        {true, 0, "{\"network\":[\"clawsup-net-b\"]}", ""},
        {true, 0, "{\"before\":[\"openclaw-sbx-a-new\"]}", "old"},
        {true, 0, "{\"before\":[\"aaaa\"]}", "old"},
        {true, 0, "{\"since\":[\"openclaw-sbx-a-old\"]}", "new"},
        {true, 0, "{\"since\":[\"openclaw-sbx-a-new\"]}", ""},
        {true, 0, "{\"before\":[\"openclaw-sbx-a-unregistered\"]}",
            "404 No such container: openclaw-sbx-a-unregistered"},
        {true, 0, "{\"before\":[\"absent\"]}", "404 No such container: absent"},
        {true, 0, "{\"since\":[\"ffff\"]}", "404 No such container: ffff"},
        {true, 0, "{\"since\":[\"a\"]}", "404 No such container: a"},
        {true, 0, "{\"before\":[\"x\",\"y\"]}", "400"},
        {true, 0, "{\"volume\":[\"x\"]}", "403"},
        {true, 0, "{\"Label\":[\"x\"]}", "403"},
        {true, 0, "{\"publish\":[\"80\"]}", "403"},
        {true, 0, "{\"label\":\"x\"}", "400"},
        {true, 0, "{\"label\":[1]}", "400"},
        {true, 0, "{\"label\":{\"x\":1}}", "400"},
        {true, 0, "[]", "400"},
        {true, 0, "{", "400"},
        {true, 0, "{\"label\":[\"x\"],\"label\":[\"y\"]}", "400"},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, respond, filters)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    char out[320];

    list(p, row->all, row->limit, row->filters, out);
    cr_expect_str_eq(out, row->want, "%s gave \"%s\"", row->filters, out);
}

Test(respond, list_rows_are_rebuilt)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *rows = fixture_file("engine/list.json"), *shown = NULL;
    struct respond_containers_query q = {.all = true};
    struct refusal r = {0};

    p->network_id = strdup("de6cc1e2a8d765dc93b609448759c5946548ba0435511e1a01485924c1701691");
    p->network_name = strdup("clawsup-net-a");
    cr_assert_eq(containers(p, &q, rows, &shown, &r), 0);
    cr_assert_eq(json_array_size(shown), 2);
    const json_t *net = json_array_get(shown, 0), *oc = json_array_get(shown, 1);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(net, "HostConfig"), "NetworkMode")),
        "clawsup-net-a");
    cr_expect_eq(json_object_size(json_object_get(json_object_get(net, "NetworkSettings"), "Networks")), 1);
    cr_expect_str_eq(json_string_value(json_object_get(oc, "Image")), "openclaw-sandbox:bookworm-slim");
    cr_expect_str_eq(
        json_string_value(json_object_get(json_array_get(json_object_get(oc, "Mounts"), 0), "Source")),
        "/data/tenants/a/workspace");
    cr_expect_null(json_object_get(json_object_get(oc, "Labels"), "clawsup.binds"));
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(oc, "Labels"), "clawsup.tenant")), "a");
    _cleanup_free_ char *text = json_to_string(shown);
    cr_expect_null(strstr(text, "staging"), "%s", text);
}

Test(respond, namespaced_names_come_back)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *rows = fixture_json(rows_text), *shown = NULL;
    struct respond_containers_query q = {.all = true};
    struct refusal r = {0};

    p->names = POLICY_NAMES_NAMESPACED;
    cr_assert_eq(containers(p, &q, rows, &shown, &r), 0);
    cr_expect_str_eq(
        json_string_value(json_array_get(json_object_get(json_array_get(shown, 0), "Names"), 0)), "/new");
    cr_expect_str_eq(respond_client_name(p, "/openclaw-sbx-a-x"), "x");
    p->names = POLICY_NAMES_SCOPED;
    cr_expect_str_eq(respond_client_name(p, "/openclaw-sbx-a-x"), "openclaw-sbx-a-x");
}

/* What the runtime says of a mount that fails, as text and inside of an inspect. */
Test(respond, engine_errors_name_no_path_of_the_host)
{
    static const char *const texts[] = {
        "invalid mount config for type \"bind\": bind source path does not exist: "
        "/run/clawsup/.supervisor/staging/a/17",
        "error mounting \"/run/clawsup/.supervisor/staging/a/17\" to rootfs at \"/w\": mount "
        "/run/clawsup/.supervisor/staging/a/17:/w (via /proc/self/fd/6), flags: 0x5000: not a directory",
        "/var/lib/docker/overlay2/0a/merged/w: no such file",
        "stat /var/lib/docker/containers/aa/hosts: gone"};
    _cleanup_policy_ struct policy *p = fixture_policy();

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_json_ json_t *j = json_pack("{s:s}", "message", texts[i]);
        _cleanup_json_ json_t *in = fixture_file("engine/inspect-oc-created.json"), *shown = NULL;
        _cleanup_free_ char *text = respond_engine_error(&VIEW(p), j), *all = NULL;

        cr_expect(!strstr(text, "/run/") && !strstr(text, "/var/") && strstr(text, "(a path of the host)"),
            "%s", text);
        cr_expect(i != 1 || strstr(text, "rootfs at \\\"/w\\\""), "%s", text);
        (void)json_object_set_new(json_object_get(in, "State"), "Error", json_string(texts[i]));
        cr_assert_eq(inspect(p, in, false, &shown), 0);
        all = json_to_string(json_object_get(shown, "State"));
        cr_expect(
            !strstr(all, "/run/") && !strstr(all, "/var/") && strstr(all, "(a path of the host)"), "%s", all);
    }
}

Test(respond, lists_of_another_form_are_errors)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *o = fixture_json("{\"message\":\"x\"}");
    struct respond_containers_query q = {.all = true};
    struct refusal r = {0};
    json_t *out = NULL;

    cr_expect_eq(containers(p, &q, o, &out, &r), -EBADMSG);
    cr_expect_eq(respond_images(&VIEW(p), NULL, o, &out), -EBADMSG);
    cr_expect_eq(respond_image_history(&VIEW(p), o, &out), -EBADMSG);
    cr_expect_eq(inspect(p, o, false, &out), -EBADMSG);
    cr_expect_eq(respond_image_inspect(&VIEW(p), o, &out), -EBADMSG);
    cr_expect_eq(respond_exec_inspect(o, &out), -EBADMSG);
    cr_expect_eq(respond_network(&VIEW(p), o, &out), -EBADMSG);
    cr_expect_null(out);
}

/* Wherever the memory ends, there is an error and no answer. */
Test(respond, an_answer_is_whole_or_none)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    struct respond_containers_query q = {.all = true};
    _cleanup_free_ char *list = NULL, *one = NULL;
    _cleanup_jdoc_ struct jdoc rows = {0}, doc = {0};
    size_t limit;
    int r = -E2BIG;

    cr_assert_eq(respond_filters_parse(RESPOND_CONTAINERS, "{\"label\":[\"clawsup.tenant\"]}", &f, NULL), 0);
    q.filters = f;
    cr_assert_eq(fd_read_file("tests/unit/data/engine/list.json", 1 << 20, &list, NULL), 0);
    cr_assert_eq(fd_read_file("tests/unit/data/engine/inspect-oc-started.json", 1 << 20, &one, NULL), 0);
    cr_assert_eq(jdoc_parse(&rows, list, strlen(list), 1 << 20, NULL), 0);
    cr_assert_eq(jdoc_parse(&doc, one, strlen(one), 1 << 20, NULL), 0);
    for (limit = 1; r == -E2BIG && limit < 65536; limit++) {
        _cleanup_buf_ struct buf out = {.limit = limit};

        r = respond_containers(&VIEW(p), &q, &rows, &out, NULL);
    }
    cr_expect_eq(r, 0);
    cr_expect_gt(limit, 1000);
    r = -E2BIG;
    for (limit = 1; r == -E2BIG && limit < 65536; limit++) {
        _cleanup_buf_ struct buf out = {.limit = limit};

        r = respond_inspect(&VIEW(p), &doc, false, &out);
    }
    cr_expect_eq(r, 0);
    cr_expect_gt(limit, 1000);
}

/* ---------------------------------------------------------------- inspect */
Test(respond, inspect_has_nothing_of_the_host)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *in = fixture_file("engine/inspect-oc-started.json"), *out = NULL;
    static const char *const gone[] = {"/var/lib/docker", "/var/run/docker", "staging", "/clawsup/a",
        "LogPath", "ResolvConfPath", "HostnamePath", "HostsPath", "GraphDriver", "SandboxKey", "CgroupParent",
        "clawsup.binds", "9774"};

    cr_assert_eq(inspect(p, in, false, &out), 0);
    _cleanup_free_ char *text = json_to_string(out);
    for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
        cr_expect_null(strstr(text, gone[i]), "%s in %s", gone[i], text);
    const json_t *config = json_object_get(out, "Config"), *state = json_object_get(out, "State");
    cr_expect_str_eq(json_string_value(json_object_get(config, "Image")), "openclaw-sandbox:bookworm-slim");
    cr_expect_str_eq(json_string_value(json_object_get(state, "Status")), "running");
    cr_expect(json_is_true(json_object_get(state, "Running")));
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(config, "Labels"), "openclaw.configHash")), "abc");
    cr_expect_str_eq(
        json_string_value(json_object_get(json_array_get(json_object_get(out, "Mounts"), 0), "Source")),
        "/data/tenants/a/workspace");
    cr_expect_str_eq(
        json_string_value(json_object_get(
            json_array_get(json_object_get(json_object_get(out, "HostConfig"), "Mounts"), 0), "Source")),
        "/data/tenants/a/workspace");
    cr_expect_eq(json_array_size(json_object_get(config, "Env")), 2);
    cr_expect_str_eq(json_string_value(json_object_get(out, "Name")), "/jovial_franklin");
}

Test(respond, a_bind_inside_another_is_shown)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *in = fixture_file("engine/inspect-oc-started.json"), *out = NULL;
    json_t *labels = json_object_get(json_object_get(in, "Config"), "Labels");

    (void)json_object_set_new(labels, "clawsup.binds",
        json_string(
            "[{\"source\":\"/data/tenants/a/workspace\",\"root\":\"/data/tenants/a/workspace\",\"staged\":"
            "\"/run/clawsup/.supervisor/staging/a/0\",\"target\":\"/workspace\",\"readonly\":false,"
            "\"relabel\":\"z\"},{\"source\":\"/data/tenants/a/workspace/s\",\"root\":"
            "\"/data/tenants/a/workspace\",\"staged\":\"/run/clawsup/.supervisor/staging/a/0/s\","
            "\"target\":\"/workspace/s\",\"readonly\":true,\"relabel\":\"z\"}]"));
    cr_assert_eq(inspect(p, in, false, &out), 0);
    _cleanup_free_ char *text = json_to_string(out);
    const json_t *mounts = json_object_get(out, "Mounts");
    const json_t *host = json_object_get(json_object_get(out, "HostConfig"), "Mounts");
    _cleanup_json_ json_t *want = fixture_json("{\"Type\":\"bind\",\"Source\":\"/data/tenants/a/workspace/"
                                               "s\",\"Destination\":\"/workspace/s\",\"Mode\":"
                                               "\"z\",\"RW\":false,\"Propagation\":\"rprivate\"}");
    cr_expect(json_equal(json_array_get(mounts, json_array_size(mounts) - 1), want), "%s", text);
    cr_expect_str_eq(
        json_string_value(json_object_get(json_array_get(host, json_array_size(host) - 1), "Target")),
        "/workspace/s");
    cr_expect_null(strstr(text, "staging"));
}

Test(respond, the_gateway_without_its_environment)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *in = fixture_file("engine/inspect-oc-started.json"), *out = NULL;

    json_object_del(json_object_get(json_object_get(in, "Config"), "Labels"), "clawsup.binds");
    cr_assert_eq(inspect(p, in, true, &out), 0);
    cr_expect_eq(json_array_size(json_object_get(json_object_get(out, "Config"), "Env")), 0);
    /* It finds its own mounts by the host's paths, to name them in binds. */
    cr_expect_str_eq(
        json_string_value(json_object_get(json_array_get(json_object_get(out, "Mounts"), 0), "Source")),
        "/run/clawsup/.supervisor/staging/a/0");
}

Test(respond, foreign_networks_are_not_shown)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *in = fixture_file("engine/inspect-net-started.json"), *out = NULL, *own = NULL;

    cr_assert_eq(inspect(p, in, false, &out), 0);
    _cleanup_free_ char *text = json_to_string(out);
    cr_expect_null(strstr(text, "172.17"), "%s", text);
    cr_expect_null(strstr(text, "clawsup-net-a"));
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(out, "HostConfig"), "NetworkMode")), "");
    p->network_id = strdup("de6cc1e2a8d765dc93b609448759c5946548ba0435511e1a01485924c1701691");
    p->network_name = strdup("clawsup-net-a");
    cr_assert_eq(inspect(p, in, false, &own), 0);
    cr_expect_not_null(json_object_get(
        json_object_get(json_object_get(own, "NetworkSettings"), "Networks"), "clawsup-net-a"));
    /* A network of our name with another id is not ours. */
    json_object_set_new(
        json_object_get(json_object_get(json_object_get(in, "NetworkSettings"), "Networks"), "clawsup-net-a"),
        "NetworkID", json_string("00"));
    _cleanup_json_ json_t *again = NULL;
    cr_assert_eq(inspect(p, in, false, &again), 0);
    cr_expect_eq(json_object_size(json_object_get(json_object_get(again, "NetworkSettings"), "Networks")), 0);
}

Test(respond, exec_inspect)
{
    _cleanup_json_ json_t *in = fixture_file("engine/exec-inspect.json"), *out = NULL;

    cr_assert_eq(respond_exec_inspect(in, &out), 0);
    cr_expect_eq(json_integer_value(json_object_get(out, "Pid")), 0);
    cr_expect_eq(json_integer_value(json_object_get(out, "ExitCode")), 0);
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(out, "ProcessConfig"), "entrypoint")), "ls");
}

/* ---------------------------------------------------------------- images, networks, creates */
Test(respond, images_only_allowlisted)
{
    _cleanup_policy_ struct policy *p = fixture_policy(), *none = policy_new("a");
    _cleanup_json_ json_t *rows = fixture_file("engine/images.json"), *out = NULL, *empty = NULL,
                          *miss = NULL;
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    struct refusal r = {0};

    json_array_append_new(json_object_get(json_array_get(rows, 0), "RepoTags"), json_string("secret:1"));
    cr_assert_eq(respond_images(&VIEW(p), NULL, rows, &out), 0);
    cr_assert_eq(json_array_size(out), 1);
    cr_expect_eq(json_array_size(json_object_get(json_array_get(out, 0), "RepoTags")), 1);
    cr_assert_eq(respond_images(&VIEW(none), NULL, rows, &empty), 0);
    cr_expect_eq(json_array_size(empty), 0);
    cr_assert_eq(respond_filters_parse(RESPOND_IMAGES, "{\"reference\":[\"other*\"]}", &f, &r), 0);
    cr_assert_eq(respond_images(&VIEW(p), f, rows, &miss), 0);
    cr_expect_eq(json_array_size(miss), 0);
}

Test(respond, image_filters)
{
    static const struct {
        const char *filters;
        size_t n;
    } cases[] = {{"{\"reference\":[\"img\"]}", 1}, {"{\"reference\":[\"img:latest\"]}", 1},
        {"{\"reference\":[\"im*\"]}", 1}, {"{\"reference\":[\"img:1\"]}", 0},
        {"{\"reference\":[\"regex:.*\"]}", 0}, {"{\"dangling\":[\"true\"]}", 0},
        {"{\"dangling\":[\"false\"]}", 1}, {"{\"label\":[\"x\"]}", 0}};
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *rows = fixture_file("engine/images.json");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_respond_filters_ struct respond_filters *f = NULL;
        _cleanup_json_ json_t *out = NULL;
        struct refusal r = {0};

        cr_assert_eq(respond_filters_parse(RESPOND_IMAGES, cases[i].filters, &f, &r), 0);
        cr_assert_eq(respond_images(&VIEW(p), f, rows, &out), 0);
        cr_expect_eq(json_array_size(out), cases[i].n, "%s", cases[i].filters);
    }
    struct respond_filters *f = NULL;
    struct refusal r = {0};
    cr_expect_eq(respond_filters_parse(RESPOND_IMAGES, "{\"before\":[\"x\"]}", &f, &r), -EPERM);
}

Test(respond, image_inspect_and_history)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *image = fixture_file("engine/image.json"),
                          *rows = fixture_file("engine/history.json");
    _cleanup_json_ json_t *out = NULL, *history = NULL;

    json_array_append_new(json_object_get(image, "RepoTags"), json_string("secret:1"));
    json_object_set_new(image, "RepoDigests", json_pack("[s]", "secret@sha256:00"));
    json_object_set_new(json_array_get(rows, 0), "Tags", json_pack("[s, s]", "img:latest", "secret:1"));
    cr_assert_eq(respond_image_inspect(&VIEW(p), image, &out), 0);
    /* There for a client that looks into it, with nothing of the engine's. */
    cr_expect(json_is_object(json_object_get(out, "ContainerConfig")));
    cr_expect_eq(json_object_size(json_object_get(out, "ContainerConfig")), 0);
    cr_assert_eq(respond_image_history(&VIEW(p), rows, &history), 0);
    _cleanup_free_ char *a = json_to_string(out), *b = json_to_string(history);
    cr_expect_null(strstr(a, "secret"), "%s", a);
    cr_expect_null(strstr(a, "GraphDriver"));
    cr_expect_null(strstr(b, "secret"), "%s", b);
    cr_expect(strstr(a, "img:latest") && strstr(b, "img:latest"));
    cr_expect_str_eq(json_string_value(json_object_get(out, "Os")), "linux");
}

Test(respond, network_shows_own_members_only)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *in = fixture_file("engine/network.json"), *out = NULL;
    json_t *foreign = NULL;

    json_object_set_new(
        json_object_get(in, "Containers"), FIXTURE_FOREIGN, json_pack("{s:s}", "Name", "victim"));
    cr_expect_eq(respond_network(&VIEW(p), in, &foreign), -EBADMSG);
    p->network_id = strdup("de6cc1e2a8d765dc93b609448759c5946548ba0435511e1a01485924c1701691");
    cr_assert_eq(respond_network(&VIEW(p), in, &out), 0);
    cr_expect_eq(json_object_size(json_object_get(out, "Containers")), 1);
    _cleanup_free_ char *text = json_to_string(out);
    cr_expect_null(strstr(text, "victim"));
}

Test(respond, create_answers)
{
    _cleanup_json_ json_t *good =
        fixture_json("{\"Id\":\"" FIXTURE_OWN "\",\"Warnings\":[\"w\",1],\"Extra\":1}");
    _cleanup_json_ json_t *bad = fixture_json("{\"Id\":\"abcd\"}"), *out = NULL, *exec = NULL;
    char id[65] = "";
    json_t *none = NULL;

    cr_assert_eq(respond_create(good, id, &out), 0);
    cr_expect_str_eq(id, FIXTURE_OWN);
    _cleanup_free_ char *text = json_to_string(out);
    cr_expect_str_eq(text, "{\"Id\":\"" FIXTURE_OWN "\",\"Warnings\":[\"w\"]}");
    cr_assert_eq(respond_exec_create(good, id, &exec), 0);
    cr_expect_eq(json_object_size(exec), 1);
    cr_expect_eq(respond_create(bad, id, &none), -EBADMSG);
    cr_expect_eq(respond_exec_create(bad, id, &none), -EBADMSG);
    cr_expect_null(none);
}

/* ---------------------------------------------------------------- events */
static bool event_passes(const struct policy *p, const char *text, const char *filters)
{
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    _cleanup_json_ json_t *in = fixture_json(text), *out = NULL;
    struct refusal r = {0};

    cr_assert_eq(respond_filters_parse(RESPOND_EVENTS, filters, &f, &r), 0, "%s", r.reason);
    cr_assert_eq(respond_event(&VIEW(p), f, in, &out), 0);
    return out != NULL;
}

#define EVENT(type, action, id, tenant)                                                                      \
    "{\"Type\":\"" type "\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" id                               \
    "\",\"Attributes\":{\"clawsup.tenant\":\"" tenant                                                        \
    "\",\"clawsup.image\":\"img\",\"clawsup.binds\":\"[]\",\"image\":\"sha256:22\",\"name\":"                \
    "\"openclaw-sbx-a-x\",\"exitCode\":\"1\"}},\"time\":1,\"timeNano\":2}"

Test(respond, events_of_own_containers_only)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    static const char start[] = EVENT("container", "start", FIXTURE_OWN, "a");

    cr_expect(event_passes(p, start, NULL));
    cr_expect_not(event_passes(p, EVENT("container", "start", FIXTURE_FOREIGN, "a"), NULL));
    cr_expect_not(event_passes(p, EVENT("container", "start", FIXTURE_OWN, "b"), NULL));
    cr_expect_not(event_passes(p, EVENT("network", "connect", FIXTURE_OWN, "a"), NULL));
    cr_expect_not(event_passes(p, EVENT("container", "exec_create: ls /secret", FIXTURE_OWN, "a"), NULL));
    cr_expect_not(event_passes(p, EVENT("container", "exec_die", FIXTURE_OWN, "a"), NULL));
    cr_expect_not(event_passes(p, "{}", NULL));
    cr_expect(event_passes(p, start, "{\"event\":[\"start\",\"die\"],\"type\":[\"container\"]}"));
    cr_expect_not(event_passes(p, start, "{\"event\":[\"die\"]}"));
    cr_expect_not(event_passes(p, start, "{\"type\":[\"network\"]}"));
    cr_expect(event_passes(p, start, "{\"container\":[\"openclaw-sbx-a-x\"]}"));
    cr_expect(event_passes(p, start, "{\"container\":[\"aaaaaa\"],\"image\":[\"img\"]}"));
    cr_expect_not(event_passes(p, start, "{\"container\":[\"other\"]}"));
    cr_expect_not(event_passes(p, start, "{\"label\":[\"clawsup.binds\"]}"));
}

Test(respond, events_are_rebuilt)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *in = fixture_json(EVENT("container", "die", FIXTURE_OWN, "a")), *out = NULL;
    _cleanup_json_ json_t *want =
        fixture_json("{\"status\":\"die\",\"id\":\"" FIXTURE_OWN
                     "\",\"from\":\"img\",\"Type\":\"container\",\"Action\":\"die\","
                     "\"Actor\":{\"ID\":\"" FIXTURE_OWN
                     "\",\"Attributes\":{\"clawsup.tenant\":\"a\",\"clawsup.image\":\"img\","
                     "\"image\":\"img\",\"name\":\"x\",\"exitCode\":\"1\"}},\"time\":1,\"timeNano\":2}");

    p->names = POLICY_NAMES_NAMESPACED;
    cr_assert_eq(respond_event(&VIEW(p), NULL, in, &out), 0);
    cr_expect(json_equal(out, want), "%s", json_dumps(out, 0));
}

/* A stream as an engine wrote it: containers made, started, exec-ed in, on a network. */
Test(respond, recorded_events)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    size_t shown = 0, hidden = 0;

    cr_assert_eq(fd_read_file("tests/unit/data/engine/events.txt", (size_t)1 << 20, &text, NULL), 0);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        _cleanup_json_ json_t *in = fixture_json(line), *out = NULL;

        cr_assert_eq(respond_event(&VIEW(p), NULL, in, &out), 0);
        bool quiet = strstr(line, "exec_") || strstr(line, "\"Type\":\"network\"");
        cr_expect_eq(out == NULL, quiet, "%s", line);
        shown += out != NULL;
        hidden += out == NULL;
        if (out) {
            _cleanup_free_ char *rebuilt = json_to_string(out);
            cr_expect_null(strstr(rebuilt, "staging"), "%s", rebuilt);
        }
    }
    cr_expect_gt(shown, 0);
    cr_expect_gt(hidden, 0);
}

/* ---------------------------------------------------------------- synthesised answers and errors */
Test(respond, version_and_info_are_our_own)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    struct respond_engine e = {"20.10.24", "1.41", "1.24", "amd64", 3, 1, 1};
    _cleanup_json_ json_t *version = NULL, *info = NULL;

    cr_assert_eq(respond_version(p, &e, &version), 0);
    cr_expect_str_eq(json_string_value(json_object_get(version, "Version")), "20.10.24");
    cr_expect_str_eq(json_string_value(json_object_get(version, "ApiVersion")), "1.41");
    cr_assert_eq(respond_info(p, &e, &info), 0);
    cr_expect_str_eq(json_string_value(json_object_get(info, "OSType")), "linux");
    cr_expect_str_eq(json_string_value(json_object_get(info, "ID")), "clawsup-a");
    cr_expect_str_eq(json_string_value(json_object_get(info, "Architecture")), "x86_64");
    cr_expect_eq(json_integer_value(json_object_get(info, "ContainersStopped")), 1);
    cr_expect_eq(json_integer_value(json_object_get(info, "NCPU")), 1);
}

Test(respond, error_bodies)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    struct refusal deny = {403, "r", "no"}, absent = {404, "r", "No such container: x"};
    _cleanup_free_ char *a = respond_message("No such container: x"), *b = respond_refusal(&deny),
                        *c = respond_refusal(&absent);

    cr_expect_str_eq(a, "{\"message\":\"No such container: x\"}\n");
    cr_expect_str_eq(b, "{\"message\":\"clawsup: no\"}\n");
    cr_expect_str_eq(c, a);

    _cleanup_json_ json_t *err = fixture_json("{\"message\":\"name /openclaw-sbx-a-x is in use\",\"x\":1}");
    _cleanup_json_ json_t *odd = fixture_json("{\"x\":1}");
    _cleanup_free_ char *scoped = respond_engine_error(&VIEW(p), err),
                        *none = respond_engine_error(&VIEW(p), odd);
    cr_expect_str_eq(scoped, "{\"message\":\"name /openclaw-sbx-a-x is in use\"}\n");
    cr_expect_str_eq(none, "{\"message\":\"the engine gave no reason\"}\n");
    p->names = POLICY_NAMES_NAMESPACED;
    _cleanup_free_ char *mapped = respond_engine_error(&VIEW(p), err);
    cr_expect_str_eq(mapped, "{\"message\":\"name /x is in use\"}\n");
}

Test(respond, long_engine_errors_are_cut_at_a_character)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    char text[4000];

    memset(text, 'x', sizeof(text));
    for (size_t i = 1; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof(text) - 1] = text[sizeof(text) - 2] = '\0';
    text[3999 - 2] = '\0';
    _cleanup_json_ json_t *err = json_pack("{s:s}", "message", text);
    cr_assert(err);
    _cleanup_free_ char *out = respond_engine_error(&VIEW(p), err);
    cr_assert(out);
    _cleanup_json_ json_t *back = fixture_json(out);
    cr_expect(json_string_length(json_object_get(back, "message")) <= 1024);
}

/* ---------------------------------------------------------------- decision records */
static json_t *written(const struct decision *d)
{
    _cleanup_buf_ struct buf text = {.limit = DECISION_MAX};
    struct err e = {{0}};
    json_t *j = NULL;

    cr_assert_eq(decision_write(d, &text), 0);
    cr_assert_eq(json_load_strict(text.data, text.len, DECISION_MAX, &j, &e), 0, "%s: %s", e.msg, text.data);
    return j;
}

Test(decision, record_of_an_exec)
{
    _cleanup_json_ json_t *argv = fixture_json("[\"sh\",\"-c\",\"echo \\\"x\\\"\\n\"]");
    _cleanup_json_ json_t *env = fixture_json("[\"TOKEN=secret\",\"A\"]");
    struct decision d = {.time_us = 5,
        .tenant = "a",
        .peer = "uid=1",
        .method = "POST",
        .route = "exec-create",
        .object_id = FIXTURE_OWN,
        .verdict = DECISION_DENY,
        .rule = "exec.User",
        .reason = "no\nline",
        .status = 403,
        .latency_us = 7,
        .argv = argv,
        .env = env};

    _cleanup_json_ json_t *out = written(&d);
    _cleanup_json_ json_t *want = fixture_json(
        "{\"type\":\"decision\",\"time_us\":5,\"decision\":\"deny\",\"latency_us\":7,\"tenant\":\"a\","
        "\"peer\":"
        "\"uid=1\",\"method\":\"POST\",\"route\":\"exec-create\",\"object\":\"" FIXTURE_OWN "\",\"rule\":"
        "\"exec.User\",\"reason\":\"no?line\",\"status\":403,\"argv\":[\"sh\",\"-c\",\"echo \\\"x\\\"?\"],"
        "\"env\":[\"TOKEN\",\"A\"]}");
    cr_expect(json_equal(out, want), "%s", json_dumps(out, 0));
}

Test(decision, records_are_bounded)
{
    json_t *argv = json_array(), *env = json_array(), *out;
    char quotes[4096];

    memset(quotes, '"', sizeof(quotes) - 1);
    quotes[sizeof(quotes) - 1] = '\0';
    for (int i = 0; i < 1000; i++) {
        json_array_append_new(argv, json_string(i % 2 ? quotes : ""));
        json_array_append_new(env, json_string(quotes));
    }
    struct decision d = {.tenant = quotes,
        .peer = quotes,
        .method = quotes,
        .route = quotes,
        .object_id = quotes,
        .rule = quotes,
        .reason = quotes,
        .image = quotes,
        .argv = argv,
        .env = env,
        .time_us = UINT64_MAX,
        .latency_us = UINT64_MAX};
    out = written(&d);
    cr_expect(json_is_true(json_object_get(out, "argv_cut")));
    json_decref(argv);
    json_decref(env);
    json_decref(out);
}

Test(decision, outside_text_is_cleaned)
{
    struct decision d = {.reason = "\xff\x01\xc3\xa9", .peer = "\xc3\xa9"};
    _cleanup_json_ json_t *out = written(&d);
    _cleanup_buf_ struct buf full = {.limit = 20};

    cr_expect_eq(decision_write(&d, &full), -E2BIG);
    cr_expect_eq(full.len, 0);
    cr_expect_str_eq(json_string_value(json_object_get(out, "reason")), "????");
    cr_expect_str_eq(json_string_value(json_object_get(out, "peer")), "\xc3\xa9");
    cr_expect_str_eq(decision_verdict_to_string(DECISION_ALLOW), "allow");
    cr_expect_str_eq(decision_verdict_to_string(DECISION_ERROR), "error");
}
