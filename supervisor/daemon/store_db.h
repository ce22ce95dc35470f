/* store_db.h: statements and errors under store.c and store_rows.c. Internal to the store. */
#pragma once

#include <sqlite3.h>

#include "base/defs.h"
#include "base/err.h"

struct store {
    sqlite3 *db; /* NULL: not open */
    char *path;
    struct err reason; /* why not open, when that is not worth another try */
    int failed;
};

static inline void store_stmt_finalize(sqlite3_stmt **st)
{
    (void)sqlite3_finalize(*st);
}
#define _cleanup_stmt_ _cleanup_(store_stmt_finalize)

/* Opens s->path into s->db: checked, migrated. Nothing is left open on failure. */
int store_db_open(struct store *s, struct err *e) _must_check_;
/* Prepares `sql` and binds the arguments that `types` names: 't' const char * (NULL is NULL; cut at
 * STORE_TEXT_MAX), 'T' the same uncut, 'i' int64_t. Opens the database first if that failed before. */
int store_prepare(
    struct store *s, sqlite3_stmt **ret, struct err *e, const char *sql, const char *types, ...) _must_check_;
/* One step: 1 a row, 0 done, or a failure. */
int store_step(struct store *s, sqlite3_stmt *st, struct err *e) _must_check_;
/* Prepares, runs to the end: the count of changed rows, or a failure. */
int store_run(struct store *s, struct err *e, const char *sql, const char *types, ...) _must_check_;
/* Writes the reason for a failed SQLite call into `e` and gives its errno. */
int store_error(struct store *s, int rc, struct err *e);
/* A text column, borrowed until the next step; NULL for NULL. */
const char *store_column_text(sqlite3_stmt *st, int column);
