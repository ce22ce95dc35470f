/* uthash.h: the one way to uthash in this tree. By default it ends the process when it has no memory; here an
 * element that could not be added is simply not in the table, and whoever adds one asks hash_refused(). */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* After HASH_ADD_*: there was no memory for it; it is not in the table, and still the caller's. */
#define hash_refused(element) ((element)->hh.tbl == NULL)
