/* test_jdoc.c: what jdoc reads and refuses, and what jout writes. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "base/jdoc.h"
#include "base/jout.h"
#include "base/json.h"

struct text {
    char text[96];
    bool good;
};

ParameterizedTestParameters(jdoc, texts)
{
    static struct text rows[] = {
        {"{}", true},
        {" [ ] ", true},
        {"null", true},
        {"-0.5e+10", true},
        {"\"\"", true},
        {"{\"a\":1,\"A\":2}", true}, /* two labels */
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\"", true},
        {"\"\\u00e9\\ud834\\udd1e\\\"\\\\\\/\\b\\f\\n\\r\\t\"", true},
        {"\"0123456\xc3\xa9\"", true}, /* across the eight bytes that are looked at together */
        {"\"01234567\\n\"", true},
        {"", false},
        {"[", false},
        {"[1,]", false},
        {"[,1]", false},
        {"[1 2]", false},
        {"{\"a\"}", false},
        {"{\"a\":}", false},
        {"{\"a\":1,}", false},
        {"{a:1}", false},
        {"{\"a\":1}}", false},
        {"{} {}", false},
        {"\xef\xbb\xbf{}", false},
        {"01", false},
        {"1.", false},
        {".5", false},
        {"1e", false},
        {"+1", false},
        {"-", false},
        {"nul", false},
        {"True", false},
        {"\"a", false},
        {"\"0123456789\n\"", false},
        {"\"0123456789\x1f\"", false},
        {"\"\\x\"", false},
        {"\"\\u12g4\"", false},
        {"\"\\u0000\"", false},
        {"\"\\ud834\"", false},
        {"\"\\ud834\\u0041\"", false},
        {"\"\\udd1e\"", false},
        {"\"\\ud83", false},
        {"\"\xff\"", false},
        {"\"\xc0\xaf\"", false},     /* overlong */
        {"\"\xed\xa0\x80\"", false}, /* a surrogate */
        {"\"\xf4\x90\x80\x80\"", false},
        {"\"01234567\xe2\x82\"", false},
        {"{\"abc\":1,\"b\":2,\"abc\":3}", false},
        {"{\"a\":1,\"\\u0061\":2}", false}, /* one key, two spellings */
        {"{\"a/\":1,\"a\\/\":2}", false},
        {"[{\"\\u003c\":1,\"<\":{}}]", false},
        {"{\"\\u0061\":{\"b\":1},\"b\":{\"\\u0061\":2}}", true},
        {"{\"\\u003ca\":1,\"\\u003cb\":2}", true},
    };

    return cr_make_param_array(struct text, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct text *row, jdoc, texts)
{
    /* Exact, so that a sanitizer sees a byte too far. */
    _cleanup_free_ char *text = strdup(row->text);
    _cleanup_json_ json_t *j = NULL;
    _cleanup_jdoc_ struct jdoc d = {0};
    struct err e = {{0}};
    int r = jdoc_parse(&d, text, strlen(text), 1024, &e);

    cr_expect_eq(r, row->good ? 0 : -EINVAL, "%s: %d %s", row->text, r, e.msg);
    cr_expect_eq(e.msg[0] != '\0', !row->good);
    cr_expect_eq(json_load_engine(text, strlen(text), 1024, &j, NULL) >= 0, row->good, "%s", row->text);
}

Test(jdoc, a_nul_is_no_text)
{
    struct jdoc d = {0};

    cr_expect_eq(jdoc_parse(&d, "[1\0]", 4, 1024, NULL), -EINVAL);
    cr_expect_eq(jdoc_parse(&d, "1\0", 2, 1024, NULL), -EINVAL);
    cr_expect_eq(jdoc_parse(&d, "\"a\0b\"", 5, 1024, NULL), -EINVAL);
}

Test(jdoc, limits)
{
    struct jdoc d = {0};
    char deep[80] = "";
    _cleanup_buf_ struct buf b = {0};

    cr_expect_eq(jdoc_parse(&d, "[1]", 3, 2, NULL), -EFBIG);
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    cr_expect_eq(jdoc_parse(&d, deep, strlen(deep), 1024, NULL), 0);
    jdoc_done(&d);
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    cr_expect_eq(jdoc_parse(&d, deep, strlen(deep), 1024, NULL), -EINVAL);

    for (unsigned i = 0; i <= JDOC_MEMBERS_MAX; i++) {
        cr_assert_eq(buf_addf(&b, "%s\"k%u\":0", i ? "," : "{", i), 0);
        if (i + 1 < JDOC_MEMBERS_MAX)
            continue;
        cr_assert_eq(buf_adds(&b, "}"), 0);
        cr_expect_eq(jdoc_parse(&d, b.data, b.len, b.len, NULL), i < JDOC_MEMBERS_MAX ? 0 : -EINVAL);
        jdoc_done(&d);
        b.len--;
    }
}

