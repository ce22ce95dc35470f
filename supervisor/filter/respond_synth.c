/* respond_synth.c: /version and /info from our own model: what a client needs, and nothing that tells one
 * host or one tenant from another. */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "filter/respond_internal.h"

#define NANO_PER_CPU UINT64_C(1000000000)

int respond_version(const struct policy *p, const struct respond_engine *e, json_t **ret)
{
    json_t *o;

    (void)p;
    o = json_pack("{s:{s:s}, s:[{s:s, s:s, s:{s:s, s:s, s:s, s:s}}], s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
        "Platform", "Name", "", "Components", "Name", "Engine", "Version", e->version, "Details",
        "ApiVersion", e->api_version, "MinAPIVersion", e->min_api_version, "Os", "linux", "Arch", e->arch,
        "Version", e->version, "ApiVersion", e->api_version, "MinAPIVersion", e->min_api_version, "GitCommit",
        "", "GoVersion", "", "Os", "linux", "Arch", e->arch, "KernelVersion", "");
    if (!o)
        return -ENOMEM;
    *ret = o;
    return 0;
}

/* What the engine calls the machine, in uname's words. */
static const char *machine(const char *arch)
{
    return str_eq(arch, "amd64") ? "x86_64" : str_eq(arch, "arm64") ? "aarch64" : arch;
}

int respond_info(const struct policy *p, const struct respond_engine *e, json_t **ret)
{
    char id[64];
    uint64_t cpus = (p->nano_cpus + NANO_PER_CPU - 1) / NANO_PER_CPU;
    unsigned stopped = e->containers - MIN(e->containers, e->running + e->paused);
    json_t *o;

    (void)snprintf(id, sizeof(id), "clawsup-%s", p->tenant);
    o = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:{s:[], s:[s, s], s:n, s:[s]}, s:b, s:b, s:b, s:b, s:b, "
        "s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:[], s:b, s:{s:s}, s:[], s:[]}",
        "ID", id, "Containers", (int)e->containers, "ContainersRunning", (int)e->running, "ContainersPaused",
        (int)e->paused, "ContainersStopped", (int)stopped, "Images", (int)p->images.n, "Driver", "",
        "Plugins", "Volume", "Network", "bridge", "null", "Authorization", "Log", "json-file", "MemoryLimit",
        1, "SwapLimit", 1, "CpuCfsPeriod", 1, "CpuCfsQuota", 1, "PidsLimit", 1, "LoggingDriver", "json-file",
        "KernelVersion", "", "OperatingSystem", "Linux", "OSType", "linux", "Architecture", machine(e->arch),
        "NCPU", (json_int_t)cpus, "MemTotal", (json_int_t)p->memory_bytes, "Name", "clawsup", "ServerVersion",
        e->version, "DefaultRuntime", p->runtime ? p->runtime : "runc", "Labels", "LiveRestoreEnabled", 0,
        "Swarm", "LocalNodeState", "inactive", "SecurityOptions", "Warnings");
    if (!o)
        return -ENOMEM;
    *ret = o;
    return 0;
}
