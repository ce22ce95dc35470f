/* dryrun.h: what a redeploy would do, told and not done: its steps, what would be different, what stands in
 * its way. Only asks the engine. */
#pragma once

#include "daemon/control.h"
#include "daemon/manager.h"

/* Answers the request when the engine has. >= 0, or -errno as a verb's handler gives it. */
int dryrun_begin(struct component *c, struct control_request *req);
/* The manager ends: those that are under way are forgotten. */
void dryrun_forget(struct manager *m);
