/* yaml.c: see yaml.h. Must not know Compose. */
#include "ctl/yaml.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "base/json.h"
#include "base/str.h"

#define PATH_SIZE 512

struct anchor {
    char *name;
    json_t *value; /* owned; NULL while its node is still being read */
    size_t nodes;
};

struct loader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    struct anchor *anchors;
    size_t n_anchors;
    size_t nodes;
    unsigned depth;
    json_t *lines;
    char path[PATH_SIZE];
    struct err *e;
};

static int fail_at(struct loader *l, size_t line, const char *text)
{
    return err_set(l->e, -EINVAL, "line %zu: %s", line + 1, text);
}

/* The next event into l->event, the last one is gone. */
static int next(struct loader *l)
{
    if (l->have_event)
        yaml_event_delete(&l->event);
    l->have_event = false;
    if (!yaml_parser_parse(&l->parser, &l->event))
        return l->parser.error == YAML_MEMORY_ERROR ? -ENOMEM
                                                    : fail_at(l, l->parser.problem_mark.line,
                                                          l->parser.problem ? l->parser.problem : "no YAML");
    l->have_event = true;
    return 0;
}

static size_t here(const struct loader *l)
{
    return l->event.start_mark.line;
}

/* ---------------------------------------------------------------- paths */

static size_t push(struct loader *l, const char *key)
{
    size_t mark = strlen(l->path);

    (void)snprintf(l->path + mark, sizeof(l->path) - mark, "%s%s", mark > 0 && key[0] != '[' ? "." : "", key);
    return mark;
}

static void pop(struct loader *l, size_t mark)
{
    l->path[mark] = '\0';
}

static int record_line(struct loader *l)
{
    return json_object_set_new(l->lines, l->path, json_integer((json_int_t)here(l) + 1)) < 0 ? -ENOMEM : 0;
}

/* ---------------------------------------------------------------- anchors */

static struct anchor *find_anchor(struct loader *l, const char *name)
{
    for (size_t i = l->n_anchors; i-- > 0;)
        if (strcmp(l->anchors[i].name, name) == 0)
            return &l->anchors[i];
    return NULL;
}

/* Index of a new anchor, or -ENOMEM. Later ones of the same name win, as YAML has it. */
static int add_anchor(struct loader *l, const char *name)
{
    struct anchor *p = reallocarray(l->anchors, l->n_anchors + 1, sizeof(*p));
    char *copy;

    if (!p)
        return -ENOMEM;
    l->anchors = p;
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    l->anchors[l->n_anchors] = (struct anchor){.name = copy};
    return (int)l->n_anchors++;
}

static int read_alias(struct loader *l, json_t **ret)
{
    struct anchor *a = find_anchor(l, (const char *)l->event.data.alias.anchor);

    if (!a)
        return fail_at(l, here(l), "an alias to an anchor that is not there");
    if (!a->value)
        return fail_at(l, here(l), "an alias inside its own anchor");
    if (l->nodes + a->nodes > YAML_NODES_MAX)
        return fail_at(l, here(l), "too much, with its aliases written out");
    l->nodes += a->nodes;
    *ret = json_incref(a->value);
    return 0;
}

/* ---------------------------------------------------------------- nodes */

static int read_node(struct loader *l, json_t **ret);

