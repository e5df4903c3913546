# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose benchmark` end to end on a tiny motion file; what is wrong is one sentence."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.benchmark import pool, run
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.synthetic.clips import chosen, make_clip


def benchmark(capsys, *arguments: object) -> tuple[int, str, str]:
    status = cli.main(['benchmark', *map(str, arguments), '--quiet'])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_accuracy_from_the_file_to_the_table_the_json_and_the_plots(motion_file: Path, tmp_path: Path, capsys):
    pytest.importorskip('matplotlib')
    status, out, err = benchmark(capsys, '--motion', motion_file, '--every', 4, '--jobs', 1, '--json', '-o',
                                 tmp_path / 'plots', '--rows', 'causal,views4,level3,sigma,prior')
    assert (status, err) == (0, '')
    told = json.loads(out)
    assert [r['row'] for r in told['rows']] == ['views4', 'causal', 'level3', *['sigma'] * 6, 'prior']
    assert {c: [x['number'] for x in found] for c, found in told['clips'].items()} == {
        'offline4': [0], 'causal4': [0], 'true_offline4': [0], 'true_causal4': [0]}
    value = {r['row']: r['value'] for r in told['rows']}
    own, true = (told['summary'][case]['pa'] for case in ('offline4', 'true_offline4'))
    assert value['views4'] == pytest.approx(own / true) and own == told['clips']['offline4'][0]['pa']
    assert value['causal'] == pytest.approx(told['summary']['causal4']['pa'] / told['summary']['true_causal4']['pa'])
    assert value['level3'] == told['clips']['causal4'][0]['level3_s']
    assert value['prior'] == pytest.approx(abs(told['clips']['offline4'][0]['world']['size']))
    for name in ('error_over_time', 'error_against_views', 'sigma_against_error'):
        assert (tmp_path / 'plots' / f'{name}.png').read_bytes().startswith(b'\x89PNG')


def test_two_processes_measure_what_one_does(motion_file: Path, capsys, monkeypatch):
    # one case of the row: true cameras need not be looked for
    monkeypatch.setitem(run.ACCURACY, 'views2', (('true_offline2',), lambda outcomes: []))
    figures = []
    for jobs in (1, 2):
        status, out, _ = benchmark(capsys, '--motion', motion_file, '--every', 3, '--jobs', jobs, '--rows', 'views2',
                                   '--json')
        assert status == 0
        clips = json.loads(out)['clips']['true_offline2']
        assert [c['number'] for c in clips] == [0, 3] and [c.pop('wall_s') > 0 for c in clips]
        figures.append(clips)
    assert figures[0] == figures[1]


def test_a_defect_on_one_clip_is_told_and_does_not_lose_the_others(motion_file: Path, capsys, monkeypatch):
    good = pool.run_task

    def breaks(task):
        if task.piece.number == 3:
            raise ZeroDivisionError('on purpose')
        return good(task)

    monkeypatch.setattr(pool, 'run_task', breaks)
    monkeypatch.setattr(run, 'speed_row', lambda name, lifter: 1 / 0)
    status, out, err = benchmark(capsys, '--motion', motion_file, '--every', 3, '--rows', 'views2,solve', '--jobs', 1)
    assert status == 1
    assert 'views2' in out and '1 clips' in out
    assert 'clip 3 (c), offline2: the estimator broke' in err and 'on purpose' in err and 'error: solve:' in err


def real_archive(motion_file: Path, path: Path, **changed: object) -> Path:
    motion = read_motion(motion_file)
    arrays = {**make_clip(motion, chosen(motion)[0], 1).archive(), **changed}
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_a_recording_with_truth_is_scored(motion_file: Path, tmp_path: Path, capsys):
    archive = real_archive(motion_file, tmp_path / 'beam.npz')
    status, out, _ = benchmark(capsys, '--real', archive, '--rows', 'real', '--json')
    assert status == 0
    rows = [r for r in json.loads(out)['rows'] if r['row'] == 'real']
    assert [r['unit'] for r in rows] == ['deg', '%', 'mm', 'mm'] and 'beam' in rows[0]['what']
    assert rows[0]['value'] < 15 and rows[3]['value'] < 60  # measured 4.9 deg, 19 mm


@pytest.mark.parametrize(('arguments', 'said'), [
    ([], 'give --motion FILE.npz'),
    (['--rows', 'views4'], '--rows views4: give --motion FILE.npz, too'),
    (['--rows', 'real,solve'], '--rows real: give --real FILE.npz, too'),
    (['--motion', '{motion}', '--rows', 'views5'], '--rows views5: not known; choose from views4, causal'),
    (['--motion', 'none.npz'], 'none.npz: no such file'),
    (['--motion', '{motion}', '--every', '0'], "'0' must be a whole number from 1 on"),
    (['--motion', '{motion}', '--seed', 'x'], "'x' must be a whole number from 0 on"),
    (['--motion', '{motion}', '--real', '{motion}'], 'tiny.npz: keypoints is missing'),
    (['--real', '{untrue}'], 'truth_K missing; a recording for the benchmark needs its truth'),
    (['--real', '{known}'], 'its cameras are known (K)'),
    (['--motion', '{motion}', '-o', '{motion}/plots'], 'cannot be made (Not a directory)'),
])
def test_a_bad_command_line_is_one_sentence(motion_file: Path, tmp_path: Path, capsys, arguments, said):
    names = {'motion': motion_file, 'untrue': tmp_path / 'untrue.npz', 'known': tmp_path / 'known.npz'}
    real_archive(motion_file, names['untrue'], truth_K=None)
    real_archive(motion_file, names['known'], K=np.tile(np.diag([900., 900., 1.]), (4, 1, 1)))
    status, out, err = benchmark(capsys, *[str(a).format(**names) for a in arguments])
    assert (status, out) == (2, '')
    assert said in err and err.count('\n') == 1 and err.startswith('selfpose benchmark: error: ')


def test_every_row_says_which_runs_it_needs():
    from selfpose_ros.benchmark.cases import CASES
    assert {case for needs, _ in run.ACCURACY.values() for case in needs} == set(CASES)
