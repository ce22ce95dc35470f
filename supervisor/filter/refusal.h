/* refusal.h: why a request is not served: the answer's status, the rule that decided, a sentence for the
 * client. PURE. */
#pragma once

#include "base/defs.h"

struct refusal {
    int status;       /* 400 malformed, 403 not allowed, 404 absent or foreign, 413 too large; 0: none */
    char rule[64];    /* stable id for the decision log: "create.HostConfig.Privileged", "list.filters" */
    char reason[256]; /* one sentence without "clawsup: "; printable ASCII: outside bytes come as '?' */
};

/* Fills `r` (NULL is allowed) and returns -EINVAL for 400, -EPERM for 403, -ENOENT for 404, -EFBIG for 413,
 * so that a reader ends with `return refusal_set(...)`. Reasons and rules that are too long are cut. */
int refusal_set(struct refusal *r, int status, const char *rule, const char *fmt, ...) _printf_(4, 5);
