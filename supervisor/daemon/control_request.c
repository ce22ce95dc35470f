/* control_request.c: the life of one request: its fields, its answer, its stream, its end. Must not free a
 * client: it may be called from anywhere, the loop of control.c cleans up. */
#include "daemon/control_client.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"

static const char *const code_names[_CONTROL_CODE_MAX] = {
    [CONTROL_USAGE] = "usage",
    [CONTROL_UNKNOWN_TENANT] = "unknown-tenant",
    [CONTROL_REFUSED] = "refused",
    [CONTROL_BUSY] = "busy",
    [CONTROL_INTERNAL] = "internal",
};

struct control_request *control_request_new(struct control_client *cl, json_t *json)
{
    struct control_request *req = calloc(1, sizeof(*req));

    if (!req) {
        json_decref(json);
        return NULL;
    }
    req->client = cl;
    req->peer = cl->peer;
    req->json = json;
    req->verb = json_string_value(json_object_get(json, "verb"));
    return req;
}

static void request_free(struct control_request *req)
{
    struct control_client *cl = req->client;

    if (cl) {
        cl->req = NULL;
        control_client_kick(cl);
    }
    json_decref(req->json);
    free(req);
}

void control_request_orphan(struct control_request *req)
{
    req->client = NULL;
    if (req->gone)
        req->gone(req, req->gone_userdata);
}

/* ---------------------------------------------------------------- fields */

static const json_t *field(const struct control_request *req, const char *key)
{
    const json_t *v = json_object_get(req->json, key);

    return json_is_null(v) ? NULL : v;
}

int control_request_string(const struct control_request *req, const char *key, const char **ret)
{
    const json_t *v = field(req, key);

    if (!v)
        return 0;
    if (!json_is_string(v))
        return -EINVAL;
    *ret = json_string_value(v);
    return 1;
}

int control_request_u64(const struct control_request *req, const char *key, uint64_t max, uint64_t *ret)
{
    const json_t *v = field(req, key);

    if (!v)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
        return -EINVAL;
    *ret = (uint64_t)json_integer_value(v);
    return 1;
}

int control_request_bool(const struct control_request *req, const char *key, bool *ret)
{
    const json_t *v = field(req, key);

    if (!v)
        return 0;
    if (!json_is_boolean(v))
        return -EINVAL;
    *ret = json_is_true(v);
    return 1;
}

const struct ucred *control_request_peer(const struct control_request *req)
{
    return &req->peer;
}

bool control_request_alive(const struct control_request *req)
{
    return req->client && !req->client->doomed;
}

void control_request_on_gone(struct control_request *req, control_gone_fn fn, void *userdata)
{
    req->gone = fn;
    req->gone_userdata = userdata;
}

/* ---------------------------------------------------------------- answers */

/* Adds `fields` (taken) behind what `line` (taken) already says; NULL when out of memory. */
static json_t *line_with(json_t *line, json_t *fields)
{
    if (line && fields && json_object_update_missing(line, fields) < 0) {
        json_decref(line);
        line = NULL;
    }
    json_decref(fields);
    return line;
}

/* Outside text may hold bytes that are no UTF-8; an answer with '?' in their place beats none. */
static json_t *text_json(const char *s)
{
    json_t *j = json_string(s);
    _cleanup_free_ char *copy = NULL;

    if (j)
        return j;
    copy = strdup(s);
    if (!copy)
        return NULL;
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(copy);
}

json_t *control_error_object(enum control_code code, const char *error, const char *hint, json_t *fields)
{
    json_t *line = json_pack(
        "{s:i, s:b, s:s, s:o}", "v", 1, "ok", 0, "code", code_names[code], "error", text_json(error));

    if (line && hint && json_object_set_new(line, "hint", text_json(hint)) < 0) {
        json_decref(line);
        line = NULL;
    }
    return line_with(line, fields);
}

/* Sends (takes `line`) if somebody still listens. */
static int request_send(struct control_request *req, json_t *line)
{
    if (!control_request_alive(req)) {
        json_decref(line);
        return -EPIPE;
    }
    return control_client_send(req->client, line);
}

int control_reply(struct control_request *req, json_t *fields)
{
    int r = control_stream_begin(req, fields);

    request_free(req);
    return r;
}

int control_error_with(
    struct control_request *req, enum control_code code, const char *error, const char *hint, json_t *fields)
{
    int r = request_send(req, control_error_object(code, error, hint, fields));

    request_free(req);
    return r;
}

int control_error(struct control_request *req, enum control_code code, const char *error, const char *hint)
{
    return control_error_with(req, code, error, hint, NULL);
}

int control_stream_begin(struct control_request *req, json_t *fields)
{
    req->answered = true;
    return request_send(req, line_with(json_pack("{s:i, s:b}", "v", 1, "ok", 1), fields));
}

int control_stream(struct control_request *req, json_t *fields)
{
    int r = request_send(req, line_with(json_pack("{s:i}", "v", 1), fields));

    if (r >= 0 && req->client->out.len > CONTROL_BACKLOG_MAX) {
        req->client->doomed = true;
        control_client_kick(req->client);
        r = -EPIPE;
    }
    return r;
}

void control_end(struct control_request *req)
{
    if (!req->answered && control_request_alive(req))
        (void)request_send(req,
            control_error_object(CONTROL_INTERNAL, "clawsupd gave no answer", "its log says more", NULL));
    request_free(req);
}
