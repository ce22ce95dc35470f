/* locate.c: see locate.h. Must not judge the configuration: config/ does that. */
#include "ctl/locate.h"

#include <libconfig.h>
#include <stdio.h>

#include "base/str.h"

#define RUNTIME_DIR "/run/clawsup"

char *locate_socket(const char *config_file)
{
    const char *dir = NULL;
    char *path = NULL;
    config_t c;

    config_init(&c);
    if (config_read_file(&c, config_file) != CONFIG_TRUE ||
        config_lookup_string(&c, "runtime_dir", &dir) != CONFIG_TRUE || !str_is_clean_path(dir))
        dir = RUNTIME_DIR;
    if (asprintf(&path, "%s/control.sock", dir) < 0)
        path = NULL;
    config_destroy(&c);
    return path;
}
