/* saga.c: see saga.h. One forward table, one way back; every operation names what follows a success and what
 * follows a failure. PURE. */
#include "recovery/saga.h"

static void end(struct saga *s, enum saga_outcome o)
{
    s->op = SAGA_OP_NONE;
    s->outcome = o;
}

static void go(struct saga *s, enum saga_op op)
{
    s->op = op;
}

void saga_begin(struct saga *s)
{
    *s = (struct saga){.op = SAGA_OP_INSPECT_OLD, .outcome = SAGA_RUNNING};
}

/* After the new container is out of the way. */
static void back_to_old(struct saga *s)
{
    if (s->renamed_old)
        go(s, SAGA_OP_RENAME_OLD_BACK);
    else if (s->stopped_old && s->old_was_running)
        go(s, SAGA_OP_START_OLD);
    else
        end(s, s->had_old ? SAGA_ROLLED_BACK : SAGA_REFUSED);
}

/* Where the way back begins, given what has been done so far. */
static void turn_back(struct saga *s)
{
    if (s->started_new)
        go(s, SAGA_OP_STOP_NEW);
    else if (!s->had_old && s->renamed_new)
        end(s, SAGA_LEFT);
    else if (s->created_new)
        go(s, SAGA_OP_REMOVE_NEW);
    else
        back_to_old(s);
}

static void step_forward(struct saga *s, bool ok, bool missing, bool running)
{
    switch (s->op) {
    case SAGA_OP_INSPECT_OLD:
        s->had_old = ok;
        s->old_was_running = ok && running;
        ok || missing ? go(s, SAGA_OP_CHECK_IMAGE) : end(s, SAGA_REFUSED);
        break;
    case SAGA_OP_CHECK_IMAGE:
        ok ? go(s, SAGA_OP_CLEAR_LEFTOVER) : end(s, SAGA_REFUSED);
        break;
    case SAGA_OP_CLEAR_LEFTOVER:
        ok || missing ? go(s, SAGA_OP_CREATE_NEW) : end(s, SAGA_REFUSED);
        break;
    case SAGA_OP_CREATE_NEW:
        s->created_new = ok;
        if (ok)
            go(s, s->had_old ? SAGA_OP_RENAME_OLD : SAGA_OP_RENAME_NEW);
        else
            end(s, SAGA_REFUSED);
        break;
    case SAGA_OP_RENAME_OLD:
        s->renamed_old = ok;
        if (missing)
            s->had_old = false; /* somebody removed it meanwhile: its name is free for the new one */
        ok || missing ? go(s, SAGA_OP_RENAME_NEW) : turn_back(s);
        break;
    case SAGA_OP_RENAME_NEW:
        s->renamed_new = ok;
        if (ok)
            go(s, s->had_old ? SAGA_OP_STOP_OLD : SAGA_OP_START_NEW);
        else
            turn_back(s);
        break;
    case SAGA_OP_STOP_OLD:
        s->stopped_old = true; /* also when it failed: it may be half-way down, so the way back starts it */
        if (missing)
            s->had_old = s->renamed_old = false; /* somebody removed it: there is nothing to go back to */
        ok || missing ? go(s, SAGA_OP_START_NEW) : turn_back(s);
        break;
    case SAGA_OP_START_NEW:
        s->started_new =
            s->started_new || ok; /* one that was found running is not stopped by a failed start */
        ok ? go(s, SAGA_OP_VERIFY) : turn_back(s);
        break;
    case SAGA_OP_VERIFY:
        if (ok && s->had_old)
            go(s, SAGA_OP_REMOVE_OLD);
        else if (ok)
            end(s, SAGA_DONE);
        else
            turn_back(s);
        break;
    case SAGA_OP_REMOVE_OLD:
        end(s, SAGA_DONE); /* the new one is verified; an old one that would not go is picked up by the next
                              relist */
        break;
    case SAGA_OP_STOP_NEW:
    case SAGA_OP_REMOVE_NEW:
    case SAGA_OP_RENAME_NEW_ASIDE:
    case SAGA_OP_RENAME_OLD_BACK:
    case SAGA_OP_START_OLD:
    case SAGA_OP_NONE:
    case _SAGA_OP_MAX:
    default:
        break;
    }
}

