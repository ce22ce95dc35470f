/* config_schema.c: the tables: every key of clawsup.conf and of a tenant's file, once. Reading, defaults,
 * comparison, "did you mean" and clawsup.conf(5) come from here. Recovery has its numbers in
 * recovery/params.c; its defaults here repeat them, and a unit test compares the two. */
#include "config/config_schema.h"

#include "config/config_value.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define POLICY(field) .base = CONFIG_BASE_POLICY, AT(policy, field)
#define SEC(n) ((n)*USEC_PER_SEC)
#define MIB(n) (UINT64_C(n) << 20)
#define TIB(n) (UINT64_C(n) << 40)
#define SCHEMA(id, path, text)                                                                               \
    {                                                                                                        \
        .name = path, .help = text, .keys = id, .n = ARRAY_SIZE(id)                                          \
    }
#define STRING .type = CONFIG_KEY_STRING
#define BOOL .type = CONFIG_KEY_BOOL
#define U32(lo, hi) .type = CONFIG_KEY_U32, .min = lo, .max = hi
#define U64(lo, hi) .type = CONFIG_KEY_U64, .min = lo, .max = hi
#define DURATION(lo, hi) .type = CONFIG_KEY_DURATION, .min = lo, .max = hi
#define SIZE(lo, hi) .type = CONFIG_KEY_SIZE, .min = lo, .max = hi
#define CPUS .type = CONFIG_KEY_CPUS, .min = 10000000, .max = UINT64_C(1024000000000)
#define ENUM(list) .type = CONFIG_KEY_ENUM, .names = list
#define GROUP(s) .type = CONFIG_KEY_GROUP, .group = &(s)
#define CUSTOM(fn) .type = CONFIG_KEY_CUSTOM, .read = fn

static const char *const gateway_modes[] = {
    [CONFIG_MANAGED] = "managed", [CONFIG_EXTERNAL] = "external", [_CONFIG_MODE_MAX] = NULL};
static const char *const proxy_modes[] = {
    [CONFIG_MANAGED] = "embedded", [CONFIG_EXTERNAL] = "external", [_CONFIG_MODE_MAX] = NULL};
static const char *const check_types[] = {[CONFIG_CHECK_NONE] = "none",
    [CONFIG_CHECK_HTTP] = "http",
    [CONFIG_CHECK_TCP] = "tcp",
    [CONFIG_CHECK_DOCKER] = "docker",
    [_CONFIG_CHECK_TYPE_MAX] = NULL};
static const char *const enforce_names[] = {[CONFIG_ENFORCE_STRICT] = "strict",
    [CONFIG_ENFORCE_BEST_EFFORT] = "best-effort",
    [_CONFIG_ENFORCE_MAX] = NULL};
static const char *const on_pressure_names[] = {[CONFIG_PRESSURE_NONE] = "none",
    [CONFIG_PRESSURE_THROTTLE] = "throttle",
    [CONFIG_PRESSURE_RESTART] = "restart",
    [_CONFIG_PRESSURE_MAX] = NULL};
static const char *const disk_modes[] = {[CONFIG_DISK_AUTO] = "auto",
    [CONFIG_DISK_IMAGE] = "image",
    [CONFIG_DISK_BEST_EFFORT] = "best-effort",
    [_CONFIG_DISK_MODE_MAX] = NULL};
static const char *const names_modes[] = {
    [POLICY_NAMES_SCOPED] = "scoped", [POLICY_NAMES_NAMESPACED] = "namespaced", [_POLICY_NAMES_MAX] = NULL};
static const char *const filter_modes[] = {
    [POLICY_FILTER_ENFORCE] = "enforce", [POLICY_FILTER_REPORT] = "report", [_POLICY_FILTER_MAX] = NULL};

/* ---------------------------------------------------------------- recovery of a tenant */

#define RUNG_KEYS                                                                                            \
    {"attempts", U32(0, RECOVERY_L1_MAX), AT(recovery_rung, attempts), .form = "3",                          \
        .def_help = "see recovery", .help = "Attempts before the next level; 0 skips the level."},           \
        {"delays", CUSTOM(config_read_delays), .max = RECOVERY_L1_MAX, .equal = config_equal_delays,         \
            .form = "[ \"0s\", \"5s\", \"20s\" ]", .def_help = "see recovery",                               \
            .help = "Delay before each attempt, not decreasing; the last one repeats."},                     \
    {                                                                                                        \
        "stable", DURATION(SEC(1), USEC_PER_HOUR), AT(recovery_rung, stable_us),                             \
            .form = "\"60s\"", .def_help = "see recovery",                                                   \
            .help = "How long it must stay good for an attempt to count as a "                               \
                    "success."                                                                               \
    }
static const struct config_key rung_keys[] = {RUNG_KEYS};
static const struct config_schema rung_schema =
    SCHEMA(rung_keys, "recovery.l1, recovery.l2", "One level of the ladder.");
static const struct config_key l3_keys[] = {
    RUNG_KEYS,
    {"min_gap", DURATION(0, USEC_PER_DAY),
        .offset = offsetof(struct recovery_params, l3_min_gap_us) - offsetof(struct recovery_params, l3),
        .def = "15m", .help = "Least time between two redeploys."},
};
static const struct config_schema l3_schema =
    SCHEMA(l3_keys, "recovery.l3", "The last level before quarantine: redeploy of the gateway.");

static const struct config_key backoff_keys[] = {
    {"base", DURATION(SEC(1) / 10, USEC_PER_HOUR), AT(recovery_params, backoff_base_us), .def = "5s",
        .help = "First delay; it doubles with each attempt."},
    {"cap", DURATION(SEC(1) / 10, USEC_PER_DAY), AT(recovery_params, backoff_cap_us), .def = "5m",
        .help = "Longest delay."},
};
static const struct config_schema backoff_schema = SCHEMA(
    backoff_keys, "recovery.backoff", "Delays of what has no level, such as a bring-up that is refused.");

