# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is timed around the 2D network is what it is said to be. No time decides a test."""
from __future__ import annotations

import builtins
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from selfpose_ros.benchmark import pixels as measured, stand_in
from selfpose_ros.benchmark.run import Options, Report, run_benchmark
from selfpose_ros.inference.session import OrtSession


@pytest.fixture(scope='module')
def result() -> measured.Pixels:
    return measured.pixels(rounds=2)


def test_the_stand_in_has_the_size_and_the_tensors_of_rtmpose_t(tmp_path: Path):
    weights = stand_in.write_stand_in(tmp_path / 'n.onnx')
    assert abs(weights / stand_in.PARAMETERS - 1) < .01
    session = OrtSession(tmp_path / 'n.onnx')
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 3, 256, 192)).astype(np.float32)
    x, y = session.run({'input': image}, ['simcc_x', 'simcc_y'])
    assert x.shape == (2, 17, 384) and y.shape == (2, 17, 512)
    assert np.abs(x.argmax(2) / 2 - stand_in.BODY[:, 0]).max() < 1
    assert np.abs(y.argmax(2) / 2 - stand_in.BODY[:, 1]).max() < 1
    assert np.ptp(x[0] - x[1]) > 1e-4, 'what it says depends on the image: nothing was folded away'


def test_a_round_is_four_images_each_looked_at_once(result: measured.Pixels):
    for part in ('all', *measured.PARTS[:-1]):
        cameras = [s.camera for s in result.spans if s.part == part]
        assert sorted(cameras) == sorted([*range(4)] * (2 if part == 'crop' else 1)), part
    for c in range(4):
        whole = next(s for s in result.spans if s.camera == c and s.part == 'all')
        inner = sorted((s for s in result.spans if s.camera == c and s.part != 'all'), key=lambda s: s.begin)
        assert whole.begin <= inner[0].begin and inner[-1].end <= whole.end
        assert all(a.end <= b.begin for a, b in zip(inner[:-1], inner[1:], strict=True)), 'no time counts twice'
        assert [s.part for s in inner] == ['JPEG', 'crop', 'crop', 'network', 'joints']
    assert result.network_s.shape == result.around_s.shape == (2, 4) and (result.around_s > 0).all()
    assert result.share == pytest.approx(result.around_s.min(0).sum() / result.network_s.min(0).sum())
    assert 0 < result.parts['rest'] < result.around_s.min(0).mean()
    assert set(result.parts) == set(measured.PARTS) - {'network'} and result.weights > 3e6


def test_the_person_is_followed_where_he_stands(result: measured.Pixels):
    _, boxes = measured.scene()
    for view, box in zip(result.views, boxes, strict=True):
        assert view.keypoints.shape == (1, 17, 2) and view.person.tolist() == [0] and view.image_size == (640, 480)
        middle = (np.nanmin(view.keypoints[0], 0) + np.nanmax(view.keypoints[0], 0)) / 2
        assert np.abs(middle - (box[:2] + box[2:]) / 2).max() < .2 * (box[3] - box[1])
        assert np.ptp(view.keypoints[0], axis=0)[1] > .5 * (box[3] - box[1])


def test_nothing_stays_wrapped(result: measured.Pixels):
    assert measured.decoded.__module__ == 'selfpose_ros.io.pictures'


def test_the_row_and_the_picture(result: measured.Pixels, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(measured, 'pixels', lambda way: result)
    monkeypatch.setattr(measured, '_FUSED_S', 1.)          # level 3 is not reached: there is no tick to draw
    row, p = measured.pixels_row(measured.BY_ITSELF)
    assert p is not None and p.tick_s is None and row.value == result.share
    assert 'without messages' in row.note and 'rest' in row.note and 'M random weights' in row.note
    pytest.importorskip('matplotlib')
    from selfpose_ros.benchmark.plots import write_plots
    files = write_plots(Report(Options(None), pixels=p), tmp_path)
    assert [f.name for f in files] == ['tick.png'] and 5000 < files[0].stat().st_size < 150_000


def test_without_onnx_it_is_said(monkeypatch):
    real = builtins.__import__

    def lacking(name, *args, **kwargs):
        if name.split('.')[0] == 'onnx':
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for module in [m for m in sys.modules if m.split('.')[0] == 'onnx']:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, '__import__', lacking)
    report = run_benchmark(Options(None, rows=('pixels',)), lambda *_: None)
    assert report.failed == [] and report.pixels is None
    (row,) = report.rows
    assert np.isnan(row.value) and 'pip install onnx' in row.note
    assert report.to_dict()['pixel_parts_s'] is None


def test_the_node_is_what_the_command_measures():
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from selfpose_ros.commands.benchmark import _way
    way = _way()
    assert way.messages
    p = measured.pixels(way, rounds=1)
    assert [(m.height, m.width) for m in p.views] == [(1, 17)] * 4
    assert len([s for s in p.spans if s.part == 'JPEG']) == 4
