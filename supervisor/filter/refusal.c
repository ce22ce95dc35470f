/* refusal.c: see refusal.h. Formats only. */
#include "filter/refusal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void make_printable(char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
}

int refusal_set(struct refusal *r, int status, const char *rule, const char *fmt, ...)
{
    int code = status == 400 ? -EINVAL : status == 404 ? -ENOENT : status == 413 ? -EFBIG : -EPERM;
    va_list ap;

    if (!r)
        return code;
    r->status = status;
    (void)snprintf(r->rule, sizeof(r->rule), "%s", rule);
    make_printable(r->rule);
    va_start(ap, fmt);
    (void)vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
    va_end(ap);
    make_printable(r->reason);
    return code;
}
