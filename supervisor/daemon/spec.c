/* spec.c: see spec.h. Builds JSON; talks to nobody. */
#include "daemon/spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"

#define ENV_FILE_MAX ((size_t)256 * 1024)
#define SOCKET_TARGET "/run/clawsup"

void spec_network_name(char *out, size_t n, const char *slug)
{
    (void)snprintf(out, n, "clawsup-net-%s", slug);
}

static const struct config_listen *first_listen(const struct config_tenant *t, bool is_unix)
{
    for (size_t i = 0; i < t->proxy.n_listen; i++)
        if (t->proxy.listen[i].is_unix == is_unix)
            return &t->proxy.listen[i];
    return NULL;
}

int spec_network(const struct config_tenant *t, json_t **ret)
{
    const struct config_listen *tcp = t->gateway.docker_host_tcp ? first_listen(t, false) : NULL;
    char name[64];
    struct in_addr a;
    json_t *j;

    spec_network_name(name, sizeof(name), t->slug);
    j = json_pack("{s:s, s:s, s:b, s:b, s:{s:s, s:s}}", "Name", name, "Driver", "bridge", "CheckDuplicate", 1,
        "Internal", (int)t->gateway.internal, "Labels", SPEC_LABEL_TENANT, t->slug, SPEC_LABEL_ROLE,
        "network");
    if (j && tcp && inet_pton(AF_INET, tcp->address, &a) == 1) {
        char subnet[32], net[INET_ADDRSTRLEN];
        struct in_addr base = {.s_addr = a.s_addr & htonl(0xffffff00)};

        (void)inet_ntop(AF_INET, &base, net, sizeof(net));
        (void)snprintf(subnet, sizeof(subnet), "%s/24", net);
        if (json_object_set_new(j, "IPAM",
                json_pack("{s:s, s:[{s:s, s:s}]}", "Driver", "default", "Config", "Subnet", subnet, "Gateway",
                    tcp->address)) < 0) {
            json_decref(j);
            j = NULL;
        }
    }
    *ret = j;
    return j ? 0 : -ENOMEM;
}

/* ---------------------------------------------------------------- the managed gateway */

static int add_string(json_t *array, const char *s)
{
    return json_array_append_new(array, json_string(s)) < 0 ? -ENOMEM : 0;
}

