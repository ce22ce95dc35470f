/* internal.h: what every kind of check shares. For this room only. */
#pragma once

#include "checks/check.h"

/* A kind embeds this as its first member. */
struct check {
    check_fn fn;
    void *userdata;
    sd_event *event;
    uint64_t started_us;
    bool ending;                      /* its callback is on the stack */
    void (*destroy)(struct check *c); /* frees the whole kind */
};

/* Fills the common part; the event loop is borrowed: a check does not outlive it. -errno of the clock. */
int check_init(
    struct check *c, sd_event *event, void (*destroy)(struct check *), check_fn fn, void *userdata);

/* Ends the check: sample, callback, destroy. */
void check_finish(struct check *c, enum check_result result, const char *fmt, ...) _printf_(3, 4);
