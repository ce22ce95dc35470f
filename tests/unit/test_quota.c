/* test_quota.c: a bucket over a clock that the test moves. */
#include <criterion/criterion.h>

#include "daemon/quota.h"

static unsigned take_all(struct quota *q, uint64_t now)
{
    unsigned n = 0;

    while (n < 1000 && quota_take(q, now, 1))
        n++;
    return n;
}

Test(quota, holds_a_burst_and_is_refilled)
{
    struct quota q = {.burst = 10, .per_s = 5};
    uint64_t now = 7 * USEC_PER_SEC;

    cr_expect_eq(take_all(&q, now), 10);
    cr_expect_eq(q.refused, 1);
    cr_expect_eq(take_all(&q, now + 100 * USEC_PER_MSEC), 0);
    cr_expect_eq(take_all(&q, now + 200 * USEC_PER_MSEC), 1, "what made no whole one was kept");
    cr_expect_eq(take_all(&q, now + USEC_PER_SEC), 4);
    cr_expect_eq(take_all(&q, now + 60 * USEC_PER_SEC), 10, "never more than it holds");
    cr_expect_eq(take_all(&q, now), 0, "a clock that goes back gives nothing");
}

Test(quota, takes_several_or_none)
{
    struct quota q = {.burst = 10, .per_s = 1};

    cr_expect(quota_take(&q, 1, 8));
    cr_expect_not(quota_take(&q, 1, 3));
    cr_expect(quota_take(&q, 1, 2));
}
