/* http1.h: HTTP/1.1 on the wire, strictly: what two parsers could read in two ways is an error. Parses heads
 * and bodies of requests (from a tenant: hostile) and of responses (from the engine), and writes canonical
 * ones. Nothing that was read is ever forwarded: callers write new messages from typed parts. PURE. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/defs.h"

enum http1_method {
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_OPTIONS,
    _HTTP1_METHOD_MAX
};

enum http1_framing {
    HTTP1_BODY_NONE,    /* no body follows the head */
    HTTP1_BODY_LENGTH,  /* exactly content_length bytes */
    HTTP1_BODY_CHUNKED, /* chunks, no extensions, no trailers */
    HTTP1_BODY_CLOSE,   /* responses only: until the connection ends */
    _HTTP1_BODY_MAX
};

#define HTTP1_HEAD_LIMIT ((size_t)16 * 1024) /* bytes of a head, final CRLF CRLF included */
#define HTTP1_TARGET_LIMIT ((size_t)8 * 1024)
#define HTTP1_FIELDS_MAX 64
#define HTTP1_SEGMENTS_MAX 32
#define HTTP1_PARAMS_MAX 32

/* What to answer when a message is refused. The texts are static. */
struct http1_error {
    int status;       /* 400, 405, 414, 417, 431, 505 */
    const char *text; /* for the client: "a bare line feed" */
};

struct http1_field {
    const char *name;  /* lower case */
    const char *value; /* blanks trimmed at both ends; printable ASCII and tabs */
};

struct http1_param {
    const char *key;   /* decoded, [A-Za-z0-9._-]{1,64} */
    const char *value; /* decoded, no control bytes; "" when there was no '=' */
};

/* A parsed request head. Zero-initialise before the first use; all strings live in `text` until the next
 * http1_request_reset(). */
struct http1_request {
    enum http1_method method;
    const char *segments[HTTP1_SEGMENTS_MAX];    /* path split on '/', each decoded once: 1 to 4096 bytes of
                                                    printable    ASCII without / \ ; % ? #, never "." or ".." */
    size_t n_segments;                           /* "/" has none */
    struct http1_param params[HTTP1_PARAMS_MAX]; /* no key occurs twice */
    size_t n_params;
    struct http1_field fields[HTTP1_FIELDS_MAX];
    size_t n_fields;
    const char *host;           /* may be "" */
    const char *content_type;   /* NULL when absent */
    enum http1_framing framing; /* NONE, LENGTH (content_length > 0) or CHUNKED */
    uint64_t content_length;
    bool keep_alive;      /* false after "Connection: close" */
    bool expect_continue; /* the client waits for "100 Continue" before it sends the body */
    bool upgrade;         /* "Upgrade: tcp" was asked for */

    /* private */
    char *text;
    size_t text_cap;
    size_t scanned;
};

/* A parsed response head; same rules. */
struct http1_response {
    int status; /* 100..599 */
    struct http1_field fields[HTTP1_FIELDS_MAX];
    size_t n_fields;
    const char *content_type; /* NULL when absent */
    enum http1_framing framing;
    uint64_t content_length; /* with LENGTH; for an answer to HEAD: what was announced, framing is NONE */
    bool interim;    /* 1xx except 101: the real head follows; read it with the same struct after a reset */
    bool upgraded;   /* 101: whatever follows is the tunnel */
    bool keep_alive; /* false also for HTTP1_BODY_CLOSE */

    /* private */
    char *text;
    size_t text_cap;
    size_t scanned;
};

/* Parses the head at the start of data[0..len). The bytes before it must not change between calls that
 * returned -EAGAIN: call again with the same bytes and more behind them. > 0       bytes of the head; the
 * body, or the next request, starts there -EAGAIN   no complete head yet (nothing wrong so far) -EBADMSG
 * refused: answer `e`, then close the connection (where the next request starts is unknown) -ENOMEM Never
 * reads behind data + len. */
ssize_t http1_parse_request(struct http1_request *req, const char *data, size_t len, struct http1_error *e);

/* The same for an answer to `method`; every refusal has status 502. */
ssize_t http1_parse_response(struct http1_response *res, enum http1_method method, const char *data,
    size_t len, struct http1_error *e);

