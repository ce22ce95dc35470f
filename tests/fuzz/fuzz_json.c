/* fuzz_json.c: what json_load_strict() accepts has one meaning: written out again it is accepted again and
 * equal, and no object holds two keys that differ in ASCII case only. */
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "fuzz.h"

static void check_keys(json_t *j, unsigned depth)
{
    const char *key, *other;
    json_t *value, *unused;
    size_t i;

    FUZZ_CHECK(depth <= JSON_DEPTH_MAX + 1);
    json_array_foreach(j, i, value) check_keys(value, depth + 1);
    json_object_foreach(j, key, value)
    {
        unsigned same = 0;

        json_object_foreach(j, other, unused) same += strcasecmp(key, other) == 0;
        FUZZ_CHECK(same == 1);
        check_keys(value, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *j = NULL, *again = NULL;
    _cleanup_free_ char *text = NULL;
    struct err e = {{0}};
    int r = json_load_strict((const char *)data, size, 64 * 1024, &j, &e);

    FUZZ_CHECK((r == 0) == (j != NULL));
    if (r < 0)
        return 0;
    if (size < 4096) /* the check is quadratic */
        check_keys(j, 1);
    text = json_to_string(j);
    FUZZ_CHECK(text);
    FUZZ_CHECK(json_load_strict(text, strlen(text), 1024 * 1024, &again, &e) == 0);
    FUZZ_CHECK(json_equal(j, again));
    (void)json_is_zero(j);
    return 0;
}
