/* preflight.c: see preflight.h. Looks and refuses; changes nothing. */
#include "proxy/preflight.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "base/gid.h"
#include "base/log.h"
#include "base/str.h"

int preflight_standard_fds(struct err *e)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest free number is the one that is missing. */
        if (open("/dev/null", O_RDWR) != fd)
            return err_set(e, -EBADF, "descriptor %d is closed, and /dev/null cannot stand in for it", fd);
    }
    return 0;
}

static bool is_member(gid_t gid)
{
    gid_t groups[1024];
    int n = getgroups(ARRAY_SIZE(groups), groups);

    for (int i = 0; i < n; i++)
        if (groups[i] == gid)
            return true;
    return getegid() == gid;
}

int preflight_engine_group(const struct settings *s, gid_t *ret, struct err *e)
{
    int r = gid_resolve(s->docker_gid, s->engine_socket, s->allow_root_gid, ret, e);

    if (r == -ENOENT)
        log_warning("%s; going on, it may appear later", e->msg);
    else if (r < 0)
        return r;
    if (geteuid() != 0 && !is_member(*ret))
        return err_set(e, -EPERM,
            "uid %u is not in group %u, which opens %s; add it: group_add: [\"%u\"] in Compose, "
            "supplementalGroups: [%u] in Kubernetes",
            (unsigned)geteuid(), (unsigned)*ret, s->engine_socket, (unsigned)*ret, (unsigned)*ret);
    return 0;
}

/* 0, or -ENOENT when it is not there. */
static int check_root(const char *root, struct err *e)
{
    char path[PATH_MAX];
    size_t n = strlen(root);
    struct stat st;

    if (n >= sizeof(path))
        return err_set(e, -EINVAL, "ALLOW_BIND_MOUNT_FROM: %.64s...: too long", root);
    memcpy(path, root, n + 1);
    if (lstat(path, &st) < 0)
        return -ENOENT;
    if (S_ISLNK(st.st_mode))
        return err_set(
            e, -EPERM, "ALLOW_BIND_MOUNT_FROM: %s is a symbolic link; name what it points to", root);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -EPERM, "ALLOW_BIND_MOUNT_FROM: %s is not a directory", root);
    while (strcmp(path, "/") != 0) {
        char *slash = strrchr(path, '/');

        slash[slash == path ? 1 : 0] = '\0';
        if (lstat(path, &st) < 0)
            return -ENOENT;
        if (S_ISLNK(st.st_mode))
            return err_set(e, -EPERM,
                "ALLOW_BIND_MOUNT_FROM: %s: %s is a symbolic link; name the path behind it", root, path);
        if (st.st_uid != 0 || ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX)))
            return err_set(e, -EPERM,
                "ALLOW_BIND_MOUNT_FROM: %s: %s can be written by others than root (uid %u, mode %04o), who "
                "could "
                "put a link in the way; chown root and chmod go-w it, or name a directory elsewhere",
                root, path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777U);
    }
    return 0;
}

int preflight_bind_roots(const struct settings *s, struct err *e)
{
    for (size_t i = 0; i < s->policy->bind_mount_from.n; i++) {
        const char *root = s->policy->bind_mount_from.items[i];
        int r = check_root(root, e);

        if (r == -ENOENT)
            log_info(
                "%s is not in this mount namespace: that only root can write above it is for the host to "
                "see to",
                root);
        else if (r < 0)
            return r;
    }
    return 0;
}

static bool is_loopback(const char *address)
{
    struct in6_addr a6;
    struct in_addr a4;

    if (inet_pton(AF_INET, address, &a4) == 1)
        return ntohl(a4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &a6) == 1 && IN6_IS_ADDR_LOOPBACK(&a6);
}

void preflight_listen(const struct settings *s)
{
    for (size_t i = 0; i < s->n_listen; i++)
        if (s->listen[i].tcp && !is_loopback(s->listen[i].address))
            log_warning(
                "%s:%u is no loopback address: whoever can reach it is tenant %s, and nothing else is asked",
                s->listen[i].address, (unsigned)s->listen[i].port, s->policy->tenant);
}
