/* config_describe.c: see config_describe.h. Pure. */
#include "config/config_describe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/config_schema.h"

static const struct config_key *find(const struct config_schema *s, const char *name, size_t n)
{
    for (size_t i = 0; i < s->n; i++)
        if (strlen(s->keys[i].name) == n && strncmp(s->keys[i].name, name, n) == 0)
            return &s->keys[i];
    return NULL;
}

/* Along groups and lists of groups; an index is passed over. */
static const struct config_key *walk(const struct config_schema *s, const char *path)
{
    const struct config_key *k = NULL;

    while (s && *path) {
        size_t n = strcspn(path, ".[");

        k = find(s, path, n);
        if (!k)
            return NULL;
        path += n;
        if (*path == '[')
            path += strcspn(path, ".");
        path += *path == '.';
        s = k->group;
    }
    return *path ? NULL : k;
}

int config_describe(const char *path, struct config_description *ret)
{
    const char *inner = str_startswith(path, "defaults.") ? path + strlen("defaults.") : path;
    const struct config_key *k = walk(&config_schema_tenant, inner);
    bool bare;

    if (!k && inner == path)
        k = walk(&config_schema_host, path);
    if (!k)
        return -ENOENT;
    ret->help = k->help;
    ret->assignment[0] = '\0';
    bare = k->type == CONFIG_KEY_BOOL || k->type == CONFIG_KEY_U32 || k->type == CONFIG_KEY_U64 ||
           k->type == CONFIG_KEY_CPUS;
    if (k->type == CONFIG_KEY_GROUP)
        (void)snprintf(ret->assignment, sizeof(ret->assignment), "%s = { ... };", k->name);
    else if (k->form)
        (void)snprintf(ret->assignment, sizeof(ret->assignment), "%s = %s;", k->name, k->form);
    else if (k->def && *k->def)
        (void)snprintf(ret->assignment, sizeof(ret->assignment),
            bare && *k->def != 'u' ? "%s = %s;" : "%s = \"%s\";", k->name, k->def);
    return 0;
}
