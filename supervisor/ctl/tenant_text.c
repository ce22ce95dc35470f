/* tenant_text.c: see tenant_text.h. Must not invent values. */
#include "ctl/tenant_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "config/config_schema.h"

#define WIDTH 100

struct writer {
    struct buf out;
    bool full;
    struct err *e;
};

static int indent(struct writer *w, unsigned depth)
{
    return buf_addf(&w->out, "%*s", (int)(2 * depth), "");
}

/* "# TEXT", broken at blanks; "- TEXT" goes on below its first letter. */
static int comment(struct writer *w, unsigned depth, const char *text)
{
    const char *hang = "";
    size_t room = WIDTH - 2 * depth - 4;
    bool item = text[0] == '-';

    while (*text) {
        size_t n = strlen(text);

        if (n > room) {
            for (n = room; n > 0 && text[n] != ' '; n--)
                ;
            if (n == 0)
                n = strcspn(text, " ");
        }
        TRY(indent(w, depth));
        TRY(buf_addf(&w->out, "# %s%.*s\n", hang, (int)n, text));
        hang = item ? "  " : "";
        text += n;
        text += strspn(text, " ");
    }
    return 0;
}

static int quoted(struct writer *w, const char *s)
{
    TRY(buf_adds(&w->out, "\""));
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            TRY(buf_addf(&w->out, "\\%c", c));
        else if (c < 0x20 || c == 0x7f)
            TRY(buf_addf(&w->out, "\\x%02x", c));
        else
            TRY(buf_add(&w->out, &c, 1));
    }
    return buf_adds(&w->out, "\"");
}

static int scalar(struct writer *w, const json_t *v)
{
    char text[48];

    if (json_is_string(v))
        return quoted(w, json_string_value(v));
    if (json_is_boolean(v))
        return buf_adds(&w->out, json_is_true(v) ? "true" : "false");
    if (json_is_integer(v)) {
        /* Beyond 32 bits libconfig wants to be told. */
        return buf_addf(&w->out, "%lld%s", (long long)json_integer_value(v),
            json_integer_value(v) > INT32_MAX ? "L" : "");
    }
    if (!json_is_real(v))
        return err_set(w->e, -EINVAL, "a value that no file can hold");
    (void)snprintf(text, sizeof(text), "%.3f", json_real_value(v));
    for (size_t n = strlen(text); n > 2 && text[n - 1] == '0' && text[n - 2] != '.'; n--)
        text[n - 1] = '\0';
    return buf_adds(&w->out, text);
}

/* "[ "a", "b" ]", on several lines when it is long. */
static int array(struct writer *w, unsigned depth, const json_t *list)
{
    size_t n = json_array_size(list), begin = w->out.len;
    bool wide = false;

    for (int pass = 0; pass < 2; pass++) {
        TRY(buf_adds(&w->out, "["));
        for (size_t i = 0; i < n; i++) {
            if (wide) {
                TRY(buf_adds(&w->out, "\n"));
                TRY(indent(w, depth + 1));
            } else {
                TRY(buf_adds(&w->out, " "));
            }
            TRY(scalar(w, json_array_get(list, i)));
            TRY(buf_adds(&w->out, i + 1 < n ? "," : ""));
        }
        TRY(buf_adds(&w->out, " ]"));
        if (w->out.len - begin <= WIDTH - 20 || wide)
            break;
        wide = true;
        buf_truncate(&w->out, begin);
    }
    return 0;
}

/* "{ ok = true; }", for what is no group of the schema. */
static int inline_group(struct writer *w, const json_t *o)
{
    const char *key;
    json_t *v;

    TRY(buf_adds(&w->out, "{"));
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        TRY(buf_addf(&w->out, " %s = ", key));
        TRY(scalar(w, v));
        TRY(buf_adds(&w->out, ";"));
    }
    return buf_adds(&w->out, " }");
}

/* "( { ... }, { ... } )" */
static int groups(struct writer *w, unsigned depth, const json_t *list)
{
    size_t n = json_array_size(list);

    TRY(buf_adds(&w->out, "("));
    for (size_t i = 0; i < n; i++) {
        TRY(buf_adds(&w->out, "\n"));
        TRY(indent(w, depth + 1));
        TRY(inline_group(w, json_array_get(list, i)));
        TRY(buf_adds(&w->out, i + 1 < n ? "," : ""));
    }
    return buf_adds(&w->out, " )");
}

static int value(struct writer *w, unsigned depth, const json_t *v)
{
    if (json_is_array(v))
        return json_is_object(json_array_get(v, 0)) ? groups(w, depth, v) : array(w, depth, v);
    return json_is_object(v) ? inline_group(w, v) : scalar(w, v);
}

/* The default as the right side of an assignment, or an example of one. */
static int default_value(struct writer *w, const struct config_key *k)
{
    bool bare = k->type == CONFIG_KEY_BOOL || k->type == CONFIG_KEY_U32 || k->type == CONFIG_KEY_U64 ||
                k->type == CONFIG_KEY_CPUS;

    if (k->form)
        return buf_adds(&w->out, k->form);
    if (k->def)
        return bare && k->def[0] != 'u' ? buf_adds(&w->out, k->def) : quoted(w, k->def);
    if (k->type == CONFIG_KEY_U32 || k->type == CONFIG_KEY_U64)
        return buf_addf(&w->out, "%llu", (unsigned long long)k->min);
    return buf_adds(
        &w->out, k->type == CONFIG_KEY_STRV || k->type == CONFIG_KEY_LIST ? "[ \"...\" ]" : "\"...\"");
}

static int group(struct writer *w, unsigned depth, const struct config_schema *s, const json_t *o);

