/* test_err.c: the reason of a failure: what comes first, and where it is cut. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

Test(err, prefix_goes_first)
{
    struct err e = {0};

    cr_assert_eq(err_set(&e, -EINVAL, "line %d", 3), -EINVAL);
    cr_assert_eq(err_prefix(&e, -ENOENT, "%s", "tenants.d/a.conf"), -ENOENT);
    cr_assert_str_eq(e.msg, "tenants.d/a.conf: line 3");
    cr_assert_eq(err_set(NULL, -EINVAL, "nobody asks"), -EINVAL);
    cr_assert_eq(err_prefix(NULL, -EINVAL, "nobody asks"), -EINVAL);
}

Test(err, cut_at_the_end)
{
    struct err e = {0};
    char text[2 * sizeof(e.msg)];

    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)err_set(&e, -EINVAL, "why");
    (void)err_prefix(&e, -EINVAL, "%s", text);
    cr_assert_eq(strlen(e.msg), sizeof(e.msg) - 1);

    text[sizeof(e.msg) - 4] = '\0'; /* room for ": " and one byte */
    (void)err_set(&e, -EINVAL, "why");
    (void)err_prefix(&e, -EINVAL, "%s", text);
    cr_assert_str_eq(e.msg + sizeof(e.msg) - 5, "a: w");

    (void)err_set(&e, -EINVAL, "%s", text);
    (void)err_prefix(&e, -EINVAL, "file");
    cr_assert_eq(strlen(e.msg), sizeof(e.msg) - 1);
    cr_assert(strncmp(e.msg, "file: aaa", 9) == 0);
}
