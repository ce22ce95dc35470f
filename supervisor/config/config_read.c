/* config_read.c: walks libconfig settings along a schema, sets values, collects findings. It knows types, not
 * meanings; it never stops at the first error. Numbers are libconfig's ints and int64s: config_scan.c has
 * refused what libconfig would have cut. */
#include "config/config_read.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define STRV_MAX 256

/* ---------------------------------------------------------------- values */

static int set_enum(const struct config_key *k, unsigned *at, const char *text)
{
    for (unsigned i = 0; k->names[i]; i++)
        if (str_eq(k->names[i], text)) {
            *at = i;
            return 0;
        }
    return -EINVAL;
}

/* Sizes and durations are never written without a unit, though the parser of sizes would take it. */
static int parse_number(const struct config_key *k, const char *text, uint64_t *ret)
{
    size_t n = strlen(text);
    bool unit = n > 0 && !(text[n - 1] >= '0' && text[n - 1] <= '9');

    if ((k->flags & CONFIG_KEY_UNLIMITED) && str_eq(text, "unlimited")) {
        *ret = 0;
        return 1;
    }
    if (k->type == CONFIG_KEY_DURATION)
        return str_parse_duration(text, ret);
    if (k->type == CONFIG_KEY_SIZE)
        return unit ? str_parse_size(text, ret) : -EINVAL;
    if (k->type == CONFIG_KEY_CPUS)
        return str_parse_cpus(text, ret);
    return str_parse_u64(text, UINT64_MAX, ret);
}

static int set_number(const struct config_key *k, void *at, const char *text)
{
    uint64_t v;
    int r = parse_number(k, text, &v);

    if (r < 0)
        return r;
    if (r == 0 && (v < k->min || (k->max && v > k->max)))
        return -ERANGE;
    if (k->type == CONFIG_KEY_U32)
        *(uint32_t *)at = (uint32_t)v;
    else
        *(uint64_t *)at = v;
    return 0;
}

int config_key_set(const struct config_key *k, void *at, const char *text)
{
    switch (k->type) {
    case CONFIG_KEY_STRING:
        return str_set(at, text);
    case CONFIG_KEY_BOOL:
        if (!str_eq(text, "true") && !str_eq(text, "false"))
            return -EINVAL;
        *(bool *)at = str_eq(text, "true");
        return 0;
    case CONFIG_KEY_U32:
    case CONFIG_KEY_U64:
    case CONFIG_KEY_DURATION:
    case CONFIG_KEY_SIZE:
    case CONFIG_KEY_CPUS:
        return set_number(k, at, text);
    case CONFIG_KEY_ENUM:
        return set_enum(k, at, text);
    case CONFIG_KEY_STRV:
    case CONFIG_KEY_LIST:
    case CONFIG_KEY_GROUP:
    case CONFIG_KEY_CUSTOM:
    case _CONFIG_KEY_TYPE_MAX:
    default:
        return -EINVAL;
    }
}

/* ---------------------------------------------------------------- settings */

static const char *found_name(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_GROUP:
        return "a group { ... }";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
    case CONFIG_TYPE_FLOAT:
        return "a number";
    case CONFIG_TYPE_STRING:
        return "a text";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    default:
        return "a list";
    }
}

static const char *wanted_name(const struct config_key *k)
{
    static const char *const names[_CONFIG_KEY_TYPE_MAX] = {
        [CONFIG_KEY_STRING] = "a text in quotes",
        [CONFIG_KEY_BOOL] = "true or false",
        [CONFIG_KEY_U32] = "a whole number",
        [CONFIG_KEY_U64] = "a whole number",
        [CONFIG_KEY_DURATION] = "a duration (units us, ms, s, m, h, d)",
        [CONFIG_KEY_SIZE] = "a size (units B, K, M, G, T)",
        [CONFIG_KEY_CPUS] = "a number of CPUs with at most three decimals",
        [CONFIG_KEY_ENUM] = "one of the names",
        [CONFIG_KEY_STRV] = "a list of texts",
        [CONFIG_KEY_LIST] = "a list of texts",
        [CONFIG_KEY_GROUP] = "a group",
        [CONFIG_KEY_CUSTOM] = "another form",
    };

    return names[k->type];
}

/* An example of the right side, good enough to be copied. */
static void form_of(const struct config_key *k, char *out, size_t n)
{
    size_t used = 0;

    if (k->form) {
        (void)snprintf(out, n, "%s", k->form);
    } else if (k->type == CONFIG_KEY_ENUM) {
        *out = '\0';
        for (unsigned i = 0; k->names[i] && used < n; i++)
            used += (size_t)snprintf(out + used, n - used, "%s\"%s\"", i ? " or " : "", k->names[i]);
    } else if (k->type == CONFIG_KEY_BOOL) {
        (void)snprintf(out, n, "true or false");
    } else if (k->type == CONFIG_KEY_GROUP) {
        (void)snprintf(out, n, "{ ... };");
    } else if (k->type == CONFIG_KEY_STRV || k->type == CONFIG_KEY_LIST) {
        (void)snprintf(out, n, "[ \"...\", \"...\" ]");
    } else if (k->type == CONFIG_KEY_U32 || k->type == CONFIG_KEY_U64 || k->type == CONFIG_KEY_CPUS) {
        (void)snprintf(out, n, "%s", k->def ? k->def : "1");
    } else {
        (void)snprintf(out, n, "\"%s\"", k->def ? k->def : "...");
    }
}

