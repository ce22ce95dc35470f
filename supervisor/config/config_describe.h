/* config_describe.h: what a key means and how it is written, from the tables: for `clawsup check-config`. */
#pragma once

#include "base/defs.h"

struct config_description {
    const char *help;     /* one sentence, static */
    char assignment[256]; /* "interval = \"2s\";": an example */
};

/* `path` as findings have it: "gateway.publish[1]", "defaults.limits.memory", "recovery.observe". -ENOENT. */
int config_describe(const char *path, struct config_description *ret);
