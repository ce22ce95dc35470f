/* op_bringup.c: from nothing to a started gateway: bridge, container from the spec, start. The core orders it
 * only when the proxy's /_ping has answered. Never removes anything. */
#include "daemon/op.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/capture.h"
#include "daemon/proxy_child.h"
#include "daemon/spec.h"

/* ---------------------------------------------------------------- the tenant's bridge */

static void network_known(struct op *op, const char *id)
{
    (void)snprintf(op->tenant->network_id, sizeof(op->tenant->network_id), "%s", id);
    op->after(op);
}

static void on_network_created(struct op *op, const struct engine_answer *a)
{
    const char *id = json_string_value(json_object_get(a->body, "Id"));

    if (a->status != 201 || !id || !str_is_hex(id, 64))
        op_finish(op, REC_DONE_REFUSED, "the tenant's network cannot be created: %s%s", a->message,
            strstr(a->message, "address pool") /* Docker's own give about 30 networks a host */
                ? "; give the engine more in \"default-address-pools\" of /etc/docker/daemon.json"
                : "");
    else
        network_known(op, id);
}

static void on_network(struct op *op, const struct engine_answer *a)
{
    const char *id = json_string_value(json_object_get(a->body, "Id")), *label;
    _cleanup_json_ json_t *body = NULL;

    if (a->status == 200 && id && str_is_hex(id, 64)) {
        label = json_string_value(json_object_get(json_object_get(a->body, "Labels"), SPEC_LABEL_TENANT));
        if (!label || strcmp(label, op->tenant->slug) != 0)
            op_finish(op, REC_DONE_REFUSED,
                "a network named clawsup-net-%s exists that is not clawsup's; remove or rename it",
                op->tenant->slug);
        else
            network_known(op, id);
        return;
    }
    if (a->status != 404) {
        op_finish(op, REC_DONE_REFUSED, "the tenant's network cannot be inspected: %s", a->message);
        return;
    }
    if (spec_network(op->tenant->config, &body) < 0) {
        op_finish(op, REC_DONE_ENGINE_GONE, "out of memory");
        return;
    }
    op_call(op, on_network_created, "POST", body, OP_TIMEOUT_US, "/networks/create");
}

void op_network(struct op *op, void (*then)(struct op *op))
{
    char name[64];

    op->after = then;
    spec_network_name(name, sizeof(name), op->tenant->slug);
    op_call(op, on_network, "GET", NULL, OP_TIMEOUT_US, "/networks/%s", name);
}

/* ---------------------------------------------------------------- the gateway */

static void on_started(struct op *op, const struct engine_answer *a)
{
    if (a->status == 204 || a->status == 304)
        op_finish(op, REC_DONE_OK, "started");
    else if (!op_port_taken(op, a))
        /* What the runtime says is about the container: its program is missing, its mounts do not fit. */
        op_finish(op, strstr(a->message, "OCI runtime") ? REC_DONE_FAILED : REC_DONE_REFUSED,
            "start refused: %s", a->message);
}

static void start_created(struct op *op, const char *id)
{
    op_call(op, on_started, "POST", NULL, OP_TIMEOUT_US, "/containers/%s/start", id);
}

static void on_tampered(struct op *op, const char *why)
{
    if (op->component->mode == CONFIG_MANAGED && op->component->container)
        op_redeploy(op);
    else
        op_finish(op, REC_DONE_REFUSED, "not started: %s", why);
}

static void on_created(struct op *op, const struct engine_answer *a)
{
    const char *id = json_string_value(json_object_get(a->body, "Id"));

    if (a->status == 201 && id && str_is_hex(id, 64))
        start_created(op, id);
    else if (a->status == 404)
        op_finish(op, REC_DONE_REFUSED, "image %s is not on this host: %s", op->component->container->image,
            a->message);
    else
        op_finish(op, REC_DONE_REFUSED, "create refused: %s", a->message);
}

