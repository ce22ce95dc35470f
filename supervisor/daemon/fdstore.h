/* fdstore.h: listening sockets in systemd's keeping (FDSTORE=1, sd_notify(3)), so that not even the end of
 * clawsupd and a proxy at the same time refuses a client. Without systemd every call does nothing. */
#pragma once

#include "base/defs.h"

/* Takes over what systemd kept; once, at the start, before any descriptor is opened. -errno. */
int fdstore_open(void);
/* A kept descriptor of that name, now the caller's; -ENOENT. */
int fdstore_take(const char *name);
/* Gives a copy into keeping. A socket that is kept already is not kept twice. */
void fdstore_put(const char *name, int fd);
/* Forgets all of that name. */
void fdstore_remove(const char *name);
/* Closes what nobody took, and forgets it: tenants that are gone. */
void fdstore_close(void);
