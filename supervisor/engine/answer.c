/* answer.c: JSON from the engine, within limits (engine_load_json() of internal.h). No I/O. */
#include <errno.h>

#include "engine/internal.h"

#define ANSWER_DEPTH_MAX 64

/* Arrays and objects nest in the engine's answers a dozen deep; jansson alone would recurse 2048 times. */
static bool too_deep(const char *data, size_t len)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char ch = data[i];

        if (in_string) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                in_string = false;
        } else if (ch == '"')
            in_string = true;
        else if ((ch == '{' || ch == '[') && ++depth > ANSWER_DEPTH_MAX)
            return true;
        else if ((ch == '}' || ch == ']') && depth > 0)
            depth--;
    }
    return false;
}

int engine_load_json(const char *data, size_t len, json_t **ret, struct err *e)
{
    json_error_t je;
    json_t *j;

    if (len > ENGINE_ANSWER_MAX)
        return err_set(e, -EFBIG, "the document is larger than %d bytes", ENGINE_ANSWER_MAX);
    if (too_deep(data, len))
        return err_set(e, -EINVAL, "the document nests deeper than %d", ANSWER_DEPTH_MAX);
    j = json_loadb(data, len, JSON_DECODE_ANY, &je);
    if (!j)
        return json_error_code(&je) == json_error_out_of_memory
                   ? -ENOMEM
                   : err_set(e, -EINVAL, "malformed JSON at byte %d: %s", je.position, je.text);
    *ret = j;
    return 0;
}
