/* compose.h: a Compose project with a gateway per tenant and its socket-proxy sidecar, as tenants of clawsup.
 * What cannot be said in a tenant's file becomes a note with file and line: nothing is dropped silently
 * that would change what runs. Reads files and its variables, asks no engine. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

struct compose_options {
    const char *file;      /* the Compose file */
    const char *env_file;  /* variables; NULL: .env beside the file, if it is there */
    const char *tenant;    /* the slug; NULL: from the file */
    const char *data_root; /* NULL: from the binds */
};

/* One tenant of a project: {"slug", "tenant": {keys of clawsup.conf(5)}, "notes": [{"file", "line", "key",
 * "text"}]}; `ret` is an array of at least one. -EINVAL: no Compose file, or nothing in it that looks like a
 * gateway; -errno of reading; `e` has the reason. */
int compose_import(const struct compose_options *o, json_t **ret, struct err *e);
