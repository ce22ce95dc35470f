/* compose_gateway.c: a gateway's service as the groups gateway and limits of a tenant. */
#include "ctl/compose_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "config/config_value.h"

/* ---------------------------------------------------------------- what is run */

static void image(struct compose *c, struct compose_tenant *t)
{
    const char *image = compose_text(t->gateway.body, "image");
    char name[128];

    if (json_object_get(t->gateway.body, "build")) {
        (void)snprintf(name, sizeof(name), "%.60s-%.60s", c->project, t->gateway.name);
        compose_note_key(c, &t->gateway, "build",
            "clawsup builds nothing: build and tag the image yourself; gateway.image = \"%s\"",
            image ? image : name);
    } else if (!image) {
        (void)snprintf(name, sizeof(name), "openclaw:latest");
        compose_note_key(c, &t->gateway, "image", "no image; gateway.image = \"%s\" is a guess", name);
    }
    compose_put(c, t->out_gateway, "image", json_string(image ? image : name));
}

static void names(struct compose *c, struct compose_tenant *t)
{
    const char *name = compose_text(t->gateway.body, "container_name");
    char def[80];

    (void)snprintf(def, sizeof(def), "openclaw-gw-%s", t->slug);
    if (name && strcmp(name, def) != 0 && !config_check_container(name))
        compose_put(c, t->out_gateway, "name", json_string(name));
}

static void commands(struct compose *c, struct compose_tenant *t)
{
    static const char *const keys[] = {"command", "entrypoint"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *v = json_object_get(t->gateway.body, keys[i]);
        json_t *list = v && !json_is_null(v) ? compose_command(v) : NULL;

        if (list && json_array_size(list) > 0)
            compose_put(c, t->out_gateway, keys[i], list);
        else
            json_decref(list);
        if (v && !json_is_null(v) && !list)
            compose_note_key(c, &t->gateway, keys[i], "not translated: an open quote");
    }
}

static void user(struct compose *c, struct compose_tenant *t)
{
    const char *user = compose_text(t->gateway.body, "user");
    uint64_t uid;
    char text[32];

    if (user) {
        compose_put(c, t->out_gateway, "user", json_string(user));
        (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(user, ":"), user);
        if (str_parse_u64(text, INT32_MAX, &uid) >= 0) {
            compose_put(c, t->out_proxy, "socket_uid", json_integer((json_int_t)uid));
            return;
        }
    }
    compose_note_key(c, &t->gateway, "user",
        "%s: set proxy.socket_uid to the uid that the gateway runs as, or it cannot open its proxy's socket",
        user ? "not a number" : "not set");
}

/* ---------------------------------------------------------------- environment */

struct env {
    struct compose_tenant *t;
    json_t *list;
};

static bool looks_secret(const char *key)
{
    static const char *const words[] = {"SECRET", "TOKEN", "PASSWORD", "API_KEY", "PRIVATE_KEY"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasestr(key, words[i]))
            return true;
    return false;
}

static void env_one(struct compose *c, const char *key, const char *value, void *userdata)
{
    struct env *env = userdata;
    _cleanup_free_ char *text = NULL;

    if (str_startswith(key, "DOCKER_") &&
        (strcmp(key, "DOCKER_HOST") == 0 || strcmp(key, "DOCKER_TLS_VERIFY") == 0 ||
            strcmp(key, "DOCKER_CERT_PATH") == 0 || strcmp(key, "DOCKER_API_VERSION") == 0))
        return; /* clawsup says where the proxy is */
    if (!value) {
        compose_note_key(c, &env->t->gateway, "environment",
            "%.80s comes from the shell that ran Compose: put it into gateway.env_file", key);
        return;
    }
    if (asprintf(&text, "%s=%s", key, value) < 0) {
        c->oom = -ENOMEM;
        return;
    }
    if (config_check_env(text) || strchr(text, '\n'))
        compose_note_key(c, &env->t->gateway, "environment",
            "%.80s: not translated: a name or a value that gateway.env does not take", key);
    else
        compose_append(c, env->list, json_string(text));
    if (looks_secret(key) && *value)
        compose_note_key(c, &env->t->gateway, "environment",
            "%.80s looks like a secret: move it to a file of mode 0600 and name that in gateway.env_file",
            key);
}

static void environment(struct compose *c, struct compose_tenant *t)
{
    struct env env = {.t = t, .list = json_array()};

    compose_each_env(c, &t->gateway, env_one, &env);
    if (json_array_size(env.list) > 0)
        compose_put(c, t->out_gateway, "env", env.list);
    else
        json_decref(env.list);
}

