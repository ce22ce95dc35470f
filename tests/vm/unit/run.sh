# run.sh: the guest's part of tests/vm/test_unit.sh: clawsupd.service as it is installed, with a stand-in for the
# program, so that what the unit itself promises is seen under systemd: capabilities, mounts that reach the host,
# children that survive a restart. Prints one line per check; exits 1 if any failed.
failed=0
check() { # NAME WANT GOT
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		echo "FAIL $1: want '$2', got '$3'"
		failed=1
	fi
}

cp -r /payload/tree/* /
cat > /usr/sbin/clawsupd <<'X'
#!/bin/sh
# plays the supervisor: one child that outlives it, one bind mount, what it may and may not
if ! kill -0 "$(cat /run/clawsup/child 2>/dev/null)" 2>/dev/null; then
	sleep 1000 &
	echo $! > /run/clawsup/child
	mkdir -p /run/clawsup/a /run/clawsup/b
	echo inside > /run/clawsup/a/file
	mount --bind /run/clawsup/a /run/clawsup/b
fi
# itself in one leaf, the child in another; no controllers for them: a restart would then fail (EBUSY)
cg=/sys/fs/cgroup/system.slice/clawsupd.service
mkdir -p $cg/supervisor $cg/proxies
cat /run/clawsup/child > $cg/proxies/cgroup.procs
echo $$ > $cg/supervisor/cgroup.procs
{
	grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status
	readlink /proc/self/ns/mnt
	unshare -m true 2>/dev/null && echo may-unshare
	dd if=/dev/vda of=/dev/null bs=512 count=1 2>/dev/null && echo may-read-disk
	mknod /run/clawsup/null c 1 3 2>/dev/null && echo may-mknod
	date -s @0 >/dev/null 2>&1 && echo may-set-clock
	modprobe dummy 2>/dev/null && echo may-load-modules
} > /run/clawsup/report
trap 'touch /run/clawsup/reloaded' HUP
systemd-notify --ready
while :; do sleep 1 & wait $!; systemd-notify WATCHDOG=1; done
X
chmod 755 /usr/sbin/clawsupd
# systemd-notify is a child of the shell: only this stand-in needs more than NotifyAccess=main
mkdir -p /run/systemd/system/clawsupd.service.d
printf '[Service]\nNotifyAccess=all\n' > /run/systemd/system/clawsupd.service.d/stand-in.conf
systemd-sysusers
systemd-tmpfiles --create clawsup.conf
systemctl daemon-reload
check user "clawsup-proxy /usr/sbin/nologin" "$(getent passwd clawsup-proxy | awk -F: '{print $1, $7}')"
check group clawsup "$(getent group clawsup | cut -d: -f1)"
check tmpfiles "755 750" "$(stat -c %a /run/clawsup /etc/clawsup/tenants.d | tr '\n' ' ' | sed 's/ $//')"

systemctl start clawsupd
check active active "$(systemctl is-active clawsupd)"
cat /run/clawsup/report
check no.forbidden "" "$(grep ^may- /run/clawsup/report)"
check capabilities "$(systemctl show -p CapabilityBoundingSet --value clawsupd | tr ' ' '\n' | sort | tr '\n' ' ')" \
	"cap_chown cap_dac_override cap_fowner cap_kill cap_setgid cap_setpcap cap_setuid cap_sys_admin cap_sys_resource "
check no.new.privileges 1 "$(sed -n 's/^NoNewPrivs:\t//p' /run/clawsup/report)"
check seccomp 2 "$(sed -n 's/^Seccomp:\t//p' /run/clawsup/report)"
check mount.namespace "$(readlink /proc/1/ns/mnt)" "$(grep ^mnt: /run/clawsup/report)"
check mount.seen.by.host inside "$(cat /run/clawsup/b/file)"
check mount.seen.by.engine inside \
	"$(docker run --rm --network none -v /run/clawsup/b:/x:ro busybox:test cat /x/file 2>&1)"
check modes "755 700" "$(stat -c %a /run/clawsup /var/lib/clawsup | tr '\n' ' ' | sed 's/ $//')"

child=$(cat /run/clawsup/child)
systemctl restart clawsupd
check restart.active active "$(systemctl is-active clawsupd)"
check restart.child.lives 0 "$(kill -0 "$child"; echo $?)"
check restart.same.child "$child" "$(cat /run/clawsup/child)"
check restart.leaves "0 1" "$(wc -l < /sys/fs/cgroup/system.slice/clawsupd.service/cgroup.procs) $(
	grep -c "^$child$" /sys/fs/cgroup/system.slice/clawsupd.service/proxies/cgroup.procs)"
check restart.mount.stays inside "$(cat /run/clawsup/b/file)"
kill -9 "$(systemctl show -p MainPID --value clawsupd)"
sleep 8
check killed.active active "$(systemctl is-active clawsupd)"
check killed.child.lives 0 "$(kill -0 "$child"; echo $?)"
systemctl reload clawsupd
sleep 3
check reload yes "$([ -e /run/clawsup/reloaded ] && echo yes)"
systemctl restart docker
check engine.restart.leaves.it active "$(systemctl is-active clawsupd)"
systemctl stop clawsupd
check stop.child.lives 0 "$(kill -0 "$child"; echo $?)"
check stop.runtime.dir.stays yes "$([ -e /run/clawsup/child ] && echo yes)"
kill "$child"
umount /run/clawsup/b
exit $failed
