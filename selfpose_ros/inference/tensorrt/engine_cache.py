# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Engines on disk: built once, by one process; foreign, stale or damaged ones are built anew, full disks are survived.

A file NAME-KEY.engine with NAME-KEY.json beside it, which says what it was built from and its hash. To load an engine
is to run code of whoever wrote it: only folders and files that nobody else can write to are used.
"""
from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BuildCancelled, EngineBuildError, EngineStale
from .builder import BuildOptions, Built
from .cuda import Device

__all__ = ['EngineCache', 'EngineKey', 'default_folder']

T = TypeVar('T')

SCHEMA = 1
#: engines that are kept, the most recently used ones
_KEPT = 16
#: how often somebody who waits for another builder looks again, s
_LOOK_S = .2


def default_folder() -> Path:
    """$XDG_CACHE_HOME/selfpose_ros/engines, or ~/.cache/selfpose_ros/engines."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    return (Path(base) if base.startswith('/') else Path.home() / '.cache') / 'selfpose_ros' / 'engines'


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on.

    Attributes:
        name: of the model, for people.  graph_sha256: of the ONNX file.  tensorrt: the whole version.
    """

    name: str
    graph_sha256: str
    options: BuildOptions
    tensorrt: str
    device: Device

    @property
    def content(self) -> dict[str, Any]:
        """For the file beside the engine; two cards with other numbers of multiprocessors do not share."""
        return {'schema': SCHEMA, 'graph_sha256': self.graph_sha256, 'options': asdict(self.options),
                'tensorrt': self.tensorrt, 'device': asdict(self.device)}

    @property
    def stem(self) -> str:
        """Of its files."""
        digest = hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:24]
        return f'{re.sub(r"[^A-Za-z0-9._-]", "_", self.name)[:40]}-{digest}'

    @property
    def timing_stem(self) -> str:
        """Of the timing cache, which models share."""
        return f'timing-{self.tensorrt}-{self.device.capability}'


class EngineCache:
    """The engines in one folder, for any number of processes.

    Args:
        folder: is made if need be.
        keep: number of engines.
        warn: called with a sentence on what went wrong but does no harm.

    Raises:
        EngineBuildError: others may write to the folder.
    """

    def __init__(self, folder: Path, keep: int = _KEPT, warn: Callable[[str], None] = lambda text: None) -> None:
        self.folder, self._keep, self._warn = folder.expanduser(), keep, warn
        self._usable = self._make()

    def _make(self) -> bool:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._private(self.folder)
        except OSError as error:
            self._warn(f'{self.folder}: no engines can be kept there ({error.strerror or error}), so they are built at '
                       'every start; name another folder in engine_cache')
            return False
        return True

    def _private(self, path: Path) -> None:
        about = path.stat()
        if about.st_uid not in (os.geteuid(), 0):
            raise EngineBuildError('belongs to another user, who could put engines of his own there',
                                   'name another folder in engine_cache', place=path)
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise EngineBuildError('others may write there, and an engine is code that is run',
                                   f'chmod go-w {path}, or name another folder in engine_cache', place=path)

    def holds(self, key: EngineKey) -> bool:
        """Whether there is an engine that looks right; it was not loaded."""
        try:
            return self._usable and self._read(key) is not None
        except EngineStale:
            return False

    def obtain(self, key: EngineKey, load: Callable[[bytes], T], build: Callable[[bytes], Built],
               waiting: Callable[[], bool] = lambda: True) -> T:
        """What `load` makes of the engine, which is built and kept if there is none that loads.

        Args:
            load: raises EngineStale if the bytes are of no use here.
            build: given the timing cache.
            waiting: called now and then while another process builds it; False = do not wait any longer.

        Raises:
            BuildCancelled: `waiting` returned False.
            EngineBuildError: a new engine does not load.
        """
        with ExitStack() as held:
            if not (self._usable and self._locked(key, waiting, held)):
                return _loaded(load, build(b'').engine)
            self._sweep(key)
            try:
                plan = self._read(key)
                if plan is not None:
                    result = load(plan)
                    with suppress(OSError):
                        os.utime(self._file(key, 'engine'))
                    return result
            except EngineStale as error:
                self._warn(f'{error}; it is built again')
                self._delete(key)
            built = build(self._timing(key))
            self._write(key, built)
            return _loaded(load, built.engine)

    # -- files

    def _file(self, key: EngineKey, suffix: str) -> Path:
        return self.folder / f'{key.stem}.{suffix}'

    def _read(self, key: EngineKey) -> bytes | None:
        """The engine; None = there is none.

        Raises:
            EngineStale: what is there is not what was written, or not for this.
        """
        file, beside = self._file(key, 'engine'), self._file(key, 'json')
        if not file.exists():
            return None
        try:
            self._private(file)
            record = json.loads(beside.read_text(encoding='utf-8'))
            plan = file.read_bytes()
        except (OSError, ValueError, EngineBuildError) as error:
            raise EngineStale(f'cannot be used ({error})', place=file) from error
        if not isinstance(record, Mapping) or record.get('key') != key.content:
            raise EngineStale(f'{beside.name} speaks of another engine', place=file)
        if record.get('sha256') != hashlib.sha256(plan).hexdigest():
            raise EngineStale(f'is damaged, its hash is not that of {beside.name}', place=file)
        return plan

    def _write(self, key: EngineKey, built: Built) -> None:
        record = {'key': key.content, 'name': key.name, 'sha256': hashlib.sha256(built.engine).hexdigest(),
                'bytes': len(built.engine), 'seconds': round(built.seconds, 1),
                'built': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}
        try:
            # the file beside it first: an engine without it would count as foreign
            self._put(self._file(key, 'json'), json.dumps(record, indent=1).encode())
            self._put(self._file(key, 'engine'), built.engine)
        except OSError as error:
            self._delete(key)
            self._warn(f'{self.folder}: the engine of {key.name} cannot be kept ({error.strerror or error}); it is '
                       'used from memory now, and built again at the next start: free space, or name another folder in '
                       'engine_cache')
            return
        if built.timing:
            with suppress(OSError):                        # it only saves time
                self._put(self.folder / f'{key.timing_stem}.cache', built.timing)
        self._prune(key)

    def _put(self, path: Path, content: bytes) -> None:
        """Write a file so that it is there whole or not at all, whatever happens meanwhile."""
        handle, part = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.part', dir=self.folder)
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _delete(self, key: EngineKey) -> None:
        for suffix in ('engine', 'json'):
            with suppress(OSError):
                self._file(key, suffix).unlink()

    def _sweep(self, key: EngineKey) -> None:
        """What a builder left who was killed; the lock of this engine is held."""
        for part in self.folder.glob(f'.{key.stem}.*.part'):
            with suppress(OSError):
                part.unlink()

    def _timing(self, key: EngineKey) -> bytes:
        file = self.folder / f'{key.timing_stem}.cache'
        try:
            self._private(file)
            return file.read_bytes()
        except (OSError, EngineBuildError):
            return b''

    def _prune(self, mine: EngineKey) -> None:
        """Remove the engines that were not used for the longest time, beyond `keep`; those in work stay."""
        def used(path: Path) -> float:
            try:
                return path.stat().st_mtime
            except OSError:
                return 0.
        engines = sorted(self.folder.glob('*.engine'), key=used, reverse=True)
        for old in (e for e in engines[self._keep:] if e.stem != mine.stem):
            with suppress(OSError), _lock(self.folder / f'{old.stem}.lock', lambda: False):
                for suffix in ('engine', 'json', 'lock'):
                    old.with_name(f'{old.stem}.{suffix}').unlink(missing_ok=True)

    def _locked(self, key: EngineKey, waiting: Callable[[], bool], held: ExitStack) -> bool:
        """Become the only builder of this engine; False = it cannot be kept anyway."""
        try:
            held.enter_context(_lock(self._file(key, 'lock'), waiting))
        except BlockingIOError:
            raise BuildCancelled('was no longer waited for while another process builds its engine',
                                 place=key.name) from None
        except OSError as error:
            self._warn(f'{self.folder}: the engine of {key.name} cannot be kept ({error.strerror or error}), so it is '
                       'built at every start; free space, or name another folder in engine_cache')
            return False
        return True


@contextmanager
def _lock(path: Path, waiting: Callable[[], bool]) -> Iterator[None]:
    """Hold a lock file. The system takes the lock from who dies.

    Raises:
        BlockingIOError: another process holds it, and `waiting` says that this is not waited for.
        OSError: it cannot be made.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not waiting():
                        raise
                    time.sleep(_LOOK_S)
            if not _is_at(handle, path):                   # who held it has removed it: it guards nothing now
                continue
            yield
            return
        finally:
            os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        there, mine = os.stat(path), os.fstat(handle)
    except OSError:
        return False
    return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)


def _loaded(load: Callable[[bytes], T], plan: bytes) -> T:
    try:
        return load(plan)
    except EngineStale as error:
        raise EngineBuildError(f'{error}, although it was built just now', 'use onnxruntime, and report it') from error
