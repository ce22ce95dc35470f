/* explain.c: see explain.h. Follows the order of the proxy's handlers: head, route, reference, body. Must not
 * decide anything itself: every verdict comes from the filter. */
#include "ctl/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "filter/create.h"
#include "filter/exec.h"
#include "filter/http1.h"
#include "filter/names.h"
#include "filter/route.h"
#include "filter/update.h"

#define ID_EXAMPLE "0000000000000000000000000000000000000000000000000000000000000000"

struct job {
    const struct policy *policy;
    unsigned minor;
    struct route_match match;
    const char *body; /* as the client sends it; NULL: none */
    size_t body_len;
    json_t *json;
    char engine_name[NAMES_ENGINE_MAX + 1];
    bool in_gateway;
    struct explanation *x;
};

void explanation_done(struct explanation *x)
{
    free(x->target);
    free(x->body);
    memset(x, 0, sizeof(*x));
}

static void note(struct job *j, const char *text)
{
    if (j->x->n_notes < EXPLAIN_NOTES_MAX)
        j->x->notes[j->x->n_notes++] = text;
}

/* Every refusal ends here; the verdict is final then, which 1 says. */
static int deny(struct job *j, int status, const char *rule, const char *prefix, const char *message)
{
    struct explanation *x = j->x;

    x->allowed = false;
    x->status = status;
    (void)snprintf(x->rule, sizeof(x->rule), "%s", rule);
    (void)snprintf(x->message, sizeof(x->message), "%s%s", prefix, message);
    return 1;
}

static int refuse(struct job *j, int r, const struct refusal *refusal)
{
    if (refusal->status == 0)
        return r;
    return deny(j, refusal->status, refusal->rule, "clawsup: ", refusal->reason);
}

/* ---------------------------------------------------------------- the head */

/* The request as a client would send it. */
static int write_head(struct buf *out, const char *request, const char *body, size_t body_len)
{
    int r = buf_addf(out, "%s HTTP/1.1\r\nHost: docker\r\n", request);

    if (r >= 0 && body)
        r = buf_addf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_len);
    return r < 0 ? r : buf_adds(out, "\r\n");
}

static int check_request(const char *request, struct err *e)
{
    const char *space = strchr(request, ' ');

    if (!space || space == request || space[1] != '/' || strchr(space + 1, ' ') || strpbrk(request, "\r\n"))
        return err_set(
            e, -EINVAL, "not a request: '%.200s'; it has the form 'POST /containers/create?name=x'", request);
    return 0;
}

/* 0: the route matched, 1: refused, -errno. */
static int decide_route(struct job *j, const char *request)
{
    _cleanup_http1_request_ struct http1_request req = {0};
    _cleanup_buf_ struct buf head = {0};
    struct http1_error he = {0};
    struct route_deny rd = {0};
    ssize_t n;
    int r = write_head(&head, request, j->body, j->body_len);

    if (r < 0)
        return r;
    n = http1_parse_request(&req, head.data, head.len, &he);
    if (n == -ENOMEM)
        return -ENOMEM;
    if (n < 0)
        return deny(
            j, he.status ? he.status : 400, "http", "clawsup: ", he.text ? he.text : "no whole request");
    r = route_decide(&req, j->policy, j->minor, &j->match, &rd);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return deny(j, rd.status, rd.rule, "", rd.message);
    j->x->route = route_name(j->match.id);
    (void)snprintf(j->x->method, sizeof(j->x->method), "%s", http1_method_name(j->match.method));
    return 0;
}

/* ---------------------------------------------------------------- bodies */

static int check_name(struct job *j)
{
    _cleanup_names_ struct names *names = NULL;
    const char *name = route_arg(&j->match, "name");
    struct err e = {.msg = ""};
    int r = names_new(j->policy, &names, &e);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return deny(j, 500, "names", "clawsup: ", e.msg);
    r = names_to_engine(names, name ? name : "", j->engine_name, &e);
    if (r < 0)
        return deny(j, r == -EINVAL ? 400 : 403, "name", "clawsup: ", e.msg);
    return 0;
}

