# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
#
#   make demo    the whole system on this machine: rendered cameras, real ROS 2 nodes, a live table, a picture, a bag
#   make test    the tests
#   make test-matrix   the tests with numpy 1.26 and with numpy 2, in two environments; is there all for aarch64?
#   make lint    ruff and mypy
#   make tensorrt-wheels   NVIDIA's builder and interface for the tests, which skip what needs them; no GPU, 180 MB
#   make clean   remove everything that make made, the environment too
#
# demo, test and lint set up an environment of their own in .venv; it needs Python 3.10 to 3.13, Linux on x86-64 and a
# package index, no ROS. `make PYTHON=/path/to/python ...` chooses the interpreter, `make VENV=DIR ...` the place.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.NOTPARALLEL:

VENV ?= .venv
PYTHON ?=
OUT ?= out/demo
PYTEST_ARGS ?=
# of the package, for the environment of the tests
TEST_EXTRAS ?= dev,mediapipe
# processes that the tests are spread over, one of which mostly waits for nodes; 0 = none but pytest's own, for a
# debugger
JOBS ?= 3
BIN := $(abspath $(VENV))/bin

# A sourced ROS must not leak into the environment made here: its packages are for another Python, its middleware may
# not be installed, and an inherited "libraries are set up" mark of the ROS wheels makes rclpy unimportable.
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH RMW_IMPLEMENTATION FASTRTPS_DEFAULT_PROFILES_FILE
unexport FASTDDS_DEFAULT_PROFILES_FILE ROS_DISCOVERY_SERVER ROS_DISTRO _ROS_WHEELS_BOOTSTRAP_COMPLETE
# Stay on this host, and in a domain of this run's own: two runs on one machine must not see each other. 1 to 100: above
# 101 the ports of a domain overlap with those that Linux hands out.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
ROS_DOMAIN_ID := $(shell echo $$(( 1 + $$$$ % 100 )))
export ROS_DOMAIN_ID
# As the package itself does: tools of the test environment may load ONNX Runtime before it.
export ORT_DISABLE_TELEMETRY ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What pip would compile are 70 MB, most of it never imported; what is, is compiled then.
export PIP_COMPILE ?= 0

.PHONY: help demo test test-matrix lint tensorrt-wheels clean
help:
	@sed -n 's/^#   make/make/p' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/demo.stamp
	@$(BIN)/selfpose demo -o $(OUT)

test: $(VENV)/test.stamp
	@$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

# MediaPipe's package wants numpy 1; without it, pip takes the newest numpy. Each environment is made by `make test`.
test-matrix: export SELFPOSE_ASK_INDEX := 1
test-matrix:
	@$(MAKE) test
	$(BIN)/python -c '$(call numpy_is,1)'
	$(MAKE) test VENV='$(VENV)/numpy2' TEST_EXTRAS=dev
	'$(VENV)/numpy2/bin/python' -c '$(call numpy_is,2)'

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check .
	$(BIN)/mypy

# Each in a folder of its own beside the environment, which stays as it is: two versions of one package, and the tests
# hand one of them to a process at a time.
TENSORRT := $(VENV)/tensorrt
tensorrt-wheels: $(TENSORRT)/rtx-1.4.0.76/installed $(TENSORRT)/rtx-1.7.1.116/installed
tensorrt-wheels: $(TENSORRT)/bindings-10.3.0/installed $(TENSORRT)/bindings-10.16.1.11/installed
tensorrt-wheels: $(TENSORRT)/bindings-11.4.0.106/installed
tensorrt-wheels: $(TENSORRT)/cuda-12.9.10/installed $(TENSORRT)/cuda-13.5.0/installed

$(TENSORRT)/rtx-%/installed: WHEELS = tensorrt-rtx-cu12-bindings==$* tensorrt-rtx-cu12-libs==$*
$(TENSORRT)/bindings-%/installed: WHEELS = tensorrt-cu12-bindings==$*
$(TENSORRT)/cuda-%/installed: WHEELS = cuda-bindings==$* cuda-pathfinder
$(TENSORRT)/rtx-%/installed $(TENSORRT)/bindings-%/installed $(TENSORRT)/cuda-%/installed: | $(VENV)/python.stamp
	@$(wheels_install)
	touch '$@'

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find selfpose_ros test launch -name __pycache__ -prune -exec rm -rf {} +

