/* fuzz_route.c: request heads through the route table. What is allowed must come out as a target of the one
 * fixed shape: our version, our id, parameters that decode to the checked arguments; and deciding on that
 * target again must give the same route. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "filter/route.h"
#include "fuzz.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NAME "openclaw-sbx-a-x"

static const struct policy *make_policy(void)
{
    static char image[] = "openclaw-sandbox:bookworm-slim", bare[] = "busybox";
    static char *images[] = {image, bare};
    static const struct policy p = {.tenant = "a",
        .allow_start = true,
        .allow_stop = true,
        .allow_restart = true,
        .allow_exec = true,
        .allow_update = true,
        .allow_rename = true,
        .allow_archive_put = true,
        .allow_export = true,
        .allow_image_pull = true,
        .allow_network_read = true,
        .images = {images, 2}};

    return &p;
}

/* The parameters that the engine will read are the arguments that were checked, and ours. */
static void check_params(const struct http1_request *again, const struct route_match *m)
{
    size_t forwarded = 0, ours = 0;

    for (size_t i = 0; i < m->n_args; i++) {
        const char *got = http1_request_param(again, m->args[i].key);

        if (m->args[i].forward) {
            FUZZ_CHECK(got && strcmp(got, m->args[i].value) == 0);
            forwarded++;
        }
    }
    for (size_t i = 0; i < again->n_params; i++) {
        const char *key = again->params[i].key;

        if (strcmp(key, "name") == 0)
            FUZZ_CHECK(strcmp(again->params[i].value, NAME) == 0);
        ours += strcmp(key, "name") == 0 || strcmp(key, "filters") == 0 || strcmp(key, "all") == 0;
    }
    FUZZ_CHECK(again->n_params == forwarded + ours);
}

static void check_upstream(const struct route_match *m)
{
    static const struct policy no_switches = {.tenant = "a"};
    struct route_upstream u = {.minor = 41, .ref = ID, .name = NAME, .tenant = "a"};
    _cleanup_http1_request_ struct http1_request again = {0};
    _cleanup_route_match_ struct route_match second = {0};
    struct http1_out_request out = {.method = m->method};
    _cleanup_buf_ struct buf target = {0}, head = {0};
    struct route_deny deny = {0};
    struct http1_error e = {0};
    int r = route_upstream_path(&target, m, &u);

    if (m->class == ROUTE_CLASS_SYNTH) {
        FUZZ_CHECK(r == -EINVAL);
        return;
    }
    FUZZ_CHECK(r == 0);
    out.target = target.data;
    out.framing = m->body == ROUTE_BODY_NONE ? HTTP1_BODY_NONE : HTTP1_BODY_CHUNKED;
    FUZZ_CHECK(http1_write_request(&head, &out) == 0);
    r = (int)http1_parse_request(&again, head.data, head.len, &e);
    if (r == -EBADMSG &&
        (e.status == 414 || e.status == 431)) /* encoding made it longer; the engine may refuse */
        return;
    FUZZ_CHECK((size_t)r == head.len);
    if (m->id == ROUTE_PING)
        return;
    FUZZ_CHECK(again.n_segments >= 2 && strcmp(again.segments[0], "v1.41") == 0);
    if (m->ref)
        FUZZ_CHECK(again.n_segments >= 3 && strcmp(again.segments[2], ID) == 0);
    check_params(&again, m);
    FUZZ_CHECK(route_decide(&again, make_policy(), 41, &second, &deny) == 0);
    FUZZ_CHECK(second.id == m->id && second.body == m->body && second.hijack == m->hijack);
    route_match_done(&second);
    /* Nothing acts without its switch. */
    if (m->id == ROUTE_CONTAINER_START || m->id == ROUTE_EXEC_START || m->id == ROUTE_CONTAINER_UPDATE)
        FUZZ_CHECK(route_decide(&again, &no_switches, 41, &second, &deny) == -EACCES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_http1_request_ struct http1_request q = {0};
    _cleanup_route_match_ struct route_match m = {0};
    struct route_deny deny = {0};
    struct http1_error e = {0};
    int r;

    if (http1_parse_request(&q, (const char *)data, size, &e) <= 0)
        return 0;
    r = route_decide(&q, make_policy(), 41, &m, &deny);
    if (r == 0) {
        FUZZ_CHECK(
            (unsigned)m.id < _ROUTE_MAX && m.minor <= 41 && (m.minor == 0 || m.minor >= ROUTE_MINOR_MIN));
        FUZZ_CHECK((m.ref != NULL) == (m.ref_kind != ROUTE_REF_NONE));
        check_upstream(&m);
        return 0;
    }
    FUZZ_CHECK(deny.rule && deny.message[0]);
    FUZZ_CHECK(deny.status == (r == -EACCES ? 403 : r == -ENOENT ? 404 : r == -ENOTSUP ? 405 : 400));
    FUZZ_CHECK(!m.ref && m.n_args == 0);
    return 0;
}
