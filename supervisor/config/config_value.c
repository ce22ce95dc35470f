/* config_value.c: the readers of keys that are more than one scalar (sockets, ports, mounts, delays), and
 * their comparison. Each replaces the old value only by a whole new one, so that a tenant's list takes the
 * place of the one in `defaults`. */
#include "config/config_value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config_read.h"

/* ---------------------------------------------------------------- slug, group, level */

void config_read_slug(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const char *text = config_read_text(r, s, k);
    char *slug = at;

    if (!text)
        return;
    if (strlen(text) > SLUG_MAX)
        config_finding(r, s, "%s is %zu characters long; at most %d: a-z, 0-9 and single '-' inside",
            config_quote(text).text, strlen(text), SLUG_MAX);
    else if (!str_is_slug(text))
        config_finding(r, s, "%s is not valid; 1 to %d characters: a-z, 0-9 and single '-' inside",
            config_quote(text).text, SLUG_MAX);
    else
        (void)snprintf(slug, SLUG_MAX + 1, "%s", text);
}

/* A gid as number or text: "DOCKER_GID" elsewhere is a text, people write a number. */
void config_read_docker_gid(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    int type = config_setting_type(s);
    char buf[32] = "";
    uint64_t gid;
    char *copy;

    (void)k;
    if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
        (void)snprintf(buf, sizeof(buf), "%lld", config_setting_get_int64(s));
    else if (type == CONFIG_TYPE_STRING && strlen(config_setting_get_string(s)) < sizeof(buf))
        (void)snprintf(buf, sizeof(buf), "%s", config_setting_get_string(s));
    if (str_parse_u64(buf, UINT32_MAX - 1, &gid) < 0) {
        config_finding(
            r, s, "not a gid; write docker_gid = 998, as `stat -c %%g` says of the engine's socket");
        return;
    }
    copy = strdup(buf);
    if (!copy) {
        r->oom = -ENOMEM;
        return;
    }
    free(*(char **)at);
    *(char **)at = copy;
}

void config_read_api_version(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const char *text = config_read_text(r, s, k);

    if (text)
        (void)snprintf(at, sizeof(((struct policy *)NULL)->api_version), "%s", text);
}

void config_read_log_level(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const char *text = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";
    int level = log_level_from_string(text);

    if (level < 0)
        config_finding(r, s,
            "not a level; write %s = \"error\", \"warning\", \"notice\", \"info\" or \"debug\"", k->name);
    else
        *(int *)at = level;
}

void config_read_sandbox_network(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const char *text = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";

    if (!str_eq(text, "none") && !str_eq(text, "tenant"))
        config_finding(r, s, "not valid; write %s = \"none\" or \"tenant\"", k->name);
    else
        *(bool *)at = str_eq(text, "tenant");
}

/* ---------------------------------------------------------------- sockets */

void config_listen_free(struct config_proxy *p)
{
    for (size_t i = 0; i < p->n_listen; i++) {
        free(p->listen[i].path);
        free(p->listen[i].text);
    }
    free(p->listen);
    p->listen = NULL;
    p->n_listen = 0;
}

static bool is_wildcard(const char *address)
{
    return str_eq(address, "0.0.0.0") || str_eq(address, "::") || str_startswith(address, "0:0:0:0:0:0:0:0");
}

static int parse_listen(
    struct config_reader *r, const config_setting_t *s, const char *text, struct config_listen *ret)
{
    struct config_listen l = {.is_unix = str_startswith(text, "unix:")};
    const char *path = str_startswith(text, "unix://") ? text + 7 : text + 5;
    const char *valid = l.is_unix ? config_check_socket(path) : NULL;

    if (l.is_unix && !valid && strlen(path) > CONFIG_LISTEN_PATH_MAX)
        valid = "a path of at most 103 bytes";
    if (l.is_unix && valid) {
        config_finding(r, s, "%s is not valid; \"unix:\" and %s", config_quote(text).text, valid);
        return -EINVAL;
    }
    if (!l.is_unix &&
        (!str_startswith(text, "tcp://") || config_parse_address(text + 6, l.address, &l.port) < 0)) {
        config_finding(r, s,
            "%s is not valid; \"unix:/PATH\" or \"tcp://ADDRESS:PORT\" with a literal address",
            config_quote(text).text);
        return -EINVAL;
    }
    if (!l.is_unix && is_wildcard(l.address)) {
        config_finding(r, s,
            "%s would offer the Docker API on every network; name one address, such as that of the tenant's "
            "bridge",
            config_quote(text).text);
        return -EINVAL;
    }
    *ret = l;
    ret->path = l.is_unix ? strdup(path) : NULL;
    ret->text = strdup(text);
    return ret->text && (ret->path || !l.is_unix) ? 0 : (r->oom = -ENOMEM);
}

void config_read_listen(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct config_proxy *p = at;
    struct config_listen *items;
    int n = config_read_count(r, s, k);

    if (n < 0)
        return;
    items = calloc((size_t)n + 1, sizeof(*items));
    if (!items) {
        r->oom = -ENOMEM;
        return;
    }
    for (int i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        size_t mark = config_path_push_index(r, (size_t)i);
        const char *text = config_read_text(r, item, k);

        config_loc_record(r, item);
        if (text) /* a bad entry stays empty, so that the others keep their places */
            (void)parse_listen(r, item, text, &items[i]);
        config_path_pop(r, mark);
    }
    config_listen_free(p);
    p->listen = items;
    p->n_listen = (size_t)n;
}