static void wrong_form(struct config_reader *r, const config_setting_t *s, const struct config_key *k)
{
    char form[160];

    form_of(k, form, sizeof(form));
    config_finding(
        r, s, "%s found, %s expected; write %s = %s", found_name(s), wanted_name(k), k->name, form);
}

/* The text of one end of a key's range, as one would write it. */
static void limit_text(const struct config_key *k, uint64_t v, char *out, size_t n)
{
    char t[32];

    if (k->type == CONFIG_KEY_DURATION) {
        str_format_duration(t, sizeof(t), v);
        (void)snprintf(out, n, "\"%s\"", t);
    } else if (k->type == CONFIG_KEY_SIZE) {
        str_format_size(t, sizeof(t), v);
        (void)snprintf(out, n, "\"%s\"", t);
    } else {
        (void)snprintf(out, n, "%llu", (unsigned long long)v);
    }
}

static void out_of_range(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, const char *text)
{
    char min[40], max[40];

    limit_text(k, k->min, min, sizeof(min));
    limit_text(k, k->max, max, sizeof(max));
    if (k->type == CONFIG_KEY_CPUS)
        config_finding(r, s, "%s is out of range; 0.01 to 1024 CPUs", text);
    else if (k->max)
        config_finding(r, s, "%s is out of range; %s to %s", text, min, max);
    else
        config_finding(r, s, "%s is out of range; at least %s", text, min);
}

const char *config_read_text(struct config_reader *r, const config_setting_t *s, const struct config_key *k)
{
    const char *text = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : NULL;
    const char *valid;

    if (!text) {
        wrong_form(r, s, k);
        return NULL;
    }
    valid = k->check ? k->check(text) : NULL;
    if (valid) {
        config_finding(r, s, "%s is not valid; %s", config_quote(text).text, valid);
        return NULL;
    }
    return text;
}

static void read_string(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const char *text = config_read_text(r, s, k);

    if (text && config_key_set(k, at, text) < 0)
        r->oom = -ENOMEM;
}

static void read_bool(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    if (config_setting_type(s) == CONFIG_TYPE_BOOL)
        *(bool *)at = config_setting_get_bool(s) != 0;
    else
        wrong_form(r, s, k);
}

static void bare_number(struct config_reader *r, const config_setting_t *s, const struct config_key *k)
{
    long long v = config_setting_type(s) == CONFIG_TYPE_FLOAT ? 0 : config_setting_get_int64(s);
    char form[160];

    form_of(k, form, sizeof(form));
    if (v > 0 && k->type == CONFIG_KEY_DURATION)
        (void)snprintf(form, sizeof(form), "\"%llds\"", v);
    config_finding(
        r, s, "a bare number has no unit, %s expected; write %s = %s", wanted_name(k), k->name, form);
}

/* libconfig holds 1.1 as a double: back to the three decimals that were written, or refused. */
static bool float_text(double v, char *out, size_t n)
{
    double milli = v * 1000.0;

    if (!(v > 0 && v < 1e6) || milli - (double)(uint64_t)(milli + 0.5) > 1e-6 ||
        (double)(uint64_t)(milli + 0.5) - milli > 1e-6)
        return false;
    (void)snprintf(out, n, "%.3f", v);
    return true;
}

static void read_number(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    bool unit = k->type == CONFIG_KEY_DURATION || k->type == CONFIG_KEY_SIZE;
    int type = config_setting_type(s), e;
    char buf[40];
    const char *text = buf, *shown = buf;
    struct config_quoted q;

    if (type == CONFIG_TYPE_STRING &&
        (unit || k->type == CONFIG_KEY_CPUS || (k->flags & CONFIG_KEY_UNLIMITED))) {
        text = config_setting_get_string(s);
        q = config_quote(text);
        shown = q.text;
    } else if (unit && (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 || type == CONFIG_TYPE_FLOAT)) {
        bare_number(r, s, k);
        return;
    } else if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) {
        (void)snprintf(buf, sizeof(buf), "%lld", config_setting_get_int64(s));
    } else if (type != CONFIG_TYPE_FLOAT || k->type != CONFIG_KEY_CPUS ||
               !float_text(config_setting_get_float(s), buf, sizeof(buf))) {
        wrong_form(r, s, k);
        return;
    }
    e = text[0] == '-' && !unit ? -ERANGE : config_key_set(k, at, text);
    if (e == -ERANGE) {
        out_of_range(r, s, k, shown);
    } else if (e < 0) {
        char form[160];
        form_of(k, form, sizeof(form));
        config_finding(r, s, "%s is not %s; write %s = %s", shown, wanted_name(k), k->name, form);
    }
}

