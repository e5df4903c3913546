# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Model folders: found by name or path, verified, promoted in versions and rolled back.

A model is a folder with `model.onnx` (or `model.tflite`) and `card.yaml`. The shipped ones lie beside this file. A
store is a folder with versions of models under names:

    STORE/NAME/0001/  0002/  ...      model folders, never changed
    STORE/NAME/versions.yaml          which of them is used, which were before, what happened when

`versions.yaml` is replaced in one step, so a reader sees the old version or the new one, whenever the machine stops.
"""
from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from .card import CARD, GOLDEN, HALF, LITE, Card, read_card, sha256_of
from .catalogue import CATALOGUE, how_to_get, models_folder
from .errors import ModelError, ModelNotHere, NoModel
from .onnx_weights import outside_files

__all__ = ['HELD_OUT', 'Model', 'VERSIONS', 'history', 'open_model', 'promote', 'rollback', 'shipped', 'verify',
           'versions']

#: file of a store entry
VERSIONS = 'versions.yaml'
#: unit of an update's figures of parent and child on held-out time -> where a card has them, in `metrics`
HELD_OUT = {'mm': 'held_out_mm', '%': 'held_out_percent'}
_SHIPPED = Path(__file__).resolve().parent
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


@dataclass(frozen=True)
class Model:
    """A model folder whose card has been read and checked."""

    folder: Path
    card: Card

    @property
    def file(self) -> Path:
        """The graph."""
        return self.folder / self.card.file

    @property
    def lite(self) -> bool:
        """The graph is TensorFlow Lite's: LiteRT runs it, nothing else does."""
        return self.card.file == LITE

    @property
    def half_file(self) -> Path | None:
        """The same graph in half precision, for GPUs; None = there is none."""
        return self.folder / HALF if self.card.half_sha256 else None


def shipped() -> tuple[str, ...]:
    """Names of the models that come with this package."""
    return tuple(sorted(p.parent.name for p in _SHIPPED.glob(f'*/{CARD}')))


