# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes say of the backend: its state, how far an engine is, and why it is not what was asked for."""
from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
pytest.importorskip('onnxruntime')

from ros_world import World, values

from selfpose_ros.inference import backend as backends
from selfpose_ros.inference.errors import InferenceError
from selfpose_ros.inference.session import BackendReport
from selfpose_ros.nodes import fusion_node
from selfpose_ros.nodes.backend_report import backend_entries, backend_of, build_lines
from selfpose_ros.nodes.diagnostics import ERROR, OK, WARN, StateLog
from selfpose_ros.nodes.errors import NodeError
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.parameters import FusionSettings, Pose2DSettings
from selfpose_ros.nodes.pose2d_node import Pose2DNode

CPU = 'CPU (ONNX Runtime 1.20)'


class Session:
    """Says what it is told to."""

    def __init__(self, state: str, share: float = 1., wanted: str = 'auto', **other: str) -> None:
        self.report = BackendReport('net', wanted, CPU, state, share, **other)


class Logger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda text: self.lines.append((level, text))


@pytest.mark.parametrize(('session', 'level', 'words'), [
    (Session('building', .4), OK, f'net on {CPU}, while its TensorRT engine is built (40%)'),
    (Session('checking'), OK, f'net on {CPU}, while its TensorRT engine is compared with it'),
    (Session('ready'), OK, f'net on {CPU}'),
    (Session('ready', note='the engine cannot be kept'), WARN, f'net on {CPU}; the engine cannot be kept'),
    (Session('fallen back', reason='no GPU'), WARN, f'net on {CPU}, because: no GPU'),
    (Session('failed', reason='the GPU failed'), ERROR, 'net does not run: the GPU failed')])
def test_each_state_has_its_level_and_sentence(session: Any, level: bytes, words: str) -> None:
    (entry,) = backend_entries([session, session])
    assert (entry.level, entry.message, entry.name) == (level, words, 'backend of net')
    assert entry.values['state'] == session.report.state


def test_where_onnx_runtime_is_asked_for_there_is_nothing_to_say() -> None:
    assert backend_entries([Session('ready', wanted='onnxruntime')]) == [] == build_lines([Session('ready')])  # type: ignore[list-item]
    assert build_lines([Session('building', .25)]) == [  # type: ignore[list-item]
        f'net on {CPU}, while its TensorRT engine is built (25%)']


def test_the_log_warns_once() -> None:
    logger = Logger()
    log = StateLog(logger)
    for _ in range(5):
        log.note(backend_entries([Session('fallen back', reason='no GPU')]))    # type: ignore[list-item]
    assert [level for level, _ in logger.lines] == ['warning']


def test_the_parameters_make_the_choice() -> None:
    made = backend_of(Pose2DSettings(cameras=('a',) * 0, backend='auto', engine_cache='/e'), 12)
    assert (made.name, made.engines, made.batch, made.wait) == ('auto', '/e', 8, False)
    assert backend_of(FusionSettings()).name == 'onnxruntime'


