/* http1.c: request and response heads; see http1.h. Decodes in place in its own copy of the head: a decoded
 * piece and its NUL are never longer than the raw one with its separator. Must not forward or repair
 * anything. */
#include "filter/http1.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "filter/http1_head.h"

static const char *const method_names[_HTTP1_METHOD_MAX] = {
    [HTTP1_GET] = "GET",
    [HTTP1_HEAD] = "HEAD",
    [HTTP1_POST] = "POST",
    [HTTP1_PUT] = "PUT",
    [HTTP1_DELETE] = "DELETE",
    [HTTP1_OPTIONS] = "OPTIONS",
};

const char *http1_method_name(enum http1_method m)
{
    return (unsigned)m < _HTTP1_METHOD_MAX ? method_names[m] : "?";
}

/* One raw byte or one %XX at *p, which is moved past it. */
static int decode_byte(char **p, const char *end, unsigned char *ret)
{
    int hi, lo;

    if (**p != '%') {
        *ret = (unsigned char)*(*p)++;
        return 0;
    }
    if (end - *p < 3)
        return -EINVAL;
    hi = str_hex_digit((*p)[1]);
    lo = str_hex_digit((*p)[2]);
    if (hi < 0 || lo < 0)
        return -EINVAL;
    *ret = (unsigned char)(hi * 16 + lo);
    *p += 3;
    return 0;
}

/* The path in [p, end), which begins with '/'. */
static int parse_path(struct http1_request *req, char *p, char *end, struct http1_error *e)
{
    char *w = p;

    if (end - p == 1)
        return 0;
    while (p < end) {
        char *segment = w;

        p++; /* the slash */
        if (req->n_segments == HTTP1_SEGMENTS_MAX)
            return http1_head_refuse(e, 400, "too many path segments");
        while (p < end && *p != '/') {
            unsigned char c;

            if (strchr("\"<>[\\]^`{|}", *p))
                return http1_head_refuse(e, 400, "a byte in the path that must be encoded");
            if (decode_byte(&p, end, &c) < 0)
                return http1_head_refuse(e, 400, "a malformed percent-encoding in the path");
            if (c < 0x20 || c > 0x7e || strchr("/\\;%?#", c))
                return http1_head_refuse(e, 400, "a byte that does not belong in a path segment");
            *w++ = (char)c;
        }
        *w++ = '\0';
        if (!*segment || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
            return http1_head_refuse(e, 400, "an empty or dot segment in the path");
        if (strlen(segment) > 4096)
            return http1_head_refuse(e, 400, "a path segment longer than 4096 bytes");
        req->segments[req->n_segments++] = segment;
    }
    return 0;
}

/* Decodes from *p up to `end` or a byte of `stops` to *w, NUL-terminated; returns the piece. */
static char *decode_param(char **p, char *end, const char *stops, char **w, struct http1_error *e)
{
    char *start = *w;

    while (*p < end && !strchr(stops, **p)) {
        bool plus = **p == '+';
        unsigned char c;

        if (**p == ';') {
            (void)http1_head_refuse(e, 400, "a semicolon in the query");
            return NULL;
        }
        if (decode_byte(p, end, &c) < 0) {
            (void)http1_head_refuse(e, 400, "a malformed percent-encoding in the query");
            return NULL;
        }
        if (c < 0x20 || c == 0x7f) {
            (void)http1_head_refuse(e, 400, "a control byte in the query");
            return NULL;
        }
        *(*w)++ = plus ? ' ' : (char)c;
    }
    return start;
}

static int add_param(struct http1_request *req, const char *key, const char *value, struct http1_error *e)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(key);

    if (n == 0 || n > 64 || strspn(key, allowed) != n)
        return http1_head_refuse(e, 400, "a malformed query key");
    if (http1_request_param(req, key))
        return http1_head_refuse(e, 400, "a query key that occurs twice");
    if (req->n_params == HTTP1_PARAMS_MAX)
        return http1_head_refuse(e, 400, "too many query parameters");
    req->params[req->n_params].key = key;
    req->params[req->n_params++].value = value;
    return 0;
}

/* The query in (p, end): *p is the '?', whose place is the room for the last NUL. */
static int parse_query(struct http1_request *req, char *p, char *end, struct http1_error *e)
{
    char *w = p++;

    while (p < end) {
        char *key, *value = NULL;
        bool has_value;
        int r;

        key = decode_param(&p, end, "=&", &w, e);
        if (!key)
            return -EBADMSG;
        has_value = p < end && *p == '=';
        *w++ = '\0';
        if (has_value) {
            p++;
            value = decode_param(&p, end, "&", &w, e);
            if (!value)
                return -EBADMSG;
            *w++ = '\0';
        }
        r = add_param(req, key, value ? value : "", e);
        if (r < 0)
            return r;
        if (p < end && ++p == end)
            return http1_head_refuse(e, 400, "an empty query parameter");
    }
    return 0;
}

