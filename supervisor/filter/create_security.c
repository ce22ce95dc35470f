/* create_security.c: capabilities and security options: forced; a client may ask for what it would get
 * anyway. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "filter/create_internal.h"

#define NO_NEW_PRIVILEGES "no-new-privileges"
#define CAP_DROP_MAX 64

/* The name without "CAP_", any case. */
static const char *cap_name(const char *s)
{
    return strncasecmp(s, "CAP_", 4) == 0 ? s + 4 : s;
}

static bool is_cap(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n <= 32 &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") == n;
}

static bool drops(const json_t *list, const char *cap)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = cap_name(json_string_value(json_array_get(list, i)));
        if (strcasecmp(s, "ALL") == 0 || strcasecmp(s, cap) == 0)
            return true;
    }
    return false;
}

/* Everything is dropped in any case; what the client drops by name is not kept by the policy either. */
int create_read_cap_drop(void *ctx, const json_t *v, const struct field_at *at)
{
    struct create_ctx *c = ctx;

    if (json_array_size(v) > CAP_DROP_MAX)
        return refusal_set(at->refusal, 413, at->rule, "more than %d capabilities", CAP_DROP_MAX);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!is_cap(cap_name(json_string_value(json_array_get(v, i)))))
            return refusal_set(at->refusal, 400, at->rule, "an item is not a capability");
    for (size_t i = 0; i < c->policy->cap_keep.n; i++)
        if (drops(v, c->policy->cap_keep.items[i]))
            c->dropped[i] = true;
    return 0;
}

int create_read_security_opt(void *ctx, const json_t *v, const struct field_at *at)
{
    static const char *const ours[] = {
        NO_NEW_PRIVILEGES, NO_NEW_PRIVILEGES "=true", NO_NEW_PRIVILEGES ":true"};
    struct create_ctx *c = ctx;

    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *s = json_string_value(json_array_get(v, i));
        bool known = policy_list_has(&c->policy->security_opt, s);

        for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
            known |= strcmp(s, ours[k]) == 0;
        if (!known)
            return refusal_set(at->refusal, 403, at->rule, "security option %.64s is not allowed", s);
    }
    return 0;
}

int create_settle_security(struct create_ctx *c)
{
    char cap[64];

    if (json_array_append_new(c->m->security_opt, json_string(NO_NEW_PRIVILEGES)) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < c->policy->security_opt.n; i++)
        if (json_array_append_new(c->m->security_opt, json_string(c->policy->security_opt.items[i])) < 0)
            return -ENOMEM;
    for (size_t i = 0; i < c->policy->cap_keep.n; i++) {
        if (c->dropped[i])
            continue;
        (void)snprintf(cap, sizeof(cap), "CAP_%s", c->policy->cap_keep.items[i]);
        if (json_array_append_new(c->m->cap_add, json_string(cap)) < 0)
            return -ENOMEM;
    }
    return 0;
}
