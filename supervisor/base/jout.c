/* jout.c: see jout.h. */
#include "base/jout.h"

#include <stdio.h>
#include <string.h>

/* Room for `n` bytes, which the caller fills; NULL: there is none. */
static char *room(struct jout *o, size_t n)
{
    struct buf *b = o->out;
    char *p;

    if (o->error >= 0)
        o->error = buf_reserve(b, n);
    if (o->error < 0)
        return NULL;
    p = b->data + b->len;
    b->len += n;
    p[n] = '\0';
    return p;
}

static void add(struct jout *o, const char *text, size_t len)
{
    char *p = room(o, len);

    if (p)
        memcpy(p, text, len);
}

/* `text`, behind a comma where one is due. */
static void begin(struct jout *o, const char *text, size_t len)
{
    char *p = room(o, len + o->comma);

    if (!p)
        return;
    if (o->comma)
        *p++ = ',';
    memcpy(p, text, len);
    o->comma = true;
}

void jout_open(struct jout *o, char bracket)
{
    begin(o, &bracket, 1);
    o->comma = false;
}

void jout_close(struct jout *o, char bracket)
{
    add(o, &bracket, 1);
    o->comma = true;
}

void jout_key(struct jout *o, const char *key)
{
    size_t len = strlen(key);
    char *p = room(o, len + o->comma + 3);

    if (!p)
        return;
    if (o->comma)
        *p++ = ',';
    *p++ = '"';
    p = stpcpy(p, key);
    p[0] = '"';
    p[1] = ':';
    o->comma = false;
}

void jout_key_of(struct jout *o, const struct jdoc *d, uint32_t key)
{
    jout_value(o, d, key);
    add(o, ":", 1);
    o->comma = false;
}

void jout_raw(struct jout *o, const char *text, size_t len)
{
    begin(o, text, len);
}

void jout_value(struct jout *o, const struct jdoc *d, uint32_t value)
{
    size_t len;
    const char *text = jdoc_raw(d, value, &len);

    if (text)
        jout_raw(o, text, len);
    else
        jout_raw(o, "null", 4);
}

void jout_number(struct jout *o, int64_t n)
{
    char text[24];
    char *p = text + sizeof(text);
    uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;

    do
        *--p = (char)('0' + u % 10);
    while ((u /= 10) > 0);
    if (n < 0)
        *--p = '-';
    jout_raw(o, p, (size_t)(text + sizeof(text) - p));
}

void jout_stringn(struct jout *o, const char *s, size_t len)
{
    size_t from = 0;
    char escape[8];

    begin(o, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        add(o, s + from, i - from);
        from = i + 1;
        if (c >= ' ')
            (void)snprintf(escape, sizeof(escape), "\\%c", c);
        else
            (void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
        add(o, escape, strlen(escape));
    }
    add(o, s + from, len - from);
    add(o, "\"", 1);
}

void jout_string(struct jout *o, const char *s)
{
    jout_stringn(o, s, strlen(s));
}