static void env_file(struct compose *c, struct compose_tenant *t)
{
    const json_t *v = json_object_get(t->gateway.body, "env_file");
    const json_t *first = json_is_array(v) ? json_array_get(v, 0) : v;
    const char *text = json_is_object(first) ? compose_text(first, "path") : json_string_value(first);
    _cleanup_free_ char *path = text ? compose_path(c, text) : NULL;

    if (json_array_size(v) > 1)
        compose_note_key(c, &t->gateway, "env_file",
            "one file can be given; write the others' lines into %s too", path ? path : "it");
    if (!path)
        return;
    if (t->data_root && str_path_covers(t->data_root, path)) {
        compose_note_key(c, &t->gateway, "env_file",
            "%.200s lies in data_root, where the tenant could replace it: move it to /etc/clawsup/env/%s",
            path, t->slug);
        free(path);
        path = NULL;
        if (asprintf(&path, "/etc/clawsup/env/%s", t->slug) < 0) {
            path = NULL;
            c->oom = -ENOMEM;
            return;
        }
    }
    compose_put(c, t->out_gateway, "env_file", json_string(path));
}

/* ---------------------------------------------------------------- directories */

static bool is_engine_socket(const char *source)
{
    size_t n = strlen(source);

    return n >= 11 && strcmp(source + n - 11, "docker.sock") == 0;
}

bool compose_mounts_engine(const json_t *service)
{
    const json_t *list = json_object_get(service, "volumes");
    struct compose_volume v;

    for (size_t i = 0; i < json_array_size(list); i++)
        if (compose_volume(json_array_get(list, i), &v) >= 0 && strcmp(v.type, "bind") == 0 &&
            is_engine_socket(v.source))
            return true;
    return false;
}

/* The directory around a bind that may be written and is the tenant's own: a workspace lies in its tenant's
 * directory. NULL: not this one. */
static char *root_of_bind(const struct compose *c, const struct compose_volume *v)
{
    static const char *const inner[] = {"/workspace", "/data", "/config", "/.openclaw"};
    _cleanup_free_ char *root = NULL;
    char *slash;

    if (strcmp(v->type, "bind") != 0 || v->read_only || is_engine_socket(v->source))
        return NULL;
    root = compose_path(c, v->source);
    slash = root ? strrchr(root, '/') : NULL;
    for (size_t i = 0; slash && slash > root && i < ARRAY_SIZE(inner); i++)
        if (strcmp(slash, inner[i]) == 0) {
            *slash = '\0';
            /* Not the project's own directory: its files are the operator's. */
            if (config_check_data_root(root) || str_path_covers(root, c->dir))
                *slash = '/';
            break;
        }
    return root && !config_check_data_root(root) ? TAKE_PTR(root) : NULL;
}

/* --data-root, else from the binds: first those that have the same path inside and outside, as what is bound
 * into sandboxes must have. */
static void choose_data_root(struct compose *c, struct compose_tenant *t)
{
    const json_t *list = json_object_get(t->gateway.body, "volumes");
    _cleanup_free_ char *root = c->options->data_root ? strdup(c->options->data_root) : NULL;
    struct compose_volume v;
    json_t *text;

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; !root && i < json_array_size(list); i++)
            if (compose_volume(json_array_get(list, i), &v) >= 0 &&
                (pass > 0 || strcmp(v.source, v.target) == 0))
                root = root_of_bind(c, &v);
    if (!root) {
        if (asprintf(&root, "/data/tenants/%s", t->slug) < 0) {
            root = NULL;
            c->oom = -ENOMEM;
            return;
        }
        compose_note_key(c, &t->gateway, "volumes",
            "no bind tells where the tenant's data is; data_root = \"%s\" is a guess (--data-root sets it)",
            root);
    }
    text = json_string(root);
    compose_put(c, t->out, "data_root", text);
    t->data_root = json_string_value(text);
}

static void bind_mount(
    struct compose *c, struct compose_tenant *t, json_t *mounts, const struct compose_volume *v)
{
    _cleanup_free_ char *source = compose_path(c, v->source), *target = compose_path(c, v->target);
    const char *data_target = compose_text(t->out_gateway, "data_target");
    size_t n;

    if (!source || !target) {
        compose_note_key(c, &t->gateway, "volumes", "%.200s: not translated: write the path out", v->source);
        return;
    }
    /* data_root is mounted at data_target (by default at the same path), with all that is below it; what lies
     * in it is no mount of its own, since the tenant could put a link there. */
    n = strlen(t->data_root);
    if (str_path_covers(t->data_root, source)) {
        _cleanup_free_ char *implied = NULL;

        if (asprintf(&implied, "%s%s", data_target ? data_target : t->data_root, source + n) < 0) {
            implied = NULL;
            c->oom = -ENOMEM;
        }
        if (implied && (strcmp(implied, target) != 0 || v->read_only))
            compose_note_key(c, &t->gateway, "volumes",
                "%.200s at %.200s: not translated: it lies in data_root, which the gateway has at %.200s%s",
                source, target, data_target ? data_target : t->data_root,
                v->read_only ? ", to be written" : "");
        return;
    }
    compose_append(c, mounts,
        json_pack("{s:s, s:s, s:b}", "source", source, "target", target, "read_only", v->read_only));
}

