# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A network of the catalogue, made a model folder here: fetched, imported, tried, and there whole or not at all."""
from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...models.catalogue import Entry, models_folder, needed
from ...models.errors import ModelError
from ...models.fetching import Progress, fetch
from ...models.store import Model, open_model
from .importing import Request, import_model
from .network import VisionNetwork

__all__ = ['get_model']

#: folder of what is on its way
_WORK = '.fetching'


def get_model(name: str, folder: Path | None = None, *, mirror: str = '', offline: Path | None = None,
              progress: Progress = lambda what, done, total: None,
              trial: Callable[[VisionNetwork, Path], None] | None = None) -> tuple[list[Model], list[Model]]:
    """Bring a network and what it needs; what is here already, and sound, is left as it is.

    Args:
        folder: of the models; None = `models.catalogue.models_folder`.
        mirror, offline: see `models.fetching.fetch`.
        trial: see `importing.import_model`.

    Returns:
        Models that were here, and those that are new.

    Raises:
        ModelError: unknown, not to be had, damaged, or the folder cannot be written; nothing has changed then but what
            was fetched, which is taken up again.
        BackendUnavailable: what runs it is not installed.
    """
    entries = needed(name)
    root = folder or models_folder()
    here: list[Model] = []
    new: list[Model] = []
    for n, entry in enumerate(entries):
        target = root / entry.name
        if target.is_dir():
            here.append(_sound(entry, target))
            continue
        with _alone(entry, root):
            if target.is_dir():                            # somebody else was quicker
                here.append(_sound(entry, target))
                continue
            further = [e for e in entries[n + 1:] if not (root / e.name).is_dir()]
            got = fetch(entry, root / _WORK, mirror=mirror, offline=offline, asked=name, further=further,
                        progress=progress)
            import_model(Request(got.file, target, entry.preset, name=entry.name, licence=entry.licence,
                                 detector=entry.detector, source=got.source, accuracy=entry.accuracy), trial)
            new.append(open_model(target))
    shutil.rmtree(root / _WORK, ignore_errors=True)
    return here, new


def _sound(entry: Entry, folder: Path) -> Model:
    try:
        model = open_model(folder)
    except ModelError as error:
        raise ModelError(f'{error} (or remove {folder}: selfpose model get {entry.name} brings it again)') from error
    if model.card.sha256 != entry.sha256:
        raise ModelError(f'is another model than the {entry.name} of the catalogue (sha256 '
                         f'{model.card.sha256[:12]}..., not {entry.sha256[:12]}...)',
                         'move it elsewhere, then try again', place=folder)
    return model


@contextmanager
def _alone(entry: Entry, root: Path) -> Iterator[None]:
    """One process at a time fetches into a folder; whoever comes second waits."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root / '.lock', os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        then = 'a file is in its way: remove that' if in_the_way else 'make it writable'
        raise ModelError(f'{root} cannot be written ({error.strerror or error})',
                         f'{then}, or choose another folder with --folder or SELFPOSE_MODELS',
                         place=entry.name) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
