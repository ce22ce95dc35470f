/* budget.c: sliding windows over what was done, and over changes of health. Success clears nothing here; only
 * time does. Must not decide what follows from an empty budget: ladder.c does. */
#include "recovery/recovery_internal.h"

void history_add(struct history *h, int64_t at_us)
{
    h->at[h->head] = at_us;
    h->head = (h->head + 1) % REC_HISTORY_MAX;
    if (h->n < REC_HISTORY_MAX)
        h->n++;
}

void history_undo(struct history *h)
{
    if (h->n == 0)
        return;
    h->head = (h->head + REC_HISTORY_MAX - 1) % REC_HISTORY_MAX;
    h->n--;
}

uint32_t history_count(const struct history *h, uint64_t window_us, uint64_t now_us)
{
    int64_t from = (int64_t)now_us - (int64_t)window_us;
    uint32_t first = h->head >= h->n ? h->head - h->n : 0, count = 0;

    /* Restored entries come in any order, so all are looked at; there are at most 64: those before the next
     * write, and when it has wrapped those at the end. */
    for (uint32_t i = first; i < h->head; i++)
        count += h->at[i] > from;
    for (uint32_t i = REC_HISTORY_MAX - (h->n - (h->head - first)); i < REC_HISTORY_MAX; i++)
        count += h->at[i] > from;
    return count;
}

bool history_newest(const struct history *h, int64_t *ret_at_us)
{
    int64_t newest = INT64_MIN;

    for (uint32_t i = 0; i < h->n; i++)
        newest = MAX(newest, h->at[(h->head + REC_HISTORY_MAX - 1 - i) % REC_HISTORY_MAX]);
    if (h->n == 0)
        return false;
    *ret_at_us = newest;
    return true;
}

bool budget_restart_ok(const struct component *c, uint64_t now_us)
{
    const struct recovery_params *p = &c->rp;

    return history_count(&c->restarts, USEC_PER_HOUR, now_us) < p->restarts_per_hour &&
           history_count(&c->restarts, USEC_PER_DAY, now_us) < p->restarts_per_day;
}

/* A restart of all is a restart of each. An embedded proxy's own relaunches do not count against its
 * neighbours: it would otherwise cost the gateway a rung. */
bool budget_restart_all_ok(const struct rec_tenant *t, uint64_t now_us)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->c[i]->p.kind != REC_KIND_PROXY && !budget_restart_ok(t->c[i], now_us))
            return false;
    return true;
}

bool budget_redeploy_ok(const struct component *c, uint64_t now_us)
{
    return history_count(&c->t->redeploys, USEC_PER_DAY, now_us) < c->rp.redeploys_per_day;
}

/* A relaunch takes milliseconds and no client sees it, so it has more room than a restart. */
bool budget_relaunch_ok(const struct component *c, uint64_t now_us)
{
    const struct recovery_params *p = &c->rp;

    return history_count(&c->restarts, USEC_PER_MINUTE, now_us) < p->relaunches_per_minute &&
           history_count(&c->restarts, USEC_PER_HOUR, now_us) < p->relaunches_per_hour;
}

uint64_t flap_until(const struct component *c, uint64_t now_us)
{
    uint32_t k = MIN(c->rp.flap_changes, REC_CHANGES_MAX);
    int64_t until;

    if (k == 0 || c->n_changes < k)
        return 0;
    /* It flaps until the k-th newest change has left the window. */
    until = c->changes[k - 1] + (int64_t)c->rp.flap_window_us;
    return until > (int64_t)now_us ? (uint64_t)until : 0;
}

bool flap_note(struct component *c, uint64_t now_us)
{
    bool before = flap_until(c, now_us) != 0;

    for (uint32_t i = REC_CHANGES_MAX - 1; i > 0; i--)
        c->changes[i] = c->changes[i - 1];
    c->changes[0] = (int64_t)now_us;
    if (c->n_changes < REC_CHANGES_MAX)
        c->n_changes++;
    return !before && flap_until(c, now_us) != 0;
}
