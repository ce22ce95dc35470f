/* disk_usage.h: what a directory tree holds, counted file by file. Blocks for as long as the tree is large:
 * for a worker process only, never on the loop. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

struct disk_usage {
    uint64_t bytes, inodes;
    bool partial; /* there was more than anybody counts */
};

/* Follows no symbolic link and leaves other file systems out; what vanishes meanwhile is not counted. -errno.
 */
int disk_usage_of(const char *path, struct disk_usage *ret, struct err *e);
