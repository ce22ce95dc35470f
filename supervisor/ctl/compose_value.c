/* compose_value.c: single values of a Compose file in their several forms. Pure. */
#include "ctl/compose_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

const char *compose_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

bool compose_is_true(const char *s)
{
    return s && (strcasecmp(s, "true") == 0 || strcmp(s, "1") == 0 || strcasecmp(s, "yes") == 0 ||
                    strcasecmp(s, "on") == 0);
}

json_t *compose_split(const char *list, const char *separators)
{
    json_t *a = json_array();

    while (a && *list) {
        size_t n = strcspn(list, separators);
        const char *s = list;
        size_t len = n;

        while (len > 0 && isspace((unsigned char)*s))
            s++, len--;
        while (len > 0 && isspace((unsigned char)s[len - 1]))
            len--;
        if (len > 0 && json_array_append_new(a, json_stringn(s, len)) < 0) {
            json_decref(a);
            return NULL;
        }
        list += n + (list[n] != '\0');
    }
    return a;
}

/* ---------------------------------------------------------------- volumes */

static void set_text(char *out, size_t n, const char *s)
{
    (void)snprintf(out, n, "%s", s ? s : "");
}

static int volume_long(const json_t *o, struct compose_volume *v)
{
    const char *type = compose_text(o, "type"), *target = compose_text(o, "target");

    if (!target)
        target = compose_text(o, "destination") ? compose_text(o, "destination") : compose_text(o, "dst");
    if (!target)
        return -EINVAL;
    set_text(v->type, sizeof(v->type), type ? type : "volume");
    set_text(v->source, sizeof(v->source),
        compose_text(o, "source") ? compose_text(o, "source") : compose_text(o, "src"));
    set_text(v->target, sizeof(v->target), target);
    v->read_only = compose_is_true(compose_text(o, "read_only"));
    return 0;
}

static bool is_path(const char *s)
{
    return s[0] == '/' || s[0] == '.' || s[0] == '~';
}

/* [SOURCE:]TARGET[:MODE] */
static int volume_short(const char *s, struct compose_volume *v)
{
    const char *first = strchr(s, ':'), *second = first ? strchr(first + 1, ':') : NULL;

    if (!*s || strlen(s) >= sizeof(v->source))
        return -EINVAL;
    if (!first) {
        set_text(v->type, sizeof(v->type), "volume");
        set_text(v->target, sizeof(v->target), s);
        return 0;
    }
    (void)snprintf(v->source, sizeof(v->source), "%.*s", (int)(first - s), s);
    (void)snprintf(v->target, sizeof(v->target), "%.*s",
        second ? (int)(second - first - 1) : (int)strlen(first + 1), first + 1);
    set_text(v->type, sizeof(v->type), is_path(v->source) ? "bind" : "volume");
    for (const char *p = second ? second + 1 : ""; *p;) {
        size_t n = strcspn(p, ",");

        v->read_only = v->read_only || (n == 2 && strncmp(p, "ro", 2) == 0);
        p += n + (p[n] != '\0');
    }
    return v->target[0] == '/' ? 0 : -EINVAL;
}

int compose_volume(const json_t *entry, struct compose_volume *ret)
{
    *ret = (struct compose_volume){.read_only = false};
    if (json_is_object(entry))
        return volume_long(entry, ret);
    return json_is_string(entry) ? volume_short(json_string_value(entry), ret) : -EINVAL;
}

/* ---------------------------------------------------------------- ports */

/* "8000" or "8000-8010"; "" is 0. */
static int port_range(const char *s, size_t n, unsigned *ret, unsigned *ret_end)
{
    char text[16];
    const char *dash;
    uint64_t a = 0, b;

    if (n >= sizeof(text))
        return -EINVAL;
    (void)snprintf(text, sizeof(text), "%.*s", (int)n, s);
    dash = strchr(text, '-');
    if (dash)
        text[dash - text] = '\0';
    if (n > 0 && str_parse_u64(text, 65535, &a) < 0)
        return -EINVAL;
    b = a;
    if (dash && (str_parse_u64(dash + 1, 65535, &b) < 0 || b < a))
        return -EINVAL;
    *ret = (unsigned)a;
    *ret_end = (unsigned)b;
    return 0;
}

static int port_long(const json_t *o, struct compose_port *p)
{
    const char *target = compose_text(o, "target"), *published = compose_text(o, "published");
    const char *protocol = compose_text(o, "protocol");
    unsigned end;

    if (!target || port_range(target, strlen(target), &p->container, &end) < 0 ||
        (published && port_range(published, strlen(published), &p->host, &p->host_end) < 0))
        return -EINVAL;
    set_text(p->address, sizeof(p->address), compose_text(o, "host_ip"));
    p->udp = protocol && strcmp(protocol, "udp") == 0;
    return 0;
}

