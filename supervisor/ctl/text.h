/* text.h: values as people read them: ages, sizes, states in colour, and outside text made safe for a
 * terminal. */
#pragma once

#include <jansson.h>

#include "base/defs.h"

enum text_colour {
    TEXT_PLAIN,
    TEXT_GREEN,
    TEXT_YELLOW,
    TEXT_RED,
    TEXT_CYAN,
    TEXT_DIM,
    TEXT_BOLD,
    _TEXT_COLOUR_MAX
};

/* Copies at most n-1 bytes; control characters, DEL, C1 controls and bytes that are no UTF-8 become '?', so
 * that no text can move the cursor. */
void text_safe(char *out, size_t n, const char *s);

/* The member's string, or "" when it is absent, null or something else. Borrowed. */
const char *text_of(const json_t *o, const char *key);
/* The member as a count, or `fallback`. */
uint64_t text_u64(const json_t *o, const char *key, uint64_t fallback);
/* The member as a time; false when it is absent, null or malformed. */
bool text_time(const json_t *o, const char *key, uint64_t *ret_us);

/* "10m" before now, or an RFC 3339 time in UTC. -EINVAL. Reads the clock. */
int text_since(const char *s, uint64_t *ret_us);

/* "12s ago", "just now", "in 4.1s". `n` >= 48 is always enough. */
void text_ago(char *out, size_t n, uint64_t now_us, uint64_t at_us);
/* "4.1s": the time between the two, in either order. */
void text_between(char *out, size_t n, uint64_t a_us, uint64_t b_us);

/* "312M/2G", "312M" without a limit, "-" when it is not known. UINT64_MAX: none. `n` >= 40. */
void text_usage(char *out, size_t n, uint64_t used, uint64_t limit);

/* The colour of a tenant's, component's or host's state, or of a probe's result. */
enum text_colour text_state_colour(const char *state);
/* The terminal sequence; "" for TEXT_PLAIN. text_reset() ends each. */
const char *text_sgr(enum text_colour c);
#define TEXT_RESET "\033[0m"

/* True when standard output is a terminal that takes colour and NO_COLOR (https://no-color.org/) is not set.
 */
bool text_colour_wanted(void);
