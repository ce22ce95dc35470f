/* rate.h: how fast a counter grows, over the last seconds, from samples taken whenever somebody looks. PURE.
 */
#pragma once

#include "base/defs.h"

#define RATE_WINDOW_US (5 * USEC_PER_SEC)   /* samples closer than this share one base */
#define RATE_SHORTEST_US (USEC_PER_SEC / 2) /* below it a rate is noise */

/* Zero-initialised: no sample yet. */
struct rate {
    uint64_t base_us, base, mid_us, mid;
    bool begun;
};

/* Takes a sample. True, and growth per microsecond in *ret, once there is an older one; a counter that went
 * back (its object was made anew) begins again. */
bool rate_sample(struct rate *r, uint64_t now_us, uint64_t value, double *ret);
