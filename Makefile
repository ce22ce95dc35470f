# clawsup: one non-recursive Makefile. Objects live under build/FLAVOUR; a stamp of the flags rebuilds what a
# changed flag touches. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
FLAVOUR ?= release
WERROR ?= 0
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
# Tests that need Debian's Python packages (pytest) name the distribution's interpreter.
PYTHON ?= /usr/bin/python3

B := build/$(FLAVOUR)

# V=1 shows the commands.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-6s %s\n' $(1)
endif

WARN := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wcast-qual \
	-Wpointer-arith -Wconversion -Wsign-conversion -Wnull-dereference -Wswitch-enum -Wundef -Wvla
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed
CPPFLAGS_ALL := -D_GNU_SOURCE -DCLAWSUP_VERSION='"$(VERSION)"' -DCLAWSUP_PREFIX='"$(PREFIX)"' \
	-DCLAWSUP_SYSCONFDIR='"$(SYSCONFDIR)"' -Isupervisor -Ichecks -I. $(CPPFLAGS)
CFLAGS_ALL := -std=gnu17 -g -fno-common $(WARN) $(HARDEN)
LDFLAGS_ALL := $(HARDEN_LD)
ifeq ($(WERROR),1)
CFLAGS_ALL += -Werror
endif

ifeq ($(FLAVOUR),asan)
# gcc loses the ranges that show a cut as deliberate once it instruments the code
CFLAGS_ALL += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	$(if $(findstring clang,$(CC)),,-Wno-format-truncation)
LDFLAGS_ALL += -fsanitize=address,undefined
else ifeq ($(FLAVOUR),coverage)
CFLAGS_ALL += -O0 --coverage $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
LDFLAGS_ALL += --coverage
else ifeq ($(FLAVOUR),analyze)
# An inlined cleanup function hides from the analyzer that its variable began as NULL.
CFLAGS_ALL += -O1 -fno-early-inlining -fanalyzer -Werror
else ifeq ($(FLAVOUR),fuzz)
CC := clang
CFLAGS_ALL += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all \
	-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
LDFLAGS_ALL += -fsanitize=address,undefined
else
CFLAGS_ALL += -O2 -D_FORTIFY_SOURCE=3
endif
CFLAGS_ALL += $(CFLAGS)
LDFLAGS_ALL += $(LDFLAGS)

