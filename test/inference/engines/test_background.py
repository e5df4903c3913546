# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime at once, TensorRT when it is ready and right, and back: on the device that is none."""
from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
import colour_networks as nets
import graphs
from fake_device import FakeCuda, fake_tensorrt
from model_folder import write_lifter

from selfpose_ros.inference import backend as backends
from selfpose_ros.inference.backend import Backend
from selfpose_ros.inference.errors import BackendUnavailable, ExecutionError, InferenceError
from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.importing import Request, import_model
from selfpose_ros.inference.tensorrt.engine_factory import EngineFactory
from selfpose_ros.models.store import open_model

PATIENCE_S = 30.


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end, 'never came'
        time.sleep(.005)
    return value


def poses(n: int = 2) -> np.ndarray:
    return np.random.default_rng(n).normal(0, .3, (n, 17, 3)).astype(np.float32)


class Machine:
    """A machine with a 'GPU'; every session made while it is installed meets it. gate: builds wait for it."""

    def __init__(self, folder: Path) -> None:
        self.cuda, self.folder, self.gate = FakeCuda(), folder, threading.Event()
        self.gate.set()
        self.off: Callable[[str, np.ndarray], np.ndarray] = lambda name, a: a
        self.version = '10.3.0'
        self.modules: list[Any] = []
        self.steps = 0

    def here(self, backend: Backend) -> EngineFactory:
        def step(number: int) -> None:
            self.steps += 1
            assert number != 1 or self.gate.wait(PATIENCE_S)

        trt = fake_tensorrt(self.cuda, b'', version=self.version, off=lambda name, a: self.off(name, a), steps=step)
        self.modules.append(trt)
        return EngineFactory(trt, self.cuda, Path(backend.engines or self.folder), backend.batch)

    @property
    def builds(self) -> int:
        return sum(len(m.built) for m in self.modules)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch) -> Iterator[Machine]:
    made, before = Machine(tmp_path / 'engines'), set(backends._open)        # a command may have kept its lifter
    monkeypatch.setattr(EngineFactory, 'here', made.here)
    yield made
    made.gate.set()
    gc.collect()
    assert set(backends._open) <= before, 'a session is left open'
    assert made.cuda.clean, 'something is left on the device'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_lifter(tmp_path / 'tiny')


def test_onnx_runtime_serves_until_the_engine_is_there(machine: Machine, folder: Path):
    machine.gate.clear()
    lifter = open_lifter(folder, Backend('auto'))
    before = lifter.lift(poses())
    assert 'ONNX Runtime' in lifter.device
    report = until(lambda: (r := lifter.session.report).share > 0 and r)
    assert report.state == 'building' and 'while its TensorRT engine is built (25%)' in report.sentence
    assert report.wanted == 'auto' and report.model == 'tiny' and not lifter.session.prefers_batches
    machine.gate.set()
    until(lambda: lifter.session.report.state == 'ready')
    assert lifter.device == 'GPU Fake (TensorRT 10.3.0)' and lifter.session.report.reason == ''
    assert lifter.session.prefers_batches and lifter.session.max_batch == 8
    machine.cuda.log.clear()
    for a, b in zip(before, lifter.lift(poses()), strict=True):
        np.testing.assert_array_equal(a, b)
    assert 'execute' in machine.cuda.log or 'launch' in machine.cuda.log
    assert lifter.lift(poses(20))[0].shape == (20, 17, 3)


def test_the_second_start_finds_the_engine(machine: Machine, folder: Path):
    for _ in range(2):
        lifter = open_lifter(folder, Backend('tensorrt', wait=True))
        assert lifter.session.report.state == 'ready'
        del lifter
    assert machine.builds == 1
    machine.version = '10.4.0'                             # TensorRT was updated
    lifter = open_lifter(folder, Backend('tensorrt', wait=True))
    assert machine.builds == 2 and lifter.device == 'GPU Fake (TensorRT 10.4.0)'


def test_an_engine_whose_file_is_of_another_version_inside_is_built_again(machine: Machine, folder: Path):
    """A driver or library that reports the old version, but does not load what it wrote."""
    factory = machine.here(Backend('auto'))
    model = open_model(folder)
    key = factory._key(model, model.file)
    from selfpose_ros.inference.tensorrt.builder import Built
    from selfpose_ros.inference.tensorrt.engine_cache import EngineCache
    EngineCache(machine.folder).obtain(key, lambda plan: plan, lambda timing: Built(b'ftrt9.9.9\n', b'', 0.))
    lifter = open_lifter(folder, Backend('auto', wait=True))
    report = lifter.session.report
    assert report.state == 'ready' and machine.builds == 1 and 'it is built again' in report.note


