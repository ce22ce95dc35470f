/* err.h: the reason for a failure, as text for a person. Codes stay -Exxx; this carries the sentence. */
#pragma once

#include "base/defs.h"

struct err {
    char msg[512];
};

/* Writes the formatted reason into `e` (NULL is allowed: nobody asks) and returns `code`, a negative errno,
 * so that a failing function ends with `return err_set(e, -EINVAL, "...")`. A longer text is cut at 511
 * bytes. */
int err_set(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts "prefix: " before the text that `e` holds; returns `code`. */
int err_prefix(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
