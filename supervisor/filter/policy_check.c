/* policy_check.c: is a policy one that a tenant can be held to? Checks only; see policy.h. */
#include "filter/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "filter/glob.h"

#define MEMORY_MIN (UINT64_C(6) * 1024 * 1024) /* what the engine accepts */
#define NANO_CPUS_MIN UINT64_C(10000000)
#define SECURITY_OPT_MAX ((size_t)64 * 1024)

/* What a container has by default; nothing outside of it can be kept. */
static const char *const default_caps[] = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL",
    "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"};

static int check_text(const char *field, const char *s, size_t max, struct err *e)
{
    if (!*s)
        return err_set(e, -EINVAL, "%s is empty", field);
    if (strlen(s) > max)
        return err_set(e, -EINVAL, "%s is longer than %zu bytes", field, max);
    for (const char *c = s; *c; c++)
        if (*c < ' ' || *c > '~')
            return err_set(e, -EINVAL, "%s holds a byte that is not printable ASCII", field);
    return 0;
}

static int check_list(const char *field, const struct policy_list *l, size_t max, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        int r = check_text(field, l->items[i], max, e);
        if (r < 0)
            return r;
        for (size_t k = 0; k < i; k++)
            if (strcmp(l->items[i], l->items[k]) == 0)
                return err_set(e, -EINVAL, "%s names %s twice", field, l->items[i]);
    }
    return 0;
}

static int check_slugs(const struct policy *p, struct err *e)
{
    if (!str_is_slug(p->tenant))
        return err_set(e, -EINVAL, "tenant must be a slug: a-z, 0-9 and single '-', 1 to %d bytes", SLUG_MAX);
    for (size_t i = 0; i < p->other_tenants.n; i++) {
        if (!str_is_slug(p->other_tenants.items[i]))
            return err_set(e, -EINVAL, "other_tenants: %s is no slug", p->other_tenants.items[i]);
        if (strcmp(p->other_tenants.items[i], p->tenant) == 0)
            return err_set(e, -EINVAL, "other_tenants names the tenant itself");
    }
    return 0;
}

/* Names that no tenant's pattern may take: short and long ones of everyday use, other products' and the
 * gateways' own. */
static int check_pattern(const struct policy *p, struct err *e)
{
    static const char *const everyday[] = {
        "a", "x", "web", "postgres", "0", "test-1", "openclaw-gw-x", "clawsup-x"};
    _cleanup_glob_ struct glob *g = NULL;
    char name[64 + SLUG_MAX];
    int r;

    if (!p->match_container_name)
        return err_set(e, -EINVAL, "match_container_name is missing; the default is openclaw-sbx-SLUG-*");
    r = check_text("match_container_name", p->match_container_name, POLICY_PATTERN_MAX, e);
    if (r < 0)
        return r;
    r = glob_new(p->match_container_name, &g, e);
    if (r < 0)
        return err_prefix(e, r, "match_container_name");
    for (size_t i = 0; i < ARRAY_SIZE(everyday); i++)
        if (glob_match(g, everyday[i]))
            return err_set(e, -EINVAL,
                "match_container_name matches \"%s\": it would take other containers' names; begin it with "
                "\"openclaw-sbx-%s-\"",
                everyday[i], p->tenant);
    (void)snprintf(name, sizeof(name), "openclaw-gw-%s", p->tenant);
    if (glob_match(g, name))
        return err_set(e, -EINVAL, "match_container_name matches the gateway's own name %s", name);
    return 0;
}

