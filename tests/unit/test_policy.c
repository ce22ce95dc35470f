/* test_policy.c: policies: defaults, the JSON form both ways, each check. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "filter_fixture.h"

static json_t *full(void)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    json_t *j = NULL;

    fixture_network(p);
    cr_assert_eq(policy_to_json(p, &j), 0);
    return j;
}

Test(policy, defaults_are_valid_and_closed)
{
    _cleanup_policy_ struct policy *p = policy_new("a");
    struct err e = {{0}};

    cr_assert(p);
    cr_expect_eq(policy_validate(p, &e), 0, "%s", e.msg);
    cr_expect_str_eq(p->match_container_name, "openclaw-sbx-a-*");
    cr_expect_str_eq(p->name_prefix, "openclaw-sbx-a-");
    cr_expect(p->allow_start && p->allow_stop && p->allow_restart && p->allow_exec);
    cr_expect_not(p->allow_update || p->allow_rename || p->allow_archive_put || p->allow_export ||
                  p->allow_image_pull || p->allow_network_read || p->allow_gateway_exec);
    cr_expect_eq(p->images.n + p->bind_mount_from.n + p->cap_keep.n, 0);
}

Test(policy, json_round_trip_keeps_every_field)
{
    _cleanup_json_ json_t *a = full(), *b = NULL;
    _cleanup_policy_ struct policy *p = NULL;
    struct err e = {{0}};

    /* No field at its default, so that one that is not carried over shows. */
    json_object_set_new(a, "names", json_string("namespaced"));
    json_object_set_new(a, "filter", json_string("report"));
    json_object_set_new(a, "name_prefix", json_string("box-"));
    json_object_set_new(a, "match_container_name", json_string("regex:openclaw-sbx-a-[0-9]+"));
    json_object_set_new(a, "gateway_name", json_string("openclaw-gw-a"));
    json_object_set_new(a, "cgroup_parent", json_string("clawsup-a.slice"));
    json_object_set_new(a, "runtime", json_string("runsc"));
    json_object_set_new(a, "security_opt", json_pack("[s]", "apparmor=x"));
    json_object_set_new(a, "cap_keep", json_pack("[s]", "CHOWN"));
    json_object_set_new(a, "users", json_pack("[s]", "1000"));
    json_object_set_new(a, "api_version", json_string("1.44"));
    json_object_set_new(a, "readonly_rootfs", json_true());
    const char *key;
    json_t *v;
    int n = 7;
    json_object_foreach(a, key, v)
    {
        if (strncmp(key, "allow_", 6) == 0)
            json_object_set_new(a, key, json_boolean(!json_is_true(v)));
        else if (json_is_integer(v) && strcmp(key, "version") != 0)
            json_object_set_new(
                a, key, json_integer(20000000 / n++ * (strcmp(key, "memory_bytes") == 0 ? 4 : 1)));
    }
    json_object_set_new(a, "max_containers", json_integer(3));
    json_object_set_new(a, "max_connections", json_integer(9));
    json_object_set_new(a, "pids", json_integer(11));
    json_object_set_new(a, "nano_cpus", json_integer(500000000));
    cr_assert_eq(policy_from_json(a, &p, &e), 0, "%s", e.msg);
    cr_assert_eq(policy_to_json(p, &b), 0);
    cr_expect(json_equal(a, b), "%s", json_dumps(b, 0));
}

/* Each member of the struct has its row in the table: a new field changes this number. */
Test(policy, json_has_a_row_per_field)
{
    _cleanup_json_ json_t *j = full();

    cr_expect_eq(json_object_size(j), 37);
}

Test(policy, missing_and_unknown_fields_are_errors)
{
    _cleanup_json_ json_t *whole = full();
    const char *key;
    json_t *v;

    json_object_foreach(whole, key, v)
    {
        _cleanup_json_ json_t *part = json_copy(whole);
        struct policy *p = NULL;
        struct err e = {{0}};

        json_object_del(part, key);
        cr_expect_eq(policy_from_json(part, &p, &e), -EINVAL, "without %s", key);
        cr_expect(strstr(e.msg, key), "%s: %s", key, e.msg);
        json_object_set_new(part, key, json_pack("{s:i}", "x", 1));
        cr_expect_eq(policy_from_json(part, &p, &e), -EINVAL, "%s as an object", key);
        cr_expect_null(p);
    }
    json_object_set_new(whole, "extra", json_true());
    struct policy *p = NULL;
    struct err e = {{0}};
    cr_expect_eq(policy_from_json(whole, &p, &e), -EINVAL);
    cr_expect(strstr(e.msg, "extra"));
}

struct row {
    char key[32], value[96], want[32];
};

