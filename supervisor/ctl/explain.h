/* explain.h: what the tenant's proxy would do with a request: the same filter, run here without an engine and
 * without a registry. What only those two know (does the image exist, whose container is it) becomes a note.
 * PURE. */
#pragma once

#include "base/defs.h"
#include "base/err.h"
#include "filter/policy.h"

#define EXPLAIN_NOTES_MAX 6

struct explanation {
    bool allowed;
    int status; /* of a refusal */
    bool
        reported; /* allowed only because the filter reports: `rule` and `message` say what would refuse it */
    char rule[64];     /* of a refusal: the one of the decision log */
    char message[704]; /* of a refusal: what the client reads */
    const char *route; /* static: "container-create"; "" when no route was found */
    char method[16];
    char *target, *body; /* what the engine would be asked with; NULL: it would not be asked with that */
    const char *notes[EXPLAIN_NOTES_MAX]; /* static */
    size_t n_notes;
};

void explanation_done(struct explanation *x);
#define _cleanup_explanation_ _cleanup_(explanation_done)

/* True if `request` ("POST /containers/create?name=x") may carry a JSON body, so that it is worth reading
 * one. */
bool explain_takes_body(const struct policy *p, const char *request, unsigned minor);

/* `body` may be NULL: none. 0 with *ret filled, allowed or not; -EINVAL: `request` is not "METHOD /path"
 * (text in `e`); -ENOMEM. */
int explain_request(const struct policy *p, const char *request, const char *body, size_t body_len,
    unsigned minor, struct explanation *ret, struct err *e);
