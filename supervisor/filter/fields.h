/* fields.h: the table-driven reader of a JSON object that stands for one Go struct of the engine's API. Every
 * key is in a table or is refused: the engine matches keys without regard to case, so nothing is passed
 * through. PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "filter/refusal.h"

enum field_type {
    FIELD_ZERO, /* only null, 0, false, "", [] or {}: everything else is 403. No handler. */
    FIELD_BOOL,
    FIELD_INT, /* a JSON integer: 1.0 and 1e3 are malformed, as they are for the engine */
    FIELD_STRING,
    FIELD_STRINGS, /* an array of strings */
    FIELD_ARRAY,
    FIELD_OBJECT,
    FIELD_ANY, /* the handler checks the type itself */
    _FIELD_TYPE_MAX
};

/* Where a handler is: `rule` is the path of the key ("create.HostConfig.Binds"), for refusals. */
struct field_at {
    const char *rule;
    struct refusal *refusal;
};

/* Takes a value of the row's type, never null. Returns 0, -ENOMEM, or what refusal_set() returned. */
typedef int (*field_fn)(void *ctx, const json_t *value, const struct field_at *at);

struct field {
    const char *key; /* canonical spelling */
    enum field_type type;
    field_fn read; /* NULL: the value is checked for its type and dropped (we write our own) */
};

/* One struct: its rows, and a second table (may be NULL) whose keys are refused here unless zero: create's
 * top level, where old engines read HostConfig's fields. */
struct field_table {
    const char *where; /* "create.HostConfig" */
    const struct field *rows;
    size_t n;
    const struct field_table *misplaced;
};

/* Reads every key of `obj` (a NULL or JSON null object has none). null values count as absent. A key that is
 * not printable ASCII, or is a known key in another spelling, or a value of another type: -EINVAL (400). An
 * unknown key or a ZERO row with a value: -EPERM (403). Else what the handler returned. Not an object: 400.
 */
int fields_read(
    const struct field_table *t, const json_t *obj, void *ctx, struct refusal *refusal) _must_check_;

/* Limits on an array of strings or a map of strings: count, bytes of one item, bytes altogether. */
struct field_limits {
    size_t items, item_bytes, total_bytes;
};

/* A new array with the strings of `in` after checking them: limits (413); no control bytes (400) unless
 * `raw`. */
int fields_strings(const json_t *in, const struct field_limits *l, bool raw, const struct field_at *at,
    json_t **ret) _must_check_;

/* The string's value when it is at most `max` bytes and has no control bytes; otherwise 400. */
int fields_text(const json_t *in, size_t max, const struct field_at *at, const char **ret) _must_check_;

/* An integer in [min, max]; otherwise 403. */
int fields_range(
    const json_t *in, int64_t min, int64_t max, const struct field_at *at, int64_t *ret) _must_check_;

/* True if `key` is `canonical` (ASCII) in any spelling that Go's JSON decoder takes for it: ASCII case, and
 * U+017F for s, U+212A for k. fields_folds_prefix(): `key` begins with such a spelling. */
bool fields_folds(const char *key, const char *canonical);
bool fields_folds_prefix(const char *key, const char *prefix);

/* True without bytes below 0x20 and without 0x7f. */
bool fields_is_clean(const char *s);
