# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What brings a network of the catalogue: whole, right and resumable, or refused in one sentence with the next step."""
from __future__ import annotations

import errno
import hashlib
import http.server
import io
import re
import socket
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros.models import fetching
from selfpose_ros.models.catalogue import CATALOGUE, DEFAULT, WHEEL, Entry, entry, how_to_get, models_folder, needed
from selfpose_ros.models.errors import ModelError, ModelNotHere
from selfpose_ros.models.fetching import fetch
from selfpose_ros.models.store import open_model
from selfpose_ros.models.vision import PRESETS

GRAPH = np.random.default_rng(3).bytes(700_000)
SHA256 = hashlib.sha256(GRAPH).hexdigest()


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        for name, content in files.items():
            z.writestr(f'a/b/{name}.onnx', content)
    return out.getvalue()


ARCHIVE = zipped(net=GRAPH, other=b'x')
ENTRY = Entry('net', 'rtmpose', 'Apache-2.0', 'a test', SHA256, 'net.onnx', 'net-1.zip', '/net.onnx', '', .7)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; breaks off after `cut` bytes so many times as `breaks` says."""

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut, self.breaks, self.ranges, self.takes_ranges = 0, 0, [], True
        threading.Thread(target=self.serve_forever, kwargs={'poll_interval': .02}, daemon=True).start()

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        s = self.server
        content = s.files.get(self.path.lstrip('/'))
        wanted = self.headers.get('Range')
        s.ranges.append(wanted)
        first = int(re.search(r'\d+', wanted).group()) if wanted and s.takes_ranges else 0
        if content is None or first > len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if wanted and s.takes_ranges else 200)
        self.send_header('Content-Length', str(len(content) - first))
        if self.path.endswith('/'):                        # of an index of packages
            self.send_header('Content-Type', 'text/html')
        self.end_headers()
        if s.breaks:
            s.breaks -= 1
            self.wfile.write(content[first:first + s.cut])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(content[first:])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetching, '_PAUSE_S', 0.)
    s = Server()
    yield s
    s.shutdown()
    s.server_close()


def from_address(server: Server, **changes) -> Entry:
    return replace(ENTRY, source=f'{server.address}/net-1.zip', **changes)


def refused(entry: Entry, work: Path, **options) -> str:
    with pytest.raises(ModelError) as error:
        fetch(entry, work, **options)
    text = str(error.value)
    assert '\n' not in text and len(text) < 700
    return text


# -- the catalogue

def test_every_entry_says_what_it_must_be_and_whose_it_is():
    assert DEFAULT in CATALOGUE and needed(DEFAULT)[0].name == 'blazepose-detector'
    for name, e in CATALOGUE.items():
        assert name == e.name and re.fullmatch(r'[0-9a-f]{64}', e.sha256) and e.preset in PRESETS
        assert e.licence and e.about and e.size_mb > 0 and (not e.detector or e.detector in CATALOGUE)
        assert e.source.startswith(('pip ', 'npm ', 'https://')) and Path(e.archive).suffix in ('.whl', '.tgz', '.zip')
        assert e.command.startswith(('pip download', 'npm pack', 'curl'))
    assert len({e.sha256 for e in CATALOGUE.values()}) == len({e.file for e in CATALOGUE.values()}) == len(CATALOGUE)


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(ModelError, match="'yolo' is not in the catalogue; choose one of: blaze.*import$"):
        entry('yolo')


def test_one_that_is_not_here_is_said_to_be_so_and_how_it_comes(tmp_path: Path, monkeypatch):
    monkeypatch.setenv('SELFPOSE_MODELS', str(tmp_path / 'models'))
    assert models_folder() == tmp_path / 'models'
    with pytest.raises(ModelNotHere, match=f'is not here yet: fetch it once with "selfpose model get {DEFAULT}"'):
        open_model(DEFAULT)
    assert str(tmp_path / 'models') in how_to_get(DEFAULT)


@pytest.mark.parametrize(('environment', 'place'), [
    ({'SELFPOSE_MODELS': '~/nets'}, '{home}/nets'), ({'XDG_DATA_HOME': '/data'}, '/data/selfpose/models'),
    ({'XDG_DATA_HOME': 'relative'}, '{home}/.local/share/selfpose/models'),
    ({}, '{home}/.local/share/selfpose/models')])
def test_where_models_are_kept(monkeypatch, tmp_path: Path, environment, place):
    for name in ('SELFPOSE_MODELS', 'XDG_DATA_HOME'):
        monkeypatch.delenv(name, raising=False)
    for name, value in {'HOME': str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    assert models_folder() == Path(place.format(home=tmp_path))


# -- by address

def test_an_archive_is_fetched_and_the_right_member_taken(server: Server, tmp_path: Path):
    server.files['net-1.zip'] = ARCHIVE
    told = []
    got = fetch(from_address(server), tmp_path / 'new' / 'work', progress=lambda *a: told.append(a))
    assert got.file.read_bytes() == GRAPH and got.source == f'{server.address}/net-1.zip'
    assert told[-1] == ('net-1.zip', len(ARCHIVE), len(ARCHIVE))
    assert not list(tmp_path.rglob('*.part'))


def test_a_transfer_that_breaks_off_is_taken_up_where_it_ended(server: Server, tmp_path: Path):
    server.files['net-1.zip'], server.cut, server.breaks = ARCHIVE, 300_000, 2
    assert fetch(from_address(server), tmp_path).file.read_bytes() == GRAPH
    assert server.ranges == [None, 'bytes=300000-', 'bytes=600000-']


def test_so_does_a_later_call(server: Server, tmp_path: Path):
    server.files['net-1.zip'], server.cut, server.breaks = ARCHIVE, 100_000, 3
    text = refused(from_address(server), tmp_path)
    assert 'broke off after 0.3 MB' in text and text.endswith('selfpose model get net --from FOLDER')
    assert fetch(from_address(server), tmp_path).file.read_bytes() == GRAPH
    assert server.ranges[-1] == 'bytes=300000-'


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path):
    server.files['net-1.zip'], server.cut, server.breaks, server.takes_ranges = ARCHIVE, 1000, 1, False
    assert fetch(from_address(server), tmp_path).file.read_bytes() == GRAPH


def test_a_part_of_something_else_is_thrown_away(server: Server, tmp_path: Path):
    server.files['net-1.zip'] = ARCHIVE
    (tmp_path / 'net-1.zip.part').write_bytes(b'x' * (len(ARCHIVE) + 5))
    assert fetch(from_address(server), tmp_path).file.read_bytes() == GRAPH


@pytest.mark.parametrize('content', [zipped(net=b'another graph'), b'a page that says no', zipped(other=b'x'),
                                     ARCHIVE[:-400], b''])
def test_what_is_not_the_graph_is_refused_and_not_kept(server: Server, tmp_path: Path, content: bytes):
    server.files['net-1.zip'] = content
    text = refused(from_address(server), tmp_path)
    assert 'fetch it again' in text and ('the sha256 of net.onnx is' in text or 'is no sound archive' in text)
    assert not [p for p in tmp_path.rglob('*') if p.is_file()]
    server.files['net-1.zip'] = ARCHIVE
    assert fetch(from_address(server), tmp_path).file.read_bytes() == GRAPH


def test_no_network_says_what_to_copy_where(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fetching, '_PAUSE_S', 0.)
    source = 'http://127.0.0.1:1/net-1.zip'
    text = refused(replace(ENTRY, source=source), tmp_path, asked='the-one')
    assert 'Connection refused' in text and f'run "curl -LO {source}" on a machine that has one' in text
    assert text.endswith('copy net-1.zip (or net.onnx) into a folder here, and name it: selfpose model get the-one '
                         '--from FOLDER')


def test_an_address_where_nothing_is(server: Server, tmp_path: Path):
    assert '404 Not Found' in refused(from_address(server), tmp_path)


# -- mirror and folder

def test_a_mirror_has_the_graph_or_the_archive(server: Server, tmp_path: Path):
    server.files['some/where/net-1.zip'] = ARCHIVE
    got = fetch(ENTRY, tmp_path / 'a', mirror=f'{server.address}/some/where')
    assert got.file.read_bytes() == GRAPH and got.source.endswith('/some/where/net-1.zip')
    server.files['some/where/net.onnx'] = GRAPH
    assert fetch(ENTRY, tmp_path / 'b', mirror=f'{server.address}/some/where/').source.endswith('/net.onnx')
    server.files['some/where/net.onnx'] = GRAPH[:-1]
    assert 'the mirror has another file' in refused(ENTRY, tmp_path / 'c', mirror=f'{server.address}/some/where/')
    assert 'for a folder use --from' in refused(ENTRY, tmp_path / 'd', mirror='/media/stick')
    assert '404' in refused(ENTRY, tmp_path / 'e', mirror=f'{server.address}/elsewhere')


def test_a_folder_has_the_graph_or_an_archive_of_whatever_tag(tmp_path: Path):
    stick, work = tmp_path / 'stick', tmp_path / 'work'
    stick.mkdir()
    wheel = replace(ENTRY, archive='net-1-cp311-cp311-linux_x86_64.whl', source='pip net==1')
    text = refused(wheel, work, offline=stick)
    assert text.endswith(f'is in {stick}; copy one of them there: "pip download --no-deps {" ".join(WHEEL)} net==1" '
                         'brings the first on a machine with a network')
    (stick / 'net-1-cp312-cp312-linux_aarch64.whl').write_bytes(ARCHIVE)
    assert fetch(wheel, work, offline=stick).file.read_bytes() == GRAPH
    (stick / 'net.onnx').write_bytes(GRAPH)
    assert fetch(wheel, work, offline=stick).file == stick / 'net.onnx'
    (stick / 'net.onnx').write_bytes(b'damaged')
    assert 'copy the right one there' in refused(wheel, work, offline=stick)
    assert (stick / 'net.onnx').read_bytes() == b'damaged', "what is somebody else's stays"


def test_a_folder_that_is_none_is_no_folder_without_the_file(tmp_path: Path):
    (tmp_path / 'net-1.zip').write_bytes(ARCHIVE)
    for wrong, what in (('nothing', 'is not there'), ('net-1.zip', 'is a file')):
        assert refused(ENTRY, tmp_path / 'work', offline=tmp_path / wrong) == (
            f'net: {tmp_path / wrong} {what}; give --from the folder in which the file lies')


def test_a_damaged_archive_of_somebody_else_stays(tmp_path: Path):
    (tmp_path / 'net-1.zip').write_bytes(ARCHIVE[:1000])
    assert 'copy it again' in refused(ENTRY, tmp_path / 'work', offline=tmp_path)
    assert (tmp_path / 'net-1.zip').exists()


# -- the folder that is written

def test_a_full_disk(server: Server, tmp_path: Path):
    server.files['net-1.zip'] = ARCHIVE
    (tmp_path / 'net-1.zip.part').symlink_to('/dev/full')
    text = refused(from_address(server), tmp_path)
    assert 'No space left on device' in text
    assert text.endswith('free 2 MB there, or choose another folder with --folder or SELFPOSE_MODELS')


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path, monkeypatch):
    server.files['net-1.zip'] = ARCHIVE
    (tmp_path / 'file').write_text('in the way')
    assert 'cannot be written (Not a directory); a file is in its way: remove that, or choose another' in refused(
        from_address(server), tmp_path / 'file' / 'work')

    def read_only(*args, **kwargs):
        raise OSError(errno.EROFS, 'Read-only file system')
    monkeypatch.setattr(Path, 'mkdir', read_only)
    assert 'cannot be written (Read-only file system); make it writable, or' in refused(
        from_address(server), tmp_path / 'work')


# -- pip and npm

def wheel_of(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        z.writestr(f'{name}/net.onnx', GRAPH)
        z.writestr(f'{name}-1.0.dist-info/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
        z.writestr(f'{name}-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        z.writestr(f'{name}-1.0.dist-info/RECORD', '')
    return out.getvalue()


def test_pip_brings_it_from_the_index_that_it_is_set_up_for(server: Server, tmp_path: Path, monkeypatch):
    name = 'selfpose_weights_of_a_test'
    server.files[f'simple/{name.replace("_", "-")}/'] = (
        f'<a href="{server.address}/{name}-1.0-py3-none-any.whl">{name}-1.0-py3-none-any.whl</a>').encode()
    server.files[f'{name}-1.0-py3-none-any.whl'] = wheel_of(name)
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('PIP_INDEX_URL', f'{server.address}/simple')
    monkeypatch.setenv('PIP_NO_CACHE_DIR', '1')
    monkeypatch.delenv('PIP_EXTRA_INDEX_URL', raising=False)
    e = replace(ENTRY, source=f'pip {name}==1.0', archive=f'{name}-1.0-py3-none-any.whl')
    assert fetch(e, tmp_path / 'work').file.read_bytes() == GRAPH
    text = refused(replace(e, source='pip selfpose_nothing==1.0', archive='x.whl'), tmp_path / 'work')
    assert 'pip says: ERROR: No matching distribution found' in text
    assert f'"pip download --no-deps {" ".join(WHEEL)} selfpose_nothing==1.0" on a machine that has one' in text
    # pip ends with the same words where it reaches nothing at all
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:1/simple')
    monkeypatch.setenv('PIP_FIND_LINKS', '')
    text = refused(replace(e, source='pip selfpose_nothing==1.0', archive='x.whl'), tmp_path / 'work')
    assert 'cannot be fetched (pip has no connection to its index: Connection refused); try again' in text


def test_what_is_installed_here_is_taken_from_there(tmp_path: Path, monkeypatch):
    (tmp_path / 'weights_here' / 'deep').mkdir(parents=True)
    (tmp_path / 'weights_here' / '__init__.py').touch()
    (tmp_path / 'weights_here' / 'deep' / 'net.onnx').write_bytes(GRAPH)
    monkeypatch.syspath_prepend(str(tmp_path))
    got = fetch(replace(ENTRY, source='pip weights_here==1'), tmp_path / 'work')
    assert got.file == tmp_path / 'weights_here' / 'deep' / 'net.onnx' and 'installed here' in got.source
    assert 'weights_here' not in sys.modules, 'the package itself is not run'


def test_npm_brings_it_or_is_said_to_be_missing(tmp_path: Path, monkeypatch):
    e = replace(ENTRY, source='npm @some/net@1', archive='some-net-1.tgz')
    packed = tmp_path / 'packed.tgz'
    with tarfile.open(packed, 'w:gz') as tar:
        info = tarfile.TarInfo('package/net.onnx')
        info.size = len(GRAPH)
        tar.addfile(info, io.BytesIO(GRAPH))
    tools = tmp_path / 'bin'
    tools.mkdir()
    monkeypatch.setenv('PATH', f'{tools}:/usr/bin:/bin')
    if not any((Path(p) / 'npm').exists() for p in ('/usr/bin', '/bin')):
        assert 'npm is not installed' in refused(e, tmp_path / 'work')
    (tools / 'npm').write_text('#!/bin/sh\necho "npm ERR! 404 not found" >&2\nexit 1\n')
    (tools / 'npm').chmod(0o755)
    text = refused(e, tmp_path / 'work')
    assert 'npm says: npm ERR! 404 not found' in text and '"npm pack @some/net@1" on a machine that has one' in text
    (tools / 'npm').write_text(f'#!/bin/sh\n[ "$1 $2 $4" = "pack @some/net@1 --pack-destination" ] && cp {packed} '
                               '"$5/some-net-1.tgz"\n')
    got = fetch(e, tmp_path / 'work')
    assert got.file.read_bytes() == GRAPH and not list((tmp_path / 'work').glob('.*'))
