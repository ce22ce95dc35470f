/* buf.h: a growable byte buffer with a hard limit. Always NUL-terminated past `len`, so `data` prints as a
 * string. */
#pragma once

#include "base/defs.h"

struct buf {
    char *data;   /* owned; NULL while empty */
    size_t len;   /* bytes in use, the final NUL not counted */
    size_t cap;   /* bytes allocated */
    size_t limit; /* largest allowed len; 0 = 16 MiB. What a client controls sets its own. */
};

/* Frees the storage and zeroes `len` and `cap`; the limit stays. */
void buf_reset(struct buf *b);

/* Appends; -ENOMEM, or -E2BIG when the limit would be passed. On failure the buffer is unchanged. */
int buf_add(struct buf *b, const void *data, size_t len) _must_check_;
int buf_adds(struct buf *b, const char *s) _must_check_;
int buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3) _must_check_;

/* Makes room for `n` more bytes; then `data + len` may be written and `len` advanced by hand. Same errors. */
int buf_reserve(struct buf *b, size_t n) _must_check_;

/* Removes the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* Cuts back to the first `len` bytes (len <= b->len); undoes appends that failed half-way. */
void buf_truncate(struct buf *b, size_t len);

/* Hands the storage over (never NULL on success: an empty buffer gives ""); NULL when out of memory. */
char *buf_take(struct buf *b);

#define _cleanup_buf_ _cleanup_(buf_reset)
