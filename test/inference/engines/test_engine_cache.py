# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Engines on disk: what is damaged, foreign or half written, a full disk, a builder who is killed, two at once."""
from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from raising import raises
from wheels import ROOT, RTX, wheel

from selfpose_ros.inference.errors import BuildCancelled, EngineBuildError, EngineStale
from selfpose_ros.inference.tensorrt import engine_cache
from selfpose_ros.inference.tensorrt.builder import BuildOptions, Built
from selfpose_ros.inference.tensorrt.cuda import Device
from selfpose_ros.inference.tensorrt.engine_cache import EngineCache, EngineKey, default_folder

KEY = EngineKey('net', 'a' * 64, BuildOptions(), '10.3.0', Device('Orin', '8.7', 16, True))
PLAN = b'engine' * 1000


class Maker:
    """Builds, loads, and counts both."""

    def __init__(self, plan: bytes = PLAN, bad: tuple[bytes, ...] = ()) -> None:
        self.plan, self.bad, self.builds, self.timing = plan, bad, 0, []

    def build(self, timing: bytes) -> Built:
        self.builds += 1
        self.timing.append(timing)
        return Built(self.plan, timing + b't', 1.5)

    def load(self, plan: bytes) -> bytes:
        if plan in self.bad:
            raise EngineStale('net: the engine does not load with TensorRT 10.3.0 here')
        return plan

    def obtain(self, folder: Path, key: EngineKey = KEY, **other) -> bytes:
        self.warned: list[str] = []
        return EngineCache(folder, warn=self.warned.append, **other).obtain(key, self.load, self.build)


def engines(folder: Path) -> list[Path]:
    return sorted(folder.glob('*.engine'))


def test_an_engine_is_built_once_and_kept(tmp_path: Path):
    maker, folder = Maker(), tmp_path / 'a' / 'engines'
    assert not EngineCache(folder).holds(KEY)
    assert maker.obtain(folder) == maker.obtain(folder) == PLAN and maker.builds == 1 and not maker.warned
    assert EngineCache(folder).holds(KEY)
    assert folder.stat().st_mode & 0o777 == 0o700
    (file,) = engines(folder)
    told = json.loads(file.with_suffix('.json').read_text())
    assert told['key']['device']['name'] == 'Orin' and told['key']['tensorrt'] == '10.3.0' and told['seconds'] == 1.5
    assert not list(folder.glob('.*.part'))


@pytest.mark.parametrize('other', [
    {'graph_sha256': 'b' * 64}, {'tensorrt': '10.3.0.1'}, {'options': BuildOptions(batch=2)},
    {'options': BuildOptions(level=4)}, {'device': replace(KEY.device, multiprocessors=14)},
    {'device': replace(KEY.device, capability='8.6')}, {'device': replace(KEY.device, name='Orin Nano')}])
def test_whatever_an_engine_depends_on_makes_another_one(tmp_path: Path, other: dict):
    maker = Maker()
    maker.obtain(tmp_path / 'e')
    maker.obtain(tmp_path / 'e', replace(KEY, **other))
    assert maker.builds == 2 and len(engines(tmp_path / 'e')) == 2


def _change(file: Path, what: str) -> None:
    beside = file.with_suffix('.json')
    told = json.loads(beside.read_text())
    if what == 'cut off':
        file.write_bytes(PLAN[:-7])
    elif what == 'one bit':
        file.write_bytes(b'f' + PLAN[1:])
    elif what == 'empty':
        file.write_bytes(b'')
    elif what == 'nothing beside':
        beside.unlink()
    elif what == 'no JSON beside':
        beside.write_text('{"key":')
    elif what == 'another version beside':
        beside.write_text(json.dumps({**told, 'key': {**told['key'], 'tensorrt': '8.6.1'}}))
    elif what == 'others may write':
        file.chmod(0o666)


@pytest.mark.parametrize('what', ['cut off', 'one bit', 'empty', 'nothing beside', 'no JSON beside',
                                  'another version beside', 'others may write'])
def test_what_is_damaged_or_foreign_is_built_again_and_said_once(tmp_path: Path, what: str):
    maker, folder = Maker(), tmp_path / 'e'
    maker.obtain(folder)
    _change(engines(folder)[0], what)
    assert maker.obtain(folder) == PLAN and maker.builds == 2
    assert len(maker.warned) == 1 and 'it is built again' in maker.warned[0]
    assert maker.obtain(folder) == PLAN and maker.builds == 2 and not maker.warned


