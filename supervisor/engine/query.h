/* query.h: pieces of the engine's query strings. For this room only. */
#pragma once

#include "base/buf.h"

/* Appends `sep` and filters={"label":["LABEL"]}, encoded. -ENOMEM. */
int query_add_label(struct buf *path, char sep, const char *label);
