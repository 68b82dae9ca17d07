# Everything a person or a machine does with Sextant's sources. `make help` lists it.

CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Labs need root; without it their programs run through sudo, the builds do not.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
AS_ROOT := --config 'target."cfg(all())".runner=["sudo","-E"]'
RUNNER := $(if $(SUDO),$(AS_ROOT))

# `make demo DATAPATH=system` is on the kernel's datapath, where this machine has it.
DATAPATH ?= userspace
# What `make test` tells on the kernel's datapath: SLAAC and stateful DHCPv6, VXLAN and GRE over IPv6, DAD, a controller
# that is killed.
KERNEL_SLICE := ^(end_to_end::(router_sol|dhcpv6_clients|guests_reach|neighbors_are|a_killed_controller)|tunnels::each_pair)

export KEEP SUITE TESTS ACCEL COMMAND VERBOSE LIMIT SECONDS_EACH LIST POLICY

.PHONY: help setup demo deb test test-package test-kernel test-openstack conformance conformance-sdk check msrv publish-dry-run bench fuzz chaos reference pictures grafana-pictures clean-labs

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install what is missing: Debian's packages, the openstack command, Keystone, cloud-init, cargo-nextest, qemu
	@scripts/setup build packages browser venv keystone cloud-init nextest vm

demo: ## the quickstart: a cloud in network namespaces (KEEP=1 leaves it running, DATAPATH=system is the kernel's)
	@scripts/setup build packages $(if $(filter-out 0,$(KEEP)),venv)
	$(CARGO) build --release --locked -p sextant -p sextant-examples
	@$(SUDO) env SEXTANT_BIN=$(TARGET)/release/sextant SEXTANT_LAB_DATAPATH=$(DATAPATH) $(TARGET)/release/demo

deb: ## a Debian package of a release build, and one of its debug symbols, in target/debian
	@scripts/setup build package
	$(CARGO) build --profile dist --locked -p sextant
	@packaging/build $(TARGET)/dist/sextant $(TARGET)/debian

# The program is built with the tests: by itself its dependencies would have other features, and be compiled once more.
test: ## every test, those on real Open vSwitch (some on a kernel's, in a VM) and with the real openstack command included
	@scripts/setup build packages browser package venv keystone cloud-init nextest vm
	@rm -f $(TARGET)/nextest/default/junit.xml
	SEXTANT_BIN=$(TARGET)/debug/sextant $(CARGO) nextest run --locked --workspace $(RUNNER); ended=$$?; \
		scripts/failures $(TARGET)/nextest/default/junit.xml; exit $$ended
	$(CARGO) test --locked --workspace --doc
	@TESTS='$(KERNEL_SLICE)' SEXTANT_BIN=$(TARGET)/debug/sextant tests/kernel-vm/run

test-kernel: ## the lab's stories on a kernel's datapath, in a VM (TESTS=regex, SUITE=trixie)
	@scripts/setup build packages venv nextest vm
	$(CARGO) build --locked -p sextant
	@SEXTANT_BIN=$(TARGET)/debug/sextant tests/kernel-vm/run

test-package: ## the Debian package is installed, started, upgraded and removed under a real systemd, in a fresh Debian
	@scripts/setup build package nextest
	$(CARGO) nextest run --locked -p sextant $(RUNNER) --run-ignored only -E 'binary(packaging)'

test-openstack: ## a real OpenStack (Keystone, Placement, Glance, Nova with qemu) boots, changes and moves guests (TESTS=regex)
	@scripts/setup build packages venv nextest openstack
	$(CARGO) build --locked -p sextant
	SEXTANT_BIN=$(TARGET)/debug/sextant $(CARGO) nextest run --locked -p sextant-lab $(RUNNER) --run-ignored only \
		--no-capture --no-fail-fast -E 'binary(nova_cloud) & test(/$(or $(TESTS),.)/)'

conformance: ## OpenStack's own API tests of Neutron (LIST=file of test ids)
	@scripts/setup build tempest
	$(CARGO) build --locked -p sextant
	@VENV=$(TARGET)/tempest SEXTANT_BIN=$(TARGET)/debug/sextant tests/tempest/run

