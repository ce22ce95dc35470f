/* settings_value.c: one function per kind of value, and the table of variables. A value is taken whole or not
 * at all; the caller writes the sentence. */
#include "proxy/settings_internal.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

static int set_tenant(struct settings *s, const char *v)
{
    if (!str_is_slug(v))
        return -EINVAL;
    s->policy = policy_new(v);
    if (!s->policy)
        return -ENOMEM;
    /* A supervisor's defaults are for a tenant that it knows; here nothing is on that nobody switched on. */
    s->policy->allow_start = s->policy->allow_stop = false;
    s->policy->allow_restart = s->policy->allow_exec = false;
    return 0;
}

int settings_set_socket(struct settings *s, const char *v)
{
    return str_is_clean_path(v) && strlen(v) < sizeof(s->listen[0].address) ? str_set(&s->engine_socket, v)
                                                                            : -EINVAL;
}

static int set_gid(struct settings *s, const char *v)
{
    uint64_t gid;

    return str_parse_u64(v, UINT32_MAX - 1, &gid) < 0 ? -EINVAL : str_set(&s->docker_gid, v);
}

static int set_names(struct settings *s, const char *v)
{
    if (strcmp(v, "scoped") == 0)
        s->policy->names = POLICY_NAMES_SCOPED;
    else if (strcmp(v, "namespaced") == 0)
        s->policy->names = POLICY_NAMES_NAMESPACED;
    else
        return -EINVAL;
    return 0;
}

static int set_filter(struct settings *s, const char *v)
{
    if (strcmp(v, "enforce") == 0)
        s->policy->filter = POLICY_FILTER_ENFORCE;
    else if (strcmp(v, "report") == 0)
        s->policy->filter = POLICY_FILTER_REPORT;
    else
        return -EINVAL;
    return 0;
}

static int set_match(struct settings *s, const char *v)
{
    return *v ? str_set(&s->policy->match_container_name, v) : -EINVAL;
}

static int set_gateway(struct settings *s, const char *v)
{
    return *v ? str_set(&s->policy->gateway_name, v) : -EINVAL;
}

static int set_network_id(struct settings *s, const char *v)
{
    return str_is_hex(v, 64) ? str_set(&s->policy->network_id, v) : -EINVAL;
}

static int set_network_name(struct settings *s, const char *v)
{
    return *v ? str_set(&s->policy->network_name, v) : -EINVAL;
}

static int set_bool(bool *b, const char *v)
{
    if (strcmp(v, "1") == 0 || strcmp(v, "true") == 0)
        *b = true;
    else if (strcmp(v, "0") == 0 || strcmp(v, "false") == 0)
        *b = false;
    else
        return -EINVAL;
    return 0;
}

#define SWITCH(member)                                                                                       \
    static int set_##member(struct settings *s, const char *v)                                               \
    {                                                                                                        \
        return set_bool(&s->policy->member, v);                                                              \
    }
SWITCH(allow_start)
SWITCH(allow_stop)
SWITCH(allow_restart)
SWITCH(allow_exec)
SWITCH(allow_archive_put)
SWITCH(allow_export)
SWITCH(allow_update)
SWITCH(allow_rename)
SWITCH(allow_image_pull)
SWITCH(allow_gateway_exec)
SWITCH(allow_network_read)

static int set_root_gid(struct settings *s, const char *v)
{
    return set_bool(&s->allow_root_gid, v);
}

/* "a,b": no empty item; the empty text is the empty list, as Compose writes a variable that is not set. */
static int set_list(struct policy_list *l, const char *v, bool (*is_valid)(const char *item))
{
    _cleanup_free_ char *copy = strdup(v);
    char *item, *rest = copy;

    if (!copy)
        return -ENOMEM;
    while (*v && (item = strsep(&rest, ",")) != NULL) {
        int r = *item && (!is_valid || is_valid(item)) ? policy_list_add(l, item) : -EINVAL;

        if (r < 0)
            return r == -ENOMEM ? r : -EINVAL;
    }
    return 0;
}

static int set_images(struct settings *s, const char *v)
{
    return set_list(&s->policy->images, v, NULL);
}

static int set_binds(struct settings *s, const char *v)
{
    return set_list(&s->policy->bind_mount_from, v, str_is_clean_path);
}

static int set_others(struct settings *s, const char *v)
{
    return set_list(&s->policy->other_tenants, v, str_is_slug);
}

static int set_memory(struct settings *s, const char *v)
{
    int r = str_parse_size(v, &s->policy->memory_bytes);

    /* The engine's own minimum. */
    return r >= 0 && s->policy->memory_bytes < UINT64_C(6) * 1024 * 1024 ? -EINVAL : r;
}

