/* settings_internal.h: the table between the reading of names (settings.c) and of values
 * (settings_value.c, settings_listen.c). */
#pragma once

#include "proxy/settings.h"

struct settings_variable {
    const char *name; /* of the environment; the flag is its lower-case form with '-' for '_' */
    /* -EINVAL: not a value that it takes; -ENOMEM. */
    int (*set)(struct settings *s, const char *value);
    const char *valid; /* what it takes, for the sentence that refuses */
    const char *field; /* how policy_validate() calls it; NULL: it does not */
};

#define SETTINGS_VARIABLES_MAX 64

/* TENANT comes first: the policy is made from it. */
extern const struct settings_variable settings_variables[];
extern const size_t settings_variables_n;

int settings_set_socket(struct settings *s, const char *value);
int settings_set_log_level(struct settings *s, const char *value);
/* The whole list, replacing what was there. */
int settings_set_listen(struct settings *s, const char *value);
