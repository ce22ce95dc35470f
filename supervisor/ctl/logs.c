/* logs.c: see logs.h: the loop, and the order of the beginning: what the sources had before is sorted by
 * time, what comes later is shown as it comes. */
#include "ctl/logs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/text.h"

#define STEP_US (USEC_PER_SEC / 4)
#define RELIST_STEPS 8
#define HELD_MAX 200000

/* ---------------------------------------------------------------- lines */

static void show(struct logs *l, uint64_t at_us, const char *source, const char *stream, const char *text)
{
    const struct logs_entry e = {.at_us = at_us, .source = source, .stream = stream, .text = text};

    if (l->r >= 0)
        l->r = l->fn(&e, l->userdata);
    if (l->r < 0)
        (void)sd_event_exit(l->event, 0);
}

static int hold(struct logs *l, uint64_t at_us, const char *source, const char *stream, const char *text)
{
    struct logs_held *h;

    if (l->n_held % 1024 == 0) {
        h = reallocarray(l->held, l->n_held + 1024, sizeof(*h));
        if (!h)
            return -ENOMEM;
        l->held = h;
    }
    h = &l->held[l->n_held];
    *h = (struct logs_held){
        .at_us = at_us, .place = l->n_held, .source = strdup(source), .text = strdup(text), .stream = stream};
    l->n_held++;
    return h->source && h->text ? 0 : -ENOMEM;
}

static int by_time(const void *a, const void *b)
{
    const struct logs_held *x = a, *y = b;

    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void flush_held(struct logs *l)
{
    if (l->n_held > 0)
        qsort(l->held, l->n_held, sizeof(*l->held), by_time);
    for (size_t i = 0; i < l->n_held; i++) {
        if (l->held[i].source && l->held[i].text)
            show(l, l->held[i].at_us, l->held[i].source, l->held[i].stream, l->held[i].text);
        free(l->held[i].source);
        free(l->held[i].text);
    }
    free(l->held);
    l->held = NULL;
    l->n_held = 0;
}

void logs_take(struct logs *l, uint64_t at_us, const char *source, const char *stream, const char *text)
{
    if (l->flushed || l->n_held >= HELD_MAX)
        show(l, at_us, source, stream, text);
    else if (hold(l, at_us, source, stream, text) < 0)
        l->r = -ENOMEM;
}

/* ---------------------------------------------------------------- the loop */

/* The beginning is over when every source has told what it had: at its end, or, followed, when a whole step
 * brought nothing more. */
static bool beginning_is_over(const struct logs *l, size_t held_before)
{
    return l->listed && (l->reading == 0 || (l->o->follow && l->n_held == held_before));
}

static int run_loop(struct logs *l)
{
    size_t held = SIZE_MAX;

    for (unsigned step = 1; l->r >= 0; step++) {
        uint64_t now = 0, end;
        int r = sd_event_now(l->event, CLOCK_MONOTONIC, &now);

        if (r < 0)
            return r;
        end = now + STEP_US;
        do {
            r = sd_event_run(l->event, STEP_US);
            (void)sd_event_now(l->event, CLOCK_MONOTONIC, &now);
        } while (r > 0 && l->r >= 0 && now < end && (l->o->follow || l->reading > 0 || !l->listed));
        if (r < 0)
            return r;
        if (!l->flushed && beginning_is_over(l, held)) {
            l->flushed = true;
            flush_held(l);
        }
        held = l->n_held;
        if (l->flushed && !l->o->follow)
            return 0;
        logs_daemon_more(l);
        if (l->o->follow && step % RELIST_STEPS == 0)
            logs_engine_list(l);
    }
    return l->r;
}

static int start(struct logs *l, struct err *e)
{
    int r = logs_daemon_start(l), engine = logs_engine_start(l);

    if (engine < 0)
        return err_set(e, engine, "%s: %s", l->o->engine_socket, strerrordesc_np(-engine));
    /* The list's answer decides whether there is anything at all to be read. */
    while (!l->listed && (engine = sd_event_run(l->event, USEC_INFINITY)) >= 0)
        ;
    if (engine < 0)
        return engine;
    if (l->list_failed && r < 0)
        return err_set(e, -ENOENT, "the engine at %s: %s; no journal and no clawsupd either",
            l->o->engine_socket, l->engine_why.msg);
    if (l->list_failed)
        (void)fprintf(stderr, "clawsup logs: no container logs: the engine at %s: %s\n", l->o->engine_socket,
            l->engine_why.msg);
    return 0;
}

int logs_run(const struct logs_options *o, logs_fn fn, void *userdata, struct err *e)
{
    struct logs l = {.o = o, .fn = fn, .userdata = userdata};
    int r = sd_event_new(&l.event);

    if (r >= 0)
        r = start(&l, e);
    if (r >= 0)
        r = run_loop(&l);
    l.flushed = true;
    l.r = r < 0 ? r : -ECANCELED; /* what is held is only freed */
    flush_held(&l);
    logs_daemon_stop(&l);
    logs_engine_stop(&l);
    sd_event_unref(l.event);
    return r < 0 && e->msg[0] == '\0' ? err_set(e, r, "%s", strerrordesc_np(-r)) : r;
}
