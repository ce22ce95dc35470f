/* host.c: what is true: processes and containers that start, serve, fail and heal; the engine; people who
 * come after half a day. Keeps the accounts. Knows policies only by their table. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPDATE_OUTSIDE, UPDATE_READY, UPDATE_HEALED, UPDATE_ALL }; /* arg of EV_UPDATE */
#define PERSON_US (12 * HOUR) /* after so long somebody repairs what is down, whoever looks after it */

/* ---- draws and events */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double sim_draw(const struct sim *s, uint64_t a, uint64_t b, uint64_t c)
{
    return (double)(mix(mix(mix(s->o->seed ^ a) ^ b) ^ c) >> 11) / 9007199254740992.0;
}

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_at(struct sim *s, uint64_t at, enum event_type type, uint32_t part, uint32_t gen, uint64_t arg)
{
    struct event ev = {.at = at, .seq = s->seq++, .arg = arg, .part = part, .gen = gen, .type = type};
    size_t i = s->n_heap;

    if (at >= s->end)
        return;
    if (i == s->max_heap) {
        size_t n = s->max_heap == 0 ? 1024 : s->max_heap * 2;
        struct event *heap = reallocarray(s->heap, n, sizeof(*heap));

        if (!heap) {
            s->failed = true;
            return;
        }
        s->heap = heap;
        s->max_heap = n;
    }
    s->n_heap++;
    for (; i > 0 && before(&ev, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = ev;
}

static struct event pop(struct sim *s)
{
    struct event first = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;

    for (;;) {
        size_t k = 2 * i + 1;

        if (k >= s->n_heap)
            break;
        if (k + 1 < s->n_heap && before(&s->heap[k + 1], &s->heap[k]))
            k++;
        if (before(&last, &s->heap[k]))
            break;
        s->heap[i] = s->heap[k];
        i = k;
    }
    s->heap[i] = last;
    return first;
}

/* ---- parts */
struct part *sim_part(struct sim *s, uint32_t index)
{
    return &s->t[index / PARTS].part[index % PARTS];
}

void sim_note(const struct sim *s, const struct part *p, const char *text)
{
    if (s->o->verbose)
        (void)printf("%12.3f  %u/%s: %s\n", (double)(s->now - BEGIN_US) / 1e6, p->index / PARTS,
            p->index % PARTS == PROXY ? "proxy" : "gateway", text);
}

enum answer part_answer(const struct sim *s, const struct part *p)
{
    if (!p->running || p->act.stopping || s->now < p->ready_us)
        return ANSWER_REFUSED;
    if (p->fault == FAULT_HANG || p->fault == FAULT_BLIP || s->now < s->overload_us)
        return ANSWER_NONE;
    if (p->fault != FAULT_NONE || s->now < p->out_us)
        return ANSWER_REFUSED;
    return ANSWER_OK;
}

bool part_serves(const struct sim *s, const struct part *p)
{
    return part_answer(s, p) == ANSWER_OK;
}

static void outage_over(struct sim *s, struct tenant *t)
{
    struct accounts *a = s->a;

    a->down_us += s->now - t->down_since_us;
    if (!t->curable)
        return;
    if (a->n_ttr == a->max_ttr) {
        size_t n = a->max_ttr == 0 ? 1024 : a->max_ttr * 2;
        uint64_t *ttr = reallocarray(a->ttr, n, sizeof(*ttr));

        if (!ttr) {
            s->failed = true;
            return;
        }
        a->ttr = ttr;
        a->max_ttr = n;
    }
    a->ttr[a->n_ttr++] = s->now - t->down_since_us;
}

static void account(struct sim *s, struct tenant *t)
{
    bool ok = part_serves(s, &t->part[PROXY]) && part_serves(s, &t->part[GATEWAY]);

    for (int k = 0; k < PARTS && !ok; k++)
        if (t->part[k].fault != FAULT_NONE && t->part[k].fault != FAULT_BLIP && t->part[k].cure != REC_L4)
            t->curable = true;
    if (ok == t->ok)
        return;
    t->ok = ok;
    if (ok) {
        outage_over(s, t);
        t->curable = false;
        return;
    }
    t->down_since_us = s->now;
    t->outage++;
    sim_at(s, s->now + PERSON_US, EV_OPERATOR, t->part[0].index, t->outage, 0);
}

static void changed(struct sim *s, struct part *p)
{
    account(s, &s->t[p->index / PARTS]);
    s->policy->changed(s, p);
}

/* How long a start takes: seconds to minutes for a gateway, and longer when many start at once. */
static uint64_t start_time(const struct sim *s, const struct part *p)
{
    double u = sim_draw(s, p->index, p->n_starts, 1), seconds;

    if (p->index % PARTS == PROXY)
        return s->policy->embedded_proxy ? (uint64_t)(5e3 + 45e3 * u) : (uint64_t)(3e5 + 1.2e6 * u);
    if (s->o->model == MODEL_SLOW_START)
        seconds = 90 + 190 * u;
    else
        seconds = u < 0.95 ? 6 + 20 * u : 25 + 1500 * (u - 0.95); /* now and then more than a minute */
    return (uint64_t)(seconds * 1e6 * (1 + (double)s->starting / 16));
}

/* A restart mends what a restart mends; one of the whole tenant, or a new container, its own kind as well. */
static bool mends(enum rec_level level, enum rec_level cure)
{
    return level == REC_L4 || (level >= REC_L1 && cure == REC_L1) || (level == cure && cure != REC_L4);
}

static void start_part(struct sim *s, struct part *p, enum rec_level level)
{
    if (p->fault != FAULT_NONE && (mends(level, p->cure) || p->fault == FAULT_BLIP))
        p->fault = FAULT_NONE;
    p->running = true;
    p->gen++;
    p->started_us = s->now;
    p->ready_us = s->now + start_time(s, p);
    p->n_starts++;
    p->cold = p->index % PARTS == GATEWAY;
    s->starting += p->cold;
    sim_at(s, p->ready_us, EV_UPDATE, p->index, p->gen, UPDATE_READY);
    if (p->fault == FAULT_CRASH ||
        (p->out_us > s->now && sim_draw(s, p->index, p->n_starts, 6) < 0.3)) /* before it is ready */
        sim_at(s, s->now + (uint64_t)((double)(p->ready_us - s->now) * sim_draw(s, p->index, p->n_starts, 2)),
            EV_DIE, p->index, p->gen, 0);
}

static void warm(struct sim *s, struct part *p)
{
    s->starting -= p->cold;
    p->cold = false;
}

static void end_part(struct sim *s, struct part *p)
{
    warm(s, p);
    p->running = false;
    p->gen++;
}

static void die(struct sim *s, struct part *p)
{
    end_part(s, p);
    sim_note(s, p, "dies");
    changed(s, p);
    if (!p->act.on)
        s->policy->exited(s, p);
}

/* ---- actions */
static bool by_engine(const struct sim *s, const struct part *p)
{
    return p->index % PARTS == GATEWAY || !s->policy->embedded_proxy;
}

static uint64_t stop_time(const struct sim *s, const struct part *p)
{
    if (!p->running)
        return 0;
    if (!by_engine(s, p))
        return MSEC;
    if (p->stubborn && (p->fault == FAULT_HANG || p->fault == FAULT_SICK))
        return s->policy->stop_timeout_us;
    return (uint64_t)(5e5 + 2.5e6 * sim_draw(s, p->index, p->n_starts, 3));
}

/* Would it have got well at least as soon if nobody had touched it, or not get well from this? */
static bool is_needless(const struct sim *s, const struct part *p, enum rec_level level, uint64_t delay_us)
{
    uint64_t ready = s->now + stop_time(s, p) + delay_us + start_time(s, p);

    if (p->fault == FAULT_BLIP)
        return p->running && p->heals_us <= ready;
    if (p->fault == FAULT_CRASH && p->heals_us != 0)
        return p->heals_us > s->now + stop_time(s, p) + delay_us;
    if (p->fault != FAULT_NONE)
        return !mends(level, p->cure);
    return p->running; /* it serves, it starts, or something outside keeps it from answering */
}

static void count(struct sim *s, bool needless)
{
    if (s->now / MINUTE != s->minute) {
        s->minute = s->now / MINUTE;
        s->in_minute = 0;
    }
    s->a->actions++;
    s->a->needless += needless;
    if (++s->in_minute > s->a->storm)
        s->a->storm = s->in_minute;
}

static const char *needless_because(const struct sim *s, const struct part *p)
{
    if (p->fault == FAULT_BLIP)
        return "restart, needless: a stall that ends by itself";
    if (p->fault != FAULT_NONE)
        return p->heals_us != 0    ? "restart, needless: it will fail for a while"
               : p->cure == REC_L4 ? "restart, needless: nothing mends it"
                                   : "restart, needless: this does not mend it";
    if (s->now < p->out_us)
        return "restart, needless: what it needs is gone";
    if (s->now < s->overload_us)
        return "restart, needless: the host is slow";
    return s->now < p->ready_us ? "restart, needless: it is starting" : "restart, needless: it serves";
}

bool sim_restart(struct sim *s, struct part *p, enum rec_level level, uint64_t delay_us)
{
    bool needless, along = level == REC_L2 && p->index % PARTS == PROXY;

    if (p->act.on || (by_engine(s, p) && !s->engine_up))
        return false;
    if (level > REC_L0 && !along) {
        needless = is_needless(s, p, level, delay_us);
        count(s, needless);
        sim_note(s, p, needless ? needless_because(s, p) : "restart");
    }
    p->act.on = true;
    p->act.stopping = p->running;
    p->act.level = level;
    p->act.delay_us = delay_us;
    p->act.gen++;
    sim_at(s, s->now + stop_time(s, p), EV_STOPPED, p->index, p->act.gen, 0);
    changed(s, p);
    return true;
}

static void action_stopped(struct sim *s, struct part *p)
{
    uint64_t overhead = by_engine(s, p) ? 300 * MSEC : 0; /* the engine's own work */

    end_part(s, p);
    p->act.stopping = false;
    sim_at(s, s->now + p->act.delay_us + overhead, EV_START, p->index, p->act.gen, 0);
    changed(s, p);
}

static void action_start(struct sim *s, struct part *p)
{
    bool gone = by_engine(s, p) && !s->engine_up;

    p->act.on = false;
    if (!gone)
        start_part(s, p, p->act.level);
    changed(s, p);
    s->policy->done(s, p, gone);
}

/* ---- weather */
static void fall_ill(struct sim *s, struct part *p, const struct weather *w)
{
    if (p->fault != FAULT_NONE || !p->running || p->act.on)
        return; /* it is down already */
    p->fault = w->fault;
    p->cure = w->cure;
    p->stubborn = w->flag;
    p->heals_us = w->duration_us > 0 ? s->now + w->duration_us : 0;
    if (p->heals_us != 0)
        sim_at(s, p->heals_us, EV_UPDATE, p->index, 0, UPDATE_HEALED);
    sim_note(s, p,
        w->fault == FAULT_CRASH  ? "will die"
        : w->fault == FAULT_HANG ? "hangs"
        : w->fault == FAULT_SICK ? "is sick"
                                 : "stalls");
    if (w->fault == FAULT_CRASH) {
        die(s, p);
        return;
    }
    changed(s, p);
}

static void everybody(struct sim *s)
{
    for (uint32_t i = 0; i < s->o->tenants; i++)
        for (int k = 0; k < PARTS; k++)
            changed(s, &s->t[i].part[k]);
}

static void engine_ends(struct sim *s, const struct weather *w)
{
    if (!s->engine_up)
        return;
    s->engine_up = false;
    s->policy->engine(s, false);
    sim_at(s, s->now + w->duration_us, EV_ENGINE_BACK, 0, 0, 0);
    for (uint32_t i = 0; w->flag && !s->policy->containers_live && i < s->o->tenants; i++)
        for (int k = 0; k < PARTS; k++) {
            struct part *p = &s->t[i].part[k];

            if (!by_engine(s, p) || !p->running)
                continue;
            end_part(s, p);
            changed(s, p); /* nobody is told: who would tell is gone */
        }
}

static void befall(struct sim *s, const struct weather *w)
{
    struct part *p = sim_part(s, w->part);

    switch (w->type) {
    case W_FAULT:
        fall_ill(s, p, w);
        break;
    case W_OUTSIDE:
        p->out_us = s->now + w->duration_us;
        sim_at(s, p->out_us, EV_UPDATE, p->index, p->gen, UPDATE_OUTSIDE);
        changed(s, p);
        break;
    case W_STEP:
        s->wall_us += w->step_us;
        s->policy->stepped(s);
        __attribute__((fallthrough)); /* after a resume everything is slow for a while */
    case W_OVERLOAD:
        s->overload_us = s->now + w->duration_us;
        sim_at(s, s->overload_us, EV_UPDATE, 0, 0, UPDATE_ALL);
        everybody(s);
        break;
    case W_ENGINE:
        engine_ends(s, w);
        break;
    default:
        break;
    }
}

static void update(struct sim *s, const struct event *ev)
{
    struct part *p = sim_part(s, ev->part);

    if (ev->arg == UPDATE_ALL) {
        everybody(s);
        return;
    }
    if (ev->arg == UPDATE_READY && ev->gen == p->gen)
        warm(s, p);
    if (ev->arg == UPDATE_HEALED && p->fault != FAULT_NONE && p->heals_us == s->now)
        p->fault = FAULT_NONE;
    changed(s, p);
}

/* Half a day down: somebody repairs it by hand. */
static void person(struct sim *s, const struct event *ev)
{
    struct tenant *t = &s->t[ev->part / PARTS];

    if (t->ok || t->outage != ev->gen)
        return;
    for (int k = 0; k < PARTS; k++) {
        struct part *p = &t->part[k];

        if (part_serves(s, p))
            continue;
        sim_note(s, p, "repaired by hand");
        p->fault = FAULT_NONE;
        if (p->act.on)
            continue; /* it is being started anyway */
        end_part(s, p);
        start_part(s, p, REC_L4);
        changed(s, p);
        s->policy->mended(s, p);
    }
    sim_at(s, s->now + PERSON_US, EV_OPERATOR, ev->part, ev->gen, 0);
}

/* ---- the run */
static void dispatch(struct sim *s, const struct event *ev)
{
    struct part *p = sim_part(s, ev->part);

    switch (ev->type) {
    case EV_WEATHER:
        befall(s, &s->weather[s->next_weather++]);
        if (s->next_weather < s->n_weather)
            sim_at(s, s->weather[s->next_weather].at, EV_WEATHER, 0, 0, 0);
        break;
    case EV_UPDATE:
        update(s, ev);
        break;
    case EV_DIE:
        if (ev->gen == p->gen && p->running)
            die(s, p);
        break;
    case EV_STOPPED:
        if (ev->gen == p->act.gen)
            action_stopped(s, p);
        break;
    case EV_START:
        if (ev->gen == p->act.gen)
            action_start(s, p);
        break;
    case EV_PROBE:
        if (ev->gen == p->w.gen)
            watch_begin(s, p);
        break;
    case EV_PROBE_END:
        if (ev->gen == p->w.gen)
            watch_end(s, p);
        break;
    case EV_ENGINE_BACK:
        s->engine_up = true;
        s->policy->engine(s, true);
        break;
    case EV_OPERATOR:
        person(s, ev);
        break;
    case EV_POLICY:
        s->policy->timer(s, ev->part, ev->arg);
        break;
    default:
        break;
    }
}

static void close_accounts(struct sim *s)
{
    s->now = s->end;
    s->a->tenant_us += (s->end - BEGIN_US) * s->o->tenants;
    for (uint32_t i = 0; i < s->o->tenants; i++)
        if (!s->t[i].ok)
            outage_over(s, &s->t[i]);
}

int sim_run(const struct options *o, const struct policy *p, const struct weather *w, size_t n_weather,
    struct accounts *a)
{
    struct sim s = {
        .a = a,
        .o = o,
        .policy = p,
        .now = BEGIN_US,
        .end = BEGIN_US + o->days * DAY,
        .weather = w,
        .n_weather = n_weather,
        .engine_up = true,
    };
    int r = -ENOMEM;

    s.t = calloc(o->tenants, sizeof(*s.t));
    if (s.t) {
        for (uint32_t i = 0; i < o->tenants * PARTS; i++) {
            *sim_part(&s, i) = (struct part){.index = i, .running = true};
            s.t[i / PARTS].ok = true;
        }
        r = p->init(&s);
    }
    if (r >= 0 && n_weather > 0)
        sim_at(&s, w[0].at, EV_WEATHER, 0, 0, 0);
    while (r >= 0 && s.n_heap > 0 && !s.failed) {
        struct event ev = pop(&s);

        s.now = ev.at;
        dispatch(&s, &ev);
    }
    if (r >= 0 && s.failed)
        r = -ENOMEM;
    if (r >= 0)
        close_accounts(&s);
    if (p->fini)
        p->fini(&s);
    free(s.t);
    free(s.heap);
    return r;
}
