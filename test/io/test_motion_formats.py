# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""BVH, C3D, MOT, angles and URDF, read back as other programs read them."""
from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core import rotation
from selfpose_ros.core.angles import measured_body
from selfpose_ros.core.kinematics import ANGLES, Body, forward
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.angle_files import OPENSIM
from selfpose_ros.io.motion_files import FORMATS, write_result
from selfpose_ros.io.urdf import urdf_of

Array = NDArray[np.float64]
T, FPS = 40, 25.


def motion() -> tuple[Array, Array, Array]:
    """Angles (T, 21), places (T, 3) and joints (T, 17, 3) of somebody who bends everything while turning about."""
    t = np.arange(T)[:, None] / FPS
    angles = .25 * np.sin(2 * t + np.arange(len(ANGLES)))
    for n, a in enumerate(ANGLES):
        if 'knee' in a.name or 'elbow' in a.name:
            angles[:, n] += .8
    place = np.concatenate([.5 * t, -.2 * t, 1 + 0 * t], 1)
    turn = rotation.exp(np.concatenate([0 * t, 0 * t, .5 * t], 1))
    X = np.stack([forward(Body.average(), p, R, a) for p, R, a in zip(place, turn, angles, strict=True)])
    return angles, place, X


def result(X: Array, people: int = 1, level: int = 3) -> Skeletons:
    joints = np.stack([X + [0, 2. * p, 0] for p in range(people)], 1)
    ones = np.ones(joints.shape[:3])
    person = np.tile(np.arange(1, people + 1), (len(X), 1))
    return Skeletons(np.arange(len(X)) / FPS, joints, .005 * ones, .9 * ones, 4 * ones.astype(np.int64),
                     np.full(joints.shape[:2], level), person, ('a', 'b'), NotSolved('none', {}))


def write(tmp_path: Path, kind: str, made: Skeletons) -> list[Path]:
    return write_result(tmp_path / 'man', made, (kind,))


@pytest.mark.parametrize('kind', FORMATS)
def test_every_format_is_written_for_everybody_and_for_nobody(tmp_path: Path, kind: str) -> None:
    X = motion()[2]
    files = write(tmp_path, kind, result(X[:6], 2))
    assert files[0].name == f'man.{kind}' and all(f.stat().st_size for f in files)
    assert len(files) == (1 if kind in ('npz', 'csv') else 2)
    nobody = result(np.full((4, 17, 3), np.nan), 1, 0)
    nobody.person[:] = 0
    assert write(tmp_path / 'none', kind, nobody)[0].exists()


# -- BVH: as any program reads it


def read_bvh(path: Path) -> tuple[dict[str, Array], float]:
    """Places (T, 3) of all joints by name, cm."""
    words = path.read_text().split()
    at, stack, offset, parent, channels, name = 0, [], {}, {}, [], ''
    while words[at] != 'MOTION':
        word = words[at]
        if word in ('ROOT', 'JOINT'):
            name = words[at + 1]
            parent[name] = stack[-1] if stack else None
            at += 2
        elif word == 'End':
            name = f'{stack[-1]} end'
            parent[name] = stack[-1]
            at += 2
        elif word == '{':
            stack.append(name)
            at += 1
        elif word == '}':
            stack.pop()
            at += 1
        elif word == 'OFFSET':
            offset[name] = np.array(words[at + 1:at + 4], float)
            at += 4
        elif word == 'CHANNELS':
            n = int(words[at + 1])
            channels += [(name, c) for c in words[at + 2:at + 2 + n]]
            at += 2 + n
        else:
            at += 1
    frames, step = int(words[at + 2]), float(words[at + 5])
    data = np.array(words[at + 6:], float).reshape(frames, len(channels))
    axis = {'X': 0, 'Y': 1, 'Z': 2}
    out: dict[str, Array] = {n: np.zeros((frames, 3)) for n in parent}
    for f in range(frames):
        R: dict[str, Array] = {}
        for n, up in parent.items():
            own, move = np.eye(3), np.zeros(3)
            for (joint, channel), value in zip(channels, data[f], strict=True):
                if joint == n and channel.endswith('rotation'):
                    own = own @ rotation.exp(np.deg2rad(value) * np.eye(3)[axis[channel[0]]])
                elif joint == n:
                    move[axis[channel[0]]] = value
            R[n] = (np.eye(3) if up is None else R[up]) @ own
            out[n][f] = (move if up is None else out[up][f] + R[up] @ offset[n])
    return out, step


def test_bvh_has_the_joints_where_they_are(tmp_path: Path) -> None:
    X = motion()[2]
    places, step = read_bvh(write(tmp_path, 'bvh', result(X))[0])
    assert step == pytest.approx(1 / FPS)
    names = {'pelvis': 'pelvis', 'l_hip': 'l_hip', 'l_knee': 'l_knee', 'l_ankle': 'l_knee end', 'r_ankle': 'r_knee end',
             'thorax': 'thorax', 'neck_nose': 'head', 'head': 'head end', 'r_elbow': 'r_elbow',
             'r_wrist': 'r_elbow end', 'l_wrist': 'l_elbow end'}
    for ours, theirs in names.items():
        np.testing.assert_allclose(places[theirs] / 100, X[:, JOINTS.index(ours)][:, [1, 2, 0]], atol=.02, err_msg=ours)


