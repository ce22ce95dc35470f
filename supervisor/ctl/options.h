/* options.h: the command line: long options anywhere, "--name=VALUE" or "--name VALUE", "-h", "--" ends them.
 * Knows two tables: the global options and those of the verb. */
#pragma once

#include "ctl/ctl.h"

#define OPTIONS_ARGS_MAX 256

struct options {
    const struct ctl_option *global, *own;
    size_t n_global, n_own;
    char *args[OPTIONS_ARGS_MAX]; /* after the verb; borrowed from argv */
    int n_args;
};

/* The nth word (from 0) that is no option, or NULL: 0 is the verb. Only the global options are known to take
 * a value here: a verb's own come after it. */
const char *options_word(const struct options *o, int argc, char **argv, int nth);

/* Fills flags, values and args. -EINVAL: an unknown option (with the closest one), a value that is missing or
 * not taken, too many arguments. */
int options_parse(struct options *o, int argc, char **argv, struct err *e);
