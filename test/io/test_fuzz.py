# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whatever a file holds: it is read, or refused with an error meant for the user, in bounded memory.

`SELFPOSE_FUZZ=5000 pytest test/io/test_fuzz.py` tries so many files, other ones each time.
"""
from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import recorded

from selfpose_ros.cli import is_expected
from selfpose_ros.core.errors import CoreError
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.skeleton import JOINTS, joint_map, named_joints
from selfpose_ros.io.archive import read_keypoints, write_keypoints
from selfpose_ros.io.motion_files import write_csv, write_trc
from selfpose_ros.io.openpose import read_openpose
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.skeletons import read_skeletons, write_skeletons

hypothesis = pytest.importorskip('hypothesis', reason='hypothesis is not installed here: pip install -e .[dev]')
st = pytest.importorskip('hypothesis.strategies')

MORE = int(os.environ.get('SELFPOSE_FUZZ', '0'))
tried = hypothesis.settings(
    max_examples=MORE or 40, deadline=None, derandomize=not MORE, database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink])
#: no file of a test needs as much
MOST_B = 64 << 20


def expected_only(read: Callable[[Path], object], path: Path) -> object:
    """What is read, or None where it is refused."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)            # of numpy, on numbers near its limits
            return read(path)
    except Exception as error:
        if not is_expected(error):
            raise
        assert str(error).strip() and '\n' not in str(error)
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_B


# OpenPose ------------------------------------------------------------------------------------------------------------

# a library that was loaded before may have switched numbers below the smallest normal one off in this process
UNIT = st.floats(0, 1, allow_subnormal=False)
numbers = st.one_of(st.floats(0, 640, allow_subnormal=False), st.floats(allow_subnormal=False),
                    st.integers(-10 ** 400, 10 ** 400), st.sampled_from([0, -1, .5]))
odd = st.recursive(st.none() | st.booleans() | numbers | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4)
                   | st.dictionaries(st.sampled_from(['people', 'pose_keypoints_2d', 'x']), inner), max_leaves=8)
joints = st.sampled_from([3, 51, 54, 75, 75, 75, 399, 405, 408]).flatmap(
    lambda n: st.one_of(st.builds(lambda x: [x] * n, numbers), st.lists(numbers, min_size=n, max_size=n)
                        if n < 60 else st.builds(lambda seed: np.random.default_rng(seed).uniform(0, 1, n).tolist(),
                                                 st.integers(0, 99))))
person = st.one_of(odd, st.fixed_dictionaries({'pose_keypoints_2d': st.one_of(joints, odd)}))
image = st.one_of(odd, st.fixed_dictionaries({'people': st.one_of(st.lists(person, max_size=3), odd)}))
content = st.one_of(st.builds(lambda x: json.dumps(x).encode(), image), st.binary(max_size=40),
                    st.builds(lambda x, n: json.dumps(x).encode()[:n], image, st.integers(0, 200)))
name = st.from_regex(r'[a-z_]{0,4}\d{0,3}[-_.a-z]{0,3}\d{0,25}(_keypoints)?', fullmatch=True)


@tried
@hypothesis.given(st.lists(st.dictionaries(name, content, min_size=1, max_size=4), min_size=1, max_size=2),
                  st.sampled_from([None, None, 'body25', 'wholebody133']))
def test_openpose_folders(cameras, joint_set):
    with tempfile.TemporaryDirectory() as place:
        folders = []
        for i, files in enumerate(cameras):
            folders.append(Path(place, f'cam{i}'))
            folders[-1].mkdir()
            for stem, text in files.items():
                (folders[-1] / f'{stem}.json').write_bytes(text)
        read = expected_only(lambda _: read_openpose(folders, 25, [(640, 480)], joints=joint_set), Path(place))
        if read is not None:
            assert all(len(v.keypoints) <= 3 for v in read.views) and read.frames()


def test_openpose_person_of_any_kind_costs_nobody_else():
    """Beside somebody who can be read, everybody who cannot be read is left out."""
    good = {'pose_keypoints_2d': np.random.default_rng(0).uniform(50, 400, 75).tolist()}

    @tried
    @hypothesis.given(odd)
    def check(entry):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, 'cam')
            folder.mkdir()
            for i in range(3):
                people = [entry, good] if i == 1 else [good]
                (folder / f'{i}.json').write_text(json.dumps({'people': people}))
            views = read_openpose([folder], 25, [(640, 480)]).views
            assert [len(v.keypoints) for v in views] == [1, 1, 1]

    check()


# npz -----------------------------------------------------------------------------------------------------------------

@cache
def good_file(kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, 'a.npz')
        if kind == 'keypoints':
            recorded.write_archive(path, T=4, person=np.zeros((4, 3)), camera_names=np.array(list('abc')),
                                   K=np.tile(np.diag([900., 900, 1]), (3, 1, 1)), distortion=np.zeros((3, 5)))
        else:
            write_skeletons(path, Skeletons.of(*recorded.skeletons(), ('cam1', 'cam2'), recorded.rig()))
        return path.read_bytes()


READERS = {'keypoints': read_keypoints, 'skeletons': read_skeletons}
kinds = st.sampled_from(sorted(READERS))


@tried
@hypothesis.given(kinds, st.lists(st.tuples(UNIT, st.integers(0, 255)), max_size=6), UNIT,
                  st.booleans())
def test_npz_with_spoilt_bytes(kind, changes, share, cut):
    whole = bytearray(good_file(kind))
    for at, byte in changes:
        whole[int(at * (len(whole) - 1))] = byte
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, 'a.npz')
        path.write_bytes(whole[:int(share * len(whole))] if cut else whole)
        expected_only(READERS[kind], path)


