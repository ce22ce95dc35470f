/* rate.c: see rate.h. Keeps two samples: the base that a rate is counted from, and the one that becomes the
 * next base when it is old enough. */
#include "daemon/rate.h"

bool rate_sample(struct rate *r, uint64_t now_us, uint64_t value, double *ret)
{
    if (!r->begun || value < r->mid) {
        *r = (struct rate){.base_us = now_us, .base = value, .mid_us = now_us, .mid = value, .begun = true};
        return false;
    }
    if (now_us - r->mid_us >= RATE_WINDOW_US) {
        r->base_us = r->mid_us;
        r->base = r->mid;
        r->mid_us = now_us;
        r->mid = value;
    }
    if (now_us - r->base_us < RATE_SHORTEST_US)
        return false;
    *ret = (double)(value - r->base) / (double)(now_us - r->base_us);
    return true;
}