def test_an_engine_that_does_not_load_is_built_again_once(tmp_path: Path):
    folder = tmp_path / 'e'
    Maker(b'old engine').obtain(folder)
    maker = Maker(bad=(b'old engine',))
    assert maker.obtain(folder) == PLAN and maker.builds == 1 and 'does not load' in maker.warned[0]
    hopeless = Maker(b'new', bad=(b'new', PLAN))
    with pytest.raises(EngineBuildError, match='although it was built just now'):
        hopeless.obtain(folder)
    assert hopeless.builds == 1


def test_the_timing_cache_is_shared_by_models_not_by_devices(tmp_path: Path):
    maker, folder = Maker(), tmp_path / 'e'
    for key in (KEY, replace(KEY, graph_sha256='b' * 64), replace(KEY, device=replace(KEY.device, capability='9.0'))):
        maker.obtain(folder, key)
    assert maker.timing == [b'', b't', b'']


def test_the_engines_used_last_are_kept(tmp_path: Path):
    maker, folder = Maker(), tmp_path / 'e'
    keys = [replace(KEY, graph_sha256=f'{i}' * 64) for i in range(4)]
    for i, key in enumerate(keys[:3]):
        maker.obtain(folder, key)
        os.utime(folder / f'{key.stem}.engine', (1000 + i, 1000 + i))
    maker.obtain(folder, keys[0])                          # used now
    assert maker.builds == 3
    maker.obtain(folder, keys[3], keep=2)
    assert {f.stem for f in engines(folder)} == {keys[0].stem, keys[3].stem}
    assert {f.stem for f in folder.glob('*.json')} == {keys[0].stem, keys[3].stem}


@pytest.mark.parametrize('mode', [0o777, 0o770, 0o722])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int):
    folder = tmp_path / 'e'
    folder.mkdir()
    folder.chmod(mode)
    with raises(EngineBuildError, r'others may write there, .*chmod go-w', place=tmp_path / 'e'):
        EngineCache(folder)


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, 'geteuid', lambda: 4321)
    (tmp_path / 'e').mkdir(mode=0o700)
    if (tmp_path / 'e').stat().st_uid == 0:                # what root made, root may change anyway
        os.chown(tmp_path / 'e', 1234, 1234)
    with raises(EngineBuildError, 'belongs to another user', place=tmp_path / 'e'):
        EngineCache(tmp_path / 'e')


