# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose view`: what is logged where, with a stand-in for rerun, and with rerun itself where it is installed."""
from __future__ import annotations

import json
import os
import socket
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bags import ViewBag

from selfpose_ros import cli
from selfpose_ros.commands.rerun_scene import LEVEL_COLOURS, sigma_colours
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.archive import read_keypoints, write_keypoints
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.skeletons import write_skeletons
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

ROOT = Path(__file__).resolve().parents[2]
FPS, T = 15., 12


class Kind:
    """Any archetype: remembers what it was made of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class Rerun(types.ModuleType):
    """Remembers what is logged, by entity and time."""

    def __init__(self) -> None:
        super().__init__('rerun')
        self.logged: dict[str, list[tuple[float | None, Any]]] = {}
        self.files: list[str] = []
        self.now: float | None = None
        self.blueprint = self.named('blueprint')
        self.ViewCoordinates = types.SimpleNamespace(RIGHT_HAND_Z_UP='z up')

    @staticmethod
    def named(name: str) -> Any:
        module = types.ModuleType(name)
        module.__getattr__ = lambda kind: type(kind, (Kind,), {})          # type: ignore[method-assign]
        return module

    def __getattr__(self, name: str) -> Any:
        return type(name, (Kind,), {})

    def init(self, *_: Any, **__: Any) -> None:
        self.now = None

    def save(self, path: str) -> None:
        self.files.append(path)

    def send_blueprint(self, _: Any) -> None:
        pass

    def disconnect(self) -> None:
        pass

    def set_time(self, _: str, duration: float) -> None:
        self.now = duration

    def log(self, entity: str, what: Any, static: bool = False) -> None:
        self.logged.setdefault(entity, []).append((None if static else self.now, what))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A result, and the recording that it belongs to."""
    rig, X = ring_rig(3, 1), walker(T / FPS, FPS, 2)
    frames = frames_of(observe(X, rig, FPS, 1))
    recording = Recording.of('session', rig.cameras, [v for f in frames for v in f.views])
    write_keypoints(tmp_path / 'session.npz', recording)
    joints = X[:, None].copy()
    ones = np.ones((T, 1, 17))
    level, person = np.full((T, 1), 3), np.ones((T, 1), np.int64)
    level[:3], level[-2:], person[-2:], joints[-2:] = 1, 0, 0, np.nan
    write_skeletons(tmp_path / 'result.npz', Skeletons(
        np.array([f.stamp for f in frames]), joints, .02 * ones, .9 * ones, 3 * ones.astype(np.int64), level, person,
        rig.cameras, rig))
    return tmp_path / 'result.npz', tmp_path / 'session.npz'


