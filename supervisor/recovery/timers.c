/* timers.c: which tenant is due next: a binary heap with the position kept in the tenant, so that a step for
 * one tenant costs O(log n) with thousands of others asleep. Knows nothing of what the timers are for. */
#include "recovery/recovery_internal.h"

uint64_t time_add(uint64_t a, uint64_t b)
{
    return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

static void heap_place(struct recovery *r, size_t pos, struct rec_tenant *t)
{
    r->heap[pos] = t;
    t->heap_pos = pos;
}

static void heap_up(struct recovery *r, size_t pos, struct rec_tenant *t)
{
    while (pos > 0) {
        size_t parent = (pos - 1) / 2;

        if (r->heap[parent]->timer_us <= t->timer_us)
            break;
        heap_place(r, pos, r->heap[parent]);
        pos = parent;
    }
    heap_place(r, pos, t);
}

static void heap_down(struct recovery *r, size_t pos, struct rec_tenant *t)
{
    for (;;) {
        size_t child = 2 * pos + 1;

        if (child >= r->n_heap)
            break;
        if (child + 1 < r->n_heap && r->heap[child + 1]->timer_us < r->heap[child]->timer_us)
            child++;
        if (t->timer_us <= r->heap[child]->timer_us)
            break;
        heap_place(r, pos, r->heap[child]);
        pos = child;
    }
    heap_place(r, pos, t);
}

void timers_drop(struct recovery *r, struct rec_tenant *t)
{
    size_t pos = t->heap_pos;
    struct rec_tenant *last;

    if (pos == SIZE_MAX)
        return;
    t->heap_pos = SIZE_MAX;
    last = r->heap[--r->n_heap];
    if (last == t)
        return;
    if (pos > 0 && r->heap[(pos - 1) / 2]->timer_us > last->timer_us)
        heap_up(r, pos, last);
    else
        heap_down(r, pos, last);
}

void timers_set(struct recovery *r, struct rec_tenant *t, uint64_t at_us)
{
    if (at_us == USEC_INFINITY) {
        timers_drop(r, t);
        t->timer_us = at_us;
        return;
    }
    if (t->heap_pos == SIZE_MAX) {
        t->timer_us = at_us;
        heap_up(r, r->n_heap++, t);
        return;
    }
    if (at_us < t->timer_us) {
        t->timer_us = at_us;
        heap_up(r, t->heap_pos, t);
    } else if (at_us > t->timer_us) {
        t->timer_us = at_us;
        heap_down(r, t->heap_pos, t);
    }
}

struct rec_tenant *timers_top(const struct recovery *r)
{
    return r->n_heap > 0 ? r->heap[0] : NULL;
}
