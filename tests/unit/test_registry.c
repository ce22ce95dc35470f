/* test_registry.c: what is own, by which reference it is found, and how lists and creates meet. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/registry.h"

static struct policy *policy;
static struct names *names;
static struct registry *reg;
static unsigned unstaged;

static void setup(void)
{
    struct err e = {0};

    unstaged = 0;
    policy = policy_new("a");
    cr_assert_not_null(policy);
    policy->max_containers = 3;
    cr_assert_geq(policy_list_add(&policy->bind_mount_from, "/data/a/workspace"), 0);
    cr_assert_geq(names_new(policy, &names, &e), 0, "%s", e.msg);
    cr_assert_geq(registry_new(policy, names, &reg), 0);
}

static void teardown(void)
{
    reg = registry_free(reg);
    names = names_free(names);
    policy = policy_free(policy);
}

TestSuite(registry, .init = setup, .fini = teardown);

/* 64 digits: `prefix`, then `fill`. */
static const char *id_of(const char *prefix, char fill)
{
    static char ids[8][65];
    static unsigned next;
    char *id = ids[next++ % 8];

    memset(id, fill, 64);
    memcpy(id, prefix, strlen(prefix));
    id[64] = '\0';
    return id;
}

static json_t *row(const char *id, const char *name, const char *tenant, const char *role)
{
    return json_pack("{s:s, s:[s], s:{s:s, s:s}, s:[{s:s, s:s}]}", "Id", id, "Names", name, "Labels",
        "clawsup.tenant", tenant, "clawsup.role", role, "Mounts", "Type", "bind", "Source", "/staging/a/1");
}

static void count_unstage(void *ctx, const char *path)
{
    (void)ctx;
    cr_expect_str_eq(path, "/staging/a/1");
    unstaged++;
}

Test(registry, finds_in_the_engines_order)
{
    const char *one = id_of("abcd1", '0'), *two = id_of("abcd2", '0');

    cr_assert_geq(registry_add(reg, one, "openclaw-sbx-a-x"), 0);
    cr_assert_geq(registry_add(reg, two, "openclaw-sbx-a-y"), 0);
    cr_expect_str_eq(registry_find(reg, one), one);
    cr_expect_str_eq(registry_find(reg, "openclaw-sbx-a-y"), two);
    cr_expect_str_eq(registry_find(reg, "abcd1"), one);
    cr_expect_null(registry_find(reg, "abcd"), "ambiguous");
    cr_expect_null(registry_find(reg, "abc"), "too short");
    cr_expect_null(registry_find(reg, "ABCD1"), "the engine's ids are lower case");
    cr_expect_null(registry_find(reg, ""));
    cr_expect_null(registry_find(reg, id_of("abcd3", '0')));
}

Test(registry, refuses_what_is_no_id_and_no_own_name)
{
    cr_expect_eq(registry_add(reg, "abc", "openclaw-sbx-a-x"), -EINVAL);
    cr_expect_eq(registry_add(reg, id_of("a", 'g'), "openclaw-sbx-a-x"), -EINVAL);
    cr_expect_eq(registry_add(reg, id_of("a", '0'), "openclaw-sbx-b-x"), -EINVAL);
    cr_expect_eq(registry_count(reg), 0);
}

Test(registry, a_name_moves)
{
    const char *one = id_of("1", '0');

    cr_assert_geq(registry_add(reg, one, "openclaw-sbx-a-x"), 0);
    cr_assert_geq(registry_add(reg, one, "openclaw-sbx-a-y"), 0);
    cr_expect_eq(registry_count(reg), 1);
    cr_expect_null(registry_find(reg, "openclaw-sbx-a-x"));
    cr_expect_str_eq(registry_find_engine_name(reg, "openclaw-sbx-a-y"), one);
}

Test(registry, client_names_in_namespaced_mode)
{
    struct err e = {0};
    const char *one = id_of("1", '0');

    teardown();
    policy = policy_new("a");
    policy->names = POLICY_NAMES_NAMESPACED;
    cr_assert_geq(names_new(policy, &names, &e), 0, "%s", e.msg);
    cr_assert_geq(registry_new(policy, names, &reg), 0);
    cr_assert_geq(registry_add(reg, one, "openclaw-sbx-a-agent"), 0);
    cr_expect_str_eq(registry_find(reg, "agent"), one);
    cr_expect_null(registry_find(reg, "openclaw-sbx-a-agent"));
}

Test(registry, a_list_takes_in_only_what_has_label_role_and_name)
{
    json_t *rows = json_array();

    json_array_append_new(rows, row(id_of("1", '0'), "/openclaw-sbx-a-x", "a", "sandbox"));
    json_array_append_new(rows, row(id_of("2", '0'), "/openclaw-sbx-a-y", "b", "sandbox"));
    json_array_append_new(rows, row(id_of("3", '0'), "/openclaw-sbx-a-z", "a", "gateway"));
    json_array_append_new(rows, row(id_of("4", '0'), "/openclaw-sbx-b-x", "a", "sandbox"));
    json_array_append_new(rows, row(id_of("5", '0'), "/other/openclaw-sbx-a-alias", "a", "sandbox"));
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), 1);
    cr_expect_eq(registry_count(reg), 1);
    cr_expect(registry_has(reg, id_of("1", '0')));
    json_decref(rows);
}

