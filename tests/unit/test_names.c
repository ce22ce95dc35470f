/* test_names.c: patterns, and which names a tenant gets in both modes. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "filter/glob.h"
#include "filter/names.h"

struct pattern {
    char pattern[64];
    char name[64];
    int match; /* -EINVAL: does not compile */
};

ParameterizedTestParameters(glob, patterns)
{
    static struct pattern rows[] = {
        {"openclaw-sbx-a-*", "openclaw-sbx-a-x", 1},
        {"openclaw-sbx-a-*", "openclaw-sbx-a-", 1},
        {"openclaw-sbx-a-*", "openclaw-sbx-b-x", 0},
        {"openclaw-sbx-a-*", "xopenclaw-sbx-a-x", 0},
        {"a?c", "abc", 1},
        {"a?c", "ac", 0},
        {"a?c", "abbc", 0},
        {"*a*b*c", "xxaxxbxxbxxc", 1},
        {"*a*b*c", "xxaxxbxxbxxd", 0},
        {"*", "", 1},
        {"a[b]", "a[b]", 1},
        {"a[b]", "ab", 0},
        {"a.c", "abc", 0},
        {"", "", -EINVAL},
        {"a\n", "a", -EINVAL},
        {"regex:", "", -EINVAL},
        {"regex:(", "(", -EINVAL},
        {"regex:a\\Cb", "axb", -EINVAL},
        {"regex:a|b", "a", 1},
        {"regex:a|b", "ax", 0},
        {"regex:a|b", "xb", 0},
        {"regex:a$", "a\n", 0},
        {"regex:sbx-[0-9]{3}", "sbx-123", 1},
        {"regex:sbx-[0-9]{3}", "sbx-1234", 0},
        {"regex:((((a))))", "a", 1},
        {"regex:(a+)+", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 0},
        {"regex:(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
    };
    return cr_make_param_array(struct pattern, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct pattern *p, glob, patterns)
{
    _cleanup_glob_ struct glob *g = NULL;
    struct err e = {{0}};
    int r = glob_new(p->pattern, &g, &e);

    cr_assert_eq(r, p->match < 0 ? p->match : 0, "%s: %s", p->pattern, e.msg);
    if (r == 0)
        cr_expect_eq(glob_match(g, p->name), p->match, "%s %s", p->pattern, p->name);
}

Test(glob, limits)
{
    _cleanup_glob_ struct glob *g = NULL;
    char name[300] = "", pattern[300] = "";

    memset(name, 'a', 256);
    memset(pattern, 'a', 257);
    cr_expect_eq(glob_new(pattern, &g, NULL), -EINVAL);
    cr_assert_eq(glob_new("a*", &g, NULL), 0);
    cr_expect_not(glob_match(g, name));
    name[255] = '\0';
    cr_expect(glob_match(g, name));
    cr_expect_str_eq(glob_prefix(g), "a");
}

/* A policy with only what names.c reads: no dependency on how policies are made. */
static struct names *make(bool namespaced, const char *pattern)
{
    static char other_ab[] = "a-b", other_b[] = "b", other_long[] = "a-b-c";
    static char *others[] = {other_ab, other_b, other_long};
    static char prefix[] = "openclaw-sbx-a-";
    char text[64];
    struct policy p = {.tenant = "a",
        .other_tenants = {others, 3},
        .names = namespaced ? POLICY_NAMES_NAMESPACED : POLICY_NAMES_SCOPED,
        .match_container_name = text,
        .name_prefix = prefix};
    struct names *n = NULL;

    (void)snprintf(text, sizeof(text), "%s", pattern);
    cr_assert_eq(names_new(&p, &n, NULL), 0);
    return n;
}

struct name {
    bool namespaced;
    char pattern[32];
    char client[96];
    int r;
    char engine[96];
};

ParameterizedTestParameters(names, to_engine)
{
#define SBX "openclaw-sbx-a-*"
#define X60 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    static struct name rows[] = {
        {false, SBX, "openclaw-sbx-a-x", 0, "openclaw-sbx-a-x"},
        {false, SBX, "openclaw-sbx-a-dead", 0, "openclaw-sbx-a-dead"},
        {false, SBX, "openclaw-sbx-a-" X60 "xxx", 0, "openclaw-sbx-a-" X60 "xxx"},
        {false, SBX, "openclaw-sbx-a-" X60 "xxxx", -EINVAL, ""},
        {false, SBX, "openclaw-sbx-b-x", -EPERM, ""},
        {false, SBX, "openclaw-sbx-a-b-x", -EPERM, ""},
        {false, SBX, "openclaw-sbx-a-b-c-x", -EPERM, ""},
        {false, SBX, "openclaw-sbx-a-bc", 0, "openclaw-sbx-a-bc"},
        {false, SBX, "x", -EINVAL, ""},
        {false, SBX, "xy", -EPERM, ""},
        {false, SBX, "", -EINVAL, ""},
        {false, SBX, "/openclaw-sbx-a-x", -EINVAL, ""},
        {false, SBX, "openclaw-sbx-a-x/y", -EINVAL, ""},
        {false, SBX, "openclaw-sbx-a-x\n", -EINVAL, ""},
        {false, SBX, "openclaw-sbx-a-\xc3\xa9", -EINVAL, ""},
        {false, "*", "openclaw-sbx-b-x", -EPERM, ""},
        {false, "*", "openclaw-gw-a", -EPERM, ""},
        {false, "*", "OpenClaw-GW-a", -EPERM, ""},
        {false, "*", "clawsup-net-a", -EPERM, ""},
        {false, "*", "abcd", -EPERM, ""},
        {false, "*", "ABCD12", -EPERM, ""},
        {false, "*", "abc", 0, "abc"},
        {false, "*", "abcg", 0, "abcg"},
        {false, "*", "x", -EINVAL, ""},
        {false, "*", "_x", -EINVAL, ""},
        {false, "regex:w[0-9]+", "w12", 0, "w12"},
        {false, "regex:w[0-9]+", "w12x", -EPERM, ""},
        {true, "", "x", 0, "openclaw-sbx-a-x"},
        {true, "", "openclaw-sbx-a-x", 0, "openclaw-sbx-a-openclaw-sbx-a-x"},
        {true, "", "b-x", -EPERM, ""},
        {true, "", "b-c-x", -EPERM, ""},
        {true, "", "b", 0, "openclaw-sbx-a-b"},
        {true, "", "beef", -EPERM, ""},
        {true, "", "-x", -EINVAL, ""},
        {true, "", X60 "xxx", 0, "openclaw-sbx-a-" X60 "xxx"},
        {true, "", X60 "xxxx", -EINVAL, ""},
    };
    return cr_make_param_array(struct name, rows, ARRAY_SIZE(rows));
}

/* Also: what the engine then reports maps back to the client's name. */
ParameterizedTest(struct name *row, names, to_engine)
{
    _cleanup_names_ struct names *n = make(row->namespaced, row->pattern);
    char got[NAMES_ENGINE_MAX + 1] = "", back[NAMES_ENGINE_MAX + 1] = "", slashed[NAMES_ENGINE_MAX + 2];
    struct err e = {{0}};

    cr_expect_eq(names_to_engine(n, row->client, got, &e), row->r, "%s: %s", row->client, e.msg);
    cr_expect_str_eq(got, row->engine);
    cr_expect_eq(e.msg[0] != '\0', row->r < 0);
    if (row->r < 0)
        return;
    (void)snprintf(slashed, sizeof(slashed), "/%s", got);
    cr_expect_eq(names_from_engine(n, slashed, back), 0);
    cr_expect_str_eq(back, row->client);
    cr_expect(names_is_own(n, got));
}

Test(names, not_own)
{
    _cleanup_names_ struct names *s = make(false, SBX), *m = make(true, "");
    static const char *const foreign[] = {"/openclaw-sbx-b-x", "/openclaw-sbx-a-b-x", "/x", "", "/",
        "/openclaw-sbx-a-x/alias", "/other/openclaw-sbx-a-x", "//openclaw-sbx-a-x", "/openclaw-gw-a",
        "openclaw-sbx-a"};

    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        cr_expect_not(names_is_own(s, foreign[i]), "scoped %s", foreign[i]);
        cr_expect_not(names_is_own(m, foreign[i]), "namespaced %s", foreign[i]);
    }
}

/* The reason must not name the other tenant. */
Test(names, reason_tells_nothing)
{
    _cleanup_names_ struct names *n = make(false, "*");
    char got[NAMES_ENGINE_MAX + 1];
    struct err e = {{0}};

    cr_expect_eq(names_to_engine(n, "openclaw-sbx-a-b-c-x", got, &e), -EPERM);
    cr_expect_null(strstr(e.msg, "a-b"));
}

Test(names, ids)
{
    char id[80] = "";

    cr_expect_not(names_looks_like_id("abc"));
    cr_expect(names_looks_like_id("abcd"));
    cr_expect(names_looks_like_id("00AA"));
    cr_expect_not(names_looks_like_id("abcdx"));
    memset(id, 'a', 64);
    cr_expect(names_looks_like_id(id));
    id[64] = 'a';
    cr_expect_not(names_looks_like_id(id));
}
