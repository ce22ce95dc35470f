/* fuzz_jdoc.c: jdoc against jansson: the same texts are accepted (but for numbers out of range, which jdoc
 * leaves as they are written, and for objects with very many members), and the same values are found in them.
 */
#include <string.h>

#include "base/jdoc.h"
#include "base/jout.h"
#include "base/json.h"
#include "fuzz.h"

#define LIMIT ((size_t)64 * 1024)

/* Writes the value from its parts. */
static void write_value(struct jout *o, const struct jdoc *d, uint32_t v)
{
    bool object = jdoc_is(d, v, JDOC_OBJECT);

    if (!object && !jdoc_is(d, v, JDOC_ARRAY)) {
        jout_value(o, d, v);
        return;
    }
    jout_open(o, object ? '{' : '[');
    for (uint32_t i = jdoc_first(d, v); i != JDOC_NONE; i = jdoc_next(d, v, i)) {
        if (object)
            jout_key_of(o, d, i);
        write_value(o, d, object ? i + 1 : i);
    }
    jout_close(o, object ? '}' : ']');
}

/* Every member is found by its plain key, from wherever the search begins. */
static void check_members(const struct jdoc *d, uint32_t object, json_t *j)
{
    uint32_t at = JDOC_NONE;
    const char *key;
    json_t *value;

    FUZZ_CHECK(jdoc_size(d, object) == json_object_size(j));
    json_object_foreach(j, key, value)
    {
        uint32_t found = jdoc_get_next(d, object, key, &at);
        size_t len;

        FUZZ_CHECK(found == jdoc_get(d, object, key));
        if (found == JDOC_NONE) { /* the text needs an escape for it, or has one without need */
            FUZZ_CHECK(memchr(d->text, '\\', strlen(d->text)));
            continue;
        }
        if (!json_is_string(value))
            continue;
        FUZZ_CHECK(jdoc_string(d, found, &len));
        if (!d->nodes[found].escaped)
            FUZZ_CHECK(jdoc_equals(d, found, json_string_value(value)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *j = NULL, *again = NULL;
    _cleanup_jdoc_ struct jdoc d = {0};
    _cleanup_buf_ struct buf text = {0}, out = {.limit = 4 * LIMIT};
    struct jout o = {.out = &out};
    struct err e = {{0}};
    int r, k;

    if (size > LIMIT || buf_add(&text, data, size) < 0)
        return 0;
    r = json_load_engine(text.data, text.len, LIMIT, &j, &e);
    k = jdoc_parse(&d, text.data, text.len, LIMIT, &e);
    if (r >= 0 && k < 0)
        FUZZ_CHECK(strstr(e.msg, "too many members"));
    if (k < 0) {
        FUZZ_CHECK(d.nodes == NULL);
        return 0;
    }
    write_value(&o, &d, 0);
    FUZZ_CHECK(o.error == 0);
    if (r < 0) {
        (void)json_load_engine(text.data, text.len, LIMIT, &j, &e);
        FUZZ_CHECK(strstr(e.msg, "too big") || strstr(e.msg, "overflow"));
        return 0;
    }
    FUZZ_CHECK(json_load_engine(out.data, out.len, 4 * LIMIT, &again, &e) == 0);
    FUZZ_CHECK(json_equal(j, again));
    if (json_is_object(j))
        check_members(&d, 0, j);
    return 0;
}
