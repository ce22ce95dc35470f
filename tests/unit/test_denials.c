/* test_denials.c: refusals in groups, and the line of the configuration that each rule points to. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "config/config_remedy.h"
#include "config/config_schema.h"
#include "daemon/denials.h"

#define T0 INT64_C(1700000000000000)

static json_t *record(const char *decision, const char *rule, const char *route, const char *reason)
{
    json_t *j = json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:i}", "type", "decision", "decision", decision,
        "rule", rule, "route", route, "reason", reason, "method", "POST", "status", 403);

    cr_assert(j);
    return j;
}

static void add(struct denials *d, json_t *j, int64_t now)
{
    cr_expect_eq(denials_record(d, j, now), 1);
    json_decref(j);
}

static const json_t *row(const json_t *j, size_t i)
{
    return json_array_get(json_object_get(j, "denials"), i);
}

static json_int_t number(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "null";
}

Test(denials, groups_by_rule_and_route)
{
    _cleanup_(denials_freep) struct denials *d = denials_new(T0);
    _cleanup_json_ json_t *j = NULL;

    add(d, record("deny", "allow-update", "container-update", "one"), T0 + 1000000);
    add(d, record("deny", "route-never", "networks", "never"), T0 + 2000000);
    add(d, record("deny", "allow-update", "container-update", "two"), T0 + 3000000);
    add(d, record("report", "allow-update", "container-update", "three"), T0 + 4000000);
    add(d, record("deny", "route-never", "swarm", "never"), T0 + 5000000);
    j = denials_to_json(d, DENIALS_MAX, config_remedy);
    cr_expect_eq(number(j, "groups"), 3);
    cr_expect_str_eq(text(j, "since"), "2023-11-14T22:13:20.000000Z");
    cr_expect_str_eq(text(row(j, 0), "rule"), "allow-update");
    cr_expect_eq(number(row(j, 0), "denied"), 2);
    cr_expect_eq(number(row(j, 0), "reported"), 1);
    cr_expect_str_eq(text(row(j, 0), "reason"), "three");
    cr_expect_str_eq(text(row(j, 0), "first_at"), "2023-11-14T22:13:21.000000Z");
    cr_expect_str_eq(text(row(j, 0), "last_at"), "2023-11-14T22:13:24.000000Z");
    cr_expect_str_eq(text(row(j, 0), "allowed_by"), "proxy.allow.update = true");
    /* as often: the latest first */
    cr_expect_str_eq(text(row(j, 1), "route"), "swarm");
    cr_expect_str_eq(text(row(j, 1), "allowed_by"), "null");
    cr_expect_str_eq(text(row(j, 2), "route"), "networks");
}

Test(denials, passes_over_what_is_none)
{
    _cleanup_(denials_freep) struct denials *d = denials_new(T0);
    static const char *const others[] = {"{\"decision\":\"allow\"}",
        "{\"decision\":\"error\",\"rule\":\"engine\"}", "{}", "{\"decision\":7}", "{\"decision\":null}"};
    _cleanup_json_ json_t *j = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        _cleanup_json_ json_t *r = json_loads(others[i], 0, NULL);
        cr_expect_eq(denials_record(d, r, T0), 0, "%s", others[i]);
    }
    j = denials_to_json(d, DENIALS_MAX, config_remedy);
    cr_expect_eq(number(j, "groups"), 0);
    cr_expect_eq(json_array_size(json_object_get(j, "denials")), 0);
}

/* A proxy that was taken over may say anything. */
Test(denials, texts_are_cut_and_printable)
{
    _cleanup_(denials_freep) struct denials *d = denials_new(T0);
    _cleanup_json_ json_t *odd = json_loads(
        "{\"decision\":\"deny\",\"rule\":17,\"route\":[],\"status\":99999999999,\"reason\":{}}", 0, NULL);
    _cleanup_json_ json_t *j = NULL;
    char longest[3000];

    memset(longest, 'x', sizeof(longest));
    longest[0] = '\033';
    longest[sizeof(longest) - 1] = '\0';
    add(d, record("deny", longest, longest, "caf\303\251"), T0);
    cr_expect_eq(denials_record(d, odd, T0), 1);
    add(d, record("deny", longest, longest, longest), T0);
    j = denials_to_json(d, DENIALS_MAX, config_remedy);
    cr_expect_eq(number(j, "groups"), 2);
    cr_expect_eq(strlen(text(row(j, 0), "rule")), 63);
    cr_expect_eq(text(row(j, 0), "rule")[0], '?');
    cr_expect_eq(strlen(text(row(j, 0), "reason")), 255);
    cr_expect_eq(number(row(j, 1), "status"), 0);
    cr_expect_str_eq(text(row(j, 1), "rule"), "");
    cr_expect_str_eq(text(row(j, 1), "route"), "null");
}

