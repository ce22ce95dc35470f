# run.sh: the guest's part of tests/vm/test_daemon.sh. Prints one line per check; exits 1 if any failed.
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

cp -a root/. /
systemd-sysusers >/dev/null 2>&1
systemd-tmpfiles --create >/dev/null 2>&1
id clawsup-proxy >/dev/null && ok sysusers || bad sysusers
mkdir -p /data/a/workspace
cat > /etc/clawsup/clawsup.conf <<'C'
recovery = { observe = "0s"; settling = "2s"; safe_starts = 100; };
metrics_file = "/run/clawsup.prom";
C
chmod 640 /etc/clawsup/clawsup.conf
cat > /etc/clawsup/tenants.d/a-b.conf <<'C'
tenant: {
  slug = "a-b"; data_root = "/data/a";
  proxy = { bind_mount_from = [ "/data/a/workspace" ]; images = [ "busybox:test" ]; health = { timeout = "5s"; }; };
  gateway = { image = "busybox:test"; stop_timeout = "1s";
    command = [ "sh", "-c", "mkdir -p /www; echo '{\"ok\":true}' > /www/healthz; exec httpd -f -p 18789 -h /www" ];
    publish = [ "127.0.0.1:18801:18789" ];
    health = { url = "http://127.0.0.1:18801/healthz"; expect_json = { ok = true; }; timeout = "10s"; start_deadline = "120s"; }; };
  limits = { cpus = 0.5; memory = "128M"; pids = 100; sandbox = { cpus = 0.5; memory = "64M"; pids = 50; max_containers = 3; }; };
  recovery = { l1 = { stable = "3s"; }; hold = "5s"; };
};
C
clawsup check-config && ok check-config || bad check-config

# ---- the unit starts, and says when it is ready
systemctl daemon-reload
systemctl start clawsupd && ok start || { bad start; journalctl -u clawsupd --no-pager | tail -40; }
check active active "$(systemctl is-active clawsupd)"
wait_for 120 healthy 'clawsup status'
clawsup status
clawsup status a-b

# ---- limits: the gateway lives in the tenant's slice
slice='clawsup-a\x2db.slice'
d="/sys/fs/cgroup/clawsup.slice/$slice"
pid=$(docker inspect -f '{{.State.Pid}}' openclaw-gw-a-b)
grep -qF "$slice" /proc/$pid/cgroup && ok gateway.in.slice || bad "gateway.in.slice: $(cat /proc/$pid/cgroup)"
check memory.max 134217728 "$(cat "$d/memory.max")"
check cpu.max "50000 100000" "$(cat "$d/cpu.max")"
check pids.max 100 "$(cat "$d/pids.max")"
check status.level '"level": "slice"' "$(clawsup status a-b --json | tr -d '\n' | grep -o '"level": *"slice"' | head -1 | sed 's/: */: /')"

# ---- a sandbox made through the proxy lives there too
sock=unix:///run/clawsup/a-b/docker.sock
box=$(docker -H $sock create --name openclaw-sbx-a-b-1 --network none busybox:test sleep 600)
docker -H $sock start $box >/dev/null
bpid=$(docker inspect -f '{{.State.Pid}}' $box)
grep -qF "$slice" /proc/$bpid/cgroup && ok sandbox.in.slice || bad "sandbox.in.slice: $(cat /proc/$bpid/cgroup)"
check exec hello "$(docker -H $sock exec $box echo hello)"
# a bind below the workspace is staged, and the engine, outside of our mount namespace, sees it
mkdir -p /data/a/workspace/sub; echo staged > /data/a/workspace/sub/f
bind=$(docker -H $sock create --name openclaw-sbx-a-b-2 --network none -v /data/a/workspace/sub:/w busybox:test cat /w/f)
[ -n "$bind" ] && check staged staged "$(docker -H $sock start -a $bind)"