# -- C3D


def test_c3d_header_and_points(tmp_path: Path) -> None:
    X = motion()[2].copy()
    X[3, 5] = np.nan
    raw = write(tmp_path, 'c3d', result(X))[0].read_bytes()
    pointer, key, points, analog, first, last = struct.unpack('<BBHHHH', raw[:10])
    scale, start, _, rate = struct.unpack('<fHHf', raw[12:24])
    assert (pointer, key, points, analog, first, last) == (2, 0x50, 17, 0, 1, T) and scale < 0 and rate == FPS
    data = np.frombuffer(raw[512 * (start - 1):], '<f4')[:T * 17 * 4].reshape(T, 17, 4)
    known = np.isfinite(X).all(-1)
    np.testing.assert_allclose(data[known][:, :3], 1e3 * X[known], atol=1e-2)
    assert (data[..., 3] < 0).tolist() == (~known).tolist() and len(raw) % 512 == 0


def test_c3d_is_read_by_ezc3d(tmp_path: Path) -> None:
    ezc3d = pytest.importorskip('ezc3d', reason="ezc3d is not installed: pip install 'selfpose_ros[c3d]'")
    X = motion()[2]
    read = ezc3d.c3d(str(write(tmp_path, 'c3d', result(X))[0]))
    assert read['parameters']['POINT']['LABELS']['value'] == list(JOINTS)
    assert read['parameters']['POINT']['UNITS']['value'] == ['mm']
    assert read['header']['points']['frame_rate'] == FPS
    np.testing.assert_allclose(read['data']['points'][:3].transpose(2, 1, 0), 1e3 * X, atol=1e-2)


# -- angles


def test_mot_has_opensims_coordinates(tmp_path: Path) -> None:
    angles, place, X = motion()
    lines = write(tmp_path, 'mot', result(X))[0].read_text().split('\n')
    assert lines[0] == 'Coordinates' and 'inDegrees=yes' in lines and f'nRows={T}' in lines
    names = lines[lines.index('endheader') + 1].split('\t')
    assert names == ['time', *OPENSIM] and f'nColumns={len(names)}' in lines
    table = np.array([line.split('\t') for line in lines[lines.index('endheader') + 2:] if line], float)
    column = dict(zip(names, table.T, strict=True))
    ours = dict(zip([a.name for a in ANGLES], np.rad2deg(angles).T, strict=True))
    for theirs, name, sign in (('hip_flexion_r', 'r_hip_flexion', 1), ('knee_angle_l', 'l_knee_flexion', 1),
                               ('hip_adduction_l', 'l_hip_abduction', -1), ('elbow_flex_r', 'r_elbow_flexion', 1),
                               ('arm_flex_l', 'l_shoulder_flexion', 1)):
        np.testing.assert_allclose(column[theirs], sign * ours[name], atol=2.)
    np.testing.assert_allclose(np.stack([column[f'pelvis_t{a}'] for a in 'xyz'], 1), place[:, [0, 2, 1]] * [1, 1, -1],
                               atol=.02)
    # measured 2.2: here pelvis and waist turn as they usually do not
    np.testing.assert_allclose(column['pelvis_rotation'], np.rad2deg(.5 * np.arange(T) / FPS), atol=2.5)
    assert column['time'][0] == 0 and np.abs(column['pelvis_list']).max() < 2


def test_mot_is_read_by_opensim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)                            # it writes a log where it is
    opensim = pytest.importorskip('opensim', reason='OpenSim is not installed here: pip install opensim')
    angles, _, X = motion()
    path = write(tmp_path, 'mot', result(X))[0]
    assert opensim.Storage(str(path)).isInDegrees() and opensim.Storage(str(path)).getSize() == T
    table = opensim.TimeSeriesTable(str(path))
    assert tuple(table.getColumnLabels()) == OPENSIM and table.getTableMetaDataString('inDegrees') == 'yes'
    knee = np.array([table.getRowAtIndex(i)[OPENSIM.index('knee_angle_l')] for i in range(T)])
    ours = np.rad2deg(angles[:, [a.name for a in ANGLES].index('l_knee_flexion')])
    np.testing.assert_allclose(knee, ours, atol=2.)


def test_angles_come_with_their_uncertainty(tmp_path: Path) -> None:
    angles, _, X = motion()
    table = np.genfromtxt(write(tmp_path, 'angles.csv', result(X))[0], delimiter=',', names=True)
    assert len(table) == T
    for n, a in enumerate(ANGLES):
        error = np.abs(table[f'{a.name}_deg'] - np.rad2deg(angles[:, n]))
        assert error.max() < 4 and (table[f'{a.name}_sigma_deg'] > 0).all()


