/* test_saga.c: the redeploy saga against a tiny engine: every failure at every operation, twice over; a crash
 * at every operation, before and after its effect, up to three in a row; a person who removes containers
 * meanwhile. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "recovery/saga.h"

enum name { NAME, NAME_OLD, NAME_NEW };

struct container {
    bool exists, running;
    enum name name;
};

struct model {
    struct container old, new;
    bool had_any; /* at the start */
    bool verified;
    unsigned failures;
    char trail[64];
    size_t n;
};

/* One letter an operation, so that a whole run is one word. */
static const char letters[_SAGA_OP_MAX + 1] = "ikcCOnsSvrtdabu-";

static struct container *by_name(struct model *m, enum name name)
{
    if (m->old.exists && m->old.name == name)
        return &m->old;
    return m->new.exists && m->new.name == name ? &m->new : NULL;
}

static enum saga_result rename_to(struct model *m, struct container *c, enum name name)
{
    if (!c->exists)
        return SAGA_MISSING;
    if (by_name(m, name) && by_name(m, name) != c)
        return SAGA_FAILED;
    c->name = name;
    return SAGA_OK;
}

static enum saga_result set_running(struct container *c, bool running)
{
    if (!c->exists)
        return SAGA_MISSING;
    c->running = running;
    return SAGA_OK;
}

static enum saga_result take_away(struct container *c)
{
    enum saga_result r = c->exists ? SAGA_OK : SAGA_MISSING;

    *c = (struct container){0};
    return r;
}

static enum saga_result perform(struct model *m, enum saga_op op)
{
    struct container *c;

    switch (op) {
    case SAGA_OP_INSPECT_OLD:
        return by_name(m, NAME) ? SAGA_OK : SAGA_MISSING;
    case SAGA_OP_CHECK_IMAGE:
        return SAGA_OK;
    case SAGA_OP_CLEAR_LEFTOVER:
        c = by_name(m, NAME_NEW);
        if (c)
            (void)take_away(c);
        return SAGA_OK;
    case SAGA_OP_CREATE_NEW:
        cr_assert(!m->new.exists, "a second container was created: %s", m->trail);
        m->new = (struct container){.exists = true, .name = NAME_NEW};
        return SAGA_OK;
    case SAGA_OP_RENAME_OLD:
        return rename_to(m, &m->old, NAME_OLD);
    case SAGA_OP_RENAME_NEW:
        return rename_to(m, &m->new, NAME);
    case SAGA_OP_STOP_OLD:
        return set_running(&m->old, false);
    case SAGA_OP_START_NEW:
        return set_running(&m->new, true);
    case SAGA_OP_VERIFY:
        m->verified = m->new.running;
        return m->new.running ? SAGA_OK : m->new.exists ? SAGA_FAILED : SAGA_MISSING;
    case SAGA_OP_REMOVE_OLD:
        cr_assert(m->verified, "the old one goes before the new one is verified: %s", m->trail);
        return take_away(&m->old);
    case SAGA_OP_STOP_NEW:
        return set_running(&m->new, false);
    case SAGA_OP_REMOVE_NEW:
        return take_away(&m->new);
    case SAGA_OP_RENAME_NEW_ASIDE:
        return rename_to(m, &m->new, NAME_NEW);
    case SAGA_OP_RENAME_OLD_BACK:
        return rename_to(m, &m->old, NAME);
    case SAGA_OP_START_OLD:
        return set_running(&m->old, true);
    case SAGA_OP_NONE:
    case _SAGA_OP_MAX:
    default:
        cr_assert_fail("not an operation: %d", (int)op);
        return SAGA_FAILED;
    }
}

static struct model model(bool had_old, bool running)
{
    struct model m = {.had_any = had_old};

    m.old = (struct container){.exists = had_old, .running = had_old && running, .name = NAME};
    return m;
}

static void never_two(const struct model *m)
{
    cr_assert(!(m->old.running && m->new.running), "two are running: %s", m->trail);
}

