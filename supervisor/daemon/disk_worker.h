/* disk_worker.h: blocking work on a tenant's disk, done by a process of its own, so that the loop never waits
 * for mkfs, e2fsck or a mount. The process outlives a clawsupd that ends: what it began, it finishes. */
#pragma once

#include <systemd/sd-event.h>

#include "base/defs.h"
#include "base/err.h"
#include "limits/disk_image.h"
#include "limits/disk_usage.h"

enum disk_job_type { DISK_JOB_IMAGE, DISK_JOB_TRIM, DISK_JOB_COUNT, _DISK_JOB_TYPE_MAX };

struct disk_job {
    enum disk_job_type type;
    struct disk_image_want image; /* a trim or a count looks at data_root alone; texts are read before the
                                     start returns */
};

struct disk_reply {
    int r;        /* 0 or -errno of the job; -ECHILD: the worker was killed */
    struct err e; /* with text, if r < 0 */
    struct disk_image_done image;
    uint64_t trimmed_bytes;
    struct disk_usage usage;
};

struct disk_worker;
/* Runs exactly once, from the loop, unless the worker was abandoned; the worker is gone by then. */
typedef void (*disk_worker_fn)(const struct disk_reply *reply, void *userdata);

int disk_worker_start(
    sd_event *event, const struct disk_job *job, disk_worker_fn fn, void *userdata, struct disk_worker **ret);
/* The process goes on, but nobody hears of it. NULL allowed. Returns its pid, to be reaped; 0. */
pid_t disk_worker_abandon(struct disk_worker *w);