# One stamp per set of extras: what is installed is not installed again until setup.py changes. The test environment
# contains that of the demo.
$(VENV)/test.stamp: EXTRAS = ros,cpu,training,$(TEST_EXTRAS)
$(VENV)/demo.stamp: EXTRAS := ros,cpu
$(VENV)/test.stamp $(VENV)/demo.stamp: setup.py | $(VENV)/python.stamp
	@$(pip_install)
	$(check_imports)
	touch $@

$(VENV)/python.stamp:
	@$(make_venv)
	touch $@

# ---- recipes ----

numpy_is = import numpy; v = numpy.__version__; assert v.startswith("$(1)."), f"numpy {v} is not what was to be tried; MediaPipe, and with it numpy 1, needs Python 3.10 to 3.12: make PYTHON=python3.11 test-matrix"

# A command of that name may exist and still not run (pyenv leaves such shims), so each candidate is asked.
define make_venv
if [ "$$(uname -sm)" != 'Linux x86_64' ]; then
  echo "make: the wheels of rclpy exist for Linux on x86-64, this is $$(uname -sm); install ROS 2 from" \
       "its own packages and build with colcon, see README.md" >&2; exit 1
fi
asks='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'
found=''
for p in $(if $(PYTHON),'$(PYTHON)',python3.11 python3.12 python3.10 python3.13 python3 python); do
  if "$$p" -c "$$asks" >/dev/null 2>&1; then found=$$p; break; fi
done
if [ -z "$$found" ]; then
  echo "make: found no Python 3.10 to 3.13 (tried: $(or $(PYTHON),python3.11 python3.12 python3.10 python3.13 python3 python));" \
       "install one, python3.11 say, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1
fi
echo "Setting up $(VENV) with $$("$$found" --version) ..."
if ! error=$$("$$found" -m venv --clear '$(VENV)' 2>&1); then
  rm -rf '$(VENV)'
  printf '%s\n' "$$error" >&2
  echo "make: $$found cannot make a virtual environment; on Debian and Ubuntu install python3-venv" >&2; exit 1
fi
endef

# Not -q: a minute of silence looks like a hang. Not pip's own output either: 300 lines nobody reads.
define pip_install
echo "Installing selfpose_ros[$(EXTRAS)] into $(VENV), some gigabytes with what it needs, a few minutes ..."
if ! '$(BIN)/python' -m pip install --log '$(VENV)/pip.log' -e '.[$(EXTRAS)]' 2>'$(VENV)/pip.err' | awk '
    /^Collecting/              { if (++n % 20 == 0) { printf "  %d packages found ...\n", n; fflush() } }
    /Downloading .*\([0-9.]+ MB\)/ { sub(/^ */, ""); sub(/https?:[^ ]*\//, ""); print "  " $$0; fflush() }
    /^Installing collected/    { printf "  unpacking %d packages ...\n", NF - 3; fflush() }'
then
  grep -v '^WARNING' '$(VENV)/pip.err' | tail -n 15 >&2
  echo "make: pip could not install selfpose_ros[$(EXTRAS)]; the whole story is in $(VENV)/pip.log" >&2; exit 1
fi
endef

define wheels_install
echo "Fetching $(WHEELS) ..."
rm -rf '$(@D)'
if ! '$(BIN)/python' -m pip install -q --no-deps --only-binary :all: --target '$(@D)' $(WHEELS); then
  rm -rf '$(@D)'
  echo "make: pip could not fetch $(WHEELS); the tests that need them are skipped without" >&2; exit 1
fi
endef

# The OpenCV that MediaPipe brings into the environment of the tests needs system libraries that a bare server or
# container lacks, and says so in riddles.
define check_imports
if ! error=$$('$(BIN)/python' -c 'import cv2, numpy, rclpy, selfpose_ros' 2>&1); then
  printf '%s\n' "$$error" | tail -n 1 >&2
  case "$$error" in
    *libGL*|*libEGL*|*libGLES*|*libgthread*|*libglib*)
      echo "make: OpenCV (MediaPipe's, with windows) lacks a system library; sudo apt-get install -y libgl1 libegl1" \
        "libglib2.0-0, then again" >&2 ;;
    *) echo "make: the environment is not sound; make clean, then again" >&2 ;;
  esac
  exit 1
fi
endef
