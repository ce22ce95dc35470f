/* check.c: what every kind of check shares (see check.h, internal.h). Must not know any kind. */
#include "checks/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "checks/internal.h"

int check_init(struct check *c, sd_event *event, void (*destroy)(struct check *), check_fn fn, void *userdata)
{
    c->event = event;
    c->destroy = destroy;
    c->fn = fn;
    c->userdata = userdata;
    return sd_event_now(event, CLOCK_MONOTONIC, &c->started_us);
}

void check_finish(struct check *c, enum check_result result, const char *fmt, ...)
{
    struct check_sample s = {.result = result, .started_us = c->started_us};
    uint64_t now = c->started_us;
    va_list ap;

    (void)sd_event_now(c->event, CLOCK_MONOTONIC, &now);
    s.duration_us = now > c->started_us ? now - c->started_us : 0;
    va_start(ap, fmt);
    (void)vsnprintf(s.detail, sizeof(s.detail), fmt, ap);
    va_end(ap);
    c->ending = true;
    c->fn(&s, c->userdata);
    c->destroy(c);
}

struct check *check_free(struct check *c)
{
    if (c && !c->ending)
        c->destroy(c);
    return NULL;
}
