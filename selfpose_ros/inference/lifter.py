# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The lifting network: normalised 2D poses in, 3D poses without size out. A `core.lifting.Lifter`."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.skeleton import JOINTS
from ..models.card import DTYPE, Tensor, lifter_inputs, lifter_outputs, same_shape
from ..models.errors import ModelError
from ..models.store import Model, open_model
from .backend import ON_CPU, Backend, open_session
from .errors import InferenceError, InputError, OutputError
from .session import TensorSpec

__all__ = ['Lifter', 'open_lifter']

Array = NDArray[np.float64]

_J = len(JOINTS)
#: what a sound graph may be off in its unit scale and its root
_TOLERANCE = 1e-3
#: standing, arms a little out, as `norm2d` gives it: the pose that a graph is tried with
_STANDING = np.array([
    [0, 0], [-.03, 0], [-.04, .15], [-.04, .3], [.03, 0], [.04, .15], [.04, .3], [0, -.09], [0, -.18], [0, -.21],
    [0, -.26], [.06, -.17], [.11, -.08], [.14, 0], [-.06, -.17], [-.11, -.08], [-.14, 0]], np.float32)


class Lifter:
    """A lifter model, on the CPU one thread: a batch of a few poses is too small to be shared out.

    `lift` may be called from several threads.

    Attributes:
        model: what it runs.
        frames: length of the sequences that it takes; 1 = single poses.
        interval_s: time between their poses, s; 0 for single poses.
        session: what runs it.
    """

    def __init__(self, model: Model, backend: Backend = ON_CPU) -> None:
        """Load the graph, compare it with the card and try it.

        Raises:
            BackendUnavailable: ONNX Runtime is not installed, or backend tensorrt cannot be had here.
            ModelError: the graph cannot be loaded, or is not the one that the card describes.
        """
        if model.card.kind != 'lifter':
            raise ModelError(f'is a {model.card.kind}, not a lifter', 'name a model of kind lifter', place=model.folder)
        self.model, self.frames, self.interval_s = model, model.card.frames, model.card.interval_s
        self.session = open_session(model, self, 1, backend)
        for what, has, needs in (('input', self.session.inputs, lifter_inputs(self.frames)),
                                 ('output', self.session.outputs, lifter_outputs())):
            _compare(model.file, what, has, needs)
        self._names = [t.name for t in lifter_outputs()]
        self._try()

    @property
    def device(self) -> str:
        """What computes now."""
        return self.session.device

    def lift(self, pose: NDArray[Any]) -> tuple[Array, Array]:
        """Lift poses, see `core.lifting.Lifter`.

        Args:
            pose: (N, 17, 3), or (N, T, 17, 3) oldest first with `frames` T above 1: w_x, w_y as `core.lifting.norm2d`
                gives them, and the confidence 0..1; all 0 where a joint is not seen.

        Returns:
            joints (N, 17, 3) relative to the pelvis, camera axes, root mean square distance 1; sigma (N, 17), standard
            deviation in that unit, root mean square over the axes.

        Raises:
            InputError: another shape, or numbers that are not finite.
            OutputError: the network's answer is not finite.
            InferenceError: what runs it failed.
        """
        pose = np.ascontiguousarray(pose, np.float32)
        wanted = (_J, 3) if self.frames == 1 else (self.frames, _J, 3)
        if pose.shape[1:] != wanted:
            raise InputError(f'lifter: pose must have shape (N, {", ".join(map(str, wanted))}), got {pose.shape}',
                             f'{self.model.card.name} takes {self.frames} frame{"s"[:self.frames - 1]} at a time')
        if not np.isfinite(pose).all():
            raise InputError('lifter: pose is not finite', 'put 0 where a joint is not seen')
        if len(pose) == 0:
            return np.zeros((0, _J, 3)), np.zeros((0, _J))
        joints, log_sigma = self._infer(pose)
        with np.errstate(over='ignore'):
            sigma = np.exp(log_sigma.astype(float))
        if not (np.isfinite(joints).all() and np.isfinite(sigma).all()):
            raise OutputError('the network gave numbers that are not finite', 'use another model',
                              place=self.model.file)
        return joints.astype(float), sigma

    def _infer(self, pose: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return self.session.run({'pose': pose}, self._names)

    def _try(self) -> None:
        """Lift a body in batches of two sizes: the first run allocates, and shows what the graph really does."""
        one = np.concatenate([_STANDING, np.ones((_J, 1), np.float32)], 1)
        one = one if self.frames == 1 else np.repeat(one[None], self.frames, 0)
        for n in (1, 4):
            try:
                joints, log_sigma = self._infer(np.repeat(one[None], n, 0))
            except InferenceError as error:
                raise ModelError(f'it does not take {n} poses in the tensor pose', place=error) from error
            for name, value, shape in (('joints', joints, (n, _J, 3)), ('log_sigma', log_sigma, (n, _J))):
                if value.shape != shape:
                    raise ModelError(f'{name} has shape {value.shape} for {n} poses, expected {shape}',
                                     'export the model again', place=self.model.file)
                if not np.isfinite(value).all():
                    raise ModelError(f'{name} is not finite for a standing person', 'export the model again',
                                     place=self.model.file)
        size = np.sqrt((joints.astype(float)**2).sum(-1).mean(-1))
        if np.abs(joints[:, 0]).max() > _TOLERANCE or np.abs(size - 1).max() > _TOLERANCE:
            raise ModelError('joints must be relative to the pelvis with root mean square distance 1, got the pelvis '
                             f'at {np.abs(joints[:, 0]).max():.3g} and {size[0]:.3g}', 'export the model again',
                             place=self.model.file)


def open_lifter(name_or_path: str | Path, backend: Backend = ON_CPU) -> Lifter:
    """The lifter of a shipped model, a model folder or a store entry, see `models.store.open_model`.

    Raises:
        ModelError, BackendUnavailable: see there and `Lifter`.
    """
    return Lifter(open_model(name_or_path), backend)


def _compare(file: Path, what: str, has: Sequence[TensorSpec], needs: Sequence[Tensor]) -> None:
    by_name = {t.name: t for t in has}
    for t in needs:
        shape = f'({", ".join(map(str, t.shape))})'
        found = by_name.pop(t.name, None)
        if found is None:
            raise ModelError(f'the graph has no {what} {t.name} {shape}, only '
                             f'{", ".join(x.name for x in has) or "none"}', 'export the model again', place=file)
        if found.dtype != DTYPE or not same_shape(found.shape, t.shape):
            raise ModelError(f'{what} {t.name} must be {shape} {DTYPE}, the graph has {found.text[len(t.name) + 1:]}',
                             'export the model again', place=file)
    if what == 'input' and by_name:
        raise ModelError(f'nothing is known to give to the input {", ".join(by_name)}',
                         f'a lifter takes {", ".join(t.name for t in needs)} alone', place=file)
