/* gid.c: see gid.h. */
#include "base/gid.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

static int gid_from_group(const char *socket_path, gid_t *ret, struct err *e)
{
    char buf[16384];
    struct group gr, *found = NULL;
    int r = getgrnam_r("docker", &gr, buf, sizeof(buf), &found);
    const char *why;
    struct stat st;

    if (found) {
        *ret = found->gr_gid;
        return 0;
    }
    why = r == 0 || r == ENOENT ? "" : strerror(r); /* ENOENT: an image without /etc/group */
    if (stat(socket_path, &st) >= 0 && S_ISSOCK(st.st_mode))
        return err_set(e, -ESRCH,
            "there is no group \"docker\"%s%s and DOCKER_GID (docker_gid) is not set; set it to %u, the "
            "group "
            "of %s",
            *why ? ": " : "", why, (unsigned)st.st_gid, socket_path);
    return err_set(e, -ESRCH,
        "there is no group \"docker\"%s%s and DOCKER_GID (docker_gid) is not set; create the group "
        "or set DOCKER_GID to the group of the engine's socket",
        *why ? ": " : "", why);
}

int gid_resolve(
    const char *docker_gid, const char *socket_path, bool allow_root_gid, gid_t *ret, struct err *e)
{
    const char *from = docker_gid ? "DOCKER_GID" : "the group \"docker\"";
    struct stat st;
    gid_t gid = 0;
    int r;

    if (docker_gid) {
        uint64_t v;
        r = str_parse_u64(docker_gid, (uint64_t)UINT32_MAX - 1, &v);
        if (r < 0)
            return err_set(e, -EINVAL,
                "DOCKER_GID \"%s\" is not a group id: decimal digits only, such as 998", docker_gid);
        gid = (gid_t)v;
    } else {
        r = gid_from_group(socket_path, &gid, e);
        if (r < 0)
            return r;
    }
    if (gid == 0 && !allow_root_gid)
        return err_set(e, -EPERM,
            "%s gives gid 0, which is root's group; give the socket to a group of its own, "
            "or force it with ALLOW_ROOT_GID (allow_root_gid)",
            from);
    if (stat(socket_path, &st) < 0) {
        *ret = gid;
        return err_set(e, errno == ENOENT ? -ENOENT : -errno, "%s: %m", socket_path);
    }
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, -EPERM, "%s is not a socket", socket_path);
    if (st.st_gid != gid)
        return err_set(e, -EPERM,
            "%s gives gid %u, but %s belongs to gid %u; set DOCKER_GID (docker_gid) to %u", from,
            (unsigned)gid, socket_path, (unsigned)st.st_gid, (unsigned)st.st_gid);
    *ret = gid;
    return 0;
}
