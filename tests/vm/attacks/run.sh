# run.sh: the guest's part of tests/vm/test_attacks.sh: the suite against the guest's own engine.
cp -a root/. /
getent group docker >/dev/null || groupadd docker
cd /clawsup || exit 1
CLAWTEST_API=$(docker version -f '{{.Server.APIVersion}}')
echo "engine $(docker version -f '{{.Server.Version}}'), API $CLAWTEST_API"
export CLAWTEST_API CLAWSUP_DOCKER_SOCK=/run/docker.sock CLAWTEST_SLOW=10
failed=0
cat /sys/kernel/security/lsm 2>/dev/null && echo
LD_LIBRARY_PATH=/opt/lib build/release/test_sandbox --tap=- > /run/out/sandbox.tap 2>&1 || failed=1
grep -E 'landlock|^not ok' /run/out/sandbox.tap
grep landlock /run/out/sandbox.tap | grep -q '^ok' || failed=1
grep landlock /run/out/sandbox.tap | grep -q SKIP && failed=1
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 LD_LIBRARY_PATH=/opt/lib PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -q -p no:cacheprovider -p no:unraisableexception --tb=short \
	--color=no --durations=12 -k "$(cat /payload/only)" tests/attack/test_attacks.py || failed=1
exit $failed
