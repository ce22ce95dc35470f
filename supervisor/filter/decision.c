/* decision.c: see decision.h. Outside text is cut and cleaned here, once, for every reader of the record. */
#include "filter/decision.h"

#include <errno.h>
#include <string.h>

#include "base/jout.h"
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

/* Most text is plain ASCII, and is written as it is. */
static void write_text(struct jout *o, const char *s, size_t max)
{
    _cleanup_json_ json_t *cleaned = NULL;
    size_t n = 0;

    while (n < max && s[n] >= ' ' && s[n] < 0x7f)
        n++;
    if (n == max || !s[n]) {
        jout_stringn(o, s, n);
        return;
    }
    cleaned = clean(s, max);
    if (cleaned)
        jout_string(o, json_string_value(cleaned));
    else if (o->error >= 0)
        o->error = -ENOMEM;
}

static void write_member(struct jout *o, const char *key, const char *s)
{
    if (!s)
        return;
    jout_key(o, key);
    write_text(o, s, TEXT_MAX);
}

static void write_number(struct jout *o, const char *key, int64_t n)
{
    jout_key(o, key);
    jout_number(o, n);
}

/* The arguments up to the budget; "argv_cut" says that something is missing. */
static void write_argv(struct jout *o, const json_t *argv)
{
    size_t left = DECISION_ARGV_MAX, i;
    bool cut = false;

    jout_key(o, "argv");
    jout_open(o, '[');
    for (i = 0; i < json_array_size(argv) && left > 0; i++) {
        const char *s = json_string_value(json_array_get(argv, i));
        size_t n = s ? strlen(s) : 0;

        write_text(o, s ? s : "", left);
        cut |= n > left;
        /* Each item costs its quotes and comma too, so that empty ones are bounded. */
        left -= MIN(left, n + 3);
    }
    jout_close(o, ']');
    if (cut || i < json_array_size(argv)) {
        jout_key(o, "argv_cut");
        jout_raw(o, "true", 4);
    }
}

static void write_env(struct jout *o, const json_t *env)
{
    size_t n = MIN(json_array_size(env), (size_t)DECISION_ENV_MAX);

    jout_key(o, "env");
    jout_open(o, '[');
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(env, i));

        if (s)
            write_text(o, s, MIN(strcspn(s, "="), (size_t)64));
    }
    jout_close(o, ']');
}

int decision_write(const struct decision *d, struct buf *out)
{
    const struct {
        const char *key, *value;
    } texts[] = {{"tenant", d->tenant}, {"peer", d->peer}, {"method", d->method}, {"route", d->route},
        {"path", d->path}, {"object", d->object_id}, {"image", d->image}, {"rule", d->rule},
        {"reason", d->reason}};
    struct jout o = {.out = out};
    size_t before = out->len;

    jout_open(&o, '{');
    write_member(&o, "type", "decision");
    write_number(&o, "time_us", (int64_t)d->time_us);
    write_member(&o, "decision", decision_verdict_to_string(d->verdict));
    write_number(&o, "latency_us", (int64_t)MIN(d->latency_us, (uint64_t)INT64_MAX));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        write_member(&o, texts[i].key, texts[i].value);
    if (d->status > 0)
        write_number(&o, "status", d->status);
    if (json_array_size(d->argv) > 0)
        write_argv(&o, d->argv);
    if (json_array_size(d->env) > 0)
        write_env(&o, d->env);
    jout_close(&o, '}');
    if (o.error < 0)
        buf_truncate(out, before);
    return o.error;
}
