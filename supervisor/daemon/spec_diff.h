/* spec_diff.h: in which words a container that runs differs from one that would be created now. PURE but for
 * memory. */
#pragma once

#include <jansson.h>

#include "base/defs.h"

/* Appends one text per difference to the array `out`: "KEY: OLD -> NEW". `inspect`: of the container that is
 * there; `body`: the create body; `image`: inspect of the image that `body` names, or NULL if it is not
 * there. Values of environment variables are never told. */
void spec_diff(const json_t *inspect, const json_t *body, const json_t *image, json_t *out);