Test(denials, the_one_hit_longest_ago_is_forgotten)
{
    _cleanup_(denials_freep) struct denials *d = denials_new(T0);
    _cleanup_json_ json_t *all = NULL, *some = NULL;
    char rule[32];

    for (int i = 0; i < DENIALS_MAX; i++) {
        (void)snprintf(rule, sizeof(rule), "rule-%d", i);
        add(d, record("deny", rule, NULL, "no"), T0 + i);
    }
    add(d, record("deny", "rule-0", NULL, "no"), T0 + 1000);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(rule, sizeof(rule), "new-%d", i);
        add(d, record("deny", rule, NULL, "no"), T0 + 2000 + i);
    }
    all = denials_to_json(d, DENIALS_MAX, config_remedy);
    cr_expect_eq(number(all, "groups"), DENIALS_MAX);
    cr_expect_eq(number(all, "forgotten"), 3);
    cr_expect_str_eq(text(row(all, 0), "rule"), "rule-0");
    for (size_t i = 0; i < DENIALS_MAX; i++)
        for (int k = 1; k <= 3; k++) {
            (void)snprintf(rule, sizeof(rule), "rule-%d", k);
            cr_expect_str_neq(text(row(all, i), "rule"), rule);
        }
    some = denials_to_json(d, 2, config_remedy);
    cr_expect_eq(json_array_size(json_object_get(some, "denials")), 2);
    cr_expect_eq(number(some, "groups"), DENIALS_MAX);
}

/* ---------------------------------------------------------------- remedies */

/* Does the configuration have the key of "a.b.c = value"? */
static bool key_exists(const char *line)
{
    const struct config_schema *s = &config_schema_tenant;
    const char *p = line;

    while (s) {
        size_t n = strcspn(p, ". ");
        const struct config_key *found = NULL;

        for (size_t i = 0; i < s->n; i++)
            if (strlen(s->keys[i].name) == n && strncmp(s->keys[i].name, p, n) == 0)
                found = &s->keys[i];
        if (!found)
            return false;
        if (p[n] == ' ')
            return !found->group && strncmp(p + n, " = ", 3) == 0;
        s = found->group;
        p += n + 1;
    }
    return false;
}

Test(remedy, every_line_is_a_key)
{
    static const char *const rules[] = {"allow-start", "allow-stop", "allow-restart", "allow-exec",
        "allow-update", "allow-rename", "allow-archive-put", "allow-export", "allow-image-pull",
        "allow-network-read", "gateway-exec", "name", "image-allowlist", "create.Image", "create.User",
        "exec.User", "create.HostConfig.Binds", "create.HostConfig.Mounts", "create.HostConfig.NetworkMode",
        "create.EndpointsConfig", "create.HostConfig.SecurityOpt", "create.HostConfig.Runtime",
        "max-containers", "update.Memory", "update.MemorySwap", "update.NanoCpus", "update.PidsLimit"};

    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        const char *line = config_remedy(rules[i], 403);

        cr_assert(line, "%s", rules[i]);
        cr_expect(key_exists(line), "%s: %s", rules[i], line);
    }
}

Test(remedy, what_no_tenant_may_do_has_none)
{
    static const char *const rules[] = {"route-never", "route-unknown", "not-own", "absent", "http", "json",
        "gateway", "create.HostConfig.Privileged", "create.HostConfig.CapAdd", "create.HostConfig.Devices",
        "bind-source", "", "exec.Privileged", "list.filters", "allow-", "query-key"};

    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        cr_expect_null(config_remedy(rules[i], 403), "%s", rules[i]);
    cr_expect_null(config_remedy("create.Image", 400));
    cr_expect_null(config_remedy("create.User", 413));
    cr_expect(config_remedy("allow-network-read", 404));
}
