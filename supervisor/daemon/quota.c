/* quota.c: see quota.h. */
#include "daemon/quota.h"

bool quota_take(struct quota *q, uint64_t now_us, uint64_t n)
{
    uint64_t since = now_us > q->at_us ? now_us - q->at_us : 0, fresh;

    if (q->at_us == 0 || since >= q->burst * USEC_PER_SEC / q->per_s) {
        q->left = q->burst;
        q->at_us = now_us;
    } else {
        fresh = since * q->per_s / USEC_PER_SEC;
        q->left = MIN(q->left + fresh, q->burst);
        q->at_us += fresh * USEC_PER_SEC / q->per_s; /* what makes no whole one is kept */
    }
    if (q->left < n) {
        q->refused++;
        return false;
    }
    q->left -= n;
    return true;
}