static const struct config_key recovery_keys[] = {
    {"fall", U32(1, 100), AT(recovery_params, fall), .def = "3",
        .help = "So many failed probes in a row make a component unhealthy."},
    {"rise", U32(1, 100), AT(recovery_params, rise), .def = "2",
        .help = "So many good probes in a row make it healthy."},
    {"fast_probe", DURATION(SEC(1) / 100, SEC(60)), AT(recovery_params, fast_probe_us), .def = "250ms",
        .help = "Next probe after a first failure."},
    {"patience", DURATION(0, USEC_PER_HOUR), AT(recovery_params, patience_us), .def = "10s",
        .help = "A gateway that runs and fails its probes is left alone for so long, but for no more than "
                "five probe "
                "intervals."},
    {"patience_max", DURATION(0, USEC_PER_HOUR), AT(recovery_params, patience_max_us), .def = "30s",
        .help =
            "The same for one that was seen to stall for longer and to come back, up to fifteen intervals."},
    {"l1", GROUP(rung_schema), AT(recovery_params, l1), .def_help = "3 attempts; 0s, 5s, 20s; stable 60s",
        .help = "Restart of the component."},
    {"l2", GROUP(rung_schema), AT(recovery_params, l2), .def_help = "2 attempts; 30s, 60s; stable 90s",
        .help = "Restart of all components of the tenant, in order, unless the others are well."},
    {"l3", GROUP(l3_schema), AT(recovery_params, l3), .def_help = "1 attempt; 60s, 15m; stable 180s",
        .help = "Redeploy of the gateway from its spec."},
    {"backoff", GROUP(backoff_schema), .help = "Delays of what has no level."},
    {"restarts_per_hour", U32(1, 64), AT(recovery_params, restarts_per_hour), .def = "6",
        .help = "Budget of a component in any hour."},
    {"restarts_per_day", U32(1, 64), AT(recovery_params, restarts_per_day), .def = "20",
        .help = "Budget of a component in any day."},
    {"redeploys_per_day", U32(0, 16), AT(recovery_params, redeploys_per_day), .def = "3",
        .help = "Budget of the tenant in any day."},
    {"relaunches_per_minute", U32(0, 64), AT(recovery_params, relaunches_per_minute), .def = "3",
        .help = "An embedded proxy that has ended is launched again at once, so often in any minute. After "
                "that it waits as backoff says, and after as many waits as l1 and l2 have attempts it is "
                "quarantined, with a trial every quarantine_probe."},
    {"relaunches_per_hour", U32(0, 64), AT(recovery_params, relaunches_per_hour), .def = "12",
        .help = "The same in any hour. Not below relaunches_per_minute."},
    {"quarantine_probe", DURATION(SEC(1), USEC_PER_HOUR), AT(recovery_params, quarantine_probe_us),
        .def = "1m", .help = "Probe interval in quarantine."},
    {"half_open", DURATION(SEC(1), 7 * USEC_PER_DAY), AT(recovery_params, half_open_us), .def = "6h",
        .help = "Time in quarantine before one more redeploy is tried."},
    {"start_again", DURATION(SEC(1), 7 * USEC_PER_DAY), AT(recovery_params, start_again_us), .def = "3m",
        .help = "Time in quarantine before a gateway that is down is started; each time it fails, twice as "
                "long, up to "
                "half_open."},
    {"deescalate", DURATION(SEC(1), USEC_PER_DAY), AT(recovery_params, deescalate_us), .def = "10m",
        .help = "Healthy time that takes the tenant down one level."},
    {"reset", DURATION(SEC(1), USEC_PER_DAY), AT(recovery_params, reset_us), .def = "30m",
        .help = "Healthy time that takes it back to the start of the ladder."},
    {"flap_changes", U32(2, 16), AT(recovery_params, flap_changes), .def = "5",
        .help = "So many changes between good and bad within flap_window are flapping."},
    {"flap_window", DURATION(SEC(1), USEC_PER_DAY), AT(recovery_params, flap_window_us), .def = "10m",
        .help = "See flap_changes."},
    {"hold", DURATION(SEC(1), USEC_PER_DAY), AT(recovery_params, hold_us), .def = "5m",
        .help = "After a stop that clawsup did not ask for, hands off for this long."},
};
static const struct config_schema recovery_schema =
    SCHEMA(recovery_keys, "recovery", "The recovery ladder of the tenant and its budgets.");

/* ---------------------------------------------------------------- proxy */

static const struct config_key allow_keys[] = {
    {"start", BOOL, AT(policy, allow_start), .def = "true", .help = "Start own containers."},
    {"stop", BOOL, AT(policy, allow_stop), .def = "true", .help = "Stop and kill own containers."},
    {"restart", BOOL, AT(policy, allow_restart), .def = "true", .help = "Restart own containers."},
    {"exec", BOOL, AT(policy, allow_exec), .def = "true", .help = "Run commands in own containers."},
    {"update", BOOL, AT(policy, allow_update), .def = "false",
        .help = "Change the limits of own containers, within the caps."},
    {"rename", BOOL, AT(policy, allow_rename), .def = "false",
        .help = "Rename own containers, within the name rule."},
    {"archive_put", BOOL, AT(policy, allow_archive_put), .def = "false",
        .help = "Copy files into own containers."},
    {"export", BOOL, AT(policy, allow_export), .def = "false",
        .help = "Export the file system of own containers."},
    {"image_pull", BOOL, AT(policy, allow_image_pull), .def = "false",
        .help = "Pull images that are listed in images."},
    {"network_read", BOOL, AT(policy, allow_network_read), .def = "false",
        .help = "Look at the tenant's own network."},
    {"gateway_exec", BOOL, AT(policy, allow_gateway_exec), .def = "false",
        .help = "Run commands in the tenant's own gateway container."},
};
static const struct config_schema allow_schema =
    SCHEMA(allow_keys, "proxy.allow", "What the tenant may do with its own sandboxes.");

