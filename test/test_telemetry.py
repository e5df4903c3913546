# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Nothing is written into a home, and nobody is told anything, by a library that reports unless it is asked not to."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('onnxruntime')

ROOT = Path(__file__).resolve().parents[1]
SWITCH = 'ORT_DISABLE_TELEMETRY'


def _cut_off() -> list[str]:
    """What puts a command where there is no network, so that nothing leaves even if this test fails; [] = no such."""
    words = ['unshare', '-rn']
    if shutil.which('unshare') and subprocess.run([*words, 'true'], capture_output=True, check=False).returncode == 0:
        return words
    return []


def _run(home: Path, *words: str, **environment: str) -> str:
    """Output of a Python process in a home of its own, without the switch that the tests themselves run with."""
    inherited = {k: v for k, v in os.environ.items() if k not in (SWITCH, 'XDG_CACHE_HOME')}
    done = subprocess.run([*_cut_off(), sys.executable, *words], check=False, capture_output=True, text=True,
                          timeout=120, cwd=ROOT,
                          env={**inherited, 'HOME': str(home), 'PYTHONPATH': str(ROOT), **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


def _files(home: Path) -> list[str]:
    return sorted(str(f.relative_to(home)) for f in home.rglob('*') if f.is_file())


@pytest.mark.parametrize('words', [
    ('-m', 'selfpose_ros', 'model', 'verify', 'lifter', 'rendered_pose'),
    ('-c', 'import selfpose_ros.nodes.start, onnxruntime'),
    ('-c', 'import selfpose_ros.inference.session as s; s.OrtSession(s.Path("selfpose_ros/models/lifter/model.onnx"))'),
], ids=['a command', 'a node', 'a session'])
def test_an_empty_home_stays_empty(tmp_path: Path, words: tuple[str, ...]):
    _run(tmp_path, *words)
    assert _files(tmp_path) == []


def test_the_training_switches_it_off_too(tmp_path: Path):
    pytest.importorskip('torch')
    _run(tmp_path, '-c', 'import selfpose_training, onnxruntime')
    assert _files(tmp_path) == []


def test_worker_processes_inherit_it(tmp_path: Path):
    script = tmp_path / 'pool.py'
    script.write_text('import os, multiprocessing\nimport selfpose_ros\n'
                      'if __name__ == "__main__":\n'
                      '    with multiprocessing.get_context("spawn").Pool(1) as pool:\n'
                      f'        print(pool.apply(os.getenv, ("{SWITCH}",)))\n')
    assert _run(tmp_path, str(script)).strip() == '1'


@pytest.mark.parametrize(('given', 'kept'), [('0', '0'), ('1', '1'), ('', '1')])
def test_whoever_asks_for_it_gets_it(tmp_path: Path, given: str, kept: str):
    code = f'import os, selfpose_ros; print(os.environ["{SWITCH}"])'
    assert _run(tmp_path, '-c', code, **{SWITCH: given}).strip() == kept


def test_the_readme_says_so():
    text = ' '.join((ROOT / 'README.md').read_text(encoding='utf-8').split())
    assert re.search(rf'[^.]*telemetry[^.]*{SWITCH}=0[^.]*\.', text)
