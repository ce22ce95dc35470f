/* test_config_man.c: clawsup.conf(5) lists exactly the keys of the tables. With CLAWSUP_UPDATE=1 the list is
 * written anew; without, it is compared. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "config/config_schema.h"

#define PAGE "contrib/man/clawsup.conf.5"
#define BEGIN ".\\\" BEGIN KEYS\n"
#define END ".\\\" END KEYS\n"

static void add(struct buf *b, const char *fmt, ...) _printf_(2, 3);
static void add(struct buf *b, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    cr_assert_lt(vsnprintf(text, sizeof(text), fmt, ap), (int)sizeof(text));
    va_end(ap);
    cr_assert_eq(buf_adds(b, text), 0);
}

/* Text for roff: nothing in it is a request or an escape. */
static void add_text(struct buf *b, const char *s)
{
    if (*s == '.' || *s == '\'')
        add(b, "\\&");
    for (; *s; s++)
        if (*s == '-')
            add(b, "\\-");
        else if (*s == '\\')
            add(b, "\\e");
        else if (*s == '"')
            add(b, "\\(dq");
        else
            add(b, "%c", *s);
}

static const char *type_name(const struct config_key *k)
{
    static const char *const names[_CONFIG_KEY_TYPE_MAX] = {
        [CONFIG_KEY_STRING] = "text",
        [CONFIG_KEY_BOOL] = "true or false",
        [CONFIG_KEY_U32] = "number",
        [CONFIG_KEY_U64] = "number",
        [CONFIG_KEY_DURATION] = "duration",
        [CONFIG_KEY_SIZE] = "size",
        [CONFIG_KEY_CPUS] = "CPUs",
        [CONFIG_KEY_ENUM] = "name",
        [CONFIG_KEY_STRV] = "list of texts",
        [CONFIG_KEY_LIST] = "list of texts",
        [CONFIG_KEY_GROUP] = "group",
        [CONFIG_KEY_CUSTOM] = NULL,
    };

    return names[k->type];
}

static void add_range(struct buf *b, const struct config_key *k)
{
    char min[32], max[32];

    if (k->type == CONFIG_KEY_DURATION) {
        str_format_duration(min, sizeof(min), k->min);
        str_format_duration(max, sizeof(max), k->max);
        add(b, ", %s to %s", min, max);
    } else if (k->type == CONFIG_KEY_SIZE) {
        str_format_size(min, sizeof(min), k->min);
        str_format_size(max, sizeof(max), k->max);
        add(b, ", %s to %s", min, max);
    } else if (k->type == CONFIG_KEY_U32 || k->type == CONFIG_KEY_U64) {
        add(b, ", %llu to %llu", (unsigned long long)k->min, (unsigned long long)k->max);
    }
    if (k->flags & CONFIG_KEY_UNLIMITED)
        add(b, ", or \\(dqunlimited\\(dq");
    for (size_t i = 0; k->type == CONFIG_KEY_ENUM && k->names[i]; i++) {
        add(b, i ? " or " : ": ");
        add_text(b, k->names[i]);
    }
}

static void add_key(struct buf *b, const struct config_key *k)
{
    add(b, ".TP\n.B ");
    add_text(b, k->name);
    add(b, "\n");
    if (type_name(k)) {
        add(b, "(%s", type_name(k));
        add_range(b, k);
    } else {
        add(b, "(such as ");
        add_text(b, k->form);
    }
    if (k->def || k->def_help) {
        add(b, "; default: ");
        add_text(b, k->def ? k->def : k->def_help);
    }
    if (k->flags & CONFIG_KEY_PER_TENANT)
        add(b, "; not in defaults");
    if (k->flags & CONFIG_KEY_RESTART)
        add(b, "; restart");
    add(b, ")\n.br\n");
    add_text(b, k->help);
    add(b, "\n");
}

static void add_schema(struct buf *b, const struct config_schema *s)
{
    add(b, ".SS ");
    add_text(b, s->name);
    add(b, "\n");
    add_text(b, s->help);
    add(b, "\n");
    for (size_t i = 0; i < s->n; i++)
        add_key(b, &s->keys[i]);
    for (size_t i = 0; i < s->n; i++) {
        bool again = i > 0 && s->keys[i].group == s->keys[i - 1].group; /* l1 and l2 are one table */

        if (s->keys[i].group && !again && !(s->keys[i].flags & CONFIG_KEY_INHERIT))
            add_schema(b, s->keys[i].group);
    }
}

Test(config_man, lists_every_key)
{
    static const char *const roots[] = {"", "../", "../../", "../../../"};
    _cleanup_buf_ struct buf want = {};
    _cleanup_free_ char *page = NULL;
    char path[128], *begin, *end;

    for (size_t i = 0; i < ARRAY_SIZE(roots) && !page; i++) {
        (void)snprintf(path, sizeof(path), "%s" PAGE, roots[i]);
        (void)fd_read_file(path, 1 << 20, &page, NULL);
    }
    cr_assert_not_null(page, "run it in the source tree");
    begin = strstr(page, BEGIN);
    end = strstr(page, END);
    cr_assert(begin && end && begin < end);
    begin += strlen(BEGIN);
    cr_assert_eq(buf_add(&want, page, (size_t)(begin - page)), 0);
    add(&want, ".SH KEYS OF THE HOST\n");
    add_schema(&want, &config_schema_host);
    add(&want, ".SH KEYS OF A TENANT\n");
    add_schema(&want, &config_schema_tenant);
    cr_assert_eq(buf_adds(&want, end), 0);
    if (getenv("CLAWSUP_UPDATE"))
        cr_assert_eq(fd_write_atomic(path, want.data, want.len, 0644), 0);
    else
        cr_expect_str_eq(page, want.data, "out of date; run this test with CLAWSUP_UPDATE=1");
}