static const struct config_key proxy_health_keys[] = {
    {"interval", DURATION(SEC(1) / 10, USEC_PER_HOUR), AT(config_health, interval_us), .def = "2s",
        .help = "Time between two probes."},
    {"timeout", DURATION(SEC(1) / 100, SEC(300)), AT(config_health, timeout_us), .def = "1s",
        .help = "A probe that takes longer has failed."},
    {"start_deadline", DURATION(SEC(1), USEC_PER_HOUR), AT(config_health, start_deadline_us), .def = "10s",
        .help = "After a start only successes count for this long."},
    {"fall", U32(1, 100), AT(config_health, fall), .def_help = "recovery.fall",
        .help = "So many failed probes in a row make it unhealthy."},
    {"rise", U32(1, 100), AT(config_health, rise), .def_help = "recovery.rise",
        .help = "So many good probes in a row make it healthy."},
    {"url", STRING, AT(config_health, url), .flags = CONFIG_KEY_PER_TENANT, .check = config_check_url,
        .form = "\"http://localhost/_ping\"",
        .def_help = "http://localhost/_ping on the first socket of listen",
        .help = "Where an external proxy answers; not for an embedded one."},
    {"unix_socket", STRING, AT(config_health, unix_socket), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_socket, .form = "\"/PATH/docker.sock\"",
        .help = "Unix socket of an external proxy; the URL then only gives the path."},
};
static const struct config_schema proxy_health_schema =
    SCHEMA(proxy_health_keys, "proxy.health", "How GET /_ping through the proxy is probed.");

static const struct config_key proxy_keys[] = {
    {"mode", ENUM(proxy_modes), AT(config_proxy, mode), .def = "embedded", .change = CONFIG_CHANGE_LISTEN,
        .help =
            "embedded: clawsup runs the proxy. external: a proxy container that exists already is probed and "
            "restarted."},
    {"name", STRING, AT(config_proxy, name), .flags = CONFIG_KEY_PER_TENANT, .check = config_check_container,
        .change = CONFIG_CHANGE_LISTEN, .help = "Container name of an external proxy."},
    {"match_label", STRING, AT(config_proxy, match_label), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_label, .form = "\"com.docker.compose.service=proxy\"",
        .change = CONFIG_CHANGE_LISTEN, .help = "Finds an external proxy by a label instead of its name."},
    {"listen", CUSTOM(config_read_listen), .flags = CONFIG_KEY_PER_TENANT, .max = 8,
        .equal = config_equal_listen, .form = "[ \"unix:/run/clawsup/SLUG/docker.sock\" ]",
        .def_help = "unix:RUNTIME_DIR/SLUG/docker.sock", .change = CONFIG_CHANGE_LISTEN,
        .help = "Sockets of the proxy: unix:/PATH or tcp://ADDRESS:PORT with a literal address."},
    {"socket_uid", U32(0, UINT32_MAX - 1), AT(config_proxy, socket_uid), .def = "0",
        .change = CONFIG_CHANGE_LISTEN,
        .help = "Owner of the unix sockets: the uid that the gateway runs as, as the host sees it."},
    {"recovery", GROUP(recovery_schema), AT(config_proxy, recovery), .flags = CONFIG_KEY_INHERIT,
        .change = CONFIG_CHANGE_RECOVERY, .def_help = "the tenant's",
        .help = "The keys of the tenant's recovery, for this component alone."},
    {"health", GROUP(proxy_health_schema), AT(config_proxy, health), .change = CONFIG_CHANGE_HEALTH,
        .help = "Probing of the proxy."},
    {"allow", GROUP(allow_schema), .base = CONFIG_BASE_POLICY, .help = "What the tenant may do."},
    {"filter", ENUM(filter_modes), POLICY(filter), .def = "enforce",
        .help =
            "enforce, or report to learn what a gateway needs: what only a switch of allow that is off by "
            "default stands against is done all the same, and recorded as \"report\". Isolation is never "
            "loosened."},
    {"names", ENUM(names_modes), POLICY(names), .def = "scoped",
        .help =
            "scoped: the client's container names must match match_container_name. namespaced: the client "
            "uses any name, the engine sees it behind name_prefix."},
    {"match_container_name", STRING, POLICY(match_container_name), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_pattern, .form = "\"openclaw-sbx-SLUG-*\"", .def_help = "openclaw-sbx-SLUG-*",
        .help = "Names that the tenant's sandboxes may have: a glob, or regex: and a PCRE2 expression."},
    {"name_prefix", STRING, POLICY(name_prefix), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_container, .form = "\"openclaw-sbx-SLUG-\"", .def_help = "openclaw-sbx-SLUG-",
        .help = "What the engine sees before the client's name, with names = \"namespaced\"."},
    {"bind_mount_from", .type = CONFIG_KEY_LIST, POLICY(bind_mount_from), .check = config_check_bind_root,
        .form = "[ \"/data/tenants/SLUG/workspace\" ]", .def_help = "nothing may be bound",
        .help = "Directories that a sandbox may bind; the first is the workspace."},
    {"images", .type = CONFIG_KEY_LIST, POLICY(images), .check = config_check_image,
        .form = "[ \"openclaw-sandbox:bookworm-slim\" ]", .def_help = "no sandbox can be created",
        .help = "Images that a sandbox may be made of."},
    {"sandbox_network", CUSTOM(config_read_sandbox_network), .base = CONFIG_BASE_TENANT,
        AT(config_tenant, sandbox_network), .form = "\"none\"", .def_help = "none",
        .help = "none: sandboxes have no network. tenant: they may join the tenant's own one."},
    {"runtime", STRING, POLICY(runtime), .check = config_check_word, .form = "\"runsc\"",
        .def_help = "the engine's", .help = "OCI runtime that is forced on sandboxes."},
    {"security_opt", .type = CONFIG_KEY_LIST, POLICY(security_opt), .check = config_check_plain,
        .form = "[ \"apparmor=docker-default\" ]",
        .help = "Security options that are added to no-new-privileges on each sandbox."},
    {"cap_keep", .type = CONFIG_KEY_LIST, POLICY(cap_keep), .check = config_check_word,
        .form = "[ \"CHOWN\" ]",
        .help = "Capabilities of Docker's default set that a sandbox keeps; all others are dropped."},
    {"users", .type = CONFIG_KEY_LIST, POLICY(users), .check = config_check_user, .form = "[ \"1000:1000\" ]",
        .def_help = "any unprivileged one", .help = "Users that a sandbox or an exec may run as."},
    {"readonly_rootfs", BOOL, POLICY(readonly_rootfs), .def = "false",
        .help = "Force a read-only root file system on sandboxes."},
    {"max_connections", U64(1, 65536), POLICY(max_connections), .def = "1024",
        .help = "Client connections at a time."},
    {"api_version", CUSTOM(config_read_api_version), POLICY(api_version), .check = config_check_api_version,
        .form = "\"1.41\"", .def_help = "negotiated with the engine",
        .help = "Version of the Docker API towards the engine."},
};
static const struct config_schema proxy_schema =
    SCHEMA(proxy_keys, "proxy", "The filtering proxy through which the tenant uses Docker.");

