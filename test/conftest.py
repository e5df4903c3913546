# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What every test starts with: a ROS domain of this run's own that does not leave the host, and a Ctrl-C that works.

With pytest-xdist (`-n 3`, as `make test` does) the files go to several processes; those with ROS stay in one, for
nodes that run side by side would be short of the cores that they are tested for.
"""
from __future__ import annotations

import atexit
import functools
import gc
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))  # `raising`, for tests of all folders

# Before any test imports rclpy, and for the processes that tests start: a whole robot may be running on this
# machine. Linux hands out the ports of domains above 101 to anybody. `make test` has chosen a domain already.
for _name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(_name, '1')                # before numpy is loaded; systems of 51 unknowns only spin on more
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')   # tests import onnxruntime before they import the package
_worker = os.environ.get('PYTEST_XDIST_WORKER', 'gw0')
_domain = int(os.environ.get('ROS_DOMAIN_ID', 1 + os.getpid() % 100))
os.environ['ROS_DOMAIN_ID'] = str(1 + (_domain - 1 + int(_worker.removeprefix('gw'))) % 100)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
# what whoever runs this has fetched is nobody's business; `default_network` fills it
os.environ['SELFPOSE_MODELS'] = tempfile.mkdtemp(prefix='selfpose_test_models_')
atexit.register(shutil.rmtree, os.environ['SELFPOSE_MODELS'], ignore_errors=True)
os.environ.setdefault('ROS_LOG_DIR', os.path.join(tempfile.gettempdir(), 'selfpose_ros_test_log'))

# A shell that runs the tests in the background has Ctrl-C ignored, in them and in all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say what the tests run on, and whether those with ROS will be skipped."""
    numpy = f'numpy {importlib.metadata.version("numpy")}'
    if importlib.util.find_spec('rclpy') is None:
        return f'{numpy}; ROS: no rclpy here, tests that need it are skipped'
    version = importlib.metadata.version('rclpy')
    return f'{numpy}; ROS: rclpy {version}, domain {os.environ["ROS_DOMAIN_ID"]}, this host only'


_HERE = Path(__file__).parent
#: folders and files that start nodes or talk over DDS
_WITH_ROS = {'nodes', 'demo', 'test_launch.py', 'test_play.py', 'test_cli.py'}
#: folders and files that take long, those that take longest first
_LONGEST = ['test_update.py', 'test_update_command.py', 'training', 'benchmark', 'core', 'commands']


def _group(path: str) -> str:
    """Name of the group of tests that run in one process, in order: a file, or all that start nodes."""
    return 'ros' if _WITH_ROS & set(Path(path).parts) else path


def _place(path: str) -> int:
    """Where a file's group stands in the queue: what takes longest must not be begun last."""
    folders = Path(path).parts
    return 0 if _group(path) == 'ros' else next((i for i, name in enumerate(_LONGEST, 1) if name in folders), 99)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """By file, not by test: what a module has rendered or trained for all its tests is made once.

    Not `--dist loadgroup`: xdist 3.8 writes the group's name where pytest 9.2 no longer reads it, and tests went
    anywhere, without a word.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid.split('::')[0])

    config.option.loadscopereorder = False                # as collected, below
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take longest come first."""
    items.sort(key=lambda item: _place(item.nodeid.split('::')[0]))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Imports make millions of objects that stay: the garbage collector walks over them neither now nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        _one_registry()


def _one_registry() -> None:
    """PyTorch's exporter reads the source of 500 functions for each export, a quarter of its time."""
    registry = getattr(sys.modules.get('torch.onnx._internal.exporter._registration'), 'ONNXRegistry', None)
    if hasattr(registry, 'from_torchlib'):
        registry.from_torchlib = functools.cache(registry.from_torchlib)


#: frames a second of the small motion file of our own people
FPS = 25.
#: (name, style, frames, seed): the second is too short for a clip, the third is cut into two
SEQUENCES = (('a#1', 'mixed', 80, 1), ('b', 'walk', 40, 2), ('c', 'exercise', 330, 3))


@pytest.fixture(scope='session')
def motion_file(tmp_path_factory) -> Path:
    """Three sequences; their clips are the numbers 0, 2 and 3."""
    import numpy as np

    from selfpose_ros.core.skeleton import JOINTS
    from selfpose_ros.synthetic import walker
    parts = [walker(n / FPS, FPS, seed, style).astype(np.float32) for _, style, n, seed in SEQUENCES]
    path = tmp_path_factory.mktemp('motion') / 'tiny.npz'
    np.savez(path, pos=np.concatenate(parts), seq_start=np.cumsum([0, *map(len, parts)]),
             seq_name=np.array([s[0] for s in SEQUENCES]), subject=np.array(['x'] * len(parts)),
             fps=np.float32(FPS), joints=np.array(JOINTS))
    return path


@pytest.fixture(scope='session')
def motion(motion_file):
    """The same, read."""
    from selfpose_ros.io.motion_capture import read_motion
    return read_motion(motion_file)


@pytest.fixture(scope='session')
def reference() -> Path:
    """Folder of the independent protocol and scorer, where it lies next to the checkout."""
    folder = Path(__file__).resolve().parents[2] / 'shared' / 'bench'
    if not (folder / 'make_archives.py').is_file():
        pytest.skip(f'the reference protocol is not at {folder}')
    return folder


@pytest.fixture(scope='session')
def default_network() -> str:
    """Name of the default 2D network, which is here from now on: its weights are taken from MediaPipe's package."""
    for package in ('ai_edge_litert', 'mediapipe'):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f'the default 2D network cannot be had here: {package} is not installed')
    from selfpose_ros.inference.pose2d.getting import get_model
    from selfpose_ros.models.catalogue import DEFAULT
    get_model(DEFAULT)
    return DEFAULT