Test(registry, a_list_without_form_changes_nothing)
{
    json_t *rows = json_pack("[{s:s}]", "Id", "short"), *object = json_object();

    cr_assert_geq(registry_add(reg, id_of("1", '0'), "openclaw-sbx-a-x"), 0);
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), -EBADMSG);
    cr_expect_eq(registry_sync(reg, object), -EBADMSG);
    cr_expect_eq(registry_count(reg), 1);
    json_decref(rows);
    json_decref(object);
}

Test(registry, what_was_created_while_a_list_was_on_its_way_stays)
{
    json_t *empty = json_array();

    cr_assert_geq(registry_add(reg, id_of("1", '0'), "openclaw-sbx-a-old"), 0);
    registry_mark(reg);
    cr_assert_geq(registry_add(reg, id_of("2", '0'), "openclaw-sbx-a-new"), 0);
    cr_expect_eq(registry_sync(reg, empty), 1);
    cr_expect_not(registry_has(reg, id_of("1", '0')));
    cr_expect(registry_has(reg, id_of("2", '0')));
    cr_expect(registry_was_own(reg, id_of("1", '0')));
    json_decref(empty);
}

Test(registry, what_was_renamed_while_a_list_was_on_its_way_keeps_its_new_name)
{
    const char *one = id_of("1", '0');
    json_t *rows = json_array();

    json_array_append_new(rows, row(one, "/openclaw-sbx-a-old", "a", "sandbox"));
    cr_assert_geq(registry_add(reg, one, "openclaw-sbx-a-old"), 0);
    registry_mark(reg);
    cr_assert_geq(registry_rename(reg, one, "openclaw-sbx-a-new"), 0);
    cr_expect_eq(registry_sync(reg, rows), 0);
    cr_expect_null(registry_find_engine_name(reg, "openclaw-sbx-a-old"), "the old name is free for another");
    cr_expect_not_null(registry_find(reg, "openclaw-sbx-a-new"));
    registry_mark(reg); /* somebody has renamed it back since */
    cr_expect_eq(registry_sync(reg, rows), 0);
    cr_expect_not_null(registry_find(reg, "openclaw-sbx-a-old"));
    cr_expect_eq(registry_rename(reg, id_of("2", '0'), "openclaw-sbx-a-new"), -ENOENT);
    json_decref(rows);
}

Test(registry, what_was_removed_while_a_list_was_on_its_way_stays_away)
{
    const char *one = id_of("1", '0');
    json_t *rows = json_array();

    json_array_append_new(rows, row(one, "/openclaw-sbx-a-x", "a", "sandbox"));
    cr_assert_geq(registry_add(reg, one, "openclaw-sbx-a-x"), 0);
    registry_mark(reg);
    registry_remove(reg, one);
    cr_expect_eq(registry_sync(reg, rows), 0);
    cr_expect_null(registry_find_engine_name(reg, "openclaw-sbx-a-x"), "its name is free for another");
    registry_mark(reg); /* a later list says that it is there after all */
    cr_expect_eq(registry_sync(reg, rows), 1);
    cr_expect(registry_has(reg, one));
    json_decref(rows);
}

Test(registry, a_create_under_way_is_left_to_itself)
{
    json_t *rows = json_array();

    json_array_append_new(rows, row(id_of("1", '0'), "/openclaw-sbx-a-x", "a", "sandbox"));
    cr_assert_eq(registry_reserve(reg, "openclaw-sbx-a-x"), 0);
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), 0);
    cr_expect_eq(registry_count(reg), 0);
    registry_release(reg, "openclaw-sbx-a-x");
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), 1);
    json_decref(rows);
}

Test(registry, a_banned_id_never_comes_in)
{
    json_t *rows = json_array();

    json_array_append_new(rows, row(id_of("1", '0'), "/openclaw-sbx-a-x", "a", "sandbox"));
    registry_ban(reg, id_of("1", '0'));
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), 0);
    cr_expect_eq(registry_count(reg), 0);
    json_decref(rows);
}

Test(registry, room_counts_what_is_being_created)
{
    cr_assert_geq(registry_add(reg, id_of("1", '0'), "openclaw-sbx-a-1"), 0);
    cr_expect_eq(registry_reserve(reg, "openclaw-sbx-a-2"), 0);
    cr_expect_eq(registry_reserve(reg, "openclaw-sbx-a-2"), -EEXIST);
    cr_expect_eq(registry_reserve(reg, "openclaw-sbx-a-3"), 0);
    cr_expect_eq(registry_reserve(reg, "openclaw-sbx-a-4"), -EDQUOT);
    registry_release(reg, "openclaw-sbx-a-2");
    registry_release(reg, "openclaw-sbx-a-2");
    cr_expect_eq(registry_reserve(reg, "openclaw-sbx-a-4"), 0);
}

