/* pressure.h: pressure stall information (PSI) of one cgroup: its readings, and triggers that raise an event
 * when tasks waited for too long. https://docs.kernel.org/accounting/psi.html */
#pragma once

#include <systemd/sd-event.h>

#include "base/defs.h"

enum pressure_resource { PRESSURE_MEMORY, PRESSURE_CPU, PRESSURE_IO, _PRESSURE_MAX };

/* Of the time in which at least one task waited ("some"). */
struct pressure_sample {
    uint64_t avg10;    /* of the last 10 s, in hundredths of a percent */
    uint64_t total_us; /* since the cgroup exists */
};

/* Reads DIR/RESOURCE.pressure. -ENOENT without PSI or without the cgroup, -EBADMSG. */
int pressure_read(const char *dir, enum pressure_resource r, struct pressure_sample *ret);

struct pressure_trigger;
/* Runs from the loop, at most once per window (2 s) while the pressure lasts. */
typedef void (*pressure_fn)(enum pressure_resource r, void *userdata);

/* Raises an event whenever tasks of the cgroup `dir` waited for `percent` (1..100) of a window. A trigger is
 * a subscription by a descriptor: nothing about the cgroup changes. -ENOENT, -EOPNOTSUPP: no PSI here;
 * -EACCES, -EROFS: not writable. The trigger falls silent when the cgroup goes; make another for the next
 * one. */
int pressure_trigger_new(sd_event *event, const char *dir, enum pressure_resource r, unsigned percent,
    pressure_fn fn, void *userdata, struct pressure_trigger **ret);
struct pressure_trigger *pressure_trigger_free(struct pressure_trigger *t);
DEFINE_CLEANUP(struct pressure_trigger *, pressure_trigger_free)

const char *pressure_resource_to_string(enum pressure_resource r); /* "memory", "cpu", "io" */
