/* store_rows.c: the tables of the store, row by row. Each write is one statement, so each is one transaction.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store.h"
#include "daemon/store_db.h"

/* ---------------------------------------------------------------- actions */

int store_intent(struct store *s, int64_t now, const char *tenant, const char *component, int type, int level,
    const char *reason, int64_t *ret_id, struct err *e)
{
    int r = store_run(s, e,
        "INSERT INTO actions (at, tenant, component, type, level, reason) VALUES (?, ?, ?, ?, ?, ?)",
        "ittiit", now, tenant, component ? component : "", (int64_t)type, (int64_t)level,
        reason ? reason : "");

    if (r < 0)
        return r;
    *ret_id = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int store_result(struct store *s, int64_t now, int64_t id, int result, const char *text, struct err *e)
{
    int r = store_run(s, e,
        "UPDATE actions SET result_at = ?, result = ?, text = ? WHERE id = ? AND result_at IS NULL", "iiti",
        now, (int64_t)result, text, id);

    if (r == 0)
        return err_set(e, -ENOENT, "state database: no open intent %lld", (long long)id);
    return MIN(r, 0);
}

int store_actions(struct store *s, int64_t since, store_action_fn fn, void *userdata, struct err *e)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r = store_prepare(s, &st, e,
        "SELECT id, at, tenant, component, reason, type, level, result, result_at IS NULL FROM actions"
        " WHERE at >= ? ORDER BY at, id",
        "i", since);

    if (r < 0)
        return r;
    while ((r = store_step(s, st, e)) > 0) {
        struct store_action a = {.id = sqlite3_column_int64(st, 0),
            .at = sqlite3_column_int64(st, 1),
            .tenant = store_column_text(st, 2),
            .component = store_column_text(st, 3),
            .reason = store_column_text(st, 4),
            .type = sqlite3_column_int(st, 5),
            .level = sqlite3_column_int(st, 6),
            .result = sqlite3_column_int(st, 8) ? -1 : sqlite3_column_int(st, 7)};

        if (!a.tenant || !a.component || !a.reason)
            return err_set(e, -ENOMEM, "out of memory");
        r = fn(&a, userdata);
        if (r < 0)
            return r;
    }
    return r;
}

int store_close_intents(struct store *s, int64_t now, int result, const char *text, struct err *e)
{
    int r = store_run(s, e, "UPDATE actions SET result_at = ?, result = ?, text = ? WHERE result_at IS NULL",
        "iit", now, (int64_t)result, text);

    return MIN(r, 0);
}

/* ---------------------------------------------------------------- holds, quarantine, starts */

/* The one number that `sql` selects, 0 without a row. */
static int get_time(struct store *s, const char *sql, const char *tenant, const char *kind, int64_t *ret)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r = store_prepare(s, &st, NULL, sql, kind ? "tt" : "t", tenant, kind);

    if (r >= 0)
        r = store_step(s, st, NULL);
    if (r < 0)
        return r;
    *ret = r > 0 ? sqlite3_column_int64(st, 0) : 0;
    return 0;
}

int store_set_hold(struct store *s, const char *tenant, const char *kind, int64_t until, struct err *e)
{
    int r = until ? store_run(s, e, "INSERT OR REPLACE INTO holds (tenant, kind, until) VALUES (?, ?, ?)",
                        "tti", tenant, kind, until)
                  : store_run(s, e, "DELETE FROM holds WHERE tenant = ? AND kind = ?", "tt", tenant, kind);

    return MIN(r, 0);
}

int store_get_hold(struct store *s, const char *tenant, const char *kind, int64_t *ret_until)
{
    return get_time(s, "SELECT until FROM holds WHERE tenant = ? AND kind = ?", tenant, kind, ret_until);
}

int store_set_quarantine(struct store *s, const char *tenant, int64_t since, struct err *e)
{
    int r = since ? store_run(s, e, "INSERT OR REPLACE INTO quarantines (tenant, since) VALUES (?, ?)", "ti",
                        tenant, since)
                  : store_run(s, e, "DELETE FROM quarantines WHERE tenant = ?", "t", tenant);

    return MIN(r, 0);
}

int store_get_quarantine(struct store *s, const char *tenant, int64_t *ret_since)
{
    return get_time(s, "SELECT since FROM quarantines WHERE tenant = ?", tenant, NULL, ret_since);
}

