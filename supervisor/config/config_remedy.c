/* config_remedy.c: see config_remedy.h: one table. A rule that is not here has no line. */
#include "config/config_remedy.h"

#include <string.h>

static const struct {
    const char *rule, *line;
} remedies[] = {
    {"allow-start", "proxy.allow.start = true"},
    {"allow-stop", "proxy.allow.stop = true"},
    {"allow-restart", "proxy.allow.restart = true"},
    {"allow-exec", "proxy.allow.exec = true"},
    {"allow-update", "proxy.allow.update = true"},
    {"allow-rename", "proxy.allow.rename = true"},
    {"allow-archive-put", "proxy.allow.archive_put = true"},
    {"allow-export", "proxy.allow.export = true"},
    {"allow-image-pull", "proxy.allow.image_pull = true"},
    {"allow-network-read", "proxy.allow.network_read = true"},
    {"gateway-exec", "proxy.allow.gateway_exec = true"},
    {"name", "proxy.names = \"namespaced\""},
    {"image-allowlist", "proxy.images = [ ..., \"IMAGE\" ]"},
    {"create.Image", "proxy.images = [ ..., \"IMAGE\" ]"},
    {"create.User", "proxy.users = [ ..., \"USER\" ]"},
    {"exec.User", "proxy.users = [ ..., \"USER\" ]"},
    {"create.HostConfig.Binds", "proxy.bind_mount_from = [ ..., \"/DIRECTORY\" ]"},
    {"create.HostConfig.Mounts", "proxy.bind_mount_from = [ ..., \"/DIRECTORY\" ]"},
    {"create.HostConfig.NetworkMode", "proxy.sandbox_network = \"tenant\""},
    {"create.EndpointsConfig", "proxy.sandbox_network = \"tenant\""},
    {"create.HostConfig.SecurityOpt", "proxy.security_opt = [ ..., \"OPTION\" ]"},
    {"create.HostConfig.Runtime", "proxy.runtime = \"NAME\""},
    {"max-containers", "limits.sandbox.max_containers = N"},
    {"update.Memory", "limits.sandbox.memory = \"SIZE\""},
    {"update.MemorySwap", "limits.sandbox.memory = \"SIZE\""},
    {"update.NanoCpus", "limits.sandbox.cpus = N"},
    {"update.PidsLimit", "limits.sandbox.pids = N"},
};

const char *config_remedy(const char *rule, int status)
{
    if (status == 400 || status == 413)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
        if (strcmp(remedies[i].rule, rule) == 0)
            return remedies[i].line;
    return NULL;
}
