/* http1_head.h: what request and response heads share: finding the end, header fields, framing. Private to
 * http1*.c. PURE. */
#pragma once

#include <sys/types.h>

#include "filter/http1.h"

/* What the fields say about the body and the connection. */
struct http1_framing_info {
    bool has_length;
    uint64_t length;
    bool chunked;
    bool close;
};

/* Fills `e`; returns -EBADMSG. */
int http1_head_refuse(struct http1_error *e, int status, const char *text);

/* Length of the head at data[0..len), or -EAGAIN, -EBADMSG. *scanned keeps the place between calls. Every
 * line of a head that was found ends in CRLF and holds only printable ASCII and tabs. */
ssize_t http1_head_find(const char *data, size_t len, size_t *scanned, struct http1_error *e);

/* Copies data[0..len) into *text, NUL-terminated; keeps and grows the memory. -ENOMEM. */
int http1_head_copy(char **text, size_t *cap, const char *data, size_t len);

/* Parses the header lines at `p` (up to the empty line) in place. -EBADMSG. */
int http1_head_fields(
    char *p, struct http1_field fields[static HTTP1_FIELDS_MAX], size_t *ret_n, struct http1_error *e);

/* Content-Length, Transfer-Encoding, Connection, Trailer, and single occurrence of the fields that must not
 * repeat. -EBADMSG. */
int http1_head_framing(
    const struct http1_field *fields, size_t n, struct http1_framing_info *ret, struct http1_error *e);

/* True if a comma-separated list holds `token`, in any case. */
bool http1_head_has_token(const char *list, const char *token);

/* RFC 9110 token characters. */
bool http1_is_token(const char *s, size_t n);

const char *http1_head_field(const struct http1_field *fields, size_t n, const char *name);
