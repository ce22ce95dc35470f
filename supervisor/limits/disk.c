/* disk.c: see disk.h. Sets nothing. */
#include "limits/disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/mountinfo.h"

#define MOUNTINFO_MAX (4 * 1024 * 1024)

int disk_read(const char *path, struct disk_sample *ret)
{
    struct statvfs v;

    if (statvfs(path, &v) < 0)
        return -errno;
    *ret = (struct disk_sample){
        .limit_bytes = (uint64_t)v.f_blocks * v.f_frsize,
        .used_bytes = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize,
        .free_bytes = (uint64_t)v.f_bavail * v.f_frsize,
        .limit_inodes = (uint64_t)v.f_files,
        .used_inodes = (uint64_t)(v.f_files - v.f_ffree),
    };
    return 0;
}

bool disk_below_reserve(const struct disk_sample *s, uint64_t reserve_bytes)
{
    return s->free_bytes < reserve_bytes ||
           (s->limit_inodes && s->limit_inodes - s->used_inodes < s->limit_inodes / 20);
}

int disk_find_mount(const char *mountinfo, const char *path, struct disk_host *ret)
{
    struct mountinfo m;
    size_t best = 0;

    while (mountinfo_next(&mountinfo, &m) > 0) {
        size_t n = strlen(m.mount_point);

        /* a later line covers an earlier one at the same place */
        if (n < best || !str_path_covers(m.mount_point, path))
            continue;
        best = n;
        (void)snprintf(ret->mount_point, sizeof(ret->mount_point), "%s", m.mount_point);
        (void)snprintf(ret->fs_type, sizeof(ret->fs_type), "%s", m.fs_type);
        (void)snprintf(ret->source, sizeof(ret->source), "%s", m.source);
        ret->project_quota = mountinfo_has_option(m.super_options, "prjquota") ||
                             mountinfo_has_option(m.super_options, "pquota");
    }
    return best ? 0 : -ENOENT;
}

static bool host_has(const char *sysroot, const char *path)
{
    char full[512];
    struct stat st;

    return (size_t)snprintf(full, sizeof(full), "%s%s", sysroot, path) < sizeof(full) && stat(full, &st) == 0;
}

static void decide(struct disk_host *d)
{
    d->best = DISK_C;
    if (d->loop && d->mkfs) {
        d->best = DISK_A;
        return;
    }
    if (d->project_quota)
        d->best = DISK_B;
    (void)snprintf(d->why, sizeof(d->why), "%s%s%s", d->loop ? "" : "no loop devices (load the module loop)",
        d->loop || d->mkfs ? "" : "; ", d->mkfs ? "" : "mkfs.ext4 is missing (install e2fsprogs)");
}

int disk_host_detect(const char *sysroot, const char *path, struct disk_host *ret)
{
    struct disk_host d = {0};
    _cleanup_free_ char *text = NULL;
    char table[512];
    int r;

    if (!sysroot)
        sysroot = "";
    if ((size_t)snprintf(table, sizeof(table), "%s/proc/self/mountinfo", sysroot) >= sizeof(table))
        return -ENAMETOOLONG;
    r = fd_read_file(table, MOUNTINFO_MAX, &text, NULL);
    if (r < 0)
        return r;
    r = disk_find_mount(text, path, &d);
    if (r < 0)
        return r;
    d.loop = host_has(sysroot, "/dev/loop-control");
    d.mkfs = host_has(sysroot, "/sbin/mkfs.ext4") || host_has(sysroot, "/usr/sbin/mkfs.ext4");
    decide(&d);
    *ret = d;
    return 0;
}

const char *disk_level_to_string(enum disk_level l)
{
    static const char *const names[_DISK_LEVEL_MAX] = {
        [DISK_NONE] = "none", [DISK_C] = "C", [DISK_B] = "B", [DISK_A] = "A"};

    return l < _DISK_LEVEL_MAX ? names[l] : "unknown";
}
