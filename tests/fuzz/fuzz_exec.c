/* fuzz_exec.c: any body as an exec create, an exec start or an update (the first byte chooses); what is
 * accepted must be rendered, and be accepted again unchanged. */
#include <string.h>

#include "base/json.h"
#include "filter/exec.h"
#include "filter/update.h"
#include "fuzz.h"

static json_t *load(const char *text)
{
    json_t *j = NULL;

    FUZZ_CHECK(json_load_strict(text, strlen(text), (size_t)4 << 20, &j, NULL) >= 0);
    return j;
}

static void try_exec(const struct policy *p, const json_t *body)
{
    _cleanup_exec_model_ struct exec_model *m = NULL, *again = NULL;
    _cleanup_free_ char *text = NULL, *second = NULL;
    _cleanup_json_ json_t *out = NULL;
    struct refusal r = {0};

    if (exec_parse(p, body, &m, &r) < 0) {
        FUZZ_CHECK(r.status && r.rule[0] && r.reason[0]);
        return;
    }
    FUZZ_CHECK(exec_render(m, 44, &text) >= 0);
    out = load(text);
    FUZZ_CHECK(json_is_false(json_object_get(out, "Privileged")));
    FUZZ_CHECK(exec_parse(p, out, &again, &r) >= 0 && exec_render(again, 44, &second) >= 0);
    FUZZ_CHECK(strcmp(text, second) == 0);
}

static void try_start(const json_t *body)
{
    _cleanup_free_ char *text = NULL, *second = NULL;
    _cleanup_json_ json_t *out = NULL;
    struct exec_start s = {0}, again = {0};

    if (exec_parse_start(body, &s, NULL) < 0)
        return;
    FUZZ_CHECK(exec_render_start(&s, 44, &text) >= 0);
    out = load(text);
    FUZZ_CHECK(exec_parse_start(out, &again, NULL) >= 0 && exec_render_start(&again, 44, &second) >= 0);
    FUZZ_CHECK(strcmp(text, second) == 0);
}

static void try_update(const struct policy *p, const json_t *body)
{
    _cleanup_free_ char *text = NULL;
    struct update_model u = {0};

    if (update_parse(p, body, &u, NULL) < 0)
        return;
    FUZZ_CHECK(u.memory_bytes <= p->memory_bytes && u.nano_cpus <= p->nano_cpus && u.pids <= p->pids);
    FUZZ_CHECK(update_render(&u, &text) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_policy_ struct policy *p = policy_new("a");
    _cleanup_json_ json_t *body = NULL;

    FUZZ_CHECK(p);
    p->allow_update = true;
    if (size < 1 || json_load_strict((const char *)data + 1, size - 1, EXEC_BODY_MAX, &body, NULL) < 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        try_exec(p, body);
        break;
    case 1:
        try_start(body);
        break;
    default:
        try_update(p, body);
        break;
    }
    return 0;
}
