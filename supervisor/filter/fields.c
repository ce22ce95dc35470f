/* fields.c: see fields.h. Reads by table; decides nothing about a value beyond its type and its limits. */
#include "filter/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

/* One folded character of `*s`, which moves past it: ASCII lower case, or 0x80 for anything else. */
static unsigned char fold_next(const unsigned char **s)
{
    const unsigned char *p = *s;

    if (p[0] == 0xc5 && p[1] == 0xbf) { /* U+017F, long s */
        *s += 2;
        return 's';
    }
    if (p[0] == 0xe2 && p[1] == 0x84 && p[2] == 0xaa) { /* U+212A, Kelvin */
        *s += 3;
        return 'k';
    }
    *s += 1;
    if (p[0] >= 'A' && p[0] <= 'Z')
        return (unsigned char)(p[0] + ('a' - 'A'));
    return p[0] < 0x80 ? p[0] : 0x80;
}

bool fields_folds_prefix(const char *key, const char *prefix)
{
    const unsigned char *k = (const unsigned char *)key, *p = (const unsigned char *)prefix;

    while (*p)
        if (!*k || fold_next(&k) != fold_next(&p))
            return false;
    return true;
}

bool fields_folds(const char *key, const char *canonical)
{
    const unsigned char *k = (const unsigned char *)key, *c = (const unsigned char *)canonical;

    while (*k && *c)
        if (fold_next(&k) != fold_next(&c))
            return false;
    return !*k && !*c;
}

bool fields_is_clean(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    return true;
}

static const struct field *find(const struct field_table *t, const char *key, bool *ret_folded)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->rows[i].key, key) == 0)
            return &t->rows[i];
        if (fields_folds(key, t->rows[i].key))
            *ret_folded = true;
    }
    return NULL;
}

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            return false;
    return true;
}

static const char *type_name(enum field_type t)
{
    static const char *const names[_FIELD_TYPE_MAX] = {
        [FIELD_ZERO] = "absent",
        [FIELD_BOOL] = "a boolean",
        [FIELD_INT] = "an integer",
        [FIELD_STRING] = "a string",
        [FIELD_STRINGS] = "an array of strings",
        [FIELD_ARRAY] = "an array",
        [FIELD_OBJECT] = "an object",
        [FIELD_ANY] = "anything",
    };
    return names[t];
}

static bool all_strings(const json_t *a)
{
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!json_is_string(json_array_get(a, i)))
            return false;
    return true;
}

static bool has_type(enum field_type t, const json_t *v)
{
    switch (t) {
    case FIELD_BOOL:
        return json_is_boolean(v);
    case FIELD_INT:
        return json_is_integer(v);
    case FIELD_STRING:
        return json_is_string(v);
    case FIELD_STRINGS:
        return json_is_array(v) && all_strings(v);
    case FIELD_ARRAY:
        return json_is_array(v);
    case FIELD_OBJECT:
        return json_is_object(v);
    case FIELD_ZERO:
    case FIELD_ANY:
    case _FIELD_TYPE_MAX:
    default:
        return true;
    }
}

static int read_row(const struct field *f, const json_t *v, void *ctx, const struct field_at *at)
{
    if (json_is_null(v))
        return 0;
    if (f->type == FIELD_ZERO) {
        if (json_is_zero(v))
            return 0;
        return refusal_set(at->refusal, 403, at->rule, "%s is not allowed", f->key);
    }
    if (!has_type(f->type, v))
        return refusal_set(at->refusal, 400, at->rule, "%s must be %s", f->key, type_name(f->type));
    return f->read ? f->read(ctx, v, at) : 0;
}

static int read_key(
    const struct field_table *t, const char *key, const json_t *v, void *ctx, struct refusal *refusal)
{
    const struct field *f, *elsewhere = NULL;
    bool folded = false;
    char rule[sizeof(refusal->rule)];
    struct field_at at = {rule, refusal};

    (void)snprintf(rule, sizeof(rule), "%s.%s", t->where, key);
    if (!is_ascii(key))
        return refusal_set(refusal, 400, rule, "a key of %s is not ASCII", t->where);
    f = find(t, key, &folded);
    if (f)
        return read_row(f, v, ctx, &at);
    if (t->misplaced)
        elsewhere = find(t->misplaced, key, &folded);
    if (folded)
        return refusal_set(refusal, 400, rule, "%s is a known field in another spelling", key);
    if (json_is_zero(v))
        return 0;
    if (elsewhere)
        return refusal_set(refusal, 403, rule, "%s is not allowed outside HostConfig", key);
    return refusal_set(refusal, 403, rule, "%s is not a known field", key);
}

int fields_read(const struct field_table *t, const json_t *obj, void *ctx, struct refusal *refusal)
{
    void *it;

    if (!obj || json_is_null(obj))
        return 0;
    if (!json_is_object(obj))
        return refusal_set(refusal, 400, t->where, "%s must be an object", t->where);
    /* jansson's iteration API takes a mutable object, though it changes nothing. */
    json_t *o = json_incref((json_t *)(uintptr_t)obj);
    int r = 0;
    for (it = json_object_iter(o); it && r >= 0; it = json_object_iter_next(o, it))
        r = read_key(t, json_object_iter_key(it), json_object_iter_value(it), ctx, refusal);
    json_decref(o);
    return r;
}

int fields_strings(
    const json_t *in, const struct field_limits *l, bool raw, const struct field_at *at, json_t **ret)
{
    _cleanup_json_ json_t *out = json_array();
    size_t n = json_array_size(in), total = 0;

    if (!out)
        return -ENOMEM;
    if (n > l->items)
        return refusal_set(at->refusal, 413, at->rule, "more than %zu items", l->items);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(in, i);
        size_t len = json_string_length(s);

        if (len > l->item_bytes)
            return refusal_set(at->refusal, 413, at->rule, "an item above %zu bytes", l->item_bytes);
        total += len;
        if (total > l->total_bytes)
            return refusal_set(at->refusal, 413, at->rule, "more than %zu bytes", l->total_bytes);
        if (strlen(json_string_value(s)) != len || (!raw && !fields_is_clean(json_string_value(s))))
            return refusal_set(at->refusal, 400, at->rule, "control bytes are not allowed");
        if (json_array_append_new(out, json_stringn(json_string_value(s), len)) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(out);
    return 0;
}

int fields_text(const json_t *in, size_t max, const struct field_at *at, const char **ret)
{
    const char *s = json_string_value(in);

    if (!s || strlen(s) != json_string_length(in) || !fields_is_clean(s))
        return refusal_set(at->refusal, 400, at->rule, "control bytes are not allowed");
    if (json_string_length(in) > max)
        return refusal_set(at->refusal, 413, at->rule, "longer than %zu bytes", max);
    *ret = s;
    return 0;
}

int fields_range(const json_t *in, int64_t min, int64_t max, const struct field_at *at, int64_t *ret)
{
    int64_t v = json_integer_value(in);

    if (v < min || v > max)
        return refusal_set(at->refusal, 403, at->rule,
            "%" PRId64 " is not allowed (%" PRId64 " to %" PRId64 ")", v, min, max);
    *ret = v;
    return 0;
}
