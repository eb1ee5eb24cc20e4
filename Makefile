# SPDX-License-Identifier: MIT
#
# Short names for what meson, ninja and tests/check.py do. Nothing is decided here.

PREFIX  ?= /usr/local
DESTDIR ?=
MACHINE ?=
MINUTES ?= 60

BUILD := build
WEIR  := $(BUILD)/tools/weir/weir
DEMO  := soft:edu

.DEFAULT_GOAL := all
.PHONY: all configure demo quick check soak bench install vm-shell clean help

all: configure
	@ninja -C $(BUILD)

# ninja re-runs meson by itself when a meson.build changed. That fails when build/ was left
# by another meson or by a checkout that is too different; --reconfigure then starts afresh
# with the same options, and reports what is really wrong if that isn't the reason.
configure:
	@if [ ! -e $(BUILD)/build.ninja ]; then \
		meson setup $(BUILD); \
	elif ! ninja -C $(BUILD) build.ninja >/dev/null 2>&1; then \
		meson setup --reconfigure $(BUILD); \
	fi

demo:
	@scripts/setup demo
	@$(MAKE) --no-print-directory all
	@echo
	@echo "You will see a driver use '$(DEMO)' through a software IOMMU; no root, no hardware:"
	@$(WEIR) selftest $(DEMO)

quick:
	@scripts/setup test
	@python3 tests/check.py --quick

check:
	@scripts/setup cross
	@python3 tests/check.py

soak:
	@scripts/setup test
	@$(MAKE) --no-print-directory all
	@python3 tests/vm/run.py --soak $$(($(MINUTES) * 60))

bench: all
	@$(WEIR) bench

# build/ would keep the prefix of the last time. DESTDIR is made absolute because meson would take
# it relative to build/.
install: configure
	@meson configure $(BUILD) -Dprefix="$(PREFIX)"
	@ninja -C $(BUILD)
	@DESTDIR="$(abspath $(DESTDIR))" meson install -C $(BUILD) --no-rebuild

vm-shell: all
	@[ -n "$(MACHINE)" ] || { echo "usage: make vm-shell MACHINE=name" >&2; exit 2; }
	@python3 tests/vm/run.py --shell "$(MACHINE)"

clean:
	@rm -rf $(BUILD) $(BUILD)-clang $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz
	@rm -rf $(BUILD)-s390x $(BUILD)-ppc64el $(BUILD)-arm64

help:
	@echo "make                        configure and build into build/"
	@echo "make demo                   install packages, build, run the self test in software"
	@echo "make quick                  unit and soft tests, under a minute"
	@echo "make check                  everything: compilers, sanitizers, architectures, virtual machines"
	@echo "make soak MINUTES=60        devices used at random by processes that are killed, in machines"
	@echo "make bench                  what weir itself costs; docs/performance.md explains"
	@echo "make install                PREFIX (/usr/local) and DESTDIR are honoured"
	@echo "make vm-shell MACHINE=name  a shell in one of the test machines"
	@echo "make clean                  remove build/ and its siblings"
	@echo
	@echo "scripts/setup build|demo|test|cross installs the distribution's packages."
