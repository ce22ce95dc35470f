/* denials.h: what a tenant was refused, grouped by rule and route: counts, and one example of each. Fed with
 * the proxy's decision records, which a hostile client causes and a proxy that was taken over may invent:
 * every text is cut and made printable, the number of groups is bounded. No clock of its own, no engine. */
#pragma once

#include <jansson.h>

#include "base/defs.h"

#define DENIALS_MAX 256 /* groups; the one that was hit longest ago goes first */

struct denials;

/* NULL: out of memory. */
struct denials *denials_new(int64_t now_us);
struct denials *denials_free(struct denials *d);
DEFINE_CLEANUP(struct denials *, denials_free)

/* Counts a record ("decision": "deny" or "report"); others are passed over. `now_us` is CLOCK_REALTIME. 1:
 * counted; 0: not of these; -ENOMEM. */
int denials_record(struct denials *d, const json_t *record, int64_t now_us);

/* {"since":..,"groups":N,"forgotten":N,"denials":[{...}]}: at most `max` groups, the most frequent first; the
 * shape is in contrib/docs/control-protocol.md. `remedy` names the line of the configuration that would allow
 * it, or NULL. NULL: out of memory. */
json_t *denials_to_json(
    const struct denials *d, size_t max, const char *(*remedy)(const char *rule, int status));
