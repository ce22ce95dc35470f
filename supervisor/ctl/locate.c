/* locate.c: see locate.h. Must not judge the configuration: config/ does that. */
#include "ctl/locate.h"

#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define RUNTIME_DIR "/run/clawsup"
#define ENGINE_SOCKET "/run/docker.sock"

/* A clean path that the file sets for `key`, or NULL: not set, unreadable, or out of memory. */
static char *setting(const char *config_file, const char *key)
{
    const char *value = NULL;
    char *path = NULL;
    config_t c;

    config_init(&c);
    if (config_read_file(&c, config_file) == CONFIG_TRUE &&
        config_lookup_string(&c, key, &value) == CONFIG_TRUE && str_is_clean_path(value))
        path = strdup(value);
    config_destroy(&c);
    return path;
}

char *locate_socket(const char *config_file)
{
    _cleanup_free_ char *dir = setting(config_file, "runtime_dir");
    char *path = NULL;

    return asprintf(&path, "%s/control.sock", dir ? dir : RUNTIME_DIR) < 0 ? NULL : path;
}

char *locate_tenants_dir(const char *config_file)
{
    const char *slash = strrchr(config_file, '/');
    char *path = setting(config_file, "tenants_dir");

    if (path)
        return path;
    if (!slash)
        return strdup("tenants.d");
    return asprintf(&path, "%.*s/tenants.d", (int)(slash - config_file), config_file) < 0 ? NULL : path;
}

char *locate_engine_socket(const char *config_file)
{
    char *path = setting(config_file, "engine_socket");

    return path ? path : strdup(ENGINE_SOCKET);
}
