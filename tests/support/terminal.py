"""terminal.py: a program in a real terminal: tmux with a server of its own. Screens are read as text; a test waits for what
it wants to see and never for a time."""

import os
import shlex
import subprocess
import tempfile

from clawtest import wait_for


class Terminal:
    def __init__(self, width=80, height=24):
        self.dir = tempfile.mkdtemp(prefix="clawtest-tty-")
        self.sock, self.width, self.height = self.dir + "/tmux", width, height
        # The shell stays when the program has ended, so that the last screen can be read.
        env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR", "CLAWSUP_SOCKET", "COLUMNS", "LINES")}
        subprocess.run(["tmux", "-S", self.sock, "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                        "env PS1='ready$ ' LC_ALL=C.UTF-8 sh"], check=True, timeout=30, env=env)
        self.until("ready$")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.sock, *args], check=True, timeout=30, capture_output=True, text=True).stdout

    def run(self, *args):
        self.type(" ".join(shlex.quote(a) for a in args), "Enter")

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, width, height):
        self.width, self.height = width, height
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, colour=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if colour else []))

    def cursor_shown(self):
        return self.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def until(self, *texts, gone=(), seconds=60):
        """Waits until the screen has all of `texts` and none of `gone`; returns it."""
        last = [""]

        def there():
            last[0] = self.screen()
            return all(t in last[0] for t in texts) and not any(t in last[0] for t in gone)
        try:
            wait_for(there, seconds, "")
        except AssertionError:
            raise AssertionError("%r never came; the screen:\n%s" % (texts, last[0])) from None
        return last[0]

    def close(self):
        subprocess.run(["tmux", "-S", self.sock, "kill-server"], check=False, timeout=30, capture_output=True)
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        os.rmdir(self.dir)
