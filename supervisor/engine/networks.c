/* networks.c: see networks.h. Builds paths and deadlines; must not interpret answers. */
#include "engine/networks.h"

#include <errno.h>

#include "base/buf.h"
#include "engine/query.h"

#define READ_TIMEOUT_US (15 * USEC_PER_SEC)
/* Making a bridge runs iptables, which may wait for its lock. */
#define WRITE_TIMEOUT_US (60 * USEC_PER_SEC)

static int request(struct engine *e, const char *method, const char *id, uint64_t timeout_us, engine_fn fn,
    void *userdata, struct engine_call **ret)
{
    _cleanup_free_ char *escaped = engine_escape(id);
    _cleanup_buf_ struct buf path = {};
    int r;

    if (!*id)
        return -EINVAL;
    if (!escaped)
        return -ENOMEM;
    r = buf_addf(&path, "/networks/%s", escaped);
    if (r < 0)
        return r;
    return engine_request(e, method, path.data, NULL, timeout_us, fn, userdata, ret);
}

int networks_list(struct engine *e, const char *label, engine_fn fn, void *userdata, struct engine_call **ret)
{
    _cleanup_buf_ struct buf path = {};
    int r;

    r = buf_adds(&path, "/networks");
    if (r >= 0 && label)
        r = query_add_label(&path, '?', label);
    if (r < 0)
        return r;
    return engine_request(e, "GET", path.data, NULL, READ_TIMEOUT_US, fn, userdata, ret);
}

int networks_inspect(struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret)
{
    return request(e, "GET", id, READ_TIMEOUT_US, fn, userdata, ret);
}

int networks_create(
    struct engine *e, const json_t *body, engine_fn fn, void *userdata, struct engine_call **ret)
{
    return engine_request(e, "POST", "/networks/create", body, WRITE_TIMEOUT_US, fn, userdata, ret);
}

int networks_remove(struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret)
{
    return request(e, "DELETE", id, WRITE_TIMEOUT_US, fn, userdata, ret);
}
