/* disk_image_internal.h: between disk_image.c and disk_image_make.c. */
#pragma once

#include <sys/stat.h>

#include "limits/disk_image.h"

/* Blocks. Makes the image, complete, under its name; the root directory in it belongs to the owner of the
 * data root that `root` describes. */
int disk_image_make(
    const struct disk_image_want *w, const char *image, const struct stat *root, struct err *e);

/* Blocks. e2fsck -p on an image that nothing uses. */
int disk_image_check(const char *image, enum disk_image_check *ret, struct err *e);

/* Blocks. Makes file and file system as large as wanted, while it is mounted from /dev/loopNUMBER. */
int disk_image_grow(
    const struct disk_image_want *w, int fd, unsigned number, struct disk_image_done *ret, struct err *e);

/* 0 if `bytes` more fit into the file system of the images and leave the reserve: what was trimmed off other
 * images stays theirs. -ENOSPC. */
int disk_image_room(const struct disk_image_want *w, uint64_t bytes, struct err *e);
