# run.sh: the guest's part of tests/vm/test_limits.sh.
. ./lib.sh
install_clawsup
tenant a 18801 'cpus = 1.0; memory = "160M"; pids = 200; on_pressure = "throttle"; pressure = { memory = 5; cpu = 30; hold = "3s"; };
  sandbox = { cpus = 0.5; memory = "48M"; pids = 30; max_containers = 8; };'
[ ! -e long ] || tenant b 18802 'cpus = 0.5; memory = "96M"; pids = 100; enforce = "best-effort"; sandbox = { cpus = 0.5; memory = "48M"; pids = 30; };'
start_clawsupd
wait_for 120 healthy 'clawsup status'
d=$(slice_dir a)
gateway=$(docker inspect -f '{{.Id}}' openclaw-gw-a)
metric() { grep "^$1" /run/clawsup.prom | sed 's/.* //'; }
scope() { echo "$d/docker-$1.scope"; }

# ---- a memory bomb: its own limit, the whole sandbox goes, and the journal names it
box=$(tenant_docker a run -d --name openclaw-sbx-a-mem --network none busybox:test sh -c 'sleep 600 & while [ ! -e /tmp/go ]; do sleep 0.2; done; tail /dev/zero')
wait_for 30 oom.group "[ \$(cat $(scope $box)/memory.oom.group) = 1 ]"
check oom.group.not.gateway 0 "$(cat $(scope $gateway)/memory.oom.group)"
tenant_docker a exec $box touch /tmp/go
wait_for 60 oom.whole.sandbox "[ \$(docker inspect -f '{{.State.Running}}' $box) = false ]"
wait_for 30 oom.told "journalctl -u clawsupd -o cat --no-pager | grep -q 'out of memory in openclaw-sbx-a-mem'"
wait_for 60 oom.counted "awk '/^clawsup_oom_kills_total\\{tenant=\"a\"/ { exit !(\$2 > 0) }' /run/clawsup.prom"
journalctl -u clawsupd -o json --no-pager MESSAGE_ID=b37b444e0927463080e606e043ed4347 | grep -q '"CLAWSUP_TENANT":"a"' && ok oom.fields || bad oom.fields
check gateway.untouched true "$(docker inspect -f '{{.State.Running}}' openclaw-gw-a)"

# ---- a fork bomb ends at the cap, and is told
bomb=$(tenant_docker a run -d --name openclaw-sbx-a-fork --network none busybox:test sh -c 'f() { sleep 300 & }; i=0; while [ $i -lt 100 ]; do (f) ; i=$((i+1)); done; sleep 300')
wait_for 60 fork.told "journalctl -u clawsupd -o cat --no-pager | grep -q 'openclaw-sbx-a-fork is at its cap of processes'"
wait_for 60 fork.counted "awk '/^clawsup_forks_refused_total\\{tenant=\"a\"/ { exit !(\$2 > 0) }' /run/clawsup.prom"
docker rm -f $bomb >/dev/null

# ---- drift of a sandbox: by the engine, and past it
box=$(tenant_docker a run -d --name openclaw-sbx-a-drift --network none --memory 32m busybox:test sleep 600)
sleep 1
docker update --memory 128m --memory-swap 128m --pids-limit 500 $box >/dev/null
wait_for 30 update.put.right "[ \$(cat $(scope $box)/memory.max) = 50331648 ] && [ \$(cat $(scope $box)/pids.max) = 30 ]"
systemctl set-property --runtime docker-$box.scope MemoryMax=256M TasksMax=1000
wait_for 30 set-property.put.right "[ \$(cat $(scope $box)/memory.max) = 50331648 ] && [ \$(cat $(scope $box)/pids.max) = 30 ]"
# ---- outside of the slice: stopped when strict, told when best-effort
out=$(docker run -d --name openclaw-sbx-a-out --network none --label clawsup.tenant=a --label clawsup.role=sandbox busybox:test sleep 600)
wait_for 30 outside.stopped "[ \$(docker inspect -f '{{.State.Running}}' $out) = false ]"
journal_has 'openclaw-sbx-a-out runs outside of the tenant' && ok outside.told || bad outside.told
wait_for 60 stops.counted "awk '/^clawsup_limits_stops_total\\{tenant=\"a\"/ { exit !(\$2 > 0) }' /run/clawsup.prom"
# ---- a tenant whose limits do not fit is not admitted, and is told
clawsup capacity
check capacity.committed 167772160 "$(clawsup capacity --json | tr -d ' \n' | grep -o '"resource":"memory".*' | grep -o '"committed":[0-9]*' | head -1 | cut -d: -f2)"
tenant huge 18809 'memory = "900G";'
clawsup reload
clawsup capacity | grep -q 'not admitted: huge: it wants 900G of memory' && ok refused.shown || bad refused.shown
check refused.not.supervised "" "$(clawsup status --plain --no-heading | cut -f1 | grep huge)"
journalctl -u clawsupd -x --no-pager MESSAGE_ID=5c8e2a7b90d14f6d8e3b1f4a6c2d7e95 | grep -q 'Tenant huge does not fit' && ok refused.catalog || bad refused.catalog
rm /etc/clawsup/tenants.d/huge.conf
clawsup reload
check refused.forgotten "" "$(clawsup capacity | grep 'not admitted')"

