/* glob.h: one compiled name pattern: a glob ('*' any run of bytes, '?' one byte, everything else literally)
 * or "regex:" and a PCRE2 expression. Matching is bounded: a pattern can waste a little time, never hang.
 * PURE. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

struct glob; /* immutable once made */

/* Compiles `pattern` (1 to 256 bytes of printable ASCII). A regex must match the whole name: it is anchored
 * at both ends, without JIT, with match, depth and heap limits. -EINVAL with the place of the mistake,
 * -ENOMEM. */
int glob_new(const char *pattern, struct glob **ret, struct err *e) _must_check_;
struct glob *glob_free(struct glob *g);
DEFINE_CLEANUP(struct glob *, glob_free)
#define _cleanup_glob_ _cleanup_(glob_freep)

/* True if the whole of `name` matches. A name above 255 bytes, a match that ran into a limit or out of memory
 * is no match: every caller uses a match to allow something. */
bool glob_match(const struct glob *g, const char *name);

/* The bytes before the first '*' or '?' of a glob; "" for a regex. Belongs to `g`. */
const char *glob_prefix(const struct glob *g);
