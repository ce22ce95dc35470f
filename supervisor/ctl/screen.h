/* screen.h: the terminal as a whole, for views that redraw in place (`status --watch`, `top`): another page
 * that goes away again, frames that do not flicker and fit, one key at a time. The terminal is given back
 * when the program ends by a signal, too. */
#pragma once

#include <stdio.h>

#include "base/defs.h"

struct screen;

/* Takes over standard output (a terminal). -ENOTTY, -ENOMEM. At most one at a time. */
int screen_new(struct screen **ret);
struct screen *screen_free(struct screen *s);
DEFINE_CLEANUP(struct screen *, screen_free)

/* Shows the lines of `text` from the top; what is too wide is cut, and the last line counts what is too long.
 * -EIO. */
int screen_draw(struct screen *s, const char *text);

/* Waits for so long, for a key (returned, > 0), or for a new size of the terminal (0, as after the time). 'q'
 * is returned when nobody can type any more. */
int screen_wait(struct screen *s, unsigned ms);

/* Columns of the terminal at standard output; 0: it is none, so nothing needs to be cut. */
unsigned screen_width(void);