/* Forgets the head but keeps the memory for the next; done() frees the memory too. */
void http1_request_reset(struct http1_request *req);
void http1_request_done(struct http1_request *req);
void http1_response_reset(struct http1_response *res);
void http1_response_done(struct http1_response *res);
#define _cleanup_http1_request_ _cleanup_(http1_request_done)
#define _cleanup_http1_response_ _cleanup_(http1_response_done)

/* The value of a header by its lower-case name (the first one), or of a parameter; NULL when absent. */
const char *http1_request_field(const struct http1_request *req, const char *name);
const char *http1_request_param(const struct http1_request *req, const char *key);
const char *http1_response_field(const struct http1_response *res, const char *name);

/* "GET" ... */
const char *http1_method_name(enum http1_method m);

/* ---------------------------------------------------------------- bodies (http1_body.c) */

/* Reads one body as a machine fed with spans of any size. */
struct http1_body {
    enum http1_framing framing;
    bool done;      /* the last byte of the body has been consumed */
    uint64_t total; /* payload bytes seen so far */

    /* private */
    uint64_t limit, left;
    unsigned state, digits;
};

/* A piece of payload inside the bytes that were fed. */
struct http1_span {
    const char *data;
    size_t len;
};

/* `limit` is the largest payload accepted (UINT64_MAX: any). With NONE, or a length of 0, the body is done at
 * once. Returns -EFBIG when content_length is already above the limit (answer 413), else 0. */
int http1_body_init(
    struct http1_body *b, enum http1_framing framing, uint64_t content_length, uint64_t limit) _must_check_;

/* Consumes bytes from data[0..len) and reports at most one span of payload in *ret (len 0: none this time).
 *   >= 0      bytes consumed: 0 only if len is 0 or the body is done; call again with the rest
 *   -EBADMSG  malformed chunking: 400 (or 502) and close
 *   -EFBIG    more payload than the limit: 413 and close
 * Stops exactly at the end of the body; what follows is the next message. */
ssize_t http1_body_feed(struct http1_body *b, const char *data, size_t len, struct http1_span *ret);

/* The peer ended its side: 0 if the body is complete there (marks CLOSE as done), else -EBADMSG (cut short).
 */
int http1_body_eof(struct http1_body *b);

/* ---------------------------------------------------------------- writing (http1_write.c) */

struct http1_out_request {
    enum http1_method method;
    const char *target;         /* canonical path and query, from route_upstream_path() */
    enum http1_framing framing; /* NONE, LENGTH or CHUNKED; POST and PUT with NONE send "Content-Length: 0" */
    uint64_t content_length;
    const char *content_type; /* NULL: none */
    bool upgrade;             /* "Connection: Upgrade", "Upgrade: tcp"; otherwise ... */
    bool keep_alive;          /* ... "Connection: close" unless this is set */
};

struct http1_out_response {
    int status;
    enum http1_framing
        framing; /* NONE: no framing header (101, 204, 304, HEAD); CLOSE: "Connection: close" */
    uint64_t content_length;
    const char *content_type;        /* NULL: none */
    bool keep_alive;                 /* false: "Connection: close" */
    const struct http1_field *extra; /* further fields, names as they go on the wire ("Api-Version") */
    size_t n_extra;
};

/* Appends a head. Fields come in one fixed order, extras sorted by name. -EINVAL for a byte that has no place
 * in a target, a name or a value (nothing is appended), -ENOMEM, -E2BIG. */
int http1_write_request(struct buf *out, const struct http1_out_request *r) _must_check_;
int http1_write_response(struct buf *out, const struct http1_out_response *r) _must_check_;

/* A whole answer {"message":"..."}; for HEAD the head only, with the length that GET would have had. The
 * message may hold any bytes: what is not UTF-8 is replaced. -ENOMEM, -E2BIG. */
int http1_write_message(struct buf *out, int status, const char *message, bool head_only, bool keep_alive,
    const struct http1_field *extra, size_t n_extra) _must_check_;

/* "HTTP/1.1 100 Continue" */
int http1_write_continue(struct buf *out) _must_check_;

/* Around each chunk of `len` > 0 bytes, and the end of a chunked body. */
int http1_write_chunk_head(struct buf *out, size_t len) _must_check_;
int http1_write_chunk_tail(struct buf *out) _must_check_;
int http1_write_last_chunk(struct buf *out) _must_check_;
