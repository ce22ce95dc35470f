/* compose_proxy.c: a socket-proxy sidecar as the group proxy of a tenant. Knows the sidecar of clawsup, those
 * that are switched by variables (CONTAINERS=1, POST=1), and those that take patterns of paths. A rule that
 * was wider than clawsup's becomes a note, never a permission. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "ctl/compose_internal.h"

#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "config/config_value.h"

/* The defaults of limits.sandbox in clawsup.conf(5). */
#define SANDBOX_NANO_CPUS UINT64_C(1000000000)
#define SANDBOX_MEMORY (UINT64_C(1) << 30)
#define SANDBOX_PIDS 256

bool compose_is_proxy(const struct compose_service *s)
{
    static const char *const images[] = {"socket-proxy", "clawsup-proxy", "docker-proxy", "dockerproxy"};
    const char *image = compose_text(s->body, "image");

    for (size_t i = 0; image && i < ARRAY_SIZE(images); i++)
        if (strstr(image, images[i]))
            return true;
    return strcasestr(s->name, "proxy") && compose_mounts_engine(s->body);
}

/* ---------------------------------------------------------------- clawsup's own sidecar */

static void own_bool(struct compose *c, struct compose_tenant *t, const char *variable, const char *key)
{
    const char *v = compose_env(&t->proxy, variable);

    if (v)
        compose_put(c, t->out_allow, key, json_boolean(compose_is_true(v)));
}

static void own_list(struct compose *c, struct compose_tenant *t, const char *variable, const char *key)
{
    const char *v = compose_env(&t->proxy, variable);
    json_t *list = v ? compose_split(v, ",") : NULL;

    if (json_array_size(list) > 0)
        compose_put(c, t->out_proxy, key, list);
    else
        json_decref(list);
}

static void own_sandbox(struct compose *c, struct compose_tenant *t)
{
    const char *memory = compose_env(&t->proxy, "LIMIT_MEMORY"), *cpus = compose_env(&t->proxy, "LIMIT_CPUS");
    const char *pids = compose_env(&t->proxy, "LIMIT_PIDS"), *n = compose_env(&t->proxy, "LIMIT_CONTAINERS");
    char size[32];
    uint64_t v;

    if (memory && compose_size(memory, size, sizeof(size)))
        compose_put(c, t->out_sandbox, "memory", json_string(size));
    if (cpus && str_parse_cpus(cpus, &v) >= 0)
        compose_put(c, t->out_sandbox, "cpus", json_real((double)v / 1e9));
    if (pids && str_parse_u64(pids, 4194304, &v) >= 0 && v > 0)
        compose_put(c, t->out_sandbox, "pids", json_integer((json_int_t)v));
    if (n && str_parse_u64(n, 10000, &v) >= 0 && v > 0)
        compose_put(c, t->out_sandbox, "max_containers", json_integer((json_int_t)v));
}

static void from_own(struct compose *c, struct compose_tenant *t)
{
    static const char *const switches[][2] = {{"ALLOW_START", "start"}, {"ALLOW_STOP", "stop"},
        {"ALLOW_RESTARTS", "restart"}, {"ALLOW_EXEC", "exec"}, {"ALLOW_UPDATE", "update"},
        {"ALLOW_RENAME", "rename"}, {"ALLOW_ARCHIVE_PUT", "archive_put"}, {"ALLOW_EXPORT", "export"},
        {"ALLOW_IMAGE_PULL", "image_pull"}, {"ALLOW_GATEWAY_EXEC", "gateway_exec"}};
    static const char *const texts[][2] = {
        {"NAMES", "names"}, {"MATCH_CONTAINER_NAME", "match_container_name"}, {"FILTER", "filter"}};

    for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
        own_bool(c, t, switches[i][0], switches[i][1]);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (compose_env(&t->proxy, texts[i][0]))
            compose_put(c, t->out_proxy, texts[i][1], json_string(compose_env(&t->proxy, texts[i][0])));
    own_list(c, t, "ALLOW_IMAGES", "images");
    own_list(c, t, "ALLOW_BIND_MOUNT_FROM", "bind_mount_from");
    own_sandbox(c, t);
}

/* ---------------------------------------------------------------- CONTAINERS=1, POST=1 */

static bool is_on(const struct compose_tenant *t, const char *variable)
{
    return compose_is_true(compose_env(&t->proxy, variable));
}

