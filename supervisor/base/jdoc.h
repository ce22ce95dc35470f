/* jdoc.h: a JSON document read in place: for the long answers of the engine, which are read once, mostly to
 * be written again. The whole text is checked as json_load_engine() checks it (RFC 8259, UTF-8, no U+0000, no
 * unpaired surrogate, no key twice in an object, the same depth) and its values are found by their place in
 * the text: one allocation for all of them, none for a value. Not for what a client sends.
 *
 * Keys and strings are compared as they are written. The engine's encoder has one spelling for each string,
 * and plain ASCII but for `"`, `\`, `<`, `>`, `&` spells itself; a name that needs an escape equals nothing
 * here. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

#define JDOC_NONE UINT32_MAX   /* no value: absent; every function below takes it and finds nothing in it */
#define JDOC_MEMBERS_MAX 2048U /* of one object */

enum jdoc_type { JDOC_NULL, JDOC_FALSE, JDOC_TRUE, JDOC_NUMBER, JDOC_STRING, JDOC_ARRAY, JDOC_OBJECT };

struct jdoc_node {
    uint32_t start, end; /* in the text; of a string what is between its quotes */
    uint32_t next;       /* the node behind this one and all that is in it */
    uint8_t type;        /* enum jdoc_type */
    uint8_t escaped;     /* a string with a backslash */
    uint16_t hash;       /* of a string: unequal hashes, unequal strings */
};

/* Zero-initialise. Values are numbered in the order of the text; 0 is the document. */
struct jdoc {
    const char *text;
    struct jdoc_node *nodes;
    uint32_t n, cap;
};

/* `text` is borrowed and must have a NUL behind it. -EFBIG, -EINVAL (with words in `e`), -ENOMEM. */
int jdoc_parse(struct jdoc *d, const char *text, size_t len, size_t max, struct err *e) _must_check_;
void jdoc_done(struct jdoc *d);
#define _cleanup_jdoc_ _cleanup_(jdoc_done)

bool jdoc_is(const struct jdoc *d, uint32_t value, enum jdoc_type type);

/* The member of an object. */
uint32_t jdoc_get(const struct jdoc *d, uint32_t object, const char *key);
/* The same for a series of keys that stand in the text in about the order in which they are asked for: *at,
 * JDOC_NONE at first, remembers where the last one was. */
uint32_t jdoc_get_next(const struct jdoc *d, uint32_t object, const char *key, uint32_t *at);

/* Goes through an array, or through an object (there it gives the keys; the value is key + 1). */
uint32_t jdoc_first(const struct jdoc *d, uint32_t container);
uint32_t jdoc_next(const struct jdoc *d, uint32_t container, uint32_t item);
size_t jdoc_size(const struct jdoc *d, uint32_t container); /* members or items; counts them */

/* A string as it is written between its quotes; NULL for anything else. */
const char *jdoc_string(const struct jdoc *d, uint32_t value, size_t *ret_len);
/* Does the string equal `s`, which is plain (see above)? */
bool jdoc_equals(const struct jdoc *d, uint32_t value, const char *s);

/* The value as it is written, quotes included. */
const char *jdoc_raw(const struct jdoc *d, uint32_t value, size_t *ret_len);
/* A decoded copy. NULL when out of memory. */
json_t *jdoc_to_json(const struct jdoc *d, uint32_t value);
