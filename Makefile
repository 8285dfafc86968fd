# The commands of this repository. What they need is installed by setup/install.sh; what they build or fetch lies
# outside the clone, in WATERTIGHT_CACHE.

WATERTIGHT_CACHE ?= $(HOME)/.cache/watertight
CARGO_TARGET_DIR ?= $(WATERTIGHT_CACHE)/target
MINUTES ?= 30
FAULT ?= bronze-row-dropped
SEED ?= 1
DEMO_DIR ?= $(WATERTIGHT_CACHE)/demo
export WATERTIGHT_CACHE CARGO_TARGET_DIR
export PATH := $(HOME)/.cargo/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo demo-fault test soak

help:
	@echo "make demo               builds and shows the stock market pipeline: killed once, the books balance, and verify"
	@echo "                        finds nothing; its tables stay in $(DEMO_DIR)"
	@echo "make demo-fault FAULT=bronze-row-dropped SEED=1"
	@echo "                        plants a fault in a copy of the demo's tables: verify names it, to the offset"
	@echo "make demo-fault FAULT=list"
	@echo "                        the kinds of faults there are; SEED chooses the place"
	@echo "make test               everything CI runs: checks, tests, and our tables read by other programs"
	@echo "make soak MINUTES=30    kills the real binary and plants faults for as long as you say"
	@echo
	@echo "Each installs what is missing first and says what. Build and downloads: $(WATERTIGHT_CACHE)"

demo:
	@setup/install.sh demo
	@setup/build.sh
	@setup/demo.sh run "$(DEMO_DIR)"

demo-fault:
	@setup/install.sh demo
	@setup/build.sh -p watertight-mutants
	@setup/demo.sh fault "$(DEMO_DIR)" "$(FAULT)" "$(SEED)"

test:
	@setup/install.sh test
	@cargo xtask verify

soak:
	@setup/install.sh soak
	@cargo xtask soak --minutes "$(MINUTES)"
