/* config.h: /etc/clawsup/clawsup.conf and tenants.d/NAME.conf as typed, validated values. Every error names
 * file and line and says what would be valid; every error of a load is reported, not only the first. Knows no
 * daemon and no engine. */
#pragma once

#include <sys/types.h>

#include "base/defs.h"
#include "base/err.h"
#include "filter/policy.h"
#include "recovery/params.h"

enum config_mode { CONFIG_MANAGED, CONFIG_EXTERNAL, _CONFIG_MODE_MAX };
enum config_enforce { CONFIG_ENFORCE_STRICT, CONFIG_ENFORCE_BEST_EFFORT, _CONFIG_ENFORCE_MAX };
enum config_pressure {
    CONFIG_PRESSURE_NONE,
    CONFIG_PRESSURE_THROTTLE,
    CONFIG_PRESSURE_RESTART,
    _CONFIG_PRESSURE_MAX
};
/* How limits.disk is put in force; see disk_mode in clawsup.conf(5). */
enum config_disk_mode { CONFIG_DISK_AUTO, CONFIG_DISK_IMAGE, CONFIG_DISK_BEST_EFFORT, _CONFIG_DISK_MODE_MAX };
enum config_check_type {
    CONFIG_CHECK_NONE,
    CONFIG_CHECK_HTTP,
    CONFIG_CHECK_TCP,
    CONFIG_CHECK_DOCKER,
    _CONFIG_CHECK_TYPE_MAX
};

struct config_strv {
    char **items;
    size_t n;
};

struct config_health {
    enum config_check_type type;
    char *url;         /* http: */
    char *unix_socket; /* http over a unix socket; NULL */
    char *json_field,
        *json_value;  /* expect_json = { ok = true; }: one field, its value as compact JSON; NULL */
    char address[64]; /* tcp: literal */
    uint16_t port;
    uint64_t interval_us, timeout_us, start_deadline_us;
    uint32_t fall, rise;
};

struct config_port {
    char host_address[64];
    uint16_t host_port, container_port;
}; /* host address is loopback */
struct config_listen {
    bool is_unix;
    char *path;
    char address[64];
    uint16_t port;
    char *text;
};
struct config_mount {
    char *source, *target;
    bool read_only;
};

struct config_gateway {
    enum config_mode mode;
    char *name;        /* container name; default "openclaw-gw-SLUG" */
    char *match_label; /* external: "key=value"; NULL: by name */
    char *image;
    struct config_strv command, entrypoint;
    struct config_strv env; /* KEY=VALUE */
    char *env_file;         /* read at each create; KEY=VALUE lines */
    char *user;             /* NULL: the image's */
    char *data_target; /* where data_root is mounted in the gateway; default: the same path as on the host */
    struct config_mount *mounts;
    size_t n_mounts;
    struct config_port *ports;
    size_t n_ports;
    bool internal;        /* the tenant's bridge has no way out */
    bool docker_host_tcp; /* DOCKER_HOST=tcp://BRIDGE:2375 instead of the unix socket */
    uint64_t stop_timeout_us;
    struct recovery_params recovery; /* the tenant's where nothing else is written */
    struct config_strv after; /* other components that must be healthy first; the gateway: also its proxy */
    struct config_health health;
};

/* One more container of a tenant beside proxy and gateway: a cache, a database, a helper. */
#define CONFIG_COMPONENTS_MAX 6
#define CONFIG_COMPONENT_NAME_MAX 24
struct config_component {
    char *name; /* "memory": unique within the tenant */
    struct config_gateway
        container; /* the gateway's words that it shares; container.name: of the container */
};

struct config_proxy {
    enum config_mode mode; /* embedded (managed), or a sidecar container that exists already */
    char *name;            /* external: the sidecar's container name */
    char *match_label;
    struct config_listen *listen;
    size_t n_listen;             /* default: unix:RUNTIME_DIR/SLUG/docker.sock */
    uid_t socket_uid;            /* owner of the unix socket: the gateway's uid; default 0 */
    struct config_health health; /* of /_ping: the timings; external: where to ask, too */
    struct recovery_params recovery;
};

struct config_limits {
    uint64_t nano_cpus, memory_bytes, pids, disk_bytes, disk_inodes; /* 0: not limited */
    enum config_disk_mode disk_mode;
    uint64_t cpu_weight; /* 1..10000, default 100 */
    enum config_enforce enforce;
    enum config_pressure on_pressure;
    struct {
        uint32_t memory, cpu, io; /* percent of the time in which a process may wait; 0: not watched */
        uint64_t hold_us;
    } pressure;
};

struct config_tenant {
    char slug[SLUG_MAX + 1];
    char *file;
    unsigned line; /* where it was defined */
    char *data_root;
    struct config_proxy proxy;
    struct policy
        *policy; /* from proxy.* and limits.sandbox; network_id and cgroup_parent are filled by the daemon */
    struct config_gateway gateway;
    struct config_component *components;
    size_t n_components;
    bool sandbox_network; /* sandboxes may ask for the tenant's network; else "none" is the only one */
    struct config_limits limits;
    struct recovery_params recovery; /* of components that have none of their own */
};

