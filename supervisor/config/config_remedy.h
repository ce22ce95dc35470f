/* config_remedy.h: from a rule of the filter to the line of a tenant's configuration that governs it: for
 * `clawsup denials` and `clawsup explain`. */
#pragma once

#include "base/defs.h"

/* "proxy.allow.update = true", static: what to write so that a request which this rule refused with `status`
 * may be allowed. NULL: no line would; it is malformed, names nothing of the tenant's, or is what no tenant
 * may do. */
const char *config_remedy(const char *rule, int status);