static json_t *strv_to_json(const struct config_strv *v)
{
    json_t *a = json_array();

    for (size_t i = 0; a && i < v->n; i++) {
        if (add_string(a, v->items[i]) < 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

/* KEY=VALUE lines as docker's --env-file takes them: no quoting, '#' comments, blank lines. */
static int add_env_file(json_t *env, const char *path, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    char *line, *save = NULL;
    unsigned n = 0;
    int r = fd_read_file(path, ENV_FILE_MAX, &text, NULL);

    if (r < 0)
        return err_set(e, r, "env_file %s: %s", path, strerror(-r));
    for (char *p = text; (line = strsep(&p, "\n"));) {
        n++;
        if (*line && line[strlen(line) - 1] == '\r')
            line[strlen(line) - 1] = '\0';
        if (!*line || *line == '#')
            continue;
        /* The value may be a secret: it is never repeated in a message. */
        if (!strchr(line, '=') || *line == '=')
            return err_set(e, -EINVAL, "env_file %s:%u: not KEY=VALUE", path, n);
        if (add_string(env, line) < 0)
            return -ENOMEM;
    }
    (void)save;
    return 0;
}

static int build_env(
    const struct config_tenant *t, const struct config_gateway *g, json_t **ret, struct err *e)
{
    _cleanup_json_ json_t *env = strv_to_json(&g->env);
    _cleanup_free_ char *host = NULL;
    /* The proxy is the gateway's alone. */
    const struct config_listen *l = g == &t->gateway ? first_listen(t, !t->gateway.docker_host_tcp) : NULL;
    int r = 0;

    if (!env)
        return -ENOMEM;
    if (g->env_file)
        r = add_env_file(env, g->env_file, e);
    if (r < 0)
        return r;
    if (l && (t->gateway.docker_host_tcp ? asprintf(&host, "DOCKER_HOST=tcp://%s:%u", l->address, l->port)
                                         : asprintf(&host, "DOCKER_HOST=unix://%s/%s", SOCKET_TARGET,
                                               strrchr(l->path, '/') + 1)) < 0)
        return -ENOMEM;
    if (host && add_string(env, host) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(env);
    return 0;
}

static int add_bind(json_t *mounts, const char *source, const char *target, bool read_only)
{
    json_t *m = json_pack("{s:s, s:s, s:s, s:b, s:{s:s}}", "Type", "bind", "Source", source, "Target", target,
        "ReadOnly", (int)read_only, "BindOptions", "Propagation", "rprivate");

    return m && json_array_append_new(mounts, m) >= 0 ? 0 : -ENOMEM;
}

static int build_mounts(const struct config_tenant *t, const struct config_gateway *g, json_t **ret)
{
    _cleanup_json_ json_t *mounts = json_array();
    bool gateway = g == &t->gateway;
    const struct config_listen *l = gateway && t->proxy.mode == CONFIG_MANAGED ? first_listen(t, true) : NULL;
    int r = 0;

    if (!mounts)
        return -ENOMEM;
    if (gateway)
        r = add_bind(mounts, t->data_root, g->data_target ? g->data_target : t->data_root, false);
    if (r >= 0 && l) {
        /* The directory, not the socket: a socket that is made anew would otherwise stay invisible. */
        _cleanup_free_ char *dir = strndup(l->path, (size_t)(strrchr(l->path, '/') - l->path));
        r = dir ? add_bind(mounts, dir, SOCKET_TARGET, true) : -ENOMEM;
    }
    for (size_t i = 0; r >= 0 && i < g->n_mounts; i++)
        r = add_bind(mounts, g->mounts[i].source, g->mounts[i].target, g->mounts[i].read_only);
    if (r >= 0)
        *ret = TAKE_PTR(mounts);
    return r;
}

static int build_ports(const struct config_gateway *g, json_t *body, json_t *host)
{
    json_t *exposed = json_object(), *bindings = json_object();
    int r = exposed && bindings ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < g->n_ports; i++) {
        const struct config_port *p = &g->ports[i];
        char key[16], port[8];
        json_t *list;

        (void)snprintf(key, sizeof(key), "%u/tcp", p->container_port);
        (void)snprintf(port, sizeof(port), "%u", p->host_port);
        list = json_object_get(bindings, key);
        if (!list) {
            list = json_array();
            if (json_object_set_new(bindings, key, list) < 0 ||
                json_object_set_new(exposed, key, json_object()) < 0)
                r = -ENOMEM;
        }
        if (r >= 0 && json_array_append_new(
                          list, json_pack("{s:s, s:s}", "HostIp", p->host_address, "HostPort", port)) < 0)
            r = -ENOMEM;
    }
    if (json_object_set_new(body, "ExposedPorts", exposed) < 0 ||
        json_object_set_new(host, "PortBindings", bindings) < 0)
        r = -ENOMEM;
    return r;
}

static int add_limits(const struct config_limits *l, json_t *host)
{
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"Memory", l->memory_bytes}, {"MemorySwap", l->memory_bytes}, {"NanoCpus", l->nano_cpus},
        {"PidsLimit", l->pids}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].value &&
            json_object_set_new(host, rows[i].key, json_integer((json_int_t)rows[i].value)) < 0)
            return -ENOMEM;
    return 0;
}

static int build_host(
    const struct config_tenant *t, const struct config_gateway *g, const char *cgroup_parent, json_t *body)
{
    json_t *mounts = NULL, *host;
    int r = build_mounts(t, g, &mounts);

    if (r < 0)
        return r;
    /* RestartPolicy "no": the engine must not start a gateway before its proxy serves, at boot least of all.
     */
    host = json_pack("{s:o, s:{s:s}, s:{s:s, s:{s:s, s:s}}, s:[s], s:b}", "Mounts", mounts, "RestartPolicy",
        "Name", "no", "LogConfig", "Type", "json-file", "Config", "max-size", "10m", "max-file", "3",
        "SecurityOpt", "no-new-privileges", "Init", 1);
    if (!host)
        return -ENOMEM;
    r = build_ports(g, body, host);
    if (r >= 0 && *cgroup_parent && json_object_set_new(host, "CgroupParent", json_string(cgroup_parent)) < 0)
        r = -ENOMEM;
    return json_object_set_new(body, "HostConfig", host) < 0 ? -ENOMEM : r;
}

/* Limits change in place, so their values are no part of the hash. Taking one away needs a new container: the
 * engine cannot update a limit to none. */
