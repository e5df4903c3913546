# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""LiteRT behind the contract of a session, on graphs that the tests build."""
from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('ai_edge_litert', reason='LiteRT is not installed: pip install ai-edge-litert')
import lite_graphs
from raising import raises

from selfpose_ros.inference import litert_session
from selfpose_ros.inference.backend import Backend, open_session
from selfpose_ros.inference.errors import BackendUnavailable, InferenceError, InputError
from selfpose_ros.inference.litert_session import LiteRtSession
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model, promote

ONES = np.ones((1, 2, 4, 3), np.float32)


def test_arrays_go_in_and_come_out_by_their_names(tmp_path: Path):
    session = LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite', factor=3.))
    assert [t.text for t in session.inputs] == ['image (1, 2, 4, 3) tensor(float)']
    assert [t.text for t in session.outputs] == ['scaled (1, 2, 4, 3) tensor(float)']
    first, = session.run({'image': ONES}, ['scaled'])
    second, = session.run({'image': 2 * ONES}, ['scaled'])
    assert (first == 3).all() and (second == 6).all(), 'what was given out belongs to the caller'
    assert session.device.startswith('CPU (LiteRT ') and session.report.state == 'ready'


def test_open_axes_take_any_size(tmp_path: Path):
    session = LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite', open_axes=(1, 2)))
    assert session.inputs[0].shape == (1, None, None, 3)
    for shape in ((1, 2, 4, 3), (1, 5, 7, 3), (1, 1, 1, 3)):
        out, = session.run({'image': np.full(shape, 2., np.float32)}, ['scaled'])
        assert out.shape == shape and (out == 4).all()


def test_whole_numbers_stay_whole(tmp_path: Path):
    session = LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite', dtype='int32'))
    out, = session.run({'image': ONES.astype(np.int32)}, ['scaled'])
    assert session.inputs[0].dtype == 'tensor(int32)' and out.dtype == np.int32 and (out == 2).all()


@pytest.mark.parametrize(('feeds', 'words'), [
    ({}, 'nothing was given for the input image'),
    ({'image': ONES[:, :1]}, r'image \(1, 2, 4, 3\) tensor\(float\) was given \(1, 1, 4, 3\) float32'),
    ({'image': ONES.astype(float)}, r'was given \(1, 2, 4, 3\) float64'),
    ({'image': ONES[0]}, r'was given \(2, 4, 3\)'),
])
def test_what_the_graph_does_not_take_is_refused_and_the_next_is_run(tmp_path: Path, feeds, words):
    session = LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite'))
    with raises(InputError, words, place=tmp_path / 'a.tflite'):
        session.run(feeds, ['scaled'])
    assert (session.run({'image': ONES}, ['scaled'])[0] == 2).all()


def test_an_output_that_is_none_and_a_closed_session(tmp_path: Path):
    session = LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite'))
    with raises(InferenceError, 'has no output pose; it has scaled', place=tmp_path / 'a.tflite'):
        session.run({'image': ONES}, ['pose'])
    session.close()
    with raises(InferenceError, 'this session was closed; open the model again', place=tmp_path / 'a.tflite'):
        session.run({'image': ONES}, ['scaled'])


