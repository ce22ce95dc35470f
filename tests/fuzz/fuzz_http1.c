/* fuzz_http1.c: a stream of requests or answers with their bodies. The first byte chooses the direction and
 * where the bytes are cut; the cut must not change what is read. */
#include <errno.h>
#include <string.h>

#include "filter/http1.h"
#include "fuzz.h"

/* One message: the size consumed, or a negative code; a digest of the payload so that two ways of feeding it
 * can be compared. */
struct outcome {
    ssize_t head;
    int status;
    int body;
    size_t consumed;
    uint64_t payload, hash;
};

static void run_body(
    struct outcome *o, enum http1_framing framing, uint64_t length, const char *p, size_t n, size_t step)
{
    struct http1_body b;

    o->body = http1_body_init(&b, framing, length, 4096);
    if (o->body < 0)
        return;
    o->hash = 5381;
    while (!b.done && n > 0) {
        struct http1_span s;
        size_t k = MIN(step, n);
        ssize_t r = http1_body_feed(&b, p, k, &s);

        if (r < 0) {
            o->body = (int)r;
            /* How much came before the error depends on the cut only with CLOSE and its limit. */
            o->hash = o->payload = 0;
            o->consumed = 0;
            return;
        }
        FUZZ_CHECK(r > 0 && (size_t)r <= k);
        FUZZ_CHECK(s.len == 0 || (s.data >= p && s.data + s.len <= p + r));
        for (size_t i = 0; i < s.len; i++)
            o->hash = o->hash * 33 + (uint8_t)s.data[i];
        o->payload += s.len;
        FUZZ_CHECK(b.total == o->payload && b.total <= 4096);
        p += r;
        n -= (size_t)r;
        o->consumed += (size_t)r;
    }
    o->body = b.done ? 0 : -EAGAIN;
}

static void check_request(const struct http1_request *q)
{
    FUZZ_CHECK(q->host && (unsigned)q->method < _HTTP1_METHOD_MAX && q->framing != HTTP1_BODY_CLOSE);
    FUZZ_CHECK((q->framing == HTTP1_BODY_LENGTH) == (q->content_length > 0));
    for (size_t i = 0; i < q->n_segments; i++) {
        FUZZ_CHECK(
            q->segments[i][0] && strcmp(q->segments[i], ".") != 0 && strcmp(q->segments[i], "..") != 0);
        FUZZ_CHECK(!strpbrk(q->segments[i], "/\\;%?#\r\n"));
    }
    for (size_t i = 0; i < q->n_params; i++) {
        FUZZ_CHECK(q->params[i].key[0] && !strpbrk(q->params[i].value, "\r\n"));
        for (size_t k = 0; k < i; k++)
            FUZZ_CHECK(strcmp(q->params[i].key, q->params[k].key) != 0);
    }
    for (size_t i = 0; i < q->n_fields; i++)
        FUZZ_CHECK(!strpbrk(q->fields[i].value, "\r\n"));
}

static struct outcome run(const char *p, size_t n, bool response, enum http1_method method, size_t step)
{
    _cleanup_http1_request_ struct http1_request q = {0};
    _cleanup_http1_response_ struct http1_response res = {0};
    struct outcome o = {.head = -EAGAIN};
    struct http1_error e = {0};
    size_t k = 0;

    do {
        k = MIN(k + step, n);
        o.head = response ? http1_parse_response(&res, method, p, k, &e) : http1_parse_request(&q, p, k, &e);
    } while (o.head == -EAGAIN && k < n);
    o.status = o.head == -EBADMSG ? e.status : 0;
    FUZZ_CHECK(o.head != -EBADMSG || (e.text && e.status >= 400));
    if (o.head <= 0)
        return o;
    FUZZ_CHECK((size_t)o.head <= k && (size_t)o.head <= HTTP1_HEAD_LIMIT);
    o.consumed = (size_t)o.head;
    if (!response)
        check_request(&q);
    run_body(&o, response ? res.framing : q.framing, response ? res.content_length : q.content_length,
        p + o.head, n - (size_t)o.head, step);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data + 1;
    bool response;
    size_t n, step;

    if (size < 2 || size > 64 * 1024)
        return 0;
    n = size - 1;
    response = data[0] & 0x80;
    step = (data[0] & 0x0f) + 1U;
    /* Each message of the stream, as a connection would read it. */
    for (unsigned count = 0; n > 0 && count < 16; count++) {
        enum http1_method method = data[0] & 0x40 ? HTTP1_HEAD : HTTP1_GET;
        struct outcome whole = run(p, n, response, method, n), parts = run(p, n, response, method, step);

        FUZZ_CHECK(whole.head == parts.head && whole.status == parts.status && whole.body == parts.body);
        FUZZ_CHECK(whole.payload == parts.payload && whole.hash == parts.hash);
        FUZZ_CHECK(whole.consumed == parts.consumed);
        if (whole.head <= 0 || whole.body != 0)
            break;
        p += whole.consumed;
        n -= whole.consumed;
    }
    return 0;
}
