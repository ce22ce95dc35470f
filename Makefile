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
CFLAGS_ALL += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_ALL += -fsanitize=address,undefined
else ifeq ($(FLAVOUR),coverage)
CFLAGS_ALL += -O0 --coverage
LDFLAGS_ALL += --coverage
else ifeq ($(FLAVOUR),analyze)
CFLAGS_ALL += -O1 -fanalyzer -Werror
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
LIBS_ctl := $(LIBS_jansson) $(LIBS_pcre2) $(shell $(PKG_CONFIG) --libs smartcols libconfig libsystemd libcurl)
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
$(B)/tests/prop/%: $(B)/obj/tests/prop/%.o $(B)/librecovery.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm
$(B)/tests/support/%: $(B)/obj/tests/support/%.o $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_proxy)
$(B)/tests/support/slice_tool: $(B)/obj/tests/support/slice_tool.o $(B)/liblimits.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_jansson) $(shell $(PKG_CONFIG) --libs libsystemd)
.SECONDARY:

unit-tests: $(UNIT:%=$(B)/tests/unit/%)
prop-tests: $(PROP:%=$(B)/tests/prop/%)
support: $(SUPPORT)

asan:
	$(MAKE) FLAVOUR=asan build/asan/clawsupd build/asan/clawsup build/asan/clawsup-proxy unit-tests support

clean:
	rm -rf build

FORCE:
.PHONY: all unit-tests prop-tests support asan clean FORCE

-include $(shell test -d $(B)/obj && find $(B)/obj -name '*.d')