@pytest.mark.parametrize('name', ['auto', 'tensorrt'])
def test_an_engine_that_disagrees_is_not_used(machine: Machine, folder: Path, name: str):
    machine.off = lambda what, a: a + .02 if what == 'joints' else a
    lifter = open_lifter(folder, Backend(name))
    report = until(lambda: (r := lifter.session.report).state not in ('building', 'checking') and r)
    assert 'does not give what ONNX Runtime gives' in report.reason and 'joints 17.3 mm (allowed 2)' in report.reason
    assert 'ONNX Runtime' in lifter.device
    if name == 'auto':
        assert report.state == 'fallen back' and lifter.lift(poses())[0].shape == (2, 17, 3)
    else:
        assert report.state == 'failed' and report.reason.startswith('backend tensorrt: ')
        with pytest.raises(InferenceError, match='backend tensorrt: .*allowed 2'):
            lifter.lift(poses())
    assert machine.cuda.clean


def test_numbers_that_are_not_finite_are_a_disagreement(machine: Machine, folder: Path):
    machine.off = lambda what, a: np.where(a > .9, np.nan, a)
    lifter = open_lifter(folder, Backend('auto', wait=True))
    assert lifter.session.report.state == 'fallen back' and 'is not finite' in lifter.session.report.reason


def test_a_difference_that_nobody_would_see_is_none(machine: Machine, folder: Path):
    machine.off = lambda what, a: a + 1e-4
    lifter = open_lifter(folder, Backend('auto', wait=True))
    assert lifter.session.report.state == 'ready'


def test_a_device_that_dies_costs_auto_no_pose(machine: Machine, folder: Path):
    lifter = open_lifter(folder, Backend('auto', wait=True))
    wanted = lifter.lift(poses())
    machine.cuda.fail = ExecutionError('CUDA failed with cudaErrorLaunchFailure (719)')
    for _ in range(2):
        np.testing.assert_array_equal(lifter.lift(poses())[0], wanted[0])
    report = lifter.session.report
    assert report.state == 'fallen back' and '719' in report.reason and 'ONNX Runtime' in lifter.device
    assert not lifter.session.prefers_batches and lifter.session.max_batch is None
    machine.cuda.fail = None


def test_a_device_that_dies_is_an_error_with_tensorrt(machine: Machine, folder: Path):
    lifter = open_lifter(folder, Backend('tensorrt', wait=True))
    machine.cuda.fail = ExecutionError('CUDA failed with cudaErrorLaunchFailure (719)')
    with pytest.raises(ExecutionError, match='719'):
        lifter.lift(poses())
    machine.cuda.fail = None
    with pytest.raises(InferenceError, match='backend tensorrt: .*719'):
        lifter.lift(poses())
    assert lifter.session.report.state == 'failed'
    again = open_lifter(folder, Backend('tensorrt', wait=True))              # another configure, another try
    assert again.session is not lifter.session and again.session.report.state == 'ready'


def test_close_cancels_a_build(machine: Machine, folder: Path):
    machine.gate.clear()
    lifter = open_lifter(folder, Backend('auto'))
    session = lifter.session
    until(lambda: machine.steps >= 2)
    thread = session._thread
    closer = threading.Thread(target=session.close)
    closer.start()
    until(session._closing.is_set)
    machine.gate.set()
    closer.join(PATIENCE_S)
    assert not closer.is_alive() and not thread.is_alive() and machine.builds == 0
    with pytest.raises(InferenceError, match='was closed'):
        lifter.lift(poses())
    assert not list(machine.folder.glob('*.engine'))


def test_what_the_builder_raises_is_the_reason(machine: Machine, tmp_path: Path):
    machine.folder.mkdir(mode=0o777)
    machine.folder.chmod(0o777)
    lifter = open_lifter(write_lifter(tmp_path / 'm'), Backend('auto', wait=True))
    assert 'others may write there' in lifter.session.report.reason
    with pytest.raises(InferenceError, match='backend tensorrt: .*others may write there'):
        open_lifter(tmp_path / 'm', Backend('tensorrt', wait=True))


def test_a_defect_in_its_thread_is_told_not_swallowed(machine: Machine, folder: Path, monkeypatch):
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError('division by zero')

    monkeypatch.setattr(EngineFactory, 'engine', broken)
    lifter = open_lifter(folder, Backend('auto', wait=True))
    assert lifter.session.report.reason == 'defect: ZeroDivisionError: division by zero'


# -- half precision

def _with_half(folder: Path, content: bytes) -> Path:
    from selfpose_ros.models.card import sha256_of
    (folder / 'model.fp16.onnx').write_bytes(content)
    with (folder / 'card.yaml').open('a') as card:
        card.write(f'\nfp16_sha256: {sha256_of(folder / "model.fp16.onnx")}\n')
    return folder


def test_the_file_in_half_precision_is_taken_where_there_is_one(machine: Machine, folder: Path):
    import onnx
    half = graphs.half(onnx.load(str(folder / 'model.onnx')))
    lifter = open_lifter(_with_half(folder, half), Backend('auto', wait=True))
    assert lifter.session.report.state == 'ready' and lifter.session.report.note == ''
    assert machine.modules[-1].built == [half]


