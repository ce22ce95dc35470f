# lib.sh: what the guests' parts (tests/vm/*/run.sh) share. Each check prints one line; the script ends with `exit $failed`.
failed=0
T0=$(date +%s)
ok() { echo "ok $1 [$(($(date +%s) - T0))s]"; }
bad() { echo "FAIL $1"; failed=1; }
check() { # NAME WANT GOT
	if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: want '$2', got '$3'"; fi
}
wait_for() { # SECONDS NAME COMMAND: a condition, never a moment
	local end=$(($(date +%s) + $1))
	until sh -c "$3" >/dev/null 2>&1; do
		if [ "$(date +%s)" -ge $end ]; then bad "$2: waited $1 s in vain for: $3"; return 1; fi
		sleep 0.3
	done
	ok "$2"
}
now_ms() { date +%s%3N; }

install_clawsup() {
	cp -a root/. /
	systemd-sysusers >/dev/null 2>&1
	systemd-tmpfiles --create >/dev/null 2>&1
	cat > /etc/clawsup/clawsup.conf <<-'C'
	recovery = { observe = "0s"; settling = "2s"; safe_starts = 100; };
	metrics_file = "/run/clawsup.prom";
	C
	chmod 640 /etc/clawsup/clawsup.conf
	systemctl daemon-reload
	journalctl --update-catalog
}

# A tenant whose gateway answers /healthz on 127.0.0.1:PORT. LIMITS are the keys inside of its limits group.
tenant() { # SLUG PORT LIMITS
	mkdir -p "/data/$1/workspace"
	cat > "/etc/clawsup/tenants.d/$1.conf" <<-C
	tenant: {
	  slug = "$1"; data_root = "/data/$1";
	  proxy = { bind_mount_from = [ "/data/$1/workspace" ]; images = [ "busybox:test" ];
	            allow = { update = true; }; health = { timeout = "30s"; start_deadline = "60s"; }; };
	  gateway = { image = "busybox:test"; stop_timeout = "1s";
	    command = [ "sh", "-c", "mkdir -p /www; echo '{\"ok\":true}' > /www/healthz; exec httpd -f -p 18789 -h /www" ];
	    publish = [ "127.0.0.1:$2:18789" ];
	    health = { url = "http://127.0.0.1:$2/healthz"; expect_json = { ok = true; }; timeout = "30s"; start_deadline = "120s"; }; };
	  limits = { $3 };
	  recovery = { l1 = { stable = "3s"; }; hold = "5s"; };
	};
	C
}
slice_dir() { # SLUG
	echo "/sys/fs/cgroup/clawsup.slice/clawsup-$(echo "$1" | sed 's/-/\\x2d/g').slice"
}
tenant_docker() { # SLUG ARGUMENT...: as the tenant's gateway would, through its proxy
	local slug=$1
	shift
	docker -H "unix:///run/clawsup/$slug/docker.sock" "$@"
}
journal_has() { # PATTERN
	journalctl -u clawsupd --no-pager -o cat | grep -qE "$1"
}
# Without it the rest would only wait in vain.
start_clawsupd() {
	clawsup check-config >/tmp/check-config 2>&1 || { cat /tmp/check-config; bad check-config; exit 1; }
	systemctl start clawsupd || { bad start; exit 1; }
	ok start
}
