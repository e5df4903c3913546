# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The graph of a catalogue entry, brought to this machine, and trusted for its hash alone."""
from __future__ import annotations

import errno
import http.client
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .card import sha256_of
from .catalogue import WHEEL, Entry
from .errors import ModelError

__all__ = ['Fetched', 'Progress', 'fetch']

#: (what, bytes so far, bytes in all or 0 = not known)
Progress = Callable[[str, int, int], None]
_BLOCK = 1 << 18
#: seconds without a byte; how often a broken transfer is taken up again; seconds before each
_SILENCE_S, _TRIES, _PAUSE_S = 30., 3, 1.
#: a mirror that has no such file; another name may be there
_NOT_THERE = (403, 404, 410)


class _Unreachable(Exception):
    """A source could not be asked, or broke off."""


class _Absent(Exception):
    """A source does not have the file."""


@dataclass(frozen=True)
class Fetched:
    """A graph whose hash is right.

    Attributes:
        file: it; in the work folder, or the caller's own folder.
        source: where it came from, for the card.
    """

    file: Path
    source: str


def fetch(entry: Entry, work: Path, *, mirror: str = '', offline: Path | None = None, asked: str = '',
          further: Sequence[Entry] = (), progress: Progress = lambda what, done, total: None) -> Fetched:
    """Bring a graph. A transfer that was broken off is taken up where it ended, also by a later call.

    Args:
        work: folder for what is on its way; made if need be. What is no longer needed in it is removed.
        mirror: address under which the graph, or the archive, lies by its name; '' = the entry's own source.
        offline: folder in which they lie; nothing is asked but it.
        asked: name that the user gave, for messages; '' = the entry's.
        further: what will be fetched after this, for messages: whoever copies files copies all in one go.

    Raises:
        ModelError: it cannot be had, or is another file, or cannot be written; one sentence with the next step.
    """
    if offline is not None:
        return _from_folder(entry, work, offline, further)
    with _writing(entry, work):
        work.mkdir(parents=True, exist_ok=True)
        try:
            if mirror:
                return _from_mirror(entry, work, mirror, progress)
            kind = entry.source.partition(' ')[0]
            installed = _installed(entry) if kind == 'pip' else None
            if installed is not None:
                return Fetched(installed, f'{entry.source}, as installed here')
            archive = work / entry.archive
            if not archive.is_file():
                if kind in ('pip', 'npm'):
                    _by_client(entry, archive, progress)
                else:
                    _download(entry.source, archive, progress)
        except (_Unreachable, _Absent) as error:
            raise ModelError(f'cannot be fetched ({error})',
                             f'try again with a network, or run "{entry.command}" on a machine that has one, copy '
                             f'{entry.archive} (or {entry.file}) into a folder here{_too(entry, further)}, and name '
                             f'it: selfpose model get {asked or entry.name} --from FOLDER', place=entry.name) from error
        return Fetched(_member(entry, archive, work), entry.source)


# -- sources

def _installed(entry: Entry) -> Path | None:
    """The graph in the package itself, where somebody has installed that."""
    package = entry.source.partition(' ')[2].partition('=')[0]
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for file in sorted(Path(place).rglob(entry.file)):
            if sha256_of(file) == entry.sha256:
                return file
    return None


def _from_folder(entry: Entry, work: Path, folder: Path, further: Sequence[Entry]) -> Fetched:
    file = folder / entry.file
    if file.is_file():
        _check(entry, file, 'copy the right one there')
        return Fetched(file, file.name)
    if not folder.is_dir():
        what = 'is a file' if folder.exists() else 'is not there'
        raise ModelError(f'{folder} {what}', 'give --from the folder in which the file lies', place=entry.name)
    # wheels differ in their tags, and all hold the same graph
    start = entry.archive.split('-cp')[0]
    archives = sorted(p for p in folder.glob(f'{start}*') if p.suffix == Path(entry.archive).suffix)
    if not archives:
        raise ModelError(f'neither {entry.archive} nor {entry.file} is in {folder}', 'copy one of them there: '
                         f'"{entry.command}" brings the first on a machine with a network{_too(entry, further)}',
                         place=entry.name)
    with _writing(entry, work):
        work.mkdir(parents=True, exist_ok=True)
        return Fetched(_member(entry, archives[0], work), archives[0].name)


