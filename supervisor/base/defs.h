/* defs.h: the few macros every file may use. No functions with side effects, no program state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
/* "no time": never due, never happened. */
#define USEC_INFINITY UINT64_MAX

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_check_ __attribute__((warn_unused_result))

/* Ends the function with what failed; only where nothing is to be undone. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        int _r = (expr);                                                                                     \
        if (_r < 0)                                                                                          \
            return _r;                                                                                       \
    } while (0)

/* Transfer of ownership: the variable gives up its value. */
#define TAKE_PTR(p)                                                                                          \
    ({                                                                                                       \
        __typeof__(p) *_pp = &(p);                                                                           \
        __typeof__(p) _p = *_pp;                                                                             \
        *_pp = NULL;                                                                                         \
        _p;                                                                                                  \
    })
#define TAKE_FD(fd)                                                                                          \
    ({                                                                                                       \
        int *_fp = &(fd);                                                                                    \
        int _f = *_fp;                                                                                       \
        *_fp = -EBADF;                                                                                       \
        _f;                                                                                                  \
    })

/* Defines `static inline void NAMEp(TYPE *p)` for _cleanup_. */
#define DEFINE_CLEANUP(type, func)                                                                           \
    static inline void func##p(type *p)                                                                      \
    {                                                                                                        \
        if (*p)                                                                                              \
            func(*p);                                                                                        \
    }

static inline void freep(void *p)
{
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)
