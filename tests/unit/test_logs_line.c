/* test_logs_line.c: container logs: frames in any cut, times, lines that are too long, and nothing in them
 * that a terminal would obey. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/logs_line.h"

struct seen {
    char text[4096];
    uint64_t last_us;
    size_t longest;
};

static void on_line(uint64_t at_us, bool is_stderr, const char *text, void *userdata)
{
    struct seen *s = userdata;
    size_t used = strlen(s->text);

    s->last_us = at_us;
    s->longest = MAX(s->longest, strlen(text));
    if (strlen(text) < 200)
        (void)snprintf(s->text + used, sizeof(s->text) - used, "%s%s|", is_stderr ? "E:" : "", text);
}

static int feed(struct logs_stream *stream, const void *data, size_t n, size_t step, struct seen *seen)
{
    _cleanup_buf_ struct buf in = {.limit = 1 << 20};
    int r = 0;

    for (size_t at = 0; at < n && r >= 0; at += step) {
        cr_assert_eq(buf_add(&in, (const char *)data + at, MIN(step, n - at)), 0);
        r = logs_stream_feed(stream, &in, on_line, seen);
    }
    return r;
}

#define STAMP "2026-05-01T10:00:00.123456789Z "

Test(logs, frames_in_any_cut)
{
    static const char data[] = "\1\0\0\0\0\0\0\43" STAMP "one\n"
                               "\2\0\0\0\0\0\0\42" STAMP "t\n\n"
                               "\1\0\0\0\0\0\0\4last";

    for (size_t step = 1; step < sizeof(data); step++) {
        struct logs_stream s = {.left = 0};
        struct seen seen = {.text = ""};

        cr_assert_eq(feed(&s, data, sizeof(data) - 1, step, &seen), 0, "step %zu", step);
        cr_expect_str_eq(seen.text, "one|E:t|E:|", "step %zu: %s", step, seen.text);
        logs_stream_reset(&s);
    }
}

Test(logs, a_terminals_stream_has_no_frames)
{
    static const char data[] = STAMP "one\r\n" STAMP "two\n";
    struct logs_stream s = {.left = 0};
    struct seen seen = {.text = ""};

    cr_assert_eq(feed(&s, data, sizeof(data) - 1, 7, &seen), 0);
    cr_expect_str_eq(seen.text, "one\r|two|");
    cr_expect_eq(seen.last_us, UINT64_C(1777629600123456));
    logs_stream_reset(&s);
}

Test(logs, what_is_no_stream_is_refused)
{
    static const char data[] = "\1\0\0\0\0\0\0\1a\7\0\0\0\0\0\0\1";
    struct logs_stream s = {.left = 0};
    struct seen seen = {.text = ""};

    cr_expect_eq(feed(&s, data, sizeof(data) - 1, 100, &seen), -EPROTO);
    logs_stream_reset(&s);
}

Test(logs, a_line_without_end_is_cut)
{
    struct logs_stream s = {.left = 0};
    struct seen seen = {.text = ""};
    static char data[LOGS_LINE_MAX * 3];

    memset(data, 'x', sizeof(data));
    data[0] = '2';
    data[sizeof(data) - 1] = '\n';
    cr_assert_eq(feed(&s, data, sizeof(data), 1000, &seen), 0);
    cr_expect_eq(seen.longest, LOGS_LINE_MAX);
    cr_assert_eq(feed(&s, STAMP "after\n", strlen(STAMP) + 6, 1000, &seen), 0);
    cr_expect_str_eq(seen.text, "after|");
    logs_stream_reset(&s);
}

struct row {
    char in[64], want[64];
};

ParameterizedTestParameters(logs, clean)
{
    static struct row rows[] = {
        {"plain", "plain"},
        {"\033[31mred\033[0m", "red"},
        {"\033[2J\033[Hx", "x"},
        {"a\033]0;title\ab", "ab"},
        {"a\033]8;;http://x\033\\b", "ab"},
        {"a\033P1;2|x\033\\b", "ab"},
        {"a\033", "a"},
        {"a\033[", "a"},
        {"a\033]never ends", "a"},
        {"a\033cb", "ab"},
        {"tab\there", "tab here"},
        {"over\rwritten", "over?written"},
        {"crlf\r", "crlf"},
        {"\b\x7f\x01", "???"},
        {"\xc2\x9b"
         "2J",
            "??2J"},
        {"caf\xc3\xa9 \xff", "caf\xc3\xa9 ?"},
        {"\xe2\x80\xaeright", "???right"},
    };

    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, logs, clean)
{
    char out[128];

    logs_clean(out, sizeof(out), row->in);
    cr_expect_str_eq(out, row->want, "%s", out);
}
