/* respond.c: see respond.h: error bodies, names, and the helpers of the other respond_*.c files. */
#include "filter/respond.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "filter/respond_internal.h"

#define MESSAGE_MAX 1024

/* The engine's encoder ends each document with a newline; ours does too, or an answer of ours could be told
 * from one of the engine's. */
char *respond_message(const char *message)
{
    _cleanup_json_ json_t *o = json_pack("{s:s}", "message", message);
    _cleanup_free_ char *text = o ? json_to_string(o) : NULL;
    _cleanup_buf_ struct buf b = {0};

    if (!text || buf_adds(&b, text) < 0 || buf_adds(&b, "\n") < 0)
        return NULL;
    return buf_take(&b);
}

char *respond_refusal(const struct refusal *r)
{
    _cleanup_buf_ struct buf b = {0};

    if (r->status == 404)
        return respond_message(r->reason);
    if (buf_addf(&b, "clawsup: %s", r->reason) < 0)
        return NULL;
    return respond_message(b.data);
}

/* Where the engine and clawsupd keep what is nobody else's business. */
static bool is_private_path(const char *s, size_t len)
{
    static const char *const marks[] = {"/.supervisor/", "/overlay2/", "/containerd/", "/docker/"};

    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        if (memmem(s, len, marks[i], strlen(marks[i])))
            return true;
    return false;
}

int respond_add_redacted(struct buf *b, const char *s, size_t len)
{
    static const char ends[] = " \t\r\n\"'`\\:,;=()[]{}<>";

    while (len > 0) {
        size_t n = 0;
        int r;

        while (n < len && s[n] && !strchr(ends, s[n]))
            n++;
        if (n == 0)
            n = 1;
        r = *s == '/' && is_private_path(s, n) ? buf_adds(b, "(a path of the host)") : buf_add(b, s, n);
        if (r < 0)
            return r;
        s += n;
        len -= n;
    }
    return 0;
}

/* The engine's names as the client knows them. */
static int add_mapped(struct buf *b, const struct policy *p, const char *s)
{
    const char *prefix = p->names == POLICY_NAMES_NAMESPACED && p->name_prefix ? p->name_prefix : "";

    while (*s) {
        /* Whole UTF-8 sequences, so that a cut leaves valid text. */
        size_t n = 1;

        if (*prefix && str_startswith(s, prefix)) {
            s += strlen(prefix);
            continue;
        }
        while (((unsigned char)s[n] & 0xc0) == 0x80)
            n++;
        if (b->len + n > MESSAGE_MAX)
            break;
        if (buf_add(b, s, n) < 0)
            return -ENOMEM;
        s += n;
    }
    return 0;
}

char *respond_engine_text(const struct respond_view *v, const char *text)
{
    _cleanup_buf_ struct buf b = {.limit = MESSAGE_MAX}, redacted = {0};

    if (respond_add_redacted(&redacted, text, strlen(text)) < 0 ||
        add_mapped(&b, v->policy, redacted.data ? redacted.data : "") < 0)
        return NULL;
    return b.data ? buf_take(&b) : strdup("");
}

char *respond_engine_error(const struct respond_view *v, const json_t *body)
{
    const char *s = json_string_value(json_object_get(body, "message"));
    _cleanup_free_ char *text = s ? respond_engine_text(v, s) : NULL;

    if (!s)
        return respond_message("the engine gave no reason");
    return text ? respond_message(text) : NULL;
}

const char *respond_client_name(const struct policy *p, const char *engine_name)
{
    if (*engine_name == '/')
        engine_name++;
    if (p->names == POLICY_NAMES_NAMESPACED && p->name_prefix && str_startswith(engine_name, p->name_prefix))
        engine_name += strlen(p->name_prefix);
    return engine_name;
}

json_t *respond_pick(const json_t *src, const char *const *keys, size_t n)
{
    _cleanup_json_ json_t *o = json_object();

    for (size_t i = 0; o && i < n; i++) {
        const json_t *v = json_object_get(src, keys[i]);

        if (v && json_object_set_new(o, keys[i], json_deep_copy(v)) < 0)
            return NULL;
    }
    return TAKE_PTR(o);
}

int respond_put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

const char *respond_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

json_t *respond_labels(const json_t *labels)
{
    json_t *o = json_is_object(labels) ? json_deep_copy(labels) : json_object();

    if (o)
        (void)json_object_del(o, LABEL_BINDS);
    return o;
}

const char *respond_image_name(const json_t *labels, const char *image)
{
    const char *name = respond_text(labels, LABEL_IMAGE);

    return name ? name : image;
}

json_t *respond_allowed_tags(const struct policy *p, const json_t *tags)
{
    _cleanup_json_ json_t *out = json_array();

    for (size_t i = 0; out && i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));

        if (tag && policy_allows_image(p, tag) && json_array_append_new(out, json_string(tag)) < 0)
            return NULL;
    }
    return TAKE_PTR(out);
}