def test_auto_without_tensorrt_is_told_with_its_reason(world: World, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    before = set(backends._open)                           # of tests before this one
    node = world.make(FusionNode, cameras=['a', 'b'], backend='auto')
    entry = world.says('fusion_node: backend of lifter', 'because: TensorRT cannot be loaded')
    assert entry.level == WARN and values(entry)['backend'] == 'auto' and 'ONNX Runtime' in values(entry)['device']
    assert len(set(backends._open) - before) == 1
    node.trigger_deactivate()
    node.trigger_cleanup()
    gc.collect()
    assert set(backends._open) <= before, 'cleaned up, and the session still open'


@pytest.mark.parametrize(('kind', 'parameters', 'words'), [
    (FusionNode, {}, 'parameter lifter: backend tensorrt: TensorRT cannot be loaded'),
    (Pose2DNode, {'model': 'mediapipe'}, 'mediapipe runs on the CPU alone; for backend tensorrt name a model folder'),
    (Pose2DNode, {'model_options': ['backend=auto']}, 'is a parameter of its own')])
def test_tensorrt_that_cannot_be_had_is_an_error_of_configure(world: World, monkeypatch, kind: Any, parameters: dict,
                                                              words: str) -> None:
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    with pytest.raises(NodeError, match=words):
        world.make(kind, cameras=['a', 'b'], backend='tensorrt', **parameters)


def test_a_model_folder_without_tensorrt(world: World, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip('onnx')
    import colour_networks as nets

    from selfpose_ros.inference.pose2d.importing import Request, import_model
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    import_model(Request(nets.simcc(tmp_path / 'net.onnx', size=(96, 128)), tmp_path / 'pose', 'rtmpose'))
    world.make(Pose2DNode, cameras=['a', 'b'], backend='auto', model=str(tmp_path / 'pose'))
    world.says('pose2d_node: backend of pose', 'because: TensorRT cannot be loaded')
    with pytest.raises(NodeError, match='backend tensorrt: TensorRT cannot be loaded'):
        world.make(Pose2DNode, cameras=['a'], backend='tensorrt', model=str(tmp_path / 'pose'))


def test_a_lifter_that_fails_is_no_defect_of_the_program(world: World) -> None:
    from selfpose_ros.core.observation import View2D

    class Estimator:
        status = SimpleNamespace(level=0, sentence='', ok=True, solving=False, rig_reason='', rig_quality=0.,
                                 scale_source='', scale_sigma=0., cameras={})
        rig = None

        def update(self, instant: Any) -> list[Any]:
            raise InferenceError('backend tensorrt: net: the GPU failed')

        def close(self) -> None:
            pass

    node = world.make(FusionNode, cameras=['a', 'b'], args={'make_estimator': lambda *_: Estimator(),
                                                            'local_cameras': ('a', 'b')})

    def views() -> None:
        now = node.now_s()
        for camera in 'ab':
            node.take(View2D(camera, now, np.full((1, 17, 2), 50.), np.ones((1, 17)), (320, 240)))

    entry = world.says('fusion_node: fusion', 'the lifting network failed', views)
    assert entry.level == ERROR and 'defect' not in entry.message


def test_fusion_goes_on_without_a_lifter_whose_gpu_is_dead(world: World, monkeypatch) -> None:
    node = world.make(FusionNode, cameras=['a', 'b'], rig_solver='inline')
    monkeypatch.setattr(fusion_node, 'Estimator', lambda config, rig, lifter, identities: lifter)
    assert node._estimator(None, None) is node._lifter is not None
    node._lifter.session.report = BackendReport('lifter', 'tensorrt', CPU, 'failed', 1., 'the GPU failed')
    assert node._estimator(None, None) is None
    assert world.says('fusion_node: backend of lifter', 'lifter does not run: the GPU failed').level == ERROR


def test_an_engine_that_comes_while_the_node_works(world: World, tmp_path: Path, monkeypatch) -> None:
    """On the device that is none: diagnostics and log tell of it, the images go over, cleanup leaves nothing."""
    pytest.importorskip('onnx')
    import threading

    import colour_networks as nets
    from colour_networks import SIZE, body
    from fake_device import FakeCuda, fake_tensorrt
    from ros_world import raw
    from sensor_msgs.msg import Image

    from selfpose_ros.inference.pose2d.importing import Request, import_model
    from selfpose_ros.inference.tensorrt.engine_factory import EngineFactory
    cuda, gate = FakeCuda(), threading.Event()
    trt = fake_tensorrt(cuda, b'', steps=lambda step: step != 1 or gate.wait(30))
    monkeypatch.setattr(EngineFactory, 'here',
                        lambda backend: EngineFactory(trt, cuda, tmp_path / 'engines', backend.batch))
    import_model(Request(nets.simcc(tmp_path / 'net.onnx', size=(96, 128)), tmp_path / 'pose', 'rtmpose'))
    np.savez(tmp_path / 'pose' / 'golden.npz', input=np.zeros((8, 3, 128, 96), np.float32))
    before = set(backends._open)                           # of tests before this one
    node = world.make(Pose2DNode, cameras=['a', 'b'], backend='tensorrt', model=str(tmp_path / 'pose'))
    send = world.node.create_publisher(Image, '/a/image_raw', 5)
    picture, stamps = nets.picture(body(), SIZE, 14), iter(np.arange(100., 1e4, .05))

    def images() -> None:
        send.publish(raw(picture, next(stamps)))

    assert values(world.says('pose2d_node: backend of pose', 'while its TensorRT engine is built (25%)',
                             images))['state'] == 'building'
    world.says('pose2d_node: camera a', '1 person', images)
    gate.set()
    entry = world.says('pose2d_node: backend of pose', 'pose on GPU Fake (TensorRT 10.3.0)')
    assert entry.level == OK and len(trt.built) == 1
    cuda.log.clear()
    world.until(lambda: 'launch' in cuda.log or 'execute' in cuda.log, 'an image on the device', images)
    world.says('pose2d_node: network', 'pose on GPU Fake', images)
    node.trigger_deactivate()
    node.trigger_cleanup()
    gc.collect()
    world.until(lambda: set(backends._open) <= before and cuda.clean, 'the device is left as it was')
