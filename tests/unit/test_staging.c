/* test_staging.c: bind sources staged for the engine: what a link cannot do, and a path that must come back.
 * Mounts in a mount namespace of its own; needs root. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "daemon/staging.h"

static char home[] = "/tmp/clawtest-staging-XXXXXX";
static char workspace[64], project[80], other[80], runtime[64];
static struct config config;
static struct config_tenant tenant;

static void make_dirs(void)
{
    char text[128];
    static const char *const below[] = {"", "/.supervisor", "/.supervisor/staging"};

    (void)snprintf(workspace, sizeof(workspace), "%s/workspace", home);
    (void)snprintf(project, sizeof(project), "%s/project", workspace);
    (void)snprintf(other, sizeof(other), "%s/other", workspace);
    (void)snprintf(runtime, sizeof(runtime), "%s/run", home);
    cr_assert_eq(mkdir(workspace, 0755), 0);
    cr_assert_eq(mkdir(project, 0755), 0);
    cr_assert_eq(mkdir(other, 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
        (void)snprintf(text, sizeof(text), "%s%s", runtime, below[i]);
        cr_assert_eq(mkdir(text, 0755), 0);
    }
}

static void setup(void)
{
    if (geteuid() != 0)
        cr_skip_test("needs root");
    cr_assert_not_null(mkdtemp(home));
    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    make_dirs();
    config.runtime_dir = runtime;
    tenant.policy = policy_new("a");
    cr_assert_not_null(tenant.policy);
    (void)snprintf(tenant.slug, sizeof(tenant.slug), "a");
    cr_assert_geq(policy_list_add(&tenant.policy->bind_mount_from, workspace), 0);
}

static void teardown(void)
{
    char text[128];

    if (geteuid() != 0)
        return;
    tenant.policy = policy_free(tenant.policy);
    /* The mounts go with the namespace; the tree is removed by hand, and never through a mount. */
    (void)staging_sweep(&config, "a", NULL, 0);
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text), "rm -rf --one-file-system %s", home);
        cr_expect_eq(system(text), 0); /* NOLINT(cert-env33-c): a fixed command on our own directory */
    }
}

TestSuite(staging, .init = setup, .fini = teardown);

static ino_t inode(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st.st_ino;
}

Test(staging, shows_the_very_directory)
{
    _cleanup_free_ char *path = NULL, *second = NULL;
    char moved[96];
    struct err e = {0};

    cr_assert_eq(staging_add(&config, &tenant, project, NULL, &path, &e), 0, "%s", e.msg);
    cr_expect_eq(inode(path), inode(project));
    struct statvfs vfs;
    cr_assert_eq(statvfs(path, &vfs), 0);
    cr_expect_eq(vfs.f_flag & (ST_NODEV | ST_NOSUID | ST_RDONLY), (unsigned long)(ST_NODEV | ST_NOSUID));
    cr_assert_eq(staging_add(&config, &tenant, workspace, NULL, &second, &e), 0, "%s", e.msg);
    cr_expect_str_neq(path, second);
    /* The tenant renames it and puts a link in its place: what is staged stays. */
    (void)snprintf(moved, sizeof(moved), "%s/moved", workspace);
    cr_assert_eq(rename(project, moved), 0);
    cr_assert_eq(symlink("/", project), 0);
    cr_expect_eq(inode(path), inode(moved));
    cr_expect_eq(staging_remove(&config, "a", path, &e), 0, "%s", e.msg);
    cr_expect_eq(staging_remove(&config, "a", second, &e), 0, "%s", e.msg);
    cr_expect_eq(access(path, F_OK), -1);
    cr_expect_eq(access(moved, F_OK), 0);
}

Test(staging, refuses)
{
    _cleanup_free_ char *path = NULL;
    char text[128];
    struct err e = {0};

    (void)snprintf(text, sizeof(text), "%s/link", workspace);
    cr_assert_eq(symlink("/etc", text), 0);
    cr_expect_eq(staging_add(&config, &tenant, text, NULL, &path, &e), -EACCES);
    (void)snprintf(text, sizeof(text), "%s/link/ssl", workspace);
    cr_expect_eq(staging_add(&config, &tenant, text, NULL, &path, &e), -EACCES);
    (void)snprintf(text, sizeof(text), "%s/absent", workspace);
    cr_expect_eq(staging_add(&config, &tenant, text, NULL, &path, &e), -ENOENT);
    cr_expect_eq(access(text, F_OK), -1, "it was created");
    cr_expect_eq(staging_add(&config, &tenant, "/etc", NULL, &path, &e), -EACCES);
    (void)snprintf(text, sizeof(text), "%s/../other", workspace);
    cr_expect_eq(staging_add(&config, &tenant, text, NULL, &path, &e), -EACCES);
    (void)snprintf(text, sizeof(text), "%s/fifo", workspace);
    cr_assert_eq(mkfifo(text, 0600), 0);
    cr_expect_eq(staging_add(&config, &tenant, text, NULL, &path, &e), -EACCES);
    cr_expect_null(path);
}

