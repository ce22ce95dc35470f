/* disk_guard.h: level C, the last resort of a host that can cap nobody: before disk_reserve is gone, the
 * tenant that grows fastest is frozen, and stopped if that is not enough. Best effort: between two looks
 * anybody can write. Only tenants whose limits.disk is best-effort are touched. */
#pragma once

#include "daemon/disk_driver.h"

/* What was frozen before clawsupd was restarted still is. */
void disk_guard_restore(struct tenant *t);

/* Looks at every file system that holds a best-effort tenant; freezes, stops or thaws. */
void disk_guard_tick(struct manager *m);

/* A fresh count of the tenant's files. */
void disk_guard_counted(struct tenant *t, uint64_t bytes, uint64_t inodes);

/* When the tenant's files are to be counted again: soon while space is short. */
uint64_t disk_guard_count_delay(const struct tenant *t);

/* The tenant goes, or its disk is capped in another way by now: nothing of it stays frozen. */
void disk_guard_release(struct tenant *t);