# ---- the rest takes minutes: VM_LONG=1
if [ -e long ]; then
# within its caps it may be changed
docker update --memory 24m --memory-swap 24m $box >/dev/null
sleep 7
check below.the.cap 25165824 "$(cat $(scope $box)/memory.max)"
# the gateway
docker update --pids-limit 900 openclaw-gw-a >/dev/null
wait_for 30 gateway.put.right "[ \$(docker inspect -f '{{.HostConfig.PidsLimit}}' openclaw-gw-a) = 200 ]"
check gateway.same $gateway "$(docker inspect -f '{{.Id}}' openclaw-gw-a)"

# ---- CPU pressure: told, the gateway suspect, the tenant slowed down, and back at full speed
for i in 1 2 3; do tenant_docker a run -d --name openclaw-sbx-a-cpu$i --network none busybox:test sh -c 'while :; do :; done' >/dev/null; done
wait_for 60 pressure.told "journalctl -u clawsupd -o cat --no-pager | grep -q 'cpu pressure'"
wait_for 60 throttled "[ \"\$(cat $d/cpu.max)\" = '50000 100000' ] && [ \$(cat $d/cpu.weight) = 1 ]"
wait_for 60 throttled.status "clawsup status a | grep -q 'slowed down'"
wait_for 60 suspect "journalctl -u clawsupd -o cat --no-pager | grep -qE 'a/gateway.*suspect|gateway: suspect|suspect.*cpu pressure' || clawsup events a | grep -q 'under cpu pressure'"
docker rm -f openclaw-sbx-a-cpu1 openclaw-sbx-a-cpu2 openclaw-sbx-a-cpu3 >/dev/null
wait_for 60 unthrottled "[ \"\$(cat $d/cpu.max)\" = '100000 100000' ] && [ \$(cat $d/cpu.weight) = 100 ]"
wait_for 60 healthy.again 'clawsup status a'

soft=$(docker run -d --name openclaw-sbx-b-out --network none --label clawsup.tenant=b --label clawsup.role=sandbox busybox:test sleep 600)
wait_for 30 best.effort.told "journalctl -u clawsupd -o cat --no-pager | grep -q 'openclaw-sbx-b-out runs outside'"
check best.effort.runs true "$(docker inspect -f '{{.State.Running}}' $soft)"
# moved out while it runs, past the engine and systemd
pid=$(docker inspect -f '{{.State.Pid}}' $box)
mkdir -p /sys/fs/cgroup/elsewhere && echo $pid > /sys/fs/cgroup/elsewhere/cgroup.procs
wait_for 30 moved.stopped "[ \$(docker inspect -f '{{.State.Running}}' $box) = false ]"

fi

clawsup status a
awk '/_total|throttled/ && /tenant="a"/ && (/limits|pressure|oom|forks|period/)' /run/clawsup.prom
journalctl -x -u clawsupd --no-pager MESSAGE_ID=f3bf5a5c5cb14a2cb71c7c4b5bd0b0b1 | head -12
exit $failed