def test_half_precision_that_disagrees_gives_way_to_the_whole(machine: Machine, folder: Path, tmp_path: Path):
    other = write_lifter(tmp_path / 'other', graph={'seed': 5}) / 'model.onnx'
    lifter = open_lifter(_with_half(folder, other.read_bytes()), Backend('auto', wait=True))
    report = lifter.session.report
    assert report.state == 'ready' and 'model.onnx is used instead' in report.note and 'allowed' in report.note
    assert len(machine.modules[-1].built) == 2


# -- networks that look at images

SMALL = (96, 128)


@pytest.fixture
def pose(tmp_path: Path) -> Path:
    """A small network that sees discs, and stored inputs that show them."""
    from colour_networks import BODY
    network = import_model(Request(nets.simcc(tmp_path / 'net.onnx', size=SMALL), tmp_path / 'pose', 'rtmpose'))
    pictures = [nets.picture(BODY * (.3 + .01 * i) + [48, 64], SMALL, 3) for i in range(8)]
    blobs = [network.blob(p, [network.whole(p)]) for p in pictures]
    np.savez(tmp_path / 'pose' / 'golden.npz', input=np.concatenate(blobs))
    return tmp_path / 'pose'


def test_a_2d_network_changes_over_while_it_works(machine: Machine, pose: Path):
    from colour_networks import SIZE, body
    machine.gate.clear()
    net, other = (make_pose2d(str(pose), backend=Backend('auto')) for _ in range(2))
    image = nets.picture(body(), SIZE, 14)
    before = net.infer(image)
    assert 'ONNX Runtime' in net.device and len(net.sessions) == 1 and net.sessions == other.sessions
    machine.gate.set()
    until(lambda: net.sessions[0].report.state == 'ready')
    net.reset()
    after = net.infer(image)
    assert 'TensorRT' in net.device and 'TensorRT' in other.device and machine.builds == 1
    np.testing.assert_allclose(after.keypoints, before.keypoints)


@pytest.mark.parametrize(('off', 'shows', 'words'), [
    (lambda what, a: np.roll(a, 4, -1), True, 'joints 2.83 px (allowed 1)'),
    (lambda what, a: a * .8, True, 'confidence 0.2 (allowed 0.05)'),
    (lambda what, a: np.roll(a, 4, -1), False, 'which shows nothing sure'),
    (lambda what, a: a + 1e-4, True, ''), (lambda what, a: a, False, '')])
def test_pixels_and_confidences_are_compared(machine: Machine, pose: Path, off: Callable, shows: bool, words: str):
    if not shows:                                          # rendered people, in whom this network sees nothing
        (pose / 'golden.npz').unlink()
    machine.off = off
    net = make_pose2d(str(pose), backend=Backend('auto', wait=True))
    report = net.sessions[0].report
    assert report.state == ('fallen back' if words else 'ready') and words in report.reason


def test_a_graph_for_many_images_at_a_time_is_compared_too(machine: Machine, tmp_path: Path):
    import_model(Request(nets.simcc(tmp_path / 'net.onnx', size=(32, 48), batch=14), tmp_path / 'pose', 'rtmpose'))
    net = make_pose2d(str(tmp_path / 'pose'), backend=Backend('auto', wait=True))
    assert net.sessions[0].report.state == 'ready', net.sessions[0].report.reason


def test_stored_inputs_of_another_graph_are_said(machine: Machine, pose: Path):
    np.savez(pose / 'golden.npz', input=np.zeros((8, 3, 64, 64), np.float32))
    net = make_pose2d(str(pose), backend=Backend('auto', wait=True))
    reason = net.sessions[0].report.reason
    assert 'golden.npz: input is (8, 3, 64, 64) float32, the graph takes' in reason and 'defect' not in reason


def test_a_detector_is_run_by_the_same_backend(machine: Machine, pose: Path, tmp_path: Path):
    import_model(Request(nets.rtmdet(tmp_path / 'det.onnx', size=(64, 64)), tmp_path / 'people', 'rtmdet'))
    net = make_pose2d(str(pose), backend=Backend('auto', wait=True), detector=str(tmp_path / 'people'))
    assert [s.report.model for s in net.sessions] == ['pose', 'people']
    assert {s.report.wanted for s in net.sessions} == {'auto'}


# -- machines without

def test_without_tensorrt_auto_goes_on_and_tensorrt_says_why(folder: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    lifter = open_lifter(folder, Backend('auto'))
    report = lifter.session.report
    assert report.state == 'fallen back' and 'TensorRT cannot be loaded' in report.reason
    assert lifter.lift(poses())[0].shape == (2, 17, 3)
    with pytest.raises(BackendUnavailable, match='backend tensorrt: TensorRT cannot be loaded .*docs/backends.md'):
        open_lifter(folder, Backend('tensorrt'))


def test_mediapipe_is_no_network_of_tensorrt():
    with pytest.raises(InferenceError, match='mediapipe runs on the CPU alone'):
        make_pose2d('mediapipe', backend=Backend('tensorrt'))