def turning(seconds: float = 8.) -> Array:
    """Joints (T, 17, 3) of somebody who turns about twice, an arm going round over the head and behind."""
    t = np.arange(int(seconds * FPS)) / FPS
    angles = np.zeros((len(t), len(ANGLES)))
    for n, a in enumerate(ANGLES):
        if 'knee' in a.name or 'elbow' in a.name:
            angles[:, n] = .8
        if a.name == 'l_shoulder_flexion':
            angles[:, n] = 1.5 * t
    return np.stack([forward(Body.average(), np.array([0, 0, 1.]), rotation.exp(np.array([0, 0, 1.6 * s])), a)
                     for s, a in zip(t, angles, strict=True)])


def test_rotations_of_whoever_turns_about_go_on_beyond_half_a_turn(tmp_path: Path) -> None:
    """OpenSim filters coordinates, and animation programs interpolate channels: from 180 to -180 degrees is a whirl."""
    X = turning()
    lines = write(tmp_path, 'mot', result(X))[0].read_text().splitlines()
    begin = lines.index('endheader') + 1
    table = np.array([[float(x) for x in row.split()] for row in lines[begin + 1:]])
    assert np.abs(np.diff(table[:, 1:], axis=0)).max() < 30
    yaw = table[:, 1 + OPENSIM.index('pelvis_rotation')]
    assert abs(yaw[-1] - yaw[0]) > 600, 'twice about'
    bvh = write(tmp_path, 'bvh', result(X))[0]
    rows = bvh.read_text().split('MOTION')[1].strip().splitlines()[2:]
    channels = np.array([[float(x) for x in row.split()] for row in rows])
    assert np.abs(np.diff(channels, axis=0)).max() < 100, 'fast where the arm passes its singularity'
    places, _ = read_bvh(bvh)
    for name in ('l_knee', 'l_elbow'):
        np.testing.assert_allclose(places[name], 100 * X[:, JOINTS.index(name)][:, [1, 2, 0]], atol=3)


def test_what_is_not_known_is_left_out_or_held(tmp_path: Path) -> None:
    X = motion()[2].copy()
    X[:5] = np.nan
    X[20:22] = np.nan
    assert f'nRows={T - 7}' in write(tmp_path, 'mot', result(X))[0].read_text()
    places, _ = read_bvh(write(tmp_path, 'bvh', result(X))[0])
    assert len(places['pelvis']) == T - 5
    np.testing.assert_array_equal(places['pelvis'][15], places['pelvis'][14])


# -- URDF


def test_the_urdf_is_a_tree_that_puts_the_joints_where_they_are() -> None:
    angles, place, X = motion()
    body = measured_body(X[0])
    assert body is not None
    robot = ET.fromstring(urdf_of(body, 'person_3', '_3'))
    joints = {j.get('name'): j for j in robot.iter('joint')}
    assert list(joints) == [f'{a.name}_3' for a in ANGLES]
    links = {n.get('name') for n in robot.iter('link')}
    value = dict(zip(joints, angles[0], strict=True))
    frame: dict[str, tuple[Array, Array]] = {'pelvis_3': (np.eye(3), place[0])}
    for name, j in joints.items():
        parent, child = (j.find(k).get('link') for k in ('parent', 'child'))      # type: ignore[union-attr]
        assert {parent, child} <= links
        xyz, axis = (np.array(j.find(k).get('xyz').split(), float) for k in ('origin', 'axis'))  # type: ignore[union-attr]
        low, high = (float(j.find('limit').get(k)) for k in ('lower', 'upper'))   # type: ignore[union-attr, arg-type]
        assert low <= value[name] <= high and np.linalg.norm(axis) == pytest.approx(1)
        R, x = frame[parent]                                                      # type: ignore[index]
        frame[child] = R @ rotation.exp(axis * value[name]), x + R @ xyz          # type: ignore[index]
    for link, joint in (('l_thigh', 'l_hip'), ('l_shank', 'l_knee'), ('r_upper_arm', 'r_shoulder'),
                        ('r_forearm', 'r_elbow'), ('head', 'thorax')):
        np.testing.assert_allclose(frame[f'{link}_3'][1], X[0, JOINTS.index(joint)], atol=2e-3, err_msg=link)


def test_markers_of_another_set_are_written_under_their_names(tmp_path: Path) -> None:
    """Any number of them, as programs that want another skeleton need."""
    made, names, take = result(motion()[2]), ('pelvis', 'nose', 'l_toe'), [0, 10, 6]
    made = replace(made, joint_names=names, **{n: getattr(made, n)[:, :, take]
                                               for n in ('joints', 'sigma', 'confidence', 'views')})
    csv, = write(tmp_path, 'csv', made)
    assert csv.read_text().splitlines()[0].split(',')[3::6] == [f'{n}_x_m' for n in names]
    trc, = write(tmp_path, 'trc', made)
    lines = trc.read_text().splitlines()
    assert lines[2].split('\t')[3] == '3' and lines[3].split() == ['Frame#', 'Time', *names]
    assert len(lines[-1].split('\t')) == 2 + 9
    c3d, = write(tmp_path, 'c3d', made)
    raw = c3d.read_bytes()
    assert struct.unpack_from('<H', raw, 2)[0] == 3 and b'pelvisnose  l_toe ' in raw
    npz, = write(tmp_path, 'npz', made)
    assert np.load(npz)['joint_names'].tolist() == list(names)
