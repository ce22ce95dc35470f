/* disk_skeleton.h: a directory that holds nothing but directories holds no data: it may be mounted on, and
 * its shape is repeated in what is mounted. Follows no symbolic link. */
#pragma once

#include "base/defs.h"

/* 1: nothing but directories below `fd`; 0: something else, or more of them than anybody makes by hand;
 * -errno. */
int disk_skeleton_is_bare(int fd);

/* Makes the directories below `from` in `to`, with their owners and modes; -errno. `from` is bare. */
int disk_skeleton_copy(int from, int to);
