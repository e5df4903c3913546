# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model`: list, show, verify, promote, roll back."""
from __future__ import annotations

import _thread
import json
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
from model_folder import write_lifter

from selfpose_ros import cli
from selfpose_ros.commands import model_engine
from selfpose_ros.models import store


def model(capsys, *arguments: object) -> tuple[int, str, str]:
    status = cli.main(['model', *map(str, arguments)])
    out = capsys.readouterr()
    return status, out.out, out.err


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch) -> Path:
    """Two shipped models."""
    for name in ('first', 'second'):
        write_lifter(tmp_path / 'shipped' / name, name=name)
    monkeypatch.setattr(store, '_SHIPPED', tmp_path / 'shipped')
    return tmp_path / 'shipped'


def test_list_names_what_is_shipped(shipped: Path, capsys):
    status, out, _ = model(capsys, 'list')
    assert status == 0 and [row.split()[0] for row in out.splitlines()] == ['first', 'second']
    told = json.loads(model(capsys, 'list', '--json')[1])
    assert told[1] == {'name': 'second', 'kind': 'lifter', 'task': 'frame', 'method': 'by hand',
                       'folder': str(shipped / 'second')}


def test_nothing_shipped_is_said(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(store, '_SHIPPED', tmp_path)
    for action in ('list', 'verify'):
        assert model(capsys, action) == (0, 'no models are shipped with this version\n', '')
        assert model(capsys, action, '--json') == (0, '[]\n', '')


def test_show_gives_the_whole_card(shipped: Path, tmp_path: Path, capsys):
    folder = write_lifter(tmp_path / 'm', trained_on=[{'name': 'mocap'}])
    text = (folder / 'card.yaml').read_text()
    (folder / 'card.yaml').write_text(text + 'created: 2026-01-02\n')        # a date to YAML
    wanted = {**yaml.safe_load(text), 'folder': str(folder)}
    assert yaml.safe_load(model(capsys, 'show', folder)[1]).items() >= wanted.items()
    told = json.loads(model(capsys, 'show', folder, '--json')[1])
    assert told.pop('backends_here').keys() == {'onnxruntime', 'tensorrt'}
    assert told == {**wanted, 'created': '2026-01-02'}
    assert 'name: first' in model(capsys, 'show', 'first')[1]


def test_show_says_which_backends_can_run_it_here_and_why_not(shipped: Path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    told = json.loads(model(capsys, 'show', 'first', '--json')[1])['backends_here']
    assert told['onnxruntime'].startswith('yes: CPU (ONNX Runtime')
    assert told['tensorrt'].startswith('no: TensorRT cannot be loaded')
    (shipped / 'first' / 'model.onnx').write_bytes(b'no graph')
    status, _, err = model(capsys, 'show', 'first')
    assert status == 2 and 'sha256' in err


# -- engines

@pytest.fixture
def gpu(tmp_path: Path, monkeypatch):
    """A machine with the device that is none."""
    from fake_device import FakeCuda, fake_tensorrt

    from selfpose_ros.inference.tensorrt.engine_factory import EngineFactory
    cuda = FakeCuda()
    trt = fake_tensorrt(cuda, b'')

    def here(backend) -> EngineFactory:
        return EngineFactory(trt, cuda, Path(backend.engines or tmp_path / 'engines'), backend.batch)
    monkeypatch.setattr(EngineFactory, 'here', here)
    return cuda


def test_build_makes_an_engine_and_says_how_near_it_is(shipped: Path, gpu, tmp_path: Path, capsys):
    assert 'its engine is built at the first start' in model(capsys, 'show', 'first')[1]
    status, out, _ = model(capsys, 'build', 'first', 'second')
    assert status == 0 and out.count('engine for GPU Fake (TensorRT 10.3.0)') == 2
    assert 'joints 0 mm (allowed 2)' in out and gpu.clean
    assert len(list((tmp_path / 'engines').glob('*.engine'))) == 2
    assert 'its engine is there' in model(capsys, 'show', 'first')[1]
    told = json.loads(model(capsys, 'build', 'first', '--engines', tmp_path / 'other', '--batch', 2, '--json')[1])
    assert told[0]['model'] == 'first' and len(list((tmp_path / 'other').glob('*.engine'))) == 1


def test_ctrl_c_ends_a_build(shipped: Path, gpu, tmp_path: Path, capsys, monkeypatch):
    from fake_device import fake_tensorrt

    from selfpose_ros.inference.tensorrt.engine_factory import EngineFactory
    reached: list[int] = []

    def steps(step: int) -> None:
        reached.append(step)
        if step == 1:
            _thread.interrupt_main()
            handled.wait(30)

    handled = threading.Event()

    class Event(threading.Event):
        """That which says stop."""

        def set(self) -> None:
            super().set()
            handled.set()

    trt = fake_tensorrt(gpu, b'', steps=steps)
    monkeypatch.setattr(model_engine, 'threading', SimpleNamespace(Event=Event))
    monkeypatch.setattr(EngineFactory, 'here',
                        lambda backend: EngineFactory(trt, gpu, tmp_path / 'engines', backend.batch))
    # a job in the background of a script starts with this signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert model(capsys, 'build', 'first')[0] == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == [0, 1] and not trt.built and gpu.clean


@pytest.mark.parametrize('arguments', [('--batch', '9'), ('--batch', 'many'), ()])
def test_build_without_a_gpu_is_one_sentence(shipped: Path, capsys, monkeypatch, arguments: tuple):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    status, out, err = model(capsys, 'build', 'first', *arguments)
    assert (status, out) == (2, '') and err.startswith('selfpose model') and err.count('\n') == 1
    assert ('whole number from 1 to 8' if arguments else 'TensorRT cannot be loaded') in err


def test_fp16_puts_a_network_in_half_precision_beside_the_whole(tmp_path: Path, capsys):
    folder = write_lifter(tmp_path / 'm')
    before = (folder / 'card.yaml').read_text()
    for _ in range(2):
        status, out, _ = model(capsys, 'fp16', folder)
        assert status == 0 and 'model.fp16.onnx' in out and 'mm (allowed 2)' in out
    assert (folder / 'card.yaml').read_text().startswith(before.rstrip())
    assert (folder / 'card.yaml').read_text().count('fp16_sha256') == 1
    assert model(capsys, 'verify', folder)[0] == 0
    (folder / 'golden.npz').write_bytes(b'inputs')
    assert model(capsys, 'promote', folder, tmp_path / 'store', 'lifter')[0] == 0
    assert (tmp_path / 'store' / 'lifter' / '0001' / 'golden.npz').is_file()
    assert (tmp_path / 'store' / 'lifter' / '0001' / 'model.fp16.onnx').is_file()
    assert sorted(p.name for p in folder.iterdir()) == ['card.yaml', 'golden.npz', 'model.fp16.onnx', 'model.onnx']
    (folder / 'model.fp16.onnx').write_bytes(b'another file')
    assert model(capsys, 'verify', folder)[0] == 2


def test_fp16_that_sees_something_else_is_not_kept(tmp_path: Path, capsys, monkeypatch):
    from selfpose_ros.inference import half_precision
    folder, other = (write_lifter(tmp_path / n, graph={'seed': i}) for i, n in enumerate(('one', 'two')))
    monkeypatch.setattr(half_precision, '_converted', lambda file: (other / 'model.onnx').read_bytes())
    status, _, err = model(capsys, 'fp16', folder)
    assert status == 2 and 'does not see the same' in err
    assert sorted(p.name for p in folder.iterdir()) == ['card.yaml', 'model.onnx']
    assert 'fp16' not in (folder / 'card.yaml').read_text()


def test_verify_without_names_takes_all_shipped_models(shipped: Path, capsys):
    status, out, err = model(capsys, 'verify')
    assert (status, err) == (0, '') and [row.split(',')[0] for row in out.splitlines()] == [
        'first: sound', 'second: sound']


def test_verify_finds_what_is_damaged_and_goes_on(shipped: Path, tmp_path: Path, capsys):
    with (shipped / 'first' / 'model.onnx').open('ab') as file:
        file.write(b'!')
    wrong = write_lifter(tmp_path / 'wrong', graph={'factor': 2.})
    status, out, err = model(capsys, 'verify', 'first', wrong, 'second', '--json')
    assert status == 2
    told = json.loads(out)
    assert [t['sound'] for t in told] == [False, False, True]
    assert 'sha256' in told[0]['reason'] and 'root mean square' in told[1]['reason']
    assert [row.startswith('selfpose model: error: ') for row in err.splitlines()] == [True, True]


def test_promote_and_rollback(tmp_path: Path, capsys):
    one, two = (write_lifter(tmp_path / n, name=n) for n in ('one', 'two'))
    entry = tmp_path / 'store' / 'lifter'
    assert model(capsys, 'promote', one, tmp_path / 'store', 'lifter') == (0, f'{entry}: version 0001 is current\n', '')
    told = json.loads(model(capsys, 'promote', two, tmp_path / 'store', 'lifter', '--json')[1])
    assert told['version'] == '0002' and 'name: two' in model(capsys, 'show', entry)[1]
    assert model(capsys, 'rollback', tmp_path / 'store', 'lifter')[0] == 0
    assert 'name: one' in model(capsys, 'show', entry)[1]
    status, out, err = model(capsys, 'rollback', tmp_path / 'store', 'lifter')
    assert (status, out) == (2, '') and 'there is none to go back to' in err


def test_history_shows_what_was_current_and_what_was_learned_from(tmp_path: Path, capsys):
    one, two = (write_lifter(tmp_path / n, name=n, graph={'seed': i}) for i, n in enumerate(('one', 'two')))
    card = yaml.safe_load((two / 'card.yaml').read_text())
    older = yaml.safe_load((one / 'card.yaml').read_text())
    card['parent'] = {'name': 'one', 'sha256': older['sha256']}
    card['trained_on'] = [*older.get('trained_on', []), {'name': 'monday', 'sha256': '4' * 64, 'licence': 'CC0-1.0'}]
    card['metrics'] = {'held_out_mm': {'before': {'n_mpjpe': 60.}, 'after': {'n_mpjpe': 52.}}}
    (two / 'card.yaml').write_text(yaml.safe_dump(card))
    store = tmp_path / 'store'
    for folder in (one, two, one):
        assert model(capsys, 'promote', folder, store, 'lifter')[0] == 0
    assert model(capsys, 'rollback', store, 'lifter')[0] == 0
    rows = json.loads(model(capsys, 'history', store, 'lifter', '--json')[1])
    assert [(r['version'], r['state']) for r in rows] == [('0001', 'earlier'), ('0002', 'current'), ('0003', 'left')]
    assert [e['action'] for e in rows[1]['events']] == ['promoted', 'rolled back to']
    assert [r['name'] for r in rows[1]['recordings']] == ['monday'] and rows[1]['parent']['name'] == 'one'
    text = model(capsys, 'history', store, 'lifter')[1]
    assert '0002  current' in text and 'parent: one' in text and 'N-MPJPE: 60.0 -> 52.0 mm' in text
    (store / 'lifter' / '0001' / 'card.yaml').write_text('nothing')
    assert 'fault' in json.loads(model(capsys, 'history', store, 'lifter', '--json')[1])[0]
    assert model(capsys, 'history', store, 'lifter')[0] == 0
    assert model(capsys, 'history', tmp_path, 'store')[0] == 2


@pytest.mark.parametrize('arguments', [(), ('shw',), ('show',), ('show', 'no such model'), ('verify', 'no such model')])
def test_what_is_wrong_is_one_sentence(shipped: Path, capsys, arguments: tuple):
    status, _, err = model(capsys, *arguments)
    assert status == 2 and err.startswith('selfpose model') and err.count('\n') == 1


# -- import

@pytest.fixture
def networks(tmp_path: Path):
    """A picture with a body in discs, and a network that finds it."""
    cv2 = pytest.importorskip('cv2')
    import colour_networks
    from colour_networks import SIZE, body
    cv2.imwrite(str(tmp_path / 'body.png'), colour_networks.picture(body(), SIZE))
    return colour_networks, colour_networks.simcc(tmp_path / 'net.onnx'), tmp_path / 'body.png'


def test_import_makes_a_folder_that_works_and_shows_what_it_saw(networks, tmp_path: Path, capsys):
    import cv2
    _, file, picture = networks
    out = tmp_path / 'made'
    status, text, err = model(capsys, 'import', file, '--as', 'rtmpose', '-o', out, '--picture', picture,
                              '--licence', 'ours')
    assert status == 0 and not err
    assert 'pose2d, simcc, 192 x 256 px, 17 joints' in text and '1 people in a picture of 640 x 480 px' in text
    check, before = cv2.imread(str(out / 'check.png')), cv2.imread(str(picture))
    assert check.shape == before.shape and (check != before).any(-1).sum() > 500
    assert model(capsys, 'verify', out)[0] == 0
    card = json.loads(model(capsys, 'show', out, '--json')[1])
    assert card['licence'] == 'ours' and card['source'] == 'net.onnx' and card['joints'][0] == 'nose'


def test_import_tries_a_detector_and_a_rendered_person(networks, tmp_path: Path, capsys):
    nets, _, picture = networks
    file = nets.rtmdet(tmp_path / 'det.onnx')
    told = json.loads(model(capsys, 'import', file, '--as', 'rtmdet', '-o', tmp_path / 'a', '--picture', picture,
                            '--json')[1])
    assert told['people'] == 1 and told['kind'] == 'detector' and told['joints'] == 0
    # the rendered person wears none of the discs' colours
    told = json.loads(model(capsys, 'import', file, '--as', 'rtmdet', '-o', tmp_path / 'b', '--json')[1])
    assert told['people'] == 0 and Path(told['picture']).is_file()
    assert model(capsys, 'verify', tmp_path / 'a')[0] == 0


@pytest.mark.parametrize(('options', 'words'), [
    (['--as', 'hrnet'], 'no output heatmap'), (['--as', 'rtmpose', '--size', 'big'], 'write it as WIDTHxHEIGHT'),
    (['--as', 'rtmpose', '--tensor', 'x'], 'write it as name=value'),
    (['--as', 'rtmpose', '--picture', 'no.png'], 'no image that can be read')])
def test_import_says_what_is_wrong_and_leaves_nothing(networks, tmp_path: Path, capsys, options: list[str],
                                                      words: str):
    status, _, err = model(capsys, 'import', networks[1], '-o', tmp_path / 'made', *options)
    assert status == 2 and words in err and not (tmp_path / 'made').exists()
