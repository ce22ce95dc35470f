/* buf.c: see buf.h. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUF_LIMIT_DEFAULT ((size_t)16 * 1024 * 1024)

void buf_reset(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

int buf_reserve(struct buf *b, size_t n)
{
    size_t limit = b->limit ? b->limit : BUF_LIMIT_DEFAULT, cap;
    char *p;

    if (n > limit || b->len > limit - n)
        return -E2BIG;
    if (b->cap > b->len + n)
        return 0;
    cap = MAX(b->cap * 2, b->len + n + 1);
    if (cap > limit + 1)
        cap = limit + 1;
    if (cap < 64)
        cap = 64;
    p = realloc(b->data, cap);
    if (!p)
        return -ENOMEM;
    b->data = p;
    b->cap = cap;
    b->data[b->len] = '\0';
    return 0;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
    int r = buf_reserve(b, len);

    if (r < 0)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_adds(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, aq;
    int n, r;

    va_start(ap, fmt);
    va_copy(aq, ap);
    n = vsnprintf(NULL, 0, fmt, aq);
    va_end(aq);
    if (n < 0) {
        va_end(ap);
        return -EINVAL;
    }
    r = buf_reserve(b, (size_t)n);
    if (r >= 0) {
        (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
        b->len += (size_t)n;
    }
    va_end(ap);
    return r;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
    } else {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
    if (b->data)
        b->data[b->len] = '\0';
}

void buf_truncate(struct buf *b, size_t len)
{
    if (len >= b->len)
        return;
    b->len = len;
    b->data[len] = '\0';
}

char *buf_take(struct buf *b)
{
    char *p;

    if (!b->data)
        return calloc(1, 1);
    p = b->data;
    b->data = NULL;
    b->len = b->cap = 0;
    return p;
}
