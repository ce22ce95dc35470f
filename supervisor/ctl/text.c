/* text.c: see text.h. */
#include "ctl/text.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/str.h"

/* Bytes of the well-formed UTF-8 sequence at `s` that shows something; 0 when there is none. */
static size_t utf8_len(const unsigned char *s)
{
    if (s[0] >= 0x20 && s[0] < 0x7f)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
        return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2; /* C1 controls */
    if (s[0] >= 0xe0 && s[0] <= 0xef && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0))
            return 0;
        /* U+2028 to U+202E and U+2066 to U+2069 break or reorder lines. */
        if (s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                                (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)))
            return 0;
        return 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (s[3] & 0xc0) == 0x80)
        return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90) ? 0 : 4;
    return 0;
}

void text_safe(char *out, size_t n, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t used = 0;

    while (*p) {
        size_t len = utf8_len(p);

        if (used + MAX(len, (size_t)1) >= n)
            break;
        if (len == 0) {
            out[used++] = '?';
            p++;
            continue;
        }
        memcpy(out + used, p, len);
        used += len;
        p += len;
    }
    if (n > 0)
        out[used] = '\0';
}

const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

uint64_t text_u64(const json_t *o, const char *key, uint64_t fallback)
{
    const json_t *v = json_object_get(o, key);

    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : fallback;
}

bool text_time(const json_t *o, const char *key, uint64_t *ret_us)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s && rfc3339_parse(s, ret_us) >= 0;
}

int text_since(const char *s, uint64_t *ret_us)
{
    uint64_t back, now = clock_now(CLOCK_REALTIME);

    if (str_parse_duration(s, &back) >= 0) {
        *ret_us = back < now ? now - back : 0;
        return 0;
    }
    return rfc3339_parse(s, ret_us);
}

void text_between(char *out, size_t n, uint64_t a_us, uint64_t b_us)
{
    str_format_duration(out, n, a_us > b_us ? a_us - b_us : b_us - a_us);
}

void text_ago(char *out, size_t n, uint64_t now_us, uint64_t at_us)
{
    char d[32];

    text_between(d, sizeof(d), now_us, at_us);
    if (at_us > now_us)
        (void)snprintf(out, n, "in %s", d);
    else if (now_us - at_us < USEC_PER_SEC)
        (void)snprintf(out, n, "just now");
    else
        (void)snprintf(out, n, "%s ago", d);
}

void text_usage(char *out, size_t n, uint64_t used, uint64_t limit)
{
    char u[24] = "-", l[24];

    if (used != UINT64_MAX)
        str_format_size(u, sizeof(u), used);
    if (limit == UINT64_MAX) {
        (void)snprintf(out, n, "%s", u);
        return;
    }
    str_format_size(l, sizeof(l), limit);
    (void)snprintf(out, n, "%s/%s", u, l);
}

enum text_colour text_state_colour(const char *state)
{
    static const struct {
        const char *state;
        enum text_colour colour;
    } rows[] = {{"healthy", TEXT_GREEN}, {"normal", TEXT_GREEN}, {"ok", TEXT_GREEN},
        {"degraded", TEXT_YELLOW}, {"starting", TEXT_YELLOW}, {"recovering", TEXT_YELLOW},
        {"verifying", TEXT_YELLOW}, {"suspect", TEXT_YELLOW}, {"backoff", TEXT_YELLOW},
        {"settling", TEXT_YELLOW}, {"held", TEXT_CYAN}, {"paused", TEXT_CYAN}, {"quarantined", TEXT_RED},
        {"down", TEXT_RED}, {"fail", TEXT_RED}, {"missing", TEXT_RED}, {"engine-down", TEXT_RED},
        {"mass-failure", TEXT_RED}, {"safe", TEXT_RED}, {"unknown", TEXT_DIM}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].state, state) == 0)
            return rows[i].colour;
    return TEXT_PLAIN;
}

const char *text_sgr(enum text_colour c)
{
    static const char *const sgr[_TEXT_COLOUR_MAX] = {
        [TEXT_PLAIN] = "",
        [TEXT_GREEN] = "\033[32m",
        [TEXT_YELLOW] = "\033[33m",
        [TEXT_RED] = "\033[31m",
        [TEXT_CYAN] = "\033[36m",
        [TEXT_DIM] = "\033[2m",
        [TEXT_BOLD] = "\033[1m",
    };

    return sgr[c];
}

bool text_colour_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return !(no && *no) && !(term && strcmp(term, "dumb") == 0) && isatty(STDOUT_FILENO);
}
