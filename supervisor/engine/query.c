/* query.c: see query.h. No I/O. */
#include "engine/query.h"

#include <errno.h>

#include "base/json.h"
#include "engine/engine.h"

int query_add_label(struct buf *path, char sep, const char *label)
{
    _cleanup_json_ json_t *filter = json_pack("{s:[s]}", "label", label);
    _cleanup_free_ char *text = filter ? json_to_string(filter) : NULL;
    _cleanup_free_ char *escaped = text ? engine_escape(text) : NULL;

    if (!escaped)
        return -ENOMEM;
    return buf_addf(path, "%cfilters=%s", sep, escaped);
}