/* What must hold whenever a saga has ended, however it ended. */
static void check_end(struct model *m, const struct saga *s)
{
    const struct container *c = by_name(m, NAME);

    cr_assert_eq(s->op, SAGA_OP_NONE);
    cr_assert_neq(s->outcome, SAGA_RUNNING);
    never_two(m);
    if (s->outcome == SAGA_STUCK || s->outcome == SAGA_SUSPENDED)
        return;
    cr_assert(c || (!m->had_any && s->outcome == SAGA_REFUSED), "nothing has the name (%d): %s",
        (int)s->outcome, m->trail);
    if (s->outcome == SAGA_DONE)
        cr_assert(c == &m->new && c->running, "done, but not by the new one: %s", m->trail);
    if (s->outcome == SAGA_LEFT)
        cr_assert(c == &m->new && !m->old.exists, "left, but something was there: %s", m->trail);
    if (s->outcome == SAGA_ROLLED_BACK)
        cr_assert(c == &m->old, "rolled back, but not to the old one: %s", m->trail);
    if (s->outcome == SAGA_REFUSED && m->had_any)
        cr_assert(c == &m->old, "refused, but changed: %s", m->trail);
    cr_assert(!m->old.exists || m->old.name != NAME_OLD || s->outcome == SAGA_DONE,
        "the old one was left aside: %s", m->trail);
}

static void note(struct model *m, enum saga_op op)
{
    cr_assert_lt(m->n, sizeof(m->trail) - 1, "it never ends: %s", m->trail);
    m->trail[m->n++] = letters[op];
    m->trail[m->n] = '\0';
}

/* One operation; `r` other than SAGA_OK: it fails like that, without an effect. */
static void one(struct model *m, struct saga *s, enum saga_result r)
{
    enum saga_op op = s->op;
    const struct container *c;

    note(m, op);
    m->failures += r != SAGA_OK;
    if (r == SAGA_OK)
        r = perform(m, op);
    never_two(m);
    c = by_name(m, NAME);
    saga_step(s, r, c && c->running);
}

static void run(struct model *m, struct saga *s)
{
    while (s->op != SAGA_OP_NONE)
        one(m, s, SAGA_OK);
}

/* ---- the way back, word for word */
struct row {
    bool had_old, running;
    char fail;      /* the operation that fails ... */
    char how;       /* ... F: failed, M: missing, G: the engine is gone */
    char fail_back; /* and one on the way back, or ' ' */
    char trail[24];
    enum saga_outcome outcome;
};

#define NOTHING ' ', 'F', ' '
static const struct row rows[] = {
    {true, true, NOTHING, "ikcCOnsSvr", SAGA_DONE},
    {true, false, NOTHING, "ikcCOnsSvr", SAGA_DONE},
    {false, false, NOTHING, "ikcCnSv", SAGA_DONE},
    /* before anything was changed */
    {true, true, 'i', 'F', ' ', "i", SAGA_REFUSED},
    {true, true, 'k', 'F', ' ', "ik", SAGA_REFUSED},
    {true, true, 'k', 'M', ' ', "ik", SAGA_REFUSED},
    {false, false, 'k', 'M', ' ', "ik", SAGA_REFUSED},
    {true, true, 'c', 'F', ' ', "ikc", SAGA_REFUSED},
    {true, true, 'c', 'M', ' ', "ikcCOnsSvr", SAGA_DONE},
    {true, true, 'C', 'F', ' ', "ikcC", SAGA_REFUSED},
    {true, true, 'C', 'M', ' ', "ikcC", SAGA_REFUSED},
    /* back to the old one */
    {true, true, 'O', 'F', ' ', "ikcCOd", SAGA_ROLLED_BACK},
    {true, true, 'n', 'F', ' ', "ikcCOndb", SAGA_ROLLED_BACK},
    {true, true, 'n', 'M', ' ', "ikcCOndb", SAGA_ROLLED_BACK},
    {true, true, 's', 'F', ' ', "ikcCOnsdbu", SAGA_ROLLED_BACK},
    {true, false, 's', 'F', ' ', "ikcCOnsdb", SAGA_ROLLED_BACK},
    {true, true, 'S', 'F', ' ', "ikcCOnsSdbu", SAGA_ROLLED_BACK},
    {true, false, 'S', 'F', ' ', "ikcCOnsSdb", SAGA_ROLLED_BACK},
    {true, true, 'S', 'M', ' ', "ikcCOnsSdbu", SAGA_ROLLED_BACK},
    {true, true, 'v', 'F', ' ', "ikcCOnsSvtdbu", SAGA_ROLLED_BACK},
    {true, false, 'v', 'F', ' ', "ikcCOnsSvtdb", SAGA_ROLLED_BACK},
    {true, true, 'v', 'M', ' ', "ikcCOnsSvtdbu", SAGA_ROLLED_BACK},
    /* verified: an old one that will not go changes nothing */
    {true, true, 'r', 'F', ' ', "ikcCOnsSvr", SAGA_DONE},
    {true, true, 'r', 'M', ' ', "ikcCOnsSvr", SAGA_DONE},
    /* nothing to go back to */
    {false, false, 'i', 'F', ' ', "i", SAGA_REFUSED},
    {false, false, 'C', 'F', ' ', "ikcC", SAGA_REFUSED},
    {false, false, 'n', 'F', ' ', "ikcCnd", SAGA_REFUSED},
    {false, false, 'S', 'F', ' ', "ikcCnS", SAGA_LEFT},
    {false, false, 'v', 'F', ' ', "ikcCnSvt", SAGA_LEFT},
    /* the way back fails too */
    {true, true, 'v', 'F', 't', "ikcCOnsSvtdbu", SAGA_ROLLED_BACK},
    {true, true, 'v', 'F', 'd', "ikcCOnsSvtdabu", SAGA_ROLLED_BACK},
    {true, true, 's', 'F', 'd', "ikcCOnsdabu", SAGA_ROLLED_BACK},
    {true, true, 'v', 'F', 'b', "ikcCOnsSvtdb", SAGA_STUCK},
    {true, true, 'v', 'F', 'u', "ikcCOnsSvtdbu", SAGA_STUCK},
    {true, true, 'O', 'F', 'd', "ikcCOd", SAGA_ROLLED_BACK}, /* the leftover is cleared by the next run */
    {true, true, 'n', 'F', 'd', "ikcCOndb", SAGA_ROLLED_BACK},
    {true, true, 'n', 'F', 'b', "ikcCOndb", SAGA_STUCK},
    {false, false, 'v', 'F', 't', "ikcCnSvt", SAGA_LEFT},
    /* the engine goes away: nothing more is tried */
    {true, true, 'i', 'G', ' ', "i", SAGA_SUSPENDED},
    {true, true, 'k', 'G', ' ', "ik", SAGA_SUSPENDED},
    {true, true, 'c', 'G', ' ', "ikc", SAGA_SUSPENDED},
    {true, true, 'C', 'G', ' ', "ikcC", SAGA_SUSPENDED},
    {true, true, 'O', 'G', ' ', "ikcCO", SAGA_SUSPENDED},
    {true, true, 'n', 'G', ' ', "ikcCOn", SAGA_SUSPENDED},
    {true, true, 's', 'G', ' ', "ikcCOns", SAGA_SUSPENDED},
    {true, true, 'S', 'G', ' ', "ikcCOnsS", SAGA_SUSPENDED},
    {true, true, 'v', 'G', ' ', "ikcCOnsSv", SAGA_SUSPENDED},
    {true, true, 'r', 'G', ' ', "ikcCOnsSvr", SAGA_SUSPENDED},
};

