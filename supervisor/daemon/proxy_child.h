/* proxy_child.h: one tenant's embedded proxy as a process: the sockets that clawsupd keeps for it, launch,
 * hand-over, adoption after a restart of clawsupd, and its end. Never decides whether to restart (recovery
 * does). */
#pragma once

#include <sys/types.h>

#include "base/defs.h"
#include "base/err.h"

struct proxy_child;
struct tenant;

/* Creates the tenant's runtime directories; then looks for a proxy that a former clawsupd left running: if
 * one answers on its control socket, its listening sockets are taken over and it goes on serving; otherwise
 * fresh sockets are made. The result reaches the recovery core as an observation (running, or missing). */
int proxy_child_new(struct tenant *t, struct proxy_child **ret, struct err *e);

/* Launches a proxy on the kept sockets with the tenant's present policy. A proxy that still runs is told to
 * finish its streams (`drain`) or is killed. Clients wait in the backlog meanwhile. -errno with text. */
int proxy_child_launch(struct proxy_child *p, bool drain, struct err *e);

/* Compares the policy in force with the one the configuration asks for now. */
bool proxy_child_is_current(const struct proxy_child *p);
/* The listening sockets that the configuration asks for now. Those that are open already are kept, with the
 * clients that wait in them; others are opened, and what is asked for no longer is closed and its path
 * removed. 1: the set changed, and a running proxy must be replaced; 0: it is the same; -errno: nothing was
 * changed. */
int proxy_child_reopen(struct proxy_child *p, struct err *e);

bool proxy_child_adopting(const struct proxy_child *p);
pid_t proxy_child_pid(const struct proxy_child *p); /* 0: none */

/* Lets go: the process is told to drain (`drain`) or is left running for the next clawsupd. */
struct proxy_child *proxy_child_free(struct proxy_child *p, bool drain);

/* The process that the pid file of a tenant names, which need not be in the configuration, gets a signal; the
 * file is removed. Nothing happens when that process is gone. */
struct manager;
void proxy_pidfile_signal(const struct manager *m, const char *slug, int signal);
