/* disk_image.h: level A: a tenant's disk is an ext4 image of a fixed size, mounted on its data root, so that
 * a full disk is the tenant's own. What has a "blocks" in its comment runs mkfs, e2fsck or resize2fs: for a
 * worker process only, never on the loop. Nothing here ever removes or shrinks an image. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

/* What e2fsck may have found in a file system that is fit for use. */
enum disk_image_check { DISK_IMAGE_CLEAN, DISK_IMAGE_REPAIRED, _DISK_IMAGE_CHECK_MAX };

struct disk_image_want {
    const char *dir;        /* of the images: root's own, mode 0700; made if only its last part is missing */
    const char *slug;       /* names the image: DIR/SLUG.img */
    const char *data_root;  /* where it is mounted */
    uint64_t bytes;         /* 0: the size it has; a new one is not made */
    uint64_t inodes;        /* of a new image; 0: mkfs.ext4's own choice */
    uint64_t reserve_bytes; /* must stay free in the file system of DIR */
};

struct disk_image_done {
    bool created, mounted, grown; /* mounted: by this call */
    bool shrink_refused;          /* `bytes` is below the image's size, which stays */
    enum disk_image_check check;
    uint64_t bytes; /* the image's size now */
};

/* -ENAMETOOLONG. */
int disk_image_path(const char *dir, const char *slug, char *out, size_t n);
bool disk_image_exists(const char *dir, const char *slug);

/* 1: the tenant's image is mounted on its data root. 0: it is not; -errno. Two ioctls. */
int disk_image_is_mounted(const char *dir, const char *slug, const char *data_root);

/* Blocks. Brings it about that the image is mounted on the data root, nodev and nosuid, and as large as
 * wanted: makes the image (under another name until it is complete), checks it, binds a loop device, mounts,
 * grows online. Does only what is missing, so it can be called again after any failure and any crash.
 *  -ENOTEMPTY  the data root has files that the mount would hide; nothing was changed
 *  -ENOSPC     the host's file system has no room for it
 *  -EOPNOTSUPP a program is missing, or the file system of DIR cannot allocate ahead
 *  -EBUSY      something else is mounted there, or somebody works on the image's device
 *  -EAGAIN     another process is at work on this image
 *  -EUCLEAN    e2fsck needs a person
 *  -ELOOP      a symbolic link in the way */
int disk_image_ensure(const struct disk_image_want *w, struct disk_image_done *ret, struct err *e);

/* Blocks. Gives freed blocks of the mounted image back to the host. Returns the bytes by *ret. */
int disk_image_trim(const char *data_root, uint64_t *ret, struct err *e);