ParameterizedTestParameters(saga, way_back)
{
    return cr_make_param_array(struct row, (void *)(uintptr_t)rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct row *row, saga, way_back)
{
    struct model m = model(row->had_old, row->running);
    enum saga_result how = row->how == 'M' ? SAGA_MISSING : row->how == 'G' ? SAGA_ENGINE_GONE : SAGA_FAILED;
    struct saga s;

    saga_begin(&s);
    while (s.op != SAGA_OP_NONE) {
        char op = letters[s.op];

        one(&m, &s, op == row->fail ? how : op == row->fail_back ? SAGA_FAILED : SAGA_OK);
    }
    cr_assert_str_eq(m.trail, row->trail);
    cr_assert_eq(s.outcome, row->outcome, "%s: %d", m.trail, (int)s.outcome);
    if (row->fail != 'r')
        check_end(&m, &s);
    if (s.outcome == SAGA_ROLLED_BACK)
        cr_assert_eq(m.old.running, row->running);
    saga_step(&s, SAGA_OK, true); /* one that has ended stays so */
    cr_assert_eq(s.op, SAGA_OP_NONE);
    cr_assert_eq(s.outcome, row->outcome);
}

/* ---- a crash anywhere */
static struct saga_facts facts(struct model *m)
{
    struct container *c = by_name(m, NAME);

    return (struct saga_facts){.name_exists = c,
        .name_is_new = c && c == &m->new,
        .name_running = c && c->running,
        .old_exists = by_name(m, NAME_OLD),
        .new_exists = by_name(m, NAME_NEW)};
}

static unsigned long histories;

/* Runs on from here in every way: each operation goes well, or fails once (`faults` left), or is the last one
 * before a crash (`crashes` left), which the engine may have carried out or not; after a crash the machine
 * may have been started anew, with everything stopped, or with the old one started by its restart policy. */
static void every_way(struct model m, struct saga s, int faults, int crashes)
{
    while (s.op != SAGA_OP_NONE) {
        if (faults > 0)
            for (enum saga_result r = SAGA_FAILED; r <= SAGA_MISSING; r++) {
                struct model m2 = m;
                struct saga s2 = s;

                /* A missing container is one that is not there: that is what the person below is for. */
                if (r == SAGA_MISSING && s.op != SAGA_OP_CHECK_IMAGE && s.op != SAGA_OP_CREATE_NEW)
                    continue;
                one(&m2, &s2, r);
                every_way(m2, s2, faults - 1, crashes);
            }
        for (int effect = 0; crashes > 0 && effect < 2; effect++)
            for (int reboot = 0; reboot < 3; reboot++) {
                struct model m2 = m;
                struct saga s2 = s;
                struct saga_facts f;

                note(&m2, s.op);
                if (effect)
                    (void)perform(&m2, s.op);
                never_two(&m2);
                saga_step(&s2, SAGA_ENGINE_GONE, false);
                cr_assert_eq(s2.outcome, SAGA_SUSPENDED);
                if (reboot)
                    m2.old.running = m2.new.running = false;
                if (reboot == 2)
                    m2.old.running = m2.old.exists;
                note(&m2, SAGA_OP_NONE);
                f = facts(&m2);
                saga_resume(&s2, &f);
                every_way(m2, s2, faults, crashes - 1);
            }
        one(&m, &s, SAGA_OK);
    }
    histories++;
    check_end(&m, &s);
    cr_assert(s.outcome != SAGA_STUCK || m.failures > 0, "stuck without a failure: %s", m.trail);
}

Test(saga, crash_everywhere)
{
    for (int start = 0; start < 3; start++) {
        struct saga s;

        saga_begin(&s);
        every_way(model(start > 0, start > 1), s, 0, 3);
        every_way(model(start > 0, start > 1), s, 1, 2);
        every_way(model(start > 0, start > 1), s, 2, 1);
    }
    cr_assert_gt(histories, 10000);
}

/* Without failures and with the engine back, a redeploy that was cut once ends with the new one or the old
 * one running, never with neither. */
Test(saga, crash_leaves_one_running)
{
    for (size_t cut = 0; cut < 10; cut++)
        for (int effect = 0; effect < 2; effect++) {
            struct model m = model(true, true);
            struct saga_facts f;
            struct saga s;

            saga_begin(&s);
            for (size_t i = 0; i < cut; i++)
                one(&m, &s, SAGA_OK);
            if (effect)
                (void)perform(&m, s.op);
            f = facts(&m);
            saga_resume(&s, &f);
            run(&m, &s);
            check_end(&m, &s);
            cr_assert(m.old.running != m.new.running, "cut %zu: %s", cut, m.trail);
            cr_assert(!m.old.exists || !m.new.exists, "cut %zu: %s", cut, m.trail);
        }
}

/* ---- somebody removes a container while the saga runs */
Test(saga, removed_by_somebody)
{
    for (size_t when = 0; when < 12; when++)
        for (int which = 0; which < 2; which++)
            for (int verify_fails = 0; verify_fails < 2; verify_fails++) {
                struct model m = model(true, true);
                struct saga s;

                saga_begin(&s);
                for (size_t i = 0; s.op != SAGA_OP_NONE; i++) {
                    if (i == when)
                        (void)take_away(which ? &m.new : &m.old);
                    one(&m, &s, verify_fails && s.op == SAGA_OP_VERIFY ? SAGA_FAILED : SAGA_OK);
                }
                never_two(&m);
                if (which && m.old.exists && s.outcome != SAGA_DONE)
                    cr_assert(
                        m.old.running && m.old.name == NAME, "the old one was not brought back: %s", m.trail);
                if (!which && !verify_fails)
                    cr_assert(m.new.running &&m.new.name == NAME, "the new one does not serve: %s", m.trail);
            }
}

/* ---- what is on the engine and is no redeploy of ours */
Test(saga, somebody_elses_container)
{
    const struct saga_facts kept_aside = {.name_exists = true, .name_running = true, .old_exists = true};
    const struct saga_facts nothing = {0};
    struct saga s;

    saga_resume(&s, &kept_aside);
    cr_assert_eq(s.op, SAGA_OP_NONE);
    cr_assert_eq(s.outcome, SAGA_REFUSED);
    saga_resume(&s, &nothing);
    cr_assert_eq(s.outcome, SAGA_REFUSED);
}

Test(saga, names)
{
    for (int i = 0; i < _SAGA_OP_MAX; i++)
        cr_assert_str_neq(saga_op_to_string((enum saga_op)i), "?");
    cr_assert_str_eq(saga_op_to_string(_SAGA_OP_MAX), "?");
}
