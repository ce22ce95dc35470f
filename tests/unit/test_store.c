/* test_store.c: the state database: what was promised is there after a reopen, a crash, a full disk, damage.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "daemon/store.h"
#include "fixture_dir.h"

#define NOW INT64_C(1780000000000000)
#define HOUR ((int64_t)USEC_PER_HOUR)

static char dir[64];

static void make_dir(void)
{
    fixture_new(dir, sizeof(dir));
}

static void remove_dir(void)
{
    fixture_free(dir);
}

TestSuite(store, .init = make_dir, .fini = remove_dir);

static struct store *open_at(const char *where, int want)
{
    struct err e = {};
    struct store *s = NULL;
    int r = store_open(where, NOW, &s, &e);

    cr_assert_eq(r, want, "%d: %s", r, e.msg);
    cr_assert_not_null(s);
    return s;
}

static int intent(struct store *s, int64_t now, const char *reason, int64_t *id)
{
    return store_intent(s, now, "a", "gateway", 1, 2, reason, id, NULL);
}

struct seen {
    size_t n;
    char text[512];
    int stop_at;
};

static int see_action(const struct store_action *a, void *userdata)
{
    struct seen *s = userdata;
    size_t used = strlen(s->text);

    (void)snprintf(s->text + used, sizeof(s->text) - used, "%s/%s:%d.%d(%s)=%d;", a->tenant, a->component,
        a->type, a->level, a->reason, a->result);
    return s->stop_at && (int)++s->n == s->stop_at ? -ECANCELED : 0;
}

static int see_event(const struct store_event *ev, void *userdata)
{
    struct seen *s = userdata;
    size_t used = strlen(s->text);

    s->n++;
    (void)snprintf(s->text + used, sizeof(s->text) - used, "%s/%s %s %s;", ev->tenant ? ev->tenant : "-",
        ev->component ? ev->component : "-", ev->kind, ev->text);
    return 0;
}

Test(store, files)
{
    _cleanup_store_ struct store *s = open_at(dir, 0);
    char path[96];
    struct stat st;

    cr_assert_not_null(s);
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
    (void)snprintf(path, sizeof(path), "%s/state.db-wal", dir);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
}

Test(store, makes_directory)
{
    char sub[80];
    struct stat st;

    (void)snprintf(sub, sizeof(sub), "%s/state", dir);
    (void)store_close(open_at(sub, 0));
    cr_assert_eq(stat(sub, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0700);
}

Test(store, actions)
{
    struct store *s = open_at(dir, 0);
    struct seen seen = {};
    int64_t first, second, third;

    cr_assert_eq(intent(s, NOW - 25 * HOUR, "old", &first), 0);
    cr_assert_eq(intent(s, NOW - HOUR, "3 probes failed", &second), 0);
    cr_assert_eq(intent(s, NOW, "exited", &third), 0);
    cr_assert_eq(store_result(s, NOW, second, 0, "ok", NULL), 0);
    cr_expect_eq(store_result(s, NOW, second, 0, "again", NULL), -ENOENT, "a result is written once");
    cr_expect_eq(store_result(s, NOW, 999, 0, "ok", NULL), -ENOENT);
    (void)store_close(s);

    s = open_at(dir, 0);
    cr_assert_eq(store_actions(s, NOW - 24 * HOUR, see_action, &seen, NULL), 0);
    cr_expect_str_eq(seen.text, "a/gateway:1.2(3 probes failed)=0;a/gateway:1.2(exited)=-1;");
    cr_assert_eq(store_close_intents(s, NOW, 3, "found running", NULL), 0);
    seen = (struct seen){};
    cr_assert_eq(store_actions(s, 0, see_action, &seen, NULL), 0);
    cr_expect_str_eq(
        seen.text, "a/gateway:1.2(old)=3;a/gateway:1.2(3 probes failed)=0;a/gateway:1.2(exited)=3;");
    seen = (struct seen){.stop_at = 2};
    cr_expect_eq(store_actions(s, 0, see_action, &seen, NULL), -ECANCELED, "the callback ends the walk");
    (void)store_close(s);
}

Test(store, forgets_old_actions)
{
    struct store *s = open_at(dir, 0);
    struct seen seen = {};
    int64_t id;

    cr_assert_eq(intent(s, NOW - 31 * 24 * HOUR, "done", &id), 0);
    cr_assert_eq(store_result(s, NOW - 31 * 24 * HOUR, id, 0, NULL, NULL), 0);
    cr_assert_eq(intent(s, NOW - 31 * 24 * HOUR, "open", &id), 0);
    (void)store_close(s);
    s = open_at(dir, 0);
    cr_assert_eq(store_actions(s, 0, see_action, &seen, NULL), 0);
    cr_expect_str_eq(seen.text, "a/gateway:1.2(open)=-1;", "an intent without a result is never forgotten");
    (void)store_close(s);
}

Test(store, holds_and_quarantine)
{
    struct store *s = open_at(dir, 0);
    int64_t t = -1;

    cr_assert_eq(store_get_hold(s, "a", "pause", &t), 0);
    cr_expect_eq(t, 0);
    cr_assert_eq(store_set_hold(s, "a", "pause", NOW + HOUR, NULL), 0);
    cr_assert_eq(store_set_hold(s, "a", "pause", NOW + 2 * HOUR, NULL), 0);
    cr_assert_eq(store_set_hold(s, "a", "hold", NOW + 3 * HOUR, NULL), 0);
    cr_assert_eq(store_set_quarantine(s, "b", NOW - HOUR, NULL), 0);
    (void)store_close(s);
    s = open_at(dir, 0);
    cr_assert_eq(store_get_hold(s, "a", "pause", &t), 0);
    cr_expect_eq(t, NOW + 2 * HOUR);
    cr_assert_eq(store_get_hold(s, "b", "pause", &t), 0);
    cr_expect_eq(t, 0);
    cr_assert_eq(store_set_hold(s, "a", "pause", 0, NULL), 0);
    cr_assert_eq(store_get_hold(s, "a", "pause", &t), 0);
    cr_expect_eq(t, 0);
    cr_assert_eq(store_get_hold(s, "a", "hold", &t), 0);
    cr_expect_eq(t, NOW + 3 * HOUR, "the other kind stays");
    cr_assert_eq(store_get_quarantine(s, "b", &t), 0);
    cr_expect_eq(t, NOW - HOUR);
    cr_assert_eq(store_set_quarantine(s, "b", 0, NULL), 0);
    cr_assert_eq(store_get_quarantine(s, "b", &t), 0);
    cr_expect_eq(t, 0);
    (void)store_close(s);
}

Test(store, starts)
{
    struct store *s = open_at(dir, 0);
    int64_t window = 5 * (int64_t)USEC_PER_MINUTE;
    uint32_t n = 0;

    cr_assert_eq(store_start(s, NOW + 24 * HOUR, NOW, &n, NULL), 0); /* before the clock was set back */
    cr_assert_eq(store_start(s, NOW, NOW - window, &n, NULL), 0);
    cr_expect_eq(n, 1);
    cr_assert_eq(store_start(s, NOW + 1000000, NOW + 1000000 - window, &n, NULL), 0);
    cr_expect_eq(n, 2);
    (void)store_close(s);
    s = open_at(dir, 0);
    cr_assert_eq(store_start(s, NOW + window, NOW, &n, NULL), 0);
    cr_expect_eq(n, 3);
    cr_assert_eq(store_start(s, NOW + window + 2000000, NOW + 2000000, &n, NULL), 0);
    cr_expect_eq(n, 2);
    (void)store_close(s);
}

