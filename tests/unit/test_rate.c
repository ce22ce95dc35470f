/* test_rate.c: the rate of a counter over the last seconds. */
#include <criterion/criterion.h>

#include "daemon/rate.h"

#define NEAR(a, b) ((a) - (b) < 0.001 && (b) - (a) < 0.001)

Test(rate, needs_two_samples_some_time_apart)
{
    struct rate r = {0};
    double v = -1;

    cr_expect_not(rate_sample(&r, USEC_PER_SEC, 1000, &v));
    cr_expect_not(rate_sample(&r, USEC_PER_SEC + 1000, 2000, &v));
    cr_expect(rate_sample(&r, 2 * USEC_PER_SEC, 501000, &v));
    cr_expect(NEAR(v, 0.5), "%f", v);
}

Test(rate, follows_what_happens_now)
{
    struct rate r = {0};
    double v = -1;
    uint64_t value = 0, now = USEC_PER_SEC;

    for (int i = 0; i < 20; i++, now += 2 * USEC_PER_SEC, value += 2 * USEC_PER_SEC)
        (void)rate_sample(&r, now, value, &v);
    cr_expect(NEAR(v, 1.0), "%f", v);
    for (int i = 0; i < 8; i++, now += 2 * USEC_PER_SEC)
        cr_expect(rate_sample(&r, now, value, &v));
    cr_expect(NEAR(v, 0.0), "%f", v);
}

Test(rate, a_long_pause_between_samples_gives_its_mean)
{
    struct rate r = {0};
    double v = -1;

    (void)rate_sample(&r, USEC_PER_SEC, 0, &v);
    cr_expect(rate_sample(&r, 101 * USEC_PER_SEC, 25 * USEC_PER_SEC, &v));
    cr_expect(NEAR(v, 0.25), "%f", v);
}

Test(rate, a_counter_that_went_back_begins_again)
{
    struct rate r = {0};
    double v = -1;

    (void)rate_sample(&r, USEC_PER_SEC, 5000000, &v);
    cr_expect_not(rate_sample(&r, 10 * USEC_PER_SEC, 100, &v));
    cr_expect(rate_sample(&r, 11 * USEC_PER_SEC, 100100, &v));
    cr_expect(NEAR(v, 0.1), "%f", v);
}