/* ---------------------------------------------------------------- gateway */

static const struct config_key mount_keys[] = {
    {"source", STRING, AT(config_mount, source), .check = config_check_path, .help = "Path on the host."},
    {"target", STRING, AT(config_mount, target), .check = config_check_path, .help = "Path in the gateway."},
    {"read_only", BOOL, AT(config_mount, read_only), .def = "false", .help = "Mount it read-only."},
};
static const struct config_schema schema_mount =
    SCHEMA(mount_keys, "gateway.mounts", "One mount of the gateway container.");

static const struct config_key gateway_health_keys[] = {
    {"type", ENUM(check_types), AT(config_health, type),
        .def_help = "http with url, tcp with tcp, else docker",
        .help =
            "http: GET a URL. tcp: connect. docker: the container's own state and health. none: no probe."},
    {"url", STRING, AT(config_health, url), .flags = CONFIG_KEY_PER_TENANT, .check = config_check_url,
        .form = "\"http://127.0.0.1:18801/healthz\"", .help = "URL that must answer 2xx."},
    {"unix_socket", STRING, AT(config_health, unix_socket), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_socket, .form = "\"/PATH/gateway.sock\"",
        .help = "Unix socket to connect to; the URL then only gives the path."},
    {"expect_json", CUSTOM(config_read_expect_json), .equal = config_equal_expect_json,
        .form = "{ ok = true; }",
        .help = "One top-level field of the answer and the value that it must have."},
    {"tcp", CUSTOM(config_read_tcp), .flags = CONFIG_KEY_PER_TENANT, .equal = config_equal_tcp,
        .form = "\"127.0.0.1:18801\"", .help = "Address and port that must accept a connection."},
    {"interval", DURATION(SEC(1) / 10, USEC_PER_HOUR), AT(config_health, interval_us), .def = "2s",
        .help = "Time between two probes."},
    {"timeout", DURATION(SEC(1) / 100, SEC(300)), AT(config_health, timeout_us), .def = "3s",
        .help = "A probe that takes longer has failed."},
    {"start_deadline", DURATION(SEC(1), USEC_PER_HOUR), AT(config_health, start_deadline_us), .def = "5m",
        .help = "After a start only successes count for this long."},
    {"fall", U32(1, 100), AT(config_health, fall), .def_help = "recovery.fall",
        .help = "So many failed probes in a row make it unhealthy."},
    {"rise", U32(1, 100), AT(config_health, rise), .def_help = "recovery.rise",
        .help = "So many good probes in a row make it healthy."},
};
static const struct config_schema gateway_health_schema =
    SCHEMA(gateway_health_keys, "gateway.health", "How the gateway is probed.");

#define AFTER_KEY(of, field)                                                                                 \
    {                                                                                                        \
        "after", .type = CONFIG_KEY_STRV, AT(of, field), .check = config_check_component,                    \
                 .max = CONFIG_PARTS_MAX, .form = "[ \"memory\" ]",                                          \
                 .help = "Components of the tenant that must be healthy before this one is started or "      \
                         "restarted.",                                                                       \
    }

