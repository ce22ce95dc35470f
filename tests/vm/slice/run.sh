# run.sh: the guest's part of tests/vm/test_slices.sh. Prints one line per check; exits 1 if any failed.
failed=0
tool=/payload/slice_tool
cg=/sys/fs/cgroup/clawsup.slice
check() { # NAME WANT GOT
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		echo "FAIL $1: want '$2', got '$3'"
		failed=1
	fi
}

# ---- what the host allows
docker info --format '{{json .}}' > /tmp/info.json
$tool host /tmp/info.json > /tmp/host.txt
cat /tmp/host.txt
check level "level=slice why=" "$(grep ^level /tmp/host.txt)"
check bus "systemd=1 bus=1 psi=1" "$(grep -o 'systemd=.*psi=.' /tmp/host.txt)"
check driver systemd "$(sed -n 's/.*driver=\([a-z]*\).*/\1/p' /tmp/host.txt)"

# ---- the parent, then two tenants of which one's name has a dash
check parent 0 "$($tool apply clawsup.slice 0 1073741824 0; echo $?)"
check parent.memory.max 1073741824 "$(cat $cg/memory.max)"
check apply 0 "$($tool apply clawsup-acme.slice 500000000 134217728 100; echo $?)"
check apply.dash 0 "$($tool apply 'clawsup-a\x2db.slice' 1500000000 67108864 50; echo $?)"
d=$cg/clawsup-acme.slice
check memory.max 134217728 "$(cat $d/memory.max)"
check memory.high 120795136 "$(cat $d/memory.high)" # 90 %, in whole pages
check memory.swap.max 0 "$(cat $d/memory.swap.max)"
check cpu.max "50000 100000" "$(cat $d/cpu.max)"
check cpu.weight 100 "$(cat $d/cpu.weight)"
check pids.max 100 "$(cat $d/pids.max)"
check dash.cpu.max "150000 100000" "$(cat "$cg/clawsup-a\\x2db.slice/cpu.max")"
check dash.nesting no "$([ -e $cg/clawsup-a.slice ] && echo yes || echo no)"

# ---- a container inside; the engine takes the slice as CgroupParent
id=$(docker run -d --network none --cgroup-parent clawsup-acme.slice busybox:test sleep 600)
check populated populated=1 "$($tool show clawsup-acme.slice | grep populated)"
pid=$(docker inspect -f '{{.State.Pid}}' "$id")
check inside clawsup-acme.slice "$(grep -o 'clawsup-acme.slice' /proc/"$pid"/cgroup | head -1)"
check pid.read 0 "$($tool pid "$pid" | grep -q memory_current; echo $?)"
check stop.busy 1 "$($tool stop clawsup-acme.slice 2>/dev/null; echo $?)"
check still.running true "$(docker inspect -f '{{.State.Running}}' "$id")"

# ---- the cap holds for the tenant: 96 MiB of slice for a container without a limit of its own
check shrink 0 "$($tool apply clawsup-acme.slice 500000000 33554432 100; echo $?)"
check shrunk 33554432 "$(cat $d/memory.max)"
docker run --rm --network none --cgroup-parent clawsup-acme.slice busybox:test \
	sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=60; dd if=/dev/zero bs=60M count=1 of=/dev/null' >/dev/null 2>&1
check oom.counted yes "$([ "$($tool show clawsup-acme.slice | sed -n 's/oom_kills=//p')" -gt 0 ] && echo yes)"

# ---- drift: somebody changes the slice; it is seen, and applying again repairs it
check drift.none 0 "$($tool drift clawsup-acme.slice 500000000 33554432 100 >/dev/null; echo $?)"
systemctl set-property --runtime clawsup-acme.slice MemoryMax=64M TasksMax=7
$tool drift clawsup-acme.slice 500000000 33554432 100
check drift.status 2 $?
$tool apply clawsup-acme.slice 500000000 33554432 100
check drift.repaired 0 "$($tool drift clawsup-acme.slice 500000000 33554432 100 >/dev/null; echo $?)"
$tool apply clawsup-acme.slice 0 0 0
check lifted "max 100000 max max" "$(cat $d/cpu.max) $(cat $d/memory.max) $(cat $d/pids.max)"

# ---- many at once
for i in $(seq 20); do $tool apply "clawsup-t$i.slice" 100000000 16777216 10 & done
wait
check many 20 "$(ls -d $cg/clawsup-t*.slice | wc -l)"
for i in $(seq 20); do $tool stop "clawsup-t$i.slice" || failed=1; done
check many.gone 0 "$(ls -d $cg/clawsup-t*.slice 2>/dev/null | wc -l)"

# ---- an empty slice goes, and leaves nothing
docker rm -f "$id" >/dev/null
check stop 0 "$($tool stop clawsup-acme.slice; echo $?)"
check gone no "$([ -e $d ] && echo yes || echo no)"
check stop.again 0 "$($tool stop clawsup-acme.slice; echo $?)"
check leftovers "" "$(find /run/systemd /etc/systemd -name '*clawsup-acme*')"
check refused 1 "$($tool stop system.slice 2>/dev/null; echo $?)"

# ---- the tenants' cgroups where clawsup is the writer: the files' formats, tried on the same kernel
check cgroup.apply 0 "$($tool cgroup apply acme 250000000 67108864 20; echo $?)"
d=/sys/fs/cgroup/clawsup/acme
check cgroup.values "25000 100000 67108864 0 20" \
	"$(cat $d/cpu.max $d/memory.max $d/memory.swap.max $d/pids.max | tr '\n' ' ' | sed 's/ $//')"
sleep 60 &
sleeper=$!
mkdir $d/child && echo $sleeper > $d/child/cgroup.procs
check cgroup.busy 1 "$($tool cgroup remove acme 2>/dev/null; echo $?)"
kill $sleeper
wait $sleeper 2>/dev/null
rmdir $d/child
check cgroup.removed 0 "$($tool cgroup remove acme; echo $?)"
check cgroup.gone no "$([ -e $d ] && echo yes || echo no)"
exit $failed
