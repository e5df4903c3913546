# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose evaluate --data`: figures as text and JSON; what does not fit together is one sentence."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
pytest.importorskip('torch')
from evaluation import PARAMETERS, evaluate
from model_folder import write_lifter
from small_data import human36m, people, skipose

from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.io.overlay import COLOURS
from selfpose_training.data.sources import read_data
from selfpose_training.evaluation.recorded import evaluate_recorded, measured


@pytest.fixture(scope='module')
def h36m(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('data') / 'h36m'
    folder.mkdir()
    human36m(folder)
    return folder


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> Path:
    return write_lifter(tmp_path_factory.mktemp('models') / 'm', parameters=PARAMETERS)


def test_the_figures_as_json_are_those_of_the_measurement(h36m: Path, model: Path, capsys):
    status, out, err = evaluate(capsys, model, '--data', h36m, '--every', 8, '--json')
    assert (status, err) == (0, '')
    told = json.loads(out)
    recordings, notes = measured(read_data(h36m, split='test'), 'h36m')
    wanted = evaluate_recorded(open_lifter(model), recordings, every=8).to_dict()
    assert {k: told[k] for k in wanted} == wanted and notes == told['notes'] == []
    assert (told['frames'], told['poses'], told['clips'], told['views'], told['every']) == (8, 32, 2, 4, 8)
    assert told['model']['name'] == 'tiny' and told['data'] == 'h36m'
    # the names of the figures are those of --motion
    assert {'single', 'fused', 'depth_reversed', 'within_sigma', 'sigma_ratio'} <= told.keys()


def test_the_figures_for_people(h36m: Path, model: Path, capsys):
    status, out, _ = evaluate(capsys, model, '--data', h36m)
    told = json.loads(evaluate(capsys, model, '--data', h36m, '--json')[1])
    assert status == 0 and out.startswith(
        'tiny: frame lifter, method by hand, 4386 parameters\n240 views of 60 frames of 2 recordings '
        'from h36m, 4 views\n')
    for line, name in (('single view', 'single'), ('views fused', 'fused')):
        figures = next(row for row in out.splitlines() if row.startswith(line)).split()[2:]
        assert figures == [f'{told[name][k]:.1f}' for k in ('n_mpjpe', 'pa_mpjpe', 'n_pck', 'auc', 'cps')]
    assert f'errors are {told["sigma_ratio"]:.2f} x sigma' in out and 'depth reversed' in out


def test_a_temporal_model_is_evaluated(h36m: Path, tmp_path: Path, capsys):
    status, out, _ = evaluate(capsys, write_lifter(tmp_path / 'm', frames=9), '--data', h36m, '--every', 10, '--json')
    assert status == 0 and json.loads(out)['model']['task'] == 'temporal' and json.loads(out)['frames'] == 6


def test_data_without_recordings_for_the_test_is_measured_and_a_note_says_so(model: Path, tmp_path: Path, capsys):
    skipose(tmp_path / 'train', people(6), seqs=((1, 4),), focal=1.3)
    status, out, err = evaluate(capsys, model, '--data', tmp_path, '--json')
    assert status == 0 and json.loads(out)['frames'] == 6
    assert err.count('\n') == 1 and 'no recording there is meant for the test: these 1 are for training' in err
    assert json.loads(out)['notes'][0] in err


def one_sentence(result: tuple[int, str, str], words: str) -> None:
    status, out, err = result
    assert (status, out) == (2, '') and err.startswith('selfpose evaluate: error: ') and err.count('\n') == 1
    assert words in err


def test_what_does_not_fit_together_is_one_sentence(h36m: Path, model: Path, tmp_path: Path, capsys):
    motion = tmp_path / 'm.npz'
    np.savez(motion, pos=people(), seq_start=[0, 30], seq_name=['a'], fps=25.)
    one_sentence(evaluate(capsys, model, '--motion', motion, '--data', h36m), '--motion and --data are two things')
    for option, told in ((('--views', 2), '--views'), (('--travel',), '--travel'), (('--noise', 2), '--noise'),
                         (('--correction',), '--correction')):
        one_sentence(evaluate(capsys, model, '--data', h36m, *option), f'measured as they are; leave out {told}')
    one_sentence(evaluate(capsys, model, '--data', h36m, '--noise', 1, '--travel'), 'leave out --travel, --noise')
    one_sentence(evaluate(capsys, model, '--motion', motion, '--every', 4), 'leave out --every, which is for --data')
    one_sentence(evaluate(capsys, model, '--data', motion), 'is motion capture, which no camera saw; give it with')
    one_sentence(evaluate(capsys, model, '--data', h36m, '--every', 0), '--every')
    one_sentence(evaluate(capsys, model, '--data', h36m, '--pictures', 4), 'looks at no pictures')
    one_sentence(evaluate(capsys, model, '--data', h36m, '-o', tmp_path / 'a.png'), 'no pictures; leave out --output')
    one_sentence(evaluate(capsys, model, '--data', h36m, '-o', tmp_path / 'a.txt'), 'ends in .png or .jpg')
    one_sentence(evaluate(capsys, model, '--data', tmp_path / 'no'), 'no such file or folder')
    one_sentence(evaluate(capsys, model), '--motion FILE or --data PATH is missing')
    one_sentence(evaluate(capsys, motion, '--reference', motion, '--data', h36m), 'leave out --data')
    one_sentence(evaluate(capsys, motion, '--reference', motion, '-o', tmp_path / 'a.png'), 'leave out --output')


def test_recordings_without_truth_say_what_to_give_instead(model: Path, tmp_path: Path, capsys):
    human36m(tmp_path)
    (tmp_path / 'data_3d_h36m.npz').unlink()
    one_sentence(evaluate(capsys, model, '--data', tmp_path),
                 'none of its 2 recordings has 3D joints to compare with; give Human3.6M (with data_3d_h36m.npz)')


def test_pictures_are_drawn_with_what_was_found(h36m: Path, tmp_path: Path, capsys, monkeypatch):
    """The network that is shipped: skeletons on people, no 3D beside them."""
    monkeypatch.setattr('os.cpu_count', lambda: 1)         # processes take longer to start than the work takes
    out = tmp_path / 'new' / 'found.png'
    status, _, err = evaluate(capsys, 'rendered_pose', '--data', h36m, '--pictures', 4, '-o', out)
    drawn = cv2.imread(str(out))
    assert (status, err) == (0, '') and drawn.shape[0] == 2 * 288
    # bones of the person's right side
    assert (np.abs(drawn.astype(int) - COLOURS['r']).max(-1) < 12).sum() > 50
    one_sentence(evaluate(capsys, 'rendered_pose', '--data', h36m, '--pictures', 4, '-o', out / 'x.png'),
                 'x.png: cannot be written (File exists); choose another place')
