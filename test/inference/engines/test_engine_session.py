# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""An engine's session on a device that is none: addresses, batches, graphs, threads, failures, nothing left behind."""
from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
import colour_networks as nets
import graphs
from fake_device import PLAN, FakeCuda, fake_tensorrt, runtime
from model_folder import lifter_graph

from selfpose_ros.inference.errors import (
    BackendUnavailable,
    EngineStale,
    ExecutionError,
    GraphRefused,
    InputError,
)
from selfpose_ros.inference.tensorrt.engine_session import EngineSession

NAMES = ['joints', 'log_sigma']


def poses(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    return {'pose': np.random.default_rng(seed).normal(0, .3, (n, 17, 3)).astype(np.float32)}


class Bench:
    """A session on the fake device, and ONNX Runtime beside it."""

    def __init__(self, graph: bytes, cuda: FakeCuda | None = None, captured: bool = True, **other) -> None:
        self.cuda = cuda or FakeCuda()
        self.trt = fake_tensorrt(self.cuda, graph, **other)
        plan = PLAN + self.trt.__version__.encode() + b'\n' + graph
        self.session = EngineSession(self.trt, self.cuda, plan, name='tiny', graphs=captured)
        self.reference = runtime(graph)

    def check(self, feeds: dict[str, np.ndarray]) -> None:
        names = [t.name for t in self.session.outputs]
        for a, b in zip(self.session.run(feeds, names), self.reference.run(names, feeds), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture(scope='module')
def graph() -> bytes:
    return lifter_graph()


def test_every_batch_gives_the_numbers_of_the_graph_however_they_alternate(graph: bytes):
    bench = Bench(graph)
    for i, n in enumerate([1, 4, 4, 4, 1, 1, 1, 8, 2, 2, 2, 4, 3, 5, 6, 7, 8, 8, 8, 1]):
        bench.check(poses(n, i))
    assert bench.cuda.log.count('capture') == 4 and bench.cuda.log.count('launch') == 8
    assert bench.session.most == 8
    assert [t.text for t in bench.session.inputs] == ['pose (N, 17, 3) tensor(float)']
    assert [t.shape for t in bench.session.outputs] == [(None, 17, 3), (None, 17)]
    assert bench.session.device == 'GPU Fake (TensorRT 10.3.0)' == bench.session.report.device


def test_a_graph_is_captured_once_after_plain_runs_and_holds_both_copies(graph: bytes):
    bench = Bench(graph)
    one = ['to device', 'execute', 'to host', 'to host']
    for i in range(4):
        bench.check(poses(2, i))
    assert bench.cuda.log == [*one, 'wait', *one, 'wait', 'capture', *one, 'launch', 'wait', 'launch', 'wait']
    plain = Bench(graph, captured=False)
    for i in range(4):
        plain.check(poses(2, i))
    assert 'capture' not in plain.cuda.log and 'launch' not in plain.cuda.log


def test_larger_batches_are_cut_and_none_is_none(graph: bytes):
    bench = Bench(graph)
    for n in (9, 16, 21):
        bench.check(poses(n, n))
    joints, sigma = bench.session.run(poses(0), NAMES)
    assert joints.shape == (0, 17, 3) and sigma.shape == (0, 17)
    assert bench.session.run(poses(3), ['log_sigma'])[0].shape == (3, 17)


def test_a_graph_for_one_image_at_a_time(tmp_path: Path):
    bench = Bench(nets.simcc(tmp_path / 'one.onnx', batch=1).read_bytes())
    bench.session.warm_up([1, 4, 8])
    bench.check({'input': np.random.default_rng(0).normal(0, 1, (1, 3, 256, 192)).astype(np.float32)})
    assert bench.session.most == 1 and set(bench.session._contexts) == {1}
    with pytest.raises(InputError, match=r'the input input \(1, 3, 256, 192\) .* got \(2, 3, 256, 192\)'):
        bench.session.run({'input': np.zeros((2, 3, 256, 192), np.float32)}, ['simcc_x'])


def test_an_image_network_in_all_batches(tmp_path: Path):
    bench = Bench(nets.simcc(tmp_path / 'net.onnx').read_bytes())
    image = np.random.default_rng(0).normal(0, 1, (3, 3, 256, 192)).astype(np.float32)
    for n in (1, 3, 3, 3, 2, 3):
        bench.check({'input': image[:n]})


def test_warm_up_leaves_nothing_to_be_made(graph: bytes):
    bench = Bench(graph)
    bench.session.warm_up([1, 4, 20])
    made = len(bench.cuda.blocks), len(bench.cuda.graphs), dict(bench.session._contexts)
    assert made[1] == 3 and set(made[2]) == {1, 4, 8}
    bench.cuda.log.clear()
    for n in (1, 4, 8):
        bench.check(poses(n))
    assert bench.cuda.log == ['launch', 'wait'] * 3
    assert made == (len(bench.cuda.blocks), len(bench.cuda.graphs), dict(bench.session._contexts))


def test_what_was_given_out_is_not_written_again(graph: bytes):
    bench = Bench(graph)
    first = bench.session.run(poses(2, 1), NAMES)[0]
    kept = first.copy()
    bench.session.run(poses(2, 2), NAMES)
    np.testing.assert_array_equal(first, kept)


def test_several_threads(graph: bytes):
    bench = Bench(graph)
    wrong: list[BaseException] = []

    def work(i: int) -> None:
        try:
            for n in range(40):
                bench.check(poses(1 + (i + n) % 8, i))
        except Exception as error:  # noqa: BLE001 - told by the main thread
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong


@pytest.mark.parametrize(('feeds', 'words'), [
    ({}, 'nothing was given for the input pose'),
    ({'pose': np.zeros((2, 17, 3))}, r'the input pose \(N, 17, 3\) tensor\(float\) got \(2, 17, 3\) float64'),
    ({'pose': np.zeros((2, 16, 3), np.float32)}, r'got \(2, 16, 3\)'),
    ({'pose': np.zeros((17, 3), np.float32)}, r'got \(17, 3\)'),
])
def test_what_does_not_fit_is_the_callers_error_and_kills_nothing(graph: bytes, feeds: dict, words: str):
    bench = Bench(graph)
    with pytest.raises(InputError, match=words):
        bench.session.run(feeds, NAMES)
    with pytest.raises(InputError, match='no output heads'):
        bench.session.run(poses(1), ['heads'])
    bench.check(poses(2))


def test_after_an_error_of_the_device_nothing_is_tried_again(graph: bytes):
    bench = Bench(graph)
    bench.check(poses(2))
    bench.cuda.fail = ExecutionError('CUDA failed with cudaErrorIllegalAddress (700)')
    with pytest.raises(ExecutionError, match=r'tiny: the GPU failed .*cudaErrorIllegalAddress \(700\).*start it again'):
        bench.session.run(poses(2), NAMES)
    bench.cuda.fail = None
    done = len(bench.cuda.log)
    with pytest.raises(ExecutionError, match='700'):
        bench.session.run(poses(2), NAMES)
    assert len(bench.cuda.log) == done and bench.session.report.state == 'failed'
    bench.session.close()
    assert bench.cuda.clean


def test_a_capture_that_fails_costs_only_the_graphs(graph: bytes, monkeypatch):
    bench = Bench(graph)

    def refuse(stream, work):
        raise ExecutionError('CUDA failed with cudaErrorStreamCaptureUnsupported (900)')

    monkeypatch.setattr(bench.cuda, 'capture', refuse)
    for i in range(5):
        bench.check(poses(2, i))
    assert not bench.cuda.graphs and bench.session.report.state == 'ready'


def test_close_gives_everything_back_the_graphs_first(graph: bytes):
    bench = Bench(graph)
    bench.session.warm_up([1, 2])
    bench.cuda.log.clear()
    bench.session.close()
    bench.session.close()
    gc.collect()
    assert bench.cuda.clean and bench.cuda.log == ['free graph', 'free graph', 'free stream']
    with pytest.raises(ExecutionError, match='was closed'):
        bench.session.run(poses(1), NAMES)


def test_an_engine_of_another_version_is_stale(graph: bytes):
    cuda = FakeCuda()
    trt = fake_tensorrt(cuda, graph, version='10.16.1.11')
    with pytest.raises(EngineStale, match=r'does not load with TensorRT 10.16.1.11 here .*stdVersionRead'):
        EngineSession(trt, cuda, PLAN + b'10.3.0\n' + graph)
    assert cuda.clean


@pytest.mark.parametrize(('devices', 'starts', 'words'), [
    (0, True, 'no CUDA device'), (1, False, 'TensorRT does not start here')])
def test_what_is_not_there_is_said(graph: bytes, devices: int, starts: bool, words: str):
    cuda = FakeCuda(devices)
    with pytest.raises(BackendUnavailable, match=words):
        EngineSession(fake_tensorrt(cuda, graph, starts=starts), cuda, b'')


def test_a_device_without_room_is_left_as_it_was(graph: bytes):
    cuda = FakeCuda()
    cuda.room = 5000
    with pytest.raises(BackendUnavailable, match=r'no room on the device .*cudaErrorMemoryAllocation'):
        Bench(graph, cuda)
    assert cuda.clean


def test_an_output_without_a_fixed_size_is_refused():
    cuda = FakeCuda()
    with pytest.raises(GraphRefused, match=r'the output y \(2, -1\) .*use onnxruntime'):
        Bench(graphs.selection(), cuda)
    assert cuda.clean
