# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Every format that is written, read by the programs that it is written for."""
from __future__ import annotations

import csv

import numpy as np
import pytest
import recorded

from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.motion_files import write_csv, write_result, write_trc


def with_gaps(T: int = 6) -> Skeletons:
    """Two people: no skeleton at first, then below level 3, then unknown joints; the last joint of a row among them."""
    stamps, people = recorded.skeletons(T)
    made = Skeletons.of(stamps, people, ('cam1', 'cam2'), recorded.rig())
    made.joints[0] = np.nan
    made.level[1] = 1
    made.joints[2, 0, 16] = made.joints[3, 0, 0] = np.nan
    made.joints[4, 0, 16, 1:] = np.nan
    return made


MADE = {
    'gaps': with_gaps,
    'one instant': lambda: Skeletons.of(*recorded.skeletons(1), ('cam1',), recorded.rig()),
    'whole': lambda: Skeletons.of(*recorded.skeletons(), ('cam1',), recorded.rig()),
    'nobody': lambda: Skeletons.of([0., .1], [[], []], ('cam1',), NotSolved('nobody')),
}


def opensim_rows(path) -> np.ndarray:
    """(T, J, 3) of a TRC file, by the rule of OpenSim's reader.

    It splits a row at tabs, loses a blank cell at the end of a row, and refuses a file in which a row has not the
    two columns of frame and time and three for each marker.
    """
    lines = path.read_text(encoding='utf-8').split('\n')
    assert lines[0].startswith('PathFileType\t4\t(X/Y/Z)\t') and lines[1].split('\t')[:2] == ['DataRate', 'CameraRate']
    meta = dict(zip(lines[1].split('\t'), lines[2].split('\t'), strict=True))
    markers = int(meta['NumMarkers'])
    names = lines[3].split('\t')
    assert names[:2] == ['Frame#', 'Time'] and names[2::3] == list(JOINTS) and meta['Units'] in ('m', 'mm')
    assert lines[5] == ''                                  # the reader takes the first row from the line after that
    rows = []
    for number, line in enumerate(lines[6:-1], 7):
        cells = line.split('\t')
        if cells[-1] == '':
            cells.pop()
        assert len(cells) == 2 + 3 * markers, f'line {number}: expected {2 + 3 * markers} columns, got {len(cells)}'
        rows.append([float(c) if c else np.nan for c in cells])
    table = np.array(rows)
    assert len(table) == int(meta['NumFrames']) and (np.diff(table[:, 1]) > 0).all()
    return table[:, 2:].reshape(-1, markers, 3)


def expected(made: Skeletons, column: int) -> np.ndarray:
    joints = made.joints[:, column].copy()
    if (made.level[:, column] == 3).any():
        joints[made.level[:, column] != 3] = np.nan
    return joints[..., [0, 2, 1]] * [1, 1, -1]


@pytest.mark.parametrize('made', MADE.values(), ids=MADE.keys())
def test_trc_by_the_rule_of_its_reader(tmp_path, made):
    made = made()
    for column, path in enumerate(write_trc(tmp_path / 'r.trc', made)):
        assert np.allclose(opensim_rows(path), expected(made, column), atol=1e-5, equal_nan=True)


@pytest.mark.parametrize('made', MADE.values(), ids=MADE.keys())
def test_trc_in_opensim(tmp_path, monkeypatch, made):
    monkeypatch.chdir(tmp_path)                            # it writes a log where it is
    opensim = pytest.importorskip('opensim', reason='OpenSim is not installed here: pip install opensim')
    made = made()
    for column, path in enumerate(write_trc(tmp_path / 'r.trc', made)):
        table = opensim.TimeSeriesTableVec3(str(path))
        assert list(table.getColumnLabels()) == list(JOINTS) and table.getTableMetaDataString('Units') == 'm'
        read = np.array([[table.getRowAtIndex(i)[j].to_numpy() for j in range(17)]
                         for i in range(table.getNumRows())])
        assert np.allclose(read, expected(made, column), atol=1e-5, equal_nan=True)
        assert opensim.MarkerData(str(path)).getNumFrames() == len(made.stamp)


@pytest.mark.parametrize('made', MADE.values(), ids=MADE.keys())
def test_csv_in_a_csv_reader(tmp_path, made):
    made = made()
    write_csv(tmp_path / 'r.csv', made)
    with (tmp_path / 'r.csv').open(newline='', encoding='utf-8') as file:
        head, *rows = csv.reader(file)
    assert {len(r) for r in rows} <= {len(head)} == {3 + 17 * 6} and len(set(head)) == len(head)
    there = np.argwhere(made.person > 0)
    assert len(rows) == len(there)
    for row, (i, p) in zip(rows, there, strict=True):
        table = np.array([float(c) if c else np.nan for c in row])     # as pandas reads an empty cell
        assert table[:3] == pytest.approx([made.stamp[i], made.person[i, p], made.level[i, p]])
        assert np.allclose(table[3:].reshape(17, 6)[:, :3], made.joints[i, p], atol=1e-5, equal_nan=True)


def test_csv_in_pandas(tmp_path):
    pandas = pytest.importorskip('pandas', reason='pandas is not installed here')
    made = with_gaps()
    write_csv(tmp_path / 'r.csv', made)
    table = pandas.read_csv(tmp_path / 'r.csv')
    first = table[table.person == 1]
    assert all(kind.kind in 'fi' for kind in table.dtypes)
    assert np.allclose(first.r_wrist_z_m, made.joints[:, 0, 16, 2], atol=1e-5, equal_nan=True)


@pytest.mark.parametrize('made', MADE.values(), ids=MADE.keys())
def test_npz_in_numpy_alone(tmp_path, made):
    made = made()
    write_result(tmp_path / 'r', made, ('npz',))
    with np.load(tmp_path / 'r.npz', allow_pickle=False) as z:
        assert all(z[k].dtype != object for k in z.files)
        assert z['joint_names'].tolist() == list(JOINTS) and np.array_equal(z['person'], made.person)
        assert np.allclose(z['joints'], made.joints, atol=1e-4, equal_nan=True)
