/* ask.h: questions to a person at a terminal. */
#pragma once

#include "base/defs.h"

/* Somebody can be asked: standard input and standard error are terminals. */
bool ask_possible(void);
/* Asks "QUESTION [DEFAULT]: "; an empty answer is the default (may be ""). A new string; NULL at the end of
 * the input or when out of memory. */
char *ask_text(const char *question, const char *def);
/* "QUESTION [y/N] ": true for y or yes. */
bool ask_yes(const char *question);
