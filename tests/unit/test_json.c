/* test_json.c: one document has one meaning, or is refused. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <string.h>

#include "base/json.h"

struct doc {
    char in[160];
    int r;
};

static int load(const char *text, size_t len, struct err *e)
{
    _cleanup_json_ json_t *j = NULL;
    int r = json_load_strict(text, len, 4096, &j, e);

    cr_expect_eq(r == 0, j != NULL);
    return r;
}

ParameterizedTestParameters(json, documents)
{
    static struct doc rows[] = {
        {"{}", 0},
        {" {\"a\":1}\n", 0},
        {"[{\"a\":1},{\"A\":2}]", 0},
        {"{\"a\":{\"b\":1},\"b\":{\"a\":1}}", 0},
        {"{\"a\":\"}]{[\\\"\\\\\"}", 0},
        {"{\"\\u00e9\":1,\"e\":2}", 0},
        {"{\"k\":\"\xc3\xa9 \\ud83d\\ude00\"}", 0},
        {"", -EINVAL},
        {"1", -EINVAL},
        {"null", -EINVAL},
        {"{\"a\":1}x", -EINVAL},
        {"{\"a\":1}{}", -EINVAL},
        {"{\"a\":1,}", -EINVAL},
        {"{a:1}", -EINVAL},
        {"{'a':1}", -EINVAL},
        {"{\"a\":01}", -EINVAL},
        {"{\"a\":NaN}", -EINVAL},
        {"{\"a\":99999999999999999999}", -EINVAL},
        {"\xef\xbb\xbf{}", -EINVAL},
        {"{\"a\":1,\"a\":1}", -EINVAL},
        {"{\"Privileged\":false,\"privileged\":true}", -EINVAL},
        {"{\"Binds\":null,\"Bind\xc5\xbf\":[\"/:/h\"]}", -EINVAL},
        {"{\"Binds\":null,\"Bind\\u017f\":[\"/:/h\"]}", -EINVAL},
        {"{\"Networ\xe2\x84\xaa\":1,\"Network\":2}", -EINVAL},
        {"{\"Networ\\u212a\":1,\"network\":2}", -EINVAL},
        {"{\"a\":1,\"\\u0041\":2}", -EINVAL},
        {"{\"a\":1,\"\\u0061\":2}", -EINVAL},
        {"{\"x\":[{\"y\":{\"a\":1,\"A\":2}}]}", -EINVAL},
        {"{\"a\":\"\\u0000\"}", -EINVAL},
        {"{\"\\u0000\":1}", -EINVAL},
        {"{\"a\":\"\xff\"}", -EINVAL},
        {"{\"a\":\"\xc0\xaf\"}", -EINVAL},
        {"{\"a\":\"\xed\xa0\x80\"}", -EINVAL},
        {"{\"a\":\"\\ud800\"}", -EINVAL},
        {"{\"a\":\"\\udc00\"}", -EINVAL},
        {"{\"a\":\"\\ud800x\"}", -EINVAL},
        {"{\"a\":\"\n\"}", -EINVAL},
        {"{\"a\":1", -EINVAL},
        {"{\"a\":\"", -EINVAL},
        {"{\"a\":\"\\", -EINVAL},
    };
    return cr_make_param_array(struct doc, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct doc *d, json, documents)
{
    struct err e = {{0}};

    cr_expect_eq(load(d->in, strlen(d->in), &e), d->r, "%s: %s", d->in, e.msg);
    if (d->r < 0)
        cr_expect_neq(e.msg[0], '\0', "%s: no reason", d->in);
}

Test(json, nul_bytes)
{
    cr_expect_eq(load("{}\0", 3, NULL), -EINVAL);
    cr_expect_eq(load("{\"a\":\"x\0y\"}", 11, NULL), -EINVAL);
}

Test(json, size)
{
    _cleanup_json_ json_t *j = NULL;

    cr_expect_eq(json_load_strict("{   }", 5, 4, &j, NULL), -EFBIG);
    cr_expect_eq(json_load_strict("{   }", 5, 5, &j, NULL), 0);
}

static int load_nested(unsigned depth, char open, char close)
{
    char text[512];

    memset(text, open, depth);
    memset(text + depth, close, depth);
    return load(text, 2 * (size_t)depth, NULL);
}

Test(json, depth)
{
    cr_expect_eq(load_nested(JSON_DEPTH_MAX, '[', ']'), 0);
    cr_expect_eq(load_nested(JSON_DEPTH_MAX + 1, '[', ']'), -EINVAL);
    cr_expect_eq(load_nested(200, '[', ']'), -EINVAL);
}

/* Brackets in strings are no depth, and a string cannot hide brackets. */
Test(json, depth_and_strings)
{
    char text[512] = "[\"\\\"";
    size_t n = strlen(text);

    memset(text + n, '[', 100);
    memcpy(text + n + 100, "\"]", 3);
    cr_expect_eq(load(text, strlen(text), NULL), 0);
}

Test(json, many_keys)
{
    char text[4096] = "{";
    size_t n = 1;

    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\"k%d\":%d,", i, i);
    memcpy(text + n, "\"K150\":0}", 10);
    cr_expect_eq(load(text, strlen(text), NULL), -EINVAL);
    memcpy(text + n, "\"K200\":0}", 10);
    cr_expect_eq(load(text, strlen(text), NULL), 0);
}

struct zero {
    char in[32];
    bool zero;
};

ParameterizedTestParameters(json, zero_values)
{
    static struct zero rows[] = {{"[null]", true}, {"[false]", true}, {"[0]", true}, {"[-0]", true},
        {"[0.0]", true}, {"[\"\"]", true}, {"[[]]", true}, {"[{}]", true}, {"[true]", false}, {"[1]", false},
        {"[-0.1]", false}, {"[\"0\"]", false}, {"[[null]]", false}, {"[{\"a\":null}]", false}};
    return cr_make_param_array(struct zero, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct zero *z, json, zero_values)
{
    _cleanup_json_ json_t *j = NULL;

    cr_assert_eq(json_load_strict(z->in, strlen(z->in), 100, &j, NULL), 0);
    cr_expect_eq(json_is_zero(json_array_get(j, 0)), z->zero, "%s", z->in);
}

Test(json, zero_absent)
{
    cr_expect(json_is_zero(NULL));
}

Test(json, text_keeps_the_order_of_keys)
{
    _cleanup_json_ json_t *j = NULL;
    _cleanup_free_ char *text = NULL;

    cr_assert_eq(json_load_strict("{\"b\":1,\"a\": [\"\xc3\xa9\"]}", 19, 100, &j, NULL), 0);
    text = json_to_string(j);
    cr_expect_str_eq(text, "{\"b\":1,\"a\":[\"\xc3\xa9\"]}");
}
