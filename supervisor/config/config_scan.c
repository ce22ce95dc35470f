/* config_scan.c: a lexical look at a file before libconfig reads it, for what libconfig would take silently
 * and wrongly: numbers beyond 32 bits (it keeps the low half), NUL bytes (it stops there), and @include,
 * which this configuration does not have: one file per tenant has one meaning, and nothing but it is read. It
 * judges no syntax. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "config/config_load.h"

struct scan {
    const char *p, *end, *file;
    unsigned line;
    struct config_findings *findings;
    int r;
};

static void skip_string(struct scan *s)
{
    for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p == '\\' && s->p + 1 < s->end)
            s->p++;
        if (*s->p == '\n')
            s->line++;
    }
    if (s->p < s->end)
        s->p++;
}

static void skip_line(struct scan *s)
{
    while (s->p < s->end && *s->p != '\n')
        s->p++;
}

static void skip_comment(struct scan *s)
{
    for (s->p += 2; s->p < s->end; s->p++) {
        if (*s->p == '\n')
            s->line++;
        if (*s->p == '*' && s->p + 1 < s->end && s->p[1] == '/') {
            s->p += 2;
            return;
        }
    }
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.' || c == '-' || c == '*';
}

/* One run of word characters: a name, a number, true. Only plain integers matter. */
static void scan_word(struct scan *s)
{
    const char *start = s->p;
    bool hex, digits = true;
    uint64_t v = 0, base;
    size_t len, i;

    while (s->p < s->end && is_word(*s->p))
        s->p++;
    len = (size_t)(s->p - start);
    i = *start == '-' ? 1 : 0;
    hex = len > i + 2 && start[i] == '0' && (start[i + 1] == 'x' || start[i + 1] == 'X');
    base = hex ? 16 : 10;
    i += hex ? 2 : 0;
    if (i == len)
        return;
    for (; i < len && digits; i++) {
        const char *set = "0123456789abcdefABCDEF", *at = memchr(set, start[i], hex ? 22 : 10);
        uint64_t d = at ? (uint64_t)(at - set) : 0;

        digits = at != NULL;
        v = v > UINT32_MAX ? v : v * base + (d > 15 ? d - 6 : d);
    }
    if (digits && v > (hex ? UINT32_MAX : INT_MAX))
        s->r = config_findings_add(s->findings, s->file, s->line,
            "%.*s is too large for a bare number; at most %d here (sizes and durations are written with a "
            "unit, "
            "such as \"2G\")",
            (int)MIN(len, (size_t)40), start, INT_MAX);
}

int config_scan(const char *text, size_t len, const char *file, struct config_findings *f)
{
    struct scan s = {.p = text, .end = text + len, .file = file, .line = 1, .findings = f};

    while (s.p < s.end && s.r >= 0) {
        size_t left = (size_t)(s.end - s.p);

        if (*s.p == '\0') {
            int r = config_findings_add(f, file, s.line, "a NUL byte; the file must be plain text");
            return r < 0 ? r : 1;
        }
        if (*s.p == '\n') {
            s.line++;
            s.p++;
        } else if (*s.p == '"') {
            skip_string(&s);
        } else if (*s.p == '#' || (left > 1 && s.p[0] == '/' && s.p[1] == '/')) {
            skip_line(&s);
        } else if (left > 1 && s.p[0] == '/' && s.p[1] == '*') {
            skip_comment(&s);
        } else if (left > 8 && memcmp(s.p, "@include", 8) == 0) {
            int r = config_findings_add(f, file, s.line,
                "@include is not supported; shared values go into \"defaults\" of clawsup.conf, each tenant "
                "into "
                "its own file");
            return r < 0 ? r : 1;
        } else if (is_word(*s.p)) {
            scan_word(&s);
        } else {
            s.p++;
        }
    }
    return s.r;
}