static const struct config_key gateway_keys[] = {
    {"mode", ENUM(gateway_modes), AT(config_gateway, mode), .def = "managed",
        .help =
            "managed: made from this configuration. external: made by somebody else (Compose), found by name "
            "or label, redeployed from what it last looked like."},
    {"name", STRING, AT(config_gateway, name), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_container, .def_help = "openclaw-gw-SLUG", .help = "Container name."},
    {"match_label", STRING, AT(config_gateway, match_label), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_label, .form = "\"com.docker.compose.service=gateway\"",
        .help = "Finds an external gateway by a label instead of its name."},
    {"image", STRING, AT(config_gateway, image), .check = config_check_image,
        .help = "Image of the gateway; required when managed. It is never pulled."},
    {"command", .type = CONFIG_KEY_STRV, AT(config_gateway, command), .def_help = "the image's",
        .help = "Command and arguments."},
    {"entrypoint", .type = CONFIG_KEY_STRV, AT(config_gateway, entrypoint), .def_help = "the image's",
        .help = "Entry point."},
    {"env", .type = CONFIG_KEY_STRV, AT(config_gateway, env), .check = config_check_env,
        .form = "[ \"KEY=VALUE\" ]", .help = "Environment variables."},
    {"env_file", STRING, AT(config_gateway, env_file), .check = config_check_path,
        .form = "\"/etc/clawsup/env/SLUG\"",
        .help = "File of KEY=VALUE lines, read at each create; outside data_root."},
    {"user", STRING, AT(config_gateway, user), .check = config_check_user, .def_help = "the image's",
        .help = "User that the gateway runs as."},
    {"data_target", STRING, AT(config_gateway, data_target), .check = config_check_path,
        .def_help = "the same path as on the host",
        .help =
            "Where data_root is mounted in the gateway. Paths that the gateway binds into sandboxes are the "
            "host's, so the default fits."},
    {"mounts", CUSTOM(config_read_mounts), .max = 32, .group = &schema_mount, .equal = config_equal_mounts,
        .form = "( { source = \"/HOST/PATH\"; target = \"/PATH\"; read_only = true; } )",
        .help = "More mounts of the gateway."},
    {"publish", CUSTOM(config_read_publish), .flags = CONFIG_KEY_PER_TENANT, .max = 32,
        .equal = config_equal_publish, .form = "[ \"127.0.0.1:18801:18789\" ]",
        .help = "Published ports, on loopback only: ADDRESS:HOSTPORT:CONTAINERPORT."},
    {"internal", BOOL, AT(config_gateway, internal), .def = "false",
        .help = "The tenant's network has no way out."},
    {"docker_host_tcp", BOOL, AT(config_gateway, docker_host_tcp), .def = "false",
        .help = "Give the gateway its proxy as tcp:// on the tenant's bridge instead of a unix socket."},
    {"stop_timeout", DURATION(SEC(1), SEC(600)), AT(config_gateway, stop_timeout_us), .def = "10s",
        .help = "Time between SIGTERM and SIGKILL when it is stopped."},
    AFTER_KEY(config_gateway, after),
    {"recovery", GROUP(recovery_schema), AT(config_gateway, recovery), .flags = CONFIG_KEY_INHERIT,
        .change = CONFIG_CHANGE_RECOVERY, .def_help = "the tenant's",
        .help = "The keys of the tenant's recovery, for this component alone."},
    {"health", GROUP(gateway_health_schema), AT(config_gateway, health), .change = CONFIG_CHANGE_HEALTH,
        .help = "Probing of the gateway."},
};
static const struct config_schema gateway_schema =
    SCHEMA(gateway_keys, "gateway", "The OpenClaw gateway container.");

/* ---------------------------------------------------------------- more components */

static const struct config_schema component_mount_schema =
    SCHEMA(mount_keys, "components.mounts", "One mount of a component's container.");
static const struct config_schema component_health_schema =
    SCHEMA(gateway_health_keys, "components.health", "How a component is probed.");

/* The readers of lists of entries take the gateway's struct. */
#define CONTAINER(field) .offset = offsetof(struct config_component, container.field)
#define CONTAINER_ITSELF .offset = offsetof(struct config_component, container)
static const struct config_key component_keys[] = {
    {"name", STRING, AT(config_component, name), .check = config_check_component, .form = "\"memory\"",
        .help = "Name of the component within the tenant, required; also its host name on the tenant's "
                "network."},
    AFTER_KEY(config_component, container.after),
    {"mode", ENUM(gateway_modes), CONTAINER(mode), .def = "managed",
        .help = "managed: made from this configuration. external: made by somebody else, found by container "
                "or match_label, and only started and restarted."},
    {"container", STRING, CONTAINER(name), .flags = CONFIG_KEY_PER_TENANT, .check = config_check_container,
        .def_help = "clawsup-SLUG.NAME", .help = "Container name."},
    {"match_label", STRING, CONTAINER(match_label), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_label, .form = "\"com.docker.compose.service=redis\"",
        .help = "Finds an external container by a label instead of its name."},
    {"image", STRING, CONTAINER(image), .check = config_check_image,
        .help = "Image; required when managed. It is never pulled."},
    {"command", .type = CONFIG_KEY_STRV, CONTAINER(command), .def_help = "the image's",
        .help = "Command and arguments."},
    {"entrypoint", .type = CONFIG_KEY_STRV, CONTAINER(entrypoint), .def_help = "the image's",
        .help = "Entry point."},
    {"env", .type = CONFIG_KEY_STRV, CONTAINER(env), .check = config_check_env, .form = "[ \"KEY=VALUE\" ]",
        .help = "Environment variables."},
    {"env_file", STRING, CONTAINER(env_file), .check = config_check_path, .form = "\"/etc/clawsup/env/SLUG\"",
        .help = "File of KEY=VALUE lines, read at each create; outside data_root."},
    {"user", STRING, CONTAINER(user), .check = config_check_user, .def_help = "the image's",
        .help = "User that it runs as."},
    {"mounts", CUSTOM(config_read_mounts), CONTAINER_ITSELF, .max = 32, .group = &component_mount_schema,
        .equal = config_equal_mounts,
        .form = "( { source = \"/HOST/PATH\"; target = \"/PATH\"; read_only = true; } )",
        .help = "Its mounts; data_root is not mounted by itself."},
    {"publish", CUSTOM(config_read_publish), CONTAINER_ITSELF, .flags = CONFIG_KEY_PER_TENANT, .max = 32,
        .equal = config_equal_publish, .form = "[ \"127.0.0.1:16379:6379\" ]",
        .help = "Published ports, on loopback only: ADDRESS:HOSTPORT:CONTAINERPORT."},
    {"stop_timeout", DURATION(SEC(1), SEC(600)), CONTAINER(stop_timeout_us), .def = "10s",
        .help = "Time between SIGTERM and SIGKILL when it is stopped."},
    {"recovery", GROUP(recovery_schema), CONTAINER(recovery), .flags = CONFIG_KEY_INHERIT,
        .change = CONFIG_CHANGE_RECOVERY, .def_help = "the tenant's",
        .help = "The keys of the tenant's recovery, for this component alone."},
    {"health", GROUP(component_health_schema), CONTAINER(health), .change = CONFIG_CHANGE_HEALTH,
        .help = "Probing of the component."},
};
const struct config_schema config_schema_component = SCHEMA(component_keys, "components",
    "One more container of the tenant, on the tenant's network and under its limits, but not the tenant's to "
    "manage through the proxy.");