static void read_enum(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const char *text = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : NULL;
    char form[160];

    if (!text) {
        wrong_form(r, s, k);
    } else if (config_key_set(k, at, text) < 0) {
        form_of(k, form, sizeof(form));
        config_finding(r, s, "%s is not valid; write %s = %s", config_quote(text).text, k->name, form);
    }
}

int config_read_count(struct config_reader *r, const config_setting_t *s, const struct config_key *k)
{
    uint64_t max = k->max ? k->max : k->type == CONFIG_KEY_LIST ? POLICY_LIST_MAX : STRV_MAX;
    int n;

    if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
        wrong_form(r, s, k);
        return -EINVAL;
    }
    n = config_setting_length(s);
    if ((uint64_t)n > max) {
        config_finding(r, s, "%d entries; at most %llu", n, (unsigned long long)max);
        return -EINVAL;
    }
    return n;
}

static void read_list(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct config_strv v = {};
    struct policy_list l = {};
    int n = config_read_count(r, s, k), e = 0;

    if (n < 0)
        return;
    for (int i = 0; i < n && e >= 0; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        size_t mark = config_path_push_index(r, (size_t)i);
        const char *text = config_read_text(r, item, k);

        config_loc_record(r, item);
        config_path_pop(r, mark);
        if (!text)
            continue;
        e = k->type == CONFIG_KEY_STRV ? config_strv_add(&v, text) : policy_list_add(&l, text);
    }
    if (e < 0)
        r->oom = -ENOMEM;
    /* The list of a tenant replaces the one from `defaults`: swapped in, the old one freed. */
    if (k->type == CONFIG_KEY_STRV) {
        struct config_strv old = *(struct config_strv *)at;
        *(struct config_strv *)at = v;
        config_strv_free(&old);
    } else {
        struct policy_list old = *(struct policy_list *)at;
        *(struct policy_list *)at = l;
        for (size_t i = 0; i < old.n; i++)
            free(old.items[i]);
        free(old.items);
    }
}

static void read_subgroup(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    if (config_setting_is_group(s))
        config_read_group(r, s, k->group, at);
    else
        wrong_form(r, s, k);
}

static void read_custom(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    k->read(r, s, k, at);
}

static void unknown_key(
    struct config_reader *r, const config_setting_t *s, const struct config_schema *schema)
{
    _cleanup_buf_ struct buf names = {.limit = 4096};
    const char *name = config_setting_name(s), *best = NULL;
    unsigned best_distance = 3;
    int e = 0;

    for (size_t i = 0; i < schema->n; i++) {
        unsigned d = str_distance(name, schema->keys[i].name);

        if (d < best_distance && d < strlen(schema->keys[i].name)) {
            best = schema->keys[i].name;
            best_distance = d;
        }
        if (e >= 0)
            e = buf_addf(&names, "%s%s", i ? ", " : "", schema->keys[i].name);
    }
    if (best)
        config_finding(r, s, "unknown key %s; did you mean \"%s\"?", config_quote(name).text, best);
    else
        config_finding(
            r, s, "unknown key %s; known here: %s", config_quote(name).text, e < 0 ? "" : names.data);
}

static void *key_address(struct config_reader *r, const struct config_key *k, void *base)
{
    if (k->base == CONFIG_BASE_POLICY)
        return (char *)r->tenant->policy + k->offset;
    if (k->base == CONFIG_BASE_TENANT)
        return (char *)r->tenant + k->offset;
    return (char *)base + k->offset;
}

void config_read_group(
    struct config_reader *r, const config_setting_t *s, const struct config_schema *schema, void *base)
{
    static const config_read_fn readers[_CONFIG_KEY_TYPE_MAX] = {
        [CONFIG_KEY_STRING] = read_string,
        [CONFIG_KEY_BOOL] = read_bool,
        [CONFIG_KEY_U32] = read_number,
        [CONFIG_KEY_U64] = read_number,
        [CONFIG_KEY_DURATION] = read_number,
        [CONFIG_KEY_SIZE] = read_number,
        [CONFIG_KEY_CPUS] = read_number,
        [CONFIG_KEY_ENUM] = read_enum,
        [CONFIG_KEY_STRV] = read_list,
        [CONFIG_KEY_LIST] = read_list,
        [CONFIG_KEY_GROUP] = read_subgroup,
        [CONFIG_KEY_CUSTOM] = read_custom,
    };
    int n = config_setting_length(s);

    for (int i = 0; i < n; i++) {
        const config_setting_t *m = config_setting_get_elem(s, (unsigned)i);
        const struct config_key *k = NULL;
        size_t mark;

        for (size_t j = 0; j < schema->n && !k; j++)
            if (str_eq(schema->keys[j].name, config_setting_name(m)))
                k = &schema->keys[j];
        if (!k) {
            unknown_key(r, m, schema);
            continue;
        }
        mark = config_path_push(r, k->name);
        config_loc_record(r, m);
        if (r->in_defaults && (k->flags & CONFIG_KEY_PER_TENANT))
            config_finding(
                r, m, "has a different value for each tenant; write it into the tenant's own file");
        else
            readers[k->type](r, m, k, key_address(r, k, base));
        config_path_pop(r, mark);
    }
}
