/* saga.h: the redeploy, one engine operation at a time, so that nothing is lost: check -> create NAME.new ->
 * rename the old one to NAME.old -> rename the new one to NAME -> stop the old -> start the new -> verify ->
 * remove the old; any failure walks back. The driver performs `op`, writes INTENT before and RESULT after it,
 * and reports. PURE. */
#pragma once

#include "base/defs.h"

enum saga_op {
    SAGA_OP_INSPECT_OLD,
    SAGA_OP_CHECK_IMAGE,
    SAGA_OP_CLEAR_LEFTOVER, /* removes a NAME.new of an earlier run */
    SAGA_OP_CREATE_NEW,
    SAGA_OP_RENAME_OLD,
    SAGA_OP_RENAME_NEW,
    SAGA_OP_STOP_OLD,
    SAGA_OP_START_NEW,
    SAGA_OP_VERIFY,
    SAGA_OP_REMOVE_OLD,
    /* the way back */
    SAGA_OP_STOP_NEW,
    SAGA_OP_REMOVE_NEW,
    SAGA_OP_RENAME_NEW_ASIDE, /* one that will not go gives the name free, and is a leftover of the next run
                               */
    SAGA_OP_RENAME_OLD_BACK,
    SAGA_OP_START_OLD,
    SAGA_OP_NONE, /* finished: see saga_outcome() */
    _SAGA_OP_MAX
};
enum saga_result {
    SAGA_OK,
    SAGA_FAILED,
    SAGA_MISSING /* the object is not there */,
    SAGA_ENGINE_GONE,
    _SAGA_RESULT_MAX
};
enum saga_outcome {
    SAGA_RUNNING,
    SAGA_DONE,
    SAGA_REFUSED /* nothing was changed */,
    SAGA_ROLLED_BACK,
    SAGA_STUCK, /* the way back failed too: whatever there is, is kept; alert */
    SAGA_LEFT,  /* there was no old container to go back to: the new one stays, stopped, so that its logs can
                   be read */
    SAGA_SUSPENDED /* engine gone: resume later */,
    _SAGA_OUTCOME_MAX
};

struct saga {
    enum saga_op op;
    enum saga_outcome outcome;
    bool had_old, old_was_running, renamed_old, created_new, renamed_new, started_new, stopped_old;
};

/* What is on the engine when an interrupted saga is picked up again. Only containers that are known to be
 * ours count: NAME.new carries the label of a redeploy, and so does NAME if name_is_new (an old container of
 * a redeploy that ended before may carry it too: it tells something only beside NAME.old). */
struct saga_facts {
    bool name_exists, name_is_new, old_exists, new_exists, name_running;
};

void saga_begin(struct saga *s);
/* After a crash: decides from the facts alone whether to go forward or back; never repeats a create blindly.
 */
void saga_resume(struct saga *s, const struct saga_facts *f);
/* Takes the result of s->op and sets the next one. `running`: for INSPECT_OLD, whether the old one runs. */
void saga_step(struct saga *s, enum saga_result result, bool running);
const char *saga_op_to_string(enum saga_op op);
