# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is kept beside an imported network, and what is said when the network gives something else."""
from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import colour_networks as nets
from raising import raises

from selfpose_ros import cli
from selfpose_ros.inference.pose2d.importing import Request, import_model
from selfpose_ros.inference.reference_outputs import ROWS, check_reference
from selfpose_ros.inference.session import OrtSession
from selfpose_ros.models.card import GOLDEN, sha256_of
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model

SMALL = {'size': (320, 320)}


@pytest.fixture(scope='module')
def imported(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('golden')
    for preset, make in (('rtmpose', nets.simcc), ('hrnet', nets.heatmap), ('rtmo', partial(nets.rtmo, **SMALL)),
                         ('rtmdet', partial(nets.rtmdet, **SMALL))):
        import_model(Request(make(root / f'{preset}.onnx'), root / preset, preset))
    import_model(Request(nets.simcc(root / 'four.onnx', batch=4), root / 'four', 'rtmpose'))
    return root


@pytest.mark.parametrize('name', ['rtmpose', 'hrnet', 'rtmo', 'rtmdet', 'four'])
def test_an_import_keeps_what_went_in_and_came_out(imported: Path, name: str):
    model = open_model(imported / name)
    with np.load(model.folder / GOLDEN) as z:
        image = z[model.card.vision.tensor]
        w, h = model.card.vision.size
        assert image.shape == (ROWS, 3, h, w) and image.dtype == np.float32 and not np.array_equal(image[0], image[1])
        for role in model.card.vision.outputs.values():
            assert all(len(z[f'{role}.{i}']) == 1 for i in range(ROWS))
    assert check_reference(model, OrtSession(model.file))


def copied(folder: Path, to: Path, **change: np.ndarray) -> Path:
    shutil.copytree(folder, to)
    with np.load(to / GOLDEN) as z:
        kept = {k: z[k] for k in z.files}
    np.savez(to / GOLDEN, **{k: v for k, v in {**kept, **change}.items() if v is not None})
    return to


def test_another_output_is_told(imported: Path, tmp_path: Path):
    with np.load(imported / 'rtmpose' / GOLDEN) as z:
        x = z['simcc_x.1'].copy()
    x[0, 3, 100] += .01 * np.ptp(x)
    folder = copied(imported / 'rtmpose', tmp_path / 'off', **{'simcc_x.1': x})
    model = open_model(folder)
    with pytest.raises(ModelError, match='simcc_x of image 2 is off by 0.01 of its range .*runs otherwise here'):
        check_reference(model, OrtSession(model.file))
    folder = copied(imported / 'rtmpose', tmp_path / 'shape', **{'simcc_x.1': x[:, :16]})
    with pytest.raises(ModelError, match=r'was \(1, 16, 384\), is \(1, 17, 384\)'):
        check_reference(open_model(folder), OrtSession(model.file))


def test_a_graph_exchanged_with_its_hash_is_told(imported: Path, tmp_path: Path):
    """The card fits it, and so do all shapes: only what comes out is another."""
    folder = tmp_path / 'other'
    shutil.copytree(imported / 'rtmpose', folder)
    nets.simcc(folder / 'model.onnx', stats=([0., 0., 0.], [1., 1., 1.]))
    card = yaml.safe_load((folder / 'card.yaml').read_text())
    (folder / 'card.yaml').write_text(yaml.safe_dump({**card, 'sha256': sha256_of(folder / 'model.onnx')}))
    model = open_model(folder)
    with pytest.raises(ModelError, match='of image 1 is off by'):
        check_reference(model, OrtSession(model.file))


def test_nothing_kept_and_inputs_alone_are_no_fault(imported: Path, tmp_path: Path):
    folder = copied(imported / 'rtmdet', tmp_path / 'inputs',
                    **{f'{n}.{i}': None for n in ('dets', 'labels') for i in range(ROWS)})
    model = open_model(folder)
    session = OrtSession(model.file)
    assert not check_reference(model, session)
    (folder / GOLDEN).unlink()
    assert not check_reference(model, session)


@pytest.mark.parametrize('content', [b'', b'PK', b'no zip file' * 9])
def test_a_damaged_file_is_a_sentence(imported: Path, tmp_path: Path, content: bytes):
    shutil.copytree(imported / 'rtmpose', tmp_path / 'm')
    (tmp_path / 'm' / GOLDEN).write_bytes(content)
    model = open_model(tmp_path / 'm')
    with raises(ModelError, 'cannot be read .*import the model again, or remove this file',
                place=tmp_path / 'm/golden.npz'):
        check_reference(model, OrtSession(model.file))


def test_verify_compares(imported: Path, tmp_path: Path, capsys):
    assert cli.main(['model', 'verify', str(imported / 'rtmpose'), 'lifter', '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert [t['compared'] for t in told] == [True, False]
    assert cli.main(['model', 'verify', str(imported / 'rtmpose')]) == 0
    assert 'outputs as when it was imported' in capsys.readouterr().out
    with np.load(imported / 'hrnet' / GOLDEN) as z:
        wrong = copied(imported / 'hrnet', tmp_path / 'w', **{'heatmap.0': z['heatmap.0'][..., ::-1]})
    assert cli.main(['model', 'verify', str(wrong)]) == 2
    assert 'heatmap of image 1 is off by' in capsys.readouterr().err
