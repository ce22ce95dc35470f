/* err.c: see err.h. Formats only; never logs. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    (void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    return code;
}

int err_prefix(struct err *e, int code, const char *fmt, ...)
{
    char old[sizeof(e->msg)];
    const char *const parts[] = {": ", old};
    va_list ap;
    size_t at;
    int n;

    if (!e)
        return code;
    memcpy(old, e->msg, sizeof(old));
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    if (n < 0)
        return code;
    /* What does not fit is cut at the end, where the detail is. */
    at = MIN((size_t)n, sizeof(e->msg) - 1);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        size_t len = strnlen(parts[i], sizeof(e->msg) - 1 - at);

        memcpy(e->msg + at, parts[i], len);
        at += len;
    }
    e->msg[at] = '\0';
    return code;
}
