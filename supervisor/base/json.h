/* json.h: strict JSON over jansson. What the engine's decoder (Go's encoding/json) would read in a second way
 * is an error here, so a document has exactly one meaning:
 *   - keys that fold to the same name in one object (ASCII case, U+017F is s, U+212A is k, after \u
 *     unescaping): in maps too, where the engine would keep both;
 *   - text after the document, a BOM, NUL or \u0000, invalid UTF-8, unpaired surrogates;
 *   - depth or size beyond the limits.
 * Source of the facts: Go encoding/json; RFC 8259. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 32

/* json_decrefp() comes with jansson 2.14. */
#define _cleanup_json_ _cleanup_(json_decrefp)

/* Loads one document, an object or an array, of at most `max` bytes. 0 and a new reference, or:
 * -EFBIG (too large), -EINVAL (malformed or ambiguous; `e` says where and what), -ENOMEM. */
int json_load_strict(const char *data, size_t len, size_t max, json_t **ret, struct err *e);

/* For what the engine itself wrote, never for a client's text: the same limits and errors, but a map may hold
 * keys that differ in case alone (two labels, two networks: the engine keeps both, so one such container must
 * not make a whole list unreadable), and any value may be the document. */
int json_load_engine(const char *data, size_t len, size_t max, json_t **ret, struct err *e);

/* Compact, keys in insertion order, non-ASCII as UTF-8; caller frees. NULL when out of memory. */
char *json_to_string(const json_t *j);

/* null, false, 0, 0.0, "", [] or {}: what Go's decoder leaves at the zero value. NULL (absent) counts. */
bool json_is_zero(const json_t *j);
