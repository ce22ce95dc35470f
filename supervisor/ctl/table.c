/* table.c: see table.h. The only user of libsmartcols. */
#include "ctl/table.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <string.h>

#define CELL_MAX 1024

struct table {
    const struct table_column *columns;
    size_t n_columns, n_cells;
    struct table_style style;
    struct libscols_table *tb;
    struct libscols_line *line;
    int r; /* the first error */
};

struct table *table_free(struct table *t)
{
    if (!t)
        return NULL;
    scols_unref_table(t->tb);
    free(t);
    return NULL;
}

static int add_columns(struct table *t)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct table_column *c = &t->columns[i];
        int flags = (c->right ? SCOLS_FL_RIGHT : 0) | (c->truncate ? SCOLS_FL_TRUNC : 0) |
                    (c->wrap ? SCOLS_FL_WRAP : 0);

        if (!scols_table_new_column(t->tb, c->name, 0, flags))
            return -ENOMEM;
    }
    return 0;
}

struct table *table_new(const struct table_column *columns, size_t n, const struct table_style *style)
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->columns = columns;
    t->n_columns = n;
    t->style = *style;
    t->tb = scols_new_table();
    if (!t->tb || add_columns(t) < 0)
        return table_free(t);
    (void)scols_table_enable_colors(t->tb, style->colour && !style->plain);
    (void)scols_table_enable_noheadings(t->tb, style->no_heading);
    return t;
}

void table_cell(struct table *t, enum text_colour colour, const char *text)
{
    static const char *const names[_TEXT_COLOUR_MAX] = {
        [TEXT_GREEN] = "green",
        [TEXT_YELLOW] = "brown", /* SGR 33, which terminals show as yellow */
        [TEXT_RED] = "red",
        [TEXT_CYAN] = "cyan",
        [TEXT_DIM] = "\033[2m",
        [TEXT_BOLD] = "\033[1m",
    };
    size_t column = t->n_cells % t->n_columns;
    char safe[CELL_MAX];

    if (t->r < 0)
        return;
    if (column == 0) {
        t->line = scols_table_new_line(t->tb, NULL);
        if (!t->line) {
            t->r = -ENOMEM;
            return;
        }
    }
    text_safe(safe, sizeof(safe), *text ? text : "-");
    if (scols_line_set_data(t->line, column, safe) < 0)
        t->r = -ENOMEM;
    else if (names[colour])
        (void)scols_cell_set_color(scols_line_get_cell(t->line, column), names[colour]);
    t->n_cells++;
}

void table_cellf(struct table *t, enum text_colour colour, const char *fmt, ...)
{
    char text[CELL_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    table_cell(t, colour, text);
}

static void print_plain(struct table *t, FILE *out)
{
    struct libscols_iter *it = scols_new_iter(SCOLS_ITER_FORWARD);
    struct libscols_line *line;

    if (!it) {
        t->r = -ENOMEM;
        return;
    }
    for (size_t i = 0; !t->style.no_heading && i < t->n_columns; i++)
        (void)fprintf(out, "%s%c", t->columns[i].name, i + 1 < t->n_columns ? '\t' : '\n');
    while (scols_table_next_line(t->tb, it, &line) == 0)
        for (size_t i = 0; i < t->n_columns; i++) {
            const char *s = scols_cell_get_data(scols_line_get_cell(line, i));

            (void)fprintf(out, "%s%c", s ? s : "-", i + 1 < t->n_columns ? '\t' : '\n');
        }
    scols_free_iter(it);
}

int table_print(struct table *t, FILE *out)
{
    if (t->r < 0 || t->n_cells == 0)
        return t->r;
    if (t->style.plain) {
        print_plain(t, out);
    } else {
        (void)scols_table_set_stream(t->tb, out);
        if (scols_print_table(t->tb) < 0)
            t->r = -EIO;
    }
    if (t->r >= 0 && ferror(out))
        t->r = -EIO;
    return t->r;
}