static int parse_target(struct http1_request *req, char *p, char *end, struct http1_error *e)
{
    char *query;
    int r;

    if (p == end || *p != '/')
        return http1_head_refuse(e, 400, "a request target that is not a path");
    if ((size_t)(end - p) > HTTP1_TARGET_LIMIT)
        return http1_head_refuse(e, 414, "the request target is longer than 8 KiB");
    if (memchr(p, '#', (size_t)(end - p)) || memchr(p, '\t', (size_t)(end - p)))
        return http1_head_refuse(e, 400, "a fragment or blank in the request target");
    query = memchr(p, '?', (size_t)(end - p));
    r = parse_path(req, p, query ? query : end, e);
    if (r < 0)
        return r;
    return query ? parse_query(req, query, end, e) : 0;
}

/* METHOD SP TARGET SP HTTP/1.1: `end` is where the CRLF stands. */
static int parse_request_line(struct http1_request *req, char *p, char *end, struct http1_error *e)
{
    char *sp1 = memchr(p, ' ', (size_t)(end - p)), *sp2;
    size_t i, n;
    int r;

    sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
    if (!sp1 || !sp2 || !http1_is_token(p, (size_t)(sp1 - p)))
        return http1_head_refuse(e, 400, "a malformed request line");
    n = (size_t)(end - sp2 - 1);
    if (n != 8 || strncmp(sp2 + 1, "HTTP/", 5) != 0 || str_hex_digit(sp2[6]) < 0 || sp2[7] != '.' ||
        str_hex_digit(sp2[8]) < 0)
        return http1_head_refuse(e, 400, "a malformed HTTP version");
    r = parse_target(req, sp1 + 1, sp2, e);
    if (r < 0)
        return r;
    if (strncmp(sp2 + 1, "HTTP/1.1", 8) != 0)
        return http1_head_refuse(e, 505, "only HTTP/1.1 is spoken here");
    *sp1 = '\0';
    for (i = 0; i < _HTTP1_METHOD_MAX; i++)
        if (strcmp(p, method_names[i]) == 0)
            break;
    if (i == _HTTP1_METHOD_MAX)
        return http1_head_refuse(e, 405, "an unknown method");
    req->method = (enum http1_method)i;
    return 0;
}

static bool host_is_plain(const char *s)
{
    for (; *s; s++)
        if (strchr(" \t\",<>@\\#?", *s))
            return false;
    return true;
}

/* What the fields mean for a request. */
static int interpret_request(struct http1_request *req, struct http1_error *e)
{
    struct http1_framing_info f;
    const char *expect, *upgrade;
    int r;

    r = http1_head_framing(req->fields, req->n_fields, &f, e);
    if (r < 0)
        return r;
    req->host = http1_request_field(req, "host");
    if (!req->host || !host_is_plain(req->host))
        return http1_head_refuse(e, 400, "a missing or malformed Host");
    expect = http1_request_field(req, "expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return http1_head_refuse(e, 417, "an expectation other than 100-continue");
    if (f.chunked) {
        req->framing = HTTP1_BODY_CHUNKED;
    } else if (f.has_length && f.length > 0) {
        req->framing = HTTP1_BODY_LENGTH;
        req->content_length = f.length;
    }
    if (req->framing != HTTP1_BODY_NONE && req->method != HTTP1_POST && req->method != HTTP1_PUT &&
        req->method != HTTP1_DELETE)
        return http1_head_refuse(e, 400, "a body with a method that has none");
    upgrade = http1_request_field(req, "upgrade");
    req->upgrade = upgrade && http1_head_has_token(upgrade, "tcp");
    req->expect_continue = expect && req->framing != HTTP1_BODY_NONE;
    req->content_type = http1_request_field(req, "content-type");
    req->keep_alive = !f.close;
    return 0;
}

ssize_t http1_parse_request(struct http1_request *req, const char *data, size_t len, struct http1_error *e)
{
    ssize_t n;
    char *eol;
    int r;

    n = http1_head_find(data, len, &req->scanned, e);
    if (n < 0)
        return n;
    r = http1_head_copy(&req->text, &req->text_cap, data, (size_t)n);
    if (r < 0)
        return r;
    http1_request_reset(req);
    eol = strchr(req->text, '\r');
    if (!eol) /* not after http1_head_find() */
        return http1_head_refuse(e, 400, "a malformed request line");
    r = parse_request_line(req, req->text, eol, e);
    if (r < 0)
        return r;
    r = http1_head_fields(eol + 2, req->fields, &req->n_fields, e);
    if (r < 0)
        return r;
    r = interpret_request(req, e);
    return r < 0 ? r : n;
}

/* "HTTP/1.1 200 OK": the reason is not kept. */
static int parse_status_line(
    struct http1_response *res, const char *p, const char *end, struct http1_error *e)
{
    if (end - p < 12 || strncmp(p, "HTTP/1.1 ", 9) != 0 || (end - p > 12 && p[12] != ' '))
        return http1_head_refuse(e, 502, "a malformed status line from the engine");
    res->status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9')
            return http1_head_refuse(e, 502, "a malformed status from the engine");
        res->status = res->status * 10 + (p[i] - '0');
    }
    if (res->status < 100 || res->status > 599)
        return http1_head_refuse(e, 502, "a status out of range from the engine");
    return 0;
}