static bool is_null(const yaml_event_t *ev)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp((const char *)ev->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static int read_scalar(struct loader *l, json_t **ret)
{
    const char *text = (const char *)l->event.data.scalar.value;

    if (strlen(text) != l->event.data.scalar.length)
        return fail_at(l, here(l), "a NUL byte");
    *ret = is_null(&l->event) ? json_null() : json_string(text);
    return *ret ? 0 : fail_at(l, here(l), "text that is not UTF-8");
}

static int read_sequence(struct loader *l, json_t **ret)
{
    _cleanup_json_ json_t *a = json_array();

    if (!a)
        return -ENOMEM;
    for (size_t i = 0;; i++) {
        json_t *item = NULL;
        char index[32];
        size_t mark;
        int r = next(l);

        if (r < 0)
            return r;
        if (l->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        (void)snprintf(index, sizeof(index), "[%zu]", i);
        mark = push(l, index);
        r = read_node(l, &item);
        pop(l, mark);
        if (r < 0)
            return r;
        if (json_array_append_new(a, item) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(a);
    return 0;
}

/* Members of `from` that are not there yet. */
static int merge_one(struct loader *l, json_t *into, json_t *from, size_t line)
{
    const char *key;
    json_t *value;

    if (!json_is_object(from))
        return fail_at(l, line, "<< merges a mapping, or a list of them");
    json_object_foreach(from, key, value)
    {
        if (!json_object_get(into, key) && json_object_set(into, key, value) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int merge(struct loader *l, json_t *into, json_t *from, size_t line)
{
    int r = 0;

    if (!json_is_array(from))
        return merge_one(l, into, from, line);
    for (size_t i = 0; r >= 0 && i < json_array_size(from); i++)
        r = merge_one(l, into, json_array_get(from, i), line);
    return r;
}

/* One key and its value; `merges` collects what << brings, for the end. */
static int read_member(struct loader *l, json_t *o, json_t *merges)
{
    _cleanup_free_ char *key = NULL;
    json_t *value = NULL;
    bool is_merge;
    size_t mark, line = here(l);
    int r;

    if (l->event.type != YAML_SCALAR_EVENT)
        return fail_at(l, line, "a key that is no plain text");
    key = strdup((const char *)l->event.data.scalar.value);
    if (!key)
        return -ENOMEM;
    is_merge = strcmp(key, "<<") == 0 && l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (!is_merge && json_object_get(o, key))
        return fail_at(l, line, "a key that is there already");
    mark = push(l, key);
    r = is_merge ? 0 : record_line(l);
    if (r >= 0)
        r = next(l);
    if (r >= 0)
        r = read_node(l, &value);
    pop(l, mark);
    if (r < 0)
        return r;
    if (is_merge)
        return json_array_append_new(merges, value) < 0 ? -ENOMEM : 0;
    return json_object_set_new(o, key, value) < 0 ? fail_at(l, line, "a key that is not UTF-8") : 0;
}

static int read_mapping(struct loader *l, json_t **ret)
{
    _cleanup_json_ json_t *o = json_object(), *merges = json_array();
    size_t line = here(l);

    if (!o || !merges)
        return -ENOMEM;
    for (;;) {
        int r = next(l);

        if (r < 0)
            return r;
        if (l->event.type == YAML_MAPPING_END_EVENT)
            break;
        r = read_member(l, o, merges);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < json_array_size(merges); i++) {
        int r = merge(l, o, json_array_get(merges, i), line);

        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(o);
    return 0;
}

static const char *anchor_name(const yaml_event_t *ev)
{
    const yaml_char_t *name = NULL;

    if (ev->type == YAML_SCALAR_EVENT)
        name = ev->data.scalar.anchor;
    else if (ev->type == YAML_SEQUENCE_START_EVENT)
        name = ev->data.sequence_start.anchor;
    else if (ev->type == YAML_MAPPING_START_EVENT)
        name = ev->data.mapping_start.anchor;
    return (const char *)name;
}

static int read_value(struct loader *l, json_t **ret)
{
    if (l->event.type == YAML_SCALAR_EVENT)
        return read_scalar(l, ret);
    if (l->event.type == YAML_SEQUENCE_START_EVENT)
        return read_sequence(l, ret);
    if (l->event.type == YAML_MAPPING_START_EVENT)
        return read_mapping(l, ret);
    return fail_at(l, here(l), "a value is missing");
}

/* The node that l->event begins. */
static int read_node(struct loader *l, json_t **ret)
{
    size_t before = l->nodes;
    int anchor = -1, r;

    if (++l->nodes > YAML_NODES_MAX)
        return fail_at(l, here(l), "too large");
    if (l->depth >= YAML_DEPTH_MAX)
        return fail_at(l, here(l), "nested too deeply");
    r = record_line(l);
    if (r < 0)
        return r;
    if (l->event.type == YAML_ALIAS_EVENT)
        return read_alias(l, ret);
    if (anchor_name(&l->event)) {
        anchor = add_anchor(l, anchor_name(&l->event));
        if (anchor < 0)
            return anchor;
    }
    l->depth++;
    r = read_value(l, ret);
    l->depth--;
    if (r >= 0 && anchor >= 0) {
        l->anchors[anchor].value = json_incref(*ret);
        l->anchors[anchor].nodes = l->nodes - before;
    }
    return r;
}

static int read_document(struct loader *l, json_t **ret)
{
    _cleanup_json_ json_t *j = NULL;
    int r = next(l); /* the stream begins */

    if (r >= 0)
        r = next(l);
    if (r >= 0 && l->event.type != YAML_DOCUMENT_START_EVENT)
        return err_set(l->e, -EINVAL, "it is empty");
    if (r >= 0)
        r = next(l);
    if (r >= 0)
        r = read_node(l, &j);
    if (r >= 0)
        r = next(l); /* the document ends */
    if (r >= 0)
        r = next(l);
    if (r >= 0 && l->event.type != YAML_STREAM_END_EVENT)
        return fail_at(l, here(l), "a second document; one is read");
    if (r < 0)
        return r;
    *ret = TAKE_PTR(j);
    return 0;
}

int yaml_load(const char *text, size_t len, json_t **ret, json_t **ret_lines, struct err *e)
{
    struct loader l = {.e = e, .lines = json_object()};
    int r;

    if (!l.lines || !yaml_parser_initialize(&l.parser)) {
        json_decref(l.lines);
        return err_set(e, -ENOMEM, "out of memory");
    }
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
    r = read_document(&l, ret);
    if (l.have_event)
        yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    for (size_t i = 0; i < l.n_anchors; i++) {
        free(l.anchors[i].name);
        json_decref(l.anchors[i].value);
    }
    free(l.anchors);
    if (r < 0) {
        json_decref(l.lines);
        return r == -ENOMEM ? err_set(e, r, "out of memory") : r;
    }
    *ret_lines = l.lines;
    return 0;
}