struct config {
    char *file;
    char *tenants_dir;                                  /* default: tenants.d beside `file` */
    char *runtime_dir;                                  /* /run/clawsup */
    char *state_dir;                                    /* /var/lib/clawsup */
    char *disk_images_dir;                              /* default: images in state_dir */
    uint64_t disk_reserve_bytes, disk_trim_interval_us; /* trim 0: never */
    char *engine_socket;                                /* /run/docker.sock */
    char *metrics_file; /* /var/lib/prometheus/node-exporter/clawsup.prom; "" = off */
    uint64_t metrics_interval_us;
    char *
        proxy_program; /* default: clawsup-proxy beside clawsupd, else PREFIX/libexec/clawsup/clawsup-proxy */
    char *proxy_user;  /* default clawsup-proxy */
    char *docker_gid;  /* NULL: the group "docker" */
    bool allow_root_gid;
    char *control_group; /* group of the control socket; NULL: root only */
    int log_level;
    bool stop_gateways; /* on SIGTERM; default false */
    uint64_t relist_interval_us;
    struct {
        uint64_t cpus, memory, pids, disk; /* factors in 1e-9; 0: not checked */
    } overcommit;
    uint64_t host_reserve_memory_bytes; /* clawsup.slice MemoryMax = total - this */
    struct recovery_host_params recovery;
    struct config_tenant **tenants;
    size_t n_tenants; /* sorted by slug */
};

/* One finding: "FILE:LINE: text". */
struct config_findings {
    char **items;
    size_t n;
};
void config_findings_free(struct config_findings *f);

/* Loads `path` and the files of its tenants_dir that end in .conf (in name order; hidden ones are skipped). A
 * missing tenants_dir is an error only if it was named. 0, or -EINVAL / -ENOENT / -EACCES / -ENOMEM with at
 * least one finding (none when out of memory). `ret_findings` is filled on failure and freed by the caller.
 */
int config_load(const char *path, struct config **ret, struct config_findings *ret_findings);
struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)

const struct config_tenant *config_find(const struct config *c, const char *slug);

/* The parts of a tenant by number: its proxy, its gateway, its components in the order of the file. */
enum config_part { CONFIG_PART_PROXY, CONFIG_PART_GATEWAY, CONFIG_PART_FIRST_COMPONENT };
#define CONFIG_PARTS_MAX (CONFIG_PART_FIRST_COMPONENT + CONFIG_COMPONENTS_MAX)
/* A bit mask of the parts that must be healthy before this one is started. */
uint32_t config_part_after(const struct config_tenant *t, unsigned part);
/* The parts in the order in which they are started. The count of parts; what waits for itself is left out. */
size_t config_start_order(const struct config_tenant *t, unsigned ret_parts[static CONFIG_PARTS_MAX]);

/* What differs between two loads of one tenant, as a bit mask, so that mark and sweep touches only that. */
enum config_change {
    CONFIG_CHANGE_IDENTITY = 1 << 0, /* slug, data_root: as good as another tenant */
    CONFIG_CHANGE_LISTEN = 1 << 1,   /* the proxy's mode, sockets and their owner */
    CONFIG_CHANGE_POLICY = 1 << 2,   /* what the proxy allows: a new proxy on the same sockets */
    CONFIG_CHANGE_GATEWAY = 1 << 3,  /* the gateway's spec */
    CONFIG_CHANGE_HEALTH = 1 << 4,   /* probes and their timings */
    CONFIG_CHANGE_LIMITS = 1 << 5,   /* the tenant's limits, not those of a sandbox */
    CONFIG_CHANGE_RECOVERY = 1 << 6,
    CONFIG_CHANGE_COMPONENTS = 1 << 7, /* one came, went or is another now */
};
unsigned config_tenant_changes(const struct config_tenant *a, const struct config_tenant *b);
/* True when nothing that a running tenant depends on differs (mark and sweep leaves it alone). */
bool config_tenant_equal(const struct config_tenant *a, const struct config_tenant *b);
/* The keys that differ, in the order of the tables: "gateway.image", with both values as they would be
 * written, or NULL for what is long, has no short form, or may hold a secret. Negative returns end it and are
 * passed on. */
typedef int (*config_changed_fn)(const char *key, const char *before, const char *after, void *userdata);
int config_tenant_changed_keys(
    const struct config_tenant *a, const struct config_tenant *b, config_changed_fn fn, void *userdata);
/* True when host-wide values that need a restart of clawsupd differ (runtime_dir, state_dir, engine_socket,
 * ...); `e` names the first. */
bool config_needs_restart(const struct config *a, const struct config *b, struct err *e);
