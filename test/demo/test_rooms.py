# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose evaluate --people N`: rendered rooms, a 2D network with all that it has at run time."""
from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.demo.film import make_film
from selfpose_ros.demo.rooms import found_in, score_in_rooms
from selfpose_ros.evaluation.detections import score_detections
from selfpose_ros.inference.pose2d import People2D, make_pose2d


class Blind:
    """A network that looks and finds nobody."""

    name, joint_names, device = 'blind', JOINTS, 'none'
    made: list[Blind] = []

    def __init__(self) -> None:
        self.images, self.closed = 0, False
        self.made.append(self)

    def infer(self, image_bgr: np.ndarray) -> People2D:
        self.images += 1
        return People2D(np.zeros((0, 17, 2)), np.zeros((0, 17)))

    def reset(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_each_camera_has_a_network_of_its_own_that_is_closed() -> None:
    found = score_in_rooms(Blind, 2, 24, 3, workers=0, size=(96, 72))
    assert found.pictures == 24 and found.people > 24 and found.recall == 0.
    assert [n.images for n in Blind.made] == [6] * 4 and all(n.closed for n in Blind.made)


def test_our_network_finds_somebody_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
    assert cli.main(['evaluate', 'rendered_pose', '--people', '1', '--pictures', '24', '--quiet', '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['pictures'] == 24 and told['recall'] > 90 and told['precision'] > 90
    sigma = [b['sigma'] for b in told['bins']]
    assert sigma == sorted(sigma, reverse=True) and sigma[-1] < .02


def test_with_the_fusion_beside_it_a_network_finds_more() -> None:
    """Three people in 7 s, whose first seconds have no rig."""
    pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
    film, make = make_film(4, 7., 12, 6., people=3), partial(make_pose2d, 'rendered_pose')
    alone, fused = (score_detections(found_in(film, make, fused=fused)) for fused in (False, True))
    assert fused.recall > alone.recall + 2 and fused.precision > alone.precision - 1


@pytest.mark.parametrize(('words', 'said'), [
    (['--motion', 'x.npz'], 'leave out --motion'), (['--travel'], 'leave out --travel'),
    (['--model-option', 'detect'], 'write it as name=value'), (['--model-option', 'often=1'], 'has no option often'),
])
def test_what_does_not_go_with_rooms_is_one_sentence(words: list[str], said: str,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['evaluate', 'rendered_pose', '--people', '3', *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count('\n') == 1
    assert cli.main(['evaluate', 'rendered_pose', '--people', '9', '--pictures', '24']) == 2
    assert 'use 1 to 4' in capsys.readouterr().err
