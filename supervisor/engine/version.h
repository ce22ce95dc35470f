/* version.h: which API version to speak. PURE: the answer of GET /version in, a choice or a sentence out. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

/* What this client was written for: containers, networks, images and events are the same over this range. */
#define VERSION_OLDEST "1.41"
#define VERSION_NEWEST "1.52"

struct version_choice {
    char api[16];    /* "1.44" */
    char server[64]; /* "26.1.5" */
};

/* "1.44" -> major and minor. -EINVAL. */
int version_parse(const char *s, unsigned *ret_major, unsigned *ret_minor);

/* The smaller of the engine's ApiVersion and VERSION_NEWEST. -EINVAL: not an answer to /version;
 * -EPROTONOSUPPORT: no version is spoken by both. `e` says what would help. */
int version_choose(const json_t *answer, struct version_choice *ret, struct err *e);

/* True for the engine's sentence that refuses a request for its version alone: it changed under us. */
bool version_is_complaint(long status, const char *message);
