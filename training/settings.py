# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training: those of the trainer, the method's own, and what the user sets."""
from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import TrainingError

__all__ = ['SETTINGS', 'complete', 'parsed']

#: the trainer's settings: name -> (value unless a method or the user says otherwise, what it is)
SETTINGS: dict[str, tuple[Any, str]] = {
    'epochs': (100, 'passes over the data'),
    'steps': (0, 'optimiser steps; above 0 it replaces epochs'),
    'batch': (32, 'samples of a batch, in each process; a sample is one instant in all views'),
    'seed': (1, 'of everything random'),
    'threads': (0, 'of the operators; 0 = one for each core'),
    'lr': (1e-4, 'learning rate'),
    'weight_decay': (1e-5, 'of Adam'),
    'schedule': ('step', 'step, cosine or constant'),
    'decays': ([[.3, .1], [.6, .01], [.9, .001]], 'for step: [share of the training, factor of lr], ...'),
    'warmup': (0, 'steps in which the learning rate rises'),
    'floor': (.01, 'for cosine: factor of lr at the end'),
    'clip': (0., 'largest norm of the gradient; 0 = no limit'),
    'ema': (0., 'decay of the averaged weights, for instance 0.999; 0 = none'),
    'keep': ('best', 'weights that become the model: best (by the criterion on held-out data) or last'),
    'patience': (0, 'evaluations without a better criterion that end the training; 0 = never'),
    'evaluate_every': (0, 'steps between evaluations; 0 = at the end of each epoch'),
    'val_samples': (2048, 'held-out samples of an evaluation'),
    'log_every': (50, 'steps between two logged values'),
    'checkpoint_minutes': (1., 'between checkpoints, at least; 0 = one whenever values are logged'),
    'cure_after': (.1, 'share of the training from which on a reversed depth is turned round'),
    'per_rig': (1, 'samples that come in groups of this many frames of one rig'),
    'drop_views': (0., 'probability that a sample loses views'),
    'drop_joints': (0., 'mean share of joints that are taken away in a view'),
    'mirror': (0., 'probability that a sample is seen as in a mirror; of all of a rig with per_rig above 1'),
    'give_k': (False, 'use the intrinsics, where the data has them'),
    'rigs': (False, 'the cameras (intrinsics, rotations, positions) are part of the batches, for the loss'),
    'truth': (False, "3D poses are part of the batches: a teacher's, or for a supervised comparison the truth"),
}

_POSITIVE = ('epochs', 'batch', 'log_every', 'val_samples', 'per_rig')
_NOT_NEGATIVE = ('steps', 'seed', 'threads', 'weight_decay', 'warmup', 'clip', 'patience', 'evaluate_every', 'floor',
                 'checkpoint_minutes')
_SHARES = ('ema', 'cure_after', 'drop_views', 'drop_joints', 'mirror')


def complete(defaults: Mapping[str, Any], changes: Mapping[str, Any], method: str = '') -> dict[str, Any]:
    """All settings of a training, checked.

    Args:
        defaults: those of the method; they go before the trainer's.
        changes: those of the user; they go before both.
        method: its name, for messages.

    Raises:
        TrainingError: a name that nobody knows, or a value of another kind or out of its range.
    """
    known = {name: value for name, (value, _) in SETTINGS.items()} | dict(defaults)
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise TrainingError(f'setting {name!r} is not known to {method or "this method"}; '
                                + (f'did you mean {near[0]}?' if near else f'choose from {", ".join(sorted(known))}'))
        known[name] = _like(name, known[name], value)
    for names, holds, text in (
            (_POSITIVE, lambda v: v >= 1, '1 or more'), (_NOT_NEGATIVE, lambda v: v >= 0, '0 or more'),
            (_SHARES, lambda v: 0 <= v <= 1, 'from 0 to 1')):
        for name in names:
            if not holds(known[name]):
                raise TrainingError(f'setting {name} must be {text}, got {known[name]}')
    if known['keep'] not in ('best', 'last'):
        raise TrainingError(f"setting keep must be best or last, got '{known['keep']}'")
    return known


def parsed(texts: Iterable[str]) -> dict[str, Any]:
    """Settings as typed, `name=value`: values are JSON, and text where they are not.

    Raises:
        TrainingError: a text without a name or without '='.
    """
    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals or not name.strip():
            raise TrainingError(f'setting {text!r} must look like name=value')
        try:
            out[name.strip()] = json.loads(value)
        except ValueError:
            out[name.strip()] = {'True': True, 'False': False}.get(value, value)
    return out


def _like(name: str, model: Any, value: Any) -> Any:
    """The value, if it is of the kind of `model`; whole numbers pass for floats."""
    if model is None:
        return value
    if isinstance(model, bool):
        fits = isinstance(value, bool)
    elif isinstance(model, int):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(model, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if fits else value
    elif isinstance(model, str):
        fits = isinstance(value, str)
    elif isinstance(model, Mapping):
        fits = isinstance(value, Mapping)
    else:
        fits = isinstance(value, list | tuple)
    if not fits:
        kinds = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text', dict: 'a JSON object'}
        raise TrainingError(f'setting {name} must be {kinds.get(type(model), "a JSON list")}, got {value!r}')
    return value