/* ---------------------------------------------------------------- limits */

static const struct config_key sandbox_keys[] = {
    {"cpus", CPUS, AT(policy, nano_cpus), .def = "1.0", .help = "CPUs of one sandbox."},
    {"memory", SIZE(MIB(6), TIB(64)), AT(policy, memory_bytes), .def = "1G",
        .help = "Memory of one sandbox."},
    {"pids", U64(1, 4194304), AT(policy, pids), .def = "256",
        .help = "Processes and threads of one sandbox."},
    {"max_containers", U64(1, 10000), AT(policy, max_containers), .def = "8", .help = "Sandboxes at a time."},
    {"shm", SIZE(4096, TIB(1)), AT(policy, shm_bytes), .def = "64M", .help = "Largest /dev/shm."},
    {"tmpfs", SIZE(4096, TIB(1)), AT(policy, tmpfs_bytes), .def = "256M", .help = "Largest tmpfs mount."},
};
static const struct config_schema sandbox_schema =
    SCHEMA(sandbox_keys, "limits.sandbox", "Caps that the proxy forces on each sandbox.");

static const struct config_key pressure_keys[] = {
    {"memory", U32(0, 100), AT(config_limits, pressure.memory), .def = "40",
        .help = "Percent of the time in which processes may wait for memory; 0: not watched."},
    {"cpu", U32(0, 100), AT(config_limits, pressure.cpu), .def = "0",
        .help = "The same for the CPU. A tenant that uses up its limits.cpus always waits."},
    {"io", U32(0, 100), AT(config_limits, pressure.io), .def = "60",
        .help = "The same for reads and writes."},
    {"hold", DURATION(0, USEC_PER_HOUR), AT(config_limits, pressure.hold_us), .def = "10s",
        .help = "on_pressure is done after the pressure has lasted for so long."},
};
static const struct config_schema pressure_schema = SCHEMA(pressure_keys, "limits.pressure",
    "When the processes of the tenant wait too much (pressure stall information of the kernel).");

static const struct config_key limits_keys[] = {
    {"cpus", CPUS, AT(config_limits, nano_cpus), .flags = CONFIG_KEY_UNLIMITED, .def = "unlimited",
        .form = "1.5", .help = "CPUs of gateway and sandboxes together."},
    {"memory", SIZE(MIB(16), TIB(64)), AT(config_limits, memory_bytes), .flags = CONFIG_KEY_UNLIMITED,
        .def = "unlimited", .form = "\"2G\"", .help = "Memory of gateway and sandboxes together."},
    {"pids", U64(1, 4194304), AT(config_limits, pids), .flags = CONFIG_KEY_UNLIMITED, .def = "unlimited",
        .form = "512", .help = "Processes and threads of gateway and sandboxes together."},
    {"disk", SIZE(MIB(64), TIB(1024)), AT(config_limits, disk_bytes), .flags = CONFIG_KEY_UNLIMITED,
        .def = "unlimited", .form = "\"20G\"",
        .help = "Disk space of data_root. It may be raised at any time, and is never lowered by itself."},
    {"disk_inodes", U64(1024, UINT32_MAX), AT(config_limits, disk_inodes), .flags = CONFIG_KEY_UNLIMITED,
        .def = "unlimited", .form = "200000",
        .help = "Files and directories in data_root. An image has one for each 16 KiB unless this was set "
                "when it was made."},
    {"disk_mode", ENUM(disk_modes), AT(config_limits, disk_mode), .def = "auto",
        .help = "image: data_root is an image of that size, mounted there as long as it holds no file; an "
                "existing "
                "one is used in every mode. best-effort: whoever grows most is frozen when disk_reserve is "
                "touched. auto: "
                "an image, else best-effort. A data_root that is a file system of its own is capped by its "
                "size."},
    {"cpu_weight", U64(1, 10000), AT(config_limits, cpu_weight), .def = "100",
        .help = "Share of the CPU when tenants compete."},
    {"enforce", ENUM(enforce_names), AT(config_limits, enforce), .def = "strict",
        .help =
            "What happens to a container that is outside of the limits and cannot be put right. strict: a "
            "sandbox is stopped, a managed gateway is made anew. best-effort: it runs on, and that is "
            "told."},
    {"on_pressure", ENUM(on_pressure_names), AT(config_limits, on_pressure), .def = "none",
        .help = "What lasting pressure leads to. none: it is told and counted. throttle: half of limits.cpus "
                "and the smallest share of the CPU until it is over; the gateway becomes suspect once. "
                "restart: good probes of the gateway count as failed, so that the recovery ladder begins."},
    {"pressure", GROUP(pressure_schema), .help = "What counts as pressure."},
    {"sandbox", GROUP(sandbox_schema), .base = CONFIG_BASE_POLICY, .help = "Caps of one sandbox."},
};
static const struct config_schema limits_schema =
    SCHEMA(limits_keys, "limits", "Limits of the tenant: its gateway and all its sandboxes together.");

