# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose evaluate` as the tests call it."""
from __future__ import annotations

from selfpose_ros import cli

__all__ = ['PARAMETERS', 'evaluate']

#: what the card of the tests' lifter tells
PARAMETERS = 4386


def evaluate(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    status = cli.main(['evaluate', *map(str, arguments), '--quiet'])
    out = capsys.readouterr()
    return status, out.out, out.err
