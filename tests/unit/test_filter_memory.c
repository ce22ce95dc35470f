/* test_filter_memory.c: the nth allocation of jansson fails, for every n until the work succeeds: each
 * failure is an error without a result, never a crash or half a body. Nothing is parsed while allocations
 * fail: jansson 2.14's own lexer does not survive that. */
#include <criterion/criterion.h>

#include <errno.h>

#include "filter/create.h"
#include "filter/decision.h"
#include "filter/exec.h"
#include "filter_fixture.h"

static size_t left; /* allocations until one fails; 0: none fails */

static void *failing_malloc(size_t n)
{
    if (left > 0 && --left == 0)
        return NULL;
    return malloc(n);
}

static void limit(size_t n)
{
    left = n;
    json_set_alloc_funcs(failing_malloc, free);
}

static void unlimited(void)
{
    left = 0;
}

/* A document with which something is done; 0 when it was done, or what it returned. */
typedef int (*work_fn)(const json_t *in);

static int work_create(const json_t *in)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = NULL;
    _cleanup_free_ char *text = NULL;
    int r = create_parse(p, "box", in, &m, NULL);

    if (r >= 0)
        r = create_set_image(m, FIXTURE_IMAGE);
    for (size_t i = 0; r >= 0 && i < m->n_binds; i++)
        r = create_set_staged(m, i, "/staged");
    return r >= 0 ? create_render(m, 44, &text) : r;
}

static int work_exec(const json_t *in)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_exec_model_ struct exec_model *m = NULL;
    _cleanup_free_ char *text = NULL;
    int r = exec_parse(p, in, &m, NULL);

    return r >= 0 ? exec_render(m, 44, &text) : r;
}

static int work_policy(const json_t *in)
{
    _cleanup_policy_ struct policy *p = fixture_policy(), *back = NULL;
    _cleanup_json_ json_t *j = NULL;
    int r = policy_to_json(p, &j);

    (void)in;
    return r >= 0 ? policy_from_json(j, &back, NULL) : r;
}

static int work_decision(const json_t *in)
{
    struct decision d = {.tenant = "a",
        .peer = "\xff",
        .path = "\x01",
        .reason = "\xc3\xa9",
        .argv = json_object_get(in, "Cmd"),
        .env = json_object_get(in, "Env")};
    _cleanup_buf_ struct buf out = {0};

    return decision_write(&d, &out);
}

static void exhaust(const char *file, work_fn work)
{
    _cleanup_json_ json_t *in = fixture_file(file);
    int r = -ENOMEM;
    json_t *row;
    size_t n, i;

    /* This label is JSON of its own and would be parsed. */
    json_object_del(json_object_get(json_object_get(in, "Config"), "Labels"), LABEL_BINDS);
    json_array_foreach(in, i, row) json_object_del(json_object_get(row, "Labels"), LABEL_BINDS);
    for (n = 1; r < 0 && n < 100000; n++) {
        limit(n);
        r = work(in);
        bool failed = left == 0;
        unlimited();
        cr_expect(r == 0 || r == -ENOMEM, "allocation %zu: %d", n, r);
        cr_expect(r == 0 || failed, "allocation %zu", n);
    }
    cr_expect_eq(r, 0);
    cr_expect_gt(n, 3);
}

Test(filter_memory, create)
{
    exhaust("cli/create-282-openclaw.json", work_create);
    exhaust("cli/create-282-run.json", work_create);
}

Test(filter_memory, exec)
{
    exhaust("cli/exec-282-user.json", work_exec);
}

Test(filter_memory, policy)
{
    exhaust("engine/list.json", work_policy);
}

Test(filter_memory, decision)
{
    exhaust("cli/create-282-openclaw.json", work_decision);
}
