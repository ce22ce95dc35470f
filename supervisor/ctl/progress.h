/* progress.h: what is going on while something takes longer than a second: one line on standard error that is
 * redrawn, with the time it takes; not on a terminal: a line for each change. Nothing with --json. */
#pragma once

#include "ctl/ctl.h"

struct progress {
    bool off, terminal, drawn;
    uint64_t started_us;
    char last[192];
};

void progress_begin(struct progress *p, const struct ctl *c);
void progress_say(struct progress *p, const char *fmt, ...) _printf_(2, 3);
/* Takes the line away; again before anything else is printed. */
void progress_clear(struct progress *p);
uint64_t progress_elapsed(const struct progress *p);

/* "proxy healthy, gateway starting" of a tenant in an answer to `status`; made safe. */
void progress_states(const json_t *tenant, char *out, size_t n);

/* ctl_call() for what may take long: shows meanwhile how the tenant of the request is. */
int progress_call(const struct ctl *c, json_t *request, uint64_t timeout_us, json_t **ret_reply);