static void from_switches(struct compose *c, struct compose_tenant *t)
{
    static const char *const never[] = {"AUTH", "BUILD", "COMMIT", "CONFIGS", "DISTRIBUTION", "NODES",
        "PLUGINS", "SECRETS", "SERVICES", "SESSION", "SWARM", "SYSTEM", "TASKS", "VOLUMES"};
    bool post = is_on(t, "POST"), containers = is_on(t, "CONTAINERS");

    compose_put(c, t->out_allow, "start", json_boolean((post && containers) || is_on(t, "ALLOW_START")));
    compose_put(c, t->out_allow, "stop", json_boolean((post && containers) || is_on(t, "ALLOW_STOP")));
    compose_put(c, t->out_allow, "restart", json_boolean((post && containers) || is_on(t, "ALLOW_RESTARTS")));
    compose_put(c, t->out_allow, "exec", json_boolean(post && is_on(t, "EXEC")));
    if (is_on(t, "NETWORKS"))
        compose_put(c, t->out_allow, "network_read", json_true());
    if (post && is_on(t, "NETWORKS"))
        compose_note_key(c, &t->proxy, "environment",
            "NETWORKS=1 with POST=1 let the gateway change networks: no tenant may; proxy.allow.network_read "
            "looks");
    if (post && is_on(t, "IMAGES"))
        compose_note_key(c, &t->proxy, "environment",
            "IMAGES=1 with POST=1 let the gateway pull anything; proxy.allow.image_pull = true pulls what "
            "proxy.images lists");
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        if (is_on(t, never[i]))
            compose_note_key(c, &t->proxy, "environment", "%s=1 is left out: no tenant may", never[i]);
    if (containers)
        compose_note_key(c, &t->proxy, "environment",
            "CONTAINERS=1 showed every container of the host; now the gateway sees its own sandboxes");
}

/* ---------------------------------------------------------------- patterns of paths */

/* The pattern has to match the whole path. */
static bool matches(const char *pattern, const char *path)
{
    PCRE2_SIZE at;
    int number, r = -1;
    pcre2_code *code = pcre2_compile(
        (PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_ENDANCHORED, &number, &at, NULL);
    pcre2_match_data *data = code ? pcre2_match_data_create_from_pattern(code, NULL) : NULL;

    if (data)
        r = pcre2_match(code, (PCRE2_SPTR)path, strlen(path), 0, 0, data, NULL);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return r > 0;
}

/* The value of -allowPOST=..., --allowPOST=... or the variable SP_ALLOW_POST. */
static const char *flag(const struct compose_tenant *t, const char *name, const char *variable)
{
    const json_t *list = json_object_get(t->proxy.body, "command");
    size_t n = strlen(name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));

        s = s ? s + strspn(s, "-") : "";
        if (strncasecmp(s, name, n) == 0 && s[n] == '=')
            return s + n + 1;
    }
    return compose_env(&t->proxy, variable);
}

/* True when the pattern lets /containers/ID/`what` through for some container that the tenant may have. */
static bool lets(const struct compose_tenant *t, const char *pattern, const char *what)
{
    static const char *const versions[] = {"/v1.41", "/v1.47", ""};
    char name[96], path[256];
    const char *ids[] = {
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789ab", name};

    (void)snprintf(name, sizeof(name), "openclaw-sbx-%s-x", t->slug);
    for (size_t v = 0; pattern && v < ARRAY_SIZE(versions); v++)
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
            (void)snprintf(path, sizeof(path), "%s/containers/%s/%s", versions[v], ids[i], what);
            if (matches(pattern, path))
                return true;
        }
    return false;
}

static void from_patterns(struct compose *c, struct compose_tenant *t)
{
    const char *post = flag(t, "allowPOST", "SP_ALLOW_POST"),
               *binds = flag(t, "allowbindmountfrom", "SP_ALLOWBINDMOUNTFROM");
    const char *get = flag(t, "allowGET", "SP_ALLOW_GET");
    json_t *list = binds ? compose_split(binds, ",") : NULL;

    compose_put(c, t->out_allow, "start", json_boolean(lets(t, post, "start")));
    compose_put(c, t->out_allow, "stop", json_boolean(lets(t, post, "stop")));
    compose_put(c, t->out_allow, "restart", json_boolean(lets(t, post, "restart")));
    compose_put(c, t->out_allow, "exec", json_boolean(lets(t, post, "exec")));
    if (lets(t, post, "update"))
        compose_put(c, t->out_allow, "update", json_true());
    if (lets(t, post, "rename"))
        compose_put(c, t->out_allow, "rename", json_true());
    if (lets(t, get, "export"))
        compose_put(c, t->out_allow, "export", json_true());
    if (json_array_size(list) > 0)
        compose_put(c, t->out_proxy, "bind_mount_from", list);
    else
        json_decref(list);
    compose_note_key(c, &t->proxy, "command",
        "patterns of paths became switches and names: read proxy.allow and proxy.match_container_name again");
}