def open_model(name_or_path: str | Path) -> Model:
    """A shipped model by its name, or a model folder, or the current version of a store entry, by its path.

    A word without a slash that is the name of a shipped model, or of one that was fetched, means that one; write ./NAME
    for a folder of that name. The card is checked, and the model file against its hash.

    Raises:
        ModelNotHere: it is in the catalogue, and has not been fetched.
        ModelError: there is none, or it is damaged, or this version cannot use it.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in shipped():
        folder = _SHIPPED / text
    elif isinstance(name_or_path, str) and text in CATALOGUE and (models_folder() / text).is_dir():
        folder = models_folder() / text
    else:
        folder = Path(name_or_path).expanduser()
        if not folder.is_dir():
            if text in CATALOGUE:
                raise ModelNotHere(how_to_get(text))
            names = ', '.join(shipped()) or 'none'
            raise NoModel('neither a model folder nor a shipped model',
                          f'check the path, or take one that is shipped: {names}', place=text or '(empty)')
        if (folder / VERSIONS).is_file():
            folder = folder / _read_versions(folder)['current'][-1]
    model = Model(folder, read_card(folder))
    verify(model)
    return model


def verify(model: Model) -> None:
    """Compare the model's files with the hashes on the card.

    Raises:
        ModelError: it is missing, or another file than the one that the card was written for.
    """
    half = [(model.half_file, model.card.half_sha256)] if model.half_file is not None else []
    for file, wanted in ((model.file, model.card.sha256), *half):
        found = sha256_of(file)
        if found != wanted:
            raise ModelError(f'its sha256 is {found[:12]}..., the card says {wanted[:12]}...: the file is damaged or '
                             'another one', 'copy the model folder again', place=file)
    outside = () if model.lite else outside_files(model.file)
    if outside:
        raise ModelError(f'has weights in other files ({", ".join(outside)}), which no hash covers and no copy takes '
                         'along', 'make the folder with selfpose model import, which takes them in', place=model.file)


def versions(entry: Path) -> dict[str, Any]:
    """What a store entry (STORE/NAME) holds.

    Returns:
        'current': names of the version folders in use, the oldest first: the last is used, `rollback` goes to the one
        before; 'events': list of {time, action, version, sha256}, the oldest first.

    Raises:
        ModelError: it is no store entry, or its file is damaged.
    """
    if not (entry / VERSIONS).is_file():
        raise ModelError(f'no {VERSIONS} in it, so it is not an entry of a model store', 'check the path', place=entry)
    return _read_versions(entry)


def history(entry: Path) -> list[dict[str, Any]]:
    """What happened to a store entry, and which of its versions are there.

    Returns:
        One for each version folder, by number: 'version'; 'state': 'current', 'earlier' (`rollback` comes to it) or
        'left'; 'events': [{time, action}], the oldest first; and of its card 'name', 'method', 'sha256', 'created',
        'parent' {name, sha256} or None, 'recordings': those that it has learned from beyond its parent's, {name,
        sha256}, and by `HELD_OUT` figures of parent and child, or None. A version that cannot be read has 'fault' in
        their place.

    Raises:
        ModelError: it is no store entry, or its file is damaged.
    """
    state = versions(entry)
    out: list[dict[str, Any]] = []
    learned: dict[str, list[Any]] = {}
    for folder in sorted((p for p in entry.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        row: dict[str, Any] = {
            'version': folder.name, 'state': 'left' if folder.name not in state['current'] else
            'current' if folder.name == state['current'][-1] else 'earlier',
            'events': [{k: e.get(k) for k in ('time', 'action')} for e in state['events']
                       if isinstance(e, dict) and e.get('version') == folder.name]}
        try:
            card = read_card(folder)
        except ModelError as error:
            out.append(row | {'fault': str(error)})
            continue
        more = card.everything
        trained_on = [d for d in more.get('trained_on') or [] if isinstance(d, dict)]
        parent = more.get('parent') if isinstance(more.get('parent'), dict) else None
        before = learned.get(str((parent or {}).get('sha256')), [])
        metrics = more.get('metrics')
        learned[card.sha256] = trained_on
        out.append(row | {
            'name': card.name, 'method': card.method, 'sha256': card.sha256, 'created': str(more.get('created', '')),
            'parent': parent, 'recordings': [{k: d.get(k) for k in ('name', 'sha256')} for d in trained_on
                                             if d not in before],
            **{k: metrics.get(k) if isinstance(metrics, dict) else None for k in HELD_OUT.values()}})
    return out


def _read_versions(entry: Path) -> dict[str, Any]:
    path = entry / VERSIONS
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ModelError(f'cannot be read ({" ".join(str(error).split())})',
                         f'give a version folder below {entry} instead', place=path) from error
    current = raw.get('current') if isinstance(raw, dict) else None
    if not (isinstance(current, list) and current and all(isinstance(v, str) and v.isdigit() for v in current)
            and isinstance(raw.get('events'), list)):
        raise ModelError('expected a list current of version folders and a list of events',
                         f'give a version folder below {entry} instead', place=path)
    return dict(raw)


def promote(child: Path, store: Path, name: str) -> Model:
    """Copy a model folder into a store as the newest version of a name, and make it the current one.

    Args:
        child: the model folder; stays where it is.
        store: folder of the store; made if need be.
        name: of the entry.

    Returns:
        The model in the store.

    Raises:
        ModelError: the child is no sound model, the name is no file name, or the store cannot be written; the store is
            as before then.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(f'{name!r}: not a name for a model', 'use letters, digits, ".", "_" and "-"')
    given = Model(child, read_card(child))
    verify(given)
    entry = store / name
    with _changing(entry):
        state = _read_versions(entry) if (entry / VERSIONS).is_file() else {'current': [], 'events': []}
        number = 1 + max((int(p.name) for p in entry.iterdir() if p.name.isdigit()), default=0)
        folder, part = entry / f'{number:04d}', entry / f'.{number:04d}.{os.getpid()}.part'
        try:
            part.mkdir()
            more = [HALF] * (given.half_file is not None) + [GOLDEN] * (child / GOLDEN).is_file()
            for file in (given.card.file, CARD, *more):
                shutil.copyfile(child / file, part / file)
                _to_disk(part / file)
            verify(Model(part, read_card(part)))           # the copy, which may have met a full disk
            os.rename(part, folder)
            _to_disk(entry)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        model = Model(folder, read_card(folder))
        state['current'].append(folder.name)
        _note(entry, state, 'promoted', model)
    return model


def rollback(store: Path, name: str) -> Model:
    """Make the version current that was so before the current one. The version left stays in the store.

    Raises:
        ModelError: no such entry, no earlier version, or the earlier one is damaged; nothing has changed then.
    """
    entry = store / name
    versions(entry)
    with _changing(entry):
        state = _read_versions(entry)
        if len(state['current']) < 2:
            raise ModelError(f'version {state["current"][-1]} is the first, there is none to go back to',
                             'promote another model instead', place=entry)
        state['current'].pop()
        folder = entry / state['current'][-1]
        model = Model(folder, read_card(folder))
        verify(model)
        _note(entry, state, 'rolled back to', model)
    return model


@contextmanager
def _changing(entry: Path) -> Iterator[None]:
    """One process at a time changes an entry; whoever comes second waits."""
    try:
        entry.mkdir(parents=True, exist_ok=True)
        with (entry / '.lock').open('w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ModelError(f'cannot be written ({error.strerror or error})', 'choose another store or free the space',
                         place=entry) from error


def _note(entry: Path, state: dict[str, Any], action: str, model: Model) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec='seconds')
    state['events'].append({'time': now, 'action': action, 'version': model.folder.name, 'sha256': model.card.sha256})
    part = entry / f'.{VERSIONS}.{os.getpid()}.part'
    try:
        part.write_text(yaml.safe_dump(state, sort_keys=False), encoding='utf-8')
        _to_disk(part)
        os.replace(part, entry / VERSIONS)
        _to_disk(entry)
    finally:
        with suppress(OSError):
            part.unlink()


def _to_disk(path: Path) -> None:
    """What was written to this file, or renamed in this folder, outlives a loss of power from here on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
