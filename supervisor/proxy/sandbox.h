/* sandbox.h: what the proxy takes away from itself before it reads a byte of a client. Every descriptor that
 * it will ever open by name must be open before; afterwards it can make unix sockets and accept connections,
 * no more. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <sys/types.h>

/* Becomes uid and gid with `docker_gid` as the only supplementary group. Only for a process that was started
 * as root on its own (sidecar): clawsupd does this before exec. -errno. */
int sandbox_drop_user(uid_t uid, gid_t gid, gid_t docker_gid, struct err *e) _must_check_;

/* no_new_privs, no capability, not dumpable, resource limits (`max_fds` descriptors, no core, no process, no
 * file, bounded memory), Landlock where the kernel has it (no file, no TCP connect, no abstract socket), and
 * a seccomp allowlist that kills for everything else. Cannot be undone. -errno when a part that the kernel
 * must have fails; the caller stops. */
int sandbox_enter(unsigned max_fds, struct err *e) _must_check_;

/* The part of sandbox_enter() that is Landlock's; for tests, which the filter would kill first. */
int sandbox_landlock(struct err *e) _must_check_;
