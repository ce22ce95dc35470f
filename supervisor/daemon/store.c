/* store.c: opening the state database: created, checked, migrated, or moved aside when it is corrupt. A
 * database is never deleted, and one of a newer clawsup is never touched. */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "daemon/store_db.h"

#define KEEP_ACTIONS_US ((int64_t)(30 * USEC_PER_DAY))

/* Entry i takes a database of version i to version i + 1. Never change one that was released: add another. */
static const char *const migrations[] = {
    "CREATE TABLE actions (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tenant TEXT NOT NULL,"
    " component TEXT NOT NULL, type INTEGER NOT NULL, level INTEGER NOT NULL, reason TEXT NOT NULL,"
    " result_at INTEGER, result INTEGER, text TEXT);"
    "CREATE INDEX actions_at ON actions (at);"
    "CREATE INDEX actions_pending ON actions (id) WHERE result_at IS NULL;"
    "CREATE TABLE holds (tenant TEXT NOT NULL, kind TEXT NOT NULL, until INTEGER NOT NULL,"
    " PRIMARY KEY (tenant, kind)) WITHOUT ROWID;"
    "CREATE TABLE quarantines (tenant TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE starts (at INTEGER NOT NULL);"
    "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tenant TEXT,"
    " component TEXT, kind TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX events_tenant ON events (tenant, seq);"
    /* 10000 is STORE_EVENTS_MAX; a trigger, so that adding and forgetting are one write. */
    "CREATE TRIGGER events_prune AFTER INSERT ON events BEGIN"
    " DELETE FROM events WHERE seq <= NEW.seq - 10000; END;"
    "CREATE TABLE specs (tenant TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE notes (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;",
};

struct store *store_close(struct store *s)
{
    if (!s)
        return NULL;
    (void)sqlite3_close_v2(s->db);
    free(s->path);
    free(s);
    return NULL;
}

/* ---------------------------------------------------------------- opening */

/* The first column of the first row as text; "" when there is none. */
static int query_text(struct store *s, const char *sql, char *out, size_t n, struct err *e)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r = store_prepare(s, &st, e, sql, "");

    if (r >= 0)
        r = store_step(s, st, e);
    if (r < 0)
        return r;
    *out = '\0';
    if (r > 0 && store_column_text(st, 0))
        (void)snprintf(out, n, "%s", store_column_text(st, 0));
    return 0;
}

static int set_pragmas(struct store *s, struct err *e)
{
    static const char *const pragmas[] = {"PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON",
        "PRAGMA journal_size_limit=4194304", "PRAGMA trusted_schema=OFF"};
    char mode[16];
    /* Exclusive: one daemon per state directory, and no shared memory file that a full disk could take away.
     */
    int r = query_text(s, "PRAGMA locking_mode=EXCLUSIVE", mode, sizeof(mode), e);

    if (r >= 0)
        r = query_text(s, "PRAGMA journal_mode=WAL", mode, sizeof(mode), e);

    if (r >= 0 && !str_eq(mode, "wal"))
        return err_set(e, -EROFS, "state database: the write-ahead log could not be switched on");
    for (size_t i = 0; i < ARRAY_SIZE(pragmas) && r >= 0; i++)
        r = store_run(s, e, pragmas[i], "");
    return MIN(r, 0);
}

static int migrate(struct store *s, struct err *e)
{
    char text[32];
    uint64_t version;
    int r = query_text(s, "PRAGMA user_version", text, sizeof(text), e), rc = SQLITE_OK;

    if (r < 0)
        return r;
    if (str_parse_u64(text, INT_MAX, &version) < 0 || version > ARRAY_SIZE(migrations))
        return err_set(e, -EPROTONOSUPPORT,
            "state database has version %s, this clawsup knows %zu; upgrade clawsup, or move state.db away",
            text, ARRAY_SIZE(migrations));
    for (; version < ARRAY_SIZE(migrations) && rc == SQLITE_OK; version++) {
        char set[64];

        (void)snprintf(set, sizeof(set), "PRAGMA user_version=%zu; COMMIT", (size_t)version + 1);
        rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(s->db, migrations[version], NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(s->db, set, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK)
        return 0;
    r = store_error(s, rc, e);
    (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

/* Reads every page once: better to find damage now than in the middle of an incident. */
static int check(struct store *s, struct err *e)
{
    char text[160];
    int r = query_text(s, "PRAGMA quick_check(1)", text, sizeof(text), e);

    if (r >= 0 && !str_eq(text, "ok"))
        return err_set(e, -EUCLEAN, "state database: %s", text);
    return r;
}

/* Made by us, so that nobody else may read it; its WAL gets the same mode from SQLite. Closed before SQLite
 * opens it: a later close would drop SQLite's POSIX locks. */
static int make_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0)
        return err_set(e, -errno, "%s: %s", path, strerrordesc_np(errno));
    (void)fd_close(fd);
    return 0;
}

int store_db_open(struct store *s, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, rc;
    int r = make_file(s->path, e);

    if (r < 0)
        return r;
    rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    if (rc != SQLITE_OK)
        r = store_error(s, rc, e);
    if (r >= 0) {
        (void)sqlite3_extended_result_codes(s->db, 1);
        (void)sqlite3_busy_timeout(s->db, 200);
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        r = set_pragmas(s, e);
    }
    if (r >= 0)
        r = check(s, e);
    if (r >= 0)
        r = migrate(s, e);
    if (r < 0) {
        (void)sqlite3_close_v2(s->db);
        s->db = NULL;
    }
    return r;
}

/* Renames state.db and its companions to NAME.corrupt-TIME[-wal|-shm], never over something. */
static int move_aside(const char *path, int64_t now, char *ret_name, size_t n, struct err *e)
{
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    long long stamp = now / (long long)USEC_PER_SEC;
    struct stat st;

    do
        (void)snprintf(ret_name, n, "%s.corrupt-%lld", path, stamp++);
    while (lstat(ret_name, &st) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        char from[PATH_MAX], to[PATH_MAX];

        (void)snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
        (void)snprintf(to, sizeof(to), "%s%s", ret_name, suffixes[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return err_set(
                e, -errno, "%s is corrupt and could not be moved aside: %s", from, strerrordesc_np(errno));
    }
    return 0;
}

static int prune(struct store *s, int64_t now, struct err *e)
{
    return store_run(
        s, e, "DELETE FROM actions WHERE at < ? AND result_at IS NOT NULL", "i", now - KEEP_ACTIONS_US);
}

int store_open(const char *state_dir, int64_t now, struct store **ret, struct err *e)
{
    struct store *s = calloc(1, sizeof(*s));
    char aside[PATH_MAX];
    int r, moved = 0;

    *ret = s;
    if (!s || asprintf(&s->path, "%s/state.db", state_dir) < 0) {
        free(s);
        *ret = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    /* A failure shows when the file is opened, with a better text. */
    (void)mkdir(state_dir, 0700);
    r = store_db_open(s, &s->reason);
    if (r == -EUCLEAN) {
        struct err damage = s->reason;

        r = move_aside(s->path, now, aside, sizeof(aside), &s->reason);
        if (r >= 0)
            r = store_db_open(s, &s->reason);
        moved = 1;
        if (r >= 0)
            (void)err_set(e, 0, "%s is damaged (%s); kept as %s, budgets and holds begin anew", s->path,
                damage.msg, aside);
    }
    /* Forgetting can wait: a full disk must not look like a store that did not open. */
    if (r >= 0)
        (void)!prune(s, now, NULL);
    s->failed = MIN(r, 0);
    return r < 0 ? err_set(e, r, "%s", s->reason.msg) : moved;
}
