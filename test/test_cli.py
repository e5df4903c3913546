# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The command line: what goes wrong is one sentence and a status; only the chosen command is imported."""
from __future__ import annotations

import importlib
import subprocess
import sys
import types
from pathlib import Path

import pytest

from selfpose_ros import __version__, cli
from selfpose_ros.io.errors import IoError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def command(monkeypatch):
    """A command `play` that does what the test says."""
    module = types.ModuleType('selfpose_ros.commands.play')
    module.EXAMPLES = 'examples:\n  selfpose play --number 3'
    module.add_arguments = lambda parser: parser.add_argument('--number', type=int)
    module.run = lambda args: 0
    monkeypatch.setitem(sys.modules, 'selfpose_ros.commands.play', module)
    monkeypatch.setattr(cli, 'available', lambda: {'play': cli.COMMANDS['play']})
    return module


def test_every_command_of_the_table_can_be_run():
    for module, sentence in cli.COMMANDS.values():
        loaded = importlib.import_module(f'selfpose_ros.commands.{module}')
        assert callable(loaded.add_arguments) and callable(loaded.run) and sentence


def test_help_imports_nothing_heavy():
    code = ('import sys; from selfpose_ros.cli import main; main(["--help"]); '
            'print([m for m in ("numpy", "cv2", "rclpy", "scipy", "mediapipe", "rosbags") if m in sys.modules])')
    out = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'reconstruct' in out and out.splitlines()[-1] == '[]'


def test_version(capsys):
    assert cli.main(['--version']) == 0
    assert capsys.readouterr().out == f'selfpose {__version__}\n'


def test_no_command_shows_the_commands_and_is_an_error(capsys):
    assert cli.main([]) == 2
    assert 'reconstruct' in capsys.readouterr().out


def test_misspelt_command_is_named(capsys):
    assert cli.main(['recontruct']) == 2
    assert capsys.readouterr().err == "selfpose: error: no command 'recontruct'; did you mean reconstruct?\n"


def test_bad_argument_is_one_sentence(command, capsys):
    assert cli.main(['play', '--number', 'three']) == 2
    err = capsys.readouterr().err
    assert err.startswith('selfpose play: error: argument --number: invalid int value') and err.count('\n') == 1


def test_help_of_a_command_has_its_examples(command, capsys):
    assert cli.main(['play', '--help']) == 0
    assert 'selfpose play --number 3' in capsys.readouterr().out


def test_error_of_a_room_is_one_sentence_and_status_2(command, capsys):
    def run(args):
        raise IoError('a.npz: no such file;\n  check the path')
    command.run = run
    assert cli.main(['play']) == 2
    assert capsys.readouterr().err == 'selfpose play: error: a.npz: no such file; check the path\n'


def test_defect_keeps_its_traceback(command):
    def run(args):
        raise KeyError('a defect')
    command.run = run
    with pytest.raises(KeyError):
        cli.main(['play'])


def test_ctrl_c_is_status_130(command):
    def run(args):
        raise KeyboardInterrupt
    command.run = run
    assert cli.main(['play']) == 130


def test_reader_that_goes_away_is_no_traceback(tmp_path):
    code = 'from selfpose_ros.cli import main; import sys; sys.exit(main(["reconstruct", "--help"]))'
    run = subprocess.run(f"{sys.executable} -c '{code}' | head -1", shell=True, cwd=ROOT, capture_output=True,
                         text=True)
    assert 'Traceback' not in run.stderr and run.stdout.startswith('usage: selfpose reconstruct')


def test_errors_are_expected_by_where_they_are_declared():
    from selfpose_ros.core.errors import CameraError
    from selfpose_ros.inference.errors import InputError
    assert all(cli.is_expected(e) for e in (IoError('x'), CameraError('x'), InputError('x')))
    assert not any(cli.is_expected(e) for e in (ValueError('x'), OSError('x'), KeyError('x')))
