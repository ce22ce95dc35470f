/* cgroup_tenant.c: the tenants' cgroups where there is no systemd to ask (v2, cgroupfs driver). The only file
 * that writes to a cgroup tree, and only below ROOT/clawsup; the kernel's rule holds that a cgroup with
 * children holds no processes, which the engine keeps by making its own below CgroupParent. */
#include "limits/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"

#define TENANT_ROOT "/clawsup"
#define CONTROLLERS "+cpu +memory +pids"
#define PERIOD_US UINT64_C(100000)

void cgroup_tenant_parent(char *out, size_t n, const char *slug)
{
    (void)snprintf(out, n, TENANT_ROOT "/%s", slug);
}

static int tenant_dir(const struct limits_host *h, const char *slug, char *out, size_t n)
{
    int len;

    if (h->cgroup != LIMITS_CGROUP_V2)
        return -EOPNOTSUPP;
    if (slug && !str_is_slug(slug))
        return -EINVAL;
    len = snprintf(
        out, n, "%s%s" TENANT_ROOT "%s%s", h->sysroot, h->cgroup_root, slug ? "/" : "", slug ? slug : "");
    return len >= 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
}

static int write_file(const char *dir, const char *name, const char *text)
{
    _cleanup_close_ int fd = -EBADF;
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    return fd_write_all(fd, text, strlen(text));
}

static int write_limit(const char *dir, const char *name, uint64_t value)
{
    char text[32];

    if (value)
        (void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);
    else
        (void)snprintf(text, sizeof(text), "max\n");
    return write_file(dir, name, text);
}

static int write_limits(const char *dir, const struct limits_want *w)
{
    char text[64];
    int r;

    (void)snprintf(text, sizeof(text), "max %llu\n", (unsigned long long)PERIOD_US);
    if (w->nano_cpus)
        (void)snprintf(text, sizeof(text), "%llu %llu\n",
            (unsigned long long)MAX(w->nano_cpus / 10000, 1000U), (unsigned long long)PERIOD_US);
    r = write_file(dir, "cpu.max", text);
    if (r < 0)
        return r;
    (void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(w->cpu_weight ? w->cpu_weight : 100));
    r = write_file(dir, "cpu.weight", text);
    if (r < 0)
        return r;
    r = write_limit(dir, "memory.high", limits_memory_high(w->memory_bytes));
    if (r < 0)
        return r;
    r = write_limit(dir, "memory.max", w->memory_bytes);
    if (r < 0)
        return r;
    /* without swap accounting the file is not there */
    r = write_file(dir, "memory.swap.max", w->memory_bytes ? "0\n" : "max\n");
    if (r < 0 && r != -ENOENT)
        return r;
    return write_limit(dir, "pids.max", w->pids);
}

static int make_dir(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int cgroup_tenant_apply(const struct limits_host *h, const char *slug, const struct limits_want *w)
{
    char root[PATH_MAX], parent[PATH_MAX], dir[PATH_MAX];
    int r;

    r = tenant_dir(h, slug, dir, sizeof(dir));
    if (r < 0)
        return r;
    (void)tenant_dir(h, NULL, parent, sizeof(parent));
    (void)snprintf(root, sizeof(root), "%s%s", h->sysroot, h->cgroup_root);
    r = write_file(root, "cgroup.subtree_control", CONTROLLERS);
    if (r >= 0)
        r = make_dir(parent);
    if (r >= 0 && slug) {
        r = write_file(parent, "cgroup.subtree_control", CONTROLLERS);
        if (r >= 0)
            r = make_dir(dir);
    }
    return r < 0 ? r : write_limits(dir, w);
}

int cgroup_tenant_remove(const struct limits_host *h, const char *slug)
{
    char dir[PATH_MAX];
    int r = tenant_dir(h, slug, dir, sizeof(dir));

    if (r < 0)
        return r;
    return rmdir(dir) < 0 && errno != ENOENT ? -errno : 0;
}
