/* status.h: shared shapes of the control socket's answers; see contrib/docs/status-schema.json. */
#pragma once

#include <jansson.h>

#include "base/defs.h"

struct tenant;

/* "enforce" or "report". */
const char *status_filter(const struct tenant *t);

/* One `event` of the schema; NULL when out of memory. */
json_t *status_event_json(
    int64_t seq, int64_t at, const char *tenant, const char *component, const char *kind, const char *text);
