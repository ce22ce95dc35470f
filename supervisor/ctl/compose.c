/* compose.c: see compose.h: reading, finding the gateways and their proxies, notes. What a service becomes is
 * in compose_gateway.c and compose_proxy.c. */
#include "ctl/compose_vars.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "ctl/yaml.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define SERVICES_MAX 64

/* ---------------------------------------------------------------- notes */

/* The line of the path, or of the nearest group around it; 0 when there is none. */
static json_int_t line_of(const struct compose *c, const char *path)
{
    char at[512];
    size_t n;

    (void)snprintf(at, sizeof(at), "%s", path);
    for (n = strlen(at); n > 0;) {
        const json_t *line = json_object_get(c->lines, at);

        if (line)
            return json_integer_value(line);
        while (n > 0 && at[n - 1] != '.' && at[n - 1] != '[')
            n--;
        if (n > 0)
            at[--n] = '\0';
    }
    return 0;
}

void compose_note(struct compose *c, const char *path, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    compose_append(c, c->notes,
        json_pack("{s:s, s:I, s:s, s:s}", "file", c->options->file, "line", line_of(c, path), "key", path,
            "text", text));
}

void compose_note_key(
    struct compose *c, const struct compose_service *s, const char *key, const char *fmt, ...)
{
    char text[512], path[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)snprintf(path, sizeof(path), "services.%s%s%s", s->name, *key ? "." : "", key);
    compose_note(c, path, "%s", text);
}

void compose_put(struct compose *c, json_t *o, const char *key, json_t *value)
{
    if (json_object_set_new(o, key, value) < 0)
        c->oom = -ENOMEM;
}

void compose_append(struct compose *c, json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        c->oom = -ENOMEM;
}

/* ---------------------------------------------------------------- environment */

void compose_each_env(struct compose *c, const struct compose_service *s, compose_env_fn fn, void *userdata)
{
    json_t *env = json_object_get(s->body, "environment"), *v;
    const char *key;

    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *text = json_string_value(json_array_get(env, i)), *eq = text ? strchr(text, '=') : NULL;
        _cleanup_free_ char *name = text ? strndup(text, eq ? (size_t)(eq - text) : strlen(text)) : NULL;

        if (name)
            fn(c, name, eq ? eq + 1 : NULL, userdata);
    }
    json_object_foreach(env, key, v)
    {
        fn(c, key, json_string_value(v), userdata);
    }
}

const char *compose_env(const struct compose_service *s, const char *key)
{
    const json_t *env = json_object_get(s->body, "environment");
    size_t n = strlen(key);

    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *text = json_string_value(json_array_get(env, i));

        if (text && strncmp(text, key, n) == 0 && text[n] == '=')
            return text + n + 1;
    }
    return json_is_object(env) ? compose_text(env, key) : NULL;
}

/* ---------------------------------------------------------------- which service is what */

static bool depends_on(const struct compose_service *s, const char *name)
{
    const json_t *d = json_object_get(s->body, "depends_on");

    for (size_t i = 0; i < json_array_size(d); i++)
        if (str_eq(json_string_value(json_array_get(d, i)), name))
            return true;
    return json_object_get(d, name) != NULL;
}

/* DOCKER_HOST=tcp://NAME:2375 */
static bool talks_to(const struct compose_service *s, const struct compose_service *proxy)
{
    const char *host = compose_env(s, "DOCKER_HOST"), *own = compose_text(proxy->body, "container_name");
    const char *names[] = {proxy->name, own};

    if (!host || !str_startswith(host, "tcp://"))
        return false;
    host += 6;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i] && strncmp(host, names[i], strlen(names[i])) == 0 &&
            (host[strlen(names[i])] == ':' || host[strlen(names[i])] == '\0'))
            return true;
    return false;
}

static bool shares_volume(const struct compose_service *a, const struct compose_service *b)
{
    const json_t *la = json_object_get(a->body, "volumes"), *lb = json_object_get(b->body, "volumes");
    struct compose_volume va, vb;

    for (size_t i = 0; i < json_array_size(la); i++)
        for (size_t k = 0; k < json_array_size(lb); k++)
            if (compose_volume(json_array_get(la, i), &va) >= 0 &&
                compose_volume(json_array_get(lb, k), &vb) >= 0 && *va.source &&
                strcmp(va.source, vb.source) == 0)
                return true;
    return false;
}

static bool looks_like_gateway(const struct compose_service *s)
{
    const char *image = compose_text(s->body, "image"), *name = compose_text(s->body, "container_name");

    if (!s->name)
        return false;
    return strcasestr(s->name, "gateway") || strcasestr(s->name, "openclaw") ||
           (image && strcasestr(image, "openclaw")) || (name && strcasestr(name, "openclaw")) ||
           compose_env(s, "DOCKER_HOST");
}

