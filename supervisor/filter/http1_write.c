/* http1_write.c: canonical heads, chunks and error answers; see http1.h. Writes only what callers pass as
 * typed parts, and checks even that for bytes that could start another line. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "filter/http1.h"
#include "filter/http1_head.h"

#define EXTRA_MAX 16

static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {100, "Continue"},
    {101, "UPGRADED"}, /* the engine's own word */
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Request Entity Too Large"},
    {414, "Request URI Too Long"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *status_text(int status)
{
    for (size_t i = 0; i < ARRAY_SIZE(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return "Unknown";
}

static bool value_is_clean(const char *s)
{
    for (; *s; s++)
        if (*s < 0x20 || *s > 0x7e)
            return false;
    return true;
}

static bool target_is_clean(const char *s)
{
    if (!s || *s != '/')
        return false;
    for (; *s; s++)
        if (*s <= 0x20 || *s > 0x7e || *s == '#')
            return false;
    return true;
}

static int add_field(struct buf *out, const char *name, const char *value)
{
    if (!value_is_clean(value))
        return -EINVAL;
    return buf_addf(out, "%s: %s\r\n", name, value);
}

static int add_framing(struct buf *out, enum http1_framing framing, uint64_t length)
{
    switch (framing) {
    case HTTP1_BODY_LENGTH:
        return buf_addf(out, "Content-Length: %" PRIu64 "\r\n", length);
    case HTTP1_BODY_CHUNKED:
        return buf_adds(out, "Transfer-Encoding: chunked\r\n");
    case HTTP1_BODY_NONE:
    case HTTP1_BODY_CLOSE:
        return 0;
    case _HTTP1_BODY_MAX:
        break;
    }
    return -EINVAL;
}

static int write_request(struct buf *out, const struct http1_out_request *r)
{
    enum http1_framing framing = r->framing;

    if ((unsigned)r->method >= _HTTP1_METHOD_MAX || !target_is_clean(r->target) ||
        framing == HTTP1_BODY_CLOSE)
        return -EINVAL;
    /* Without a length the engine would have to guess whether a body follows. */
    if (framing == HTTP1_BODY_NONE && (r->method == HTTP1_POST || r->method == HTTP1_PUT))
        framing = HTTP1_BODY_LENGTH;
    TRY(buf_addf(out, "%s %s HTTP/1.1\r\nHost: docker\r\n", http1_method_name(r->method), r->target));
    if (r->content_type)
        TRY(add_field(out, "Content-Type", r->content_type));
    TRY(add_framing(out, framing, r->framing == HTTP1_BODY_NONE ? 0 : r->content_length));
    if (r->upgrade)
        TRY(buf_adds(out, "Connection: Upgrade\r\nUpgrade: tcp\r\n"));
    else if (!r->keep_alive)
        TRY(buf_adds(out, "Connection: close\r\n"));
    return buf_adds(out, "\r\n");
}

int http1_write_request(struct buf *out, const struct http1_out_request *r)
{
    size_t before = out->len;
    int k = write_request(out, r);

    if (k < 0)
        buf_truncate(out, before);
    return k;
}

/* Few fields: insertion into a sorted array of pointers. */
static int add_extra(struct buf *out, const struct http1_field *extra, size_t n)
{
    const struct http1_field *sorted[EXTRA_MAX];

    if (n > EXTRA_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        size_t k = i;

        if (!http1_is_token(extra[i].name, strlen(extra[i].name)))
            return -EINVAL;
        for (; k > 0 && strcmp(sorted[k - 1]->name, extra[i].name) > 0; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = &extra[i];
    }
    for (size_t i = 0; i < n; i++)
        TRY(add_field(out, sorted[i]->name, sorted[i]->value));
    return 0;
}

static int write_response(struct buf *out, const struct http1_out_response *r)
{
    if (r->status < 100 || r->status > 599)
        return -EINVAL;
    TRY(buf_addf(out, "HTTP/1.1 %d %s\r\n", r->status, status_text(r->status)));
    if (r->content_type)
        TRY(add_field(out, "Content-Type", r->content_type));
    TRY(add_framing(out, r->framing, r->content_length));
    if (r->status == 101)
        TRY(buf_adds(out, "Connection: Upgrade\r\nUpgrade: tcp\r\n"));
    else if (!r->keep_alive || r->framing == HTTP1_BODY_CLOSE)
        TRY(buf_adds(out, "Connection: close\r\n"));
    TRY(add_extra(out, r->extra, r->n_extra));
    return buf_adds(out, "\r\n");
}

int http1_write_response(struct buf *out, const struct http1_out_response *r)
{
    size_t before = out->len;
    int k = write_response(out, r);

    if (k < 0)
        buf_truncate(out, before);
    return k;
}

/* {"message":"..."} and a line feed, as the engine writes it. */
static int build_message(const char *message, struct buf *ret)
{
    _cleanup_json_ json_t *j = NULL;
    _cleanup_free_ char *plain = NULL, *text = NULL;
    json_t *s = json_string(message);

    if (!s) {
        plain = strdup(message);
        if (!plain)
            return -ENOMEM;
        for (char *p = plain; *p; p++)
            if ((unsigned char)*p > 0x7e)
                *p = '?';
        s = json_string(plain);
        if (!s)
            return -ENOMEM;
    }
    j = json_object();
    if (!j) {
        json_decref(s);
        return -ENOMEM;
    }
    if (json_object_set_new(j, "message", s) < 0)
        return -ENOMEM;
    text = json_to_string(j);
    if (!text)
        return -ENOMEM;
    TRY(buf_adds(ret, text));
    return buf_adds(ret, "\n");
}

int http1_write_message(struct buf *out, int status, const char *message, bool head_only, bool keep_alive,
    const struct http1_field *extra, size_t n_extra)
{
    _cleanup_buf_ struct buf body = {0};
    struct http1_out_response head = {
        .status = status,
        .framing = HTTP1_BODY_LENGTH,
        .content_type = "application/json",
        .keep_alive = keep_alive,
        .extra = extra,
        .n_extra = n_extra,
    };
    size_t before = out->len;
    int r;

    TRY(build_message(message, &body));
    head.content_length = body.len;
    r = http1_write_response(out, &head);
    if (r >= 0 && !head_only) {
        r = buf_add(out, body.data, body.len);
        if (r < 0)
            buf_truncate(out, before);
    }
    return r;
}

int http1_write_continue(struct buf *out)
{
    return buf_adds(out, "HTTP/1.1 100 Continue\r\n\r\n");
}

int http1_write_chunk_head(struct buf *out, size_t len)
{
    if (len == 0) /* would end the body */
        return -EINVAL;
    return buf_addf(out, "%zx\r\n", len);
}

int http1_write_chunk_tail(struct buf *out)
{
    return buf_adds(out, "\r\n");
}

int http1_write_last_chunk(struct buf *out)
{
    return buf_adds(out, "0\r\n\r\n");
}
