/* store_db.c: SQLite statements with their arguments, and SQLite's errors as ours. Knows no table. */
#include "daemon/store_db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store.h"

static int error_number(int rc, int system_errno)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_TOOBIG:
        return -E2BIG;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    default:
        /* A full disk can also show as an I/O error of the WAL's index. */
        return system_errno > 0 ? -system_errno : -EIO;
    }
}

int store_error(struct store *s, int rc, struct err *e)
{
    int r = error_number(rc, s->db ? sqlite3_system_errno(s->db) : 0);

    return err_set(e, r, "state database: %s", s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

/* The length of `text` cut at STORE_TEXT_MAX, not inside a UTF-8 sequence. */
static int cut(const char *text)
{
    size_t n = strnlen(text, STORE_TEXT_MAX + 1);

    if (n > STORE_TEXT_MAX)
        for (n = STORE_TEXT_MAX; n > STORE_TEXT_MAX - 4 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    return (int)n;
}

/* clang's check for va_list does not see through the pointer.
 * NOLINTBEGIN(clang-analyzer-valist.Uninitialized) */
static int bind_all(sqlite3_stmt *st, const char *types, va_list *ap)
{
    int rc = SQLITE_OK;

    for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
        if (*types == 't' || *types == 'T') {
            const char *text = va_arg(*ap, const char *);
            int n = !text || *types == 'T' ? -1 : cut(text);
            rc = sqlite3_bind_text(st, i, text, n, SQLITE_TRANSIENT);
        } else {
            rc = sqlite3_bind_int64(st, i, va_arg(*ap, int64_t));
        }
    }
    return rc;
}
/* NOLINTEND(clang-analyzer-valist.Uninitialized) */

/* A database that could not be opened at the start is tried again, so that freed space or a remounted disk is
 * enough. Not one that another process has: waiting for it would hold up the loop. */
static int ready(struct store *s, struct err *e)
{
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    if (s->db)
        return 0;
    if (s->failed == -EBUSY || s->failed == -EPROTONOSUPPORT || s->failed == -EUCLEAN)
        return err_set(e, s->failed, "%s", s->reason.msg);
    return store_db_open(s, e);
}

static int vprepare(
    struct store *s, sqlite3_stmt **ret, struct err *e, const char *sql, const char *types, va_list *ap)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r = ready(s, e), rc;

    if (r < 0)
        return r;
    rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = bind_all(st, types, ap);
    if (rc != SQLITE_OK)
        return store_error(s, rc, e);
    *ret = TAKE_PTR(st);
    return 0;
}

int store_prepare(struct store *s, sqlite3_stmt **ret, struct err *e, const char *sql, const char *types, ...)
{
    va_list ap;
    int r;

    va_start(ap, types);
    r = vprepare(s, ret, e, sql, types, &ap);
    va_end(ap);
    return r;
}

int store_step(struct store *s, sqlite3_stmt *st, struct err *e)
{
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : store_error(s, rc, e);
}

int store_run(struct store *s, struct err *e, const char *sql, const char *types, ...)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    va_list ap;
    int r;

    va_start(ap, types);
    r = vprepare(s, &st, e, sql, types, &ap);
    va_end(ap);
    if (r < 0)
        return r;
    do
        r = store_step(s, st, e);
    while (r > 0);
    return r < 0 ? r : sqlite3_changes(s->db);
}

const char *store_column_text(sqlite3_stmt *st, int column)
{
    return (const char *)sqlite3_column_text(st, column);
}
