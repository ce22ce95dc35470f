/* gid.h: which group may open the engine's socket, resolved without ever falling back silently. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <sys/types.h>

/* The gid that opens `socket_path`, in this order:
 *   1. `docker_gid` (the DOCKER_GID setting; NULL when unset): strictly decimal;
 *   2. the group named "docker" (getgrnam_r(3));
 *   3. otherwise an error that names both.
 * Then it is compared with the socket's st_gid: a mismatch is -EPERM and the text says what to set. gid 0 is
 * refused unless `allow_root_gid`. A socket that is missing is -ENOENT (retry later): the gid is still stored
 * in *ret. Errors: -EINVAL (malformed DOCKER_GID), -ESRCH (no group, none configured), -EPERM, -ENOENT. */
int gid_resolve(
    const char *docker_gid, const char *socket_path, bool allow_root_gid, gid_t *ret, struct err *e);
