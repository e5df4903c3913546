# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training: the trainer's own, from which each method's derive; read from text and checked."""
from __future__ import annotations

import difflib
import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from .errors import SettingError

__all__ = ['RENAMED', 'Settings', 'configured', 'current_names', 'parsed']

S = TypeVar('S', bound='Settings')

#: names of the release before -> names now; the old ones are read, with a note, until the next release
RENAMED = {
    'give_k': 'use_intrinsics', 'rigs': 'with_cameras', 'cure_after': 'sign_check_after', 'apart': 'frame_gap',
    'drawn_out': 'depth_elongation', 'heard': 'adversarial_warmup', 'slope': 'gradient_penalty',
    'bones': 'bone_length', 'tilt': 'initial_tilt', 'source2': 'second_source', 'companion_lr': 'auxiliary_lr',
    'paper': 'paper_loss', 'left': 'reprojection_share', 'fused': 'fused_pose', 'own': 'own_view',
    'pretrain': 'root_pretrain_share', 'separate': 'separate_root', 'square': 'squared_error',
    'mv': 'multi_view', 'limb': 'limb_length', 'most_z': 'max_depth', 'sure': 'pseudo_confidence',
    'pull': 'point_gradient'}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the trainer needs to know; methods add their own. A value is checked against the kind of its default.

    Raises:
        SettingError: a value of another kind, or out of its range.
    """

    #: passes over the data
    epochs: int = 100
    #: optimiser steps; above 0 it replaces epochs
    steps: int = 0
    #: samples of a batch, in each process; a sample is one instant in all views
    batch: int = 32
    #: of everything random
    seed: int = 1
    #: of the operators; 0 = one for each core
    threads: int = 0
    #: learning rate
    lr: float = 1e-4
    #: of Adam
    weight_decay: float = 1e-5
    #: of the learning rate: step, cosine or constant
    schedule: str = 'step'
    #: for step: [share of the training, factor of lr], ...
    decays: list[list[float]] = field(default_factory=lambda: [[.3, .1], [.6, .01], [.9, .001]])
    #: steps in which the learning rate rises
    warmup: int = 0
    #: for cosine: factor of lr at the end
    floor: float = .01
    #: largest norm of the gradient; 0 = no limit
    clip: float = 0.
    #: decay of the averaged weights, for instance 0.999; 0 = none
    ema: float = 0.
    #: weights that become the model: best (by the criterion on held-out data) or last
    keep: str = 'best'
    #: evaluations without a better criterion that end the training; 0 = never
    patience: int = 0
    #: steps between evaluations; 0 = at the end of each epoch
    evaluate_every: int = 0
    #: held-out samples of an evaluation
    val_samples: int = 2048
    #: steps between two logged values
    log_every: int = 50
    #: between checkpoints, at least; 0 = one whenever values are logged
    checkpoint_minutes: float = 1.
    #: share of the training from which on the sign of a reversed depth is flipped
    sign_check_after: float = .1
    #: samples that come in groups of this many frames of one rig
    per_rig: int = 1
    #: probability that a sample loses views
    drop_views: float = 0.
    #: mean share of joints that are taken away in a view
    drop_joints: float = 0.
    #: probability that a sample is seen as in a mirror; of all of a rig with per_rig above 1
    mirror: float = 0.
    #: new poses are made of those of a motion file, or of a teacher's (`data.wider_motion`): factor on how much is
    #: changed; 0 = none
    widen: float = 0.
    #: use the intrinsics, where the data has them
    use_intrinsics: bool = False
    #: the cameras (intrinsics, rotations, positions) are part of the batches, for the loss
    with_cameras: bool = False
    #: 3D poses are part of the batches: a teacher's, or for a supervised comparison the truth
    truth: bool = False

    #: settings whose range is checked
    at_least_one: ClassVar[tuple[str, ...]] = ('epochs', 'batch', 'log_every', 'val_samples', 'per_rig')
    not_negative: ClassVar[tuple[str, ...]] = ('steps', 'seed', 'threads', 'weight_decay', 'warmup', 'clip', 'patience',
                                               'evaluate_every', 'floor', 'checkpoint_minutes', 'widen')
    shares: ClassVar[tuple[str, ...]] = ('ema', 'sign_check_after', 'drop_views', 'drop_joints', 'mirror')

    def __post_init__(self) -> None:
        for f in fields(self):
            default = f.default_factory() if callable(f.default_factory) else f.default
            object.__setattr__(self, f.name, _like(f.name, default, self.__dict__[f.name]))
        for names, holds, text in (
                (self.at_least_one, lambda v: v >= 1, '1 or more'), (self.not_negative, lambda v: v >= 0, '0 or more'),
                (self.shares, lambda v: 0 <= v <= 1, 'from 0 to 1')):
            for name in names:
                if not holds(self.__dict__[name]):
                    raise SettingError(f'must be {text}, got {self.__dict__[name]}', setting=name)
        if not self.lr > 0 or not math.isfinite(self.lr):
            raise SettingError(f'must be a number above 0, got {self.lr!r}', setting='lr')
        self.one_of('keep', ('best', 'last'))

    def one_of(self, name: str, allowed: tuple[str, ...]) -> None:
        """Check a setting that is one of these words.

        Raises:
            SettingError: it is another one.
        """
        if self.__dict__[name] not in allowed:
            raise SettingError(f'must be one of {", ".join(allowed)}, got {self.__dict__[name]!r}', setting=name)


def configured(kind: type[S], changes: Mapping[str, Any], method: str = '') -> S:
    """Settings of a training, checked.

    Args:
        kind: of a method.
        changes: what differs from the defaults; names of the release before are read, with a note.
        method: its name, for messages.

    Raises:
        SettingError: an unknown name, or a value of another kind or out of its range.
    """
    known = {f.name for f in fields(kind)}
    changes = current_names(changes)
    for name in changes:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise SettingError(f'is not known to {method or "this method"}', f'did you mean {near[0]}?' if near else
                               f'choose from {", ".join(sorted(known))}', setting=name)
    return kind(**changes)


def current_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `--set`, a run's folder, a checkpoint or a card with the names that they have now.

    Raises:
        SettingError: one is given by both of its names.
    """
    old = [name for name in given if name in RENAMED]
    for name in old:
        if RENAMED[name] in given:
            raise SettingError(f'is given twice, {name} is its old name', 'leave that out', setting=RENAMED[name])
    if old:
        logging.getLogger(__name__).warning('note: settings have new names, the old ones are read until the next '
                                            'release: %s', ', '.join(f'{name} is {RENAMED[name]}' for name in old))
    return {RENAMED.get(name, name): value for name, value in given.items()}


def parsed(texts: Iterable[str]) -> dict[str, Any]:
    """Settings as typed, `name=value`: values are JSON, and text where they are not.

    Raises:
        SettingError: a text without a name or without '='.
    """
    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals or not name.strip():
            raise SettingError('must look like name=value', setting=repr(text))
        try:
            out[name.strip()] = json.loads(value)
        except ValueError:
            out[name.strip()] = {'True': True, 'False': False}.get(value, value)
    return out


def _like(name: str, default: Any, value: Any) -> Any:
    """The value, if it is of the kind of the default; whole numbers pass for floats."""
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if fits else value
    elif isinstance(default, str):
        fits = isinstance(value, str)
    else:
        fits = isinstance(value, list | tuple)
    if not fits:
        kinds = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}
        raise SettingError(f'must be {kinds.get(type(default), "a JSON list")}, got {value!r}', setting=name)
    return value
