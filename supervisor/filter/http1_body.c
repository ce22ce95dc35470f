/* http1_body.c: one body as a machine fed with spans; see http1.h. Copies nothing, allocates nothing, keeps
 * no pointer into what it was fed. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "filter/http1.h"

enum state {
    SIZE_FIRST, /* the first digit of a chunk size */
    SIZE_MORE,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    END_CR, /* the empty line behind the last chunk */
    END_LF,
};

#define CHUNK_DIGITS_MAX 8

int http1_body_init(struct http1_body *b, enum http1_framing framing, uint64_t content_length, uint64_t limit)
{
    *b = (struct http1_body){.framing = framing, .limit = limit, .state = SIZE_FIRST};
    if (framing == HTTP1_BODY_LENGTH) {
        if (content_length > limit)
            return -EFBIG;
        b->left = content_length;
    }
    b->done = framing == HTTP1_BODY_NONE || (framing == HTTP1_BODY_LENGTH && content_length == 0);
    return 0;
}

/* Hands out what is left of a length or a chunk. */
static size_t take(struct http1_body *b, const char *data, size_t len, struct http1_span *ret)
{
    size_t n = b->left < len ? (size_t)b->left : len;

    ret->data = data;
    ret->len = n;
    b->left -= n;
    b->total += n;
    return n;
}

/* A byte of the size line: digits, then CR. */
static int step_size(struct http1_body *b, char c)
{
    int v;

    if (c == '\r' && b->state == SIZE_MORE) {
        b->state = SIZE_LF;
        return 0;
    }
    v = str_hex_digit(c);
    if (v < 0 || b->digits == CHUNK_DIGITS_MAX)
        return -EBADMSG;
    b->left = b->left * 16 + (uint64_t)v;
    b->digits++;
    b->state = SIZE_MORE;
    return 0;
}

/* One byte that is not payload. */
static int step(struct http1_body *b, char c)
{
    switch ((enum state)b->state) {
    case SIZE_FIRST:
    case SIZE_MORE:
        return step_size(b, c);
    case SIZE_LF:
        if (c != '\n')
            return -EBADMSG;
        if (b->left > b->limit - b->total)
            return -EFBIG;
        b->state = b->left > 0 ? DATA : END_CR;
        return 0;
    case DATA_CR:
    case END_CR:
        if (c != '\r')
            return -EBADMSG;
        b->state++;
        return 0;
    case DATA_LF:
        if (c != '\n')
            return -EBADMSG;
        b->state = SIZE_FIRST;
        b->digits = 0;
        return 0;
    case END_LF:
        if (c != '\n')
            return -EBADMSG;
        b->done = true;
        return 0;
    case DATA:
        break;
    }
    return -EBADMSG;
}

static ssize_t feed_chunked(struct http1_body *b, const char *data, size_t len, struct http1_span *ret)
{
    size_t i = 0;

    while (i < len && !b->done) {
        int r;

        if (b->state == DATA) {
            i += take(b, data + i, len - i, ret);
            if (b->left == 0)
                b->state = DATA_CR;
            break;
        }
        r = step(b, data[i++]);
        if (r < 0)
            return r;
    }
    return (ssize_t)i;
}

ssize_t http1_body_feed(struct http1_body *b, const char *data, size_t len, struct http1_span *ret)
{
    *ret = (struct http1_span){0};
    if (b->done || len == 0)
        return 0;
    switch (b->framing) {
    case HTTP1_BODY_LENGTH: {
        size_t n = take(b, data, len, ret);

        b->done = b->left == 0;
        return (ssize_t)n;
    }
    case HTTP1_BODY_CHUNKED:
        return feed_chunked(b, data, len, ret);
    case HTTP1_BODY_CLOSE:
        if (len > b->limit - b->total)
            return -EFBIG;
        b->left = len;
        return (ssize_t)take(b, data, len, ret);
    case HTTP1_BODY_NONE:
    case _HTTP1_BODY_MAX:
        break;
    }
    return -EBADMSG;
}

int http1_body_eof(struct http1_body *b)
{
    if (b->framing == HTTP1_BODY_CLOSE)
        b->done = true;
    return b->done ? 0 : -EBADMSG;
}
