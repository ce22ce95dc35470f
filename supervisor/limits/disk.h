/* disk.h: how full the file system of a data root is, and which level of disk limit this host can give.
 * Detection only: sets no quota, makes no image. */
#pragma once

#include "base/defs.h"

struct disk_sample {
    uint64_t limit_bytes, used_bytes, free_bytes; /* free: to a process without root's reserve */
    uint64_t limit_inodes, used_inodes;           /* 0: the file system does not count them */
};

/* statvfs(3); blocks as long as the file system does. -errno. */
int disk_read(const char *path, struct disk_sample *ret);

/* True when less than `reserve_bytes` or less than 5 % of the inodes is left: level C's alarm. */
bool disk_below_reserve(const struct disk_sample *s, uint64_t reserve_bytes);

enum disk_level {
    DISK_NONE, /* the path cannot be read */
    DISK_C,    /* statvfs against a reserve */
    DISK_B,    /* project quota */
    DISK_A,    /* an ext4 image per tenant on a loop device */
    _DISK_LEVEL_MAX
};

struct disk_host {
    char fs_type[32], mount_point[256], source[256];
    bool project_quota; /* mounted with prjquota (xfs, ext4) */
    bool loop;          /* loop devices exist */
    bool mkfs;          /* mkfs.ext4 exists */
    enum disk_level best;
    char why[256]; /* why not a better one; "" at A */
};

/* What is possible for `path` (a data root; the nearest existing parent is looked at). `sysroot` NULL means
 * "". -ENOENT without a mount table. */
int disk_host_detect(const char *sysroot, const char *path, struct disk_host *ret);

/* Finds the mount that holds `path` in the text of /proc/self/mountinfo: the last of the longest match. PURE.
 * -ENOENT. */
int disk_find_mount(const char *mountinfo, const char *path, struct disk_host *ret);

const char *disk_level_to_string(enum disk_level l); /* "none", "C", "B", "A" */
