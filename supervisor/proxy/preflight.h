/* preflight.h: what a proxy that runs alone looks at before it closes its sandbox: nobody else has checked
 * the ground it stands on. Each refusal says what to do. */
#pragma once

#include "base/defs.h"
#include "base/err.h"
#include "proxy/settings.h"

#include <sys/types.h>

/* Standard input, output and error are open (on /dev/null where they were not), so that no socket becomes one
 * of them. -errno. */
int preflight_standard_fds(struct err *e) _must_check_;

/* The group that opens the engine's socket (gid_resolve()), and that this process is in it or is root. A
 * socket that is missing is no error: it may appear later. -EINVAL, -ESRCH, -EPERM. */
int preflight_engine_group(const struct settings *s, gid_t *ret, struct err *e) _must_check_;

/* Nobody but root can put a link in the way to a bind root: each directory above it belongs to root and is
 * writable for root alone (or has the sticky bit), and it is no link itself. A root that is not in this mount
 * namespace (a container) cannot be judged. -EPERM. */
int preflight_bind_roots(const struct settings *s, struct err *e) _must_check_;

/* Says in the log that a TCP address can be reached from elsewhere: whoever reaches it is the tenant. */
void preflight_listen(const struct settings *s);