Test(store, events)
{
    _cleanup_store_ struct store *s = open_at(dir, 0);
    struct seen seen = {};
    int64_t seq = 0;

    cr_assert_eq(store_event_add(s, NOW, "a", "gateway", "died", "status 1", &seq, NULL), 0);
    cr_expect_eq(seq, 1);
    cr_assert_eq(store_event_add(s, NOW + 1, NULL, NULL, "engine-down", "no answer", NULL, NULL), 0);
    cr_assert_eq(store_event_add(s, NOW + 2, "a", NULL, "restarted", NULL, &seq, NULL), 0);
    cr_expect_eq(seq, 3);
    cr_assert_eq(store_events(s, NULL, 0, 2, see_event, &seen, NULL), 0);
    cr_expect_str_eq(seen.text, "-/- engine-down no answer;a/- restarted ;", "the last two, oldest first");
    seen = (struct seen){};
    cr_assert_eq(store_events(s, "a", 0, 10, see_event, &seen, NULL), 0);
    cr_expect_str_eq(seen.text, "a/gateway died status 1;a/- restarted ;");
    seen = (struct seen){};
    cr_assert_eq(store_events(s, "a", NOW + 1, 10, see_event, &seen, NULL), 0);
    cr_expect_str_eq(seen.text, "a/- restarted ;");
}

