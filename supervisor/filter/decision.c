/* decision.c: see decision.h. Outside text is cut and cleaned here, once, for every reader of the record. */
#include "filter/decision.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"

#define TEXT_MAX 512

const char *decision_verdict_to_string(enum decision_verdict v)
{
    static const char *const names[_DECISION_VERDICT_MAX] = {
        [DECISION_ALLOW] = "allow",
        [DECISION_REPORT] = "report",
        [DECISION_DENY] = "deny",
        [DECISION_ERROR] = "error",
    };

    return v >= 0 && v < _DECISION_VERDICT_MAX ? names[v] : "error";
}

/* At most `max` bytes of `s`, control bytes as '?'; when that is not valid UTF-8 (or was cut inside a
 * character), the bytes above 0x7f too. NULL when out of memory. */
static json_t *clean(const char *s, size_t max)
{
    _cleanup_free_ char *copy = strndup(s, max);
    json_t *j;

    if (!copy)
        return NULL;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    j = json_string(copy);
    if (j)
        return j;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c > 0x7e)
            *c = '?';
    return json_string(copy);
}

static int put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

static int put_text(json_t *o, const char *key, const char *s)
{
    return s ? put(o, key, clean(s, TEXT_MAX)) : 0;
}

/* The arguments up to the budget; "argv_cut" says that something is missing. */
static int put_argv(json_t *o, const json_t *argv)
{
    _cleanup_json_ json_t *out = json_array();
    size_t left = DECISION_ARGV_MAX, i;
    bool cut = false;

    if (!out)
        return -ENOMEM;
    for (i = 0; i < json_array_size(argv) && left > 0; i++) {
        const char *s = json_string_value(json_array_get(argv, i));
        size_t n = s ? strlen(s) : 0;

        if (json_array_append_new(out, clean(s ? s : "", left)) < 0)
            return -ENOMEM;
        cut |= n > left;
        /* Each item costs its quotes and comma too, so that empty ones are bounded. */
        left -= MIN(left, n + 3);
    }
    if ((cut || i < json_array_size(argv)) && put(o, "argv_cut", json_true()) < 0)
        return -ENOMEM;
    return put(o, "argv", TAKE_PTR(out));
}

static int put_env(json_t *o, const json_t *env)
{
    _cleanup_json_ json_t *out = json_array();
    size_t n = MIN(json_array_size(env), (size_t)DECISION_ENV_MAX);

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(env, i));

        if (s && json_array_append_new(out, clean(s, MIN(strcspn(s, "="), (size_t)64))) < 0)
            return -ENOMEM;
    }
    return put(o, "env", TAKE_PTR(out));
}

int decision_to_json(const struct decision *d, json_t **ret)
{
    const struct {
        const char *key, *value;
    } texts[] = {{"tenant", d->tenant}, {"peer", d->peer}, {"method", d->method}, {"route", d->route},
        {"path", d->path}, {"object", d->object_id}, {"image", d->image}, {"rule", d->rule},
        {"reason", d->reason}};
    _cleanup_json_ json_t *o = json_pack("{s:s, s:I, s:s, s:I}", "type", "decision", "time_us",
        (json_int_t)d->time_us, "decision", decision_verdict_to_string(d->verdict), "latency_us",
        (json_int_t)MIN(d->latency_us, (uint64_t)INT64_MAX));
    int r = o ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
        r = put_text(o, texts[i].key, texts[i].value);
    if (r >= 0 && d->status > 0)
        r = put(o, "status", json_integer(d->status));
    if (r >= 0 && json_array_size(d->argv) > 0)
        r = put_argv(o, d->argv);
    if (r >= 0 && json_array_size(d->env) > 0)
        r = put_env(o, d->env);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}