@pytest.mark.parametrize('content', [b'', b'hello' * 100, 'half', 'noise'])
def test_a_file_that_is_no_graph_is_refused_in_one_sentence(tmp_path: Path, content):
    good = lite_graphs.scaled(tmp_path / 'a.tflite').read_bytes()
    if content == 'half':
        content = good[:len(good) // 2]
    elif content == 'noise':
        content = good[:8] + np.random.default_rng(0).bytes(len(good))
    (tmp_path / 'b.tflite').write_bytes(content)
    with raises(ModelError, r'LiteRT cannot load it \(.*copy or export the model again$', place=tmp_path / 'b.tflite'):
        LiteRtSession(tmp_path / 'b.tflite')


def test_threads_run_at_the_same_time_and_get_their_own(tmp_path: Path):
    session = LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite', (1, 64, 64, 3)))
    wrong = []

    def work(number: int) -> None:
        image = np.full((1, 64, 64, 3), float(number), np.float32)
        for _ in range(50):
            out, = session.run({'image': image}, ['scaled'])
            wrong.extend(out[out != 2 * number])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == [] and 1 <= len(session._idle) <= 4


def test_where_the_package_is_missing_the_sentence_says_what_brings_it(tmp_path: Path, monkeypatch):
    def missing():
        raise ImportError("No module named 'ai_edge_litert'")
    monkeypatch.setattr(litert_session, 'lite_rt', missing)
    with raises(BackendUnavailable, "LiteRT cannot be loaded .*; install it with pip install 'ai-edge",
                place=tmp_path / 'a.tflite'):
        LiteRtSession(lite_graphs.scaled(tmp_path / 'a.tflite'))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with such a graph; what is on its card of the outputs is never looked at here."""
    folder = tmp_path / 'model'
    folder.mkdir()
    file = lite_graphs.scaled(folder / 'model.tflite')
    (folder / 'card.yaml').write_text(yaml.safe_dump({
        'name': 'small', 'kind': 'detector', 'family': 'blazepose_detector', 'file': 'model.tflite', 'method': 'built',
        'licence': 'Apache-2.0', 'sha256': hashlib.sha256(file.read_bytes()).hexdigest(),
        'image': {'tensor': 'image', 'size': [224, 224], 'layout': 'nhwc', 'colour': 'rgb', 'scale': 1., 'padding': 1.,
                  'mean': [0., 0., 0.], 'std': [1., 1., 1.], 'crop': 'centre', 'border': 0},
        'outputs': {'boxes': 'a', 'scores': 'b'}}))
    return folder


def test_a_model_folder_runs_on_litert_whatever_cpu_backend_is_asked_for(folder: Path, tmp_path: Path):
    model = open_model(folder)
    for name in ('onnxruntime', 'auto'):
        session = open_session(model, owner := Owner(), backend=Backend(name))
        assert 'LiteRT' in session.report.sentence and owner is not None
    with pytest.raises(BackendUnavailable, match='a TensorFlow Lite graph, which runs on LiteRT on the CPU alone;'):
        open_session(model, Owner(), backend=Backend('tensorrt'))
    stored = promote(folder, tmp_path / 'store', 'small')
    assert stored.file.name == 'model.tflite' and stored.file.is_file()


def test_engines_and_half_precision_are_refused_for_it(folder: Path):
    for words in (['build'], ['fp16']):
        done = subprocess.run([sys.executable, '-m', 'selfpose_ros', 'model', *words, str(folder)], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 2 and 'is a TensorFlow Lite graph, which runs on LiteRT' in done.stderr
        assert done.stderr.count('\n') == 1


class Owner:
    """Who opens a session; it can be referred to weakly."""


def test_it_says_nothing_writes_nothing_and_opens_no_connection(tmp_path: Path):
    file = lite_graphs.scaled(tmp_path / 'a.tflite')
    code = ('import socket, sys; from pathlib import Path\n'
            'def refused(*a, **k): raise SystemExit("a connection")\n'
            'socket.socket.connect = refused\n'
            'from selfpose_ros.inference.litert_session import LiteRtSession as S\n'
            'import numpy as np; image = np.ones((1, 2, 4, 3), np.float32)\n'
            f'S(Path({str(file)!r})).run({{"image": image}}, ["scaled"])')
    home = tmp_path / 'home'
    home.mkdir()
    done = subprocess.run([sys.executable, '-c', code], check=False, capture_output=True, text=True,
                          env={'PATH': '/usr/bin:/bin', 'HOME': str(home)}, cwd=Path(__file__).resolve().parents[2])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert list(home.rglob('*')) == []
