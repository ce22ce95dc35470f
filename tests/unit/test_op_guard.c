/* test_op_guard.c: links that a container has put in the way of its own mounts, in an upper directory made by
 * hand. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "daemon/op.h"

static char upper[64];

static void setup(void)
{
    (void)snprintf(upper, sizeof(upper), "/tmp/clawtest-guard-XXXXXX");
    cr_assert_not_null(mkdtemp(upper));
}

static void teardown(void)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "rm -rf %s", upper);
    cr_expect_eq(system(text), 0); /* NOLINT(cert-env33-c): a fixed command on our own directory */
}

TestSuite(op_guard, .init = setup, .fini = teardown);

static void make(const char *path, const char *link)
{
    char text[160];

    (void)snprintf(text, sizeof(text), "%s%s", upper, path);
    cr_assert_eq(link ? symlink(link, text) : mkdir(text, 0755), 0, "%s", text);
}

static int check(const char *target, bool readonly, bool known)
{
    _cleanup_json_ json_t *j = json_pack("{s:{s:b}, s:[{s:s, s:s}, {s:s, s:s, s:s}], s:{s:o}}", "HostConfig",
        "ReadonlyRootfs", (int)readonly, "Mounts", "Type", "tmpfs", "Destination", "/l", "Type", "bind",
        "Source", "/x", "Destination", target, "GraphDriver", "Data",
        known ? json_pack("{s:s}", "UpperDir", upper) : json_null());
    struct err e = {0};
    int r = op_guard_check(j, &e);

    cr_expect_eq(r < 0, e.msg[0] != '\0');
    return r;
}

Test(op_guard, finds_a_link_at_any_depth)
{
    make("/data", NULL);
    make("/data/tenants", NULL);
    make("/data/tenants/ok", NULL);
    make("/data/tenants/acme", "/dev");
    make("/data/away", "tenants");
    make("/l", "/dev");
    cr_expect_eq(check("/data/tenants/ok", false, true), 0);
    cr_expect_eq(check("/data/tenants/new", false, true), 0, "made by the runtime");
    cr_expect_eq(check("/home/node", false, true), 0, "the image's");
    cr_expect_eq(check("/data/tenants/acme", false, true), -EPERM);
    cr_expect_eq(check("/data/tenants/acme/deeper", false, true), -EPERM);
    cr_expect_eq(check("/data/away/ok", false, true), -EPERM);
    cr_expect_eq(check("/l", false, true), -EPERM);
}

Test(op_guard, looks_only_where_something_can_have_changed)
{
    make("/l", "/dev");
    cr_expect_eq(check("/l", true, true), 0, "nothing was written to a read-only root");
    cr_expect_eq(check("/l", false, false), 0, "another storage driver");
}

Test(op_guard, matters_for_deep_targets)
{
    static const struct {
        const char *target;
        bool readonly, known, want;
    } rows[] = {{"/data/a", false, true, true}, {"/data", false, true, false}, {"/data/a", true, true, false},
        {"/data/a", false, false, false}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_json_ json_t *j = json_pack("{s:{s:b}, s:[{s:s, s:s}], s:{s:o}}", "HostConfig",
            "ReadonlyRootfs", (int)rows[i].readonly, "Mounts", "Type", "bind", "Destination", rows[i].target,
            "GraphDriver", "Data", rows[i].known ? json_pack("{s:s}", "UpperDir", upper) : json_null());

        cr_expect_eq(op_guard_matters(j), rows[i].want, "%s", rows[i].target);
    }
}