Test(staging, comes_back_at_the_same_path)
{
    _cleanup_free_ char *path = NULL, *again = NULL, *third = NULL;
    struct err e = {0};

    cr_assert_eq(staging_add(&config, &tenant, project, NULL, &path, &e), 0, "%s", e.msg);
    cr_assert_eq(staging_add(&config, &tenant, project, path, &again, &e), 0, "%s", e.msg);
    cr_expect_str_eq(again, path, "it was there");
    free(again);
    again = NULL;
    cr_expect_eq(staging_add(&config, &tenant, other, path, &again, &e), -EEXIST, "another source is there");
    cr_assert_eq(umount2(path, MNT_DETACH), 0); /* as a crash would leave it */
    cr_assert_eq(staging_add(&config, &tenant, project, path, &again, &e), 0, "%s", e.msg);
    cr_expect_eq(inode(path), inode(project));
    cr_assert_eq(staging_remove(&config, "a", path, &e), 0, "%s", e.msg); /* as a reboot would */
    cr_assert_eq(staging_add(&config, &tenant, project, path, &third, &e), 0, "%s", e.msg);
    cr_expect_str_eq(third, path);
    cr_expect_eq(inode(path), inode(project));
    cr_expect_eq(staging_remove(&config, "a", path, &e), 0, "%s", e.msg);
}

Test(staging, only_below_its_own_directory)
{
    _cleanup_free_ char *path = NULL;
    static const char *const bad[] = {"/etc", "", "/run/clawsup/.supervisor/staging/b/1"};
    char text[160];
    struct err e = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_expect_eq(staging_remove(&config, "a", bad[i], &e), -EINVAL, "%s", bad[i]);
        cr_expect_eq(staging_add(&config, &tenant, project, bad[i], &path, &e), -EINVAL, "%s", bad[i]);
    }
    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/a/../b", runtime);
    cr_expect_eq(staging_remove(&config, "a", text, &e), -EINVAL);
    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/ab/1", runtime);
    cr_expect_eq(staging_remove(&config, "a", text, &e), -EINVAL);
    cr_expect_null(path);
}

Test(staging, has_an_end)
{
    char *paths[200];
    char text[160];
    struct err e = {0};
    size_t n = 0;
    int r = 0;

    tenant.policy->max_containers = 1; /* 32 mounts, and 64 that may be on their way */
    while (r >= 0 && n < ARRAY_SIZE(paths)) {
        r = staging_add(&config, &tenant, project, NULL, &paths[n], &e);
        n += r >= 0;
    }
    cr_expect_eq(r, -ENOSPC);
    cr_expect_eq(n, 96);
    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/a/7", runtime);
    cr_expect_eq(
        staging_add(&config, &tenant, project, text, &paths[n], &e), -ENOSPC, "nor at a chosen path");
    cr_assert_eq(staging_remove(&config, "a", paths[0], &e), 0);
    free(paths[0]);
    cr_expect_eq(staging_add(&config, &tenant, project, NULL, &paths[0], &e), 0, "%s", e.msg);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(staging_remove(&config, "a", paths[i], &e), 0, "%s", e.msg);
        free(paths[i]);
    }
}

Test(staging, sweeps_what_is_old_and_unused_however_busy_the_tenant_is)
{
    _cleanup_free_ char *fresh = NULL, *old = NULL, *used = NULL;
    char text[160], kept[160];
    struct err e = {0};

    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/a/1000", runtime);
    (void)snprintf(kept, sizeof(kept), "%s/.supervisor/staging/a/2000", runtime);
    cr_assert_eq(staging_add(&config, &tenant, project, text, &old, &e), 0, "%s", e.msg);
    cr_assert_eq(staging_add(&config, &tenant, project, kept, &used, &e), 0, "%s", e.msg);
    cr_assert_eq(staging_add(&config, &tenant, project, NULL, &fresh, &e), 0, "%s", e.msg);
    cr_expect_eq(staging_sweep(&config, "a", (char *[]){kept}, 1), 1);
    cr_expect_eq(access(old, F_OK), -1);
    cr_expect_eq(access(used, F_OK), 0);
    cr_expect_eq(access(fresh, F_OK), 0);
    cr_expect_eq(staging_remove(&config, "a", used, &e), 0);
    cr_expect_eq(staging_remove(&config, "a", fresh, &e), 0);
}

/* ---------------------------------------------------------------- a bind inside a bind */
static char *place(const char *staged, const char *rest)
{
    char *path = NULL;

    cr_assert_geq(asprintf(&path, "%s/%s", staged, rest), 0);
    return path;
}

