/* decision.h: the record of one decision of the proxy, as JSON: the base of the audit trail. PURE. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"

enum decision_verdict {
    DECISION_ALLOW,
    DECISION_REPORT, /* forwarded, though a switch that is off would have refused it */
    DECISION_DENY,
    DECISION_ERROR,
    _DECISION_VERDICT_MAX
};

/* Borrowed strings; NULL leaves the member out. */
struct decision {
    uint64_t time_us; /* CLOCK_REALTIME, microseconds since 1970 */
    const char *tenant;
    const char *peer;      /* "uid=1000 pid=77", "127.0.0.1:5555" */
    const char *method;    /* "POST" */
    const char *route;     /* "container-create"; of what no tenant may ask for the table's pattern */
    const char *path;      /* of a request that its route refused, without the query */
    const char *object_id; /* full id of the container or exec */
    enum decision_verdict verdict;
    const char *rule;   /* of a refusal or a report */
    const char *reason; /* of these too */
    int status;         /* what the client was answered; 0: none */
    uint64_t latency_us;
    const json_t *argv; /* array of strings: exec and create; cut at DECISION_ARGV_MAX bytes */
    const json_t *env;  /* array of "K=V": only the names are recorded */
    const char *image;  /* create */
};

#define DECISION_ARGV_MAX ((size_t)6144)
#define DECISION_ENV_MAX 64
#define DECISION_MAX ((size_t)32 * 1024) /* of a whole record */

const char *decision_verdict_to_string(enum decision_verdict v);

/* Appends the record: {"type":"decision","time_us":..,"tenant":..,...}, one line without its end. Control
 * bytes and invalid UTF-8 in outside text come as '?'. Always below 32 KiB. -ENOMEM; -E2BIG by the buffer's
 * limit; then nothing is appended. */
int decision_write(const struct decision *d, struct buf *out) _must_check_;
