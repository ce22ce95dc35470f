/* watch.h: what happens in a tenant's cgroup, told at once: OOM kills and forks refused at the cap, with the
 * child cgroup (one per container) in which they happened. By inotify on the kernel's event files; reads
 * only. */
#pragma once

#include <systemd/sd-event.h>

#include "base/defs.h"

enum watch_kind {
    WATCH_OOM,  /* processes were killed for want of memory */
    WATCH_PIDS, /* forks were refused */
    _WATCH_KIND_MAX
};

struct watch_report {
    enum watch_kind kind;
    const char *child; /* name of the child cgroup, as the engine named it; "": it is not known which */
    uint64_t n;        /* how many since the last report */
    bool whole_tenant; /* WATCH_OOM: the limit that was reached is the tenant's, not the child's own */
};

struct watch;
/* From the loop, or from within watch_scan(). Must not free the watch. */
typedef void (*watch_fn)(const struct watch_report *r, void *userdata);

/* Watches the cgroup `dir` and its children. What happened before is not reported. -ENOENT without the
 * cgroup. */
int watch_new(sd_event *event, const char *dir, watch_fn fn, void *userdata, struct watch **ret);
struct watch *watch_free(struct watch *w);
DEFINE_CLEANUP(struct watch *, watch_free)

/* Looks now: new children are watched from here on, and what no event told of is reported. -ENOENT when the
 * cgroup has gone (make another watch when it is back). */
int watch_scan(struct watch *w);

/* The totals since the watch began. */
uint64_t watch_oom_kills(const struct watch *w);
uint64_t watch_forks_refused(const struct watch *w);