/* Inserts what would take too long one by one, through a connection of its own. */
static void fill_events(int n)
{
    char path[96], sql[256];
    sqlite3 *db = NULL;

    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    (void)snprintf(sql, sizeof(sql),
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d)"
        " INSERT INTO events (at, kind, text) SELECT n, 'k', 't' FROM c",
        n);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    (void)sqlite3_close(db);
}

static int count_event(const struct store_event *ev, void *userdata)
{
    int64_t *first_and_n = userdata;

    if (first_and_n[1]++ == 0)
        first_and_n[0] = ev->seq;
    return 0;
}

Test(store, events_are_pruned)
{
    struct store *s = open_at(dir, 0);
    int64_t seen[2] = {};

    (void)store_close(s);
    fill_events(STORE_EVENTS_MAX + 20);
    s = open_at(dir, 0);
    cr_assert_eq(store_event_add(s, NOW, NULL, NULL, "k", "t", NULL, NULL), 0);
    cr_assert_eq(store_events(s, NULL, 0, UINT32_MAX, count_event, seen, NULL), 0);
    cr_expect_eq(seen[1], STORE_EVENTS_MAX);
    cr_expect_eq(seen[0], 22);
    (void)store_close(s);
}

Test(store, long_text_is_cut_between_characters)
{
    _cleanup_store_ struct store *s = open_at(dir, 0);
    char text[STORE_TEXT_MAX + 64];
    struct seen seen = {};
    int64_t id;

    memset(text, 'x', sizeof(text));
    memcpy(text + STORE_TEXT_MAX - 1, "\xc3\xa4", 2); /* straddles the limit */
    text[sizeof(text) - 1] = '\0';
    cr_assert_eq(store_event_add(s, NOW, NULL, NULL, "k", text, &id, NULL), 0);
    cr_assert_eq(store_events(s, NULL, 0, 1, see_event, &seen, NULL), 0);
    cr_expect(str_startswith(seen.text, "-/- k xxxx"));
    (void)store_close(TAKE_PTR(s));

    char path[96], got[32] = "";
    sqlite3 *db;
    sqlite3_stmt *st;
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(
        sqlite3_prepare_v2(db, "SELECT length(CAST(text AS BLOB)) FROM events", -1, &st, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(st), SQLITE_ROW);
    (void)snprintf(got, sizeof(got), "%s", (const char *)sqlite3_column_text(st, 0));
    cr_expect_str_eq(got, "2047");
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
}

Test(store, specs)
{
    _cleanup_store_ struct store *s = open_at(dir, 0);
    _cleanup_free_ char *big = malloc(STORE_SPEC_MAX + 2), *got = NULL;
    char *none = NULL;

    cr_expect_eq(store_get_spec(s, "a", &none, NULL), -ENOENT);
    memset(big, 'x', STORE_SPEC_MAX + 1);
    big[STORE_SPEC_MAX + 1] = '\0';
    cr_expect_eq(store_set_spec(s, "a", big, NULL), -E2BIG);
    cr_assert_eq(store_set_spec(s, "a", "{\"Image\":\"x\"}", NULL), 0);
    big[STORE_SPEC_MAX] = '\0';
    cr_assert_eq(store_set_spec(s, "b", big, NULL), 0, "uncut up to the limit");
    cr_assert_eq(store_get_spec(s, "a", &got, NULL), 0);
    cr_expect_str_eq(got, "{\"Image\":\"x\"}");
    free(TAKE_PTR(got));
    cr_assert_eq(store_get_spec(s, "b", &got, NULL), 0);
    cr_expect_eq(strlen(got), STORE_SPEC_MAX);
}

/* Copies a file, at most `max` bytes of it. */
static void copy(const char *from, const char *to, size_t max)
{
    _cleanup_free_ char *data = NULL;
    size_t n;
    int fd;

    cr_assert_eq(fd_read_file(from, 16 << 20, &data, &n), 0, "%s", from);
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fd_write_all(fd, data, MIN(n, max)), 0);
    (void)fd_close(fd);
}

