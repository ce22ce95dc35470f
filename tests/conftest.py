# conftest.py: what every pytest directory shares: the support modules on the path, and the engine fixtures.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))

from clawtest import engine, image, workspace, docker_cli, start_proxy  # noqa: E402,F401
from clawd import daemon, make_daemon  # noqa: E402,F401
