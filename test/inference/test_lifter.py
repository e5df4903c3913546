# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The lifter on ONNX Runtime: the graph's own numbers, and a sentence that names the tensor for each wrong graph."""
from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
from model_folder import lifter_graph, weights, write_lifter, write_model
from raising import raises

from selfpose_ros.core import lifting
from selfpose_ros.inference.backend import Backend
from selfpose_ros.inference.errors import BackendUnavailable, InferenceError, InputError, OutputError
from selfpose_ros.inference.lifter import Lifter, open_lifter
from selfpose_ros.models.errors import ModelError


def poses(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, .3, (*shape, 17, 3)).astype(np.float32)


def by_hand(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the graph of `lifter_graph` computes, in numpy."""
    W, b, S = (w.astype(float) for w in weights())
    x = pose.reshape(len(pose), 51).astype(float)
    p = (x @ W + b).reshape(-1, 17, 3)
    p -= p[:, :1]
    return p / np.sqrt((p**2).sum((1, 2)) / 17)[:, None, None], np.exp(x @ S)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return write_lifter(tmp_path_factory.mktemp('models') / 'tiny')


@pytest.fixture(scope='module')
def lifter(folder: Path) -> Lifter:
    return open_lifter(folder)


@pytest.mark.parametrize('n', [1, 3, 8, 100])
def test_the_numbers_are_those_of_the_graph(lifter: Lifter, n: int):
    joints, sigma = lifter.lift(poses(n))
    wanted, wanted_sigma = by_hand(poses(n))
    assert joints == pytest.approx(wanted, abs=1e-5)
    assert sigma == pytest.approx(wanted_sigma, rel=1e-4)
    assert joints.dtype == sigma.dtype == np.float64


def test_a_temporal_lifter_gets_sequences_with_the_newest_frame_last(tmp_path: Path):
    temporal = open_lifter(write_lifter(tmp_path / 'm', frames=9))
    pose = poses(5, 9)
    assert temporal.frames == 9
    assert temporal.lift(pose)[0] == pytest.approx(by_hand(pose[:, -1])[0], abs=1e-5)
    with pytest.raises(InputError, match=r'pose must have shape \(N, 9, 17, 3\), got \(5, 17, 3\).*9 frames at a time'):
        temporal.lift(pose[:, 0])


def test_it_is_a_lifter_of_the_core(lifter: Lifter):
    rng = np.random.default_rng(1)
    kp, conf = rng.uniform(0, 900, (2, 17, 2)), np.ones((2, 17))
    conf[0, 3] = 0
    K = np.array([[900., 0, 500], [0, 900, 500], [0, 0, 1]])
    joints, sigma = lifting.lift(lifter, kp, conf, np.stack([K, K]))
    assert joints.shape == (2, 17, 3) and (sigma > 0).all()


def test_nobody_in_nobody_out(lifter: Lifter):
    joints, sigma = lifter.lift(np.zeros((0, 17, 3)))
    assert joints.shape == (0, 17, 3) and sigma.shape == (0, 17)


@pytest.mark.parametrize('shape', [(17, 3), (2, 16, 3), (2, 17, 2), (2, 9, 17, 3)])
def test_poses_of_another_shape_are_refused(lifter: Lifter, shape: tuple[int, ...]):
    with pytest.raises(InputError, match=r'pose must have shape \(N, 17, 3\).*1 frame at a time'):
        lifter.lift(np.zeros(shape))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(lifter: Lifter, value: float):
    pose = poses(2)
    pose[1, 4, 0] = value
    with pytest.raises(InputError, match='put 0 where a joint is not seen'):
        lifter.lift(pose)


def test_an_answer_that_is_not_finite_does_not_leave_this_room(lifter: Lifter):
    with pytest.raises(OutputError, match='not finite'):
        lifter.lift(poses(1) * 1e30)


@pytest.mark.parametrize(('graph', 'words'), [
    ({'joints': 'pose3d'}, r'the graph has no output joints \(N, 17, 3\), only pose3d, log_sigma'),
    ({'pose': 'keypoints'}, r'the graph has no input pose \(N, 17, 3\), only keypoints'),
    ({'sigma_size': 16}, r'output log_sigma must be \(N, 17\) .* has \(N, 16\)'),
    ({'batch': 1}, r'input pose must be \(N, 17, 3\) .* has \(1, 17, 3\)'),
    ({'dtype': 'DOUBLE'}, r'input pose must be .*tensor\(float\), the graph has .*tensor\(double\)'),
    ({'more_inputs': ('image',)}, 'nothing is known to give to the input image'),
    ({'factor': 2.}, 'joints must be .* root mean square distance 1, got the pelvis at 0 and 2'),
    ({'rooted': False}, 'joints must be relative to the pelvis'),
    ({'factor': float('nan')}, 'joints is not finite for a standing person'),
])
def test_a_wrong_graph_is_refused_and_its_tensor_named(tmp_path: Path, graph: dict, words: str):
    with raises(ModelError, words, place=tmp_path / 'm/model.onnx') as error:
        open_lifter(write_lifter(tmp_path / 'm', graph=graph))
    assert str(error.value).startswith(str(tmp_path / 'm' / 'model.onnx'))


def test_a_temporal_graph_with_the_card_of_a_frame_lifter_is_refused(tmp_path: Path):
    with raises(ModelError, r'input pose must be \(N, 17, 3\) .* has \(N, 9, 17, 3\)',
                place=tmp_path / 'm/model.onnx'):
        open_lifter(write_model(tmp_path / 'm', lifter_graph(9), frames=1))


def test_a_file_that_is_no_graph_is_one_sentence(tmp_path: Path, capfd):
    with raises(ModelError, 'ONNX Runtime cannot load it', place=tmp_path / 'm/model.onnx'):
        open_lifter(write_model(tmp_path / 'm', b'no graph at all'))
    assert capfd.readouterr().err == ''


def test_a_failure_inside_the_engine_is_an_error_of_this_room(tmp_path: Path, monkeypatch):
    broken = open_lifter(write_lifter(tmp_path / 'broken'))

    class Dead:
        def run(self, names, feed):
            raise RuntimeError('out\nof memory')

    monkeypatch.setattr(broken.session, '_session', Dead())
    with pytest.raises(InferenceError, match=r'ONNX Runtime failed \(out of memory\)'):
        broken.lift(poses(1))


def test_without_onnx_runtime_the_line_that_installs_it_is_said(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with raises(BackendUnavailable, "pip install 'onnxruntime>=1.17'", place=tmp_path / 'lifter/model.onnx'):
        open_lifter(write_lifter(tmp_path / 'lifter'))


def test_who_names_the_same_model_shares_it_and_the_last_one_closes_it(folder: Path):
    one, two = open_lifter(folder), open_lifter(folder)
    session = one.session
    assert two.session is session
    del one
    assert two.lift(poses(1))[0].shape == (1, 17, 3)
    other = open_lifter(folder, Backend(batch=3))          # another choice, another session
    assert other.session is not session
    with pytest.raises(InputError, match='is not known; choose one of: onnxruntime, auto, tensorrt'):
        Backend('cuda')


def test_a_session_that_nobody_uses_is_closed(tmp_path: Path):
    lifter = open_lifter(write_lifter(tmp_path / 'm'))
    session = lifter.session
    del lifter
    with raises(InferenceError, 'was closed', place=tmp_path / 'm/model.onnx'):
        session.run({'pose': poses(1)}, ['joints'])


def test_several_threads_may_lift_at_once(lifter: Lifter):
    wanted = [by_hand(poses(4, seed=i))[0] for i in range(4)]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(200):
            if not np.allclose(lifter.lift(poses(4, seed=i))[0], wanted[i], atol=1e-5):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_one_thread_computes(folder: Path):
    code = ('import os, sys; import numpy as np; from selfpose_ros.inference.lifter import open_lifter\n'
            'open_lifter(sys.argv[1])                    # the engine itself has a thread or none\n'
            'before = len(os.listdir("/proc/self/task")); lifter = open_lifter(sys.argv[1])\n'
            'lifter.lift(np.zeros((64, 17, 3))); print(len(os.listdir("/proc/self/task")) - before)')
    if not Path('/proc/self/task').is_dir():
        pytest.skip('threads are counted in /proc')
    out = subprocess.run([sys.executable, '-c', code, str(folder)], capture_output=True, text=True, check=True).stdout
    assert int(out) == 0


def test_nothing_heavy_is_loaded_before_a_lifter_is_made():
    code = ('import sys; import selfpose_ros.inference.lifter; '
            'print(sorted({"torch", "onnx", "onnxruntime"} & set(sys.modules)))')
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True).stdout.strip() == '[]'
