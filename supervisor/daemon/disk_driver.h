/* disk_driver.h: keeps each tenant's disk limit in force, and tells what it uses. What blocks is done by
 * disk_worker.c; until a tenant's disk is in place, nothing of it is started and nothing of it is staged. */
#pragma once

#include "daemon/manager.h"
#include "limits/disk.h"

/* How the limit is put in force. */
enum disk_kind {
    DISK_KIND_NONE,   /* no limit is configured */
    DISK_KIND_IMAGE,  /* level A */
    DISK_KIND_OWN,    /* data_root is a file system of its own, made by the operator: its size is the cap */
    DISK_KIND_EFFORT, /* level C */
    _DISK_KIND_MAX
};

enum disk_state {
    DISK_STATE_PENDING, /* a worker is at it, or will be */
    DISK_STATE_READY,
    DISK_STATE_REFUSED, /* see `why`; tried again every minute */
    _DISK_STATE_MAX
};

/* Of a best-effort tenant's containers; see disk_guard.h. */
enum disk_freeze { DISK_FREEZE_NONE, DISK_FREEZE_FROZEN, DISK_FREEZE_STOPPED, _DISK_FREEZE_MAX };

struct disk_worker;

struct tenant_disk {
    enum disk_kind kind;
    enum disk_state state;
    char why[MESSAGE_MAX]; /* what is wrong, or why it is no better kind; "" */
    struct disk_worker *worker;
    bool again;            /* the configuration changed while it was at work */
    bool retry;            /* mounted, but not as large as configured */
    uint64_t due_us;       /* of the next attempt, or of the next trim */
    int64_t mounted_at_us; /* CLOCK_REALTIME: we mounted it; what was started before looks below it. 0 */
    unsigned restarted;    /* a bit for each part of the tenant that was restarted for it */
    struct disk_sample sample;
    bool have_sample, full, nearly_full;
    uint64_t full_total; /* how often it became full */

    /* best-effort only */
    enum disk_freeze freeze;
    uint64_t freeze_us;
    uint64_t growth; /* bytes between the last two counts */
    bool counted, over;
};

int disk_driver_start(struct manager *m);
void disk_driver_stop(struct manager *m);

/* A tenant comes, has another configuration, goes. What is mounted stays mounted. */
int disk_driver_add(struct tenant *t);
void disk_driver_apply(struct tenant *t);
void disk_driver_forget(struct tenant *t);

/* 1: what lives on the tenant's disk may be started. 0: not yet. -EPERM: refused, and *ret_why (may be NULL)
 * says why; it is the tenant's as long as nothing is called. */
int disk_driver_ready(const struct tenant *t, const char **ret_why);

/* A fresh inspect of a container: one that runs on what lies below its disk is restarted. */
void disk_driver_inspected(struct component *c);

/* "image", "own file system", "best-effort", "none". */
const char *disk_driver_level(const struct tenant *t);