Test(jdoc, a_key_is_found_twice_among_many)
{
    struct jdoc d = {0};
    _cleanup_buf_ struct buf b = {0};

    for (unsigned i = 0; i < 600; i++)
        cr_assert_eq(buf_addf(&b, "%s\"label.%u\":0", i ? "," : "{", i * 7), 0);
    cr_assert_eq(buf_adds(&b, ",\"label.700\":1}"), 0);
    cr_expect_eq(jdoc_parse(&d, b.data, b.len, b.len, NULL), -EINVAL);
}

Test(jdoc, values_are_found)
{
    static const char text[] = "{\"a\":[1,\"x\",{\"b\":null}],\"c\":\"d\",\"e\":{},\"f\\u0067\":true}";
    _cleanup_jdoc_ struct jdoc d = {0};
    uint32_t at = JDOC_NONE, a, i;
    size_t len;

    cr_assert_eq(jdoc_parse(&d, text, strlen(text), 1024, NULL), 0);
    cr_expect_eq(jdoc_size(&d, 0), 4);
    a = jdoc_get(&d, 0, "a");
    cr_assert(jdoc_is(&d, a, JDOC_ARRAY));
    cr_expect_eq(jdoc_size(&d, a), 3);
    i = jdoc_next(&d, a, jdoc_first(&d, a));
    cr_expect(jdoc_equals(&d, i, "x"));
    i = jdoc_next(&d, a, i);
    cr_expect(jdoc_is(&d, jdoc_get(&d, i, "b"), JDOC_NULL));
    cr_expect_eq(jdoc_next(&d, a, i), JDOC_NONE);
    cr_expect(jdoc_equals(&d, jdoc_get_next(&d, 0, "c", &at), "d"));
    cr_expect_not(jdoc_equals(&d, jdoc_get(&d, 0, "c"), "dd"));
    /* backwards too */
    cr_expect_eq(jdoc_get_next(&d, 0, "a", &at), a);
    cr_expect(jdoc_is(&d, jdoc_get_next(&d, 0, "e", &at), JDOC_OBJECT));
    cr_expect_eq(jdoc_get_next(&d, 0, "z", &at), JDOC_NONE);
    cr_expect_eq(jdoc_first(&d, jdoc_get(&d, 0, "e")), JDOC_NONE);
    /* compared as written */
    cr_expect_eq(jdoc_get(&d, 0, "fg"), JDOC_NONE);
    cr_expect_eq(jdoc_get(&d, a, "a"), JDOC_NONE);
    cr_expect_eq(jdoc_get(&d, JDOC_NONE, "a"), JDOC_NONE);
    cr_expect_null(jdoc_string(&d, a, &len));
    cr_expect_null(jdoc_raw(&d, JDOC_NONE, &len));
}

Test(jout, text)
{
    static const char text[] = "{\"k\\n\":\"v\",\"n\":[1,{}]}";
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf b = {0};
    struct jout o = {.out = &b};

    cr_assert_eq(jdoc_parse(&d, text, strlen(text), 1024, NULL), 0);
    jout_open(&o, '[');
    jout_number(&o, 0);
    jout_number(&o, INT64_MIN);
    jout_string(&o, "a\"b\\c\n\x1f\xc3\xa9");
    jout_open(&o, '{');
    jout_key(&o, "x");
    jout_value(&o, &d, jdoc_get(&d, 0, "n"));
    jout_key_of(&o, &d, jdoc_first(&d, 0));
    jout_value(&o, &d, JDOC_NONE);
    jout_close(&o, '}');
    jout_open(&o, '[');
    jout_close(&o, ']');
    jout_close(&o, ']');
    cr_expect_eq(o.error, 0);
    cr_expect_str_eq(b.data, "[0,-9223372036854775808,\"a\\\"b\\\\c\\u000a\\u001f\xc3\xa9\","
                             "{\"x\":[1,{}],\"k\\n\":null},[]]");
}

Test(jout, the_first_error_stays)
{
    _cleanup_buf_ struct buf b = {.limit = 4};
    struct jout o = {.out = &b};

    jout_open(&o, '[');
    jout_string(&o, "abc");
    jout_number(&o, 1);
    jout_close(&o, ']');
    cr_expect_eq(o.error, -E2BIG);
}