static int check_prefix(const struct policy *p, struct err *e)
{
    size_t n;
    int r;

    if (!p->name_prefix)
        return err_set(e, -EINVAL, "name_prefix is missing; the default is openclaw-sbx-SLUG-");
    r = check_text("name_prefix", p->name_prefix, 64, e);
    if (r < 0)
        return r;
    n = strlen(p->name_prefix);
    if (!isalnum((unsigned char)p->name_prefix[0]) || p->name_prefix[n - 1] != '-' ||
        strspn(p->name_prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != n)
        return err_set(e, -EINVAL, "name_prefix must be letters, digits, '_', '.', '-' and end with '-'");
    if (str_startswith(p->name_prefix, "openclaw-gw-") || str_startswith(p->name_prefix, "clawsup-"))
        return err_set(e, -EINVAL, "name_prefix %s is reserved", p->name_prefix);
    return 0;
}

static int check_roots(const struct policy *p, struct err *e)
{
    /* A root that is or holds one of these gives the host away; below the first ten nothing is a tenant's. */
    static const char *const never[] = {"/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/usr",
        "/bin", "/var/lib/docker", "/sbin", "/lib", "/lib64", "/root", "/home", "/var/lib/clawsup"};
    const size_t n_closed = 10;

    for (size_t i = 0; i < p->bind_mount_from.n; i++) {
        const char *root = p->bind_mount_from.items[i];

        if (!str_is_clean_path(root))
            return err_set(e, -EINVAL, "bind_mount_from: %s must be absolute and clean", root);
        if (strpbrk(root, ":,"))
            return err_set(e, -EINVAL, "bind_mount_from: %s holds ':' or ','", root);
        for (size_t k = 0; k < ARRAY_SIZE(never); k++)
            if (str_path_covers(root, never[k]) || (k < n_closed && str_path_covers(never[k], root)))
                return err_set(e, -EINVAL, "bind_mount_from: %s would open %s of the host", root, never[k]);
    }
    return 0;
}

static int check_caps(const struct policy *p, struct err *e)
{
    for (size_t i = 0; i < p->cap_keep.n; i++) {
        bool known = false;

        for (size_t k = 0; k < ARRAY_SIZE(default_caps); k++)
            known |= strcmp(p->cap_keep.items[i], default_caps[k]) == 0;
        if (!known)
            return err_set(e, -EINVAL, "cap_keep: %s is not in the engine's default set (such as CHOWN)",
                p->cap_keep.items[i]);
    }
    for (size_t i = 0; i < p->security_opt.n; i++) {
        const char *s = p->security_opt.items[i];

        if (!str_startswith(s, "seccomp=") && !str_startswith(s, "apparmor="))
            return err_set(e, -EINVAL, "security_opt: %.32s must be seccomp=... or apparmor=...", s);
        if (str_eq(s, "seccomp=unconfined") || str_eq(s, "apparmor=unconfined"))
            return err_set(e, -EINVAL, "security_opt: %s would take the sandbox's walls away", s);
    }
    return 0;
}

static int check_numbers(const struct policy *p, struct err *e)
{
    if (p->memory_bytes < MEMORY_MIN || p->memory_bytes > INT64_MAX)
        return err_set(e, -EINVAL, "memory_bytes must be at least 6M: the engine refuses less");
    if (p->nano_cpus < NANO_CPUS_MIN || p->nano_cpus > UINT64_C(1024000000000))
        return err_set(e, -EINVAL, "nano_cpus must be 0.01 to 1024 CPUs");
    if (p->pids == 0 || p->pids > 4194304)
        return err_set(e, -EINVAL, "pids must be 1 to 4194304");
    if (p->shm_bytes < 4096 || p->shm_bytes > INT64_MAX)
        return err_set(e, -EINVAL, "shm_bytes must be at least 4K");
    if (p->tmpfs_bytes < 4096 || p->tmpfs_bytes > INT64_MAX)
        return err_set(e, -EINVAL, "tmpfs_bytes must be at least 4K");
    if (p->max_containers == 0 || p->max_containers > 10000)
        return err_set(e, -EINVAL, "max_containers must be 1 to 10000");
    if (p->max_connections == 0 || p->max_connections > 65536)
        return err_set(e, -EINVAL, "max_connections must be 1 to 65536");
    return 0;
}

static int check_network(const struct policy *p, struct err *e)
{
    static const char *const builtin[] = {"host", "bridge", "none", "default"};

    if (p->network_name && !p->network_id)
        return err_set(e, -EINVAL, "network_name needs network_id");
    if (p->network_id && !str_is_hex(p->network_id, 64))
        return err_set(e, -EINVAL, "network_id must be a full id: 64 lower-case hexadecimal digits");
    for (size_t i = 0; p->network_name && i < ARRAY_SIZE(builtin); i++)
        if (strcmp(p->network_name, builtin[i]) == 0)
            return err_set(e, -EINVAL, "network_name %s is one of the engine's own", builtin[i]);
    return 0;
}

/* Texts that may be absent. */
static int check_optional(const struct policy *p, struct err *e)
{
    const struct {
        const char *field, *value;
        size_t max;
    } texts[] = {{"gateway_name", p->gateway_name, 191}, {"network_name", p->network_name, 191},
        {"cgroup_parent", p->cgroup_parent, 255}, {"runtime", p->runtime, 64}};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int r = texts[i].value ? check_text(texts[i].field, texts[i].value, texts[i].max, e) : 0;
        if (r < 0)
            return r;
    }
    if (p->cgroup_parent && strstr(p->cgroup_parent, ".."))
        return err_set(e, -EINVAL, "cgroup_parent may not hold \"..\"");
    if (p->gateway_name && p->gateway_name[0] == '/')
        return err_set(e, -EINVAL, "gateway_name is written without '/'");
    return 0;
}

static int check_version(const struct policy *p, struct err *e)
{
    const char *v = p->api_version;

    if (*v == '\0')
        return 0;
    if (!str_startswith(v, "1.") || strlen(v) != 4 || !isdigit((unsigned char)v[2]) ||
        !isdigit((unsigned char)v[3]) || strcmp(v, "1.40") < 0)
        return err_set(e, -EINVAL, "api_version must be \"\" (negotiated) or \"1.40\" and above");
    return 0;
}

int policy_validate(const struct policy *p, struct err *e)
{
    static int (*const checks[])(const struct policy *, struct err *) = {check_slugs, check_pattern,
        check_prefix, check_roots, check_caps, check_numbers, check_network, check_optional, check_version};
    const struct {
        const char *field;
        const struct policy_list *list;
        size_t max;
    } lists[] = {{"images", &p->images, 512}, {"bind_mount_from", &p->bind_mount_from, 1024},
        {"security_opt", &p->security_opt, SECURITY_OPT_MAX}, {"cap_keep", &p->cap_keep, 32},
        {"users", &p->users, 129}};
    int r;

    if (p->names < 0 || p->names >= _POLICY_NAMES_MAX)
        return err_set(e, -EINVAL, "names must be \"scoped\" or \"namespaced\"");
    if (p->filter < 0 || p->filter >= _POLICY_FILTER_MAX)
        return err_set(e, -EINVAL, "filter must be \"enforce\" or \"report\"");
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        r = check_list(lists[i].field, lists[i].list, lists[i].max, e);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        r = checks[i](p, e);
        if (r < 0)
            return r;
    }
    return 0;
}