# ---------------------------------------------------------------- rooms, lowest first
ROOMS := base filter recovery config engine limits daemon proxy ctl
src = $(filter-out %/main.c,$(wildcard $(1)/*.c))
$(foreach r,$(ROOMS),$(eval SRC_$(r) := $(call src,supervisor/$(r))))
SRC_checks := $(call src,checks)
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

LIBS_jansson := $(shell $(PKG_CONFIG) --libs jansson)
LIBS_pcre2 := $(shell $(PKG_CONFIG) --libs libpcre2-8)
LIBS_proxy := $(LIBS_jansson) $(LIBS_pcre2) $(shell $(PKG_CONFIG) --libs libseccomp libcap-ng)
LIBS_ctl := $(LIBS_jansson) $(LIBS_pcre2) $(shell $(PKG_CONFIG) --libs smartcols libconfig libsystemd libcurl yaml-0.1)
LIBS_daemon := $(LIBS_jansson) $(LIBS_pcre2) $(shell $(PKG_CONFIG) --libs libsystemd libcurl libconfig sqlite3 libcap-ng) -lm

all: build/clawsupd build/clawsup build/clawsup-proxy

# Objects of a room go into one archive, so that a program links only what it uses.
define room_archive
$(B)/lib$(1).a: $$(call obj,$$(SRC_$(1)))
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS) checks,$(eval $(call room_archive,$(r))))

AR_proxy := $(B)/libproxy.a $(B)/libfilter.a $(B)/libbase.a
AR_daemon := $(B)/libdaemon.a $(B)/libchecks.a $(B)/libconfig.a $(B)/liblimits.a $(B)/libengine.a $(B)/librecovery.a $(B)/libfilter.a $(B)/libbase.a

$(B)/clawsup-proxy: $(B)/obj/supervisor/proxy/main.o $(AR_proxy)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_proxy)
$(B)/clawsupd: $(B)/obj/supervisor/daemon/main.o $(AR_daemon)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_daemon)
$(B)/clawsup: $(B)/obj/supervisor/ctl/main.o $(B)/libctl.a $(B)/libconfig.a $(B)/libchecks.a $(B)/liblimits.a $(B)/libengine.a $(B)/librecovery.a $(B)/libfilter.a $(B)/libbase.a
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_ctl)
build/%: $(B)/%
	@mkdir -p build && cp -f $< $@.tmp && mv -f $@.tmp $@
.PRECIOUS: $(B)/clawsupd $(B)/clawsup $(B)/clawsup-proxy

$(B)/flags.stamp: FORCE
	@mkdir -p $(B); printf '%s\n' '$(CC) $(subst ','\'',$(CPPFLAGS_ALL)) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@.tmp; \
	cmp -s $@.tmp $@ && rm -f $@.tmp || mv -f $@.tmp $@

$(B)/obj/%.o: %.c $(B)/flags.stamp
	@mkdir -p $(@D)
	$(call say,CC $@)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# ---------------------------------------------------------------- tests
AR_all := $(foreach r,proxy ctl,$(B)/lib$(r).a) $(AR_daemon)
LIBS_all := $(sort $(LIBS_proxy) $(LIBS_ctl) $(LIBS_daemon))
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
PROP := $(patsubst tests/prop/%.c,%,$(wildcard tests/prop/prop_*.c))
SUPPORT := $(patsubst tests/support/%.c,$(B)/tests/support/%,$(wildcard tests/support/*.c))

# Criterion declares tests through macros that do not survive our stricter prototype warnings.
$(B)/obj/tests/%.o: CFLAGS_ALL += -Wno-missing-prototypes -Wno-strict-prototypes -Wno-shadow
$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(AR_all)
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(AR_all) -Wl,--end-group -lcriterion $(LIBS_all)
PROP_MODEL := $(patsubst %.c,$(B)/obj/%.o,$(filter-out tests/prop/prop_%.c,$(wildcard tests/prop/*.c)))
$(B)/tests/prop/%: $(B)/obj/tests/prop/%.o $(PROP_MODEL) $(B)/librecovery.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm
SIM := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/*.c))
$(B)/tests/sim/sim: $(SIM) $(B)/librecovery.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm
$(B)/tests/support/%: $(B)/obj/tests/support/%.o $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_proxy)
$(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^
$(B)/tests/support/slice_tool: $(B)/obj/tests/support/slice_tool.o $(B)/liblimits.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_jansson) $(shell $(PKG_CONFIG) --libs libsystemd)
.SECONDARY:

unit-tests: $(UNIT:%=$(B)/tests/unit/%)
prop-tests: $(PROP:%=$(B)/tests/prop/%)
support: $(SUPPORT)
sim: $(B)/tests/sim/sim

# Unit and property tests of this FLAVOUR (fewer histories where each takes longer), and the replay of every fuzz corpus.
check: unit-tests prop-tests fuzz-replay
	@failed=0; for t in $(UNIT:%=$(B)/tests/unit/%) $(PROP:%=$(B)/tests/prop/%); do \
		$(if $(RUN)$(filter-out release,$(FLAVOUR)),COUNT=$${COUNT:-1000}) $(RUN) $$t > $$t.log 2>&1 && echo "ok $$(basename $$t)" || { echo "FAIL $$(basename $$t)"; cat $$t.log; failed=1; }; \
	done; exit $$failed

# Side by side with a bare relay and HAProxy; QUICK=1 shortens it.
bench: build/clawsup-proxy build/clawsupd build/clawsup $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(wildcard tests/bench/*.c))
	CLAWSUP_BUILD=$(B) $(PYTHON) tests/bench/proxy.py
	CLAWSUP_BUILD=$(B) $(PYTHON) tests/bench/scale.py

asan:
	$(MAKE) FLAVOUR=asan build/asan/clawsupd build/asan/clawsup build/asan/clawsup-proxy unit-tests prop-tests support
asan-check:
	$(MAKE) FLAVOUR=asan check
valgrind:
	$(MAKE) check RUN='valgrind -q --trace-children=yes --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite'
coverage:
	$(MAKE) FLAVOUR=coverage check
	$(Q)tests/support/coverage build/coverage

# ---------------------------------------------------------------- fuzzing
# tests/fuzz/fuzz_NAME.c has LLVMFuzzerTestOneInput(); its inputs are in tests/fuzz/corpus/NAME. A crash becomes a
# file there first. `make fuzz` runs each target for FUZZ_SECONDS; `make fuzz-replay` runs the corpora once.
# http1_diff holds our reader against http-parser, and is left out where that is not installed.
HAVE_http_parser := $(shell printf '#include <http_parser.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
FUZZ := $(filter-out $(if $(HAVE_http_parser),,http1_diff),$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 60
AR_fuzz := $(foreach r,config recovery filter base,$(B)/lib$(r).a)
LIBS_fuzz_http1_diff := -lhttp_parser
LIBS_fuzz := $(LIBS_jansson) $(LIBS_pcre2) $(shell $(PKG_CONFIG) --libs libconfig) -lm

$(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/replay.o $(AR_fuzz)
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(if $(filter fuzz,$(FLAVOUR)),-fsanitize=fuzzer -o $@ $<,-o $@ $< $(B)/obj/tests/fuzz/replay.o) \
		-Wl,--start-group $(AR_fuzz) -Wl,--end-group $(LIBS_fuzz) $(LIBS_fuzz_$*)
fuzz-targets: $(FUZZ:%=$(B)/tests/fuzz/%)
fuzz-replay: fuzz-targets
	@for t in $(FUZZ); do $(RUN) $(B)/tests/fuzz/$$t tests/fuzz/corpus/$$t || exit 1; done
fuzz:
	$(MAKE) FLAVOUR=fuzz CC=clang fuzz-targets
	@for t in $(FUZZ); do mkdir -p build/fuzz/new/$$t; \
		build/fuzz/tests/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/crash-$$t- build/fuzz/new/$$t tests/fuzz/corpus/$$t || exit 1; done

# ---------------------------------------------------------------- what reads the code
SRC_all := $(foreach r,$(ROOMS) checks,$(SRC_$(r))) $(wildcard supervisor/*/main.c)
C_FILES = $(shell git ls-files '*.c' '*.h' 2>/dev/null)

objects: $(call obj,$(SRC_all))
analyze:
	$(MAKE) FLAVOUR=analyze CC=gcc objects
clang-warnings:
	$(MAKE) FLAVOUR=clang CC=clang WERROR=1 objects
# One file per clang-tidy run: it stops at the first file that it cannot read otherwise.
tidy: $(SRC_all:%=$(B)/tidy/%.ok)
$(B)/tidy/%.ok: % .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY $<)
	$(Q)clang-tidy --quiet $< -- -std=gnu17 $(CPPFLAGS_ALL) $(filter -W%,$(WARN)) 2> $(@:.ok=.log) || { cat $(@:.ok=.log); exit 1; }
	@touch $@