def _too(entry: Entry, further: Sequence[Entry]) -> str:
    """What is to be copied beside the archive of an entry."""
    others = {e.archive: e.command for e in further if e.archive != entry.archive}
    return ''.join(f', {archive} ("{command}"), too' for archive, command in others.items())


def _from_mirror(entry: Entry, work: Path, mirror: str, progress: Progress) -> Fetched:
    base = mirror if mirror.endswith('/') else f'{mirror}/'
    if urllib.parse.urlsplit(base).scheme not in ('http', 'https'):
        raise ModelError(f'mirror {mirror}: is no address that begins with http:// or https://',
                         'for a folder use --from')
    file = work / entry.file
    try:
        _download(urllib.parse.urljoin(base, entry.file), file, progress)
    except _Absent:
        archive = work / entry.archive
        if not archive.is_file():
            _download(urllib.parse.urljoin(base, entry.archive), archive, progress)
        return Fetched(_member(entry, archive, work), base + entry.archive)
    _check(entry, file, 'the mirror has another file: ask whoever keeps it, or leave it out', remove=True)
    return Fetched(file, base + entry.file)


def _by_client(entry: Entry, archive: Path, progress: Progress) -> None:
    """By pip or npm, which know this machine's index, proxy and certificates."""
    kind, _, package = entry.source.partition(' ')
    folder = archive.with_name(f'.{archive.name}.{os.getpid()}')
    folder.mkdir(exist_ok=True)
    environment = os.environ | {'TMPDIR': str(folder)}     # where a download grows, to be told about
    words = [sys.executable, '-m', 'pip', 'download', '--no-deps', *WHEEL, '--disable-pip-version-check', '--retries',
             '2', '-q', '-d', str(folder), package]
    if kind == 'npm':
        words = ['npm', 'pack', package, '--silent', '--pack-destination', str(folder)]
    try:
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, env=environment, cwd=folder) as process:
            try:
                error = _waited(process, folder, entry, progress)
            except BaseException:
                process.kill()
                raise
        found = [p for p in folder.iterdir() if p.is_file() and p.suffix == archive.suffix]
        if process.returncode or not found:
            if 'No space left' in error or 'ENOSPC' in error:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise _Unreachable(_reason(kind, error))
        os.replace(found[0], archive)
    except FileNotFoundError:
        raise _Unreachable(f'{words[0]} is not installed') from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _waited(process: subprocess.Popen[str], folder: Path, entry: Entry, progress: Progress) -> str:
    total = round(entry.size_mb * 1e6)
    while True:
        try:
            return process.communicate(timeout=.5)[1]
        except subprocess.TimeoutExpired:
            size = 0
            for p in folder.rglob('*'):
                try:
                    size += p.stat().st_size
                except OSError:                            # moved meanwhile
                    continue
            progress(entry.name, min(size, total), total)


def _download(address: str, target: Path, progress: Progress) -> None:
    """A file by HTTP, taken up where it was broken off.

    Raises:
        _Absent: there is no such file.  _Unreachable: it did not come whole.
        OSError: it cannot be written.
    """
    part = target.with_name(f'{target.name}.part')
    reason = ''
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)
        have = part.stat().st_size if part.is_file() else 0
        request = urllib.request.Request(address, headers={'Range': f'bytes={have}-'} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=_SILENCE_S) as answer:
                if answer.status != 206:                   # from the start, whatever was asked for
                    have = 0
                length = int(answer.headers.get('Content-Length') or 0)
                with part.open('ab' if have else 'wb') as out:
                    got = _copied(answer, out, target.name, have, length, progress)
            if length and got < length:
                reason = f'broke off after {(have + got) / 1e6:.1f} MB'
                continue
            os.replace(part, target)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:                 # what is here is not the start of what is there
                part.unlink()
            elif error.code in _NOT_THERE:
                raise _Absent(f'{address}: {error.code} {error.reason}') from error
            reason = f'{address}: {error.code} {error.reason}'
        except urllib.error.URLError as error:
            reason = f'{address}: {getattr(error.reason, "strerror", None) or error.reason}'
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            reason = f'{address}: {" ".join(str(error).split()) or type(error).__name__}'
    raise _Unreachable(reason)