static int unset(struct writer *w, unsigned depth, const struct config_key *k)
{
    const char *def = k->def_help ? k->def_help : k->def ? k->def : "not set";
    char text[512];

    if (!w->full)
        return 0;
    if (k->type == CONFIG_KEY_GROUP) {
        TRY(buf_adds(&w->out, "\n"));
        TRY(indent(w, depth));
        TRY(buf_addf(&w->out, "%s = {\n", k->name));
        TRY(group(w, depth + 1, k->group, NULL));
        TRY(indent(w, depth));
        return buf_adds(&w->out, "};\n");
    }
    (void)snprintf(text, sizeof(text), "%s Default: %s.", k->help, def);
    TRY(comment(w, depth, text));
    TRY(indent(w, depth));
    TRY(buf_addf(&w->out, "#%s = ", k->name));
    TRY(default_value(w, k));
    return buf_adds(&w->out, ";\n");
}

static int key(struct writer *w, unsigned depth, const struct config_key *k, const json_t *v)
{
    if (!v)
        return unset(w, depth, k);
    if (k->type == CONFIG_KEY_GROUP) {
        TRY(buf_adds(&w->out, "\n"));
        TRY(comment(w, depth, k->help));
        TRY(indent(w, depth));
        TRY(buf_addf(&w->out, "%s = {\n", k->name));
        TRY(group(w, depth + 1, k->group, v));
        TRY(indent(w, depth));
        return buf_adds(&w->out, "};\n");
    }
    TRY(comment(w, depth, k->help));
    TRY(indent(w, depth));
    TRY(buf_addf(&w->out, "%s = ", k->name));
    TRY(value(w, depth, v));
    return buf_adds(&w->out, ";\n");
}

static bool has_key(const struct config_schema *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->keys[i].name, name) == 0)
            return true;
    return false;
}

/* Plain keys first, groups after them, each in the order of the schema. */
static int group(struct writer *w, unsigned depth, const struct config_schema *s, const json_t *o)
{
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)o, name, v)
    {
        if (!has_key(s, name))
            return err_set(w->e, -EINVAL, "no key %s in %s", name, s->name);
    }
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < s->n; i++)
            if ((s->keys[i].type == CONFIG_KEY_GROUP) == (pass == 1))
                TRY(key(w, depth, &s->keys[i], json_object_get(o, s->keys[i].name)));
    return 0;
}

static int head(struct writer *w, const struct tenant_text *how)
{
    const char *line = how->head ? how->head : "";

    while (*line) {
        size_t n = strcspn(line, "\n");

        TRY(buf_addf(&w->out, "# %.*s\n", (int)n, line));
        line += n + (line[n] == '\n');
    }
    if (json_array_size(how->notes) > 0)
        TRY(buf_adds(&w->out, "#\n# To look at:\n"));
    for (size_t i = 0; i < json_array_size(how->notes); i++) {
        const char *text = json_string_value(json_array_get(how->notes, i));
        char item[1024];

        (void)snprintf(item, sizeof(item), "- %s", text ? text : "");
        for (char *p = item; *p; p++)
            if ((unsigned char)*p < 0x20) /* a line break would end the comment */
                *p = '?';
        TRY(comment(w, 0, item));
    }
    return 0;
}

static int write_all(struct writer *w, const json_t *tenant, const struct tenant_text *how)
{
    TRY(head(w, how));
    TRY(buf_adds(&w->out, "tenant: {\n"));
    TRY(group(w, 1, &config_schema_tenant, tenant));
    return buf_adds(&w->out, "};\n");
}

int tenant_text(const json_t *tenant, const struct tenant_text *how, char **ret, struct err *e)
{
    struct writer w = {.full = how->full, .e = e};
    int r = write_all(&w, tenant, how);

    if (r >= 0) {
        *ret = buf_take(&w.out);
        r = *ret ? 0 : -ENOMEM;
    }
    buf_reset(&w.out);
    if (r == -ENOMEM || r == -E2BIG)
        return err_set(e, r, "%s", strerrordesc_np(-r));
    return r;
}

int tenant_text_check(const char *text, const char *slug, struct config_findings *f)
{
    char dir[] = "/tmp/clawsup-check-XXXXXX", conf[64], tenants[64], file[128];
    struct config *c = NULL;
    int r;

    if (!mkdtemp(dir))
        return -errno;
    (void)snprintf(conf, sizeof(conf), "%s/clawsup.conf", dir);
    (void)snprintf(tenants, sizeof(tenants), "%s/tenants.d", dir);
    (void)snprintf(file, sizeof(file), "%s/%.40s.conf", tenants, slug);
    r = fd_write_atomic(conf, "", 0, 0600);
    if (r >= 0 && mkdir(tenants, 0700) < 0)
        r = -errno;
    if (r >= 0)
        r = fd_write_atomic(file, text, strlen(text), 0600);
    if (r >= 0)
        r = config_load(conf, &c, f);
    (void)config_free(c);
    (void)unlink(file);
    (void)rmdir(tenants);
    (void)unlink(conf);
    (void)rmdir(dir);
    return r < 0 ? r : 0;
}

int tenant_text_write(const char *path, const char *text, bool replace, struct err *e)
{
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (replace) {
        r = fd_write_atomic(path, text, strlen(text), 0640);
        return r < 0 ? err_set(e, r, "%s: %s", path, strerrordesc_np(-r)) : 0;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        r = -errno;
        return err_set(e, r, r == -EEXIST ? "%s is there already" : "%s: %s", path, strerrordesc_np(-r));
    }
    r = fd_write_all(fd, text, strlen(text));
    if (r < 0)
        (void)unlink(path);
    return r < 0 ? err_set(e, r, "%s: %s", path, strerrordesc_np(-r)) : 0;
}