/* The proxy that the service is wired to; NULL. */
static const struct compose_service *proxy_of(
    const struct compose_service *s, const struct compose_service *proxies, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (talks_to(s, &proxies[i]) || depends_on(s, proxies[i].name))
            return &proxies[i];
    for (size_t i = 0; i < n; i++)
        if (shares_volume(s, &proxies[i]))
            return &proxies[i];
    return NULL;
}

/* ---------------------------------------------------------------- the name of the tenant */

/* Lower case, dashes for what a slug cannot hold. */
static void slugify(const char *s, char *out, size_t n)
{
    size_t used = 0;

    for (; *s && used + 1 < n && used < SLUG_MAX; s++) {
        char ch = (char)tolower((unsigned char)*s);

        if (isalnum((unsigned char)ch))
            out[used++] = ch;
        else if (used > 0 && out[used - 1] != '-')
            out[used++] = '-';
    }
    while (used > 0 && out[used - 1] == '-')
        used--;
    out[used] = '\0';
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* From what says it best to what merely hints at it. */
static void name_tenant(struct compose *c, struct compose_tenant *t, bool alone)
{
    static const char *const prefixes[] = {"openclaw-gw-", "openclaw-gateway-", "openclaw-", "gateway-"};
    const char *name = compose_text(t->gateway.body, "container_name");
    const char *tenant = t->proxy.name ? compose_env(&t->proxy, "TENANT") : NULL;

    if (c->options->tenant && alone)
        tenant = c->options->tenant;
    for (size_t i = 0; !tenant && name && i < ARRAY_SIZE(prefixes); i++)
        if (str_startswith(name, prefixes[i]) && name[strlen(prefixes[i])])
            tenant = name + strlen(prefixes[i]);
    if (!tenant && alone)
        tenant = c->project;
    slugify(tenant && *tenant ? tenant : t->gateway.name, t->slug, sizeof(t->slug));
    if (!str_is_slug(t->slug))
        (void)snprintf(t->slug, sizeof(t->slug), "tenant");
    if (tenant && strcmp(tenant, t->slug) != 0)
        compose_note(c, "", "the tenant's name \"%.60s\" became \"%s\"", tenant, t->slug);
}

/* ---------------------------------------------------------------- one tenant */

static json_t *member(struct compose *c, json_t *o, const char *key)
{
    json_t *v = json_object();

    compose_put(c, o, key, v);
    return v;
}

/* Groups that nothing was put into say nothing. */
static void drop_empty(json_t *o, const char *key)
{
    if (json_object_size(json_object_get(o, key)) == 0)
        (void)json_object_del(o, key);
}

static void translate(struct compose *c, struct compose_tenant *t, json_t *ret)
{
    t->out = member(c, ret, "tenant");
    c->notes = json_array();
    compose_put(c, ret, "notes", c->notes);
    compose_put(c, ret, "slug", json_string(t->slug));
    compose_put(c, t->out, "slug", json_string(t->slug));
    t->out_proxy = member(c, t->out, "proxy");
    t->out_allow = member(c, t->out_proxy, "allow");
    t->out_gateway = member(c, t->out, "gateway");
    t->out_health = member(c, t->out_gateway, "health");
    t->out_limits = member(c, t->out, "limits");
    t->out_sandbox = member(c, t->out_limits, "sandbox");
    if (c->oom < 0)
        return;
    compose_gateway(c, t);
    compose_proxy(c, t);
    drop_empty(t->out_gateway, "health");
    drop_empty(t->out_proxy, "allow");
    drop_empty(t->out_limits, "sandbox");
    drop_empty(t->out, "limits");
    drop_empty(t->out, "proxy");
}

/* What is said once, in the first tenant's notes. */
static void note_project(struct compose *c, const struct compose_service *rest, size_t n)
{
    static const char *const known[] = {"version", "name", "services", "volumes", "networks"};
    const char *key;
    json_t *v;

    for (size_t i = 0; i < n; i++)
        compose_note_key(c, &rest[i], "",
            "not translated: clawsup runs a gateway and its sandboxes; keep this "
            "service in Compose");
    json_object_foreach(c->root, key, v)
    {
        bool fine = str_startswith(key, "x-");

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            fine = fine || strcmp(key, known[i]) == 0;
        if (!fine)
            compose_note(c, key, "not translated");
    }
    json_object_foreach(c->missing, key, v)
    {
        compose_note(c, "", "nobody sets the variable %s: what it stands for is empty", key);
    }
}

/* ---------------------------------------------------------------- a project */

struct found {
    struct compose_service gateways[SERVICES_MAX], proxies[SERVICES_MAX], rest[SERVICES_MAX];
    size_t n_gateways, n_proxies, n_rest;
};

/* Whoever is wired to a proxy is a gateway, or mounts the engine's socket itself; else who looks like one. */
static void sort_services(const json_t *services, struct found *f)
{
    struct compose_service others[SERVICES_MAX];
    size_t n_others = 0;
    const char *name;
    json_t *body;

    json_object_foreach((json_t *)(uintptr_t)services, name, body)
    {
        struct compose_service s = {.name = name, .body = body};

        if (f->n_proxies + n_others == SERVICES_MAX)
            break;
        if (compose_is_proxy(&s))
            f->proxies[f->n_proxies++] = s;
        else
            others[n_others++] = s;
    }
    for (size_t i = 0; i < n_others; i++) {
        bool wired = proxy_of(&others[i], f->proxies, f->n_proxies) || compose_mounts_engine(others[i].body);

        if (wired)
            f->gateways[f->n_gateways++] = others[i];
        else
            f->rest[f->n_rest++] = others[i];
    }
    for (size_t i = 0; f->n_gateways == 0 && i < f->n_rest; i++)
        if (looks_like_gateway(&f->rest[i]) || f->n_rest == 1) {
            f->gateways[f->n_gateways++] = f->rest[i];
            memmove(&f->rest[i], &f->rest[i + 1], (--f->n_rest - i) * sizeof(f->rest[0]));
        }
}

static int import_services(struct compose *c, json_t *ret, struct err *e)
{
    _cleanup_free_ struct found *f = calloc(1, sizeof(*f));
    const json_t *services = json_object_get(c->root, "services");

    if (!f)
        return -ENOMEM;
    if (json_object_size(services) == 0)
        return err_set(e, -EINVAL, "%s: no services in it", c->options->file);
    sort_services(services, f);
    if (f->n_gateways == 0)
        return err_set(e, -EINVAL, "%s: no service in it looks like a gateway", c->options->file);
    for (size_t i = 0; i < f->n_gateways && c->oom >= 0; i++) {
        const struct compose_service *proxy = proxy_of(&f->gateways[i], f->proxies, f->n_proxies);
        struct compose_tenant t = {.gateway = f->gateways[i]};
        json_t *one = json_object();
        _cleanup_json_ json_t *early = json_array(); /* notes from before there is a place for them */

        compose_append(c, ret, one);
        if (!proxy && f->n_proxies == 1 && f->n_gateways == 1)
            proxy = &f->proxies[0];
        if (proxy)
            t.proxy = *proxy;
        c->notes = early;
        name_tenant(c, &t, f->n_gateways == 1);
        if (i == 0)
            note_project(c, f->rest, f->n_rest);
        translate(c, &t, one);
        if (json_array_extend(json_object_get(one, "notes"), early) < 0)
            c->oom = -ENOMEM;
    }
    return c->oom;
}

/* The directory of the project, and its name as Compose would have it. */
static int locate(struct compose *c, struct err *e)
{
    char full[PATH_MAX];

    if (!realpath(c->options->file, full))
        return err_set(e, -errno, "%s: %m", c->options->file);
    *strrchr(full, '/') = '\0';
    c->dir = strdup(full);
    return c->dir ? 0 : -ENOMEM;
}

static int load_vars(struct compose *c, struct err *e)
{
    _cleanup_free_ char *path = NULL;

    if (c->options->env_file)
        return compose_vars_load(c->options->env_file, c->vars, e);
    if (asprintf(&path, "%s/.env", c->dir) < 0)
        return -ENOMEM;
    return access(path, F_OK) < 0 ? 0 : compose_vars_load(path, c->vars, e);
}

static int load(struct compose *c, struct err *e)
{
    _cleanup_json_ json_t *raw = NULL;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = fd_read_file(c->options->file, FILE_MAX, &text, &len);

    if (r < 0)
        return err_set(e, r, "%s: %s", c->options->file, strerrordesc_np(-r));
    r = yaml_load(text, len, &raw, &c->lines, e);
    if (r < 0)
        return err_prefix(e, r, "%s", c->options->file);
    if (!json_is_object(raw))
        return err_set(e, -EINVAL, "%s: not a Compose file", c->options->file);
    c->root = compose_vars_replace(c, raw, e);
    if (!c->root)
        return e && e->msg[0] ? err_prefix(e, -EINVAL, "%s", c->options->file) : -ENOMEM;
    c->project = compose_text(c->root, "name");
    if (!c->project)
        c->project = base_name(c->dir);
    return 0;
}

int compose_import(const struct compose_options *o, json_t **ret, struct err *e)
{
    struct compose c = {.options = o, .vars = json_object(), .missing = json_object()};
    _cleanup_json_ json_t *list = json_array();
    int r = c.vars && c.missing && list ? locate(&c, e) : -ENOMEM;

    if (r >= 0)
        r = load_vars(&c, e);
    if (r >= 0)
        r = load(&c, e);
    if (r >= 0)
        r = import_services(&c, list, e);
    free(c.dir);
    json_decref(c.root);
    json_decref(c.lines);
    json_decref(c.vars);
    json_decref(c.missing);
    if (r == -ENOMEM)
        return err_set(e, r, "out of memory");
    if (r >= 0)
        *ret = TAKE_PTR(list);
    return r;
}
