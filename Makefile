# The commands of this repository. What they need is installed by setup/install.sh; what they build or fetch lies
# outside the clone, in WATERTIGHT_CACHE.

WATERTIGHT_CACHE ?= $(HOME)/.cache/watertight
CARGO_TARGET_DIR ?= $(WATERTIGHT_CACHE)/target
MINUTES ?= 30
export WATERTIGHT_CACHE CARGO_TARGET_DIR
export PATH := $(HOME)/.cargo/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test soak

help:
	@echo "make demo               builds and shows the stock market pipeline: killed once, and the books balance"
	@echo "make test               everything CI runs: checks, tests, and our tables read by other programs"
	@echo "make soak MINUTES=30    kills the real binary for as long as you say, and compares with the truth"
	@echo
	@echo "Each installs what is missing first and says what. Build and downloads: $(WATERTIGHT_CACHE)"

demo:
	@setup/install.sh demo
	@setup/build.sh
	@"$(CARGO_TARGET_DIR)/debug/watertight" demo

test:
	@setup/install.sh test
	@cargo xtask verify

soak:
	@setup/install.sh soak
	@cargo xtask soak --minutes "$(MINUTES)"
