/* compose_vars.h: ${VARIABLES} in the values of a Compose file. */
#pragma once

#include "ctl/compose_internal.h"

/* KEY=VALUE lines, with quotes as Compose takes them. -errno of reading, -EINVAL. */
int compose_vars_load(const char *path, json_t *into, struct err *e);
/* `v` with every variable replaced, a new reference: the environment first, then c->vars. Those that nobody
 * sets are added to c->missing. NULL: out of memory, or `e` says what is malformed. */
json_t *compose_vars_replace(struct compose *c, const json_t *v, struct err *e);
