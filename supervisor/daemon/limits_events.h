/* limits_events.h: what happens to a tenant within its limits, told when it happens: OOM kills with the
 * victim's name, forks refused at the cap, pressure on memory, CPU and I/O; and what limits.on_pressure does
 * about the last. Needs a cgroup per tenant. */
#pragma once

#include "daemon/manager.h"
#include "limits/pressure.h"

struct limits_events;

struct limits_events *limits_events_new(struct tenant *t); /* NULL: out of memory */
struct limits_events *limits_events_free(struct limits_events *x);
DEFINE_CLEANUP(struct limits_events *, limits_events_free)

/* Every few seconds, and when the tenant's cgroup or configuration has changed: begins to watch what is there
 * now, and tells what was held back. */
void limits_events_check(struct tenant *t);

/* True while OOM kills are counted here: the engine's events are then the same ones again. */
bool limits_events_watching(const struct tenant *t);
/* The engine names a container with an OOM kill. */
void limits_events_engine_oom(struct tenant *t, const char *name);

/* The tenant is slowed down (on_pressure = "throttle"): its CPU share is lowered until the pressure is over.
 */
bool limits_events_throttled(const struct tenant *t);
/* A probe of the gateway was good, but the pressure is such that it counts as failed: true, and why. */
bool limits_events_verdict(struct tenant *t, char *why, size_t n);

/* The reading of one resource, -ENOENT where there is none. */
int limits_events_pressure(const struct tenant *t, enum pressure_resource r, struct pressure_sample *ret);