static int make_data_root(struct op *op, struct err *e)
{
    const char *path = op->tenant->config->data_root;
    struct stat st;

    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : err_set(e, -ENOTDIR, "data_root %s is not a directory", path);
    /* Only the last component is made: a missing parent is more likely an unmounted disk than a wish. */
    if (mkdir(path, 0755) < 0)
        return err_set(e, -errno, "data_root %s: mkdir: %m", path);
    return 0;
}

static void create_container(struct op *op)
{
    struct tenant *t = op->tenant;
    _cleanup_json_ json_t *body = NULL;
    char hash[HASH_HEX_SIZE];
    struct err e = {0};
    int r = make_data_root(op, &e);

    if (r >= 0)
        r = spec_container(
            t->config, op->component->extra, t->network_id, op_cgroup_parent(op), &body, hash, &e);
    if (r < 0) {
        op_finish(op, REC_DONE_REFUSED, "%s", e.msg[0] ? e.msg : strerror(-r));
        return;
    }
    op_call(op, on_created, "POST", body, OP_TIMEOUT_US, "/containers/create?name=%s",
        op->component->container_name);
}

static bool is_state(const json_t *inspect, const char *key)
{
    return json_is_true(json_object_get(json_object_get(inspect, "State"), key));
}

/* Somebody removed an adopted container. It is made as it was when it was last healthy. */
static void make_again(struct op *op)
{
    if (!capture_exists(op->component)) {
        op_finish_absent(op);
        return;
    }
    manager_note(op->tenant, op->component, LOG_NOTICE, NULL, "action",
        "its container was removed by somebody; making it again as it was when it was last healthy");
    op_redeploy(op);
}

static void on_existing(struct op *op, const struct engine_answer *a)
{
    struct tenant *t = op->tenant;
    const char *id = json_string_value(json_object_get(a->body, "Id"));
    char hash[HASH_HEX_SIZE];
    struct err e = {0};

    if (a->status == 404) {
        if (op->component->mode == CONFIG_EXTERNAL)
            make_again(op);
        else
            create_container(op);
        return;
    }
    if (a->status != 200 || !id || !str_is_hex(id, 64)) {
        op_finish(op, REC_DONE_REFUSED, "inspect: %s", op_inspect_problem(a));
        return;
    }
    if (op->component->mode == CONFIG_MANAGED && !spec_is_ours(a->body, t->slug)) {
        op_finish(op, REC_DONE_REFUSED,
            "a container named %s exists that is not clawsup's; remove it, or adopt it with mode = "
            "\"external\"",
            op->component->container_name);
        return;
    }
    if (is_state(a->body, "Running")) {
        op_finish(op, REC_DONE_OK, "runs already");
        return;
    }
    if (op->component->mode == CONFIG_MANAGED && op->component->container &&
        spec_container(
            t->config, op->component->extra, t->network_id, op_cgroup_parent(op), NULL, hash, &e) >= 0 &&
        strcmp(hash, spec_hash_of(a->body)) != 0) {
        op_redeploy(op); /* it is down anyway, and its spec is an old one */
        return;
    }
    op_start_container(op, id, on_started, on_tampered);
}

static void look_for_container(struct op *op)
{
    const char *ref = op_reference(op->component);

    if (ref)
        op_call(op, on_existing, "GET", NULL, OP_TIMEOUT_US, "/containers/%s/json", ref);
    else
        make_again(op);
}

static void launch_proxy(struct op *op)
{
    struct err e = {0};
    int r = proxy_child_launch(op->tenant->child, false, &e);

    if (r < 0)
        op_finish(op, REC_DONE_REFUSED, "%s", e.msg);
    else
        op_finish(op, REC_DONE_OK, "launched, pid %d", (int)proxy_child_pid(op->tenant->child));
}

void op_bring_up(struct op *op)
{
    const struct config_tenant *c = op->tenant->config;

    if (op->component->kind == REC_KIND_PROXY) {
        /* The policy names the sandboxes' network by its id, so the network comes first. */
        if (c->sandbox_network && !op->tenant->network_id[0])
            op_network(op, launch_proxy);
        else
            launch_proxy(op);
    } else if (op->component->mode == CONFIG_MANAGED) {
        op_network(op, look_for_container);
    } else {
        look_for_container(op);
    }
}
