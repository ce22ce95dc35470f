/* test_journal.c: the fields of a journal entry, when the journal is used at all, and that message ids and
 * catalog name the same transitions. Run from the top of the tree. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "daemon/journal.h"
#include "daemon/messages.h"

static bool has(const struct journal_entry *e, const char *field)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->iov[i].iov_len == strlen(field) && memcmp(e->iov[i].iov_base, field, strlen(field)) == 0)
            return true;
    return false;
}

Test(journal, an_entry_has_all_fields)
{
    const struct log_fields f = {MESSAGE_TENANT_QUARANTINED, "acme", "gateway", "17"};
    struct journal_entry e;

    journal_fill(&e, "clawsupd", LOG_WARNING, &f, "gave up = really");
    cr_expect_eq(e.n, 7);
    cr_expect(has(&e, "MESSAGE=gave up = really"));
    cr_expect(has(&e, "PRIORITY=4"));
    cr_expect(has(&e, "SYSLOG_IDENTIFIER=clawsupd"));
    cr_expect(has(&e, "MESSAGE_ID=" MESSAGE_TENANT_QUARANTINED));
    cr_expect(has(&e, "CLAWSUP_TENANT=acme"));
    cr_expect(has(&e, "CLAWSUP_COMPONENT=gateway"));
    cr_expect(has(&e, "CLAWSUP_ACTION_ID=17"));
}

Test(journal, fields_that_are_not_there_are_left_out)
{
    const struct log_fields f = {.tenant = "acme"};
    struct journal_entry e;

    journal_fill(&e, "x", LOG_ERR, NULL, "text");
    cr_expect_eq(e.n, 3);
    journal_fill(&e, "x", LOG_ERR, &f, "text");
    cr_expect_eq(e.n, 4);
}

Test(journal, a_field_that_does_not_fit_is_dropped_whole)
{
    struct log_fields f = {0};
    struct journal_entry e;
    char text[2048], tenant[3000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(tenant, 'y', sizeof(tenant) - 1);
    tenant[sizeof(tenant) - 1] = '\0';
    f.tenant = tenant;
    f.component = "gateway";
    journal_fill(&e, "x", LOG_ERR, &f, text);
    cr_expect_eq(e.iov[0].iov_len, strlen("MESSAGE=") + strlen(text));
    cr_expect(has(&e, "CLAWSUP_COMPONENT=gateway"));
    cr_expect_eq(e.n, 4);
}

Test(journal, only_the_stream_of_stderr_counts)
{
    struct stat st = {.st_dev = 8, .st_ino = 1234};

    cr_expect(journal_stream_is("8:1234", &st));
    cr_expect_not(journal_stream_is("8:12345", &st));
    cr_expect_not(journal_stream_is("9:1234", &st));
    cr_expect_not(journal_stream_is("", &st));
    cr_expect_eq(unsetenv("JOURNAL_STREAM"), 0);
    cr_expect_eq(journal_setup("x"), 0);
    cr_expect_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    cr_expect_eq(journal_setup("x"), 0);
}

Test(journal, each_state_has_its_own_id)
{
    for (enum rec_state s = 0; s < _REC_STATE_MAX; s++) {
        cr_expect(str_is_hex(message_for_component(s), 32));
        for (enum rec_state t = 0; t < s; t++)
            cr_expect_str_neq(message_for_component(s), message_for_component(t));
    }
    for (enum rec_host_state s = 0; s < _REC_HOST_STATE_MAX; s++)
        cr_expect(str_is_hex(message_for_host(s), 32));
    cr_expect_null(message_for_component(_REC_STATE_MAX));
    cr_expect_null(message_for_host(_REC_HOST_STATE_MAX));
}

/* Counts the lines of `text` that hold `before` and then 32 hex digits; each must stand once in `other`. */
static size_t ids_in(const char *text, const char *before, const char *other, const char *other_before)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, before)) != NULL; p += strlen(before)) {
        char id[33] = "", want[64];
        const char *at;

        (void)snprintf(id, sizeof(id), "%.32s", p + strlen(before));
        if (!str_is_hex(id, 32))
            continue;
        n++;
        (void)snprintf(want, sizeof(want), "%s%s", other_before, id);
        at = strstr(other, want);
        cr_expect_not_null(at, "%s is missing on the other side", id);
        cr_expect(!at || !strstr(at + 1, want), "%s is there twice", id);
    }
    return n;
}

Test(journal, every_id_is_explained_in_the_catalog_and_the_other_way_round)
{
    _cleanup_free_ char *header = NULL, *catalog = NULL;
    size_t n;

    cr_assert_geq(fd_read_file("supervisor/daemon/messages.h", 65536, &header, NULL), 0);
    cr_assert_geq(fd_read_file("units/clawsup.catalog", 65536, &catalog, NULL), 0);
    n = ids_in(header, " \"", catalog, "\n-- ");
    cr_expect_gt(n, 30);
    cr_expect_eq(ids_in(catalog, "\n-- ", header, " \""), n);
}
