/* disk_loop.h: loop devices: which one shows a file, and a new one for it. A few ioctls each. */
#pragma once

#include <sys/stat.h>

#include "base/defs.h"
#include "base/err.h"

#define DISK_LOOP_PATH 32 /* "/dev/loop1048575" */

/* The number of the loop device whose backing file is the one that `st` describes; -ENOENT: none, -errno. */
int disk_loop_find(const struct stat *st);

/* True if the block device `dev` is a loop device with that backing file. */
bool disk_loop_is(dev_t dev, const struct stat *st);

/* Binds a free loop device to `fd` (opened for writing): direct I/O where the file system can do it, released
 * by itself when its last user is gone. Returns a descriptor of the device, which keeps it until the mount
 * does; its number in *ret. */
int disk_loop_bind(int fd, unsigned *ret, struct err *e);

/* Tells the device that its file has grown. -errno. */
int disk_loop_grown(unsigned number);

void disk_loop_path(char out[static DISK_LOOP_PATH], unsigned number);
