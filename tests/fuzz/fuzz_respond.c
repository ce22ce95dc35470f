/* fuzz_respond.c: any text as an answer of the engine, rebuilt for a client: whatever comes out must be JSON
 * of known members, about own objects, without a path or a process of the host. Two bytes choose the answer's
 * kind and the policy; a line of filters follows, then the answer. */
#include <string.h>

#include "base/jdoc.h"
#include "base/json.h"
#include "filter/create.h"
#include "filter/respond.h"
#include "fuzz.h"

#define OWN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NETWORK "1111111111111111111111111111111111111111111111111111111111111111"
#define TEXT_LIMIT ((size_t)64 * 1024)

enum kind {
    KIND_CONTAINERS,
    KIND_IMAGES,
    KIND_EVENT,
    KIND_INSPECT,
    KIND_GATEWAY,
    KIND_EXEC_INSPECT,
    KIND_IMAGE_INSPECT,
    KIND_HISTORY,
    KIND_NETWORK,
    KIND_CREATE,
    KIND_EXEC_CREATE,
    KIND_ERROR,
    _KIND_MAX
};

static bool owns(void *userdata, const char *id)
{
    (void)userdata;
    return strcmp(id, OWN) == 0;
}

static struct policy *policy_of(unsigned flags)
{
    struct policy *p = policy_new("a");

    FUZZ_CHECK(p && policy_list_add(&p->images, "img") >= 0);
    if (flags & 1) {
        p->network_id = strdup(NETWORK);
        p->network_name = strdup("clawsup-net-a");
        FUZZ_CHECK(p->network_id && p->network_name);
    }
    if (flags & 2)
        p->names = POLICY_NAMES_NAMESPACED;
    return p;
}

static json_t *load(const char *text, size_t len)
{
    json_t *j = NULL;

    FUZZ_CHECK(json_load_engine(text, len, (size_t)4 << 20, &j, NULL) >= 0);
    return j;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* What no answer may have at the place where the engine has it. */
static void check_absent(const json_t *o)
{
    static const char *const never[] = {"GraphDriver", "LogPath", "ResolvConfPath", "HostnamePath",
        "HostsPath", "SandboxKey", "SandboxID", "CgroupParent", "ContainerIDFile", "Storage",
        "ImageManifestDescriptor", "Peers"};

    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        FUZZ_CHECK(!json_object_get(o, never[i]));
}

static void check_labels(const json_t *labels)
{
    FUZZ_CHECK(json_is_object(labels) && !json_object_get(labels, LABEL_BINDS));
}

static void check_networks(const struct policy *p, json_t *nets)
{
    FUZZ_CHECK(json_is_object(nets));
    for (void *it = json_object_iter(nets); it; it = json_object_iter_next(nets, it)) {
        const char *key = json_object_iter_key(it), *id = text_of(json_object_iter_value(it), "NetworkID");

        FUZZ_CHECK(
            strcmp(key, "none") == 0 ||
            (p->network_id && (str_eq(id, p->network_id) ||
                                  (!*id && (str_eq(key, p->network_name) || str_eq(key, p->network_id))))));
    }
}

/* Sources are the client's own words from the label, or nothing. */
static void check_mounts(const json_t *mounts, const char *binds)
{
    FUZZ_CHECK(json_is_array(mounts));
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const char *source = text_of(json_array_get(mounts, i), "Source");

        FUZZ_CHECK(!*source || binds);
        FUZZ_CHECK(!json_object_get(json_array_get(mounts, i), "VolumeOptions"));
    }
}

static void check_rows(const struct policy *p, const json_t *rows, const json_t *in)
{
    FUZZ_CHECK(json_is_array(rows) && json_array_size(rows) <= json_array_size(in));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *labels = json_object_get(row, "Labels");
        const json_t *names = json_object_get(row, "Names");

        FUZZ_CHECK(str_eq(text_of(row, "Id"), OWN) && str_eq(text_of(labels, LABEL_TENANT), "a"));
        check_absent(row);
        check_labels(labels);
        FUZZ_CHECK(json_is_array(names));
        for (size_t k = 0; k < json_array_size(names); k++) {
            const char *name = json_string_value(json_array_get(names, k));

            FUZZ_CHECK(name && name[0] == '/' && !strchr(name + 1, '/'));
        }
        check_networks(p, json_object_get(json_object_get(row, "NetworkSettings"), "Networks"));
        FUZZ_CHECK(json_object_size(json_object_get(row, "HostConfig")) == 1);
        check_mounts(json_object_get(row, "Mounts"), "");
    }
}