# cppcheck knows no cleanup attribute: leaks are the analyzer's and the sanitizers' work. Its flow through
# uthash's macros is wrong (uninitvar), which -fanalyzer and clang-tidy check too.
cppcheck:
	$(Q)cppcheck --quiet --std=c11 --language=c --platform=unix64 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unknownMacro --suppress=memleak --suppress=uninitvar --suppress=ctuuninitvar \
		--error-exitcode=1 $(filter -I%,$(CPPFLAGS_ALL)) $(SRC_all)
format:
	$(Q)clang-format -i $(C_FILES)
check-format:
	$(Q)clang-format --dry-run -Werror $(C_FILES)
check-layers: objects $(B)/clawsup-proxy
	$(Q)$(PYTHON) tests/support/check-layers $(B)
check-units:
	$(Q)tests/support/check-units build/check-units /bin/true

# ---------------------------------------------------------------- installation
# Paths in the units follow PREFIX. The configuration is installed only where there is none.
INSTALL := install
UNITDIR = $(PREFIX)/lib/systemd
define install_files
@for f in $(wildcard $(1)); do $(INSTALL) -D -m 644 $$f $(DESTDIR)$(2)/$$(basename $$f) || exit 1; done
endef
install: all
	$(INSTALL) -D -m 755 build/clawsup $(DESTDIR)$(PREFIX)/bin/clawsup
	$(INSTALL) -D -m 755 build/clawsupd $(DESTDIR)$(PREFIX)/sbin/clawsupd
	$(INSTALL) -D -m 755 build/clawsup-proxy $(DESTDIR)$(PREFIX)/libexec/clawsup/clawsup-proxy
	$(INSTALL) -d -m 755 $(DESTDIR)$(SYSCONFDIR)/clawsup
	$(INSTALL) -d -m 750 $(DESTDIR)$(SYSCONFDIR)/clawsup/tenants.d
	$(INSTALL) -d -m 755 $(DESTDIR)$(UNITDIR)/system
	@for u in units/*.service units/*.slice; do \
		sed 's,=/usr/sbin/,=$(PREFIX)/sbin/,' $$u > $(DESTDIR)$(UNITDIR)/system/$$(basename $$u) && \
		chmod 644 $(DESTDIR)$(UNITDIR)/system/$$(basename $$u) || exit 1; done
	$(call install_files,units/*.catalog,$(UNITDIR)/catalog)
	$(call install_files,units/sysusers.d/*.conf,$(PREFIX)/lib/sysusers.d)
	@$(INSTALL) -d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d; for f in units/tmpfiles.d/*.conf; do \
		sed 's, /etc/, $(SYSCONFDIR)/,' $$f > $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/$$(basename $$f) || exit 1; done
	$(call install_files,contrib/man/*.1,$(PREFIX)/share/man/man1)
	$(call install_files,contrib/man/*.5,$(PREFIX)/share/man/man5)
	$(call install_files,contrib/man/*.7,$(PREFIX)/share/man/man7)
	$(call install_files,contrib/man/*.8,$(PREFIX)/share/man/man8)
	$(call install_files,contrib/completion/*.fish,$(PREFIX)/share/fish/vendor_completions.d)
	$(call install_files,contrib/completion/_*,$(PREFIX)/share/zsh/site-functions)
	@for f in $(wildcard contrib/completion/*.bash); do \
		$(INSTALL) -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$(basename $$f .bash) || exit 1; done
	@for f in $(shell cd contrib/config 2>/dev/null && find . -type f); do \
		$(INSTALL) -D -m 644 contrib/config/$$f $(DESTDIR)$(PREFIX)/share/doc/clawsup/examples/$$f || exit 1; done
	$(call install_files,$(addprefix contrib/docs/,tutorial.md operations.md security.md filter.md recovery.md CHANGELOG.md),$(PREFIX)/share/doc/clawsup)
	$(call install_files,contrib/prometheus/clawsup.rules.yml,$(PREFIX)/share/doc/clawsup/prometheus)
	$(call install_files,contrib/grafana/*.json,$(PREFIX)/share/doc/clawsup/grafana)
	$(call install_files,contrib/docs/status-schema.json contrib/docs/cli-schema.json contrib/docs/control-protocol.md,$(PREFIX)/share/doc/clawsup)
	@test -e $(DESTDIR)$(SYSCONFDIR)/clawsup/clawsup.conf || test ! -e contrib/config/clawsup.conf || \
		$(INSTALL) -m 640 contrib/config/clawsup.conf $(DESTDIR)$(SYSCONFDIR)/clawsup/clawsup.conf

# ---------------------------------------------------------------- release archives: two builds, one hash
# The sources of the commit, with its date; and from them Debian's package. Both end up in build/dist.
EPOCH = $(shell git log -1 --format=%ct)
DIST = build/dist/clawsup-$(VERSION)
dist:
	@mkdir -p build/dist
	git archive --format=tar --prefix=clawsup-$(VERSION)/ HEAD | gzip -n -9 > $(DIST).tar.gz
	@echo $(DIST).tar.gz

deb: dist
	@rm -rf build/deb && mkdir -p build/deb
	tar -xzf $(DIST).tar.gz -C build/deb
	mv build/deb/clawsup-$(VERSION) build/deb/src
	cp -r build/deb/src/contrib/debian build/deb/src/debian
	printf 'clawsup (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- clawsup maintainers <packages@clawsup.invalid>  %s\n' \
		'$(VERSION)' "$$(date -uRd @$(EPOCH))" > build/deb/src/debian/changelog
	cd build/deb/src && SOURCE_DATE_EPOCH=$(EPOCH) dpkg-buildpackage -b -us -uc > ../log 2>&1 || { tail -n 30 ../log >&2; exit 1; }
	mv build/deb/*.deb build/dist/
	@ls build/dist/*.deb

clean:
	rm -rf build

help:
	@echo 'all (programs in build/), check (unit and property tests), asan, asan-check, valgrind, coverage, fuzz,'
	@echo 'fuzz-replay, bench, analyze, clang-warnings, tidy, cppcheck, format, check-format, check-layers, check-units, install,'
	@echo 'dist, deb, clean.'
	@echo 'V=1 shows commands, WERROR=1 makes warnings errors, FLAVOUR=release|asan|coverage|analyze|fuzz.'

FORCE:
.PHONY: all unit-tests prop-tests support sim check bench asan asan-check valgrind coverage fuzz-targets fuzz-replay fuzz objects \
	analyze clang-warnings tidy cppcheck format check-format check-layers check-units install dist deb clean help FORCE

-include $(shell test -d $(B)/obj && find $(B)/obj -name '*.d')