ParameterizedTestParameters(policy, refused)
{
    static struct row rows[] = {
        {"version", "2", "version"},
        {"tenant", "\"A\"", "tenant"},
        {"tenant", "\"\"", "tenant"},
        {"other_tenants", "[\"a\"]", "other_tenants"},
        {"other_tenants", "[\"B!\"]", "other_tenants"},
        {"names", "\"free\"", "names"},
        {"filter", "\"off\"", "filter"},
        {"filter", "true", "filter"},
        {"match_container_name", "null", "match_container_name"},
        {"match_container_name", "\"*\"", "match_container_name"},
        {"match_container_name", "\"?*\"", "match_container_name"},
        {"match_container_name", "\"openclaw-*\"", "match_container_name"},
        {"match_container_name", "\"regex:.*\"", "match_container_name"},
        {"match_container_name", "\"regex:(\"", "match_container_name"},
        {"match_container_name", "\"\"", "match_container_name"},
        {"name_prefix", "\"x\"", "name_prefix"},
        {"name_prefix", "\"-x-\"", "name_prefix"},
        {"name_prefix", "\"openclaw-gw-\"", "name_prefix"},
        {"name_prefix", "null", "name_prefix"},
        {"images", "[\"\"]", "images"},
        {"images", "[\"a\\nb\"]", "images"},
        {"images", "[\"img\",\"img\"]", "images"},
        {"bind_mount_from", "[\"/\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"data\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"/data/../etc\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"/etc/x\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"/run/clawsup\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"/var/lib\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"/var/lib/docker/x\"]", "bind_mount_from"},
        {"bind_mount_from", "[\"/data/a:b\"]", "bind_mount_from"},
        {"cap_keep", "[\"SYS_ADMIN\"]", "cap_keep"},
        {"security_opt", "[\"label=disable\"]", "security_opt"},
        {"security_opt", "[\"seccomp=unconfined\"]", "security_opt"},
        {"security_opt", "[\"no-new-privileges:false\"]", "security_opt"},
        {"memory_bytes", "0", "memory_bytes"},
        {"nano_cpus", "0", "nano_cpus"},
        {"pids", "0", "pids"},
        {"shm_bytes", "0", "shm_bytes"},
        {"tmpfs_bytes", "0", "tmpfs_bytes"},
        {"max_containers", "0", "max_containers"},
        {"max_connections", "0", "max_connections"},
        {"max_connections", "-1", "max_connections"},
        {"network_id", "\"abc\"", "network_id"},
        {"network_id", "null", "network_name"},
        {"network_name", "\"host\"", "network_name"},
        {"cgroup_parent", "\"/a/../b\"", "cgroup_parent"},
        {"gateway_name", "\"/x\"", "gateway_name"},
        {"api_version", "\"2.0\"", "api_version"},
        {"api_version", "\"1.24\"", "api_version"},
        {"api_version", "\"1.41.0\"", "api_version"},
        {"api_version", "\"123456789\"", "api_version"},
        {"readonly_rootfs", "1", "readonly_rootfs"},
    };
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, policy, refused)
{
    _cleanup_json_ json_t *j = full();
    struct policy *p = NULL;
    struct err e = {{0}};

    json_object_set_new(j, row->key, json_loads(row->value, JSON_DECODE_ANY, NULL));
    cr_expect_eq(policy_from_json(j, &p, &e), -EINVAL, "%s = %s", row->key, row->value);
    cr_expect(strstr(e.msg, row->want), "%s = %s: %s", row->key, row->value, e.msg);
    cr_expect_null(p);
}

Test(policy, lists_are_bounded)
{
    struct policy_list l = {0};
    char item[16];

    for (int i = 0; i < POLICY_LIST_MAX; i++) {
        (void)snprintf(item, sizeof(item), "i%d", i);
        cr_assert_eq(policy_list_add(&l, item), 0);
    }
    cr_expect_eq(policy_list_add(&l, "x"), -E2BIG);
    cr_expect(policy_list_has(&l, "i31"));
    cr_expect_not(policy_list_has(&l, "i"));
    for (size_t i = 0; i < l.n; i++)
        free(l.items[i]);
    free(l.items);
}

Test(policy, images_by_text_with_latest_implied)
{
    _cleanup_policy_ struct policy *p = fixture_policy();

    cr_assert_eq(policy_list_add(&p->images, "reg:5000/x"), 0);
    cr_assert_eq(policy_list_add(&p->images, "y:latest"), 0);
    cr_assert_eq(policy_list_add(&p->images, "z@sha256:00"), 0);
    static const char *const yes[] = {"img", "img:latest", "openclaw-sandbox:bookworm-slim", "reg:5000/x",
        "reg:5000/x:latest", "y", "y:latest", "z@sha256:00"};
    static const char *const no[] = {"", "im", "img2", "img:1", "IMG", "openclaw-sandbox", "reg:5000",
        "openclaw-sandbox:bookworm-slim:latest", "z", "z@sha256:00:latest", "y:latest:latest", "library/img"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        cr_expect(policy_allows_image(p, yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        cr_expect_not(policy_allows_image(p, no[i]), "%s", no[i]);
}

Test(policy, the_longest_bind_root_covers)
{
    _cleanup_policy_ struct policy *p = fixture_policy();

    cr_assert_eq(policy_list_add(&p->bind_mount_from, "/data/tenants/a/workspace/deep"), 0);
    cr_expect_str_eq(policy_bind_root(p, "/data/tenants/a/workspace/x"), "/data/tenants/a/workspace");
    cr_expect_str_eq(
        policy_bind_root(p, "/data/tenants/a/workspace/deep/x"), "/data/tenants/a/workspace/deep");
    cr_expect_null(policy_bind_root(p, "/data/tenants/a/workspaces"));
    cr_expect_null(policy_bind_root(p, "/data/tenants/a"));
}
