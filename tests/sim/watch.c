/* watch.c: probes, taken only when they could say something that the prober does not know: while a part
 * serves and is known to, none is simulated. Docker's HEALTHCHECK for those who rely on it. */
#include "sim.h"

void watch_arm(struct sim *s, struct part *p, uint64_t at_us)
{
    p->w.gen++;
    p->w.armed = true;
    sim_at(s, at_us > s->now ? at_us : s->now, EV_PROBE, p->index, p->w.gen, 0);
}

void watch_disarm(struct part *p)
{
    p->w.gen++;
    p->w.armed = false;
}

static void result(struct sim *s, struct part *p, bool ok)
{
    p->w.armed = false;
    s->policy->probed(s, p, ok, p->w.started_us);
}

/* A probe that meets silence ends with its time-out, or when the answer comes after all. */
void watch_begin(struct sim *s, struct part *p)
{
    enum answer a = part_answer(s, p);
    uint64_t until = s->now + s->policy->probe_timeout_us[p->index % PARTS];

    p->w.last_us = p->w.started_us = s->now;
    if (a != ANSWER_NONE) {
        result(s, p, a == ANSWER_OK);
        return;
    }
    if (p->fault == FAULT_BLIP && p->heals_us < until)
        until = p->heals_us;
    else if (p->fault == FAULT_NONE && s->overload_us > s->now && s->overload_us < until)
        until = s->overload_us;
    p->w.gen++;
    sim_at(s, until + 1, EV_PROBE_END, p->index, p->w.gen, 0);
}

void watch_end(struct sim *s, struct part *p)
{
    result(s, p, part_serves(s, p));
}

/* ---- HEALTHCHECK: the engine's, begun anew with each start of the container */
static bool checked(const struct sim *s, const struct part *p)
{
    return s->engine_up && p->running && !p->act.stopping;
}

void health_changed(struct sim *s, struct part *p)
{
    uint64_t interval = s->policy->probe_interval_us, at;

    if (!checked(s, p)) {
        watch_disarm(p);
        return;
    }
    if (p->w.since_us != p->started_us || p->w.last_us == 0) {
        p->w = (struct watch){.gen = p->w.gen, .since_us = p->started_us, .last_us = p->started_us};
        p->w.passed = p->started_us == 0; /* it has been well all along */
        p->w.last_us = p->started_us == 0
                           ? s->now - (uint64_t)((double)interval * sim_draw(s, p->index, 0, 4))
                           : p->started_us;
        if (p->started_us != 0) {
            watch_arm(s, p, p->started_us + interval);
            return;
        }
    }
    if (p->w.armed || (part_serves(s, p) && p->w.passed && p->w.fails == 0))
        return;
    at = p->w.last_us + (s->now - p->w.last_us + interval - 1) / interval * interval;
    watch_arm(s, p, at);
}

bool health_probed(struct sim *s, struct part *p, bool ok)
{
    bool was = p->w.unhealthy;

    if (!checked(s, p))
        return false;
    p->w.last_us = s->now;
    if (ok) {
        p->w.passed = true;
        p->w.unhealthy = false;
        p->w.fails = 0;
    } else if (p->w.passed || p->w.started_us >= p->started_us + s->o->start_period_us) {
        p->w.fails++;
        p->w.unhealthy = p->w.unhealthy || p->w.fails >= 3;
    }
    if (!ok || !part_serves(s, p))
        watch_arm(s, p, s->now + s->policy->probe_interval_us);
    return was != p->w.unhealthy;
}

/* An engine that comes back watches anew those that live on. */
void health_engine(struct sim *s, bool up)
{
    for (uint32_t i = 0; i < s->o->tenants * PARTS; i++) {
        struct part *p = sim_part(s, i);

        if (!up) {
            watch_disarm(p);
            continue;
        }
        p->w.fails = 0;
        if (p->w.last_us != 0 && p->w.since_us == p->started_us)
            p->w.last_us = s->now;
        health_changed(s, p);
    }
}
