/* http1_head.c: see http1_head.h. Line and field syntax only; what a field means for a request or a response
 * is decided by the callers. */
#include "filter/http1_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int http1_head_refuse(struct http1_error *e, int status, const char *text)
{
    e->status = status;
    e->text = text;
    return -EBADMSG;
}

ssize_t http1_head_find(const char *data, size_t len, size_t *scanned, struct http1_error *e)
{
    size_t end = MIN(len, HTTP1_HEAD_LIMIT), i;

    for (i = *scanned; i < end; i++) {
        unsigned char c = (unsigned char)data[i];
        bool after_cr = i > 0 && data[i - 1] == '\r';

        if (c == '\n') {
            if (!after_cr)
                return http1_head_refuse(e, 400, "a bare line feed");
            if (i == 1)
                return http1_head_refuse(e, 400, "an empty line where a message should begin");
            if (data[i - 2] == '\n')
                return (ssize_t)i + 1;
        } else if (after_cr) {
            return http1_head_refuse(e, 400, "a bare carriage return");
        } else if (c != '\r' && c != '\t' && (c < 0x20 || c > 0x7e)) {
            return http1_head_refuse(e, 400, "a control or non-ASCII byte in the head");
        }
    }
    *scanned = i;
    if (i == HTTP1_HEAD_LIMIT)
        return http1_head_refuse(e, 431, "the head is larger than 16 KiB");
    return -EAGAIN;
}

int http1_head_copy(char **text, size_t *cap, const char *data, size_t len)
{
    if (*cap < len + 1) {
        size_t want = MAX(len + 1, (size_t)1024);
        char *p = realloc(*text, want);

        if (!p)
            return -ENOMEM;
        *text = p;
        *cap = want;
    }
    memcpy(*text, data, len);
    (*text)[len] = '\0';
    return 0;
}

bool http1_is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return n > 0;
}

/* Fields that say where a message ends and what becomes of its connection. Readers differ on what a tab in
 * one of them means: some take it for a blank, some for a part of the word. */
static bool must_be_plain(const char *name)
{
    static const char *const names[] = {"connection", "content-length", "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* One line, from `p` to `end` (where its CRLF stands). */
static int parse_field(char *p, char *end, struct http1_field *ret, struct http1_error *e)
{
    char *colon = memchr(p, ':', (size_t)(end - p));

    if (*p == ' ' || *p == '\t')
        return http1_head_refuse(e, 400, "a folded header line");
    if (!colon)
        return http1_head_refuse(e, 400, "a header line without a colon");
    if (!http1_is_token(p, (size_t)(colon - p)))
        return http1_head_refuse(e, 400, "a malformed header name");
    for (char *s = p; s < colon; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + ('a' - 'A'));
    ret->name = p;
    *colon++ = '\0';
    if (memchr(colon, '\t', (size_t)(end - colon)) && must_be_plain(p))
        return http1_head_refuse(e, 400, "a tab in a header that frames the message");
    while (colon < end && (*colon == ' ' || *colon == '\t'))
        colon++;
    while (end > colon && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    ret->value = colon;
    return 0;
}

int http1_head_fields(
    char *p, struct http1_field fields[static HTTP1_FIELDS_MAX], size_t *ret_n, struct http1_error *e)
{
    size_t n = 0;

    while (*p != '\r') {
        char *end = strchr(p, '\r');
        int r;

        if (!end)
            return http1_head_refuse(e, 400, "a header line without an end");
        if (n == HTTP1_FIELDS_MAX)
            return http1_head_refuse(e, 431, "more than 64 header fields");
        r = parse_field(p, end, &fields[n], e);
        if (r < 0)
            return r;
        n++;
        p = end + 2;
    }
    *ret_n = n;
    return 0;
}

bool http1_head_has_token(const char *list, const char *token)
{
    size_t want = strlen(token);

    while (*list) {
        size_t n = strcspn(list, ","), start = strspn(list, " \t"), end = n;

        while (end > start && (list[end - 1] == ' ' || list[end - 1] == '\t'))
            end--;
        if (end >= start && end - start == want && strncasecmp(list + start, token, want) == 0)
            return true;
        list += n;
        if (*list == ',')
            list++;
    }
    return false;
}

/* Digits without sign, blanks, lists or padding. */
static int parse_length(const char *s, uint64_t *ret)
{
    uint64_t v = 0;

    if (!*s || (s[0] == '0' && s[1]))
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (uint64_t)INT64_MAX / 10 - 1)
            return -EINVAL;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    *ret = v;
    return 0;
}

/* A second one of these could be read instead of the first. */
static bool must_be_single(const char *name)
{
    static const char *const names[] = {
        "content-length", "content-type", "expect", "host", "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

int http1_head_framing(
    const struct http1_field *fields, size_t n, struct http1_framing_info *ret, struct http1_error *e)
{
    struct http1_framing_info f = {0};

    for (size_t i = 0; i < n; i++) {
        const char *name = fields[i].name, *value = fields[i].value;

        if (must_be_single(name))
            for (size_t k = 0; k < i; k++)
                if (strcmp(fields[k].name, name) == 0)
                    return http1_head_refuse(e, 400, "a header that must not be repeated");
        if (strcmp(name, "content-length") == 0) {
            if (parse_length(value, &f.length) < 0)
                return http1_head_refuse(e, 400, "a malformed Content-Length");
            f.has_length = true;
        } else if (strcmp(name, "transfer-encoding") == 0) {
            if (strcasecmp(value, "chunked") != 0)
                return http1_head_refuse(e, 400, "a Transfer-Encoding other than chunked");
            f.chunked = true;
        } else if (strcmp(name, "trailer") == 0) {
            return http1_head_refuse(e, 400, "trailers are not supported");
        } else if (strcmp(name, "connection") == 0) {
            f.close = f.close || http1_head_has_token(value, "close");
        }
    }
    if (f.chunked && f.has_length)
        return http1_head_refuse(e, 400, "Transfer-Encoding together with Content-Length");
    *ret = f;
    return 0;
}

const char *http1_head_field(const struct http1_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].value;
    return NULL;
}
