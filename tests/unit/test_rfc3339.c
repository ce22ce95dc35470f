/* test_rfc3339.c: times as text and back, against the C library's calendar. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/rfc3339.h"

struct row {
    char in[48];
    int r;
    uint64_t want;
};

ParameterizedTestParameters(rfc3339, parse)
{
    static struct row rows[] = {{"1970-01-01T00:00:00Z", 0, 0}, {"1970-01-01T00:00:00.5Z", 0, 500000},
        {"2000-02-29T23:59:59.000001Z", 0, UINT64_C(951868799000001)},
        {"2026-05-01T10:00:00.123456789Z", 0, UINT64_C(1777629600123456)},
        {"2026-02-29T00:00:00Z", -EINVAL, 7}, {"2100-02-29T00:00:00Z", -EINVAL, 7},
        {"1969-12-31T23:59:59Z", -EINVAL, 7}, {"0001-01-01T00:00:00Z", -EINVAL, 7},
        {"2026-13-01T00:00:00Z", -EINVAL, 7}, {"2026-00-01T00:00:00Z", -EINVAL, 7},
        {"2026-01-00T00:00:00Z", -EINVAL, 7}, {"2026-01-01T24:00:00Z", -EINVAL, 7},
        {"2026-01-01T00:60:00Z", -EINVAL, 7}, {"2026-01-01T00:00:60Z", -EINVAL, 7},
        {"2026-01-01T00:00:00", -EINVAL, 7}, {"2026-01-01T00:00:00+00:00", -EINVAL, 7},
        {"2026-01-01T00:00:00Z ", -EINVAL, 7}, {"2026-01-01 00:00:00Z", -EINVAL, 7},
        {"2026-01-01T00:00:00.Z", -EINVAL, 7}, {"2026-01-01T00:00:00.1234567890Z", -EINVAL, 7},
        {"", -EINVAL, 7}, {"2026", -EINVAL, 7}};
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *v, rfc3339, parse)
{
    uint64_t got = 7;

    cr_expect_eq(rfc3339_parse(v->in, &got), v->r, "%s", v->in);
    cr_expect_eq(got, v->want, "%s gave %llu", v->in, (unsigned long long)got);
}

Test(rfc3339, agrees_with_the_c_library_and_round_trips)
{
    /* A prime step walks through all months, leap years and centuries up to the year 2500. */
    for (uint64_t s = 0; s < UINT64_C(16725225600); s += 7776007) {
        char got[RFC3339_MAX], want[RFC3339_MAX];
        time_t t = (time_t)s;
        uint64_t back = 0;
        struct tm tm;

        cr_assert_not_null(gmtime_r(&t, &tm));
        cr_assert_gt(strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000042Z", &tm), 0);
        rfc3339_format(got, sizeof(got), s * USEC_PER_SEC + 42);
        cr_assert_str_eq(got, want);
        cr_assert_eq(rfc3339_parse(got, &back), 0);
        cr_assert_eq(back, s * USEC_PER_SEC + 42);
    }
}

Test(rfc3339, never_times_stay_in_the_calendar)
{
    char got[RFC3339_MAX];

    rfc3339_format(got, sizeof(got), USEC_INFINITY);
    cr_expect_str_eq(got, "9999-12-31T23:59:59.999999Z");
}