static void try_containers(const struct respond_view *v, unsigned flags, const char *filters,
    const json_t *in, const char *text, size_t len)
{
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf out = {0};
    _cleanup_json_ json_t *j = NULL;
    struct respond_containers_query q = {.all = flags & 4, .limit = flags & 8 ? 2 : 0};
    struct refusal r = {0};

    if (respond_filters_parse(RESPOND_CONTAINERS, filters, &f, &r) < 0) {
        FUZZ_CHECK((r.status == 400 || r.status == 403) && r.rule[0] && r.reason[0]);
        return;
    }
    q.filters = f;
    if (jdoc_parse(&d, text, len, TEXT_LIMIT, NULL) < 0 || respond_containers(v, &q, &d, &out, &r) < 0)
        return;
    j = load(out.data, out.len);
    check_rows(v->policy, j, in);
    FUZZ_CHECK(q.limit == 0 || json_array_size(j) <= q.limit);
}

static void try_inspect(
    const struct respond_view *v, bool gateway, const json_t *in, const char *text, size_t len)
{
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf out = {0};
    _cleanup_json_ json_t *j = NULL;
    const json_t *config, *host;

    if (jdoc_parse(&d, text, len, TEXT_LIMIT, NULL) < 0 || respond_inspect(v, &d, gateway, &out) < 0)
        return;
    j = load(out.data, out.len);
    check_absent(j);
    config = json_object_get(j, "Config");
    host = json_object_get(j, "HostConfig");
    FUZZ_CHECK(str_is_hex(text_of(j, "Id"), 64) && text_of(j, "Name")[0] == '/');
    FUZZ_CHECK(json_integer_value(json_object_get(json_object_get(j, "State"), "Pid")) == 0);
    check_labels(json_object_get(config, "Labels"));
    FUZZ_CHECK(!gateway || json_array_size(json_object_get(config, "Env")) == 0);
    check_absent(host);
    check_absent(json_object_get(j, "NetworkSettings"));
    check_networks(v->policy, json_object_get(json_object_get(j, "NetworkSettings"), "Networks"));
    if (!gateway) {
        const json_t *labels = json_object_get(json_object_get(in, "Config"), "Labels");
        const char *binds = json_string_value(json_object_get(labels, LABEL_BINDS));

        check_mounts(json_object_get(j, "Mounts"), binds);
        if (json_object_get(host, "Mounts"))
            check_mounts(json_object_get(host, "Mounts"), binds);
    }
}

static void check_tags(const struct policy *p, const json_t *tags)
{
    for (size_t i = 0; i < json_array_size(tags); i++)
        FUZZ_CHECK(policy_allows_image(p, json_string_value(json_array_get(tags, i))));
}

static void try_images(const struct respond_view *v, const char *filters, const json_t *in)
{
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    _cleanup_json_ json_t *out = NULL;

    if (respond_filters_parse(RESPOND_IMAGES, filters, &f, NULL) < 0 || respond_images(v, f, in, &out) < 0)
        return;
    for (size_t i = 0; i < json_array_size(out); i++) {
        const json_t *row = json_array_get(out, i);

        FUZZ_CHECK(json_array_size(json_object_get(row, "RepoTags")) > 0);
        check_tags(v->policy, json_object_get(row, "RepoTags"));
    }
}

static void try_event(const struct respond_view *v, const char *filters, const json_t *in)
{
    _cleanup_respond_filters_ struct respond_filters *f = NULL;
    _cleanup_json_ json_t *out = NULL;
    const json_t *attributes;

    if (respond_filters_parse(RESPOND_EVENTS, filters, &f, NULL) < 0 || respond_event(v, f, in, &out) < 0 ||
        !out)
        return;
    attributes = json_object_get(json_object_get(out, "Actor"), "Attributes");
    FUZZ_CHECK(str_eq(text_of(out, "id"), OWN) && str_eq(text_of(attributes, LABEL_TENANT), "a"));
    FUZZ_CHECK(str_eq(text_of(out, "Type"), "container") && !str_startswith(text_of(out, "Action"), "exec"));
    check_labels(attributes);
}

