# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of this room."""
from __future__ import annotations

from selfpose_ros.core.errors import SelfposeError

__all__ = ['SettingError', 'TrainingError']


class TrainingError(SelfposeError):
    """Data, configuration or outcome of a training that the user can mend: the message says what, where, what next."""


class SettingError(TrainingError):
    """A setting of a training has a value that it cannot have, or does not go with another one, or does not exist.

    Attributes:
        setting: its name, with which the text begins.
    """

    def __init__(self, what: str, remedy: str = '', *, setting: str = '', place: object = '') -> None:
        super().__init__(f'setting {setting} ' * bool(setting) + what, remedy, place=place)
        self.setting = setting
