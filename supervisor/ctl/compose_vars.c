/* compose_vars.c: see compose_vars.h: $NAME, ${NAME}, ${NAME:-default}, ${NAME-default}, ${NAME:?why},
 * ${NAME?why}, ${NAME:+other}, ${NAME+other}, $$; defaults may hold variables. */
#include "ctl/compose_vars.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"

#define FILE_MAX ((size_t)256 * 1024)
#define VALUE_MAX ((size_t)64 * 1024)
#define NESTING_MAX 8

/* ---------------------------------------------------------------- the file */

static void unquote(char *s)
{
    size_t n = strlen(s);

    if (n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n - 1] == s[0]) {
        memmove(s, s + 1, n - 2);
        s[n - 2] = '\0';
        return;
    }
    for (char *p = s; *p; p++)
        if (*p == '#' && p > s && isblank((unsigned char)p[-1])) {
            *p = '\0';
            break;
        }
    for (n = strlen(s); n > 0 && isspace((unsigned char)s[n - 1]); n--)
        s[n - 1] = '\0';
}

int compose_vars_load(const char *path, json_t *into, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    int r = fd_read_file(path, FILE_MAX, &text, NULL);
    unsigned n = 0;
    char *line;

    if (r < 0)
        return err_set(e, r, "%s: %s", path, strerrordesc_np(-r));
    for (char *p = text; (line = strsep(&p, "\n"));) {
        char *eq;

        n++;
        line += strspn(line, " \t\r");
        if (str_startswith(line, "export "))
            line += 7;
        if (!*line || *line == '#')
            continue;
        eq = strchr(line, '=');
        if (!eq || eq == line)
            return err_set(e, -EINVAL, "%s:%u: not KEY=VALUE", path, n);
        *eq = '\0';
        for (char *end = eq; end > line && isblank((unsigned char)end[-1]); end--)
            end[-1] = '\0';
        eq += 1 + strspn(eq + 1, " \t");
        if (*eq && eq[strlen(eq) - 1] == '\r')
            eq[strlen(eq) - 1] = '\0';
        unquote(eq);
        if (json_object_set_new(into, line, json_string(eq)) < 0)
            return err_set(e, -EINVAL, "%s:%u: not UTF-8", path, n);
    }
    return 0;
}

/* ---------------------------------------------------------------- replacing */

static const char *lookup(const struct compose *c, const char *name)
{
    const char *env = getenv(name);

    return env ? env : json_string_value(json_object_get(c->vars, name));
}

static int replace_text(
    struct compose *c, const char *s, size_t len, unsigned depth, struct buf *out, struct err *e);

/* Position of the '}' that ends what begins at `s` (after "${"); NULL. */
static const char *closing(const char *s, const char *end)
{
    unsigned depth = 1;

    for (; s < end; s++) {
        if (s[0] == '$' && s + 1 < end && s[1] == '{')
            depth++;
        else if (*s == '}' && --depth == 0)
            return s;
    }
    return NULL;
}

/* NAME[OP WORD], without the braces. */
static int braced(
    struct compose *c, const char *s, size_t len, unsigned depth, struct buf *out, struct err *e)
{
    char name[128];
    size_t n = 0;
    bool colon, set;
    const char *value;
    char op;

    while (n < len && (isalnum((unsigned char)s[n]) || s[n] == '_'))
        n++;
    if (n == 0 || n >= sizeof(name))
        return err_set(e, -EINVAL, "a malformed variable: ${%.*s}", (int)MIN(len, (size_t)60), s);
    (void)snprintf(name, sizeof(name), "%.*s", (int)n, s);
    value = lookup(c, name);
    colon = n < len && s[n] == ':';
    n += colon;
    op = n < len ? s[n] : '\0';
    set = value && (!colon || *value);
    if (op && !strchr("-?+", op))
        return err_set(e, -EINVAL, "a malformed variable: ${%.*s}", (int)MIN(len, (size_t)60), s);
    if (op == '+')
        return set ? replace_text(c, s + n + 1, len - n - 1, depth + 1, out, e) : 0;
    if (set)
        return buf_adds(out, value);
    if (op == '-')
        return replace_text(c, s + n + 1, len - n - 1, depth + 1, out, e);
    return json_object_set_new(c->missing, name, json_true()) < 0 ? -ENOMEM : 0;
}

static int replace_text(
    struct compose *c, const char *s, size_t len, unsigned depth, struct buf *out, struct err *e)
{
    const char *end = s + len;

    if (depth > NESTING_MAX)
        return err_set(e, -EINVAL, "variables nested too deeply");
    while (s < end) {
        size_t n = 1;

        if (*s != '$' || s + 1 == end) {
            TRY(buf_add(out, s++, 1));
        } else if (s[1] == '$') {
            TRY(buf_adds(out, "$"));
            s += 2;
        } else if (s[1] == '{') {
            const char *close = closing(s + 2, end);

            if (!close)
                return err_set(e, -EINVAL, "a variable without its '}'");
            TRY(braced(c, s + 2, (size_t)(close - s - 2), depth, out, e));
            s = close + 1;
        } else {
            while (s + n < end && (isalnum((unsigned char)s[n]) || s[n] == '_'))
                n++;
            if (n == 1 || isdigit((unsigned char)s[1]))
                TRY(buf_adds(out, "$")); /* "$1" is no variable: it stays as it is */
            else
                TRY(braced(c, s + 1, n - 1, depth, out, e));
            s += n == 1 || isdigit((unsigned char)s[1]) ? 1 : n;
        }
    }
    return 0;
}

static json_t *replace_string(struct compose *c, const char *s, struct err *e)
{
    _cleanup_buf_ struct buf b = {.limit = VALUE_MAX};
    int r = replace_text(c, s, strlen(s), 0, &b, e);

    if (r == -E2BIG)
        (void)err_set(e, r, "a value grows too long");
    if (r < 0)
        return NULL;
    return json_string(b.data ? b.data : "");
}

json_t *compose_vars_replace(struct compose *c, const json_t *v, struct err *e)
{
    _cleanup_json_ json_t *copy = NULL;
    const char *key;
    json_t *item;

    if (json_is_string(v))
        return replace_string(c, json_string_value(v), e);
    if (json_is_null(v))
        return json_null();
    copy = json_is_object(v) ? json_object() : json_array();
    if (json_is_array(v))
        for (size_t i = 0; i < json_array_size(v); i++)
            if (json_array_append_new(copy, compose_vars_replace(c, json_array_get(v, i), e)) < 0)
                return NULL;
    json_object_foreach((json_t *)(uintptr_t)v, key, item)
    {
        if (json_object_set_new(copy, key, compose_vars_replace(c, item, e)) < 0)
            return NULL;
    }
    return TAKE_PTR(copy);
}
