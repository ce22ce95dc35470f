/* mountinfo.c: see mountinfo.h. Opens nothing: the text is the caller's. */
#include "limits/mountinfo.h"

#include <string.h>

/* Copies one blank-delimited field of a line, resolving \ooo; returns what follows, or NULL when it is
 * missing or does not fit. */
static const char *take_field(const char *s, const char *end, char *out, size_t n)
{
    size_t used = 0;

    while (s < end && *s == ' ')
        s++;
    if (s == end)
        return NULL;
    for (; s < end && *s != ' '; s++) {
        char c = *s;

        if (c == '\\' && end - s > 3 && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            c = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        }
        if (out && used + 1 >= n)
            return NULL;
        if (out)
            out[used++] = c;
    }
    if (out)
        out[used] = '\0';
    return s;
}

static bool parse_line(const char *s, const char *end, struct mountinfo *ret)
{
    char word[64];

    /* id, parent, major:minor, root */
    for (int i = 0; s && i < 4; i++)
        s = take_field(s, end, NULL, 0);
    if (s)
        s = take_field(s, end, ret->mount_point, sizeof(ret->mount_point));
    if (s)
        s = take_field(s, end, NULL, 0); /* mount options */
    do {                                 /* optional fields, up to "-" */
        if (s)
            s = take_field(s, end, word, sizeof(word));
    } while (s && strcmp(word, "-") != 0);
    if (s)
        s = take_field(s, end, ret->fs_type, sizeof(ret->fs_type));
    if (s)
        s = take_field(s, end, ret->source, sizeof(ret->source));
    if (s)
        s = take_field(s, end, ret->super_options, sizeof(ret->super_options));
    return s != NULL;
}

int mountinfo_next(const char **text, struct mountinfo *ret)
{
    while (**text) {
        const char *line = *text, *end = strchrnul(line, '\n');
        struct mountinfo m;

        *text = *end ? end + 1 : end;
        if (parse_line(line, end, &m)) {
            *ret = m;
            return 1;
        }
    }
    return 0;
}

bool mountinfo_has_option(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (;;) {
        size_t len = strcspn(list, ",");

        if (len == n && strncmp(list, word, n) == 0)
            return true;
        if (!list[len])
            return false;
        list += len + 1;
    }
}