conformance-sdk: ## openstacksdk's own functional tests of networks (POLICY=file of rules)
	@scripts/setup build openstacksdk
	$(CARGO) build --locked -p sextant
	@VENV=$(TARGET)/openstacksdk SEXTANT_BIN=$(TARGET)/debug/sextant tests/openstacksdk/run

check: ## format, lints, dependencies, locks, documentation
	@scripts/setup build deny
	@scripts/fuzz locked
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) deny --locked --workspace check bans licenses sources
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

msrv: ## each library with the oldest Rust that it promises to work with, which rustup installs
	@scripts/msrv

publish-dry-run: ## all of `cargo publish` of the libraries but the upload; needs the network and a clean tree
	$(CARGO) publish --dry-run --locked -p rust-openflow -p sextant-ovsdb-client

bench: ## benchmarks, then load on the whole controller: over loopback, on its API, with 100 hypervisors, with three controllers, through Open vSwitch beside OVN
	@scripts/setup build packages ovn
	$(CARGO) bench --locked --workspace --benches
	$(CARGO) build --release --locked -p sextant -p sextant-lab
	SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load
	SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load-api
	SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load-fleet --hypervisors 10,100
	SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load-fleet --controllers 3 --hypervisors 100
	@$(SUDO) env SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load-ovs
	@$(SUDO) env SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load-ovs --dhcpv6
	@$(SUDO) env SEXTANT_BIN=$(TARGET)/release/sextant $(TARGET)/release/load-ovs --operations

fuzz: ## every fuzz target for SECONDS_EACH seconds (60), and what each reached
	@scripts/fuzz

chaos: ## several controllers, their store and databases that fail at random under writes, for an hour (SEXTANT_TEST_SECONDS, SEXTANT_TEST_SEED)
	@scripts/setup build packages nextest
	$(CARGO) build --locked -p sextant
	SEXTANT_TEST_SECONDS=$(or $(SEXTANT_TEST_SECONDS),3600) SEXTANT_BIN=$(TARGET)/debug/sextant \
		$(CARGO) nextest run --locked -p sextant-lab --profile chaos --no-capture $(RUNNER) -E 'test(/^chaos::/)'

reference: ## write the generated references in docs
	@scripts/setup build
	$(CARGO) build --locked -p sextant
	@for page in pipeline metrics configuration cli; do \
		$(TARGET)/debug/sextant reference $$page > docs/$$page.md || exit 1; \
	done

pictures: ## draw the pictures of the guides anew, in a browser beside a lab
	@scripts/setup build packages browser nextest
	$(CARGO) build --locked -p sextant
	SEXTANT_BIN=$(TARGET)/debug/sextant $(CARGO) nextest run --locked -p sextant-lab $(RUNNER) --run-ignored only \
		-E 'test(pictures_of_the_guide)'

grafana-pictures: ## draw the dashboards' pictures anew, with Grafana's own components in a browser beside a lab that Prometheus scrapes
	@scripts/setup build packages browser nextest drawing
	$(CARGO) build --locked -p sextant
	@cp -r grafana/drawing/src grafana/drawing/*.mjs $(TARGET)/drawing/
	cd $(TARGET)/drawing && node licenses.mjs && node bundle.mjs
	SEXTANT_BIN=$(TARGET)/debug/sextant SEXTANT_DRAWING=$(TARGET)/drawing/drawing/index.html $(CARGO) nextest run --locked \
		-p sextant-lab $(RUNNER) --run-ignored only -E 'test(pictures_of_the_dashboards)'
	pngquant --force --ext .png --speed 1 --strip 64 docs/pictures/grafana-*.png

clean-labs: ## remove labs that KEEP=1 left running (NAME=lab: that one)
	@[ -x $(TARGET)/release/demo ] || { scripts/setup build && $(CARGO) build --release --locked -p sextant-examples; }
	@$(SUDO) $(TARGET)/release/demo remove $(NAME)
