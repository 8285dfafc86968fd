# The commands of this repository. What they need is installed by setup/install.sh; what they build or fetch lies
# outside the clone, in WATERTIGHT_CACHE.

WATERTIGHT_CACHE ?= $(HOME)/.cache/watertight
CARGO_TARGET_DIR ?= $(WATERTIGHT_CACHE)/target
MINUTES ?= 30
FAULT ?= bronze-row-dropped
SEED ?= 1
DEMO_DIR ?= $(WATERTIGHT_CACHE)/demo-fault
export WATERTIGHT_CACHE CARGO_TARGET_DIR
export PATH := $(HOME)/.cargo/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo demo-fault test soak

help:
	@echo "make demo               builds and shows the stock market pipeline: killed once, and the books balance"
	@echo "make demo-fault FAULT=bronze-row-dropped SEED=1"
	@echo "                        plants a fault in a copy of the demo's tables: verify names it"
	@echo "make test               everything CI runs: checks, tests, and our tables read by other programs"
	@echo "make soak MINUTES=30    kills the real binary and plants faults for as long as you say"
	@echo
	@echo "Each installs what is missing first and says what. Build and downloads: $(WATERTIGHT_CACHE)"

demo:
	@setup/install.sh demo
	@setup/build.sh
	@"$(CARGO_TARGET_DIR)/debug/watertight" demo

# The demo's tables are made once and kept; the fault is planted in a copy. It is as it should be if verify exits with 1.
demo-fault:
	@setup/install.sh demo
	@setup/build.sh
	@cargo build --locked --quiet -p watertight -p watertight-mutants
	@[ -d "$(DEMO_DIR)/data/lake" ] || "$(CARGO_TARGET_DIR)/debug/watertight" demo --for 15s --dir "$(DEMO_DIR)"
	@rm -rf "$(DEMO_DIR).with-fault" && cp -R "$(DEMO_DIR)" "$(DEMO_DIR).with-fault"
	@"$(CARGO_TARGET_DIR)/debug/watertight-mutants" plant "$(FAULT)" --seed "$(SEED)" \
		--lake "$(DEMO_DIR).with-fault/data/lake" --ledger "$(DEMO_DIR).with-fault/acknowledged.ledger" \
		|| { echo "the kinds: $(CARGO_TARGET_DIR)/debug/watertight-mutants list"; exit 1; }
	@"$(CARGO_TARGET_DIR)/debug/watertight" verify --lake "$(DEMO_DIR).with-fault/data/lake" \
		--ledger "$(DEMO_DIR).with-fault/acknowledged.ledger"; [ $$? -eq 1 ]

test:
	@setup/install.sh test
	@cargo xtask verify

soak:
	@setup/install.sh soak
	@cargo xtask soak --minutes "$(MINUTES)"
