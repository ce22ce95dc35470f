/* fuzz_create.c: any body, read under two policies: whatever is accepted must be rendered, be valid JSON, and
 * hold none of the values that would open the cage. The first byte chooses the policy. */
#include <string.h>

#include "base/json.h"
#include "filter/create.h"
#include "fuzz.h"

#define NETWORK "1111111111111111111111111111111111111111111111111111111111111111"
#define IMAGE "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static struct policy *policy_of(bool rich)
{
    struct policy *p = policy_new("a");

    FUZZ_CHECK(p && policy_list_add(&p->images, "img") >= 0 &&
               policy_list_add(&p->images, "openclaw-sandbox:bookworm-slim") >= 0 &&
               policy_list_add(&p->bind_mount_from, "/data/tenants/a/workspace") >= 0);
    if (rich) {
        p->network_id = strdup(NETWORK);
        p->network_name = strdup("clawsup-net-a");
        p->runtime = strdup("runsc");
        FUZZ_CHECK(policy_list_add(&p->users, "1000") >= 0 && policy_list_add(&p->cap_keep, "CHOWN") >= 0);
    }
    return p;
}

static bool is_text(const json_t *o, const char *key, const char *want)
{
    return str_eq(json_string_value(json_object_get(o, key)), want);
}

static void check_cage(const struct policy *p, const json_t *body)
{
    const json_t *h = json_object_get(body, "HostConfig"), *mounts = json_object_get(h, "Mounts");
    const json_t *labels = json_object_get(body, "Labels");
    uint64_t memory = (uint64_t)json_integer_value(json_object_get(h, "Memory"));
    uint64_t pids = (uint64_t)json_integer_value(json_object_get(h, "PidsLimit"));
    uint64_t cpus = (uint64_t)json_integer_value(json_object_get(h, "NanoCpus"));

    FUZZ_CHECK(json_is_false(json_object_get(h, "Privileged")) && !json_object_get(h, "Binds"));
    FUZZ_CHECK(is_text(h, "PidMode", "") && is_text(h, "IpcMode", "private") && is_text(h, "UTSMode", ""));
    FUZZ_CHECK(is_text(h, "UsernsMode", "") && is_text(h, "CgroupnsMode", "private"));
    FUZZ_CHECK(
        is_text(h, "NetworkMode", "none") || (p->network_id && is_text(h, "NetworkMode", p->network_id)));
    FUZZ_CHECK(memory > 0 && memory <= p->memory_bytes && pids > 0 && pids <= p->pids);
    FUZZ_CHECK(cpus > 0 && cpus <= p->nano_cpus &&
               json_equal(json_object_get(h, "Memory"), json_object_get(h, "MemorySwap")));
    FUZZ_CHECK(is_text(body, "Image", IMAGE) && is_text(labels, LABEL_TENANT, "a") &&
               is_text(labels, LABEL_ROLE, ROLE_SANDBOX));
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const json_t *o = json_array_get(mounts, i);
        const char *target = json_string_value(json_object_get(o, "Target"));

        FUZZ_CHECK(is_text(o, "Type", "bind") && is_text(o, "Source", "/staged") && target &&
                   str_is_clean_path(target));
        FUZZ_CHECK(!str_path_covers("/proc", target) && !str_path_covers("/etc", target));
        FUZZ_CHECK(!strchr(target + 1, '/') || json_is_true(json_object_get(h, "ReadonlyRootfs")));
        for (size_t k = 0; k < json_array_size(mounts); k++)
            FUZZ_CHECK(k == i || !str_path_covers(target, json_string_value(json_object_get(
                                                              json_array_get(mounts, k), "Target"))));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_policy_ struct policy *p = NULL;
    _cleanup_create_model_ struct create_model *m = NULL;
    _cleanup_json_ json_t *body = NULL, *out = NULL;
    _cleanup_free_ char *text = NULL;
    struct refusal r = {0};

    if (size < 1 || json_load_strict((const char *)data + 1, size - 1, CREATE_BODY_MAX, &body, NULL) < 0)
        return 0;
    p = policy_of(data[0] & 1);
    if (create_parse(p, "box", body, &m, &r) < 0) {
        FUZZ_CHECK(r.status == 400 || r.status == 403 || r.status == 413);
        FUZZ_CHECK(r.rule[0] && r.reason[0]);
        return 0;
    }
    FUZZ_CHECK(create_set_image(m, IMAGE) >= 0);
    for (size_t i = 0; i < m->n_binds; i++) {
        FUZZ_CHECK(str_path_covers("/data/tenants/a/workspace", m->binds[i].source));
        FUZZ_CHECK(str_is_clean_path(m->binds[i].source) && create_set_staged(m, i, "/staged") >= 0);
    }
    FUZZ_CHECK(create_render(m, data[0] & 2 ? 49 : 41, &text) >= 0);
    FUZZ_CHECK(json_load_strict(text, strlen(text), (size_t)4 << 20, &out, NULL) >= 0);
    check_cage(p, out);
    return 0;
}