/* [[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]; an IPv6 address stands in brackets. */
static int port_short(const char *s, struct compose_port *p)
{
    const char *slash = strchr(s, '/'), *end = slash ? slash : s + strlen(s), *last, *host;
    unsigned container_end;

    p->udp = slash && strcmp(slash + 1, "udp") == 0;
    for (last = end; last > s && last[-1] != ':'; last--)
        ;
    if (port_range(last, (size_t)(end - last), &p->container, &container_end) < 0 || p->container == 0)
        return -EINVAL;
    if (last == s)
        return 0;
    for (host = last - 1; host > s && host[-1] != ':'; host--)
        ;
    if (port_range(host, (size_t)(last - 1 - host), &p->host, &p->host_end) < 0)
        return -EINVAL;
    if (host > s)
        (void)snprintf(p->address, sizeof(p->address), "%.*s", (int)(host - 1 - s), s);
    return 0;
}

int compose_port(const json_t *entry, struct compose_port *ret)
{
    *ret = (struct compose_port){.udp = false};
    if (json_is_object(entry))
        return port_long(entry, ret);
    return json_is_string(entry) ? port_short(json_string_value(entry), ret) : -EINVAL;
}

/* ---------------------------------------------------------------- commands */

/* One word from *at on, as a shell would take it, without expansions. 1, 0 at the end, -EINVAL. */
static int shell_word(const char **at, struct buf *word)
{
    const char *p = *at;
    char quote = '\0';

    buf_truncate(word, 0);
    p += strspn(p, " \t\r\n");
    if (!*p)
        return 0;
    for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
        if (quote ? *p == quote : *p == '"' || *p == '\'') {
            quote = quote ? '\0' : *p;
            continue;
        }
        if (*p == '\\' && quote != '\'' && p[1])
            p++;
        if (buf_add(word, p, 1) < 0)
            return -ENOMEM;
    }
    *at = p;
    return quote ? -EINVAL : 1;
}

json_t *compose_command(const json_t *v)
{
    const char *text = json_string_value(v);
    _cleanup_json_ json_t *a = json_array();
    _cleanup_buf_ struct buf word = {.limit = 65536};
    int r;

    if (json_is_array(v))
        return json_deep_copy(v);
    if (!text || !a)
        return NULL;
    while ((r = shell_word(&text, &word)) > 0)
        if (json_array_append_new(a, json_string(word.data ? word.data : "")) < 0)
            return NULL;
    return r < 0 ? NULL : TAKE_PTR(a);
}

/* ---------------------------------------------------------------- numbers with units */

bool compose_duration(const char *s, char *out, size_t n)
{
    uint64_t v;

    if (str_parse_u64(s, 1000000, &v) >= 0) { /* seconds */
        (void)snprintf(out, n, "%llus", (unsigned long long)v);
        return true;
    }
    (void)snprintf(out, n, "%s", s);
    return str_parse_duration(s, &v) >= 0;
}

bool compose_size(const char *s, char *out, size_t n)
{
    size_t digits = strspn(s, "0123456789."), unit = strlen(s) - digits;
    uint64_t v;

    if (digits == 0 || digits > 16 || unit > 3)
        return false;
    /* b, k, kb, m, mb, g, gb: in any case, powers of 1024. */
    (void)snprintf(out, n, "%.*s%c", (int)digits, s,
        unit > 0 && tolower((unsigned char)s[digits]) != 'b' ? toupper((unsigned char)s[digits]) : '\0');
    return str_parse_size(out, &v) >= 0;
}

char *compose_path(const struct compose *c, const char *path)
{
    _cleanup_free_ char *full = NULL;
    char *out, *w;

    if (path[0] == '~')
        return NULL;
    if (asprintf(&full, "%s%s%s", path[0] == '/' ? "" : c->dir, path[0] == '/' ? "" : "/", path) < 0)
        return NULL;
    out = w = malloc(strlen(full) + 2);
    if (!out)
        return NULL;
    for (const char *p = full; *p;) {
        size_t n;

        p += strspn(p, "/");
        n = strcspn(p, "/");
        if (n == 2 && strncmp(p, "..", 2) == 0) {
            while (w > out && *--w != '/')
                ;
        } else if (n > 0 && !(n == 1 && *p == '.')) {
            *w++ = '/';
            memcpy(w, p, n);
            w += n;
        }
        p += n;
    }
    if (w == out)
        *w++ = '/';
    *w = '\0';
    return out;
}