static int hash_of(const json_t *body, const struct config_limits *l, char ret_hash[static HASH_HEX_SIZE])
{
    _cleanup_free_ char *text = json_to_string(body), *hashed = NULL;

    if (!text || asprintf(&hashed, "%s %d%d%d", text, l->memory_bytes > 0, l->nano_cpus > 0, l->pids > 0) < 0)
        return -ENOMEM;
    hash_hex(hashed, strlen(hashed), ret_hash);
    return 0;
}

static int add_process(const struct config_gateway *g, json_t *body)
{
    if ((g->command.n && json_object_set_new(body, "Cmd", strv_to_json(&g->command)) < 0) ||
        (g->entrypoint.n && json_object_set_new(body, "Entrypoint", strv_to_json(&g->entrypoint)) < 0) ||
        (g->user && json_object_set_new(body, "User", json_string(g->user)) < 0))
        return -ENOMEM;
    return 0;
}

/* What is no part of the fingerprint: the network, whose id may change, and who it is. */
static int add_place(const struct config_tenant *t, const struct config_component *extra,
    const char *network_id, const char *hash, json_t *body)
{
    char network[64];
    json_t *endpoint = json_pack("{s:s}", "NetworkID", network_id), *labels;

    spec_network_name(network, sizeof(network), t->slug);
    labels = json_pack("{s:s, s:s, s:s}", SPEC_LABEL_TENANT, t->slug, SPEC_LABEL_ROLE,
        extra ? SPEC_ROLE_COMPONENT : SPEC_ROLE_GATEWAY, SPEC_LABEL_HASH, hash);
    if (json_object_set_new(body, "Labels", labels) < 0 ||
        (extra && (json_object_set_new(labels, SPEC_LABEL_COMPONENT, json_string(extra->name)) < 0 ||
                      json_object_set_new(endpoint, "Aliases", json_pack("[s]", extra->name)) < 0)) ||
        json_object_set_new(json_object_get(body, "HostConfig"), "NetworkMode", json_string(network)) < 0) {
        json_decref(endpoint);
        return -ENOMEM;
    }
    return json_object_set_new(
               body, "NetworkingConfig", json_pack("{s:{s:o}}", "EndpointsConfig", network, endpoint)) < 0
               ? -ENOMEM
               : 0;
}

int spec_container(const struct config_tenant *t, const struct config_component *extra,
    const char *network_id, const char *cgroup_parent, json_t **ret, char ret_hash[static HASH_HEX_SIZE],
    struct err *e)
{
    const struct config_gateway *g = extra ? &extra->container : &t->gateway;
    _cleanup_json_ json_t *body = json_object();
    json_t *env = NULL;
    int r = body ? build_env(t, g, &env, e) : -ENOMEM;

    if (r < 0)
        return r;
    if (json_object_set_new(body, "Image", json_string(g->image)) < 0 ||
        json_object_set_new(body, "Env", env) < 0)
        return -ENOMEM;
    r = add_process(g, body);
    if (r >= 0)
        r = build_host(t, g, cgroup_parent, body);
    if (r >= 0)
        r = hash_of(body, &t->limits, ret_hash);
    if (r >= 0 && ret)
        r = add_limits(&t->limits, json_object_get(body, "HostConfig"));
    if (r >= 0 && ret)
        r = add_place(t, extra, network_id, ret_hash, body);
    if (r < 0 || !ret)
        return r;
    *ret = TAKE_PTR(body);
    return 0;
}

/* ---------------------------------------------------------------- capture */

static int capture_endpoint(const json_t *ep, const char *id, json_t **ret)
{
    static const char *const keep[] = {"IPAMConfig", "Links", "DriverOpts", "NetworkID", "GwPriority"};
    json_t *out = json_object(), *aliases = json_array();
    const json_t *a;
    size_t i;

    if (!out || !aliases)
        return -ENOMEM;
    for (i = 0; i < ARRAY_SIZE(keep); i++)
        if (json_object_get(ep, keep[i]) && json_object_set(out, keep[i], json_object_get(ep, keep[i])) < 0)
            return -ENOMEM;
    json_array_foreach(json_object_get(ep, "Aliases"), i, a)
    {
        const char *s = json_string_value(a);
        /* The engine adds the short id as an alias by itself; the new container has another one. */
        if (s && !(strlen(s) == 12 && str_startswith(id, s)) &&
            json_array_append(aliases, (json_t *)(uintptr_t)a) < 0)
            return -ENOMEM;
    }
    if (json_object_set_new(out, "Aliases", aliases) < 0)
        return -ENOMEM;
    *ret = out;
    return 0;
}

