# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""PCK between two keypoint archives: counted on joints that are put where they are."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.benchmark.errors import BenchmarkError
from selfpose_ros.benchmark.keypoints import compare_keypoints
from selfpose_ros.core.association.distance import person_size
from selfpose_ros.core.noise import Accuracy
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.archive import write_keypoints
from selfpose_ros.io.recording import Recording

BODY = np.stack([np.linspace(100, 180, 17), np.linspace(50, 290, 17)], -1)
#: the longer diagonal of the torso of this body, px
TORSO = max(np.linalg.norm(BODY[JOINTS.index('l_shoulder')] - BODY[JOINTS.index('r_hip')]),
            np.linalg.norm(BODY[JOINTS.index('r_shoulder')] - BODY[JOINTS.index('l_hip')]))


def recording(name, people, begin=0., cameras=('a', 'b')):
    """people(camera, image) -> (P, 17, 2) px."""
    views = []
    for c in cameras:
        for k in range(4):
            points = np.asarray(people(c, k), float).reshape(-1, 17, 2)
            views.append(View2D(camera=c, stamp=begin + k / 30, keypoints=points,
                                confidence=np.ones(points.shape[:2]), image_size=(640, 480)))
    return Recording.of(name, cameras, views)


REFERENCE = recording('reference', lambda c, k: BODY[None])


def test_equal_joints_agree_whatever_the_clock_and_the_names_of_the_cameras():
    found = compare_keypoints(recording('f', lambda c, k: BODY[None], 1000., ('left', 'right')), REFERENCE)
    assert (found.images, found.found, found.pck_10, found.pck_20, found.median_px) == (8, 1., 100., 100., 0.)


@pytest.mark.parametrize(('share', 'pck'), [(.05, (100., 100.)), (.15, (0., 100.)), (.25, (0., 0.))])
def test_thresholds_are_shares_of_the_torso(share, pck):
    found = compare_keypoints(recording('f', lambda c, k: BODY[None] + [share * TORSO, 0]), REFERENCE)
    assert (found.pck_10, found.pck_20) == pck and found.median_px == pytest.approx(share * TORSO)


def test_people_who_are_not_found_count_as_wrong_and_others_do_not_disturb():
    stranger = BODY[None] + [300, 0]
    found = compare_keypoints(recording('f', lambda c, k: np.concatenate([stranger, BODY[None]]) if c == 'a'
                                        else np.zeros((0, 17, 2))), REFERENCE)
    assert found.found == .5 and found.pck_20 == 50. and found.median_px == 0.


def test_differences_are_compared_with_what_the_card_predicts():
    size, rng = float(person_size(BODY, np.ones(17))), np.random.default_rng(3)
    card = Accuracy((1.,), (4. / size,))
    own = recording('f', lambda c, k: (BODY + rng.normal(0, 4., BODY.shape))[None], cameras=('a', 'b'))
    assert compare_keypoints(own, REFERENCE).check is None
    told = Recording.of('f', own.cameras, [replace(v, accuracy=card) for v in own.views])
    check = compare_keypoints(told, REFERENCE).check
    # sizes are those of the noisy bodies
    assert check is not None and check.ratio == pytest.approx(1., abs=.2)
    assert check.within_1 == pytest.approx(68.3, abs=9)
    half = [replace(v, accuracy=Accuracy((1.,), (2. / size,))) for v in own.views]
    wrong = compare_keypoints(Recording.of('f', own.cameras, half), REFERENCE).check
    assert wrong is not None and wrong.ratio == pytest.approx(2 * check.ratio, rel=1e-6)


def test_what_has_nothing_in_common_is_told():
    with pytest.raises(BenchmarkError, match='3 cameras.*same cameras in the same order'):
        compare_keypoints(recording('f', lambda c, k: BODY[None], cameras=('a', 'b', 'c')), REFERENCE)
    shifted = recording('f', lambda c, k: BODY[None])
    late = Recording.of('f', ('a', 'b'), [View2D(camera='a', stamp=-50., keypoints=BODY[None],
                                                 confidence=np.ones((1, 17)), image_size=(640, 480)), *shifted.views])
    assert compare_keypoints(shifted, REFERENCE).pck_20 == 100.
    with pytest.raises(BenchmarkError, match='no image of the one has the stamp'):
        compare_keypoints(Recording.of('f', ('a', 'b'), [v for v in late.views if v.stamp > -1 or v.stamp < -49][:1]
                                       + [View2D(camera='b', stamp=-51., keypoints=BODY[None],
                                                 confidence=np.ones((1, 17)), image_size=(640, 480))]),
                          recording('r', lambda c, k: BODY[None] if k == 3 else np.zeros((0, 17, 2))))


def test_the_command_compares_archives(tmp_path: Path, capsys):
    write_keypoints(tmp_path / 'found.npz', recording('found', lambda c, k: BODY[None] + [.15 * TORSO, 0]))
    write_keypoints(tmp_path / 'reference.npz', REFERENCE)
    command = ['evaluate', str(tmp_path / 'found.npz'), '--reference', str(tmp_path / 'reference.npz')]
    assert cli.main(command) == 0
    assert 'PCK@0.1 0.0 %, PCK@0.2 100.0 %' in capsys.readouterr().out
    assert cli.main([*command, '--json']) == 0
    assert json.loads(capsys.readouterr().out)['images'] == 8
    write_keypoints(tmp_path / 'found.npz', recording('found', lambda c, k: np.zeros((0, 17, 2))))
    assert cli.main(command) == 1, 'nobody was found: no success'
    assert 'somebody in 0% of 8 images' in capsys.readouterr().out
    assert cli.main(['evaluate', 'lifter', '--reference', str(tmp_path / 'reference.npz')]) == 2
    assert 'name one in place of the model' in capsys.readouterr().err
    assert cli.main([*command, '--motion', 'm.npz']) == 2
    assert 'leave out --motion' in capsys.readouterr().err
    assert cli.main(['evaluate', 'lifter']) == 2
    assert '--motion FILE or --data PATH is missing' in capsys.readouterr().err
