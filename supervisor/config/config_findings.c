/* config_findings.c: what is wrong, as text with its place, and the places of all keys for later checks.
 * Judges nothing itself. */
#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/config_read.h"

/* A file with this many errors is not read to the end by anybody. */
#define FINDINGS_MAX 500

/* ---------------------------------------------------------------- findings */

void config_findings_free(struct config_findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->items[i]);
    free(f->items);
    *f = (struct config_findings){};
}

static bool has_finding(const struct config_findings *f, const char *text)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->items[i], text))
            return true;
    return false;
}

/* Takes `text` over. */
static int findings_take(struct config_findings *f, char *text)
{
    struct config_strv list = {.items = f->items, .n = f->n};
    int r = 0;

    if (f->n < FINDINGS_MAX && !has_finding(f, text))
        r = config_strv_add(&list, text);
    free(text);
    *f = (struct config_findings){.items = list.items, .n = list.n};
    return r;
}

static int findings_vadd(
    struct config_findings *f, const char *file, unsigned line, const char *prefix, char *text)
{
    char *whole = NULL;
    int n;

    if (!text)
        return -ENOMEM;
    n = line > 0 ? asprintf(&whole, "%s:%u: %s%s", file, line, prefix, text)
                 : asprintf(&whole, "%s: %s%s", file, prefix, text);
    free(text);
    return n < 0 ? -ENOMEM : findings_take(f, whole);
}

int config_findings_add(struct config_findings *f, const char *file, unsigned line, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return findings_vadd(f, file, line, "", n < 0 ? NULL : text);
}

unsigned config_line(const struct config_setting_t *s)
{
    unsigned line = s ? config_setting_source_line(s) : 0;

    return line ? line : 1; /* the root of an empty file has none */
}

void config_finding(struct config_reader *r, const struct config_setting_t *s, const char *fmt, ...)
{
    char prefix[sizeof(r->path) + 4] = "", *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (r->path[0])
        (void)snprintf(prefix, sizeof(prefix), "%s: ", r->path);
    if (findings_vadd(r->findings, r->file, config_line(s), prefix, n < 0 ? NULL : text) < 0)
        r->oom = -ENOMEM;
}

struct config_quoted config_quote(const char *value)
{
    struct config_quoted q = {"\""};
    size_t n = 1;

    for (size_t i = 0; i < 64 && value[i]; i++) {
        unsigned char c = (unsigned char)value[i];
        q.text[n++] = c < 0x20 || c == 0x7f ? '?' : value[i];
    }
    (void)snprintf(q.text + n, sizeof(q.text) - n, "%s\"", strlen(value) > 64 ? "..." : "");
    return q;
}

/* ---------------------------------------------------------------- places */

void config_locs_free(struct config_locs *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].path);
    free(l->items);
    *l = (struct config_locs){};
}

const struct config_loc *config_locs_exact(const struct config_locs *l, const char *path)
{
    for (size_t i = l->n; i > 0; i--)
        if (str_eq(l->items[i - 1].path, path))
            return &l->items[i - 1];
    return NULL;
}

const struct config_loc *config_locs_find(const struct config_locs *l, const char *path)
{
    char p[256];

    (void)snprintf(p, sizeof(p), "%s", path);
    for (;;) {
        const struct config_loc *loc = config_locs_exact(l, p);
        size_t n = strlen(p);

        if (loc || n == 0)
            return loc;
        while (n > 0 && p[n - 1] != '.' && p[n - 1] != '[')
            n--;
        p[n > 0 ? n - 1 : 0] = '\0';
    }
}

static int locs_add(struct config_locs *l, const struct config_loc *loc)
{
    struct config_loc *items = reallocarray(l->items, l->n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    items[l->n] = *loc;
    l->items = items;
    l->n++;
    return 0;
}

void config_loc_record(struct config_reader *r, const struct config_setting_t *s)
{
    struct config_loc loc = {.file = r->file, .line = config_line(s)};

    if (!r->locs)
        return;
    loc.path = strdup(r->path);
    if (!loc.path || locs_add(r->locs, &loc) < 0) {
        free(loc.path);
        r->oom = -ENOMEM;
    }
}

size_t config_path_push(struct config_reader *r, const char *name)
{
    size_t n = strlen(r->path);

    (void)snprintf(r->path + n, sizeof(r->path) - n, "%s%s", n ? "." : "", name);
    return n;
}

size_t config_path_push_index(struct config_reader *r, size_t index)
{
    size_t n = strlen(r->path);

    (void)snprintf(r->path + n, sizeof(r->path) - n, "[%zu]", index);
    return n;
}

void config_path_pop(struct config_reader *r, size_t mark)
{
    r->path[mark] = '\0';
}
