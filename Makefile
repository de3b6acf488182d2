# Everything starts here: `make help` lists the targets.
# Variables: JOBS (compile jobs), UNITY (ON: sources of a folder are compiled
# together, in about half the time; OFF: alone, to work on a few), CXX, PYTHON,
# RSM_TORCH_DIR and RSM_OPENVINO_DIR (see scripts/setup), FUZZ_SECONDS (of each
# fuzzer), SOAK_KILLS (of the soak).

# It takes half of g++'s time on LibTorch's headers; g++ 12 compiles all as well.
ifeq ($(origin CXX),default)
CXX := clang++
endif

UNITY ?= ON

export CXX PYTHON RSM_TORCH_DIR RSM_OPENVINO_DIR FUZZ_SECONDS SOAK_KILLS

# As many compile jobs as there are cores, and 1.5 GB of free memory for each:
# what g++ takes on LibTorch's headers. The second file is a container's limit.
JOBS ?= $(shell cat /proc/meminfo /sys/fs/cgroup/memory.max 2>/dev/null | \
  awk -v jobs=$$(nproc) '\
    /^MemAvailable:/ {gb = $$2 / 1e6} \
    /^[0-9]+$$/ && $$1 / 1e9 < gb {gb = $$1 / 1e9} \
    END {if (gb / 1.5 < jobs) jobs = int(gb / 1.5); print jobs < 1 ? 1 : jobs}')

# Looked up when used: `make setup` may just have installed it.
CCACHE = $(notdir $(shell command -v ccache 2>/dev/null))
SOURCES = $$(find $(wildcard src tests bench) -name "*.h" -o -name "*.cpp")

.PHONY: help setup setup-tests configure build test demo fuzz soak format \
  format-check clean

help: ## List the targets (this is what plain `make` does)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' \
	  $(MAKEFILE_LIST)

setup: ## Install Debian packages, and LibTorch and OpenVINO into .venv
	@scripts/setup

setup-tests: setup ## Install what the tests compare with into .venv-test
	@scripts/setup tests

configure: setup
	@cmake --preset release -DCMAKE_CXX_COMPILER=$(CXX) \
	  -DCMAKE_UNITY_BUILD=$(UNITY) \
	  -DCMAKE_CXX_COMPILER_LAUNCHER=$(CCACHE)

build: configure ## Build the program, build/rsm
	cmake --build --preset release -j $(JOBS) --target rsm

test: setup-tests configure ## Build everything, and run all tests
	cmake --build --preset release -j $(JOBS)
	ctest --preset release
	@scripts/skipped build

demo: build ## Fine-tune the small model that ships here, with a report
	build/rsm finetune configs/shapes/demo.yaml

fuzz: setup ## Feed every loader damaged files for a minute each (needs clang)
	cmake --preset fuzz
	cmake --build --preset fuzz -j $(JOBS)
	scripts/fuzz

soak: build ## Kill a small run again and again: it has to end in the same bytes
	scripts/soak

format: ## Lay out the C++ code with clang-format
	clang-format -i $(SOURCES)

format-check: ## Say where clang-format would change the C++ code
	clang-format --dry-run --Werror $(SOURCES)

clean: ## Remove what was built; environments, models and runs stay
	rm -rf build build-debug build-fuzz