def _copied(answer: IO[bytes], out: IO[bytes], name: str, have: int, length: int, progress: Progress) -> int:
    got = 0
    while block := answer.read(_BLOCK):
        out.write(block)
        got += len(block)
        progress(name, have + got, have + length if length else 0)
    return got


# -- what came

def _member(entry: Entry, archive: Path, work: Path) -> Path:
    """The graph out of an archive, if it is the right one."""
    file = work / entry.file
    part = file.with_name(f'.{file.name}.{os.getpid()}.part')
    own = archive.parent == work
    again = 'it is removed: fetch it again' if own else 'copy it again'
    try:
        with _opened(entry, archive) as stream, part.open('wb') as out:
            shutil.copyfileobj(stream, out, _BLOCK)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, KeyError, zipfile.LargeZipFile, ValueError) as error:
        part.unlink(missing_ok=True)
        if own:
            archive.unlink(missing_ok=True)
        raise ModelError(f'is no sound archive with one {entry.member.lstrip("/")} in it '
                         f'({" ".join(str(error).split())})', f'{again}', place=archive) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    try:
        _check(entry, part, again, remove=True, source=archive)
    except ModelError:
        if own:
            archive.unlink(missing_ok=True)
        raise
    os.replace(part, file)
    return file


@contextmanager
def _opened(entry: Entry, archive: Path) -> Iterator[IO[bytes]]:
    if archive.suffix == '.tgz':
        with tarfile.open(archive, 'r:gz') as tar:
            names = [m for m in tar if m.isfile() and f'/{m.name}'.endswith(entry.member)]
            stream = tar.extractfile(names[0]) if len(names) == 1 else None
            if stream is None:
                raise KeyError(f'{len(names)} of that name')
            yield stream
    else:
        with zipfile.ZipFile(archive) as file:
            members = [n for n in file.namelist() if f'/{n}'.endswith(entry.member)]
            if len(members) != 1:
                raise KeyError(f'{len(members)} of that name')
            with file.open(members[0]) as member:
                yield member


def _check(entry: Entry, file: Path, then: str, *, remove: bool = False, source: Path | None = None) -> None:
    found = sha256_of(file)
    if found != entry.sha256:
        if remove:
            file.unlink(missing_ok=True)
        raise ModelError(f'{source or file}: the sha256 of {entry.file} is {found[:12]}..., it must be '
                         f'{entry.sha256[:12]}...: damaged, or another file', f'{then}', place=entry.name)


@contextmanager
def _writing(entry: Entry, work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        then = f'free {3 * entry.size_mb:.0f} MB there, or' if full else 'make it writable, or'
        if isinstance(error, FileExistsError | NotADirectoryError):
            then = 'a file is in its way: remove that, or'
        raise ModelError(f'{work} cannot be written ({error.strerror or error})',
                         f'{then} choose another folder with --folder or SELFPOSE_MODELS', place=entry.name) from error


def _reason(client: str, text: str) -> str:
    """What pip or npm ended with, short: its last error, but for a connection that broke, which pip calls a package
    that does not exist.
    """
    broken = re.findall(r"connection broken by '?(\w+).*?(?:\[Errno -?\d+\] ([\w ]+))?['\")]*: /", text)
    if broken:
        kind, why = broken[-1]
        return f'{client} has no connection to its index: {why or kind}'
    lines = [s for s in (' '.join(line.split()) for line in text.splitlines()) if s]
    errors = [s for s in lines if 'error' in s.lower()] or lines
    return f'{client} says: {errors[-1][:160] if errors else "nothing"}'
