/* filter_fixture.h: what the tests of the filter's bodies share: a policy, and JSON from text and from files.
 */
#pragma once

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "filter/policy.h"

#define FIXTURE_NETWORK "1111111111111111111111111111111111111111111111111111111111111111"
#define FIXTURE_IMAGE "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define FIXTURE_OWN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FIXTURE_OWN2 "abababababababababababababababababababababababababababababababab"
#define FIXTURE_FOREIGN "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

/* Tenant "a" with images "img" and the sandbox image, binds from its workspace and sandboxes, no network. */
static inline struct policy *fixture_policy(void)
{
    struct policy *p = policy_new("a");

    cr_assert(p);
    cr_assert_eq(policy_list_add(&p->images, "img"), 0);
    cr_assert_eq(policy_list_add(&p->images, "openclaw-sandbox:bookworm-slim"), 0);
    cr_assert_eq(policy_list_add(&p->bind_mount_from, "/data/tenants/a/workspace"), 0);
    cr_assert_eq(policy_list_add(&p->bind_mount_from, "/data/tenants/a/sandboxes"), 0);
    cr_assert_eq(policy_list_add(&p->other_tenants, "b"), 0);
    return p;
}

static inline void fixture_network(struct policy *p)
{
    p->network_id = strdup(FIXTURE_NETWORK);
    p->network_name = strdup("clawsup-net-a");
    cr_assert(p->network_id && p->network_name);
}

static inline json_t *fixture_json(const char *text)
{
    struct err e = {{0}};
    json_t *j = NULL;

    cr_assert_eq(json_load_strict(text, strlen(text), (size_t)1 << 20, &j, &e), 0, "%s in %s", e.msg, text);
    return j;
}

static inline json_t *fixture_file(const char *name)
{
    char path[256];
    _cleanup_free_ char *text = NULL;

    (void)snprintf(path, sizeof(path), "tests/unit/data/%s", name);
    cr_assert_eq(fd_read_file(path, (size_t)1 << 20, &text, NULL), 0, "%s", path);
    return fixture_json(text);
}
