/* disk_image_make.c: what changes an image: making, checking and growing it. Mounts nothing. Blocks. */
#include "limits/disk_image_internal.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/disk.h"
#include "limits/disk_loop.h"
#include "limits/disk_run.h"

#define BLOCK 4096

/* ---------------------------------------------------------------- room */

/* An image that was trimmed has holes; its tenant may fill them again at any time. */
static uint64_t promised(const char *dir)
{
    DIR *h = opendir(dir);
    uint64_t sum = 0;
    struct dirent *d;

    while (h && (d = readdir(h))) {
        struct stat st;
        uint64_t used;

        if (d->d_name[0] == '.' || fstatat(dirfd(h), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        used = (uint64_t)st.st_blocks * 512;
        sum += (uint64_t)st.st_size > used ? (uint64_t)st.st_size - used : 0;
    }
    if (h)
        (void)closedir(h);
    return sum;
}

int disk_image_room(const struct disk_image_want *w, uint64_t bytes, struct err *e)
{
    uint64_t held = promised(w->dir) + w->reserve_bytes;
    char need[16], have[16];
    struct disk_sample s;
    int r = disk_read(w->dir, &s);

    if (r < 0)
        return err_set(e, r, "%s: %s", w->dir, strerror(-r));
    if (s.free_bytes >= held && s.free_bytes - held >= bytes)
        return 0;
    str_format_size(need, sizeof(need), bytes);
    str_format_size(have, sizeof(have), s.free_bytes > held ? s.free_bytes - held : 0);
    return err_set(e, -ENOSPC,
        "%s has no room for %s more: %s are left beside disk_reserve and what other images may still fill",
        w->dir, need, have);
}

static int allocate(int fd, uint64_t from, uint64_t bytes, const char *path, struct err *e)
{
    if (fallocate(fd, 0, (off_t)from, (off_t)(bytes - from)) >= 0)
        return 0;
    if (errno == EOPNOTSUPP)
        return err_set(e, -EOPNOTSUPP, "%s: this file system cannot allocate a file ahead", path);
    return err_set(e, -errno, "%s: fallocate: %m", path);
}

/* ---------------------------------------------------------------- making */

static int make_fs(const struct disk_image_want *w, char *path, const struct stat *root, struct err *e)
{
    static char quiet[] = "-q", force[] = "-F", block[] = "-b4096", none_kept[] = "-m0",
                errors[] = "-eremount-ro";
    char *const fixed[] = {quiet, force, block, none_kept, errors};
    const char *program = disk_program("mkfs.ext4");
    char owner[96], inodes[24], text[128];
    char *argv[ARRAY_SIZE(fixed) + 5] = {0};
    size_t n = 0;
    int r;

    if (!program || !disk_program("e2fsck") || !disk_program("resize2fs"))
        return err_set(e, -EOPNOTSUPP, "mkfs.ext4, e2fsck or resize2fs is missing (install e2fsprogs)");
    /* nodiscard: mkfs would punch out what was allocated a moment ago. What was allocated reads as zeros; the
     * kernel, asked to zero the inode tables later, would punch holes too. */
    (void)snprintf(owner, sizeof(owner), "-Enodiscard,assume_storage_prezeroed=1,root_owner=%u:%u",
        root->st_uid, root->st_gid);
    (void)snprintf(inodes, sizeof(inodes), "-N%" PRIu64, w->inodes);
    argv[n++] = (char *)(uintptr_t)program;
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        argv[n++] = fixed[i];
    argv[n++] = owner;
    if (w->inodes)
        argv[n++] = inodes;
    argv[n] = path;
    r = disk_run(argv, text, sizeof(text));
    if (r < 0)
        return err_set(e, r, "%s: %s", program, strerror(-r));
    return r == 0 ? 0 : err_set(e, -EIO, "%s %s: exit code %d: %s", program, path, r, text);
}

static int sync_dir(const char *dir)
{
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int fill(
    const struct disk_image_want *w, char *temp, const char *image, const struct stat *root, struct err *e)
{
    _cleanup_close_ int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    uint64_t bytes = w->bytes - w->bytes % BLOCK;
    int r;

    if (fd < 0)
        return err_set(e, -errno, "%s: %m", temp);
    TRY(allocate(fd, 0, bytes, temp, e));
    TRY(make_fs(w, temp, root, e));
    if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
        return err_set(e, -errno, "%s: %m", temp);
    /* Complete, and on the disk: from here on it is the tenant's image, and nothing removes it. */
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, image, RENAME_NOREPLACE) < 0)
        return err_set(e, -errno, "%s: rename: %m", image);
    r = sync_dir(w->dir);
    return r < 0 ? err_set(e, r, "%s: fsync: %s", w->dir, strerror(-r)) : 0;
}

int disk_image_make(
    const struct disk_image_want *w, const char *image, const struct stat *root, struct err *e)
{
    char temp[4096];
    int r;

    if ((size_t)snprintf(temp, sizeof(temp), "%s/.%s.img.new", w->dir, w->slug) >= sizeof(temp))
        return err_set(e, -ENAMETOOLONG, "%s: the name is too long", w->dir);
    (void)unlink(temp); /* of a making that did not end */
    TRY(disk_image_room(w, w->bytes, e));
    r = fill(w, temp, image, root, e);
    if (r < 0)
        (void)unlink(temp);
    return r;
}

/* ---------------------------------------------------------------- checking */

int disk_image_check(const char *image, enum disk_image_check *ret, struct err *e)
{
    const char *program = disk_program("e2fsck");
    char text[160];
    char *argv[] = {(char *)(uintptr_t)program, (char[]){"-p"}, (char *)(uintptr_t)image, NULL};
    int r;

    if (!program)
        return err_set(e, -EOPNOTSUPP, "e2fsck is missing (install e2fsprogs)");
    r = disk_run(argv, text, sizeof(text));
    if (r < 0)
        return err_set(e, r, "%s: %s", program, strerror(-r));
    /* 1 and 2: errors corrected (2: reboot, if it were a mounted one). 4 and up: left as they are. */
    if (r > 3)
        return err_set(e, -EUCLEAN,
            "%s is damaged and was left as it is (e2fsck -p: %d, %s); copy it, then run e2fsck -f %s", image,
            r, text, image);
    *ret = r == 0 ? DISK_IMAGE_CLEAN : DISK_IMAGE_REPAIRED;
    return 0;
}

/* ---------------------------------------------------------------- growing */

/* The size that the superblock tells: a crash may have come between the file's growth and its own. */
static int fs_bytes(int fd, uint64_t *ret)
{
    unsigned char sb[1024];
    uint32_t lo, hi, shift, incompat;
    uint16_t magic;

    if (pread(fd, sb, sizeof(sb), 1024) != (ssize_t)sizeof(sb))
        return -EIO;
    memcpy(&lo, sb + 0x4, 4);
    memcpy(&shift, sb + 0x18, 4);
    memcpy(&magic, sb + 0x38, 2);
    memcpy(&incompat, sb + 0x60, 4);
    memcpy(&hi, sb + 0x150, 4);
    if (le16toh(magic) != 0xef53 || le32toh(shift) > 6)
        return -EINVAL;
    *ret = (((le32toh(incompat) & 0x80 ? (uint64_t)le32toh(hi) : 0) << 32) + le32toh(lo))
           << (10 + le32toh(shift));
    return 0;
}

static int resize(unsigned number, struct err *e)
{
    const char *program = disk_program("resize2fs");
    char device[DISK_LOOP_PATH], text[160];
    char *argv[] = {(char *)(uintptr_t)program, device, NULL};
    int r;

    disk_loop_path(device, number);
    if (!program)
        return err_set(e, -EOPNOTSUPP, "resize2fs is missing (install e2fsprogs)");
    r = disk_run(argv, text, sizeof(text));
    if (r < 0)
        return err_set(e, r, "%s: %s", program, strerror(-r));
    return r == 0 ? 0 : err_set(e, -EIO, "resize2fs %s: exit code %d: %s", device, r, text);
}

int disk_image_grow(
    const struct disk_image_want *w, int fd, unsigned number, struct disk_image_done *ret, struct err *e)
{
    uint64_t want = w->bytes - w->bytes % BLOCK, fs = 0;
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s.img: %m", w->slug);
    ret->bytes = (uint64_t)st.st_size;
    ret->shrink_refused = want > 0 && want < ret->bytes;
    if (want > ret->bytes) {
        TRY(disk_image_room(w, want - ret->bytes, e));
        TRY(allocate(fd, ret->bytes, want, w->slug, e));
        if (fsync(fd) < 0)
            return err_set(e, -errno, "%s.img: fsync: %m", w->slug);
        ret->bytes = want;
    }
    r = fs_bytes(fd, &fs);
    if (r < 0)
        return err_set(e, r, "%s.img: no ext4 superblock: %s", w->slug, strerror(-r));
    if (fs + BLOCK > ret->bytes)
        return 0;
    r = disk_loop_grown(number);
    if (r < 0)
        return err_set(e, r, "/dev/loop%u: LOOP_SET_CAPACITY: %s", number, strerror(-r));
    TRY(resize(number, e));
    ret->grown = true;
    return 0;
}