Test(registry, staged_paths_go_with_their_container)
{
    const char *one = id_of("1", '0');
    json_t *rows = json_array();

    registry_set_unstage(reg, count_unstage, NULL);
    json_array_append_new(rows, row(one, "/openclaw-sbx-a-x", "a", "sandbox"));
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), 1);
    cr_expect(registry_needs_staging(reg, one), "made by a proxy before us");
    registry_set_staging_done(reg, one);
    cr_expect_not(registry_needs_staging(reg, one));
    cr_expect_geq(registry_add_staged(reg, one, "/staging/a/1"), 0);
    registry_remove(reg, one);
    cr_expect_eq(unstaged, 1);
    cr_expect_eq(registry_add_staged(reg, one, "/staging/a/2"), -ENOENT);
    json_decref(rows);
}

Test(registry, a_root_that_is_bound_itself_was_not_staged)
{
    const char *one = id_of("1", '0');
    json_t *rows = json_array(), *r = row(one, "/openclaw-sbx-a-x", "a", "sandbox");

    json_object_set_new(
        r, "Mounts", json_pack("[{s:s, s:s}]", "Type", "bind", "Source", "/data/a/workspace"));
    json_array_append_new(rows, r);
    registry_mark(reg);
    cr_expect_eq(registry_sync(reg, rows), 1);
    cr_expect_not(registry_needs_staging(reg, one));
    json_decref(rows);
}

Test(registry, execs_are_known_and_single_use)
{
    const char *c = id_of("1", '0'), *e = id_of("e", '1');

    cr_assert_geq(registry_add(reg, c, "openclaw-sbx-a-x"), 0);
    cr_expect_geq(registry_exec_add(reg, e, c), 0);
    cr_expect_eq(registry_exec_start(reg, id_of("f", '1')), -ENOENT);
    cr_expect_eq(registry_exec_start(reg, ""), -ENOENT);
    cr_expect_eq(registry_exec_start(reg, e), 0);
    cr_expect_eq(registry_exec_start(reg, e), -EALREADY);
    cr_expect_str_eq(registry_exec_find(reg, e)->container, c);
    registry_remove(reg, c);
    cr_expect_null(registry_exec_find(reg, e), "gone with its container");
}

Test(registry, old_execs_are_forgotten)
{
    char id[65];

    for (unsigned i = 0; i < REGISTRY_EXECS_MAX + 5; i++) {
        (void)snprintf(id, sizeof(id), "%064x", i + 1);
        cr_assert_geq(registry_exec_add(reg, id, id_of("1", '0')), 0);
    }
    (void)snprintf(id, sizeof(id), "%064x", 3U);
    cr_expect_null(registry_exec_find(reg, id));
    (void)snprintf(id, sizeof(id), "%064x", 6U);
    cr_expect_not_null(registry_exec_find(reg, id));
}

Test(registry, binds_are_known_from_a_list_and_from_a_create)
{
    const char *listed = id_of("1", 'a'), *made = id_of("2", 'b');
    json_t *rows = json_pack("[o]", row(listed, "/openclaw-sbx-a-x", "a", "sandbox"));

    cr_expect_geq(registry_add(reg, made, "openclaw-sbx-a-y"), 0);
    cr_expect_eq(registry_sync(reg, rows), 1);
    cr_expect(registry_has_binds(reg, listed));
    cr_expect_not(registry_has_binds(reg, made));
    registry_set_binds(reg, made);
    cr_expect(registry_has_binds(reg, made));
    cr_expect_not(registry_has_binds(reg, id_of("3", 'c')));
    json_decref(rows);
}

Test(registry, execs_that_were_never_started_are_counted)
{
    const char *own = id_of("1", 'a'), *gateway = id_of("2", 'b'), *exec = id_of("3", 'c');

    cr_expect_geq(registry_add(reg, own, "openclaw-sbx-a-x"), 0);
    for (unsigned i = 0; i < REGISTRY_EXECS_IDLE_MAX; i++)
        cr_assert_eq(registry_exec_reserve(reg, own), 0);
    cr_expect_eq(registry_exec_reserve(reg, own), -EDQUOT);
    cr_expect_eq(registry_exec_reserve(reg, gateway), 0, "the gateway has its own count");
    registry_exec_release(reg, own); /* the engine made none */
    cr_expect_eq(registry_exec_reserve(reg, own), 0);
    cr_assert_eq(registry_exec_add(reg, exec, own), 0);
    cr_assert_eq(registry_exec_start(reg, exec), 0);
    cr_expect_eq(registry_exec_reserve(reg, own), 0);
    cr_expect_eq(registry_exec_reserve(reg, own), -EDQUOT);
    registry_exec_release(reg, gateway);
    registry_exec_release(reg, gateway);
    cr_expect_eq(registry_exec_reserve(reg, gateway), 0);
}