/* What is on disk while the database is open is what a crash leaves: it must hold every call that returned.
 */
Test(store, survives_a_crash)
{
    _cleanup_store_ struct store *s = open_at(dir, 0);
    char from[2][96], to[2][96], sub[80];
    struct stat st;
    int64_t id, t;

    cr_assert_eq(intent(s, NOW, "first", &id), 0);
    cr_assert_eq(store_set_quarantine(s, "a", NOW, NULL), 0);
    (void)snprintf(sub, sizeof(sub), "%s/crash", dir);
    cr_assert_eq(mkdir(sub, 0700), 0);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(from[i], sizeof(from[i]), "%s/state.db%s", dir, i ? "-wal" : "");
        (void)snprintf(to[i], sizeof(to[i]), "%s/state.db%s", sub, i ? "-wal" : "");
        copy(from[i], to[i], SIZE_MAX);
    }
    for (int torn = 0; torn < 2; torn++) {
        struct store *after = open_at(sub, 0);
        struct seen seen = {};

        cr_assert_eq(store_actions(after, 0, see_action, &seen, NULL), 0);
        cr_expect_str_eq(seen.text, "a/gateway:1.2(first)=-1;", "the intent without result is there");
        cr_assert_eq(store_get_quarantine(after, "a", &t), 0);
        cr_expect_eq(t, torn ? 0 : NOW, "whole or not at all");
        (void)store_close(after);
        /* Again with the last write torn in its middle. */
        cr_assert_eq(stat(from[1], &st), 0);
        copy(from[0], to[0], SIZE_MAX);
        copy(from[1], to[1], (size_t)st.st_size - 100);
    }
}

Test(store, second_process_is_refused)
{
    _cleanup_store_ struct store *s = open_at(dir, 0), *other = NULL;
    struct err e = {};
    int64_t t;

    cr_expect_eq(store_open(dir, NOW, &other, &e), -EBUSY);
    cr_expect(strstr(e.msg, "locked"), "%s", e.msg);
    cr_expect_eq(store_get_quarantine(other, "a", &t), -EBUSY);
    cr_expect_eq(store_set_quarantine(s, "a", NOW, NULL), 0, "the first is not disturbed");
}

static void overwrite(const char *name, off_t at, const char *with)
{
    char path[96];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, with, strlen(with), at), (ssize_t)strlen(with));
    (void)fd_close(fd);
}

static size_t count_files(const char *tail)
{
    char pattern[96];
    glob_t g;
    size_t n = 0;

    (void)snprintf(pattern, sizeof(pattern), "%s/%s", dir, tail);
    if (glob(pattern, 0, NULL, &g) == 0) {
        n = g.gl_pathc;
        globfree(&g);
    }
    return n;
}

Test(store, damaged_is_moved_aside)
{
    struct err e = {};
    struct store *s = NULL;
    int64_t id;

    for (int i = 1; i <= 2; i++) { /* twice in one second: nothing is overwritten */
        overwrite("state.db", 0, "this is not a database at all, but long enough to look at");
        cr_assert_eq(store_open(dir, NOW, &s, &e), 1, "%s", e.msg);
        cr_expect(strstr(e.msg, i == 1 ? "corrupt-1780000000," : "corrupt-1780000001,"), "%s", e.msg);
        cr_expect_eq(intent(s, NOW, "new", &id), 0);
        s = store_close(s);
        cr_expect_eq(count_files("state.db.corrupt-*"), (size_t)i);
    }
}

Test(store, damage_inside_is_found)
{
    struct store *s = open_at(dir, 0);
    char junk[600];

    for (int i = 0; i < 50; i++)
        cr_assert_eq(store_event_add(s, NOW, "a", "gateway", "kind", "text", NULL, NULL), 0);
    s = store_close(s);
    memset(junk, 'Z', sizeof(junk));
    junk[sizeof(junk) - 1] = '\0';
    overwrite("state.db", 4096, junk);
    (void)store_close(open_at(dir, 1));
    cr_expect_eq(count_files("state.db.corrupt-*"), 1U);
}

