/* admission.h: a tenant is only supervised if its hard limits fit what the host has left; and what `clawsup
 * capacity` shows. */
#pragma once

#include "daemon/control.h"
#include "daemon/manager.h"

/* Whether `c`, which is not supervised yet, may be. -ENOSPC: it does not fit; the reason is kept for
 * `capacity` and told. One that runs in its cgroup already was admitted before and is never refused. */
int admission_check(struct manager *m, const struct config_tenant *c, struct err *e);

/* The verb: optional fields nano_cpus, memory_bytes, pids, disk_bytes are the size of a tenant to be. */
int admission_verb(struct control_request *req, void *userdata);
