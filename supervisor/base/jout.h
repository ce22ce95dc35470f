/* jout.h: writes JSON text piece by piece into a buffer, with the commas. The first error stays: write
 * everything, then look at `error` once. Objects get each key once: that is the caller's part. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "base/jdoc.h"

/* Initialise with `out` alone. */
struct jout {
    struct buf *out;
    int error; /* -ENOMEM, -E2BIG */
    bool comma;
};

void jout_open(struct jout *o, char bracket); /* '{' or '[' */
void jout_close(struct jout *o, char bracket);
void jout_key(struct jout *o, const char *key); /* plain: no escapes */
/* A key as `d` has it, escapes and all. */
void jout_key_of(struct jout *o, const struct jdoc *d, uint32_t key);
/* A value that is JSON already. */
void jout_raw(struct jout *o, const char *text, size_t len);
void jout_value(struct jout *o, const struct jdoc *d, uint32_t value); /* JDOC_NONE: null */
void jout_number(struct jout *o, int64_t n);
/* A string, escaped as needed. It must be valid UTF-8. */
void jout_string(struct jout *o, const char *s);
void jout_stringn(struct jout *o, const char *s, size_t len);
