/* policy.c: see policy.h: life of a policy, its lists, the two look-ups. The JSON form is in policy_json.c,
 * the checks in policy_check.c. */
#include "filter/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB UINT64_C(1048576)

int policy_list_add(struct policy_list *l, const char *s)
{
    char **items, *copy;

    if (l->n >= POLICY_LIST_MAX)
        return -E2BIG;
    copy = strdup(s);
    if (!copy)
        return -ENOMEM;
    items = realloc(l->items, (l->n + 1) * sizeof(*items));
    if (!items) {
        free(copy);
        return -ENOMEM;
    }
    l->items = items;
    l->items[l->n++] = copy;
    return 0;
}

bool policy_list_has(const struct policy_list *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i], s) == 0)
            return true;
    return false;
}

static void list_done(struct policy_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct policy_list){0};
}

struct policy *policy_new(const char *tenant)
{
    struct policy *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    (void)snprintf(p->tenant, sizeof(p->tenant), "%s", tenant);
    p->names = POLICY_NAMES_SCOPED;
    p->allow_start = p->allow_stop = p->allow_restart = p->allow_exec = true;
    p->memory_bytes = 1024 * MIB;
    p->nano_cpus = UINT64_C(1000000000);
    p->pids = 256;
    p->shm_bytes = 64 * MIB;
    p->tmpfs_bytes = 256 * MIB;
    p->max_containers = 8;
    p->max_connections = 1024;
    if (asprintf(&p->match_container_name, "openclaw-sbx-%s-*", p->tenant) < 0) {
        p->match_container_name = NULL;
        return policy_free(p);
    }
    if (asprintf(&p->name_prefix, "openclaw-sbx-%s-", p->tenant) < 0) {
        p->name_prefix = NULL;
        return policy_free(p);
    }
    return p;
}

struct policy *policy_free(struct policy *p)
{
    if (!p)
        return NULL;
    list_done(&p->other_tenants);
    list_done(&p->images);
    list_done(&p->bind_mount_from);
    list_done(&p->security_opt);
    list_done(&p->cap_keep);
    list_done(&p->users);
    free(p->match_container_name);
    free(p->name_prefix);
    free(p->gateway_name);
    free(p->network_id);
    free(p->network_name);
    free(p->cgroup_parent);
    free(p->runtime);
    free(p);
    return NULL;
}

/* True if the reference ends in a tag or a digest: a ':' or '@' after the last '/'. */
static bool has_tag(const char *ref)
{
    const char *slash = strrchr(ref, '/');

    return strpbrk(slash ? slash : ref, ":@") != NULL;
}

/* Equal texts, where a reference without tag means ":latest". */
static bool same_image(const char *a, const char *b)
{
    static const char latest[] = ":latest";
    size_t na = strlen(a), nb = strlen(b);

    if (strcmp(a, b) == 0)
        return true;
    if (na > nb)
        return same_image(b, a);
    return nb == na + sizeof(latest) - 1 && !has_tag(a) && strncmp(a, b, na) == 0 &&
           strcmp(b + na, latest) == 0;
}

bool policy_allows_image(const struct policy *p, const char *ref)
{
    for (size_t i = 0; i < p->images.n; i++)
        if (same_image(p->images.items[i], ref))
            return true;
    return false;
}

enum policy_opt_in policy_opt_in(const struct policy *p, bool allowed)
{
    if (allowed)
        return POLICY_GRANTED;
    return p->filter == POLICY_FILTER_REPORT ? POLICY_REPORTED : POLICY_REFUSED;
}

const char *policy_bind_root(const struct policy *p, const char *path)
{
    const char *best = NULL;

    for (size_t i = 0; i < p->bind_mount_from.n; i++) {
        const char *root = p->bind_mount_from.items[i];

        if (str_path_covers(root, path) && (!best || strlen(root) > strlen(best)))
            best = root;
    }
    return best;
}
