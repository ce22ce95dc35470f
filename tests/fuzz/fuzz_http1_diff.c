/* fuzz_http1_diff.c: our reader of requests against http-parser: whatever ours accepts, that one frames the
 * same. Two readers that agree on where a request ends cannot be made to see different requests on one
 * connection. What ours refuses is not looked at: it refuses much that http-parser takes. The input is a
 * stream of requests.
 *
 * Where the two may differ, and why it does not matter:
 * - Proxy-Connection counts as Connection for http-parser; nothing behind us is a proxy, so we do not know
 * it.
 * - In a Connection list http-parser misses a word behind an empty one or behind a single letter. We
 * then close where it would go on, which no second request can use; never the other way round.
 * - A name that only begins with Transfer-Encoding makes http-parser refuse the request.
 * - Upgrade needs "Connection: upgrade" there, and here a protocol that we serve ("tcp"), as the engine has
 * it. */
#include <errno.h>
#include <http_parser.h>
#include <string.h>
#include <strings.h>

#include "filter/http1.h"
#include "fuzz.h"

#define BODY_MAX ((uint64_t)1 << 40)

/* What http-parser saw of one request. */
struct theirs {
    const char *url;
    size_t url_len, n_fields, payload;
    const char *first_body;
    uint32_t hash;
    bool headers_done, complete, keep_alive, upgrade;
};

static uint32_t hash_add(uint32_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = h * 33 + (uint8_t)p[i];
    return h;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;

    FUZZ_CHECK(!t->url);
    t->url = at;
    t->url_len = n;
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;

    (void)at;
    (void)n;
    t->n_fields++;
    return 0;
}

static int on_headers_complete(http_parser *p)
{
    struct theirs *t = p->data;

    t->headers_done = true;
    t->keep_alive = http_should_keep_alive(p) != 0;
    t->upgrade = p->upgrade != 0;
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;

    if (!t->first_body)
        t->first_body = at;
    t->hash = hash_add(t->hash, at, n);
    t->payload += n;
    return 0;
}

static int on_complete(http_parser *p)
{
    struct theirs *t = p->data;

    t->complete = true;
    http_parser_pause(p, 1); /* so that the count of bytes is this message's */
    return 0;
}

