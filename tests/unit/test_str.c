/* test_str.c: numbers, sizes, durations, slugs and paths: the whole string or nothing. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "base/str.h"

struct value {
    char in[32];
    int r;
    uint64_t want;
};

ParameterizedTestParameters(str, size)
{
    static struct value rows[] = {{"512", 0, 512}, {"1K", 0, 1024}, {"1.5G", 0, 1610612736},
        {"2GiB", 0, 2147483648}, {"0.5M", 0, 524288}, {"3B", 0, 3}, {"", -EINVAL, 0}, {"-1", -EINVAL, 0},
        {" 1", -EINVAL, 0}, {"1 G", -EINVAL, 0}, {"1g", -EINVAL, 0}, {"0x10", -EINVAL, 0},
        {"1.5", -EINVAL, 0}, {"1.2345G", -EINVAL, 0}, {"1GG", -EINVAL, 0},
        {"99999999999999999999", -ERANGE, 0}, {"99999999T", -ERANGE, 0}};
    return cr_make_param_array(struct value, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct value *v, str, size)
{
    uint64_t got = 0;
    cr_expect_eq(str_parse_size(v->in, &got), v->r, "%s", v->in);
    cr_expect_eq(got, v->want, "%s gave %llu", v->in, (unsigned long long)got);
}

ParameterizedTestParameters(str, duration)
{
    static struct value rows[] = {{"250ms", 0, 250000}, {"2s", 0, 2000000}, {"1.5m", 0, 90000000},
        {"1h30m", 0, 5400000000}, {"7d", 0, 604800000000}, {"5min", 0, 300000000}, {"0s", 0, 0},
        {"2", -EINVAL, 0}, {"s", -EINVAL, 0}, {"2 s", -EINVAL, 0}, {"-2s", -EINVAL, 0}, {"2x", -EINVAL, 0},
        {"99999d", -ERANGE, 0}, {"", -EINVAL, 0}};
    return cr_make_param_array(struct value, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct value *v, str, duration)
{
    uint64_t got = 0;
    cr_expect_eq(str_parse_duration(v->in, &got), v->r, "%s", v->in);
    cr_expect_eq(got, v->want, "%s gave %llu", v->in, (unsigned long long)got);
}

ParameterizedTestParameters(str, cpus)
{
    static struct value rows[] = {{"1", 0, 1000000000}, {"0.5", 0, 500000000}, {"1.25", 0, 1250000000},
        {"0", -ERANGE, 0}, {"0.0", -ERANGE, 0}, {"1025", -ERANGE, 0}, {"1.", -EINVAL, 0}, {".5", -EINVAL, 0},
        {"1e3", -EINVAL, 0}};
    return cr_make_param_array(struct value, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct value *v, str, cpus)
{
    uint64_t got = 0;
    cr_expect_eq(str_parse_cpus(v->in, &got), v->r, "%s", v->in);
    cr_expect_eq(got, v->want);
}

Test(str, slug)
{
    cr_expect(str_is_slug("a") && str_is_slug("acme-2") && str_is_slug("0x"));
    cr_expect(!str_is_slug("") && !str_is_slug("-a") && !str_is_slug("a-") && !str_is_slug("a--b"));
    cr_expect(!str_is_slug("A") && !str_is_slug("a.b") && !str_is_slug("a/b") && !str_is_slug("a_b"));
    cr_expect(!str_is_slug("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

Test(str, slice_name_escapes_the_dash)
{
    char out[160];
    str_slice_name(out, sizeof(out), "acme");
    cr_expect_str_eq(out, "clawsup-acme.slice");
    str_slice_name(out, sizeof(out), "a-b");
    cr_expect_str_eq(out, "clawsup-a\\x2db.slice");
}

Test(str, paths)
{
    cr_expect(str_is_clean_path("/a/b") && str_is_clean_path("/"));
    cr_expect(!str_is_clean_path("a/b") && !str_is_clean_path("/a//b") && !str_is_clean_path("/a/../b"));
    cr_expect(!str_is_clean_path("/a/./b") && !str_is_clean_path("/a/") && !str_is_clean_path(""));
    cr_expect(str_path_covers("/x/a", "/x/a") && str_path_covers("/x/a", "/x/a/b"));
    cr_expect(!str_path_covers("/x/a", "/x/ab") && !str_path_covers("/x/a", "/x"));
    cr_expect(str_path_covers("/", "/x"));
}

Test(str, formats)
{
    char out[32];
    str_format_size(out, sizeof(out), 1610612736);
    cr_expect_str_eq(out, "1.5G");
    str_format_size(out, sizeof(out), 17);
    cr_expect_str_eq(out, "17B");
    str_format_duration(out, sizeof(out), 4100000);
    cr_expect_str_eq(out, "4.1s");
    str_format_duration(out, sizeof(out), 130 * USEC_PER_SEC);
    cr_expect_str_eq(out, "2m10s");
}

Test(str, distance)
{
    cr_expect_eq(str_distance("statsu", "status"), 2);
    cr_expect_eq(str_distance("", "abc"), 3);
    cr_expect_eq(str_distance("same", "same"), 0);
}

Test(str, set_owns_a_copy_of_its_own)
{
    char value[] = "one", *at = NULL;

    cr_assert_eq(str_set(&at, value), 0);
    value[0] = 'x';
    cr_assert_str_eq(at, "one");
    cr_assert_eq(str_set(&at, "another"), 0); /* the first is freed: the sanitizer build would say so */
    cr_assert_str_eq(at, "another");
    free(at);
}

Test(str, hex_digits)
{
    cr_expect_eq(str_hex_digit('0'), 0);
    cr_expect_eq(str_hex_digit('9'), 9);
    cr_expect_eq(str_hex_digit('a'), 10);
    cr_expect_eq(str_hex_digit('F'), 15);
    cr_expect_lt(str_hex_digit('g'), 0);
    cr_expect_lt(str_hex_digit('@'), 0);
    cr_expect_lt(str_hex_digit('\0'), 0);
}
