/* logs_line.c: see logs_line.h. */
#include "ctl/logs_line.h"

#include <errno.h>
#include <string.h>

#include "base/rfc3339.h"
#include "ctl/text.h"

#define FRAME_HEAD 8
#define STAMP_MAX 40

void logs_stream_reset(struct logs_stream *s)
{
    buf_reset(&s->line);
    *s = (struct logs_stream){.left = 0};
}

static void emit(struct logs_stream *s, logs_line_fn fn, void *userdata)
{
    const char *text = s->line.data ? s->line.data : "", *blank = strchr(text, ' ');
    char stamp[STAMP_MAX];
    uint64_t at = 0;

    if (blank && (size_t)(blank - text) < sizeof(stamp)) {
        memcpy(stamp, text, (size_t)(blank - text));
        stamp[blank - text] = '\0';
        if (rfc3339_parse(stamp, &at) >= 0)
            text = blank + 1;
        else
            at = 0;
    }
    fn(at, s->is_stderr, text, userdata);
    buf_truncate(&s->line, 0);
    s->cut = false;
}

/* Bytes of one stream; NUL bytes would end the text early. */
static int take(struct logs_stream *s, const char *data, size_t n, logs_line_fn fn, void *userdata)
{
    for (size_t i = 0; i < n; i++) {
        char c = data[i] ? data[i] : '?';

        if (c == '\n') {
            emit(s, fn, userdata);
        } else if (!s->cut) {
            if (s->line.len >= LOGS_LINE_MAX)
                s->cut = true;
            else if (buf_add(&s->line, &c, 1) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* The head of a frame: the stream, three zeros, the length. */
static int take_head(struct logs_stream *s, struct buf *in)
{
    const unsigned char *p = (const unsigned char *)in->data;

    if (p[0] > 2 || p[1] || p[2] || p[3])
        return -EPROTO;
    s->is_stderr = p[0] == 2;
    s->left = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7];
    buf_consume(in, FRAME_HEAD);
    return 0;
}

int logs_stream_feed(struct logs_stream *s, struct buf *in, logs_line_fn fn, void *userdata)
{
    int r = 0;

    if (!s->known && in->len > 0) {
        s->framed = (unsigned char)in->data[0] <= 2; /* a time begins with a digit */
        s->known = true;
    }
    while (r >= 0 && in->len > 0) {
        size_t n = s->framed ? MIN((size_t)s->left, in->len) : in->len;

        if (n == 0) {
            if (in->len < FRAME_HEAD)
                break;
            r = take_head(s, in);
            continue;
        }
        r = take(s, in->data, n, fn, userdata);
        buf_consume(in, n);
        s->left -= s->framed ? (uint32_t)n : 0;
    }
    return r;
}

/* ---------------------------------------------------------------- for people */

/* Bytes of the escape sequence at `s` (which begins with ESC): CSI, OSC and its kin up to BEL or ST, else ESC
 * and the byte after it. */
static size_t escape_len(const char *s)
{
    size_t i = 1;

    if (s[1] == '[') {
        for (i = 2; s[i] && ((unsigned char)s[i] < 0x40 || (unsigned char)s[i] > 0x7e); i++)
            ;
        return s[i] ? i + 1 : i;
    }
    if (s[1] && strchr("]P^_X", s[1])) {
        for (i = 2; s[i] && s[i] != '\a' && !(s[i] == '\033' && s[i + 1] == '\\'); i++)
            ;
        return s[i] == '\033' ? i + 2 : s[i] ? i + 1 : i;
    }
    return s[1] ? 2 : 1;
}

void logs_clean(char *out, size_t n, const char *s)
{
    char plain[LOGS_LINE_MAX + 1];
    size_t used = 0;

    while (*s && used + 1 < sizeof(plain)) {
        if (*s == '\033') {
            s += escape_len(s);
            continue;
        }
        if (*s == '\r' && s[1] == '\0')
            break;
        plain[used++] = *s == '\t' ? ' ' : *s;
        s++;
    }
    plain[used] = '\0';
    text_safe(out, n, plain);
}
