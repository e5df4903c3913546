# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers as arguments of commands: the ends of a range count, and what is refused is said in one way."""
from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from selfpose_ros.cli import COMMANDS
from selfpose_ros.commands.argument_types import number, positive, whole, words


@pytest.mark.parametrize(('read', 'text', 'value'), [
    (whole(0), '0', 0), (whole(1), '7', 7), (whole(1, 8), '1', 1), (whole(1, 8), '8', 8), (number(.1, .6), '.1', .1),
    (number(.1, .6), '0.6', .6), (number(0, 1e4), '1e3', 1e3), (positive, '1e-9', 1e-9),
    (words, ' a, b ,,c', ('a', 'b', 'c')), (words, '', ())])
def test_what_is_within_is_read(read: Callable[[str], Any], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(('read', 'text', 'words'), [
    (whole(0), '-1', 'a whole number from 0 on'), (whole(1), '0', 'a whole number from 1 on'),
    (whole(1), '1.5', 'a whole number from 1 on'), (whole(1), '\u00b2', 'a whole number from 1 on'),
    (whole(1, 8), '9', 'a whole number from 1 to 8'), (whole(1, 8), '0', 'a whole number from 1 to 8'),
    (number(.1, .6), '.61', 'a number from 0.1 to 0.6'), (number(.1, .6), 'nan', 'a number from 0.1 to 0.6'),
    (number(0, 1e4), 'x', 'a number from 0 to 10000'), (positive, '0', 'a number above 0'),
    (positive, 'inf', 'a number above 0'), (positive, 'much', 'a number above 0')])
def test_what_is_not_is_refused(read: Callable[[str], Any], text: str, words: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read(text)
    assert str(refused.value) == f'{text!r} must be {words}'


def test_no_command_takes_a_number_without_its_bounds() -> None:
    """Plain int and float take -1 and nan, and what these do shows later, if at all."""
    bare = []
    for name, (module, _) in COMMANDS.items():
        parser = argparse.ArgumentParser()
        importlib.import_module(f'selfpose_ros.commands.{module}').add_arguments(parser)
        bare += [f'{name} {a.option_strings}' for a in every_action(parser) if a.type in (int, float) and not a.choices]
    assert bare == []


def every_action(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its own, and those of its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from every_action(below)