static int interpret_response(struct http1_response *res, enum http1_method method, struct http1_error *e)
{
    struct http1_framing_info f;
    bool bodyless;
    int r;

    r = http1_head_framing(res->fields, res->n_fields, &f, e);
    if (r < 0)
        return r;
    res->interim = res->status < 200 && res->status != 101;
    res->upgraded = res->status == 101;
    bodyless = res->status < 200 || res->status == 204;
    if (bodyless && (f.chunked || (f.has_length && f.length > 0)))
        return http1_head_refuse(e, 502, "a body with a status that has none");
    res->content_length = f.has_length ? f.length : 0;
    if (bodyless || res->status == 304 || method == HTTP1_HEAD)
        res->framing = HTTP1_BODY_NONE;
    else if (f.chunked)
        res->framing = HTTP1_BODY_CHUNKED;
    else if (f.has_length)
        res->framing = f.length > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
    else
        res->framing = HTTP1_BODY_CLOSE;
    res->content_type = http1_response_field(res, "content-type");
    res->keep_alive = !f.close && !res->upgraded && res->framing != HTTP1_BODY_CLOSE;
    return 0;
}

static ssize_t parse_response(
    struct http1_response *res, enum http1_method method, const char *data, size_t len, struct http1_error *e)
{
    ssize_t n;
    char *eol;
    int r;

    n = http1_head_find(data, len, &res->scanned, e);
    if (n < 0)
        return n;
    r = http1_head_copy(&res->text, &res->text_cap, data, (size_t)n);
    if (r < 0)
        return r;
    http1_response_reset(res);
    eol = strchr(res->text, '\r');
    if (!eol)
        return http1_head_refuse(e, 502, "a malformed status line from the engine");
    r = parse_status_line(res, res->text, eol, e);
    if (r < 0)
        return r;
    r = http1_head_fields(eol + 2, res->fields, &res->n_fields, e);
    if (r < 0)
        return r;
    r = interpret_response(res, method, e);
    return r < 0 ? r : n;
}

ssize_t http1_parse_response(
    struct http1_response *res, enum http1_method method, const char *data, size_t len, struct http1_error *e)
{
    ssize_t n = parse_response(res, method, data, len, e);

    if (n == -EBADMSG)
        e->status = 502; /* whatever it was, the client did not send it */
    return n;
}

void http1_request_reset(struct http1_request *req)
{
    char *text = req->text;
    size_t cap = req->text_cap;

    *req = (struct http1_request){.text = text, .text_cap = cap};
}

void http1_request_done(struct http1_request *req)
{
    free(req->text);
    *req = (struct http1_request){0};
}

void http1_response_reset(struct http1_response *res)
{
    char *text = res->text;
    size_t cap = res->text_cap;

    *res = (struct http1_response){.text = text, .text_cap = cap};
}

void http1_response_done(struct http1_response *res)
{
    free(res->text);
    *res = (struct http1_response){0};
}

const char *http1_request_field(const struct http1_request *req, const char *name)
{
    return http1_head_field(req->fields, req->n_fields, name);
}

const char *http1_request_param(const struct http1_request *req, const char *key)
{
    for (size_t i = 0; i < req->n_params; i++)
        if (strcmp(req->params[i].key, key) == 0)
            return req->params[i].value;
    return NULL;
}

const char *http1_response_field(const struct http1_response *res, const char *name)
{
    return http1_head_field(res->fields, res->n_fields, name);
}
