# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What every test starts with: a ROS domain of this run's own that does not leave the host, and a Ctrl-C that works."""
from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import signal
import tempfile

# Before any test imports rclpy, and for the processes that tests start: a whole robot may be running on this
# machine. Linux hands out the ports of domains above 101 to anybody. `make test` has chosen a domain already.
for _name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(_name, '1')                # before numpy is loaded; systems of 51 unknowns only spin on more
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')   # tests import onnxruntime before they import the package
os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ.setdefault('ROS_LOG_DIR', os.path.join(tempfile.gettempdir(), 'selfpose_ros_test_log'))

# A shell that runs the tests in the background has Ctrl-C ignored, in them and in all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say what the tests with ROS run on, or that they will be skipped."""
    if importlib.util.find_spec('rclpy') is None:
        return 'ROS: no rclpy here, tests that need it are skipped'
    version = importlib.metadata.version('rclpy')
    return f'ROS: rclpy {version}, domain {os.environ["ROS_DOMAIN_ID"]}, this host only'
