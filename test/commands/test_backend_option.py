# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""--backend of the commands: what it means where there is no TensorRT, said once and before the work."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
import recorded
from model_folder import write_lifter

from selfpose_ros import cli
from selfpose_ros.commands import run as run_command


@pytest.fixture(autouse=True)
def no_tensorrt(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'tensorrt', None)


def _archive(folder: Path) -> Path:
    """Nobody is seen, so that nothing takes long."""
    return recorded.write_archive(folder / 'in.npz', keypoints=np.full((6, 3, 17, 2), np.nan))


def test_auto_goes_on_with_one_line(tmp_path: Path, capsys):
    lifter = write_lifter(tmp_path / 'lifter')
    assert cli.main(['reconstruct', str(_archive(tmp_path)), '-o', str(tmp_path / 'out.npz'), '--lifter', str(lifter),
                     '--backend', 'auto', '--quiet']) == 1           # nobody is in it
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith('backend')]
    assert len(told) == 1 and told[0].startswith('backend auto: onnxruntime, because: TensorRT cannot be loaded')


def test_tensorrt_fails_before_anything_is_done(tmp_path: Path, capsys):
    out = tmp_path / 'out.npz'
    assert cli.main(['reconstruct', str(_archive(tmp_path)), '-o', str(out), '--backend', 'tensorrt']) == 2
    told = capsys.readouterr().err
    assert 'backend tensorrt: TensorRT cannot be loaded' in told and told.count('\n') == 1 and not out.exists()


def test_a_backend_that_is_none_is_refused(tmp_path: Path, capsys):
    assert cli.main(['reconstruct', 'x.npz', '-o', 'y.npz', '--backend', 'cuda']) == 2
    assert 'onnxruntime' in capsys.readouterr().err


def test_the_demo_knows_that_mediapipe_runs_on_the_cpu(tmp_path: Path, capsys):
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    assert cli.main(['demo', '-o', str(tmp_path), '--model', 'mediapipe', '--backend', 'tensorrt']) == 2
    assert 'mediapipe runs on the CPU alone' in capsys.readouterr().err


def test_run_hands_it_to_both_nodes(monkeypatch):
    rclpy = pytest.importorskip('rclpy', reason='rclpy is not installed')
    parser = argparse.ArgumentParser()
    run_command.add_arguments(parser)
    assert parser.parse_args([]).backend is None
    rclpy.init(args=[])
    try:
        from selfpose_ros.nodes.composed import both_nodes
        nodes = both_nodes(('a', 'b'), parser.parse_args(['--backend', 'auto']).backend)
        assert [n.get_parameter('backend').value for n in nodes] == ['auto', 'auto']
        for node in nodes:
            node.destroy_node()
    finally:
        rclpy.shutdown()
