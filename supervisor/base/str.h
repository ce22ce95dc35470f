/* str.h: strict text to value and back: numbers, sizes, durations, cpus, slugs. Pure; every parser takes the
 * whole string or nothing, and no locale, sign, blank or hexadecimal form slips through. */
#pragma once

#include "base/defs.h"

bool str_startswith(const char *s, const char *prefix);
bool str_eq(const char *a, const char *b); /* NULL equals NULL only */
/* Replaces the string that `*at` owns (NULL: none yet) by a copy. -ENOMEM; `*at` stays then. */
int str_set(char **at, const char *value) _must_check_;

/* Decimal digits only; -EINVAL for anything else, -ERANGE above `max`. */
int str_parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* "512", "64K", "1.5G", "2GiB": powers of 1024 (K M G T, optional "iB" or "B"); bytes. -EINVAL, -ERANGE. */
int str_parse_size(const char *s, uint64_t *ret_bytes);

/* "250ms", "2s", "1.5m", "6h", "7d", and sums such as "1h30m"; microseconds. A bare number has no unit:
 * -EINVAL. */
int str_parse_duration(const char *s, uint64_t *ret_us);

/* "1", "0.5", "1.25": CPUs in units of 1e-9 (the engine's NanoCpus). At most three decimals; 0 < x <= 1024.
 */
int str_parse_cpus(const char *s, uint64_t *ret_nano);

/* A tenant's slug: [a-z0-9] then [a-z0-9-], 1 to 32 bytes, no "--", no '-' at the end. It becomes part of
 * container, network, slice and directory names, so it is stricter than each of them. */
#define SLUG_MAX 32
bool str_is_slug(const char *s);

/* 0 to 15; -EINVAL. Both cases. */
int str_hex_digit(char c);

/* Exactly `n` lower-case hexadecimal digits. */
bool str_is_hex(const char *s, size_t n);

/* "1.5G", "512M", "17B": at most one decimal, for people. `n` >= 16 is always enough. */
void str_format_size(char *out, size_t n, uint64_t bytes);
/* "4.1s", "2m10s", "6h", "250ms": two units at most. `n` >= 32 is always enough. */
void str_format_duration(char *out, size_t n, uint64_t us);

/* The systemd slice of a tenant: a '-' in a slug would nest slices, so it is escaped as systemd-escape(1)
 * does it: "acme" -> "clawsup-acme.slice", "a-b" -> "clawsup-a\x2db.slice". `n` >= 160 is always enough. */
void str_slice_name(char *out, size_t n, const char *slug);

/* True for an absolute path without empty, "." or ".." components and without a trailing '/', below PATH_MAX.
 */
bool str_is_clean_path(const char *path);
/* True if `path` is `root` or lies below it, compared by component ("/x/a" does not cover "/x/ab"). Both
 * clean. */
bool str_path_covers(const char *root, const char *path);

/* Levenshtein distance, capped at 8, for "did you mean". */
unsigned str_distance(const char *a, const char *b);