# ---- drift of the slice
systemctl set-property --runtime "$slice" MemoryMax=64M TasksMax=7
wait_for 30 slice.drift "[ \$(cat '$d/memory.max') = 134217728 ] && [ \$(cat '$d/pids.max') = 100 ]"

# ---- the proxy killed
proxy=$(cut -d' ' -f1 /run/clawsup/.supervisor/proxy/a-b.pid)
grep -qF clawsup-proxy /proc/$proxy/cmdline && ok proxy.pid || bad proxy.pid
check proxy.uid "$(id -u clawsup-proxy)" "$(awk '/^Uid:/ {print $2}' /proc/$proxy/status)"
check proxy.caps 0000000000000000 "$(awk '/^CapEff:/ {print $2}' /proc/$proxy/status)"
check proxy.nnp 1 "$(awk '/^NoNewPrivs:/ {print $2}' /proc/$proxy/status)"
check proxy.seccomp 2 "$(awk '/^Seccomp:/ {print $2}' /proc/$proxy/status)"
kill -9 $proxy
check ping.after.kill OK "$(curl -s -m 20 --unix-socket /run/clawsup/a-b/docker.sock http://d/_ping)"

# ---- restart of the daemon: gateway and proxy go on
wait_for 60 healthy.again 'clawsup status'
proxy=$(cut -d' ' -f1 /run/clawsup/.supervisor/proxy/a-b.pid)
started=$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a-b)
systemctl restart clawsupd
wait_for 60 healthy.after.restart 'clawsup status'
check proxy.adopted $proxy "$(cut -d' ' -f1 /run/clawsup/.supervisor/proxy/a-b.pid)"
[ -d /proc/$proxy ] && ok proxy.lives || bad proxy.lives
check gateway.untouched "$started" "$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a-b)"

# ---- daemon and proxy killed at once: systemd keeps the socket, a client waits in it
main=$(systemctl show -p MainPID --value clawsupd)
inode=$(stat -c %i /run/clawsup/a-b/docker.sock)
kill -9 $main $proxy
check ping.after.both OK "$(curl -s -m 60 --unix-socket /run/clawsup/a-b/docker.sock http://d/_ping)"
check same.socket $inode "$(stat -c %i /run/clawsup/a-b/docker.sock)"
wait_for 60 healthy.after.both 'clawsup status'
proxy=$(cut -d' ' -f1 /run/clawsup/.supervisor/proxy/a-b.pid)
check gateway.still.untouched "$started" "$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a-b)"

# ---- reload
echo '# changed' >> /etc/clawsup/clawsup.conf
systemctl reload clawsupd && ok reload || bad reload
check active.after.reload active "$(systemctl is-active clawsupd)"

# ---- a stuck loop is killed by the watchdog and started again; the tenant does not notice
main=$(systemctl show -p MainPID --value clawsupd)
kill -STOP $main
wait_for 90 watchdog "[ \$(systemctl show -p MainPID --value clawsupd) != $main ] && clawsup status"
check gateway.after.watchdog "$started" "$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a-b)"
[ -d /proc/$proxy ] && ok proxy.after.watchdog || bad proxy.after.watchdog

# ---- the engine restarted: the gateway goes down with it and comes back
docker rm -f $box >/dev/null # busybox as PID 1 ignores SIGTERM: it would hold the engine up for 10 s
systemctl restart docker
wait_for 120 healthy.after.docker "clawsup status && [ \"\$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a-b)\" != '$started' ]"
curl -s -m 5 http://127.0.0.1:18801/healthz | grep -q '"ok":true' && ok gateway.answers || bad gateway.answers

# ---- journal fields, doctor, stop
journalctl -u clawsupd CLAWSUP_TENANT=a-b --no-pager | grep -q healthy && ok journal.fields || bad journal.fields
clawsup doctor || :
systemctl stop clawsupd
check gateway.after.stop true "$(docker inspect -f '{{.State.Running}}' openclaw-gw-a-b)"
check result success "$(systemctl show -p Result --value clawsupd)"
exit $failed