def test_the_usual_folder(monkeypatch, tmp_path: Path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'selfpose_ros' / 'engines'
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    assert default_folder() == tmp_path / 'home' / '.cache' / 'selfpose_ros' / 'engines'


# -- disks

def test_a_full_disk_costs_the_cache_not_the_engine(tmp_path: Path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    maker, folder = Maker(), tmp_path / 'e'
    monkeypatch.setattr(os, 'fsync', full)
    assert maker.obtain(folder) == PLAN
    (warning,) = maker.warned
    assert 'No space left on device' in warning and 'used from memory now' in warning and 'free space' in warning
    assert not engines(folder) and not list(folder.glob('*.json')) and not list(folder.glob('.*.part'))
    monkeypatch.undo()
    assert maker.obtain(folder) == PLAN and maker.builds == 2 and len(engines(folder)) == 1


def test_a_write_that_stops_in_the_middle_leaves_nothing(tmp_path: Path):
    """The system really refuses to write beyond some size; what it allows would hold the file beside, no engine."""
    maker, folder = Maker(os.urandom(300_000)), tmp_path / 'e'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        assert maker.obtain(folder) == maker.plan
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert 'File too large' in maker.warned[0]
    assert [p.name for p in folder.iterdir()] == [f'{KEY.stem}.lock']
    assert maker.obtain(folder) == maker.plan and maker.builds == 2 and not maker.warned


def test_a_folder_that_cannot_be_made_costs_the_cache_not_the_engine(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    maker = Maker()
    assert maker.obtain(tmp_path / 'file' / 'e') == PLAN
    assert 'no engines can be kept there' in maker.warned[0] and 'engine_cache' in maker.warned[0]


# -- processes

START = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {here!r})
    from test_engine_cache import KEY, PLAN
    from selfpose_ros.inference.tensorrt.builder import Built
    from selfpose_ros.inference.tensorrt.engine_cache import EngineCache
    folder = Path(sys.argv[1])

    def say(word):
        print(word, flush=True)

    def slow(timing):
        say('building')
        while not (folder / 'go').exists():
            time.sleep(.01)
        return Built(PLAN, b'', 0.)
""")
OBTAIN = "say('has ' + str(len(EngineCache(folder).obtain(KEY, bytes, slow, lambda: say('waits') is None))))"


def _start(code: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    here = str(Path(__file__).resolve().parent)
    path = os.pathsep.join([env.pop('PYTHONPATH', ''), str(ROOT), str(ROOT / 'test')])
    return subprocess.Popen([sys.executable, '-c', START.format(here=here) + code, str(folder)], text=True,
                            stdout=subprocess.PIPE, env={**os.environ, 'PYTHONPATH': path, **env})


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_two_processes_one_builds_and_the_other_waits_and_loads(tmp_path: Path):
    folder = tmp_path / 'e'
    one = _start(OBTAIN, folder)
    try:
        assert _line(one) == 'building'
        two = _start(OBTAIN, folder)
        try:
            assert _line(two) == 'waits'
            (folder / 'go').write_text('')
            rest = two.communicate(timeout=60)[0].split('\n')
            assert rest[-2] == f'has {len(PLAN)}' and 'building' not in rest
        finally:
            two.kill()
        assert one.communicate(timeout=60)[0].strip() == f'has {len(PLAN)}'
    finally:
        one.kill()
    assert len(engines(folder)) == 1


def test_who_waits_can_give_up(tmp_path: Path):
    one = _start(OBTAIN, tmp_path / 'e')
    try:
        assert _line(one) == 'building'
        with pytest.raises(BuildCancelled, match='another process builds'):
            EngineCache(tmp_path / 'e').obtain(KEY, bytes, Maker().build, lambda: False)
    finally:
        one.kill()


def test_a_builder_who_is_killed_while_building_leaves_nothing_in_the_way(tmp_path: Path):
    one = _start(OBTAIN, tmp_path / 'e')
    assert _line(one) == 'building'
    one.kill()
    one.wait()
    maker = Maker()
    assert maker.obtain(tmp_path / 'e') == PLAN and maker.builds == 1 and not maker.warned


def test_a_builder_who_is_killed_while_writing_leaves_nothing_in_the_way(tmp_path: Path):
    code = textwrap.dedent("""
        import os
        def stop(handle):
            say('writing')
            time.sleep(600)
        os.fsync = stop
        (folder.mkdir(mode=0o700), (folder / 'go').write_text(''))
    """)
    one = _start(code + OBTAIN, tmp_path / 'e')
    assert [_line(one), _line(one)] == ['building', 'writing']
    one.kill()
    one.wait()
    assert list((tmp_path / 'e').glob('.*.part')) and not engines(tmp_path / 'e')
    maker = Maker()
    assert maker.obtain(tmp_path / 'e') == PLAN and maker.builds == 1 and not maker.warned
    assert not list((tmp_path / 'e').glob('.*.part'))


def test_nvidias_builder_killed_in_the_middle_leaves_nothing_in_the_way(tmp_path: Path):
    pytest.importorskip('onnx')
    code = textwrap.dedent("""
        from rtx_builds import build
        from selfpose_ros.models.store import open_model
        graph = open_model('lifter').file.read_bytes()
        def middle(share):
            if share > .5 and stop:
                say('in the middle')
                time.sleep(600)
            return True
        stop = len(sys.argv) > 2
        make = lambda timing: build(graph, timing=timing, progress=middle)
        plan = EngineCache(folder).obtain(KEY, bytes, make)
        say('has %s' % (len(plan) > 1000000))
    """)
    path = str(wheel(RTX[-1]))
    one = _start('sys.argv.append("stop")\n' + code, tmp_path / 'e', PYTHONPATH=path)
    assert _line(one) == 'in the middle'
    one.send_signal(signal.SIGKILL)
    one.wait()
    assert not engines(tmp_path / 'e')
    assert _start(code, tmp_path / 'e', PYTHONPATH=path).communicate(timeout=120)[0].strip() == 'has True'
    assert len(engines(tmp_path / 'e')) == 1


def test_a_lock_file_that_was_removed_guards_nothing(tmp_path: Path):
    """Who waited for one that is deleted meanwhile takes the new one, and has it alone."""
    path, waits, has, end = tmp_path / 'x.lock', threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with engine_cache._lock(path, lambda: waits.set() is None):
            has.set()
            end.wait(60)

    thread = threading.Thread(target=second)
    with engine_cache._lock(path, lambda: False):
        thread.start()
        assert waits.wait(60)
        path.unlink()
    assert has.wait(60)
    with pytest.raises(BlockingIOError), engine_cache._lock(path, lambda: False):
        raise AssertionError('held twice')
    end.set()
    thread.join()
