# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a path given as --data is, and the data set that it becomes."""
from __future__ import annotations

import hashlib
import inspect
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from selfpose_ros.io.bag_metadata import is_bag_file

from ..errors import TrainingError
from .arrays import EpochArrays, Sampling
from .batch import Batch
from .motion import MotionViews, Poses, read_poses
from .recordings import Recorded, RecordedViews

__all__ = ['KINDS', 'DataSet', 'content_hash', 'kind_of', 'open_data', 'read_data']

#: what can be opened, for messages and help
KINDS = {
    'motion': 'motion capture (.npz with pos, seq_start, seq_name, fps)',
    'archive': 'keypoint archives (.npz with keypoints, confidence, stamp), a file or a folder of them',
    'bag': 'a rosbag2 (folder, .db3, .mcap) of keypoints topics',
    'human36m': 'a folder with data_2d_h36m_*.npz and data_3d_h36m.npz, or the 2D file',
    'mpi_inf_3dhp': 'a folder with annot.mat or annot_data.mat files below it, or one of them',
    'skipose': 'a labels.h5, or the folder with train/labels.h5 and test/labels.h5',
}


class DataSet(Protocol):
    """What trainers and evaluation take; see `MotionViews` and `RecordedViews`."""

    views: int

    def __len__(self) -> int: ...

    @property
    def interval_s(self) -> float: ...

    def epoch(self, n: int) -> EpochArrays: ...

    def batches(self, n: int, size: int, device: torch.device | str = 'cpu', *, truth: bool = False,
                sampling: Sampling | None = None) -> Iterator[Batch]: ...

    def windows(self, n: int, size: int, T: int, device: torch.device | str = 'cpu', *, truth: bool = False,
                sampling: Sampling | None = None) -> Iterator[Batch]: ...


def kind_of(path: Path) -> str:
    """The key in `KINDS` of what lies there; only names and tables of contents are looked at.

    Raises:
        TrainingError: nothing there, or nothing of these kinds.
    """
    if not path.exists():
        raise TrainingError('no such file or folder', 'check the path', place=path)
    if path.is_dir():
        return _folder(path)
    suffix = path.suffix.lower()
    if suffix == '.npz':
        return _npz(path)
    if is_bag_file(path):
        return 'bag'
    if suffix == '.mat':
        return 'mpi_inf_3dhp'
    if suffix in ('.h5', '.hdf5'):
        return 'skipose'
    raise TrainingError('not known as data to learn from', f'give {_all_kinds()}', place=path)


def _all_kinds() -> str:
    return '; '.join(KINDS.values())


def _npz(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as z:
            names = {n.removesuffix('.npy') for n in z.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise TrainingError(f'not a readable npz ({" ".join(str(error).split())})', 'write or copy it again',
                            place=path) from error
    for key, kind in (('pos', 'motion'), ('keypoints', 'archive'), ('positions_2d', 'human36m')):
        if key in names:
            return kind
    if 'positions_3d' in names:
        raise TrainingError('only 3D joints', 'give its folder, with a data_2d_h36m_*.npz beside it', place=path)
    raise TrainingError(f'holds {", ".join(sorted(names)) or "nothing"}, neither motion (pos), keypoints nor Human3.6M '
                        '(positions_2d)', 'give another file', place=path)


def _folder(path: Path) -> str:
    if (path / 'metadata.yaml').is_file() or any(map(is_bag_file, path.iterdir())):
        return 'bag'
    if any(path.glob('data_?d_h36m*.npz')):
        return 'human36m'
    from .mpi_inf_3dhp import find_annotations
    from .skipose import find_labels
    if find_labels(path):
        return 'skipose'
    npz = sorted(path.glob('*.npz'))
    if npz:
        kinds = {_npz(p) for p in npz}
        if kinds == {'archive'}:
            return 'archive'
        raise TrainingError(f'its {len(npz)} npz files are not all keypoint archives ({", ".join(sorted(kinds))})',
                            'name one file', place=path)
    if find_annotations(path):
        return 'mpi_inf_3dhp'
    raise TrainingError('nothing in this folder is known as data to learn from', f'give {_all_kinds()}', place=path)


def read_data(path: Path, *, split: str = '', truth: bool = False) -> Poses | list[Recorded]:
    """What lies there: poses of a motion file, or recordings of cameras.

    Args:
        path: see `KINDS`.
        split: 'train' or 'test': only these recordings, where the data set has splits; 'held out': those of the test
            where there are some, else all; '' = all.
        truth: also the truth that keypoint archives hold; public data sets come with theirs in any case.

    Raises:
        TrainingError: nothing there, nothing of these kinds, damaged, or nothing of this split.
    """
    kind = kind_of(path)
    if kind == 'motion':
        return read_poses(path)
    found = _recordings(kind, path, truth)
    wanted = 'test' if split == 'held out' else split
    kept = [r for r in found if not wanted or r.split in ('', wanted)]
    if not kept and split == 'held out':
        return found
    if not kept:
        splits = ', '.join(sorted({r.split for r in found}))
        raise TrainingError(f'none of its {len(found)} recordings belongs to {split}, but to {splits}',
                            'give the other subjects too', place=path)
    return kept


def open_data(spec: str | Path, seed: int = 0, *, split: str = '', **options: Any) -> DataSet:
    """The data set at a path.

    Args:
        spec: see `KINDS`.
        seed: of everything random.
        split: see `read_data`.
        options: of `MotionViews` (motion) or `RecordedViews` (the others).

    Raises:
        TrainingError: as `read_data`, or an option of another kind.
    """
    path = Path(spec)
    found = read_data(path, split=split)
    maker = MotionViews if isinstance(found, Poses) else RecordedViews
    strange = sorted(set(options) - set(inspect.signature(maker).parameters))
    if strange:
        raise TrainingError(f'{kind_of(path)} data has no option {", ".join(strange)}', 'leave it out', place=path)
    return maker(found, seed=seed, **options)                   # type: ignore[arg-type]


def _recordings(kind: str, path: Path, truth: bool) -> list[Recorded]:
    # readers are imported when they are needed: h5py and rosbags are, each for one kind only
    if kind == 'archive':
        from .archives import read_archives
        return read_archives(path, truth=truth)
    if kind == 'bag':
        from .bags import read_training_bag
        return [read_training_bag(path)]
    if kind == 'human36m':
        from .human36m import read_human36m
        return read_human36m(path)
    if kind == 'mpi_inf_3dhp':
        from .mpi_inf_3dhp import read_3dhp
        return read_3dhp(path)
    from .skipose import read_skipose
    return read_skipose(path)


def content_hash(paths: Sequence[Path], more: str = '') -> str:
    """SHA-256 over the content of files, and of all files in folders, in the order of their names."""
    whole = hashlib.sha256(more.encode())
    for path in paths:
        for file in sorted(p for p in path.rglob('*') if p.is_file()) if path.is_dir() else [path]:
            with file.open('rb') as f:
                whole.update(hashlib.file_digest(f, 'sha256').digest() if hasattr(hashlib, 'file_digest')
                             else hashlib.sha256(f.read()).digest())
    return whole.hexdigest()
