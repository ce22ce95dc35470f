/* fixture_dir.h: a throw-away directory that a test fills with files, in place of /proc and /sys. */
#pragma once

#include <criterion/criterion.h>

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

static inline void fixture_new(char *ret_dir, size_t n)
{
    (void)snprintf(ret_dir, n, "/tmp/clawsup-test-XXXXXX");
    cr_assert(mkdtemp(ret_dir) != NULL, "%s", strerror(errno));
}

static inline void fixture_mkdir(const char *dir, const char *path)
{
    char full[PATH_MAX];

    (void)snprintf(full, sizeof(full), "%s%s", dir, path);
    for (char *p = strchr(full + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        cr_assert(mkdir(full, 0755) == 0 || errno == EEXIST, "%s", full);
        *p = '/';
    }
    cr_assert(mkdir(full, 0755) == 0 || errno == EEXIST, "%s", full);
}

/* Writes DIR/path with its parents. */
static inline void fixture_write(const char *dir, const char *path, const char *text)
{
    char full[PATH_MAX], parent[PATH_MAX];

    (void)snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    if (parent[0])
        fixture_mkdir(dir, parent);
    (void)snprintf(full, sizeof(full), "%s%s", dir, path);
    cr_assert(fd_write_atomic(full, text, strlen(text), 0644) >= 0, "%s", full);
}

static inline void fixture_expect_file(const char *dir, const char *path, const char *want)
{
    _cleanup_free_ char *text = NULL;
    char full[PATH_MAX];

    (void)snprintf(full, sizeof(full), "%s%s", dir, path);
    cr_assert(fd_read_file(full, 65536, &text, NULL) >= 0, "%s", full);
    cr_expect_str_eq(text, want, "%s: %s", path, text);
}

static inline int fixture_unlink(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static inline void fixture_free(const char *dir)
{
    (void)nftw(dir, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}
