/* disk_watch.h: what the tenants' disks hold, and when one of them is full. */
#pragma once

#include "daemon/manager.h"

/* Measures the tenant's disk (statvfs of a mounted image: the kernel has the numbers in memory) and tells of
 * a disk that became full, nearly full, or has room again. */
void disk_watch_tenant(struct tenant *t);