static int explain_create(struct job *j)
{
    _cleanup_create_model_ struct create_model *m = NULL;
    struct refusal refusal = {0};
    int r = check_name(j);

    if (r != 0)
        return r;
    r = create_parse(j->policy, route_arg(&j->match, "name"), j->json, &m, &refusal);
    if (r < 0)
        return refuse(j, r, &refusal);
    r = create_set_image(m, "sha256:" ID_EXAMPLE);
    for (size_t i = 0; r >= 0 && i < m->n_binds; i++)
        r = create_set_staged(m, i, m->binds[i].source);
    if (r >= 0)
        r = create_render(m, j->minor, &j->x->body);
    if (r < 0)
        return r;
    note(j, "the image must be on the host; its id stands in place of the zeros");
    if (m->n_binds > 0)
        note(j,
            "each bind source must exist without a symbolic link in it; the engine is given a staging path");
    note(j, "the network and the slice of the tenant are added by the running clawsupd");
    note(j, "max_containers of the tenant is counted when it runs");
    return 0;
}

static int explain_exec_create(struct job *j)
{
    _cleanup_exec_model_ struct exec_model *m = NULL;
    struct refusal refusal = {0};
    int r;

    if (!j->policy->allow_exec && !j->in_gateway)
        return deny(
            j, 403, "allow-exec", "clawsup: ", "exec is not allowed for this tenant (allow.exec is off)");
    r = exec_parse(j->policy, j->json, &m, &refusal);
    if (r < 0)
        return refuse(j, r, &refusal);
    if (!j->in_gateway && policy_opt_in(j->policy, j->policy->allow_gateway_exec) == POLICY_REFUSED)
        note(j, "in the gateway's own container it would be refused (allow.gateway_exec is off)");
    return exec_render(m, j->minor, &j->x->body);
}

static int explain_exec_start(struct job *j)
{
    struct exec_start s = {0};
    struct refusal refusal = {0};
    int r = exec_parse_start(j->json, &s, &refusal);

    if (r < 0)
        return refuse(j, r, &refusal);
    note(j, "an exec is started once, and only one that was created through this proxy");
    return exec_render_start(&s, j->minor, &j->x->body);
}

static int explain_update(struct job *j)
{
    struct update_model u = {0};
    struct refusal refusal = {0};
    int r = update_parse(j->policy, j->json, &u, &refusal);

    return r < 0 ? refuse(j, r, &refusal) : update_render(&u, &j->x->body);
}

/* The tenant's own gateway by name: the proxy lets it be inspected, and with allow.gateway_exec also entered.
 */
static int decide_gateway(struct job *j)
{
    const char *ref = j->match.ref;

    if (j->match.ref_kind != ROUTE_REF_CONTAINER || !j->policy->gateway_name ||
        !str_eq(ref, j->policy->gateway_name))
        return 0;
    if (j->match.id == ROUTE_EXEC_CREATE) {
        enum policy_opt_in granted = policy_opt_in(j->policy, j->policy->allow_gateway_exec);

        if (granted == POLICY_REFUSED)
            return deny(j, 403, "gateway-exec", "clawsup: ",
                "exec in the gateway's own container is switched off for this tenant (allow.gateway_exec)");
        if (granted == POLICY_REPORTED)
            route_report(&j->match, "gateway-exec", "gateway_exec");
        j->in_gateway = true;
    }
    if (j->match.id != ROUTE_EXEC_CREATE && j->match.id != ROUTE_CONTAINER_INSPECT)
        return deny(j, 403, "gateway",
            "clawsup: ", "this is the gateway's own container: it can be inspected, no more");
    return 0;
}