/* ---------------------------------------------------------------- published ports */

void config_ports_free(struct config_gateway *g)
{
    free(g->ports);
    g->ports = NULL;
    g->n_ports = 0;
}

static void parse_publish(
    struct config_reader *r, const config_setting_t *s, const char *text, struct config_port *ret)
{
    const char *colon = strrchr(text, ':');
    struct config_port p = {};
    char host[80] = "";
    uint64_t port = 0;

    if (colon && (size_t)(colon - text) < sizeof(host))
        (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    if (!colon || str_parse_u64(colon + 1, 65535, &port) < 0 || port == 0 ||
        config_parse_address(host, p.host_address, &p.host_port) < 0) {
        config_finding(
            r, s, "%s is not valid; \"127.0.0.1:HOSTPORT:CONTAINERPORT\"", config_quote(text).text);
        return;
    }
    if (!config_is_loopback(p.host_address)) {
        config_finding(r, s,
            "%s is not on loopback; publish on 127.0.0.0/8 or [::1] and put a reverse proxy in front of it",
            config_quote(text).text);
        return;
    }
    p.container_port = (uint16_t)port;
    *ret = p;
}

void config_read_publish(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct config_gateway *g = at;
    int n = config_read_count(r, s, k);
    struct config_port *ports;

    if (n < 0)
        return;
    ports = calloc((size_t)n + 1, sizeof(*ports));
    if (!ports) {
        r->oom = -ENOMEM;
        return;
    }
    config_ports_free(g);
    g->ports = ports;
    g->n_ports = (size_t)n;
    for (int i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        size_t mark = config_path_push_index(r, (size_t)i);
        const char *text = config_read_text(r, item, k);

        config_loc_record(r, item);
        if (text)
            parse_publish(r, item, text, &ports[i]);
        config_path_pop(r, mark);
    }
}

/* ---------------------------------------------------------------- mounts of the gateway */

void config_mounts_free(struct config_gateway *g)
{
    for (size_t i = 0; i < g->n_mounts; i++) {
        free(g->mounts[i].source);
        free(g->mounts[i].target);
    }
    free(g->mounts);
    g->mounts = NULL;
    g->n_mounts = 0;
}

void config_read_mounts(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct config_gateway *g = at;
    int n = config_read_count(r, s, k);
    struct config_mount *mounts;

    if (n < 0)
        return;
    mounts = calloc((size_t)n + 1, sizeof(*mounts));
    if (!mounts) {
        r->oom = -ENOMEM;
        return;
    }
    config_mounts_free(g);
    g->mounts = mounts;
    for (int i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        struct config_mount *m = &mounts[g->n_mounts++];
        size_t mark = config_path_push_index(r, (size_t)i);

        config_loc_record(r, item);
        if (config_setting_is_group(item))
            config_read_group(r, item, k->group, m);
        if (!config_setting_is_group(item) || !config_setting_get_member(item, "source") ||
            !config_setting_get_member(item, "target"))
            config_finding(r, item, "incomplete; { source = \"/HOST/PATH\"; target = \"/PATH\"; }");
        config_path_pop(r, mark);
    }
}

/* ---------------------------------------------------------------- health */

/* One scalar as jansson value; NULL and *oom, or NULL for what is not a scalar of exact value. */
static json_t *scalar_json(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_BOOL:
        return json_boolean(config_setting_get_bool(s));
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return json_integer(config_setting_get_int64(s));
    case CONFIG_TYPE_STRING:
        return json_string(config_setting_get_string(s));
    default:
        return NULL;
    }
}

void config_read_expect_json(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    const config_setting_t *member =
        config_setting_is_group(s) && config_setting_length(s) == 1 ? config_setting_get_elem(s, 0) : NULL;
    _cleanup_json_ json_t *value = member ? scalar_json(member) : NULL;
    struct config_health *h = at;
    char *field, *text;

    (void)k;
    if (!value) {
        config_finding(r, s, "not one field with a text, whole number or truth value; write { ok = true; }");
        return;
    }
    field = strdup(config_setting_name(member));
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!field || !text) {
        free(field);
        free(text);
        r->oom = -ENOMEM;
        return;
    }
    free(h->json_field);
    free(h->json_value);
    h->json_field = field;
    h->json_value = text;
}

void config_read_tcp(struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct config_health *h = at;
    const char *text = config_read_text(r, s, k);

    if (text && config_parse_address(text, h->address, &h->port) < 0)
        config_finding(
            r, s, "%s is not valid; \"127.0.0.1:PORT\" with a literal address", config_quote(text).text);
}

/* ---------------------------------------------------------------- delays of a rung */

void config_read_delays(
    struct config_reader *r, const config_setting_t *s, const struct config_key *k, void *at)
{
    struct recovery_rung *rung = at;
    int n = config_read_count(r, s, k);
    uint64_t us[RECOVERY_L1_MAX] = {};

    if (n == 0)
        config_finding(r, s, "empty; write %s = %s", k->name, k->form);
    if (n <= 0)
        return;
    for (int i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        const char *text = config_setting_get_string(item);

        if (!text || str_parse_duration(text, &us[i]) < 0 || us[i] > USEC_PER_DAY) {
            config_finding(r, item, "entry %d is not a duration of at most one day; write %s = %s", i + 1,
                k->name, k->form);
            return;
        }
    }
    memcpy(rung->delay_us, us, sizeof(rung->delay_us));
    rung->n_delays = (uint32_t)n;
}
