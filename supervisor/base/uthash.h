/* uthash.h: the one way to uthash in this tree. By default it ends the process when it has no memory; here an
 * element that could not be added is simply not in the table, and whoever adds one asks hash_refused(). */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* After HASH_ADD_*: there was no memory for it; it is not in the table, and still the caller's. */
/* With that way out of HASH_ADD gcc's analyzer loses who owns the table; LeakSanitizer looks for real leaks.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
#define hash_refused(element) ((element)->hh.tbl == NULL)
