/* names.c: see names.h. Pure text rules; knows no containers. */
#include "filter/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "filter/glob.h"

/* What the supervisor names itself: gateways, and whatever it may add. */
static const char *const reserved[] = {"openclaw-gw-", "clawsup-"};
#define SANDBOX_PREFIX "openclaw-sbx-"

struct names {
    enum policy_names mode;
    struct glob *pattern; /* scoped */
    char *prefix; /* namespaced: what the engine's names begin with; scoped: the pattern's fixed part */
    char *head;   /* what stands before the slug in the prefixes of this host: "openclaw-sbx-" */
    char *tenant;
    char **others;
    size_t n_others;
};

struct names *names_free(struct names *n)
{
    if (!n)
        return NULL;
    (void)glob_free(n->pattern);
    free(n->prefix);
    free(n->head);
    free(n->tenant);
    for (size_t i = 0; i < n->n_others; i++)
        free(n->others[i]);
    free(n->others);
    free(n);
    return NULL;
}

bool names_is_valid(const char *name, size_t max)
{
    size_t n = 0;

    for (; name[n]; n++) {
        char c = name[n];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (n >= max || (!alnum && (n == 0 || (c != '_' && c != '.' && c != '-'))))
            return false;
    }
    return n > 0;
}

bool names_looks_like_id(const char *name)
{
    size_t n = strspn(name, "0123456789abcdefABCDEF");

    return !name[n] && n >= 4 && n <= 64;
}

static int copy_others(struct names *n, const struct policy *p)
{
    if (p->other_tenants.n == 0)
        return 0;
    n->others = calloc(p->other_tenants.n, sizeof(*n->others));
    if (!n->others)
        return -ENOMEM;
    for (size_t i = 0; i < p->other_tenants.n; i++) {
        n->others[i] = strdup(p->other_tenants.items[i]);
        if (!n->others[i])
            return -ENOMEM;
        n->n_others++;
    }
    return 0;
}

/* The part before "SLUG-" at the end of the tenant's own prefix: other tenants' prefixes are built alike. */
static char *derive_head(const char *prefix, const char *tenant)
{
    size_t lp = strlen(prefix), lt = strlen(tenant);

    if (lp > lt && prefix[lp - 1] == '-' && strncmp(prefix + lp - 1 - lt, tenant, lt) == 0)
        return strndup(prefix, lp - 1 - lt);
    return strdup(SANDBOX_PREFIX);
}

int names_new(const struct policy *p, struct names **ret, struct err *e)
{
    _cleanup_names_ struct names *n = calloc(1, sizeof(*n));
    const char *prefix;
    int r;

    if (!n)
        return -ENOMEM;
    n->mode = p->names;
    n->tenant = strdup(p->tenant);
    if (!n->tenant)
        return -ENOMEM;
    if (n->mode == POLICY_NAMES_SCOPED) {
        if (!p->match_container_name)
            return err_set(e, -EINVAL, "match_container_name is not set");
        r = glob_new(p->match_container_name, &n->pattern, e);
        if (r < 0)
            return err_prefix(e, r, "match_container_name");
        prefix = glob_prefix(n->pattern);
    } else {
        prefix = p->name_prefix ? p->name_prefix : "";
        if (!names_is_valid(prefix, NAMES_ENGINE_MAX - NAMES_CLIENT_MAX))
            return err_set(e, -EINVAL, "name_prefix is not the beginning of a container name");
    }
    n->prefix = strdup(prefix);
    n->head = derive_head(prefix, p->tenant);
    if (!n->prefix || !n->head)
        return -ENOMEM;
    r = copy_others(n, p);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(n);
    return 0;
}

/* The length of "HEAD SLUG -" when the name begins with it, else 0. */
static size_t claim(const char *name, const char *head, const char *slug)
{
    size_t lh = strlen(head), ls = strlen(slug);

    if (strncmp(name, head, lh) != 0 || strncmp(name + lh, slug, ls) != 0 || name[lh + ls] != '-')
        return 0;
    return lh + ls + 1;
}