/* ---- our own reading again, from what http-parser gives */
static int digit(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* Is `s` the percent-decoded form of p[0..n)? */
static bool is_decoded(const char *s, const char *p, size_t n, bool plus)
{
    size_t i = 0;

    for (; i < n; s++) {
        char c = p[i++];

        if (c == '%' && i + 1 < n) {
            c = (char)(digit(p[i]) * 16 + digit(p[i + 1]));
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (*s != c || !c)
            return false;
    }
    return !*s;
}

static void check_segments(const struct http1_request *q, const char *p, size_t n)
{
    size_t k = 0;

    FUZZ_CHECK(n > 0 && p[0] == '/');
    for (size_t i = 1; i < n; k++) {
        const char *slash = memchr(p + i, '/', n - i);
        size_t len = slash ? (size_t)(slash - (p + i)) : n - i;

        FUZZ_CHECK(k < q->n_segments && is_decoded(q->segments[k], p + i, len, false));
        i += len + 1;
    }
    FUZZ_CHECK(k == q->n_segments);
}

static void check_params(const struct http1_request *q, const char *p, size_t n)
{
    size_t k = 0;

    for (size_t i = 0; i < n; k++) {
        const char *amp = memchr(p + i, '&', n - i);
        size_t len = amp ? (size_t)(amp - (p + i)) : n - i;
        const char *eq = memchr(p + i, '=', len);
        size_t key = eq ? (size_t)(eq - (p + i)) : len;

        FUZZ_CHECK(k < q->n_params && is_decoded(q->params[k].key, p + i, key, true));
        FUZZ_CHECK(
            is_decoded(q->params[k].value, p + i + key + (eq ? 1 : 0), len - key - (eq ? 1 : 0), true));
        i += len + 1;
    }
    FUZZ_CHECK(k == q->n_params);
}

static void check_target(const struct http1_request *q, const struct theirs *t)
{
    struct http_parser_url u;
    const char *path, *query;

    http_parser_url_init(&u);
    FUZZ_CHECK(t->url && http_parser_parse_url(t->url, t->url_len, 0, &u) == 0);
    FUZZ_CHECK(!(
        u.field_set & (1 << UF_SCHEMA | 1 << UF_HOST | 1 << UF_PORT | 1 << UF_USERINFO | 1 << UF_FRAGMENT)));
    FUZZ_CHECK(u.field_set & (1 << UF_PATH));
    path = t->url + u.field_data[UF_PATH].off;
    check_segments(q, path, u.field_data[UF_PATH].len);
    query = t->url + u.field_data[UF_QUERY].off;
    check_params(q, query, u.field_set & (1 << UF_QUERY) ? u.field_data[UF_QUERY].len : 0);
}

/* ---- the comparison */
static bool list_has(const char *s, const char *token)
{
    size_t n = strlen(token);

    for (; *s; s += strcspn(s, ","), s += *s == ',') {
        s += strspn(s, " ");
        if (strncasecmp(s, token, n) == 0 && (s[n + strspn(s + n, " ")] == ',' || !s[n + strspn(s + n, " ")]))
            return true;
    }
    return false;
}

/* A Connection field that http-parser reads as RFC 9110 has it: one word, or several with nothing odd
 * between. */
static bool is_plain(const char *s)
{
    return !strchr(s, ',');
}

static void check_connection(const struct http1_request *q, const struct theirs *t)
{
    const char *upgrade = http1_request_field(q, "upgrade");
    bool asked = false, plain = true;

    upgrade = upgrade && *upgrade ? upgrade : NULL;
    for (size_t i = 0; i < q->n_fields; i++) {
        const char *value = q->fields[i].value;

        if (strcmp(q->fields[i].name, "proxy-connection") == 0)
            return;
        if (strcmp(q->fields[i].name, "connection") == 0) {
            asked |= list_has(value, "upgrade");
            plain &= is_plain(value);
        }
    }
    FUZZ_CHECK(t->keep_alive || !q->keep_alive);
    FUZZ_CHECK(!t->upgrade || (upgrade && asked));
    FUZZ_CHECK(!plain || (t->keep_alive == q->keep_alive && t->upgrade == (upgrade && asked)));
    FUZZ_CHECK(q->upgrade == (upgrade && list_has(upgrade, "tcp")));
}

static void check_head(const struct http1_request *q, const http_parser *p, const struct theirs *t)
{
    FUZZ_CHECK(t->headers_done && p->http_major == 1 && p->http_minor == 1);
    FUZZ_CHECK(strcmp(http_method_str((enum http_method)p->method), http1_method_name(q->method)) == 0);
    check_target(q, t);
    FUZZ_CHECK(t->n_fields == q->n_fields);
    check_connection(q, t);
}

/* Our reading of the body: the bytes that it took, or -1 when it refuses it. */
static ssize_t read_body(
    const struct http1_request *q, const char *p, size_t n, struct http1_body *b, uint32_t *hash)
{
    size_t used = 0;

    if (http1_body_init(b, q->framing, q->content_length, BODY_MAX) < 0)
        return -1;
    while (!b->done && used < n) {
        struct http1_span s;
        ssize_t r = http1_body_feed(b, p + used, n - used, &s);

        if (r < 0)
            return -1;
        *hash = hash_add(*hash, s.data, s.len);
        used += (size_t)r;
    }
    return (ssize_t)used;
}

static bool is_misread(const struct http1_request *q)
{
    static const char te[] = "transfer-encoding";

    for (size_t i = 0; i < q->n_fields; i++)
        if (strncmp(q->fields[i].name, te, sizeof(te) - 1) == 0 && q->fields[i].name[sizeof(te) - 1])
            return true;
    return false;
}

/* One request at the start of p[0..n): the bytes that it takes, or -1 when there is no whole one that we
 * accept. */
static ssize_t one(const char *p, size_t n)
{
    static const http_parser_settings settings = {.on_url = on_url,
        .on_header_field = on_field,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_complete};
    _cleanup_http1_request_ struct http1_request q = {0};
    struct http1_error e = {0};
    struct theirs t = {0};
    struct http1_body b;
    http_parser parser;
    uint32_t hash = 0;
    ssize_t head = http1_parse_request(&q, p, n, &e), body;
    size_t took;

    if (head <= 0 || is_misread(&q))
        return -1;
    body = read_body(&q, p + head, n - (size_t)head, &b, &hash);
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &t;
    if (body < 0) { /* the head alone is agreed upon */
        took = http_parser_execute(&parser, &settings, p, (size_t)head);
        FUZZ_CHECK(took == (size_t)head);
        check_head(&q, &parser, &t);
        return -1;
    }
    took = http_parser_execute(&parser, &settings, p, n);
    FUZZ_CHECK(HTTP_PARSER_ERRNO(&parser) == HPE_OK || HTTP_PARSER_ERRNO(&parser) == HPE_PAUSED);
    check_head(&q, &parser, &t);
    FUZZ_CHECK(t.complete == b.done && t.payload == b.total && t.hash == hash);
    FUZZ_CHECK(q.framing != HTTP1_BODY_LENGTH || !t.first_body || t.first_body == p + head);
    FUZZ_CHECK(took == (size_t)head + (size_t)body);
    return b.done ? head + body : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;

    if (size > 64 * 1024)
        return 0;
    for (unsigned count = 0; size > 0 && count < 16; count++) {
        ssize_t n = one(p, size);

        if (n < 0)
            break;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}