/* Where the gateway sees data_root, if a bind says so. */
static void data_target(struct compose *c, struct compose_tenant *t)
{
    const json_t *list = json_object_get(t->gateway.body, "volumes");
    struct compose_volume v;

    for (size_t i = 0; i < json_array_size(list); i++) {
        _cleanup_free_ char *source = NULL;

        if (compose_volume(json_array_get(list, i), &v) < 0 || strcmp(v.type, "bind") != 0)
            continue;
        source = compose_path(c, v.source);
        if (source && strcmp(source, t->data_root) == 0 && strcmp(v.target, source) != 0 &&
            !config_check_path(v.target)) {
            compose_put(c, t->out_gateway, "data_target", json_string(v.target));
            compose_note_key(c, &t->gateway, "volumes",
                "the gateway sees data_root at %.200s: paths that it binds into sandboxes must be the host's",
                v.target);
            return;
        }
    }
}

static bool is_proxys_volume(const struct compose_tenant *t, const char *source)
{
    const json_t *list = json_object_get(t->proxy.body, "volumes");
    struct compose_volume v;

    for (size_t i = 0; i < json_array_size(list); i++)
        if (compose_volume(json_array_get(list, i), &v) >= 0 && *source && strcmp(v.source, source) == 0)
            return true;
    return false;
}

static void volumes(struct compose *c, struct compose_tenant *t)
{
    const json_t *list = json_object_get(t->gateway.body, "volumes");
    json_t *mounts = json_array();
    struct compose_volume v;

    data_target(c, t);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "volumes[%zu]", i);
        if (compose_volume(json_array_get(list, i), &v) < 0) {
            compose_note_key(c, &t->gateway, key, "not translated: not understood");
        } else if (is_engine_socket(v.source)) {
            compose_note_key(c, &t->gateway, key,
                "left out on purpose: the engine's socket is root on the host; the gateway gets its proxy's");
        } else if (is_proxys_volume(t, v.source)) {
            continue; /* the proxy's socket: clawsup mounts it itself */
        } else if (strcmp(v.type, "bind") == 0) {
            bind_mount(c, t, mounts, &v);
        } else {
            compose_note_key(c, &t->gateway, key,
                "not translated: the %s %.100s at %.200s; copy its data into a directory of data_root and "
                "add it to "
                "gateway.mounts",
                strcmp(v.type, "tmpfs") == 0 ? "tmpfs" : "volume", *v.source ? v.source : "without a name",
                v.target);
        }
    }
    if (json_array_size(mounts) > 0)
        compose_put(c, t->out_gateway, "mounts", mounts);
    else
        json_decref(mounts);
}

/* ---------------------------------------------------------------- ports and health */

static bool is_loopback(const char *address)
{
    return strcmp(address, "[::1]") == 0 || config_is_loopback(address);
}

static void port_one(
    struct compose *c, struct compose_tenant *t, const char *key, const json_t *entry, json_t *list)
{
    struct compose_port p;
    char text[96];

    if (compose_port(entry, &p) < 0) {
        compose_note_key(c, &t->gateway, key, "not translated: not understood");
        return;
    }
    if (p.udp || p.host == 0 || p.host_end > p.host) {
        compose_note_key(c, &t->gateway, key, "not translated: %s",
            p.udp        ? "UDP is not published"
            : p.host > 0 ? "a range of ports; write each into gateway.publish"
                         : "a port chosen by the engine; write one into gateway.publish");
        return;
    }
    if (!is_loopback(p.address))
        compose_note_key(c, &t->gateway, key,
            "was published on %s; clawsup publishes on loopback only: put a reverse proxy in front",
            *p.address ? p.address : "all addresses");
    (void)snprintf(text, sizeof(text), "%s:%u:%u", is_loopback(p.address) ? p.address : "127.0.0.1", p.host,
        p.container);
    compose_append(c, list, json_string(text));
}

static void ports(struct compose *c, struct compose_tenant *t)
{
    const json_t *list = json_object_get(t->gateway.body, "ports");
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(list); i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "ports[%zu]", i);
        port_one(c, t, key, json_array_get(list, i), out);
    }
    if (json_array_size(out) > 0)
        compose_put(c, t->out_gateway, "publish", out);
    else
        json_decref(out);
}

