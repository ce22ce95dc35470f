/* table.h: tables as lsblk(8) prints them (libsmartcols), or tab-separated for scripts. */
#pragma once

#include <stdio.h>

#include "base/defs.h"
#include "ctl/text.h"

struct table_column {
    const char *name;
    bool right;    /* numbers */
    bool wrap;     /* goes on in the next line when the terminal is too narrow */
    bool truncate; /* may be cut when the terminal is too narrow */
};

struct table_style {
    bool plain;      /* tab-separated, nothing cut, no colour */
    bool no_heading; /* no line with the columns' names */
    bool colour;
    unsigned width; /* columns of the terminal; 0: none, nothing needs to be left out */
};

struct table;

/* The columns have static storage. NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t n, const struct table_style *style);
struct table *table_free(struct table *t);
DEFINE_CLEANUP(struct table *, table_free)

/* Fills the cells of a row from left to right; a full row begins the next. The text is copied and made safe
 * (see text_safe()); an empty one is shown as "-". An -ENOMEM is kept for table_print(). */
void table_cell(struct table *t, enum text_colour colour, const char *text);
void table_cellf(struct table *t, enum text_colour colour, const char *fmt, ...) _printf_(3, 4);

/* Writes the table; nothing at all when it has no rows. -ENOMEM, -EIO. */
int table_print(struct table *t, FILE *out);
