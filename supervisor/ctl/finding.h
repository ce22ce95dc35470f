/* finding.h: a finding of check-config as people read it: what is wrong, the line it is about, what the key
 * means, and a line that would be valid. */
#pragma once

#include <stdio.h>

#include "base/defs.h"

struct finding {
    char file[512], path[128], text[768]; /* "" when the finding does not say it */
    unsigned line;                        /* 0: the file as a whole */
    char source[256];                     /* the line as it stands; "" */
    const char *help;                     /* of the key; NULL */
    char suggestion[320];                 /* "interval = \"2s\";"; "" */
};

/* Takes "FILE:LINE: PATH: TEXT" apart and reads that line; what cannot be found out stays empty. */
void finding_parse(const char *s, struct finding *ret);
/* Everything made safe for a terminal. */
void finding_print(const struct finding *f, bool colour, FILE *out);
