# run.sh: the guest's part of tests/vm/test_attacks.sh: the suite against the guest's own engine.
cp -a root/. /
getent group docker >/dev/null || groupadd docker
cd /clawsup || exit 1
CLAWTEST_API=$(docker version -f '{{.Server.APIVersion}}')
echo "engine $(docker version -f '{{.Server.Version}}'), API $CLAWTEST_API"
export CLAWTEST_API CLAWSUP_DOCKER_SOCK=/run/docker.sock CLAWTEST_SLOW=10
which=$(sed 's,^,tests/attack/,' /payload/which)
# shellcheck disable=SC2086
LD_LIBRARY_PATH=/opt/lib PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -q -p no:cacheprovider -p no:unraisableexception --tb=short \
	--durations=12 $which
