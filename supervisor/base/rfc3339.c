/* rfc3339.c: see rfc3339.h. Computes the calendar itself, so that neither TZ nor a locale can change a
 * result. Must not read the clock. */
#include "base/rfc3339.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 9999-12-31T23:59:59.999999Z */
#define TIME_MAX_US (UINT64_C(253402300799) * USEC_PER_SEC + 999999)

/* Days since 1970-01-01 of a proleptic Gregorian date; a year that begins in March makes the leap day the
 * last one. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

    return UINT64_C(365) * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

void rfc3339_format(char *out, size_t n, uint64_t realtime_us)
{
    uint64_t us = MIN(realtime_us, TIME_MAX_US), secs = us / USEC_PER_SEC, days = secs / 86400;
    unsigned sod = (unsigned)(secs % 86400), year, month = 1, day;

    year = (unsigned)(1970 + days / 366);
    while (days_of(year + 1, 1, 1) <= days)
        year++;
    days -= days_of(year, 1, 1);
    while (days >= days_in_month(year, month))
        days -= days_in_month(year, month++);
    day = (unsigned)days + 1;
    (void)snprintf(out, n, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year, month, day, sod / 3600, sod / 60 % 60,
        sod % 60, (unsigned)(us % USEC_PER_SEC));
}

/* Exactly `n` digits at *s; false for anything else. */
static bool take_digits(const char **s, unsigned n, unsigned *ret)
{
    unsigned v = 0;

    for (unsigned i = 0; i < n; i++) {
        char c = (*s)[i];

        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (unsigned)(c - '0');
    }
    *s += n;
    *ret = v;
    return true;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

/* ".123456789" -> 123456; nothing at all is 0. */
static bool take_fraction(const char **s, unsigned *ret_us)
{
    unsigned us = 0, n = 0;

    if (take_char(s, '.')) {
        for (; **s >= '0' && **s <= '9'; (*s)++, n++)
            if (n < 6)
                us = us * 10 + (unsigned)(**s - '0');
        if (n == 0 || n > 9)
            return false;
        for (; n < 6; n++)
            us *= 10;
    }
    *ret_us = us;
    return true;
}

int rfc3339_parse(const char *s, uint64_t *ret_realtime_us)
{
    unsigned year, month, day, hour, minute, second, us;

    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &day) || !take_char(&s, 'T') ||
        !take_digits(&s, 2, &hour) || !take_char(&s, ':') || !take_digits(&s, 2, &minute) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &second) || !take_fraction(&s, &us) || strcmp(s, "Z") != 0)
        return -EINVAL;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return -EINVAL;
    *ret_realtime_us =
        (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * USEC_PER_SEC + us;
    return 0;
}
