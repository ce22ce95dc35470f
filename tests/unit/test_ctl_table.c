/* test_ctl_table.c: tables and texts of the command line: nothing that came from outside reaches the terminal
 * unmade, scripts get tabs, ages and usages read well. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/table.h"

static const struct table_column columns[] = {
    {.name = "NAME"}, {.name = "COUNT", .right = true}, {.name = "TEXT", .truncate = true}};

static char *print(const struct table_style *style, bool rows)
{
    struct table *t = table_new(columns, ARRAY_SIZE(columns), style);
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    cr_assert(t && f);
    if (rows) {
        table_cell(t, TEXT_GREEN, "acme");
        table_cellf(t, TEXT_PLAIN, "%d", 7);
        table_cell(t, TEXT_PLAIN, "two words\033[2J\t\n");
        table_cell(t, TEXT_PLAIN, "b");
        table_cell(t, TEXT_PLAIN, "");
        table_cell(t, TEXT_RED, "caf\xc3\xa9");
    }
    cr_expect_eq(table_print(t, f), 0);
    cr_assert_eq(fclose(f), 0);
    table_free(t);
    return text;
}

Test(table, plain_is_tabs_and_nothing_else)
{
    _cleanup_free_ char *text = print(&(struct table_style){.plain = true, .colour = true}, true);

    cr_expect_str_eq(text, "NAME\tCOUNT\tTEXT\nacme\t7\ttwo words?[2J??\nb\t-\tcaf\xc3\xa9\n");
}

Test(table, no_heading_leaves_the_names_out)
{
    _cleanup_free_ char *plain = print(&(struct table_style){.plain = true, .no_heading = true}, true);
    _cleanup_free_ char *text = print(&(struct table_style){.no_heading = true}, true);

    cr_expect_eq(strncmp(plain, "acme\t", 5), 0);
    cr_expect_null(strstr(text, "NAME"));
}

Test(table, columns_are_aligned)
{
    _cleanup_free_ char *text = print(&(struct table_style){0}, true);

    cr_expect_not_null(strstr(text, "NAME COUNT TEXT"), "%s", text);
    cr_expect_not_null(strstr(text, "acme     7 two words"), "%s", text);
    cr_expect_null(strchr(text, '\033'));
}

Test(table, colour_only_when_asked_for)
{
    _cleanup_free_ char *text = print(&(struct table_style){.colour = true}, true);

    cr_expect_not_null(strstr(text, "\033[32m"), "%s", text);
    cr_expect_null(strstr(text, "\033[2J"));
}

Test(table, an_empty_table_prints_nothing)
{
    _cleanup_free_ char *text = print(&(struct table_style){0}, false);

    cr_expect_str_empty(text);
}

struct row {
    char in[32], want[32];
};

ParameterizedTestParameters(text, safe)
{
    static struct row rows[] = {{"plain", "plain"}, {"a\nb\tc\x7f", "a?b?c?"}, {"\033]0;x\a", "?]0;x?"},
        {"caf\xc3\xa9", "caf\xc3\xa9"}, {"caf\xe9", "caf?"},
        {"\xc2\x9b"
         "31m",
            "??31m"},
        {"\xe2\x80\xae"
         "abc",
            "???abc"},
        {"\xe2\x82\xac", "\xe2\x82\xac"}, {"\xf0\x9f\x90\x99", "\xf0\x9f\x90\x99"}, {"\xc0\xaf", "??"},
        {"\xed\xa0\x80", "???"}, {"\xe2\x82", "??"}, {"\xf4\x90\x80\x80", "????"}, {"", ""}};
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *v, text, safe)
{
    char out[64];

    text_safe(out, sizeof(out), v->in);
    cr_expect_str_eq(out, v->want);
}

Test(text, safe_cuts_between_characters)
{
    char out[6];

    text_safe(out, sizeof(out), "caf\xc3\xa9s");
    cr_expect_str_eq(out, "caf\xc3\xa9");
    text_safe(out, 5, "caf\xc3\xa9s");
    cr_expect_str_eq(out, "caf");
    text_safe(out, 1, "abc");
    cr_expect_str_eq(out, "");
}

Test(text, ages)
{
    uint64_t now = 1000 * USEC_PER_SEC;
    char out[48];

    text_ago(out, sizeof(out), now, now - 12 * USEC_PER_SEC);
    cr_expect_str_eq(out, "12s ago");
    text_ago(out, sizeof(out), now, now - 900000);
    cr_expect_str_eq(out, "just now");
    text_ago(out, sizeof(out), now, now + 4100000);
    cr_expect_str_eq(out, "in 4.1s");
    text_ago(out, sizeof(out), now, now - 130 * USEC_PER_SEC);
    cr_expect_str_eq(out, "2m10s ago");
}

Test(text, usages)
{
    char out[48];

    text_usage(out, sizeof(out), UINT64_C(312) << 20, UINT64_C(2) << 30);
    cr_expect_str_eq(out, "312M/2G");
    text_usage(out, sizeof(out), 1024, UINT64_MAX);
    cr_expect_str_eq(out, "1K");
    text_usage(out, sizeof(out), UINT64_MAX, 2048);
    cr_expect_str_eq(out, "-/2K");
    text_usage(out, sizeof(out), UINT64_MAX, UINT64_MAX);
    cr_expect_str_eq(out, "-");
}

Test(text, json_members_of_any_type_are_survived)
{
    json_t *o =
        json_pack("{s:n, s:i, s:s, s:i, s:s}", "n", "i", 7, "s", "x", "neg", -1, "t", "2026-05-01T10:00:00Z");
    uint64_t t = 0;

    cr_expect_str_eq(text_of(o, "n"), "");
    cr_expect_str_eq(text_of(o, "i"), "");
    cr_expect_str_eq(text_of(o, "s"), "x");
    cr_expect_str_eq(text_of(NULL, "s"), "");
    cr_expect_eq(text_u64(o, "i", 1), 7);
    cr_expect_eq(text_u64(o, "neg", 1), 1);
    cr_expect_eq(text_u64(o, "s", 1), 1);
    cr_expect(text_time(o, "t", &t));
    cr_expect_eq(t, UINT64_C(1777629600000000));
    cr_expect_not(text_time(o, "s", &t));
    cr_expect_not(text_time(o, "absent", &t));
    json_decref(o);
}

Test(ctl, suggestions_are_close_or_none)
{
    static const char *const names[] = {"status", "events", "restart", "release", "reload"};

    cr_expect_eq(ctl_closest("statsu", names, ARRAY_SIZE(names)), 0);
    cr_expect_eq(ctl_closest("relaod", names, ARRAY_SIZE(names)), 4);
    cr_expect_eq(ctl_closest("frobnicate", names, ARRAY_SIZE(names)), -1);
    cr_expect_eq(ctl_closest("x", names, ARRAY_SIZE(names)), -1);
}