static bool is_declared(const json_t *host, const char *target)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(host, "Mounts"), i, row)
    {
        const char *s = json_string_value(json_object_get(row, "Target"));
        if (s && strcmp(s, target) == 0)
            return true;
    }
    json_array_foreach(json_object_get(host, "Binds"), i, row)
    {
        /* SOURCE:TARGET or SOURCE:TARGET:OPTIONS */
        const char *s = json_string_value(row), *p = s ? strchr(s, ':') : NULL;
        size_t n = strlen(target);
        if (p && strncmp(p + 1, target, n) == 0 && (p[n + 1] == '\0' || p[n + 1] == ':'))
            return true;
    }
    return false;
}

/* An anonymous volume is in no declaration, only in what is mounted: without this the new container would
 * begin with an empty one. */
static int capture_volumes(const json_t *inspect, json_t *host)
{
    json_t *mounts = json_object_get(host, "Mounts"), *row;
    size_t i;

    if (!json_is_array(mounts)) {
        mounts = json_array();
        if (json_object_set_new(host, "Mounts", mounts) < 0)
            return -ENOMEM;
    }
    json_array_foreach(json_object_get(inspect, "Mounts"), i, row)
    {
        const char *type = json_string_value(json_object_get(row, "Type"));
        const char *name = json_string_value(json_object_get(row, "Name"));
        const char *target = json_string_value(json_object_get(row, "Destination"));
        bool writable = json_is_true(json_object_get(row, "RW"));

        if (!type || strcmp(type, "volume") != 0 || !name || !target || is_declared(host, target))
            continue;
        if (json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:b}", "Type", "volume", "Source", name,
                                              "Target", target, "ReadOnly", (int)!writable)) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Host name and ports are then that other container's; the engine shows them and would refuse them. */
static bool in_anothers_network(const json_t *host)
{
    const char *mode = json_string_value(json_object_get(host, "NetworkMode"));

    return mode && str_startswith(mode, "container:");
}

int spec_capture(const json_t *inspect, json_t **ret)
{
    static const char *const not_its_own[] = {"Hostname", "Domainname", "ExposedPorts", "MacAddress"};
    const char *id = json_string_value(json_object_get(inspect, "Id")), *hostname;
    json_t *config = json_object_get(inspect, "Config"), *host = json_object_get(inspect, "HostConfig"), *ep;
    const json_t *networks = json_object_get(json_object_get(inspect, "NetworkSettings"), "Networks");
    _cleanup_json_ json_t *body = json_deep_copy(config), *endpoints = json_object();
    const char *name;
    int r = 0;

    if (!id || !json_is_object(config) || !json_is_object(host))
        return -EINVAL;
    if (!body || !endpoints)
        return -ENOMEM;
    hostname = json_string_value(json_object_get(body, "Hostname"));
    if (hostname && strlen(hostname) == 12 && str_startswith(id, hostname))
        (void)json_object_del(body, "Hostname"); /* assigned by the engine */
    if (in_anothers_network(host))
        for (size_t i = 0; i < ARRAY_SIZE(not_its_own); i++)
            (void)json_object_del(body, not_its_own[i]);
    if (json_object_set_new(body, "HostConfig", json_deep_copy(host)) < 0 ||
        capture_volumes(inspect, json_object_get(body, "HostConfig")) < 0)
        return -ENOMEM;
    json_object_foreach((json_t *)(uintptr_t)networks, name, ep)
    {
        json_t *out = NULL;
        r = capture_endpoint(ep, id, &out);
        if (r < 0 || json_object_set_new(endpoints, name, out) < 0)
            return r < 0 ? r : -ENOMEM;
    }
    if (json_object_set_new(body, "NetworkingConfig", json_pack("{s:O}", "EndpointsConfig", endpoints)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(body);
    return 0;
}

static const char *label_of(const json_t *inspect, const char *key)
{
    const char *s = json_string_value(
        json_object_get(json_object_get(json_object_get(inspect, "Config"), "Labels"), key));
    return s ? s : "";
}

const char *spec_hash_of(const json_t *inspect)
{
    return label_of(inspect, SPEC_LABEL_HASH);
}

bool spec_is_ours(const json_t *inspect, const char *slug)
{
    return strcmp(label_of(inspect, SPEC_LABEL_TENANT), slug) == 0;
}