Test(staging, nests_the_very_directory)
{
    _cleanup_free_ char *outer = NULL, *in = NULL, *deep = NULL, *host = NULL;
    struct err e = {0};

    /* As on a host with systemd: what is mounted in a copy of a shared mount would appear in the original. */
    cr_assert_eq(mount(home, home, NULL, MS_BIND, NULL), 0);
    cr_assert_eq(mount(NULL, home, NULL, MS_SHARED, NULL), 0);
    cr_assert_eq(staging_add(&config, &tenant, workspace, NULL, &outer, &e), 0, "%s", e.msg);
    in = place(outer, "project");
    cr_expect(staging_is_nested(&config, "a", in));
    cr_expect_not(staging_is_nested(&config, "a", outer));
    cr_expect_not(staging_is_nested(&config, "b", in));
    cr_assert_eq(staging_nest(&config, &tenant, other, in, true, &e), 0, "%s", e.msg);
    cr_expect_eq(inode(in), inode(other));
    cr_expect_neq(inode(project), inode(other), "it was mounted on the host's own directory too");
    cr_expect_eq(staging_nest(&config, &tenant, other, in, true, &e), 0, "in place: %s", e.msg);
    cr_expect_eq(staging_nest(&config, &tenant, workspace, in, true, &e), -EEXIST);
    host = place(in, "x");
    cr_expect_eq(mkdir(host, 0755), -1);
    cr_expect_eq(errno, EROFS);

    deep = place(outer, "made/of/parts"); /* missing: made, as the engine would */
    cr_assert_eq(staging_nest(&config, &tenant, project, deep, false, &e), 0, "%s", e.msg);
    cr_expect_eq(inode(deep), inode(project));
    cr_expect_eq(staging_remove(&config, "a", in, &e), 0, "it goes with its outer one");
    cr_expect_eq(inode(in), inode(other));
    cr_expect_eq(staging_remove(&config, "a", outer, &e), 0, "%s", e.msg);
    cr_expect_eq(access(outer, F_OK), -1);
    cr_assert_eq(umount2(home, MNT_DETACH), 0);
}

Test(staging, nests_files)
{
    _cleanup_free_ char *outer = NULL, *in = NULL, *new = NULL, *source = place(other, "f");
    struct err e = {0};

    cr_assert_eq(fd_write_atomic(source, "x", 1, 0644), 0);
    cr_assert_eq(staging_add(&config, &tenant, workspace, NULL, &outer, &e), 0, "%s", e.msg);
    in = place(outer, "project");
    cr_expect_eq(staging_nest(&config, &tenant, source, in, false, &e), -ENOTDIR, "a file on a directory");
    new = place(outer, "project/new");
    cr_assert_eq(staging_nest(&config, &tenant, source, new, false, &e), 0, "%s", e.msg);
    cr_expect_eq(inode(new), inode(source));
    cr_expect_eq(staging_remove(&config, "a", outer, &e), 0, "%s", e.msg);
}

Test(staging, nests_behind_no_link)
{
    _cleanup_free_ char *outer = NULL;
    static const char *const links[] = {"link", "link/null", "project/up", "project/up/x"};
    char text[128];
    struct err e = {0};

    (void)snprintf(text, sizeof(text), "%s/link", workspace);
    cr_assert_eq(symlink("/dev", text), 0);
    (void)snprintf(text, sizeof(text), "%s/up", project);
    cr_assert_eq(symlink("../other", text), 0);
    cr_assert_eq(staging_add(&config, &tenant, workspace, NULL, &outer, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        _cleanup_free_ char *path = place(outer, links[i]);
        cr_expect_eq(staging_nest(&config, &tenant, other, path, false, &e), -EACCES, "%s: %s", path, e.msg);
    }
    cr_expect_eq(staging_remove(&config, "a", outer, &e), 0, "%s", e.msg);
}

Test(staging, nests_only_in_what_is_staged_for_the_tenant)
{
    _cleanup_free_ char *outer = NULL, *in = NULL, *up = NULL;
    static const char *const bad[] = {"/etc/x", "", "x/y"};
    char text[160];
    struct err e = {0};

    cr_assert_eq(staging_add(&config, &tenant, workspace, NULL, &outer, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_eq(staging_nest(&config, &tenant, other, bad[i], false, &e), -EINVAL, "%s", bad[i]);
    up = place(outer, "../x");
    cr_expect_eq(staging_nest(&config, &tenant, other, up, false, &e), -EINVAL);
    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/a/77", runtime);
    cr_assert_eq(mkdir(text, 0700), 0);
    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/a/77/x", runtime);
    cr_expect_eq(staging_nest(&config, &tenant, other, text, false, &e), -EINVAL, "nothing is staged there");
    in = place(outer, "project");
    cr_expect_eq(staging_nest(&config, &tenant, "/etc", in, false, &e), -EACCES);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof(text), "%s/p%u", outer, i);
        cr_expect_eq(
            staging_nest(&config, &tenant, other, text, false, &e), i < 32 ? 0 : -ENOSPC, "%u: %s", i, e.msg);
    }
    cr_expect_eq(staging_remove(&config, "a", outer, &e), 0, "%s", e.msg);
    (void)snprintf(text, sizeof(text), "%s/.supervisor/staging/a/77", runtime);
    cr_expect_eq(staging_remove(&config, "a", text, &e), 0, "%s", e.msg);
}