def test_a_result_with_what_the_cameras_saw(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
                                            tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rerun = Rerun()
    monkeypatch.setitem(sys.modules, 'rerun', rerun)
    result, session = files
    assert cli.main(['view', str(result), '--recording', str(session), '-o', str(tmp_path / 'x.rrd'), '--quiet']) == 0
    assert rerun.files == [str(tmp_path / 'x.rrd')] and f'{T} instants' in capsys.readouterr().out
    bones = rerun.logged['world/people/1/bones']
    assert [t for t, _ in bones] == pytest.approx(np.arange(T - 2) / FPS)
    assert [b.kwargs['colors'][0] for _, b in bones] == [LEVEL_COLOURS[1]] * 3 + [LEVEL_COLOURS[3]] * (T - 5)
    assert type(rerun.logged['world/people/1'][-1][1]).__name__ == 'Clear', 'who has left is not shown any more'
    levels = [s.args[0][0] for t, s in rerun.logged['plots/level'] if t is not None]
    assert levels == [1.] * 3 + [3.] * (T - 5) + [0., 0.]
    for camera in ring_rig(3, 1).cameras:
        assert rerun.logged[f'world/cameras/{camera}'][0][0] is None, 'cameras stand'
        assert len(rerun.logged[f'world/cameras/{camera}/image/joints']) == T
        errors = [s.args[0][0] for _, s in rerun.logged[f'plots/reprojection/{camera}']]
        assert len(errors) == T - 5 and 0 < np.median(errors) < 15
    assert 'plots/sigma' in rerun.logged


def test_colours_go_from_certain_to_unknown() -> None:
    certain, unsure, unknown = sigma_colours(np.array([0., .1, np.nan])).astype(int)
    assert certain[1] > certain[0] and unsure[0] > unsure[1] and unknown.tolist() == unsure.tolist()


class Seen:
    """A 2D network of one person, wherever it looks."""

    joint_names = JOINTS

    def __init__(self, *_: Any) -> None:
        self.seen = 0

    def view(self, camera: str, stamp: float, image_bgr: np.ndarray, intrinsics: Any = None) -> View2D:
        self.seen += 1
        at = np.stack([np.linspace(5, 40, 17) + .5 * self.seen, np.linspace(4, 44, 17)], -1)
        return View2D(camera, stamp, at[None], np.ones((1, 17)), (64, 48))

    def close(self) -> None:
        pass


@pytest.mark.parametrize('shown', [True, False])
def test_images_of_videos_are_shown_five_a_second(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
                                                  tmp_path: Path, shown: bool) -> None:
    """Behind the 2D of their camera, at their time, as large as they were; not with --no-images."""
    rerun = Rerun()
    monkeypatch.setitem(sys.modules, 'rerun', rerun)
    monkeypatch.setattr('selfpose_ros.inference.views.view_network', Seen)
    cameras = ring_rig(3, 1).cameras[:2]
    for camera in cameras:
        out = cv2.VideoWriter(str(tmp_path / f'{camera}.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 25., (64, 48))
        for n in range(20):
            image = np.full((48, 64, 3), 12 * n, np.uint8)
            image[:8, :8] = 255
            out.write(image)
        out.release()
    words = ['view', str(files[0]), '--recording', *(str(tmp_path / f'{c}.avi') for c in cameras), '--quiet',
             '-o', str(tmp_path / 'x.rrd'), *([] if shown else ['--no-images'])]
    assert cli.main(words) == 0
    for camera in cameras:
        images = rerun.logged.get(f'world/cameras/{camera}/image', [])
        images = [(t, i.kwargs['contents']) for t, i in images if type(i).__name__ == 'EncodedImage']
        if not shown:
            assert not images
            continue
        assert np.diff([t for t, _ in images]) == pytest.approx([.2, .2, .2])
        pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for _, data in images]
        assert [p.shape for p in pictures] == [(48, 64, 3)] * 4
        assert [float(p[20:, 20:].mean()) for p in pictures] == pytest.approx([0., 60., 120., 180.], abs=4)


def test_images_of_a_bag_of_keypoints_are_shown_and_no_network_is_run(
        files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rerun = Rerun()
    monkeypatch.setitem(sys.modules, 'rerun', rerun)
    monkeypatch.setattr('selfpose_ros.inference.views.view_network', lambda *_: pytest.fail('a network was made'))
    recording = read_keypoints(files[1])
    with ViewBag(tmp_path / 'bag') as bag:
        for view in recording.views:
            bag.view(view)
            bag.image(view.camera, view.stamp, np.full((48, 64, 3), 90, np.uint8))
    assert cli.main(['view', str(files[0]), '--recording', str(tmp_path / 'bag'), '--quiet', '-o',
                     str(tmp_path / 'x.rrd')]) == 0
    for camera in recording.cameras:
        shown = [t for t, i in rerun.logged[f'world/cameras/{camera}/image'] if type(i).__name__ == 'EncodedImage']
        assert np.diff(shown) == pytest.approx([.2] * 3)


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a desktop."""
    monkeypatch.setenv('DISPLAY', ':0')


@pytest.mark.parametrize(('words', 'says'), [
    (['{result}', '--recording', '{session}', '--web', '-o', 'x.rrd'], '--web and --output: a page or a file'),
    (['{session}', '--recording', '{session}'], 'is a recording itself, not a result'),
    (['{result}', '-o', '/proc/x.rrd'], '/proc/x.rrd: cannot be written'),
    (['{result}', '-o', '{session}'], 'a file of rerun ends with .rrd; write -o'),
    (['{result}', '--web', '--port', '65535'], "'65535' must be a whole number from 1 to 65534"),
    (['--live', '--seconds', 'nan'], "'nan' must be a number from 0"),
    (['/no/such.npz'], '/no/such.npz')])
def test_what_cannot_be_shown_is_one_sentence(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    monkeypatch.setitem(sys.modules, 'rerun', Rerun())
    result, session = files
    assert cli.main(['view', '--quiet', *(w.format(result=result, session=session) for w in words)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize('source', ['{result}', '--live'])
def test_where_it_cannot_be_shown_is_told_before_the_work(files: tuple[Path, Path], tmp_path: Path, source: str,
                                                          monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in place of a file, a port that another program has, no screen."""
    monkeypatch.setitem(sys.modules, 'rerun', None)        # nothing of it is needed to find out
    source = source.format(result=files[0])
    (tmp_path / 'x.rrd').mkdir()
    assert cli.main(['view', source, '-o', str(tmp_path / 'x.rrd')]) == 2
    assert 'x.rrd: is a folder' in capsys.readouterr().err
    with socket.create_server(('', 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(['view', source, '--web', '--port', str(port)]) == 2
    assert f'--web: port {port} cannot be had' in capsys.readouterr().err
    monkeypatch.delenv('DISPLAY')
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    assert cli.main(['view', source]) == 2
    assert 'there is no screen for a window' in capsys.readouterr().err


def test_rerun_is_found_beside_python_and_what_stops_it_is_one_sentence(
        files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`.venv/bin/selfpose` without the environment activated."""
    looked: list[str] = []

    def spawn() -> None:
        looked.extend(os.environ['PATH'].split(os.pathsep))
        raise RuntimeError('Failed to find Rerun Viewer executable in PATH.\n\n  You can install ...')

    rerun = Rerun()
    rerun.spawn = spawn                                     # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, 'rerun', rerun)
    monkeypatch.setenv('PATH', '/usr/bin')
    assert cli.main(['view', str(files[0]), '--quiet']) == 2
    said = capsys.readouterr().err
    assert looked[0] == str(Path(sys.executable).parent)
    assert 'the window of rerun cannot be opened (Failed to find Rerun Viewer' in said and said.count('\n') == 1


def test_without_rerun_it_says_what_to_install(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, 'rerun', None)
    assert cli.main(['view', str(files[0])]) == 2
    assert "pip install 'selfpose_ros[view]'" in capsys.readouterr().err


def test_rerun_itself_writes_a_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip('rerun', reason="rerun is not installed: pip install 'selfpose_ros[view]'")
    words = [str(files[0]), '--recording', str(files[1]), '-o', str(tmp_path / 'x.rrd')]
    assert cli.main(['view', *words, '--quiet']) == 0
    assert (tmp_path / 'x.rrd').read_bytes()[:3] == b'RRF'


def test_the_layout_for_foxglove_shows_our_topics() -> None:
    layout = json.loads((ROOT / 'config' / 'selfpose.foxglove.json').read_text())
    panels = set(layout['configById'])

    def shown(node: Any) -> set[str]:
        return {node} if isinstance(node, str) else shown(node['first']) | shown(node['second'])

    assert shown(layout['layout']) == panels
    text = json.dumps(layout)
    for topic in ('/fusion_node/markers', '/fusion_node/skeletons', '/pose2d_node/overlay/cam1/compressed',
                  '/fusion_node/rig', '/diagnostics'):
        assert topic in text
