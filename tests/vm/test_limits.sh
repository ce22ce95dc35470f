#!/bin/bash
# test_limits.sh: limits that are gone past or changed from outside: OOM kills, fork bombs and pressure are told with
# their victim, drift is put right, what cannot be is stopped. See tests/vm/limits/run.sh.
exec "$(dirname "$0")/installed" limits "${1:-400}"