values = st.sampled_from([0., -1., 1., 3e5, 1e300, -1e300, np.nan, np.inf, -np.inf, .5])
shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)
arrays = st.one_of(
    st.builds(lambda shape, x, dtype: np.full(shape, x).astype(dtype), shapes, values,
              st.sampled_from(['f8', 'f4', 'f2', 'i8', 'u1', '?', 'c16', 'M8[s]', 'S3', 'U4'])),
    st.builds(lambda x: np.array(x), st.lists(st.text(max_size=3), max_size=18)), st.just(np.array([None])))
spoil = st.one_of(st.builds(lambda x: ('all', x), values), st.builds(lambda x: ('some', x), values),
                  st.builds(lambda a: ('other', a), arrays), st.just(('gone', None)))


@tried
@hypothesis.given(kinds, st.data())
def test_npz_with_other_arrays(kind, data):
    with np.load(io.BytesIO(good_file(kind))) as z:
        held = {k: z[k] for k in z.files}
    for key in data.draw(st.lists(st.sampled_from(sorted(held)), max_size=3, unique=True)):
        how, what = data.draw(spoil)
        if how == 'gone':
            del held[key]
        elif how == 'other':
            held[key] = what
        elif held[key].dtype.kind in 'fiu':
            with np.errstate(invalid='ignore', over='ignore'):
                held[key] = held[key].astype(float)
                if how == 'all' or not held[key].ndim:
                    held[key] = np.full(held[key].shape, what)
                else:
                    held[key].flat[data.draw(st.integers(0, held[key].size - 1))] = what
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, 'a.npz')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            np.savez(path, **held)
        read = expected_only(READERS[kind], path)
        if isinstance(read, Recording):
            again = Path(place, 'b.npz')
            write_keypoints(again, read)
            assert len(read_keypoints(again).views) == len(read.views)


header = st.one_of(
    st.builds(lambda shape, descr: str({'descr': descr, 'fortran_order': False, 'shape': shape}),
              st.lists(st.integers(-3, 10 ** 20), max_size=5).map(tuple),
              st.sampled_from(['<f8', '|u1', '<U9', '|O', '<U999999999', 'x', ''])),
    st.text('{}()[]\',:"f8 \n\t0123456789descrshape', max_size=60))


@tried
@hypothesis.given(kinds, header, st.sampled_from([1, 2, 3, 9]), st.binary(max_size=30), st.data())
def test_npz_with_another_header(kind, text, version, rest, data):
    raw = text.encode('latin1')
    length = len(raw).to_bytes(2 if version == 1 else 4, 'little')
    with zipfile.ZipFile(io.BytesIO(good_file(kind))) as old, tempfile.TemporaryDirectory() as place:
        path, spoilt = Path(place, 'a.npz'), data.draw(st.sampled_from(sorted(old.namelist())))
        with zipfile.ZipFile(path, 'w') as new:
            for member in old.namelist():
                new.writestr(member, b'\x93NUMPY' + bytes([version, 0]) + length + raw + rest
                             if member == spoilt else old.read(member))
        expected_only(READERS[kind], path)


# joint names, motion files -------------------------------------------------------------------------------------------

@tried
@hypothesis.given(st.lists(st.one_of(st.sampled_from(JOINTS), st.text(max_size=12)), max_size=40), st.text(max_size=12))
def test_joint_names(names, text):
    for given in (names, [*JOINTS, *names], text):
        try:
            joint_map(named_joints(given))
        except CoreError as error:
            assert str(error)


@tried
@hypothesis.given(st.integers(1, 5), st.integers(0, 2), st.integers(0, 2 ** 32 - 1), UNIT)
def test_motion_files_come_back(T, people, seed, known):
    rng = np.random.default_rng(seed)
    P = max(people, 1)
    joints = np.where(rng.random((T, P, 17, 3)) < known, rng.normal(0, 10, (T, P, 17, 3)), np.nan)
    person = np.tile(np.arange(1, P + 1), (T, 1)) * (rng.random((T, P)) < .8) * (people > 0)
    level = np.where(person > 0, rng.integers(1, 4, (T, P)), 0)
    made = Skeletons(1e3 + np.arange(T) / 30, joints, np.abs(joints[..., 0]), rng.random((T, P, 17)),
                     rng.integers(0, 5, (T, P, 17)), level, person, ('a',), recorded.rig(('a',)))
    with tempfile.TemporaryDirectory() as place:
        for identity, path in zip(np.unique(person[person > 0]), write_trc(Path(place, 'r.trc'), made), strict=False):
            rows = [line.split('\t') for line in path.read_text().split('\n')[6:-1]]
            assert len(rows) == T and {len(r) for r in rows} == {53} and all(c for r in rows for c in r)
            here, p = (person == identity).any(1), int((person == identity).any(0).argmax())
            if (level[:, p][here] == 3).any():
                here &= level[:, p] == 3
            wanted = np.where(here[:, None, None], joints[:, p], np.nan)[..., [0, 2, 1]] * [1, 1, -1]
            assert np.allclose(np.array(rows, float)[:, 2:].reshape(T, 17, 3), wanted, atol=1e-5, equal_nan=True)
        write_csv(Path(place, 'r.csv'), made)
        with Path(place, 'r.csv').open(newline='') as file:
            table = list(csv.reader(file))
        assert len(table) == 1 + (person > 0).sum() and len({len(r) for r in table}) == 1
        write_skeletons(Path(place, 'r.npz'), made)
        read = read_skeletons(Path(place, 'r.npz'))
        assert np.allclose(read.joints, joints, atol=1e-4, equal_nan=True) and np.array_equal(read.person, person)
