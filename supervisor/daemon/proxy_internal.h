/* proxy_internal.h: shared by proxy_child.c and proxy_link.c only. */
#pragma once

#include <jansson.h>

#include "base/hash.h"
#include "base/json.h"
#include "daemon/manager.h"
#include "daemon/proxy_child.h"
#include "daemon/quota.h"

#define PROXY_LISTEN_MAX 16
#define PROXY_OLD_MAX 4 /* old processes of a tenant that still finish streams */

/* One process: the one that serves, or an old one that finishes its streams. */
struct proxy_process {
    struct proxy_child *child;
    struct proxy_process *next; /* of the old ones */
    pid_t pid;
    int pidfd, control;
    char policy[HASH_HEX_SIZE];
    sd_event_source *io, *resume;
    struct quota messages; /* what it may say; a proxy that says more is listened to later */
    struct check *exit;
    bool retired;                  /* its end is expected */
    struct request_counts counted; /* what it has told so far */
};

struct proxy_child {
    struct tenant *tenant;
    char *listener_path;
    int listener; /* where a later clawsupd finds the proxy; SOCK_SEQPACKET, root only */
    int clients[PROXY_LISTEN_MAX];
    size_t n_clients;
    struct proxy_process *now, *old;
    bool adopting;
    sd_event_source *adopt_timer;
    struct quota lines; /* of the journal, for what its client does */
};
int proxy_child_fresh(struct proxy_child *p, struct err *e);
/* Writes the pid file; without it a hung proxy would not be found, which is only told. */
void proxy_pidfile_write(const struct proxy_child *p, pid_t pid);
/* True if the pid file names this process, by pid and start time. */
bool proxy_pidfile_names(const struct proxy_child *p, pid_t pid);
/* Ends the process that the pid file names, if it is still that one. */
void proxy_pidfile_kill(const struct proxy_child *p);

/* Watches the pidfd and the control channel. */
int proxy_process_watch(struct proxy_process *proc, struct err *e);
/* The present process, if any, becomes an old one: told to drain, or killed. */
void proxy_process_retire(struct proxy_child *p, bool drain);
struct proxy_process *proxy_process_free(struct proxy_process *proc);

/* Connects to the control socket of a proxy that may still run, and waits a second for its hello. */
int proxy_adopt_start(struct proxy_child *p, struct err *e);
