/* doctor.h: `clawsup doctor`: what this host gives clawsup and what is missing, checked from the outside;
 * works without the daemon and without root (what only root can see says so). Each row says what was found
 * and what to do about it. It changes nothing on the host. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "config/config.h"

enum doctor_state { DOCTOR_OK, DOCTOR_DEGRADED, DOCTOR_MISSING, _DOCTOR_STATE_MAX };

struct doctor_row {
    const char *name; /* static: "engine", "gid", "cgroup", "slices", ...; unique, in a fixed order */
    enum doctor_state state;
    char what[256]; /* what was found */
    char todo[256]; /* what to do; "" when ok */
};

#define DOCTOR_ROWS_MAX 32
struct doctor_report {
    struct doctor_row rows[DOCTOR_ROWS_MAX];
    size_t n;
};

/* Runs every check; `c` NULL means the built-in defaults (the configuration could not be read). Takes a few
 * seconds at most: each question to the engine has its own deadline. 0, or -ENOMEM and other faults of our
 * own; a check that finds something missing is a row, not an error. */
int doctor_run(const struct config *c, struct doctor_report **ret);
struct doctor_report *doctor_report_free(struct doctor_report *r);
DEFINE_CLEANUP(struct doctor_report *, doctor_report_free)

/* The worst state of all rows. */
enum doctor_state doctor_report_worst(const struct doctor_report *r);
/* What to do first: the worst, in the order of the rows, which is that in which one needs the other; NULL
 * when all is well. */
const struct doctor_row *doctor_report_first(const struct doctor_report *r);
const char *doctor_state_to_string(enum doctor_state s); /* "ok", "degraded", "missing" */

/* {"v":1,"state":"degraded","first":"swap-limit","checks":[{"name","state","what","todo"}...]}; NULL when out
 * of memory. */
json_t *doctor_report_json(const struct doctor_report *r);