/* "127.0.0.1:18801" for a port inside the container; `inside` 0: the first one. */
static bool published(const struct compose_tenant *t, unsigned inside, char *out, size_t n)
{
    const json_t *list = json_object_get(t->out_gateway, "publish");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i)), *last = strrchr(text, ':');
        uint64_t port;

        if (str_parse_u64(last + 1, 65535, &port) >= 0 && (inside == 0 || port == inside)) {
            (void)snprintf(out, n, "%.*s", (int)(last - text), text);
            return true;
        }
    }
    return false;
}

/* The http URL in a health check's command: its port and its path. */
static bool find_url(const json_t *test, unsigned *ret_port, char *path, size_t n)
{
    for (size_t i = 0; i < MAX(json_array_size(test), (size_t)1); i++) {
        const char *s =
            json_is_array(test) ? json_string_value(json_array_get(test, i)) : json_string_value(test);
        const char *url = s ? strstr(s, "http://") : NULL, *host, *slash;
        uint64_t port = 80;
        char number[8];
        size_t len;

        if (!url)
            continue;
        host = url + 7;
        len = strcspn(host, " \t\"'|;&)");
        slash = memchr(host, '/', len);
        for (const char *p = host; p < (slash ? slash : host + len); p++)
            if (*p == ':') {
                (void)snprintf(number, sizeof(number), "%.*s", (int)strspn(p + 1, "0123456789"), p + 1);
                if (str_parse_u64(number, 65535, &port) < 0)
                    return false;
            }
        *ret_port = (unsigned)port;
        (void)snprintf(path, n, "%.*s", slash ? (int)(host + len - slash) : 1, slash ? slash : "/");
        return true;
    }
    return false;
}

static void health_times(struct compose *c, struct compose_tenant *t, const json_t *check)
{
    static const char *const keys[][2] = {
        {"interval", "interval"}, {"timeout", "timeout"}, {"start_period", "start_deadline"}};
    const char *retries = compose_text(check, "retries");
    char text[32];
    uint64_t n;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *v = compose_text(check, keys[i][0]);

        if (v && compose_duration(v, text, sizeof(text)))
            compose_put(c, t->out_health, keys[i][1], json_string(text));
        else if (v)
            compose_note_key(c, &t->gateway, "healthcheck", "%s: not translated: no duration", keys[i][0]);
    }
    if (retries && str_parse_u64(retries, 100, &n) >= 0 && n > 0)
        compose_put(c, t->out_health, "fall", json_integer((json_int_t)n));
}

static void health(struct compose *c, struct compose_tenant *t)
{
    const json_t *check = json_object_get(t->gateway.body, "healthcheck"),
                 *test = json_object_get(check, "test");
    const char *first = json_is_array(test) ? json_string_value(json_array_get(test, 0)) : NULL;
    bool off = compose_is_true(compose_text(check, "disable")) || str_eq(first, "NONE");
    char at[80], path[256] = "/healthz", url[400];
    unsigned port = 0;

    if (!off && find_url(test, &port, path, sizeof(path)) && published(t, port, at, sizeof(at))) {
        (void)snprintf(url, sizeof(url), "http://%s%s", at, path);
        compose_put(c, t->out_health, "url", json_string(url));
        health_times(c, t, check);
        return;
    }
    if (test && !off)
        compose_note_key(c, &t->gateway, "healthcheck",
            port > 0 ? "port %u of its URL is not published: clawsup asks from the host; publish it"
                     : "not translated: clawsup asks from the host; it can GET a URL or connect to a port",
            port);
    if (published(t, 0, at, sizeof(at))) {
        compose_put(c, t->out_health, "tcp", json_string(at));
        compose_note_key(c, &t->gateway, "healthcheck",
            "a connection to %s is the health check; better is url = \"http://%s/healthz\" if the gateway "
            "has it",
            at, at);
    } else {
        compose_put(c, t->out_health, "type", json_string("docker"));
        compose_note_key(c, &t->gateway, "healthcheck",
            "the container's own state is the health check; publish a port and set gateway.health.url");
    }
    if (check && !off)
        health_times(c, t, check);
}

void compose_gateway(struct compose *c, struct compose_tenant *t)
{
    choose_data_root(c, t);
    if (!t->data_root)
        return;
    image(c, t);
    names(c, t);
    commands(c, t);
    environment(c, t);
    env_file(c, t);
    user(c, t);
    volumes(c, t);
    ports(c, t);
    health(c, t);
    compose_limits(c, t);
    compose_rest(c, t);
}
