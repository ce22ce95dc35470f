/* quota.h: how often something may happen: a bucket that holds `burst` and is refilled at `per_s`. No clock
 * of its own. */
#pragma once

#include "base/defs.h"

struct quota {
    uint64_t burst, per_s; /* both > 0 */
    uint64_t at_us, left;  /* zero before the first use: full */
    uint64_t refused;      /* since the last time that the owner looked */
};

/* Takes `n` (at most `burst`) if they are there; otherwise counts a refusal. */
bool quota_take(struct quota *q, uint64_t now_us, uint64_t n);