/* ---------------------------------------------------------------- what every proxy needs */

static void images(struct compose *c, struct compose_tenant *t)
{
    const json_t *env = json_object_get(t->out_gateway, "env");
    json_t *list = json_array();

    if (json_object_get(t->out_proxy, "images")) {
        json_decref(list);
        return;
    }
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *s = json_string_value(json_array_get(env, i)), *eq = s ? strchr(s, '=') : NULL;
        char key[128];

        if (!eq)
            continue;
        (void)snprintf(key, sizeof(key), "%.*s", (int)MIN(eq - s, 100), s);
        if (strstr(key, "SANDBOX") && strstr(key, "IMAGE") && !config_check_image(eq + 1))
            compose_append(c, list, json_string(eq + 1));
    }
    if (json_array_size(list) == 0) {
        compose_append(c, list, json_string("openclaw-sandbox:bookworm-slim"));
        compose_note_key(c, t->proxy.name ? &t->proxy : &t->gateway, "",
            "which images a sandbox may be made of is not said: proxy.images is a guess");
    }
    compose_put(c, t->out_proxy, "images", list);
}

static void binds(struct compose *c, struct compose_tenant *t)
{
    json_t *list = json_object_get(t->out_proxy, "bind_mount_from"), *text;
    _cleanup_free_ char *path = NULL;

    for (size_t i = json_array_size(list); i-- > 0;) {
        const char *s = json_string_value(json_array_get(list, i));

        if (s && !config_check_bind_root(s))
            continue;
        compose_note_key(
            c, &t->proxy, "", "sandboxes could bind %.200s: not translated, it is no tenant's", s ? s : "");
        (void)json_array_remove(list, i);
    }
    if (json_array_size(list) > 0 || !t->data_root)
        return;
    if (asprintf(&path, "%s/workspace", t->data_root) < 0) {
        path = NULL;
        c->oom = -ENOMEM;
        return;
    }
    text = json_array();
    compose_append(c, text, json_string(path));
    compose_put(c, t->out_proxy, "bind_mount_from", text);
    compose_note_key(c, t->proxy.name ? &t->proxy : &t->gateway, "",
        "which directories a sandbox may bind is not said: proxy.bind_mount_from is a guess");
}

/* One sandbox may not have more than the tenant: smaller tenants need smaller sandboxes than the default. */
static void fit_sandbox(struct compose *c, struct compose_tenant *t)
{
    const char *memory = compose_text(t->out_limits, "memory");
    const json_t *cpus = json_object_get(t->out_limits, "cpus"),
                 *pids = json_object_get(t->out_limits, "pids");
    uint64_t v;

    if (!json_object_get(t->out_sandbox, "memory") && memory && str_parse_size(memory, &v) >= 0 &&
        v < SANDBOX_MEMORY)
        compose_put(c, t->out_sandbox, "memory", json_string(memory));
    if (!json_object_get(t->out_sandbox, "cpus") && cpus &&
        json_real_value(cpus) * 1e9 < (double)SANDBOX_NANO_CPUS)
        compose_put(c, t->out_sandbox, "cpus", json_real(json_real_value(cpus)));
    if (!json_object_get(t->out_sandbox, "pids") && pids && json_integer_value(pids) < SANDBOX_PIDS)
        compose_put(c, t->out_sandbox, "pids", json_integer(json_integer_value(pids)));
}

void compose_proxy(struct compose *c, struct compose_tenant *t)
{
    const char *image = t->proxy.name ? compose_text(t->proxy.body, "image") : NULL;

    if (!t->proxy.name)
        compose_note_key(
            c, &t->gateway, "", "there is no socket proxy beside it: proxy.allow has clawsup's defaults");
    else if ((image && strstr(image, "clawsup-proxy")) || compose_env(&t->proxy, "ALLOW_IMAGES"))
        from_own(c, t);
    else if (flag(t, "allowGET", "SP_ALLOW_GET") || flag(t, "allowPOST", "SP_ALLOW_POST"))
        from_patterns(c, t);
    else
        from_switches(c, t);
    images(c, t);
    binds(c, t);
    fit_sandbox(c, t);
}
