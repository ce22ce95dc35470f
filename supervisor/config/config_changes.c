/* config_changes.c: the keys in which two loads differ, with their values as they would be written. What may
 * hold a secret is named, never shown. Pure. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/config_schema.h"
#include "config/config_value.h"

#define SHOWN_MAX 200

struct differ {
    const struct config_tenant *a, *b;
    config_changed_fn fn;
    void *userdata;
    char path[128];
};

static bool is_secret(const char *path)
{
    return strcmp(path, "gateway.env") == 0 || strstr(path, ".env") != NULL;
}

static int add_list(struct buf *b, char *const *items, size_t n)
{
    TRY(buf_adds(b, "["));
    for (size_t i = 0; i < n; i++)
        TRY(buf_addf(b, "%s \"%s\"", i > 0 ? "," : "", items[i]));
    return buf_adds(b, " ]");
}

static int add_string(struct buf *b, const char *s)
{
    return s ? buf_addf(b, "\"%s\"", s) : buf_adds(b, "not set");
}

/* The value at `at`; -EOPNOTSUPP: it has no short form. */
static int format(struct buf *b, const struct config_key *k, const void *at)
{
    const struct config_strv *v = at;
    const struct policy_list *l = at;
    char text[64];
    uint64_t n;

    switch (k->type) {
    case CONFIG_KEY_STRING:
        return add_string(b, *(char *const *)at);
    case CONFIG_KEY_BOOL:
        return buf_adds(b, *(const bool *)at ? "true" : "false");
    case CONFIG_KEY_U32:
        return buf_addf(b, "%" PRIu32, *(const uint32_t *)at);
    case CONFIG_KEY_ENUM:
        return add_string(b, k->names[*(const uint32_t *)at]);
    case CONFIG_KEY_U64:
    case CONFIG_KEY_DURATION:
    case CONFIG_KEY_SIZE:
    case CONFIG_KEY_CPUS:
        n = *(const uint64_t *)at;
        if (n == 0 && (k->flags & CONFIG_KEY_UNLIMITED))
            return buf_adds(b, "\"unlimited\"");
        if (k->type == CONFIG_KEY_U64)
            return buf_addf(b, "%" PRIu64, n);
        if (k->type == CONFIG_KEY_CPUS)
            return buf_addf(b, "%.3g", (double)n / 1e9);
        if (k->type == CONFIG_KEY_DURATION)
            str_format_duration(text, sizeof(text), n);
        else
            str_format_size(text, sizeof(text), n);
        return add_string(b, text);
    case CONFIG_KEY_STRV:
        return add_list(b, v->items, v->n);
    case CONFIG_KEY_LIST:
        return add_list(b, l->items, l->n);
    case CONFIG_KEY_CUSTOM:
    case CONFIG_KEY_GROUP:
    case _CONFIG_KEY_TYPE_MAX:
    default:
        return -EOPNOTSUPP;
    }
}

static bool lists_equal(const struct policy_list *a, const struct policy_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(a->items[i], b->items[i]))
            return false;
    return true;
}

static const void *base_of(const struct config_key *k, const void *group, const struct config_tenant *t)
{
    return k->base == CONFIG_BASE_TENANT   ? (const void *)t
           : k->base == CONFIG_BASE_POLICY ? (const void *)t->policy
                                           : group;
}

static int tell(struct differ *d, const struct config_key *k, const void *a, const void *b)
{
    _cleanup_buf_ struct buf before = {.limit = 65536}, after = {.limit = 65536};
    int r = is_secret(d->path) ? -EOPNOTSUPP : format(&before, k, a);

    if (r >= 0)
        r = format(&after, k, b);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || before.len > SHOWN_MAX || after.len > SHOWN_MAX)
        return d->fn(d->path, NULL, NULL, d->userdata);
    return d->fn(d->path, before.data, after.data, d->userdata);
}

static int walk(struct differ *d, const struct config_schema *s, const void *a, const void *b)
{
    size_t mark = strlen(d->path);
    int r = 0;

    for (size_t i = 0; i < s->n && r >= 0; i++) {
        const struct config_key *k = &s->keys[i];
        const char *pa = (const char *)base_of(k, a, d->a) + k->offset,
                   *pb = (const char *)base_of(k, b, d->b) + k->offset;

        (void)snprintf(d->path + mark, sizeof(d->path) - mark, "%s%s", mark > 0 ? "." : "", k->name);
        if (k->type == CONFIG_KEY_GROUP)
            r = walk(d, k->group, pa, pb);
        else if (k->type == CONFIG_KEY_LIST ? !lists_equal((const void *)pa, (const void *)pb)
                                            : !config_key_equal(k, pa, pb))
            r = tell(d, k, pa, pb);
        d->path[mark] = '\0';
    }
    return r;
}

int config_tenant_changed_keys(
    const struct config_tenant *a, const struct config_tenant *b, config_changed_fn fn, void *userdata)
{
    struct differ d = {.a = a, .b = b, .fn = fn, .userdata = userdata};

    return walk(&d, &config_schema_tenant, a, b);
}