static int set_cpus(struct settings *s, const char *v)
{
    return str_parse_cpus(v, &s->policy->nano_cpus);
}

static int set_count(uint64_t *ret, const char *v, uint64_t max)
{
    int r = str_parse_u64(v, max, ret);

    return r >= 0 && *ret == 0 ? -EINVAL : r;
}

static int set_pids(struct settings *s, const char *v)
{
    return set_count(&s->policy->pids, v, 1 << 22);
}

static int set_containers(struct settings *s, const char *v)
{
    return set_count(&s->policy->max_containers, v, 10000);
}

int settings_set_log_level(struct settings *s, const char *v)
{
    int level = log_level_from_string(v);

    if (level >= 0)
        s->log_level = level;
    return level < 0 ? level : 0;
}

#define SLUG_HELP "1 to 32 of a-z, 0-9 and single '-', such as acme"

const struct settings_variable settings_variables[] = {
    {"TENANT", set_tenant, SLUG_HELP, "tenant"},
    {"LISTEN", settings_set_listen,
        "a list, separated by commas, of unix:/PATH (then mode=0660, uid=N or gid=N for it) and "
        "tcp://ADDRESS:PORT, where ADDRESS is an IP address, such as " SETTINGS_DEFAULT_LISTEN,
        NULL},
    {"DOCKER_SOCKET", settings_set_socket, "an absolute path of at most 107 bytes without \"..\"", NULL},
    {"DOCKER_GID", set_gid, "decimal digits: the group of the engine's socket, such as 998", NULL},
    {"ALLOW_ROOT_GID", set_root_gid, "0 or 1", NULL},
    {"NAMES", set_names, "scoped or namespaced", "names"},
    {"MATCH_CONTAINER_NAME", set_match, "a glob, or regex: and a pattern", "match_container_name"},
    {"OTHER_TENANTS", set_others, "at most 32 other tenants' names, separated by commas", "other_tenants"},
    {"GATEWAY_NAME", set_gateway, "the name of the gateway's own container", "gateway_name"},
    {"SANDBOX_NETWORK_ID", set_network_id,
        "the full id of a network, 64 hexadecimal digits (docker network inspect -f {{.Id}} NAME)",
        "network_id"},
    {"SANDBOX_NETWORK_NAME", set_network_name, "the name of the network of SANDBOX_NETWORK_ID",
        "network_name"},
    {"ALLOW_START", set_allow_start, "0 or 1", NULL},
    {"ALLOW_STOP", set_allow_stop, "0 or 1", NULL},
    {"ALLOW_RESTARTS", set_allow_restart, "0 or 1", NULL},
    {"ALLOW_EXEC", set_allow_exec, "0 or 1", NULL},
    {"ALLOW_ARCHIVE_PUT", set_allow_archive_put, "0 or 1", NULL},
    {"ALLOW_EXPORT", set_allow_export, "0 or 1", NULL},
    {"ALLOW_UPDATE", set_allow_update, "0 or 1", NULL},
    {"ALLOW_RENAME", set_allow_rename, "0 or 1", NULL},
    {"ALLOW_IMAGE_PULL", set_allow_image_pull, "0 or 1", NULL},
    {"ALLOW_GATEWAY_EXEC", set_allow_gateway_exec, "0 or 1", NULL},
    {"ALLOW_NETWORK_READ", set_allow_network_read, "0 or 1", NULL},
    {"FILTER", set_filter, "enforce or report", "filter"},
    {"ALLOW_IMAGES", set_images, "at most 32 image references, separated by commas", "images"},
    {"ALLOW_BIND_MOUNT_FROM", set_binds,
        "at most 32 absolute directories without \"..\", separated by commas", "bind_mount_from"},
    {"LIMIT_MEMORY", set_memory, "a size of at least 6M, such as 512M or 1.5G", "memory_bytes"},
    {"LIMIT_CPUS", set_cpus, "a number such as 0.5 or 2", "nano_cpus"},
    {"LIMIT_PIDS", set_pids, "a number from 1 to 4194304", "pids"},
    {"LIMIT_CONTAINERS", set_containers, "a number from 1 to 10000", "max_containers"},
    {"LOG_LEVEL", settings_set_log_level, "error, warning, notice, info or debug", NULL},
};
_Static_assert(ARRAY_SIZE(settings_variables) <= SETTINGS_VARIABLES_MAX, "settings.c has room for these");
const size_t settings_variables_n = ARRAY_SIZE(settings_variables);
