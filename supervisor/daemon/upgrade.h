/* upgrade.h: another clawsupd in the place of this one, in the same process: the program on disk is asked to
 * read the configuration first, then this one ends as at a stop (proxies and gateways keep running) and
 * executes it. Its proxies are still its children, and it adopts them on their sockets. */
#pragma once

#include "daemon/control.h"
#include "daemon/manager.h"

/* Where this program lies on disk, "" if that cannot be told. Read once at the start: the link of a program
 * that was replaced says "(deleted)". */
void upgrade_remember_program(void);

/* The verb: answers `req` when the new program has accepted the configuration (and ends the loop with
 * m->upgrade set), or says why not, and everything stays as it is. */
int upgrade_begin(struct manager *m, struct control_request *req);
/* Stops a check that is under way; its request is answered. */
void upgrade_cancel(struct manager *m);

/* Replaces the process. Returns only if that failed: -errno. */
int upgrade_exec(char *const *argv);