/* ---------------------------------------------------------------- tenant */

static const struct config_key tenant_keys[] = {
    {"slug", CUSTOM(config_read_slug), AT(config_tenant, slug), .flags = CONFIG_KEY_PER_TENANT,
        .equal = config_equal_slug, .form = "\"acme\"", .change = CONFIG_CHANGE_IDENTITY,
        .help = "Name of the tenant, required: 1 to 32 of a-z, 0-9 and single dashes inside."},
    {"data_root", STRING, AT(config_tenant, data_root), .flags = CONFIG_KEY_PER_TENANT,
        .check = config_check_data_root, .form = "\"/data/tenants/acme\"", .change = CONFIG_CHANGE_IDENTITY,
        .help = "Directory of the tenant, required: everything that it keeps lies below it."},
    {"proxy", GROUP(proxy_schema), AT(config_tenant, proxy), .change = CONFIG_CHANGE_LISTEN,
        .help = "The filtering proxy."},
    {"gateway", GROUP(gateway_schema), AT(config_tenant, gateway), .change = CONFIG_CHANGE_GATEWAY,
        .help = "The gateway container."},
    {"components", CUSTOM(config_read_components), .max = CONFIG_COMPONENTS_MAX,
        .group = &config_schema_component, .equal = config_equal_components,
        .form = "( { name = \"memory\"; image = \"redis:7\"; } )", .change = CONFIG_CHANGE_COMPONENTS,
        .help = "More containers of the tenant, started in the order of their after."},
    {"limits", GROUP(limits_schema), AT(config_tenant, limits), .change = CONFIG_CHANGE_LIMITS,
        .help = "Limits of the tenant and of its sandboxes."},
    {"recovery", GROUP(recovery_schema), AT(config_tenant, recovery), .change = CONFIG_CHANGE_RECOVERY,
        .help = "The recovery ladder."},
};
const struct config_schema config_schema_tenant =
    SCHEMA(tenant_keys, "tenant", "One tenant; each has its own file in tenants_dir.");

/* ---------------------------------------------------------------- host */

static const struct config_key host_recovery_keys[] = {
    {"restarts_in_flight", U32(1, 1000), AT(recovery_host_params, restarts_in_flight), .def = "4",
        .help = "Restarts at a time on the host."},
    {"redeploys_in_flight", U32(1, 1000), AT(recovery_host_params, redeploys_in_flight), .def = "1",
        .help = "Redeploys at a time on the host."},
    {"bucket_size", U32(1, 10000), AT(recovery_host_params, bucket_size), .def = "5",
        .help = "Actions that may start at once."},
    {"bucket_refill", DURATION(SEC(1) / 1000, USEC_PER_HOUR), AT(recovery_host_params, bucket_refill_us),
        .def = "6s", .help = "Time after which one more action may start."},
    {"engine_fall", U32(1, 100), AT(recovery_host_params, engine_fall), .def = "2",
        .help = "So many failed pings mean that the engine is down."},
    {"settling", DURATION(0, USEC_PER_HOUR), AT(recovery_host_params, settling_us), .def = "30s",
        .help = "No action for this long after the engine came back."},
    {"mass_min_tenants", U32(1, 100000), AT(recovery_host_params, mass_min_tenants), .def = "3",
        .help = "Least number of suspect tenants that count as a mass failure."},
    {"mass_percent", U32(1, 100), AT(recovery_host_params, mass_percent), .def = "30",
        .help = "Least share of suspect tenants that counts as a mass failure."},
    {"mass_window", DURATION(SEC(1), USEC_PER_HOUR), AT(recovery_host_params, mass_window_us), .def = "1m",
        .help = "Both within this time."},
    {"mass_canary", DURATION(SEC(1), USEC_PER_HOUR), AT(recovery_host_params, mass_canary_us), .def = "1m",
        .help = "Time between canary actions in a mass failure."},
    {"mass_canary_max", DURATION(SEC(1), USEC_PER_DAY), AT(recovery_host_params, mass_canary_max_us),
        .def = "15m", .help = "It doubles with each canary until one gets well, up to this."},
    {"mass_exit_percent", U32(1, 100), AT(recovery_host_params, mass_exit_percent), .def = "15",
        .help = "Below this share, for mass_exit, the mass failure is over."},
    {"mass_exit", DURATION(0, USEC_PER_HOUR), AT(recovery_host_params, mass_exit_us), .def = "2m",
        .help = "See mass_exit_percent."},
    {"grace", DURATION(0, USEC_PER_HOUR), AT(recovery_host_params, grace_us), .def = "30s",
        .help = "No action for this long after a suspend or a stall."},
    {"observe", DURATION(0, USEC_PER_HOUR), AT(recovery_host_params, observe_us), .def = "30s",
        .help = "No action for this long after the start of clawsupd."},
    {"safe_starts", U32(2, 100), AT(recovery_host_params, safe_starts), .def = "3",
        .help = "So many starts of clawsupd within safe_window make it observe only."},
    {"safe_window", DURATION(SEC(1), USEC_PER_DAY), AT(recovery_host_params, safe_window_us), .def = "5m",
        .help = "See safe_starts."},
    {"safe", DURATION(0, USEC_PER_DAY), AT(recovery_host_params, safe_us), .def = "10m",
        .help = "How long it then observes only."},
};
static const struct config_schema host_recovery_schema =
    SCHEMA(host_recovery_keys, "recovery", "Guards that hold for the whole host.");

