# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the paths on a command line are, and how each kind is read into a `Recording`."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .bag_metadata import bag_name, is_bag_file
from .detect import NetworkMaker
from .errors import IoError
from .recording import Progress, Recording
from .ros_messages.images import MAX_MEGAPIXELS
from .video import VIDEO_SUFFIXES

__all__ = ['ReadOptions', 'Source', 'find_sources', 'read_source']

@dataclass(frozen=True)
class Source:
    """One recording that can be read.

    Attributes:
        kind: 'archive' | 'videos' | 'openpose' | 'bag'.
        name: names the result.
        paths: one, or one for each camera (videos, openpose).
    """

    kind: str
    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class ReadOptions:
    """What the files do not tell.

    Attributes:
        fps: frames a second: needed for OpenPose, overrules the stamps of videos.
        image_size: (w, h) px, for OpenPose: one for all cameras or one for each.
        joints: name of a joint set, for OpenPose and archives.
        topics: of a bag; empty = all that fit.
        max_megapixels: larger images and videos are refused, million px.
        images: of a bag the images, though it holds keypoints.
        make: makes a 2D network, for images.
    """

    make: NetworkMaker
    fps: float | None = None
    image_size: tuple[tuple[int, int], ...] = ()
    joints: str | None = None
    topics: tuple[str, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS
    images: bool = False


def find_sources(paths: Sequence[Path], each_alone: bool = False) -> list[Source]:
    """The recordings that these paths are: archives are one each, videos or OpenPose folders are one together.

    Args:
        paths: archives, folders of archives, bags (folder, .mcap, .db3), videos, OpenPose folders.
        each_alone: every video or OpenPose folder is a recording of its own.

    Raises:
        IoError: nothing there, nothing of these kinds, kinds mixed, or two with the same name.
    """
    if not paths:
        raise IoError('no source', 'give a bag, videos, keypoint archives or OpenPose folders')
    found = [s for p in paths for s in _kind(p)]
    kinds = sorted({s.kind for s in found})
    if len(kinds) > 1:
        examples = ' and '.join(f'{next(s for s in found if s.kind == k).paths[0]} ({k})' for k in kinds)
        raise IoError(f'sources of different kinds, {examples}', 'give one kind at a time')
    if kinds[0] in ('videos', 'openpose') and not each_alone:
        cameras = tuple(p for s in found for p in s.paths)
        name = found[0].name if len(cameras) == 1 or len(found) == 1 else cameras[0].resolve().parent.name
        found = [Source(kinds[0], name or kinds[0], cameras)]
    elif each_alone:
        found = [Source(s.kind, p.stem if p.is_file() else p.resolve().name, (p,)) for s in found for p in s.paths]
    _different(found)
    return found


def _different(sources: Sequence[Source]) -> None:
    paths = [p.resolve() for s in sources for p in s.paths]
    double = next((p for p in paths if paths.count(p) > 1), None)
    if double is not None:
        raise IoError('given twice', 'name every source once', place=double)
    names = [s.name for s in sources]
    double_name = next((n for n in names if names.count(n) > 1), None)
    if double_name is not None:
        both = ' and '.join(str(s.paths[0]) for s in sources if s.name == double_name)
        raise IoError(f'both results would be called {double_name}', 'run them one at a time', place=both)


def _kind(path: Path) -> list[Source]:
    if not path.exists():
        raise IoError('no such file or folder', 'check the path', place=path)
    if path.is_dir():
        return _folder(path)
    suffix = path.suffix.lower()
    if suffix == '.npz':
        return [Source('archive', path.stem, (path,))]
    if suffix in VIDEO_SUFFIXES:
        return [Source('videos', path.stem, (path,))]
    if is_bag_file(path):
        return [Source('bag', bag_name(path), (path,))]
    if suffix == '.json':
        raise IoError('a single JSON file', 'give the folder that holds one for each frame', place=path)
    if suffix in ('.jpg', '.jpeg', '.png'):
        raise IoError('is a picture', 'give a video of each camera, or a bag with images', place=path)
    raise IoError('neither an archive (.npz), a video, a bag (.mcap, .db3, also with .zstd behind) nor a folder',
                  'check the path', place=path)


def _folder(path: Path) -> list[Source]:
    name = path.resolve().name
    if (path / 'metadata.yaml').is_file() or any(map(is_bag_file, path.iterdir())):
        return [Source('bag', name, (path,))]
    archives = sorted(path.glob('*.npz'))
    if archives:
        return [Source('archive', p.stem, (p,)) for p in archives]
    if any(path.glob('*.json')):
        return [Source('openpose', name, (path,))]
    inside = sorted(p for p in path.iterdir() if p.is_dir() and any(p.glob('*.json')))
    if inside:
        return [Source('openpose', name, tuple(inside))]
    if any(p.suffix.lower() in VIDEO_SUFFIXES for p in path.iterdir()):
        raise IoError('a folder of videos', f'name the files of one recording, for instance {path}/cam*.mp4',
                      place=path)
    raise IoError('a folder without bag, archives (.npz) or OpenPose JSON files', 'check the path', place=path)


def read_source(source: Source, options: ReadOptions, progress: Progress | None = None) -> Recording:
    """Read one recording.

    Raises:
        IoError: see the reader of its kind.
    """
    if source.kind == 'archive':
        from .archive import read_keypoints
        return read_keypoints(source.paths[0], options.joints)
    if source.kind == 'videos':
        from .video import read_videos
        return read_videos(source.paths, options.make, fps=options.fps, name=source.name, progress=progress,
                           max_megapixels=options.max_megapixels)
    if source.kind == 'openpose':
        from .openpose import read_openpose
        if options.fps is None or not options.image_size:
            raise IoError('OpenPose files tell neither frame rate nor image size', 'give --fps and --image-size, for '
                          'instance --fps 30 --image-size 1920x1080', place=source.paths[0])
        return read_openpose(source.paths, options.fps, options.image_size, joints=options.joints,
                             name=source.name, progress=progress)
    from .bag import read_bag
    return read_bag(source.paths[0], options.make, topics=options.topics, progress=progress,
                    max_megapixels=options.max_megapixels, only_images=options.images)
