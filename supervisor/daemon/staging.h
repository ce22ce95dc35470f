/* staging.h: symlink-proof bind sources. The engine follows symlinks in a bind source at every start, so a
 * path below a workspace root is opened without following any link (openat2(2)) and that very file is
 * bind-mounted on a root-owned directory, which is what the engine is given. */
#pragma once

#include <sys/types.h>

#include "base/defs.h"
#include "base/err.h"
#include "config/config.h"

/* Mounts `source`, which must lie below one of the tenant's bind roots, on a new directory (or file) under
 * RUNTIME_DIR/.supervisor/staging/SLUG and returns its path (caller frees). -EACCES: a link in the way or
 * outside of the roots; -ENOENT: no such source (nothing is created); other -errno of mount(2).
 * `at` (NULL: anywhere) is a staging path of before: the container that was created with it is about to
 * start, perhaps after a reboot. It is mounted again, or found to be in place; -EEXIST: something else is
 * there. */
int staging_add(const struct config *c, const struct config_tenant *t, const char *source, const char *at,
    char **ret, struct err *e);

/* Mounts `source` inside what is staged already: `path` is a staging path of this tenant and, below it, a
 * place in that very directory, which is made when it is missing. No link in it is followed. The same source
 * in that place is left as it is. So a bind that lies in another one reaches the engine as part of it, and
 * nobody has to look for its target. */
int staging_nest(const struct config *c, const struct config_tenant *t, const char *source, const char *path,
    bool readonly, struct err *e);
/* True for a staging path with a place below it. */
bool staging_is_nested(const struct config *c, const char *slug, const char *path);

/* Unmounts and removes one staging path of this tenant; anything else is -EINVAL. What is mounted inside goes
 * with it, and a place inside is left to that. */
int staging_remove(const struct config *c, const char *slug, const char *path, struct err *e);

/* Removes every staging path of the tenant that is not in `used` (paths, as the engine's container list shows
 * them) and is older than a minute. Returns how many went. */
int staging_sweep(const struct config *c, const char *slug, char *const *used, size_t n_used);
