/* link.h: what the proxy knows of the engine for itself: the pinned API version, and the registry's feed (a
 * list at start, then the tenant's container events). Starts over whenever the event stream breaks, because
 * that is how an engine restart shows. */
#pragma once

#include "base/defs.h"
#include "base/err.h"
#include "proxy/proxy.h"

struct link;

/* Called once, when the first attempt has ended one way or the other. */
typedef void (*link_first_fn)(struct proxy *p, bool ok);

int link_new(struct proxy *p, link_first_fn fn, struct link **ret) _must_check_;
struct link *link_free(struct link *l);

/* True once the version was negotiated and the registry filled; stays true, also while the engine restarts.
 */
bool link_is_ready(const struct link *l);
/* NN of the pinned 1.NN; 0 before ready. */
unsigned link_minor(const struct link *l);
const char *link_api_version(const struct link *l); /* "1.41" */
const char *link_min_api_version(const struct link *l);
const char *link_engine_version(const struct link *l); /* "20.10.24" */
const char *link_arch(const struct link *l);

/* The target that lists every container with the tenant's label. */
void link_list_target(const struct link *l, char *ret, size_t n);

/* The version to pin: the highest that both the engine ("1.24" .. "1.41") and the models support, or `wanted`
 * ("" = none) if it lies in that range. -EINVAL: not versions; -ENOTSUP: nothing in common. */
int link_pin(const char *engine_max, const char *engine_min, const char *wanted, unsigned *ret_minor,
    struct err *e) _must_check_;
