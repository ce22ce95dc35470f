/* slice.h: tenant slices through systemd's D-Bus interface, asynchronously on the caller's sd_event loop.
 * Never writes below /sys/fs/cgroup: systemd is the single writer of its tree
 * (https://systemd.io/CGROUP_DELEGATION/). */
#pragma once

#include <systemd/sd-event.h>

#include "base/defs.h"
#include "limits/limits.h"

#define SLICE_PARENT "clawsup.slice"

struct slice_bus;
struct slice_call;

/* r: 0, or -errno with the reason in `text` ("" on success). Runs exactly once, from the loop, unless the
 * call is cancelled. May start and cancel calls; must not free the bus. */
typedef void (*slice_fn)(int r, const char *text, void *userdata);

/* Connects to the system bus at the first call, and again after the connection broke. */
int slice_bus_new(sd_event *event, struct slice_bus **ret);
struct slice_bus *slice_bus_free(struct slice_bus *b); /* cancels every call without calling back */
DEFINE_CLEANUP(struct slice_bus *, slice_bus_free)

/* Makes the slice `unit` (see str_slice_name(), or SLICE_PARENT) exist with these limits: started as a
 * transient unit, or, when it exists, changed at runtime (nothing is left for the next boot). Ends when
 * systemd has done the job. A limit of 0 in `w` is lifted. -EINVAL for a name that is not one of ours. `ret`
 * may be NULL. */
int slice_apply(struct slice_bus *b, const char *unit, const struct limits_want *w, slice_fn fn,
    void *userdata, struct slice_call **ret);

/* Stops a slice that holds nothing any more and forgets its runtime settings; ends with 0 too when it does
 * not exist. `dir` is its cgroup (cgroup_slice_dir()): while processes live in it this is -EBUSY at once, for
 * stopping a slice kills what it holds. */
int slice_stop(struct slice_bus *b, const char *unit, const char *dir, slice_fn fn, void *userdata,
    struct slice_call **ret);

void slice_call_cancel(struct slice_call *c); /* NULL allowed; the callback will not run */
