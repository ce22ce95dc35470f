/* rfc3339.h: wall-clock times as text in UTC, the form of `status --json` and of event lines. Pure: no clock,
 * no time zone of the process. */
#pragma once

#include "base/defs.h"

#define RFC3339_MAX 40

/* Microseconds since 1970 -> "2026-05-01T10:00:00.123456Z". `out` has at least RFC3339_MAX bytes; a time past
 * the year 9999 is written as "9999-12-31T23:59:59.999999Z". */
void rfc3339_format(char *out, size_t n, uint64_t realtime_us);

/* The reverse: UTC only ('Z'), up to nine decimals (cut at the microsecond, as the engine writes
 * nanoseconds), nothing before 1970. -EINVAL. */
int rfc3339_parse(const char *s, uint64_t *ret_realtime_us);
