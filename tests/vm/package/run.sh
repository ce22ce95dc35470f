# run.sh: the guest's part of tests/vm/test_package.sh. Prints one line per check; exits 1 if any failed.
failed=0
ok() { echo "ok $1"; }
bad() { echo "FAIL $1"; failed=1; }
check() { # NAME WANT GOT
	if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: want '$2', got '$3'"; fi
}
wait_for() { # SECONDS NAME COMMAND
	local end=$(($(date +%s) + $1))
	until sh -c "$3" >/dev/null 2>&1; do
		if [ "$(date +%s)" -ge $end ]; then bad "$2: waited $1 s in vain for: $3"; return 1; fi
		sleep 0.3
	done
	ok "$2"
}
install() { # DEB
	DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold "$1" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; return 1; }
}

dpkg -i libyaml*.deb >/dev/null || bad libyaml

# ---- installed: nothing runs until somebody has configured it
install old.deb && ok install || bad install
check disabled disabled "$(systemctl is-enabled clawsupd)"
check inactive inactive "$(systemctl is-active clawsupd)"
id clawsup-proxy >/dev/null && ok sysusers || bad sysusers
check conf.mode 640 "$(stat -c %a /etc/clawsup/clawsup.conf)"
check tenants.mode 750 "$(stat -c %a /etc/clawsup/tenants.d)"
clawsup check-config && ok check-config || bad check-config

mkdir -p /data/a/workspace
cat > /etc/clawsup/clawsup.conf <<'C'
# what the operator wrote
recovery = { observe = "0s"; settling = "2s"; safe_starts = 100; };
C
cat > /etc/clawsup/tenants.d/a.conf <<'C'
tenant: {
  slug = "a"; data_root = "/data/a";
  proxy = { images = [ "busybox:test" ]; health = { timeout = "5s"; }; };
  gateway = { image = "busybox:test"; stop_timeout = "1s";
    command = [ "sh", "-c", "mkdir -p /www; echo ok > /www/healthz; exec httpd -f -p 18789 -h /www" ];
    publish = [ "127.0.0.1:18801:18789" ];
    health = { url = "http://127.0.0.1:18801/healthz"; timeout = "10s"; start_deadline = "120s"; }; };
  limits = { memory = "128M"; pids = 100; sandbox = { memory = "64M"; pids = 50; max_containers = 3; }; };
};
C
# a configuration with errors: said once, not started again and again
echo 'nonsense = 1;' > /etc/clawsup/tenants.d/b.conf
systemctl start clawsupd >/dev/null 2>&1 && bad refused || ok refused
sleep 3
check not.restarted "failed 0" "$(systemctl is-failed clawsupd) $(systemctl show -p NRestarts --value clawsupd)"
rm /etc/clawsup/tenants.d/b.conf
systemctl reset-failed clawsupd
systemctl enable --now clawsupd >/dev/null 2>&1
wait_for 120 healthy 'clawsup status'

# ---- upgraded: the daemon is another, the tenant's gateway and its proxy are the same
gateway=$(docker inspect -f '{{.Id}} {{.State.StartedAt}}' openclaw-gw-a)
proxy=$(cut -d' ' -f1 /run/clawsup/.supervisor/proxy/a.pid)
before="$(systemctl show -p MainPID,ExecMainStartTimestampMonotonic clawsupd)"
install new.deb && ok upgrade || bad upgrade
check version "$(dpkg-deb -f new.deb Version)" "$(dpkg-query -W -f '${Version}' clawsup)"
wait_for 60 healthy.after.upgrade 'clawsup status'
check enabled enabled "$(systemctl is-enabled clawsupd)"
check gateway.untouched "$gateway" "$(docker inspect -f '{{.Id}} {{.State.StartedAt}}' openclaw-gw-a)"
check proxy.untouched "$proxy" "$(cut -d' ' -f1 /run/clawsup/.supervisor/proxy/a.pid)"
check runs.the.new.file 0 "$(readlink /proc/$(systemctl show -p MainPID --value clawsupd)/exe | grep -c deleted)"
grep -q 'what the operator wrote' /etc/clawsup/clawsup.conf && ok conffile.kept || bad conffile.kept
ls /etc/clawsup/*.dpkg-* >/dev/null 2>&1 && bad conffile.question || ok conffile.question

# ---- the tutorial; its waits are bounded by the time-out
timeout 240 bash -exo pipefail tutorial.sh >/tmp/tutorial.log 2>&1 && ok tutorial || { bad "tutorial (exit $?)"; tail -n 25 /tmp/tutorial.log; }

# ---- removed: gateways keep running; purged: what clawsup made for itself is gone, what is a tenant's stays
dpkg -r clawsup >/dev/null 2>&1 && ok remove || bad remove
check stopped inactive "$(systemctl is-active clawsupd)"
check gateway.goes.on true "$(docker inspect -f '{{.State.Running}}' openclaw-gw-a)"
dpkg -P clawsup >/tmp/purge.log 2>&1 && ok purge || bad purge
[ ! -e /var/lib/clawsup/state.db ] && ok state.gone || bad state.gone
[ -e /etc/clawsup/tenants.d/a.conf ] && ok tenant.kept || bad tenant.kept
[ -d /data/a/workspace ] && ok data.kept || bad data.kept
ls /usr/bin/clawsup /usr/sbin/clawsupd >/dev/null 2>&1 && bad files.gone || ok files.gone
docker rm -f openclaw-gw-a >/dev/null
exit $failed
