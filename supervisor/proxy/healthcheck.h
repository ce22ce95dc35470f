/* healthcheck.h: `clawsup-proxy --healthcheck`, for images that have neither curl nor wget. */
#pragma once

#include "base/defs.h"
#include "base/err.h"
#include "proxy/settings.h"

/* Asks the proxy at the first entry of LISTEN for /_ping as a client would, which the engine answers through
 * it. 0: it answered 200. Otherwise negative, and text: nobody listens, no answer in time, another status. */
int healthcheck_run(const struct settings *s, struct err *e) _must_check_;
