/* diff.c: see diff.h. Loads the files as a reload does, and throws the result away. */
#include "daemon/diff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/manager.h"
#include "daemon/spec.h"

struct part {
    unsigned mask;
    const char *word, *effect;
};

static const struct part parts[] = {
    {CONFIG_CHANGE_IDENTITY, "identity", "as good as another tenant: all of it is made anew"},
    {CONFIG_CHANGE_LISTEN, "listen", "the proxy gets new sockets"},
    {CONFIG_CHANGE_POLICY, "policy", "a new proxy on the same sockets; no session is cut"},
    {CONFIG_CHANGE_GATEWAY, "gateway",
        "the gateway is redeployed; the old one stays until the new one is verified"},
    {CONFIG_CHANGE_HEALTH, "health", "probes change at once"},
    {CONFIG_CHANGE_LIMITS, "limits", "limits change at once, without a restart"},
    {CONFIG_CHANGE_RECOVERY, "recovery", "the recovery changes at once"},
    {CONFIG_CHANGE_COMPONENTS, "components", "components come, go or are redeployed"},
};

static int append(json_t *list, json_t *v)
{
    return json_array_append_new(list, v) < 0 ? -ENOMEM : 0;
}

static int add_key(const char *key, const char *before, const char *after, void *userdata)
{
    return append(userdata, json_pack("{s:s, s:s?, s:s?}", "key", key, "before", before, "after", after));
}

static int changed(json_t *list, const struct config_tenant *old, const struct config_tenant *fresh)
{
    unsigned mask = config_tenant_changes(old, fresh);
    _cleanup_json_ json_t *keys = json_array(), *effects = json_array();
    int r = keys && effects ? 0 : -ENOMEM;

    if (r < 0 || mask == 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(parts) && r >= 0; i++)
        if (mask & parts[i].mask)
            r = append(effects, json_pack("{s:s, s:s}", "part", parts[i].word, "effect", parts[i].effect));
    if (r >= 0)
        r = config_tenant_changed_keys(old, fresh, add_key, keys);
    return r < 0 ? r
                 : append(list, json_pack("{s:s, s:s, s:O, s:O}", "tenant", fresh->slug, "change", "changed",
                                    "effects", effects, "keys", keys));
}

static int one_way(json_t *list, const char *slug, const char *change, const char *effect)
{
    return append(list, json_pack("{s:s, s:s, s:[{s:s, s:s}], s:[]}", "tenant", slug, "change", change,
                            "effects", "part", "tenant", "effect", effect, "keys"));
}

static int compare(const struct config *old, const struct config *fresh, json_t *list)
{
    int r = 0;

    for (size_t i = 0; i < old->n_tenants && r >= 0; i++)
        if (!config_find(fresh, old->tenants[i]->slug))
            r = one_way(list, old->tenants[i]->slug, "removed", "its containers are stopped, not removed");
    for (size_t i = 0; i < fresh->n_tenants && r >= 0; i++) {
        const struct config_tenant *before = config_find(old, fresh->tenants[i]->slug);

        r = before
                ? changed(list, before, fresh->tenants[i])
                : one_way(list, fresh->tenants[i]->slug, "added", "its proxy and its gateway are brought up");
    }
    return r;
}

/* ---------------------------------------------------------------- what runs */

static int add_drift(json_t *list, const struct component *c, const char *text)
{
    return append(
        list, json_pack("{s:s, s:s, s:s}", "tenant", c->tenant->slug, "component", c->name, "text", text));
}

static int component_drift(const struct component *c, json_t *list)
{
    const struct tenant *t = c->tenant;
    char hash[HASH_HEX_SIZE], text[160];

    if (c->kind != REC_KIND_CONTAINER || !c->facts_known)
        return 0;
    if (c->facts.state != DOCKER_RUNNING) {
        (void)snprintf(text, sizeof(text), "its container is %s", docker_state_to_string(c->facts.state));
        return add_drift(list, c, text);
    }
    if (!c->container || c->mode != CONFIG_MANAGED || !c->spec_running[0] ||
        spec_container(t->config, c->extra, t->network_id, t->cgroup_parent, NULL, hash, NULL) < 0 ||
        strcmp(hash, c->spec_running) == 0)
        return 0;
    (void)snprintf(text, sizeof(text),
        "runs with another specification than the loaded one; clawsup redeploy %s%s%s", t->slug,
        c->extra ? " " : "", c->extra ? c->name : "");
    return add_drift(list, c, text);
}

static int by_tenant(const void *a, const void *b)
{
    const struct tenant *const *x = a, *const *y = b;

    return strcmp((*x)->slug, (*y)->slug);
}

static int drift(const struct manager *m, json_t *list)
{
    size_t n = HASH_COUNT(m->tenants), i = 0;
    _cleanup_free_ const struct tenant **sorted = calloc(n + 1, sizeof(struct tenant *));
    struct tenant *t, *next;
    int r = 0;

    if (!sorted)
        return -ENOMEM;
    HASH_ITER(hh, m->tenants, t, next)
    sorted[i++] = t;
    if (n > 0)
        qsort(sorted, n, sizeof(struct tenant *), by_tenant);
    for (i = 0; i < n && r >= 0; i++)
        for (size_t k = 0; k < sorted[i]->n_all && r >= 0; k++)
            r = component_drift(sorted[i]->all[k], list);
    return r;
}

int diff_verb(struct control_request *req, void *userdata)
{
    struct manager *m = userdata;
    _cleanup_(config_freep) struct config *fresh = NULL;
    _cleanup_json_ json_t *changes = json_array(), *differs = json_array(), *found = json_array();
    struct config_findings f = {0};
    struct err e = {0};
    bool restart = false;
    int r = config_load(m->config_path, &fresh, &f), code = changes && differs && found ? 0 : -ENOMEM;

    for (size_t i = 0; i < f.n && code >= 0; i++)
        code = append(found, json_string(f.items[i]));
    config_findings_free(&f);
    if (code >= 0 && r >= 0) {
        restart = config_needs_restart(m->config, fresh, &e);
        code = compare(m->config, fresh, changes);
    }
    if (code >= 0)
        code = drift(m, differs);
    if (code < 0)
        return code;
    return control_reply(
        req, json_pack("{s:s, s:O, s:O, s:O, s:s?}", "file", m->config_path, "findings", found, "changes",
                 changes, "drift", differs, "restart", restart ? e.msg : NULL));
}
