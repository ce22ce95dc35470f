/* create_config.c: the fields of a create body that describe the container itself: image, names, labels,
 * signals, health check. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "filter/create_internal.h"
#include "filter/process.h"

#define IMAGE_REF_MAX 512
#define HOSTNAME_TOTAL_MAX 63 /* the kernel's limit is 64 */
#define DOMAINNAME_TOTAL_MAX 63
#define LABELS_MAX 128
#define LABEL_KEY_MAX 256
#define LABEL_VALUE_MAX ((size_t)16 * 1024)
#define LABEL_TOTAL_MAX ((size_t)64 * 1024)
#define STOP_TIMEOUT_MAX 60

int create_read_image(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;
    const char *s;
    int r = fields_text(v, IMAGE_REF_MAX, at, &s);

    if (r < 0)
        return r;
    if (*s && !policy_allows_image(c->policy, s))
        return refusal_set(at->refusal, 403, at->rule, "image %s is not on the allowlist", s);
    return str_set(&c->m->image, s);
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 1123: labels of letters, digits and inner '-', joined by dots. */
static bool is_dns_name(const char *s)
{
    while (true) {
        size_t n = strcspn(s, ".");

        if (n == 0 || n > 63 || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
            return false;
        for (size_t i = 0; i < n; i++)
            if (!is_alnum(s[i]) && s[i] != '-')
                return false;
        if (s[n] == '\0')
            return true;
        s += n + 1;
    }
}

static int read_dns_name(const json_t *v, size_t max, const struct field_at *at, char **ret)
{
    const char *s = json_string_value(v);

    if (*s && (json_string_length(v) > max || strlen(s) != json_string_length(v) || !is_dns_name(s)))
        return refusal_set(at->refusal, 400, at->rule,
            "a host name is letters, digits and '-' in parts joined by '.', at most %zu bytes", max);
    return str_set(ret, s);
}

int create_read_hostname(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return read_dns_name(v, HOSTNAME_TOTAL_MAX, at, &c->m->hostname);
}

int create_read_domainname(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    return read_dns_name(v, DOMAINNAME_TOTAL_MAX, at, &c->m->domainname);
}

/* "SIGTERM", "TERM", "SIGRTMIN+3", "15". */
static bool is_signal(const char *s)
{
    uint64_t n;

    if (str_parse_u64(s, 64, &n) >= 0)
        return n > 0 && s[0] != '0';
    if (str_startswith(s, "SIG"))
        s += 3;
    size_t name = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    if (name < 2 || name > 8 || (s[0] >= '0' && s[0] <= '9'))
        return false;
    s += name;
    if (*s == '+' || *s == '-')
        return str_parse_u64(s + 1, 32, &n) >= 0 && strlen(s) <= 3;
    return *s == '\0';
}

int create_read_stop_signal(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;
    const char *s;
    int r = fields_text(v, 16, at, &s);

    if (r < 0)
        return r;
    if (*s && !is_signal(s))
        return refusal_set(at->refusal, 400, at->rule, "%s is not a signal", s);
    return str_set(&c->m->stop_signal, s);
}

int create_read_stop_timeout(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;
    int64_t n;
    int r = fields_range(v, 0, STOP_TIMEOUT_MAX, at, &n);

    if (r < 0)
        return r;
    c->m->stop_timeout = (int)n;
    return 0;
}

/* A health check is a command that the engine runs unseen for ever: only the explicit "no check" may be
 * asked. */
static int read_test(void *ctx, const json_t *v, const struct field_at *at)
{
    const char *first = json_string_value(json_array_get(v, 0));

    (void)ctx;
    if (json_array_size(v) == 0 || (json_array_size(v) == 1 && str_eq(first, "NONE")))
        return 0;
    return refusal_set(at->refusal, 403, at->rule, "health checks are not allowed");
}

int create_read_healthcheck(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Test", FIELD_STRINGS, read_test},
        {"Interval", FIELD_INT, NULL},
        {"Timeout", FIELD_INT, NULL},
        {"StartPeriod", FIELD_INT, NULL},
        {"StartInterval", FIELD_INT, NULL},
        {"Retries", FIELD_INT, NULL},
    };
    static const struct field_table table = {"create.Healthcheck", rows, ARRAY_SIZE(rows), NULL};

    return fields_read(&table, v, ctx, at->refusal);
}

static int read_label(
    struct create_ctx *c, const char *key, const json_t *v, size_t *total, const struct field_at *at)
{
    const char *value = json_string_value(v);

    if (!value)
        return refusal_set(at->refusal, 400, at->rule, "a label's value must be a string");
    if (fields_folds(key, LABEL_TENANT) && strcmp(value, c->m->tenant) != 0)
        return refusal_set(at->refusal, 403, at->rule, "the label %s is written by clawsup", LABEL_TENANT);
    if (fields_folds_prefix(key, LABEL_PREFIX))
        return 0;
    if (!*key || !fields_is_clean(key) || strlen(value) != json_string_length(v))
        return refusal_set(at->refusal, 400, at->rule, "a label's key is empty or holds control bytes");
    if (strlen(key) > LABEL_KEY_MAX || json_string_length(v) > LABEL_VALUE_MAX)
        return refusal_set(at->refusal, 413, at->rule, "a label is too long");
    *total += strlen(key) + json_string_length(v);
    if (json_object_size(c->m->labels) >= LABELS_MAX || *total > LABEL_TOTAL_MAX)
        return refusal_set(at->refusal, 413, at->rule, "too many labels");
    return json_object_set_new(c->m->labels, key, json_string(value)) < 0 ? -ENOMEM : 0;
}

int create_read_labels(void *ctx, const json_t *v, const struct field_at *at)
{
    json_t *o = (json_t *)(uintptr_t)v; /* the iteration API takes a mutable object */
    size_t total = 0;
    int r = 0;

    for (void *it = json_object_iter(o); it && r >= 0; it = json_object_iter_next(o, it))
        r = read_label(ctx, json_object_iter_key(it), json_object_iter_value(it), &total, at);
    return r;
}
