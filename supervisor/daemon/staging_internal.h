/* staging_internal.h: what staging.c and staging_nest.c share. Not for others. */
#pragma once

#include <sys/stat.h>

#include "daemon/staging.h"

/* RUNTIME_DIR/.supervisor/staging/SLUG; caller frees. */
int staging_dir(const struct config *c, const char *slug, char **ret);
/* Opens a bind source of the tenant's (O_PATH): a directory or a regular file, no link anywhere on the way.
 */
int staging_open(const struct config_tenant *t, const char *source, struct stat *ret, struct err *e);
/* A copy of the mount at `fd`, attached nowhere yet. */
int staging_clone(int fd, bool readonly);