/* One document in, one out, by the tree. */
static void try_tree(const struct respond_view *v, enum kind kind, const json_t *in)
{
    _cleanup_json_ json_t *out = NULL;
    char id[65] = "";

    switch ((int)kind) {
    case KIND_EXEC_INSPECT:
        if (respond_exec_inspect(in, &out) >= 0)
            FUZZ_CHECK(
                json_integer_value(json_object_get(out, "Pid")) == 0 && str_is_hex(text_of(out, "ID"), 64));
        break;
    case KIND_IMAGE_INSPECT:
        if (respond_image_inspect(v, in, &out) >= 0)
            check_tags(v->policy, json_object_get(out, "RepoTags"));
        break;
    case KIND_HISTORY:
        if (respond_image_history(v, in, &out) >= 0)
            for (size_t i = 0; i < json_array_size(out); i++)
                check_tags(v->policy, json_object_get(json_array_get(out, i), "Tags"));
        break;
    case KIND_NETWORK:
        if (respond_network(v, in, &out) >= 0) {
            json_t *members = json_object_get(out, "Containers");

            FUZZ_CHECK(v->policy->network_id && str_eq(text_of(out, "Id"), v->policy->network_id));
            FUZZ_CHECK(json_object_size(members) <= 1 &&
                       (!json_object_iter(members) || json_object_get(members, OWN)));
        }
        break;
    case KIND_CREATE:
        if (respond_create(in, id, &out) >= 0)
            FUZZ_CHECK(str_is_hex(id, 64) && json_object_size(out) == 2);
        break;
    case KIND_EXEC_CREATE:
        if (respond_exec_create(in, id, &out) >= 0)
            FUZZ_CHECK(str_is_hex(id, 64) && json_object_size(out) == 1);
        break;
    default:
        break;
    }
    if (out) {
        _cleanup_free_ char *text = json_to_string(out);

        FUZZ_CHECK(text);
        check_absent(out);
    }
}

static void try_error(const struct respond_view *v, const json_t *in)
{
    _cleanup_free_ char *text = respond_engine_error(v, in);
    _cleanup_json_ json_t *j = NULL;

    FUZZ_CHECK(text);
    j = load(text, strlen(text));
    FUZZ_CHECK(json_object_size(j) == 1 && json_is_string(json_object_get(j, "message")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_policy_ struct policy *p = NULL;
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *in = NULL;
    const char *filters, *body;
    struct respond_view v = {.owns = owns};
    enum kind kind;
    char *nl;
    size_t len;

    if (size < 3 || size > TEXT_LIMIT || !(nl = memchr(data + 2, '\n', size - 2)))
        return 0;
    text = strndup((const char *)data + 2, size - 2);
    FUZZ_CHECK(text);
    if (!(nl = strchr(text, '\n')))
        return 0; /* a NUL before it */
    *nl = '\0';
    filters = text;
    body = nl + 1;
    len = strlen(body);
    kind = (enum kind)(data[0] % _KIND_MAX);
    p = policy_of(data[1]);
    v.policy = p;
    /* jdoc takes a number beyond a double's range, the tree does not. */
    if (json_load_engine(body, len, TEXT_LIMIT, &in, NULL) < 0)
        return 0;
    if (kind == KIND_CONTAINERS) {
        try_containers(&v, data[1], filters, in, body, len);
        return 0;
    }
    if (kind == KIND_INSPECT || kind == KIND_GATEWAY) {
        try_inspect(&v, kind == KIND_GATEWAY, in, body, len);
        return 0;
    }
    if (kind == KIND_IMAGES)
        try_images(&v, filters, in);
    else if (kind == KIND_EVENT)
        try_event(&v, filters, in);
    else if (kind == KIND_ERROR)
        try_error(&v, in);
    else
        try_tree(&v, kind, in);
    return 0;
}
