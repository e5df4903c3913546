# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The command `selfpose`: finds the chosen command's module, gives it its arguments, turns errors into sentences.

A command is a module in `selfpose_ros.commands` with `add_arguments(parser)` and `run(args) -> int`; it may have
`DESCRIPTION` and `EXAMPLES` (text for its help). Only the chosen one is imported.

Exit status: 0 done, 1 partly failed or a defect of the program (with traceback), 2 an error that the user can mend
(one sentence on stderr), 130 stopped with Ctrl-C.
"""
from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .threads import one_thread

__all__ = ['COMMANDS', 'entry', 'is_expected', 'main']

#: command -> (module in selfpose_ros.commands, what it does)
COMMANDS: dict[str, tuple[str, str]] = {
    'demo': ('demo', 'rendered cameras, real topics, the real nodes: everything at work in two minutes'),
    'run': ('run', 'both nodes in one process: camera topics in, skeletons out'),
    'reconstruct': ('reconstruct', 'a bag, videos, keypoint archives or OpenPose folders to 3D skeletons'),
    'record': ('record', 'what the nodes say into a bag, without rosbag2'),
    'view': ('view', 'a recording or a result in 3D, with time lines: rerun in a window, a file or a page'),
    'play': ('play', 'video files as camera topics in real time'),
    'benchmark': ('benchmark', 'accuracy, speed and calibration of sigmas on motion capture seen by virtual cameras'),
    'train': ('train', 'a lifting network from 2D joints of several views, without 3D labels'),
    'evaluate': ('evaluate', 'how good a lifting model is on motion capture seen by virtual cameras'),
    'update': ('update', 'a lifting network learns from your own recordings, and is replaced only by a better one'),
    'model': ('model', 'model folders: list, show, verify, promote, roll back'),
}


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one sentence, as all other errors of the program."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: error: {message}; see {self.prog} --help\n')


def available() -> dict[str, tuple[str, str]]:
    """The commands whose module is part of this installation."""
    package = f'{__package__}.commands'
    return {name: entry for name, entry in COMMANDS.items() if importlib.util.find_spec(f'{package}.{entry[0]}')}


def is_expected(error: BaseException) -> bool:
    """Whether an error is meant for the user: its class is one that a room of this package or the training declares."""
    return any(c.__module__.split('.')[0] in (__package__, 'selfpose_training') for c in type(error).__mro__)


def _overview() -> str:
    commands = available()
    width = max(map(len, commands))
    lines = [f'  {name:{width}}  {text}' for name, (_, text) in commands.items()]
    return '\n'.join(['usage: selfpose COMMAND ...', '', 'Uncalibrated cameras in, metric 3D skeletons out.', '',
                      'commands:', *lines, '', 'selfpose COMMAND --help explains a command; selfpose --version.'])


def _print_error(text: str) -> None:
    print(' '.join(text.split()), file=sys.stderr)


def _run(name: str, arguments: Sequence[str]) -> int:
    module = importlib.import_module(f'{__package__}.commands.{COMMANDS[name][0]}')
    parser = _Parser(prog=f'selfpose {name}', description=getattr(module, 'DESCRIPTION', COMMANDS[name][1]),
                     epilog=getattr(module, 'EXAMPLES', None),
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(arguments)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and return its exit status."""
    one_thread()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ('-h', '--help', 'help'):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] in ('--version', '-V', 'version'):
        print(f'selfpose {__version__}')
        return 0
    name = arguments[0]
    if name not in available():
        near = difflib.get_close_matches(name, available(), 1)
        hint = f'did you mean {near[0]}?' if near else f'choose one of: {", ".join(available())}'
        _print_error(f'selfpose: error: no command {name!r}; {hint}')
        return 2
    try:
        return _run(name, arguments[1:])
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader of our output has gone (| head): not worth a word, and Python must not try to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as stop:                             # argparse: --help and bad arguments
        return stop.code if isinstance(stop.code, int) else 2
    except Exception as error:
        if not is_expected(error):
            raise
        _print_error(f'selfpose {name}: error: {error}')
        return 2


def entry() -> int:
    """`main` as a process of its own, which ends with it."""
    from .ending import no_more_signals
    try:
        return main()
    finally:
        no_more_signals()


if __name__ == '__main__':
    sys.exit(entry())
