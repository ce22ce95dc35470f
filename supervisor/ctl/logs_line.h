/* logs_line.h: lines of container logs, taken apart and made fit for a terminal. Pure. What is in them was
 * written by a tenant: it must not move the cursor, change colours or forge the lines of others. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"

#define LOGS_LINE_MAX ((size_t)16 * 1024) /* longer ones are cut */

/* One container's stream: the engine frames stdout and stderr unless the container has a terminal. */
struct logs_stream {
    struct buf
        line; /* what has come of the line at hand, per stream it would be; the engine cuts at newlines */
    bool framed, known;
    uint32_t left; /* bytes of the frame at hand */
    bool is_stderr;
    bool cut; /* the rest of a line that was too long is passed over */
};
void logs_stream_reset(struct logs_stream *s);

/* "2026-05-01T10:00:00.123456789Z TEXT" -> the time, and the text. `at_us` 0: it has no time. */
typedef void (*logs_line_fn)(uint64_t at_us, bool is_stderr, const char *text, void *userdata);
/* Consumes all whole lines of `in`. -EPROTO: not a log stream; -ENOMEM. */
int logs_stream_feed(struct logs_stream *s, struct buf *in, logs_line_fn fn, void *userdata);

/* Escape sequences are taken out, tabs become blanks, other control bytes and what is no UTF-8 '?'. */
void logs_clean(char *out, size_t n, const char *s);