static bool step_back(struct saga *s, bool ok, bool missing)
{
    switch (s->op) {
    case SAGA_OP_STOP_NEW:
        /* A stop that failed does not matter where a forced removal follows; if that fails too, it matters.
         */
        s->started_new = !ok && !missing;
        s->had_old ? go(s, SAGA_OP_REMOVE_NEW) : end(s, SAGA_LEFT);
        return true;
    case SAGA_OP_REMOVE_NEW:
        /* One that stays under its temporary name stands in nobody's way: the next run clears it. */
        if (ok || missing || !s->renamed_new)
            back_to_old(s);
        else if (s->started_new)
            end(s, SAGA_STUCK); /* it may still run: the old one must not */
        else
            go(s, SAGA_OP_RENAME_NEW_ASIDE);
        return true;
    case SAGA_OP_RENAME_NEW_ASIDE:
        ok || missing ? back_to_old(s) : end(s, SAGA_STUCK);
        return true;
    case SAGA_OP_RENAME_OLD_BACK:
        s->renamed_old = !ok;
        ok ? back_to_old(s) : end(s, SAGA_STUCK);
        return true;
    case SAGA_OP_START_OLD:
        end(s, ok ? SAGA_ROLLED_BACK : SAGA_STUCK);
        return true;
    case SAGA_OP_INSPECT_OLD:
    case SAGA_OP_CHECK_IMAGE:
    case SAGA_OP_CLEAR_LEFTOVER:
    case SAGA_OP_CREATE_NEW:
    case SAGA_OP_RENAME_OLD:
    case SAGA_OP_RENAME_NEW:
    case SAGA_OP_STOP_OLD:
    case SAGA_OP_START_NEW:
    case SAGA_OP_VERIFY:
    case SAGA_OP_REMOVE_OLD:
    case SAGA_OP_NONE:
    case _SAGA_OP_MAX:
    default:
        return false;
    }
}

void saga_step(struct saga *s, enum saga_result result, bool running)
{
    bool ok = result == SAGA_OK, missing = result == SAGA_MISSING;

    if (s->op == SAGA_OP_NONE)
        return;
    if (result == SAGA_ENGINE_GONE) {
        end(s, SAGA_SUSPENDED); /* the containers tell saga_resume() how far it came */
        return;
    }
    if (!step_back(s, ok, missing))
        step_forward(s, ok, missing, running);
}

/* NAME alone is left: either nothing had begun, or everything was over but for the last start. */
static void resume_name(struct saga *s, const struct saga_facts *f)
{
    s->created_new = s->renamed_new = f->name_is_new;
    s->had_old = !f->name_is_new;
    if (f->name_running)
        end(s, f->name_is_new ? SAGA_DONE : SAGA_REFUSED);
    else
        go(s, f->name_is_new ? SAGA_OP_START_NEW : SAGA_OP_START_OLD);
}

void saga_resume(struct saga *s, const struct saga_facts *f)
{
    /* What cannot be seen is taken as done, where doing it once more is harmless: an old container that was
     * perhaps never stopped is started again on the way back. */
    *s = (struct saga){.outcome = SAGA_RUNNING, .had_old = f->old_exists, .old_was_running = true};
    s->renamed_old = s->stopped_old = f->old_exists;
    if (f->old_exists && f->name_exists && !f->name_is_new) {
        end(s, SAGA_REFUSED); /* no redeploy of ours looks like this: somebody keeps a container under that
                                 name */
    } else if (f->old_exists && f->name_exists) {
        /* The engine may have started the old one again (a restart policy, a reboot): stop it in any case. */
        s->created_new = s->renamed_new = true;
        s->started_new = f->name_running;
        go(s, SAGA_OP_STOP_OLD);
    } else if (f->new_exists && f->name_exists) {
        s->had_old = s->created_new = true; /* the old one has not been touched yet */
        go(s, SAGA_OP_REMOVE_NEW);
    } else if (f->new_exists) {
        s->created_new = true;
        go(s, SAGA_OP_RENAME_NEW);
    } else if (f->old_exists) {
        go(s, SAGA_OP_RENAME_OLD_BACK);
    } else if (f->name_exists) {
        resume_name(s, f);
    } else {
        end(s, SAGA_REFUSED);
    }
}

const char *saga_op_to_string(enum saga_op op)
{
    static const char *const names[_SAGA_OP_MAX] = {[SAGA_OP_INSPECT_OLD] = "inspect the old container",
        [SAGA_OP_CHECK_IMAGE] = "check the image",
        [SAGA_OP_CLEAR_LEFTOVER] = "clear a leftover",
        [SAGA_OP_CREATE_NEW] = "create the new container",
        [SAGA_OP_RENAME_OLD] = "rename the old container",
        [SAGA_OP_RENAME_NEW] = "rename the new container",
        [SAGA_OP_STOP_OLD] = "stop the old container",
        [SAGA_OP_START_NEW] = "start the new container",
        [SAGA_OP_VERIFY] = "verify the new container",
        [SAGA_OP_REMOVE_OLD] = "remove the old container",
        [SAGA_OP_STOP_NEW] = "stop the new container",
        [SAGA_OP_REMOVE_NEW] = "remove the new container",
        [SAGA_OP_RENAME_NEW_ASIDE] = "rename the new container aside",
        [SAGA_OP_RENAME_OLD_BACK] = "rename the old container back",
        [SAGA_OP_START_OLD] = "start the old container",
        [SAGA_OP_NONE] = "nothing"};

    return op < _SAGA_OP_MAX ? names[op] : "?";
}
