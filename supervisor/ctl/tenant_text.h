/* tenant_text.h: a tenant's file as text, from a JSON object with the keys of clawsup.conf(5): for `init` and
 * `import-compose`. The comments are those of the schema. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"
#include "config/config.h"

struct tenant_text {
    const char *head;    /* lines for the comment at the top, each ends in a newline; NULL */
    const json_t *notes; /* strings: what is to be looked at; may be NULL */
    bool full;           /* also the keys that are not set, as comments */
};

/* `tenant` is {"slug": ..., "gateway": {...}}: texts, numbers, truth values, arrays of texts, arrays of
 * objects, "cpus" as a real. A key that the schema does not have is -EINVAL. Caller frees. */
int tenant_text(const json_t *tenant, const struct tenant_text *how, char **ret, struct err *e);

/* What check-config says about the file alone, with the built-in values of the host. 0; -EINVAL with
 * findings; -errno. */
int tenant_text_check(const char *text, const char *slug, struct config_findings *f);

/* Writes it to `path`, mode 0640; -EEXIST unless `replace`. Text in `e`. */
int tenant_text_write(const char *path, const char *text, bool replace, struct err *e);
