# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which files a bag has: those that its metadata.yaml names; where that is missing or no good, those that lie there.

Everything else in metadata.yaml stands in the files, too, and is taken from there.
"""
from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

import yaml

from .errors import IoError

__all__ = ['BAG_SUFFIXES', 'bag_files', 'bag_name', 'is_bag_file']

#: storage files of rosbag2
BAG_SUFFIXES = frozenset(('.db3', '.mcap'))
#: behind them, where the file is compressed
_PACKED = frozenset(('.zstd', '.zst'))
_METADATA = 'metadata.yaml'
#: bytes; a bag of thousands of topics and files has one
_MOST_BYTES = 2**24


def is_bag_file(path: Path) -> bool:
    """Whether a file is called as a storage file of rosbag2, compressed or not."""
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    return bool(suffixes) and (suffixes[-1] in BAG_SUFFIXES
                               or (suffixes[-1] in _PACKED and suffixes[0] in BAG_SUFFIXES))


def bag_name(path: Path) -> str:
    """Of the folder, or of the file without suffix."""
    if path.is_dir():
        return path.resolve().name
    return Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem


def bag_files(path: Path) -> tuple[list[Path], list[str]]:
    """The storage files of a bag (a folder, or one file) in order of time, and sentences on what is odd.

    Raises:
        IoError: there is none.
    """
    if not path.is_dir():
        return [path], []
    lying = sorted((p for p in path.iterdir() if is_bag_file(p) and p.is_file()), key=_order)
    metadata = path / _METADATA
    if not metadata.is_file():
        if not lying:
            raise IoError('no bag in it, neither metadata.yaml nor .db3 or .mcap', 'check the path', place=path)
        return lying, [f'{path}: metadata.yaml is missing, the recording was not closed; its files are read one by one']
    try:
        named = _named(metadata)
    except Exception as error:
        if not lying:
            raise IoError(f'metadata.yaml cannot be read ({_plain(error)}), and there is no .db3 or .mcap beside it',
                          'copy the whole folder again', place=path) from error
        return lying, [f'{path}: metadata.yaml cannot be read ({_plain(error)}); the files beside it are read one by '
                       'one']
    there = [path / n for n in named if (path / n).is_file()]
    missing = [n for n in named if not (path / n).is_file()]
    if not missing:
        return there, []
    names = f'{", ".join(missing[:5])}{" ..." if len(missing) > 5 else ""}'
    if not lying and not there:
        raise IoError(f'the bag cannot be opened (its files are missing: {names})', 'copy the whole folder again',
                      place=path)
    if there:
        return there, [f'{path}: {names} of metadata.yaml are missing; the others are read']
    return lying, [f'{path}: {names} of metadata.yaml are missing; the files that lie there are read one by one']


def _named(metadata: Path) -> list[str]:
    with metadata.open('rb') as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError(f'it is larger than {_MOST_BYTES >> 20} MB')
    content: Any = yaml.load(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    if not isinstance(content, dict) or not isinstance(content.get('rosbag2_bagfile_information'), dict):
        raise ValueError('it is empty' if content is None else 'it holds no rosbag2_bagfile_information')
    content = content['rosbag2_bagfile_information']
    if content.get('storage_identifier') not in ('mcap', 'sqlite3'):
        raise ValueError(f'storage_identifier is {content.get("storage_identifier")!r}')
    files = content.get('relative_file_paths')
    if not isinstance(files, list) or not files or not all(isinstance(f, str) for f in files):
        raise ValueError('it names no files')
    version, described = content.get('version'), content.get('files')
    # what ends in the middle can be good YAML: the files are described behind their list
    if isinstance(version, int) and version >= 5 and (not isinstance(described, list) or len(described) != len(files)):
        raise ValueError('it ends in the middle')
    return [PurePath(f).name for f in files]


def _order(path: Path) -> list[tuple[int, str]]:
    """bag_10 stands behind bag_9."""
    return [(int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'(\d+)', path.name)]


def _plain(error: Exception) -> str:
    return ' '.join(str(error).split())[:200] or type(error).__name__
