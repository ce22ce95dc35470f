# run.sh: the guest's part of tests/vm/test_disk.sh. Prints one line per check; exits 1 if any failed.
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
modprobe loop
command -v mkfs.ext4 e2fsck resize2fs >/dev/null && ok e2fsprogs || bad e2fsprogs
mkdir -p /data/a/workspace /data/b
cat > /etc/clawsup/clawsup.conf <<'C'
recovery = { observe = "0s"; settling = "2s"; safe_starts = 100; };
metrics_file = "/run/clawsup.prom"; metrics_interval = "1s"; disk_reserve = "64M";
C
tenant() { # SLUG PORT DISK
	cat > /etc/clawsup/tenants.d/$1.conf <<-C
	tenant: { slug = "$1"; data_root = "/data/$1";
	  proxy = { bind_mount_from = [ "/data/$1/workspace" ]; images = [ "busybox:test" ]; health = { timeout = "5s"; }; };
	  gateway = { image = "busybox:test"; stop_timeout = "1s";
	    command = [ "sh", "-c", "mkdir -p /www; echo '{\\"ok\\":true}' > /www/healthz; exec httpd -f -p 18789 -h /www" ];
	    publish = [ "127.0.0.1:$2:18789" ];
	    health = { url = "http://127.0.0.1:$2/healthz"; expect_json = { ok = true; }; timeout = "10s"; start_deadline = "120s"; }; };
	  limits = { disk = "$3"; sandbox = { memory = "64M"; }; };
	  recovery = { l1 = { stable = "3s"; }; hold = "5s"; }; };
	C
}
tenant a 18801 64M
tenant b 18802 64M
systemctl daemon-reload
systemctl start clawsupd && ok start || { bad start; journalctl -u clawsupd --no-pager | tail -40; }
wait_for 180 healthy 'clawsup status'
check mounted.a ext4 "$(findmnt -no FSTYPE /data/a)"
findmnt -no OPTIONS /data/a | grep -q nosuid.*nodev && ok options || bad "options: $(findmnt -no OPTIONS /data/a)"
check direct.io 1 "$(cat /sys/block/$(basename "$(findmnt -no SOURCE /data/a)")/loop/dio)"
clawsup status a

# ---- the story: an agent converts two hundred videos; its own writes fail, nobody else's
sock=unix:///run/clawsup/a/docker.sock
box=$(docker -H $sock create --name openclaw-sbx-a-1 --network none -v /data/a/workspace:/w busybox:test \
	sh -c 'i=0; while [ $i -lt 200 ]; do dd if=/dev/zero of=/w/video$i bs=1M count=1 2>/w/err || exit 9; i=$((i+1)); done')
docker -H $sock start -a $box
check enospc 9 "$(docker inspect -f '{{.State.ExitCode}}' $box)"
wait_for 30 log.line "journalctl -u clawsupd --no-pager CLAWSUP_TENANT=a | grep -q 'its disk is full'"
wait_for 30 metric "grep -q '^clawsup_disk_full{tenant=\"a\"} 1' /run/clawsup.prom"
dd if=/dev/zero of=/data/b/f bs=1M count=20 2>/dev/null && ok neighbour.writes || bad neighbour.writes
dd if=/dev/zero of=/var/tmp/f bs=1M count=20 2>/dev/null && ok host.writes || bad host.writes
curl -s -m 10 http://127.0.0.1:18802/healthz | grep -q '"ok":true' && ok neighbour.answers || bad neighbour.answers

# ---- more of it, while everything runs
started=$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a)
tenant a 18801 128M
systemctl reload clawsupd
wait_for 60 grown '[ $(df --output=size -BM /data/a | tail -1 | tr -dc 0-9) -gt 100 ]'
dd if=/dev/zero of=/data/a/more bs=1M count=20 2>/dev/null && ok grown.writes || bad grown.writes
check gateway.untouched "$started" "$(docker inspect -f '{{.State.StartedAt}}' openclaw-gw-a)"
wait_for 30 room.again "grep -q '^clawsup_disk_full{tenant=\"a\"} 0' /run/clawsup.prom"
tenant a 18801 64M
systemctl reload clawsupd
wait_for 30 shrink.refused "clawsup status a | grep -q 'never shrunk'"
tenant a 18801 128M
systemctl reload clawsupd

# ---- clawsupd stops: the disk stays, the gateway goes on
echo kept > /data/a/kept
systemctl stop clawsupd
check stays.mounted ext4 "$(findmnt -no FSTYPE /data/a)"
check gateway.goes.on true "$(docker inspect -f '{{.State.Running}}' openclaw-gw-a)"

# ---- as after a reboot, with faults in the file system: checked, mounted, and only then the gateway
docker stop -t 1 openclaw-gw-a >/dev/null
umount /run/clawsup/.supervisor/staging/a/* # of the sandbox, which lives on the same file system
umount /data/a
wait_for 30 released '! losetup -a | grep -q a.img'
debugfs -w -R 'ssv free_blocks_count 7' /var/lib/clawsup/images/a.img 2>/dev/null
debugfs -w -R 'ssv state 2' /var/lib/clawsup/images/a.img 2>/dev/null
[ ! -e /data/a/kept ] && ok below.is.empty || bad below.is.empty
systemctl start clawsupd
wait_for 120 healthy.again 'clawsup status'
check content kept "$(docker exec openclaw-gw-a cat /data/a/kept)"
journalctl -u clawsupd --no-pager CLAWSUP_TENANT=a | grep -q 'e2fsck found faults' && ok fsck || bad fsck
clawsup doctor | grep disk
exit $failed
