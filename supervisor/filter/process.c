/* process.c: see process.h. Checks and copies; no decision beyond the single value. */
#include "filter/process.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define USER_PART_MAX 64
#define CONSOLE_MAX 10000

/* A user's or group's name or number of `n` bytes. A name may not begin with '-' or '.'. */
static bool is_user_part(const char *s, size_t n)
{
    return n > 0 && n <= USER_PART_MAX && *s != '-' && *s != '.' && strspn(s, NAME_CHARS) >= n;
}

static bool is_user(const char *s)
{
    size_t n = strcspn(s, ":");

    if (*s == '\0')
        return true;
    if (!is_user_part(s, n))
        return false;
    return s[n] == '\0' || is_user_part(s + n + 1, strlen(s + n + 1));
}

int process_user(const struct policy *p, const json_t *v, const struct field_at *at, char **ret)
{
    const char *s;
    int r = fields_text(v, (size_t)2 * USER_PART_MAX + 1, at, &s);

    if (r < 0)
        return r;
    if (!is_user(s))
        return refusal_set(at->refusal, 400, at->rule, "User must be NAME, UID, or one with :GROUP");
    if (p->users.n > 0 && !policy_list_has(&p->users, s)) {
        if (*s)
            return refusal_set(at->refusal, 403, at->rule, "user %s is not allowed", s);
        s = p->users.items[0];
    }
    return str_set(ret, s);
}

int process_workdir(const json_t *v, const struct field_at *at, char **ret)
{
    static const char *const never[] = {"/proc", "/dev", "/sys"};
    const char *s;
    int r = fields_text(v, 4095, at, &s);

    if (r < 0)
        return r;
    if (*s && !str_is_clean_path(s))
        return refusal_set(at->refusal, 403, at->rule,
            "WorkingDir must be an absolute path without empty, \".\" or \"..\" parts");
    for (size_t i = 0; *s && i < ARRAY_SIZE(never); i++)
        if (str_path_covers(never[i], s))
            return refusal_set(at->refusal, 403, at->rule, "WorkingDir may not be under %s", never[i]);
    return str_set(ret, s);
}

static const struct field_limits arg_limits = {PROCESS_ARGS_MAX, PROCESS_ITEM_BYTES, PROCESS_TOTAL_BYTES};
static const struct field_limits env_limits = {PROCESS_ENV_MAX, PROCESS_ITEM_BYTES, PROCESS_TOTAL_BYTES};

static bool is_string_array(const json_t *v)
{
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i)))
            return false;
    return json_is_array(v);
}

int process_argv(const json_t *v, const struct field_at *at, json_t **ret)
{
    json_t *out = NULL;
    int r;

    if (json_is_string(v)) {
        _cleanup_(json_decrefp) json_t *one = json_array();

        if (!one || json_array_append_new(one, json_string(json_string_value(v))) < 0)
            return -ENOMEM;
        r = json_string_length(v) > 0 ? fields_strings(one, &arg_limits, true, at, &out) : 0;
    } else if (is_string_array(v)) {
        r = fields_strings(v, &arg_limits, true, at, &out);
    } else {
        return refusal_set(at->refusal, 400, at->rule, "must be an array of strings");
    }
    if (r < 0)
        return r;
    json_decref(*ret);
    *ret = out;
    return 0;
}

int process_env(const json_t *v, const struct field_at *at, json_t **ret)
{
    json_t *out = NULL;
    int r = fields_strings(v, &env_limits, true, at, &out);

    for (size_t i = 0; r >= 0 && i < json_array_size(out); i++) {
        const char *s = json_string_value(json_array_get(out, i));
        size_t n = strcspn(s, "=");

        if (n == 0)
            r = refusal_set(at->refusal, 400, at->rule, "a variable has no name");
        for (size_t k = 0; r >= 0 && k < n; k++)
            if ((unsigned char)s[k] < ' ' || s[k] == 0x7f)
                r = refusal_set(at->refusal, 400, at->rule, "control bytes in a variable's name");
    }
    if (r < 0) {
        json_decref(out);
        return r;
    }
    json_decref(*ret);
    *ret = out;
    return 0;
}

int process_console(const json_t *v, const struct field_at *at, unsigned *ret_height, unsigned *ret_width)
{
    int64_t size[2];

    if (json_array_size(v) != 2 || !json_is_integer(json_array_get(v, 0)) ||
        !json_is_integer(json_array_get(v, 1)))
        return refusal_set(at->refusal, 400, at->rule, "ConsoleSize must be [height, width]");
    for (size_t i = 0; i < 2; i++) {
        int r = fields_range(json_array_get(v, i), 0, CONSOLE_MAX, at, &size[i]);
        if (r < 0)
            return r;
    }
    *ret_height = (unsigned)size[0];
    *ret_width = (unsigned)size[1];
    return 0;
}