static int decide_body(struct job *j)
{
    struct err e = {.msg = ""};
    int r;

    if (j->match.body == ROUTE_BODY_JSON && j->body_len > 0) {
        r = json_load_strict(j->body, j->body_len, ROUTE_JSON_LIMIT, &j->json, &e);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            return deny(j, r == -EFBIG ? 413 : 400, "json", "clawsup: ", e.msg);
    }
    switch ((int)j->match.id) {
    case ROUTE_CONTAINER_CREATE:
        return explain_create(j);
    case ROUTE_CONTAINER_RENAME:
        return check_name(j);
    case ROUTE_CONTAINER_UPDATE:
        return explain_update(j);
    case ROUTE_EXEC_CREATE:
        return explain_exec_create(j);
    case ROUTE_EXEC_START:
        return explain_exec_start(j);
    default:
        return 0;
    }
}

/* ---------------------------------------------------------------- what the engine is asked */

static const char *reference(struct job *j)
{
    switch (j->match.ref_kind) {
    case ROUTE_REF_CONTAINER:
        note(j, "it must be one of the tenant's own containers, else the answer is 404; zeros stand for its "
                "full id");
        return ID_EXAMPLE;
    case ROUTE_REF_EXEC:
        note(j, "the exec must have been created through this proxy, else the answer is 404");
        return j->match.ref;
    case ROUTE_REF_IMAGE:
        return j->match.ref;
    case ROUTE_REF_NETWORK:
        note(j, "it must be the tenant's own network, else the answer is 404; zeros stand for its full id");
        return ID_EXAMPLE;
    case ROUTE_REF_NONE:
    case ROUTE_REF_VOLUME:
    case ROUTE_REF_PLUGIN:
    default:
        return NULL;
    }
}

static int write_target(struct job *j)
{
    struct route_upstream u = {
        .minor = j->minor, .tenant = j->policy->tenant, .name = j->engine_name[0] ? j->engine_name : NULL};
    _cleanup_buf_ struct buf target = {0};
    int r;

    if (j->match.class == ROUTE_CLASS_SYNTH) {
        note(j, "answered by the proxy itself: the engine is not asked");
        return 0;
    }
    u.ref = reference(j);
    if (j->match.class == ROUTE_CLASS_LIST)
        note(j, "every row of the answer is checked and rebuilt: the tenant sees its own only");
    r = route_upstream_path(&target, &j->match, &u);
    if (r == -ENOMEM)
        return r;
    if (r >= 0)
        j->x->target = buf_take(&target);
    return r < 0 || j->x->target ? 0 : -ENOMEM;
}

static void tell_report(struct job *j)
{
    if (!j->match.report_rule)
        return;
    j->x->reported = true;
    (void)snprintf(j->x->rule, sizeof(j->x->rule), "%s", j->match.report_rule);
    route_switch_message(j->x->message, sizeof(j->x->message), j->match.report_switch);
}

static void job_done(struct job *j)
{
    route_match_done(&j->match);
    json_decref(j->json);
}

bool explain_takes_body(const struct policy *p, const char *request, unsigned minor)
{
    struct explanation x = {0};
    struct job j = {.policy = p, .minor = minor, .body = "{}", .body_len = 2, .x = &x};
    bool takes = check_request(request, NULL) >= 0 && decide_route(&j, request) == 0 &&
                 j.match.body == ROUTE_BODY_JSON;

    job_done(&j);
    return takes;
}

int explain_request(const struct policy *p, const char *request, const char *body, size_t body_len,
    unsigned minor, struct explanation *ret, struct err *e)
{
    struct explanation x = {.allowed = true, .route = ""};
    struct job j = {.policy = p, .minor = minor, .body = body, .body_len = body_len, .x = &x};
    int r = check_request(request, e);

    if (r < 0)
        return r;
    r = decide_route(&j, request);
    if (r == 0)
        r = decide_gateway(&j);
    if (r == 0)
        r = decide_body(&j);
    if (r == 0)
        r = write_target(&j);
    if (r == 0)
        tell_report(&j);
    job_done(&j);
    if (r < 0) {
        explanation_done(&x);
        return err_set(e, r, "%s", strerrordesc_np(-r));
    }
    *ret = x;
    return 0;
}