Test(store, newer_version_is_left_alone)
{
    struct store *s = open_at(dir, 0);
    struct err e = {};
    sqlite3 *db;
    char path[96];

    (void)store_close(s);
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    cr_expect_eq(store_open(dir, NOW, &s, &e), -EPROTONOSUPPORT);
    cr_expect(strstr(e.msg, "version 99"), "%s", e.msg);
    cr_expect_eq(count_files("state.db.corrupt-*"), 0U);
    (void)store_close(s);
}

Test(store, missing_directory_and_null)
{
    struct store *s = NULL;
    struct err e = {};
    int64_t t;

    cr_expect_eq(store_open("/nonexistent/clawsup", NOW, &s, &e), -ENOENT);
    cr_expect(strstr(e.msg, "/nonexistent/clawsup/state.db"), "%s", e.msg);
    cr_expect_eq(store_get_quarantine(s, "a", &t), -ENOENT, "a store that keeps nothing");
    (void)store_close(s);
    cr_expect_eq(store_set_quarantine(NULL, "a", 1, &e), -ENOMEM);
    cr_expect_null(store_close(NULL));
}

/* A tmpfs in a mount namespace of this test's process; false where that is not allowed. */
static bool small_disk(const char *size)
{
    char options[32];

    (void)snprintf(options, sizeof(options), "size=%s", size);
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, options) == 0;
}

static void eat_disk(void)
{
    char path[96], block[4096] = {1};
    int fd;

    (void)snprintf(path, sizeof(path), "%s/ballast", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    (void)fd_close(fd);
}

Test(store, full_disk)
{
    struct store *s;
    struct seen seen = {};
    struct err e = {};
    char text[1500], path[96];
    int64_t id, written = 0;
    int r = 0;

    if (!small_disk("1m"))
        cr_skip_test("no mount namespace here");
    s = open_at(dir, 0);
    eat_disk();
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 2000 && r >= 0; i++, written += r >= 0)
        r = intent(s, NOW, text, &id);
    cr_assert_eq(r, -ENOSPC, "%d", r);
    cr_expect_eq(store_event_add(s, NOW, "a", NULL, "k", text, NULL, &e), -ENOSPC);
    cr_expect(strstr(e.msg, "full"), "%s", e.msg);

    (void)snprintf(path, sizeof(path), "%s/ballast", dir);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(store_event_add(s, NOW, "a", NULL, "k", "room again", NULL, &e), 0, "%s", e.msg);
    cr_expect_eq(intent(s, NOW + 1, "last", &id), 0);
    (void)store_close(s);
    s = open_at(dir, 0);
    cr_assert_eq(store_actions(s, NOW + 1, see_action, &seen, NULL), 0);
    cr_expect_str_eq(seen.text, "a/gateway:1.2(last)=-1;");
    (void)store_close(s);
    cr_expect_eq(count_files("state.db.corrupt-*"), 0U, "full is not corrupt");
    (void)umount(dir);
}

Test(store, full_disk_at_the_start)
{
    struct store *s = NULL;
    struct err e = {};
    char path[96];
    int64_t id;

    if (!small_disk("64k"))
        cr_skip_test("no mount namespace here");
    eat_disk();
    cr_expect_eq(store_open(dir, NOW, &s, &e), -ENOSPC, "%s", e.msg);
    cr_expect_eq(intent(s, NOW, "x", &id), -ENOSPC);
    (void)snprintf(path, sizeof(path), "%s/ballast", dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mount(NULL, dir, NULL, MS_REMOUNT, "size=1m"), 0);
    cr_expect_eq(intent(s, NOW, "x", &id), 0, "opened by itself once there is room");
    (void)store_close(s);
    (void)umount(dir);
}

Test(store, read_only_disk)
{
    struct store *s = NULL;
    struct err e = {};

    if (!small_disk("1m"))
        cr_skip_test("no mount namespace here");
    cr_assert_eq(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    cr_expect_eq(store_open(dir, NOW, &s, &e), -EROFS, "%s", e.msg);
    (void)store_close(s);
    (void)umount(dir);
}