static const struct config_key overcommit_keys[] = {
    {"cpus", CPUS, AT(config, overcommit.cpus), .flags = CONFIG_KEY_UNLIMITED, .def = "16.0",
        .help = "Sum of limits.cpus, in multiples of the host's CPUs."},
    {"memory", CPUS, AT(config, overcommit.memory), .flags = CONFIG_KEY_UNLIMITED, .def = "4.0",
        .help =
            "Sum of limits.memory, in multiples of the host's memory less host_reserve_memory. 1.0: every "
            "tenant can use all of its limit at any time."},
    {"pids", CPUS, AT(config, overcommit.pids), .flags = CONFIG_KEY_UNLIMITED, .def = "4.0",
        .help = "Sum of limits.pids, in multiples of the kernel's threads-max."},
    {"disk", CPUS, AT(config, overcommit.disk), .flags = CONFIG_KEY_UNLIMITED, .def = "4.0",
        .help = "Sum of limits.disk, in multiples of the file system that holds data_root."},
};
static const struct config_schema overcommit_schema = SCHEMA(overcommit_keys, "overcommit",
    "A tenant whose hard limits do not fit what is left is not admitted: it is not supervised, and that is "
    "told.");

static const struct config_key host_keys[] = {
    {"tenants_dir", STRING, AT(config, tenants_dir), .check = config_check_path,
        .form = "\"/etc/clawsup/tenants.d\"", .def_help = "tenants.d beside clawsup.conf",
        .help = "Directory of the tenants' files; those that end in .conf are read."},
    {"runtime_dir", STRING, AT(config, runtime_dir), .flags = CONFIG_KEY_RESTART,
        .check = config_check_runtime_dir, .def = "/run/clawsup",
        .help = "Sockets of proxies and of clawsupd."},
    {"state_dir", STRING, AT(config, state_dir), .flags = CONFIG_KEY_RESTART, .check = config_check_path,
        .def = "/var/lib/clawsup", .help = "Holds state.db."},
    {"disk_images_dir", STRING, AT(config, disk_images_dir), .flags = CONFIG_KEY_RESTART,
        .check = config_check_path, .form = "\"/var/lib/clawsup/images\"", .def_help = "images in state_dir",
        .help = "Holds the tenants' disk images, one file each."},
    {"disk_reserve", SIZE(0, TIB(64)), AT(config, disk_reserve_bytes), .def = "1G",
        .help =
            "Free space that stays the host's: no image is made or grown into it, and of the tenants with a "
            "best-effort disk limit the one that grows most is frozen when it is touched."},
    {"disk_trim_interval", DURATION(0, 30 * USEC_PER_DAY), AT(config, disk_trim_interval_us), .def = "1d",
        .help = "How often what tenants deleted in their images is given back to the host; \"0s\": never."},
    {"engine_socket", STRING, AT(config, engine_socket), .flags = CONFIG_KEY_RESTART,
        .check = config_check_socket, .def = "/run/docker.sock", .help = "Unix socket of the Docker Engine."},
    {"metrics_file", STRING, AT(config, metrics_file), .check = config_check_metrics_file,
        .def = "/var/lib/prometheus/node-exporter/clawsup.prom",
        .help = "Textfile for node_exporter; \"\" for none."},
    {"metrics_interval", DURATION(SEC(1), USEC_PER_HOUR), AT(config, metrics_interval_us), .def = "15s",
        .help = "How often it is written, beside every transition."},
    {"proxy_program", STRING, AT(config, proxy_program), .check = config_check_path,
        .form = "\"/usr/libexec/clawsup/clawsup-proxy\"",
        .def_help = "clawsup-proxy beside clawsupd, else in PREFIX/libexec/clawsup",
        .help = "The proxy's program."},
    {"proxy_user", STRING, AT(config, proxy_user), .flags = CONFIG_KEY_RESTART, .check = config_check_account,
        .def = "clawsup-proxy", .help = "User that proxies run as."},
    {"docker_gid", CUSTOM(config_read_docker_gid), AT(config, docker_gid), .flags = CONFIG_KEY_RESTART,
        .equal = config_equal_string, .form = "998", .def_help = "that of the group docker",
        .help = "Group that may open the engine's socket."},
    {"allow_root_gid", BOOL, AT(config, allow_root_gid), .flags = CONFIG_KEY_RESTART, .def = "false",
        .help = "Accept gid 0 for that. Proxies then share a group with root."},
    {"control_group", STRING, AT(config, control_group), .flags = CONFIG_KEY_RESTART,
        .check = config_check_account, .def_help = "root only",
        .help = "Group that may use the control socket of clawsupd."},
    {"log_level", CUSTOM(config_read_log_level), AT(config, log_level), .equal = config_equal_int,
        .form = "\"info\"", .def_help = "info", .help = "error, warning, notice, info or debug."},
    {"stop_gateways", BOOL, AT(config, stop_gateways), .def = "false",
        .help = "Stop all gateways when clawsupd is stopped; otherwise they run on."},
    {"relist_interval", DURATION(SEC(1), USEC_PER_HOUR), AT(config, relist_interval_us), .def = "30s",
        .help = "How often all containers are listed, beside the engine's events."},
    {"overcommit", GROUP(overcommit_schema),
        .help = "How far the tenants' limits together may go beyond what the host has."},
    {"host_reserve_memory", SIZE(0, TIB(64)), AT(config, host_reserve_memory_bytes), .def = "512M",
        .help = "Memory that all tenants together must leave to the host."},
    {"recovery", GROUP(host_recovery_schema), AT(config, recovery),
        .help = "Guards that hold for the whole host."},
    {"defaults", CUSTOM(config_read_defaults), .form = "{ ... };",
        .help =
            "Keys of a tenant that hold for all tenants; a tenant's file overrides them one by one. A list "
            "replaces the whole list."},
};
const struct config_schema config_schema_host = SCHEMA(host_keys, "clawsup.conf", "Values of the host.");
