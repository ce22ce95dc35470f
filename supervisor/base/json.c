/* json.c: see json.h. One pass over the bytes bounds size, depth and the byte order mark before jansson
 * allocates anything; a walk over the result finds keys that the engine would take for the same field. Never
 * logs. */
#include "base/json.h"

#include <errno.h>
#include <string.h>

/* Counts brackets outside strings. Anything malformed is left to jansson; only the depth is decided here, so
 * that its recursion stays as shallow as ours. */
static int check_depth(const char *data, size_t len, struct err *e)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = data[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return err_set(e, -EINVAL, "JSON nested deeper than %d levels", JSON_DEPTH_MAX);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return 0;
}

/* Folds in place as Go compares field names: ASCII case, and the two runes outside ASCII whose simple folding
 * lands in ASCII. Other runes cannot equal a field name, and equal spellings of them were refused as exact
 * duplicates. */
static void fold_key(char *key)
{
    char *w = key;

    for (const char *s = key; *s;) {
        if (s[0] == '\xc5' && s[1] == '\xbf') {
            *w++ = 's';
            s += 2;
        } else if (s[0] == '\xe2' && s[1] == '\x84' && s[2] == '\xaa') {
            *w++ = 'k';
            s += 3;
        } else {
            *w++ = *s >= 'A' && *s <= 'Z' ? (char)(*s + ('a' - 'A')) : *s;
            s++;
        }
    }
    *w = '\0';
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_object(json_t *object, struct err *e)
{
    size_t n = json_object_size(object), used = 0;
    char **keys;
    const char *key;
    json_t *value;
    int r = 0;

    if (n < 2)
        return 0;
    keys = calloc(n, sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    json_object_foreach(object, key, value)
    {
        keys[used] = strdup(key);
        if (!keys[used]) {
            r = -ENOMEM;
            break;
        }
        fold_key(keys[used++]);
    }
    if (r == 0) {
        qsort(keys, used, sizeof(*keys), compare_keys);
        for (size_t i = 1; i < used && r == 0; i++)
            if (strcmp(keys[i - 1], keys[i]) == 0)
                r = err_set(e, -EINVAL, "JSON key \"%.64s\" occurs twice in different spellings", keys[i]);
    }
    while (used > 0)
        free(keys[--used]);
    free(keys);
    return r;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static int check_value(json_t *j, struct err *e)
{
    const char *key;
    json_t *value;
    size_t i;
    int r;

    if (json_is_object(j)) {
        r = check_object(j, e);
        if (r < 0)
            return r;
        json_object_foreach(j, key, value)
        {
            r = check_value(value, e);
            if (r < 0)
                return r;
        }
    } else if (json_is_array(j)) {
        json_array_foreach(j, i, value)
        {
            r = check_value(value, e);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* What both loaders refuse. */
static int load(const char *data, size_t len, size_t max, size_t flags, json_t **ret, struct err *e)
{
    json_error_t je;
    json_t *j;
    int r;

    if (len > max)
        return err_set(e, -EFBIG, "JSON larger than %zu bytes", max);
    if (len == 0)
        return err_set(e, -EINVAL, "empty JSON document");
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        return err_set(e, -EINVAL, "JSON begins with a byte order mark");
    if (memchr(data, '\0', len))
        return err_set(e, -EINVAL, "NUL byte in JSON");
    r = check_depth(data, len, e);
    if (r < 0)
        return r;

    j = json_loadb(data, len, JSON_REJECT_DUPLICATES | flags, &je);
    if (!j) {
        if (json_error_code(&je) == json_error_out_of_memory)
            return -ENOMEM;
        return err_set(e, -EINVAL, "JSON line %d column %d: %s", je.line, je.column, je.text);
    }
    *ret = j;
    return 0;
}

int json_load_strict(const char *data, size_t len, size_t max, json_t **ret, struct err *e)
{
    _cleanup_json_ json_t *j = NULL;
    int r;

    r = load(data, len, max, 0, &j, e);
    if (r >= 0)
        r = check_value(j, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(j);
    return 0;
}

int json_load_engine(const char *data, size_t len, size_t max, json_t **ret, struct err *e)
{
    return load(data, len, max, JSON_DECODE_ANY, ret, e);
}

char *json_to_string(const json_t *j)
{
    return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
}

bool json_is_zero(const json_t *j)
{
    if (!j)
        return true;
    switch (json_typeof(j)) {
    case JSON_NULL:
    case JSON_FALSE:
        return true;
    case JSON_TRUE:
        return false;
    case JSON_INTEGER:
        return json_integer_value(j) == 0;
    case JSON_REAL:
        return !(json_real_value(j) < 0 || json_real_value(j) > 0);
    case JSON_STRING:
        return json_string_length(j) == 0;
    case JSON_ARRAY:
        return json_array_size(j) == 0;
    case JSON_OBJECT:
        return json_object_size(j) == 0;
    }
    return false;
}
