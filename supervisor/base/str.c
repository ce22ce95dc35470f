/* str.c: see str.h. Pure: no locale (no strtod); nothing but str_set() allocates. */
#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

bool str_startswith(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int str_set(char **at, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int str_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (!*s)
        return -EINVAL;
    for (; *s; s++) {
        if (!is_digit(*s))
            return -EINVAL;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v) || v > max)
            return -ERANGE;
    }
    *ret = v;
    return 0;
}

/* Reads "123" or "123.456" at *p as a value in thousandths and moves *p past it. */
static int parse_milli(const char **p, uint64_t *ret)
{
    const char *s = *p;
    uint64_t v = 0, frac = 0, scale = 1000;

    if (!is_digit(*s))
        return -EINVAL;
    for (; is_digit(*s); s++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return -ERANGE;
    if (__builtin_mul_overflow(v, (uint64_t)1000, &v))
        return -ERANGE;
    if (*s == '.') {
        s++;
        if (!is_digit(*s))
            return -EINVAL;
        for (; is_digit(*s); s++) {
            scale /= 10;
            if (scale == 0)
                return -EINVAL; /* more than three decimals */
            frac += (uint64_t)(*s - '0') * scale;
        }
    }
    if (__builtin_add_overflow(v, frac, &v))
        return -ERANGE;
    *p = s;
    *ret = v;
    return 0;
}

int str_parse_size(const char *s, uint64_t *ret_bytes)
{
    static const char units[] = "KMGT";
    uint64_t milli, mult = 1;
    const char *u;
    int r;

    r = parse_milli(&s, &milli);
    if (r < 0)
        return r;
    u = *s ? strchr(units, *s) : NULL;
    if (u) {
        mult = UINT64_C(1) << (10 * (u - units + 1));
        s++;
        if (*s == 'i' && s[1] == 'B')
            s += 2;
        else if (*s == 'B')
            s++;
    } else if (*s == 'B') {
        s++;
    }
    if (*s)
        return -EINVAL;
    if (mult == 1 && milli % 1000 != 0)
        return -EINVAL;
    if (__builtin_mul_overflow(milli, mult, &milli))
        return -ERANGE;
    *ret_bytes = milli / 1000;
    return 0;
}

int str_parse_duration(const char *s, uint64_t *ret_us)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = {{"us", 1}, {"ms", USEC_PER_MSEC}, {"s", USEC_PER_SEC}, {"min", USEC_PER_MINUTE},
        {"m", USEC_PER_MINUTE}, {"h", USEC_PER_HOUR}, {"d", USEC_PER_DAY}};
    uint64_t total = 0;

    if (!*s)
        return -EINVAL;
    while (*s) {
        uint64_t milli, part;
        size_t i;
        int r = parse_milli(&s, &milli);

        if (r < 0)
            return r;
        for (i = 0; i < ARRAY_SIZE(units); i++) {
            size_t n = strlen(units[i].name);
            if (strncmp(s, units[i].name, n) == 0 && (!s[n] || is_digit(s[n])))
                break;
        }
        if (i == ARRAY_SIZE(units))
            return -EINVAL;
        s += strlen(units[i].name);
        if (__builtin_mul_overflow(milli, units[i].us, &part) ||
            __builtin_add_overflow(total, part / 1000, &total) || total > 3650 * USEC_PER_DAY)
            return -ERANGE;
    }
    *ret_us = total;
    return 0;
}

int str_parse_cpus(const char *s, uint64_t *ret_nano)
{
    uint64_t milli;
    int r = parse_milli(&s, &milli);

    if (r < 0)
        return r;
    if (*s)
        return -EINVAL;
    if (milli == 0 || milli > UINT64_C(1024) * 1000)
        return -ERANGE;
    *ret_nano = milli * UINT64_C(1000000);
    return 0;
}

bool str_is_slug(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > SLUG_MAX || s[0] == '-' || s[n - 1] == '-' || strstr(s, "--"))
        return false;
    for (; *s; s++)
        if (!is_digit(*s) && !(*s >= 'a' && *s <= 'z') && *s != '-')
            return false;
    return true;
}

int str_hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -EINVAL;
}

bool str_is_hex(const char *s, size_t n)
{
    if (strlen(s) != n)
        return false;
    for (; *s; s++)
        if (!is_digit(*s) && !(*s >= 'a' && *s <= 'f'))
            return false;
    return true;
}

void str_format_size(char *out, size_t n, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    uint64_t tenths = bytes;
    size_t i = 0;

    if (bytes < 1024) {
        (void)snprintf(out, n, "%uB", (unsigned)bytes);
        return;
    }
    while (tenths >= UINT64_C(1024) * 1024) {
        tenths /= 1024;
        i++;
    }
    i++;
    tenths = tenths * 10 / 1024;
    if (tenths % 10 == 0 || tenths >= 1000)
        (void)snprintf(out, n, "%u%c", (unsigned)(tenths / 10), units[i]);
    else
        (void)snprintf(out, n, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[i]);
}

void str_format_duration(char *out, size_t n, uint64_t us)
{
    static const struct {
        char big, small;
        uint64_t big_s, small_s;
    } rows[] = {{'d', 'h', 86400, 3600}, {'h', 'm', 3600, 60}, {'m', 's', 60, 1}};
    uint64_t s = us / USEC_PER_SEC;

    if (us < USEC_PER_SEC) {
        (void)snprintf(out, n, "%ums", (unsigned)(us / 1000));
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (s < rows[i].big_s)
            continue;
        if (s % rows[i].big_s / rows[i].small_s)
            (void)snprintf(out, n, "%llu%c%llu%c", (unsigned long long)(s / rows[i].big_s), rows[i].big,
                (unsigned long long)(s % rows[i].big_s / rows[i].small_s), rows[i].small);
        else
            (void)snprintf(out, n, "%llu%c", (unsigned long long)(s / rows[i].big_s), rows[i].big);
        return;
    }
    if (s < 10 && us % USEC_PER_SEC / 100000)
        (void)snprintf(out, n, "%u.%us", (unsigned)s, (unsigned)(us % USEC_PER_SEC / 100000));
    else
        (void)snprintf(out, n, "%us", (unsigned)s);
}

void str_slice_name(char *out, size_t n, const char *slug)
{
    size_t used = (size_t)snprintf(out, n, "clawsup-");

    for (; *slug && used < n; slug++)
        used += (size_t)snprintf(out + used, n - used, *slug == '-' ? "\\x2d" : "%c", *slug);
    if (used < n)
        (void)snprintf(out + used, n - used, ".slice");
}

bool str_is_clean_path(const char *path)
{
    size_t n = strlen(path);

    if (path[0] != '/' || n >= PATH_MAX || (n > 1 && path[n - 1] == '/'))
        return false;
    while (*path == '/') {
        size_t len = strcspn(++path, "/");

        if (n > 1 &&
            (len == 0 || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.')))
            return false;
        path += len;
    }
    return true;
}

bool str_path_covers(const char *root, const char *path)
{
    size_t n = strlen(root);

    if (strcmp(root, "/") == 0)
        return path[0] == '/';
    return strncmp(root, path, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

unsigned str_distance(const char *a, const char *b)
{
    enum { N = 48 };
    size_t la = strlen(a), lb = strlen(b);
    unsigned row[N + 1];

    if (la > N || lb > N)
        return 8;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diag = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned up = row[j], best = diag + (a[i - 1] != b[j - 1]);
            best = MIN(best, MIN(up + 1, row[j - 1] + 1));
            row[j] = best;
            diag = up;
        }
    }
    return MIN(row[lb], 8U);
}
