/* test_metrics_man.c: clawsup-metrics(7) lists exactly the families, types, labels and values of the text.
 * With CLAWSUP_UPDATE=1 the list is written anew; without, it is compared. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "recovery/recovery.h"

#define PAGE "contrib/man/clawsup-metrics.7"
#define BEGIN ".\\\" BEGIN FAMILIES\n"
#define END ".\\\" END FAMILIES\n"
#define LABELS_MAX 4
#define VALUES_MAX 32

struct label {
    char name[32];
    char values[VALUES_MAX][48];
    size_t n;
};

/* One label of a sample, `name="value"`: remembered once. */
static void note(struct label labels[LABELS_MAX], const char *text, size_t len)
{
    const char *eq = memchr(text, '=', len);
    size_t name = (size_t)(eq - text), i = 0;
    char value[48];

    (void)snprintf(value, sizeof(value), "%.*s", (int)(len - name - 3), eq + 2);
    while (labels[i].name[0] && (strlen(labels[i].name) != name || memcmp(labels[i].name, text, name) != 0))
        cr_assert_lt(++i, (size_t)LABELS_MAX);
    (void)snprintf(labels[i].name, sizeof(labels[i].name), "%.*s", (int)name, text);
    for (size_t v = 0; v < labels[i].n; v++)
        if (strcmp(labels[i].values[v], value) == 0)
            return;
    cr_assert_lt(labels[i].n, (size_t)VALUES_MAX);
    (void)snprintf(labels[i].values[labels[i].n++], sizeof(value), "%s", value);
}

static void note_all(struct label labels[LABELS_MAX], const char *line)
{
    size_t len = strcspn(line, "\n");
    const char *p = memchr(line, '{', len), *end = p ? memchr(p, '}', len - (size_t)(p - line)) : NULL;

    while (p && end && p < end) {
        len = strcspn(++p, ",}");

        note(labels, p, len);
        p += len;
    }
}

static bool is_listed(const struct label *l)
{
    return strcmp(l->name, "tenant") != 0 && strcmp(l->name, "version") != 0 && strcmp(l->name, "le") != 0;
}

static void add_labels(struct buf *b, const struct label labels[LABELS_MAX])
{
    for (size_t i = 0; i < LABELS_MAX && labels[i].name[0]; i++)
        if (strcmp(labels[i].name, "le") != 0)
            cr_assert_geq(buf_addf(b, " , Ic %s", labels[i].name), 0);
    cr_assert_geq(buf_adds(b, "\n"), 0);
}

static void add_values(struct buf *b, const struct label labels[LABELS_MAX])
{
    for (size_t i = 0; i < LABELS_MAX && labels[i].name[0]; i++) {
        if (!is_listed(&labels[i]))
            continue;
        cr_assert_geq(buf_addf(b, ".br\n.Ic %s :\n", labels[i].name), 0);
        for (size_t v = 0; v < labels[i].n; v++)
            cr_assert_geq(buf_addf(b, "%s%s", v ? ", " : "", labels[i].values[v]), 0);
        cr_assert_geq(buf_adds(b, "\n"), 0);
    }
}

/* `text` is at a family's HELP line; returns where the next one begins. */
static const char *add_family(struct buf *b, const char *text)
{
    struct label labels[LABELS_MAX] = {};
    char name[64], help[160], type[16];
    const char *line = text;

    cr_assert_eq(sscanf(text, "# HELP %63s %159[^\n]\n# TYPE %*s %15s", name, help, type), 3, "%.100s", text);
    do {
        line = strchr(line, '\n') + 1;
        if (*line != '#')
            note_all(labels, line);
    } while (*line && strncmp(line, "# HELP", 6) != 0);
    cr_assert_geq(buf_addf(b, ".It Ic %s Pq %s", name, type), 0);
    add_labels(b, labels);
    cr_assert_geq(buf_addf(b, "%s\n", help), 0);
    add_values(b, labels);
    return line;
}

static char *all_families(void)
{
    struct recovery_host_params params;
    struct recovery *r;
    struct buf b = {};
    struct metrics *m = metrics_new();
    struct metrics_tenant *t = metrics_tenant(m, "acme");

    recovery_host_params_default(&params);
    r = recovery_new(&params, 0, 0);
    cr_assert(m && t && r);
    m->n_guards = recovery_suppressed(r, m->guards, m->suppressed);
    t->memory_bytes = t->memory_limit_bytes = t->pids = t->pids_limit = t->disk_bytes = t->disk_limit_bytes =
        1;
    cr_assert_geq(metrics_render(m, &b), 0);
    (void)metrics_free(m);
    (void)recovery_free(r);
    return buf_take(&b);
}

Test(metrics_man, lists_every_family)
{
    static const char *const roots[] = {"", "../", "../../", "../../../"};
    _cleanup_buf_ struct buf want = {};
    _cleanup_free_ char *page = NULL, *text = all_families();
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
    cr_assert_geq(buf_adds(&want, ".Bl -tag -width Ds\n"), 0);
    for (const char *p = text; *p;)
        p = add_family(&want, p);
    cr_assert_geq(buf_adds(&want, ".El\n"), 0);
    cr_assert_eq(buf_adds(&want, end), 0);
    if (getenv("CLAWSUP_UPDATE"))
        cr_assert_eq(fd_write_atomic(path, want.data, want.len, 0644), 0);
    else
        cr_expect_str_eq(page, want.data, "out of date; run this test with CLAWSUP_UPDATE=1");
}