int store_start(struct store *s, int64_t now, int64_t since, uint32_t *ret_count, struct err *e)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r = store_run(s, e, "INSERT INTO starts (at) VALUES (?)", "i", now);

    if (r >= 0)
        r = store_prepare(
            s, &st, e, "SELECT count(*) FROM starts WHERE at >= ? AND at <= ?", "ii", since, now);
    if (r >= 0)
        r = store_step(s, st, e);
    if (r < 0)
        return r;
    *ret_count = (uint32_t)sqlite3_column_int(st, 0);
    /* The count is right without this write: a disk that is full only now does not matter. */
    (void)!store_run(s, NULL, "DELETE FROM starts WHERE at < ? OR at > ?", "ii", since, now);
    return 0;
}

/* ---------------------------------------------------------------- events */

int store_event_add(struct store *s, int64_t now, const char *tenant, const char *component, const char *kind,
    const char *text, int64_t *ret_seq, struct err *e)
{
    int r = store_run(s, e, "INSERT INTO events (at, tenant, component, kind, text) VALUES (?, ?, ?, ?, ?)",
        "itttt", now, tenant, component, kind, text ? text : "");

    if (r < 0)
        return r;
    if (ret_seq)
        *ret_seq = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int store_events(struct store *s, const char *tenant, int64_t since, uint32_t limit, store_event_fn fn,
    void *userdata, struct err *e)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r;

    if (tenant)
        r = store_prepare(s, &st, e,
            "SELECT * FROM (SELECT seq, at, tenant, component, kind, text FROM events WHERE tenant = ? AND "
            "at >= ?"
            " ORDER BY seq DESC LIMIT ?) ORDER BY seq",
            "tii", tenant, since, (int64_t)limit);
    else
        r = store_prepare(s, &st, e,
            "SELECT * FROM (SELECT seq, at, tenant, component, kind, text FROM events WHERE at >= ?"
            " ORDER BY seq DESC LIMIT ?) ORDER BY seq",
            "ii", since, (int64_t)limit);
    if (r < 0)
        return r;
    while ((r = store_step(s, st, e)) > 0) {
        struct store_event ev = {.seq = sqlite3_column_int64(st, 0),
            .at = sqlite3_column_int64(st, 1),
            .tenant = store_column_text(st, 2),
            .component = store_column_text(st, 3),
            .kind = store_column_text(st, 4),
            .text = store_column_text(st, 5)};

        if (!ev.kind || !ev.text)
            return err_set(e, -ENOMEM, "out of memory");
        r = fn(&ev, userdata);
        if (r < 0)
            return r;
    }
    return r;
}

/* ---------------------------------------------------------------- specs */

int store_set_spec(struct store *s, const char *tenant, const char *json, struct err *e)
{
    int r;

    if (strlen(json) > STORE_SPEC_MAX)
        return err_set(e, -E2BIG, "the container's description is larger than 1 MiB");
    r = store_run(s, e, "INSERT OR REPLACE INTO specs (tenant, json) VALUES (?, ?)", "tT", tenant, json);
    return MIN(r, 0);
}

/* The first column of the one row that `key` names, as a copy. */
static int get_text(struct store *s, const char *sql, const char *key, char **ret, struct err *e)
{
    _cleanup_stmt_ sqlite3_stmt *st = NULL;
    int r = store_prepare(s, &st, e, sql, "t", key);
    const char *text;
    char *copy;

    if (r >= 0)
        r = store_step(s, st, e);
    if (r < 0)
        return r;
    if (r == 0)
        return err_set(e, -ENOENT, "nothing is kept of %s yet", key);
    text = store_column_text(st, 0);
    copy = text ? strdup(text) : NULL;
    if (!copy)
        return err_set(e, -ENOMEM, "out of memory");
    *ret = copy;
    return 0;
}

int store_get_spec(struct store *s, const char *tenant, char **ret, struct err *e)
{
    return get_text(s, "SELECT json FROM specs WHERE tenant = ?", tenant, ret, e);
}

int store_set_note(struct store *s, const char *key, const char *text, struct err *e)
{
    int r = store_run(s, e, "INSERT OR REPLACE INTO notes (key, text) VALUES (?, ?)", "tT", key, text);

    return MIN(r, 0);
}

int store_get_note(struct store *s, const char *key, char **ret, struct err *e)
{
    return get_text(s, "SELECT text FROM notes WHERE key = ?", key, ret, e);
}
