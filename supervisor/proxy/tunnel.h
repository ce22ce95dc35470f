/* tunnel.h: attach and exec start: after the engine's 101 two descriptors are joined, raw bytes both ways,
 * each half closed on its own. The only place where bytes pass unparsed, and it is entered only from here:
 * when the route is one of the two, the proxy itself asked for the upgrade, and the engine answered exactly
 * 101. */
#pragma once

#include "proxy/exchange.h"

/* Sends the request with our own Upgrade; `body` is JSON or NULL. */
void tunnel_request(struct exchange *x, const char *body);
/* Cuts all of them. */
void tunnel_close_all(struct proxy *p);