/* The slug of another tenant whose prefix fits the name better (longer) than this tenant's own, or NULL. */
static const char *better_owner(const struct names *n, const char *name)
{
    const char *heads[] = {n->head, SANDBOX_PREFIX};
    const char *owner = NULL;
    size_t best = 0;

    for (size_t h = 0; h < ARRAY_SIZE(heads); h++)
        best = MAX(best, claim(name, heads[h], n->tenant));
    for (size_t h = 0; h < ARRAY_SIZE(heads); h++)
        for (size_t i = 0; i < n->n_others; i++) {
            size_t len = claim(name, heads[h], n->others[i]);

            if (len > best) {
                best = len;
                owner = n->others[i];
            }
        }
    return owner;
}

/* The rules on the engine's name that hold in both modes. */
static int check_engine_name(const struct names *n, const char *name, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        if (strncasecmp(name, reserved[i], strlen(reserved[i])) == 0)
            return err_set(e, -EPERM, "names that begin with \"%s\" are reserved", reserved[i]);
    if (names_looks_like_id(name))
        return err_set(e, -EPERM, "the name looks like a container id");
    if (n->mode == POLICY_NAMES_SCOPED && !glob_match(n->pattern, name))
        return err_set(e, -EPERM, "the name does not match the tenant's pattern");
    /* The answer must not say whose it is: tenants do not know each other. */
    if (better_owner(n, name))
        return err_set(e, -EPERM, "the name is outside the tenant's own name space");
    return 0;
}

int names_to_engine(
    const struct names *n, const char *client, char ret[static NAMES_ENGINE_MAX + 1], struct err *e)
{
    char name[NAMES_ENGINE_MAX + 1];
    size_t lp = strlen(n->prefix), max = NAMES_CLIENT_MAX;
    int r;

    if (n->mode == POLICY_NAMES_SCOPED) {
        /* Only the part behind the fixed prefix counts, as in the other mode. */
        if (strncmp(client, n->prefix, lp) == 0)
            max = MIN(lp + NAMES_CLIENT_MAX, (size_t)NAMES_ENGINE_MAX);
        lp = 0;
    }
    if (!names_is_valid(client, max))
        return err_set(e, -EINVAL, "a name is 1 to %d of [a-zA-Z0-9_.-], beginning with a letter or digit",
            NAMES_CLIENT_MAX);
    if (names_looks_like_id(client))
        return err_set(e, -EPERM, "the name looks like a container id");
    (void)snprintf(name, sizeof(name), "%s%s", lp > 0 ? n->prefix : "", client);
    if (strlen(name) < 2)
        return err_set(e, -EINVAL, "a name needs two characters");
    r = check_engine_name(n, name, e);
    if (r < 0)
        return r;
    memcpy(ret, name, strlen(name) + 1);
    return 0;
}

bool names_is_own(const struct names *n, const char *engine_name)
{
    char ret[NAMES_ENGINE_MAX + 1];

    return names_from_engine(n, engine_name, ret) == 0;
}

int names_from_engine(const struct names *n, const char *engine_name, char ret[static NAMES_ENGINE_MAX + 1])
{
    char again[NAMES_ENGINE_MAX + 1];
    const char *client;
    size_t lp = strlen(n->prefix);

    if (engine_name[0] == '/')
        engine_name++;
    client = engine_name;
    if (n->mode == POLICY_NAMES_NAMESPACED) {
        if (strncmp(engine_name, n->prefix, lp) != 0)
            return -ENOENT;
        client += lp;
    }
    /* The way back is right if the way there leads to the same name. */
    if (names_to_engine(n, client, again, NULL) < 0 || strcmp(again, engine_name) != 0)
        return -ENOENT;
    (void)snprintf(ret, NAMES_ENGINE_MAX + 1, "%s", client);
    return 0;
}
