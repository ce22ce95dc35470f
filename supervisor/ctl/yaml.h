/* yaml.h: one YAML document as JSON, over libyaml, with bounds. Null is null; every other scalar is a string,
 * as it was written: what `8080` or `yes` means is for the reader of the value. Anchors, aliases and merge
 * keys (<<) are resolved; tags are ignored. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 50000 /* aliases count as what they stand for */

/* `ret_lines` maps "services.gateway.ports[1]" to its line. -EINVAL: malformed, ambiguous (a key twice) or
 * beyond the limits, with line and reason in `e`; -ENOMEM. */
int yaml_load(const char *text, size_t len, json_t **ret, json_t **ret_lines, struct err *e);
