/* test_limits_capacity.c: what is left of a host, who fits, how many more. */
#include <criterion/criterion.h>

#include <string.h>

#include "limits/capacity.h"

#define ONE CAPACITY_FACTOR_ONE
#define G (UINT64_C(1) << 30)

static struct capacity host(void)
{
    return (struct capacity){
        .r = {[CAPACITY_CPU] = {.total = 4 * ONE, .factor = 2 * ONE, .committed = 6 * ONE},
            [CAPACITY_MEMORY] = {.total = 8 * G, .factor = ONE + ONE / 2, .committed = 4 * G},
            [CAPACITY_PIDS] = {.total = 1000, .factor = 0, .committed = 5000},
            [CAPACITY_DISK] = {.total = 0, .factor = ONE, .committed = 1}}};
}

Test(limits_capacity, what_is_left)
{
    struct capacity c = host();

    cr_expect_eq(capacity_ceiling(&c, CAPACITY_CPU), 8 * ONE);
    cr_expect_eq(capacity_free(&c, CAPACITY_CPU), 2 * ONE);
    cr_expect_leq(capacity_ceiling(&c, CAPACITY_MEMORY), 12 * G);
    cr_expect_geq(capacity_ceiling(&c, CAPACITY_MEMORY), 12 * G - 1000000);
    /* a factor of 0 is no check, and so is a total that is not known */
    cr_expect_eq(capacity_free(&c, CAPACITY_PIDS), CAPACITY_UNLIMITED);
    cr_expect_eq(capacity_free(&c, CAPACITY_DISK), CAPACITY_UNLIMITED);
    c.r[CAPACITY_CPU].committed = 9 * ONE; /* the factor was lowered since */
    cr_expect_eq(capacity_free(&c, CAPACITY_CPU), 0);
    c.r[CAPACITY_MEMORY].total = UINT64_MAX / 2;
    c.r[CAPACITY_MEMORY].factor = 4 * ONE;
    cr_expect_eq(capacity_free(&c, CAPACITY_MEMORY), CAPACITY_UNLIMITED);
}

Test(limits_capacity, who_fits)
{
    struct capacity c = host();
    uint64_t want[_CAPACITY_MAX] = {2 * ONE, 7 * G, 1 << 20, 500 * G};
    enum capacity_resource by;
    char text[256] = "";

    cr_expect(capacity_fits(&c, want, text, sizeof(text)), "%s", text);
    cr_expect_eq(capacity_more(&c, want, &by), 1);
    want[CAPACITY_MEMORY] = 9 * G;
    cr_expect_not(capacity_fits(&c, want, text, sizeof(text)));
    cr_expect_not_null(strstr(text, "it wants 9G of memory"), "%s", text);
    cr_expect_eq(capacity_more(&c, want, &by), 0);
    cr_expect_eq(by, CAPACITY_MEMORY);
    memset(want, 0, sizeof(want)); /* without limits nothing is promised */
    cr_expect(capacity_fits(&c, want, text, sizeof(text)));
    cr_expect_eq(capacity_more(&c, want, &by), CAPACITY_UNLIMITED);
    want[CAPACITY_CPU] = ONE / 2;
    cr_expect_eq(capacity_more(&c, want, &by), 4);
    cr_expect_eq(by, CAPACITY_CPU);
}

Test(limits_capacity, text)
{
    char s[32];

    capacity_format(s, sizeof(s), CAPACITY_CPU, 1250000000);
    cr_expect_str_eq(s, "1.25");
    capacity_format(s, sizeof(s), CAPACITY_MEMORY, 2 * G);
    cr_expect_str_eq(s, "2G");
    capacity_format(s, sizeof(s), CAPACITY_PIDS, 7);
    cr_expect_str_eq(s, "7");
    capacity_format(s, sizeof(s), CAPACITY_DISK, CAPACITY_UNLIMITED);
    cr_expect_str_eq(s, "unlimited");
}
