/* listener.h: the sockets that clients connect to. In supervised mode they are clawsupd's and are only
 * borrowed: a proxy that dies leaves them and the waiting clients to the next one. */
#pragma once

#include <sys/socket.h>

#include "base/defs.h"
#include "base/err.h"
#include "proxy/proxy.h"
#include "proxy/settings.h"

struct listener {
    struct loop_io io;
    struct loop_timer pause; /* out of descriptors: try again a little later */
    struct proxy *proxy;
    struct sockaddr_storage local;
    bool tcp;
};

/* True if `peer` is in the network of `local`: the same /24, for IPv6 /64, or both are loopback. The address
 * of a tenant's bridge can be reached from every other bridge of the host, because what is sent to the host
 * itself is not forwarded and no rule of the engine's looks at it; there is no password either. */
bool listener_is_near(const struct sockaddr_storage *local, const struct sockaddr_storage *peer);

/* Opens what the settings name; descriptors in ret_fds (SETTINGS_LISTEN_MAX of them). -errno with text. */
int listener_open(const struct settings *s, int *ret_fds, size_t *ret_n, struct err *e) _must_check_;
/* Prepares listeners for the descriptors; `ls` has `n` entries and is stored in the proxy. Accepts nothing
 * yet. */
int listener_init(struct proxy *p, struct listener *ls, const int *fds, size_t n, struct err *e) _must_check_;
/* Clients wait in the backlog until this. */
void listener_start(struct proxy *p);
/* Stops accepting and closes our copies. */
void listener_stop(struct proxy *p);
