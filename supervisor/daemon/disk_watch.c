/* disk_watch.c: see disk_watch.h. Tells only; changes nothing. */
#include "daemon/disk_watch.h"

#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/disk_driver.h"
#include "daemon/messages.h"

/* A writer stops a little short of the last block: what it asked for in one piece did not fit. */
#define FULL_SLACK_BYTES ((uint64_t)1 << 20)
#define NEARLY_PERCENT 90
#define ROOM_PERCENT 85 /* below it, "nearly full" is over */

static bool above(uint64_t used, uint64_t limit, unsigned percent)
{
    return limit > 0 && used >= limit / 100 * percent;
}

static bool is_full(const struct disk_sample *s)
{
    return s->free_bytes < FULL_SLACK_BYTES || (s->limit_inodes && s->used_inodes >= s->limit_inodes);
}

static bool is_above(const struct disk_sample *s, unsigned percent)
{
    uint64_t used = s->limit_bytes > s->free_bytes ? s->limit_bytes - s->free_bytes : 0;

    return above(used, s->limit_bytes, percent) || above(s->used_inodes, s->limit_inodes, percent);
}

static void describe(const struct disk_sample *s, char *out, size_t n)
{
    char used[16], limit[16];

    str_format_size(used, sizeof(used), s->used_bytes);
    str_format_size(limit, sizeof(limit), s->limit_bytes);
    (void)snprintf(out, n, "%s of %s used, %llu of %llu inodes", used, limit,
        (unsigned long long)s->used_inodes, (unsigned long long)s->limit_inodes);
}

static void judge(struct tenant *t)
{
    struct tenant_disk *d = t->disk;
    bool full = is_full(&d->sample),
         nearly = is_above(&d->sample, d->nearly_full ? ROOM_PERCENT : NEARLY_PERCENT);
    char text[128];

    describe(&d->sample, text, sizeof(text));
    if (full && !d->full) {
        d->full = true;
        d->full_total++;
        manager_note(t, NULL, LOG_ERR, MESSAGE_DISK_FULL, "disk",
            "its disk is full: its own writes fail, nobody else's (%s)", text);
        t->manager->metrics_wanted = true;
    } else if (nearly && !d->nearly_full && !d->full) {
        manager_note(t, NULL, LOG_WARNING, MESSAGE_DISK_LOW, "disk", "its disk is nearly full (%s)", text);
    } else if (!nearly && (d->full || d->nearly_full)) {
        manager_note(t, NULL, LOG_NOTICE, MESSAGE_DISK_ROOM, "disk", "its disk has room again (%s)", text);
        d->full = false;
        t->manager->metrics_wanted = true;
    }
    d->nearly_full = nearly;
}

void disk_watch_tenant(struct tenant *t)
{
    struct tenant_disk *d = t->disk;

    if (!d || d->kind == DISK_KIND_EFFORT) /* counted, file by file */
        return;
    d->have_sample = (d->kind == DISK_KIND_IMAGE || d->kind == DISK_KIND_OWN) &&
                     d->state == DISK_STATE_READY && disk_read(t->config->data_root, &d->sample) >= 0;
    if (d->have_sample)
        judge(t);
}
