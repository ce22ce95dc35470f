/* glob.c: see glob.h. Globs are matched by hand; regular expressions by PCRE2 with limits. Allocates, nothing
 * else. */
#include "filter/glob.h"

#include <errno.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/str.h"

#define GLOB_PATTERN_MAX 256
#define GLOB_NAME_MAX 255
#define GLOB_MATCH_LIMIT 20000
#define GLOB_DEPTH_LIMIT 500
#define GLOB_HEAP_LIMIT_KIB 256

struct glob {
    char *pattern; /* the glob; NULL for a regex */
    char *prefix;
    pcre2_code *code;
    pcre2_match_context *context;
};

struct glob *glob_free(struct glob *g)
{
    if (!g)
        return NULL;
    pcre2_match_context_free(g->context);
    pcre2_code_free(g->code);
    free(g->pattern);
    free(g->prefix);
    free(g);
    return NULL;
}

static int compile_regex(struct glob *g, const char *regex, struct err *e)
{
    PCRE2_UCHAR text[128];
    PCRE2_SIZE offset;
    int code;

    if (!*regex)
        return err_set(e, -EINVAL, "empty regular expression");
    g->code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
        PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
            PCRE2_NEVER_BACKSLASH_C,
        &code, &offset, NULL);
    if (!g->code) {
        if (code == PCRE2_ERROR_NOMEMORY)
            return -ENOMEM;
        if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
            text[0] = '\0';
        return err_set(e, -EINVAL, "regular expression, byte %zu: %s", (size_t)offset, (const char *)text);
    }
    g->context = pcre2_match_context_create(NULL);
    if (!g->context)
        return -ENOMEM;
    (void)pcre2_set_match_limit(g->context, GLOB_MATCH_LIMIT);
    (void)pcre2_set_depth_limit(g->context, GLOB_DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(g->context, GLOB_HEAP_LIMIT_KIB);
    return 0;
}

int glob_new(const char *pattern, struct glob **ret, struct err *e)
{
    _cleanup_glob_ struct glob *g = NULL;
    int r;

    if (!*pattern || strlen(pattern) > GLOB_PATTERN_MAX)
        return err_set(e, -EINVAL, "a pattern has 1 to %d bytes", GLOB_PATTERN_MAX);
    for (const char *s = pattern; *s; s++)
        if (*s < 0x20 || *s > 0x7e)
            return err_set(e, -EINVAL, "a pattern is printable ASCII");

    g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    if (str_startswith(pattern, "regex:")) {
        r = compile_regex(g, pattern + strlen("regex:"), e);
        if (r < 0)
            return r;
        g->prefix = strdup("");
    } else {
        g->pattern = strdup(pattern);
        g->prefix = strndup(pattern, strcspn(pattern, "*?"));
        if (!g->pattern)
            return -ENOMEM;
    }
    if (!g->prefix)
        return -ENOMEM;
    *ret = TAKE_PTR(g);
    return 0;
}

/* On a mismatch only the last '*' needs to take one byte more: no recursion, at most n * m steps. */
static bool match_glob(const char *p, const char *s)
{
    const char *star = NULL, *resume = NULL;

    while (*s) {
        if (*p == '*') {
            star = ++p;
            resume = s;
        } else if (*p == '?' || *p == *s) {
            p++;
            s++;
        } else if (star) {
            p = star;
            s = ++resume;
        } else {
            return false;
        }
    }
    while (*p == '*')
        p++;
    return !*p;
}

bool glob_match(const struct glob *g, const char *name)
{
    size_t n = strlen(name);
    pcre2_match_data *md;
    int r;

    if (n > GLOB_NAME_MAX)
        return false;
    if (g->pattern)
        return match_glob(g->pattern, name);
    md = pcre2_match_data_create(1, NULL);
    if (!md)
        return false;
    r = pcre2_match(g->code, (PCRE2_SPTR)name, n, 0, PCRE2_NO_JIT, md, g->context);
    pcre2_match_data_free(md);
    return r >= 0; /* 0: more groups than the one slot */
}

const char *glob_prefix(const struct glob *g)
{
    return g->prefix;
}
