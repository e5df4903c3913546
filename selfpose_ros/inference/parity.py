# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether two ways of running a model give the same joints: in pixels and confidences, or in millimetres of a body.

Tensors may differ in what nobody reads, and agree in all but the one bin that counts; so what is compared is decoded.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.store import Model
from .session import InferenceSession
from .tensors.decode.boxes import STRIDES
from .tensors.image_tensors import ImageTensors
from .trial import trial_inputs

__all__ = ['Agreement', 'MOST_MM', 'MOST_PX', 'MOST_SCORE', 'compare']

Array = NDArray[np.float64]
Tensors = Mapping[str, NDArray[Any]]

#: joints of a body are half a metre from its pelvis, root mean square: one unit of a lifter
_UNIT_MM = 500.
#: what 95 of 100 joints may be apart: px of the network's image, confidence; mm, and the logarithm of sigma
MOST_PX, MOST_SCORE, MOST_MM, MOST_LOG_SIGMA = 1., .05, 2., .05
_SHARE = 95.
#: boxes compared in each image, the surest ones; joints that must be sure for the comparison to mean something
_BOXES, _FEWEST = 32, 30
#: tensors of which nothing sure could be decoded: share of the range of a row, beside a share of that of all
_MOST_RANGE, _QUIET = .05, .01


@dataclass(frozen=True)
class Agreement:
    """Result of a comparison.

    Attributes:
        off: largest ratio of a difference to what is allowed; NaN or infinite where numbers are not finite.
        sentence: all figures.
    """

    off: float
    sentence: str

    @property
    def good(self) -> bool:
        """Everything is within what is allowed."""
        return bool(self.off <= 1.)


def compare(model: Model, reference: InferenceSession, candidate: InferenceSession) -> Agreement:
    """Run both on the same inputs, in batches of several sizes, and compare what they mean.

    Raises:
        ModelError: see `trial_inputs`.
        InferenceError: one of them fails.
    """
    names = [t.name for t in model.card.outputs] if model.card.vision is None else list(
        model.card.vision.outputs.values())
    pairs = []
    for feeds in trial_inputs(model, reference):
        one, two = (dict(zip(names, s.run(feeds, names), strict=True)) for s in (reference, candidate))
        wrong = [n for n in names if one[n].shape != two[n].shape]
        if wrong:
            return Agreement(np.inf, f'{wrong[0]} has the shape {two[wrong[0]].shape}, expected {one[wrong[0]].shape}')
        broken = [n for n in names if not np.isfinite(two[n]).all()]
        if broken:
            return Agreement(np.inf, f'{broken[0]} is not finite')
        pairs.append((one, two))
    if model.card.vision is None:
        return _agreed([('joints', 'mm', MOST_MM, _UNIT_MM * _length(_difference(pairs, 'joints'))),
                      ('log sigma', '', MOST_LOG_SIGMA, np.abs(_difference(pairs, 'log_sigma')))])
    return _of_images(model, pairs)


def _of_images(model: Model, pairs: Sequence[tuple[Tensors, Tensors]]) -> Agreement:
    vision = model.card.vision
    assert vision is not None
    px: list[Array] = []
    scores: list[Array] = []
    tensors = ImageTensors(model)
    for pair in pairs:
        one, two = ({role: t[name] for role, name in vision.outputs.items()} for t in pair)
        if vision.about.top_down:
            (p, s), (q, r) = (tensors.decode_people(dict(t)) for t in (one, two))
            sure = s >= vision.decode['min_score']
            px.append(_length(np.where(np.isfinite(q), q, np.inf) - p)[sure])
            scores.append(np.abs(s - r)[sure])
        elif vision.family in ('yolo_pose', 'yolox'):
            for a, b in zip(one['output'].astype(float), two['output'].astype(float), strict=True):
                (p, s), (q, r) = (_boxes(vision.family, t, vision.size, len(model.card.joints)) for t in (a, b))
                best = np.argsort(-s, kind='stable')[:_BOXES]
                px.append(np.abs(p - q)[best].max(-1))
                scores.append(np.abs(s - r)[best])
    if sum(map(len, px)) >= _FEWEST:
        return _agreed([('joints' if len(model.card.joints) else 'boxes', 'px', MOST_PX, np.concatenate(px)),
                      ('confidence', '', MOST_SCORE, np.concatenate(scores))])
    return _agreed([(f'{n}, which shows nothing sure,', 'of the range of a joint', _MOST_RANGE, _rows_apart(pairs, n))
                  for n in vision.outputs.values()])


def _boxes(family: str, a: Array, size: tuple[int, int], joints: int) -> tuple[Array, Array]:
    """Pixels (A, n) and scores (A,) of all boxes of one image, before any of them is left out."""
    if family == 'yolo_pose':
        rows = a.T if a.shape[0] == 5 + 3 * joints else a
        last = 5 if a.shape[0] == 5 + 3 * joints else 6
        trio = rows[:, last:].reshape(len(rows), joints, 3)
        return np.concatenate([rows[:, :4], trio[..., :2].reshape(len(rows), -1)], 1), rows[:, 4]
    stride = np.concatenate([np.full((size[0] // s) * (size[1] // s), float(s)) for s in STRIDES])[:, None]
    with np.errstate(over='ignore'):
        return np.concatenate([a[:, :2], np.exp(a[:, 2:4])], 1) * stride, a[:, 4] * a[:, 5]


def _difference(pairs: Sequence[tuple[Tensors, Tensors]], name: str) -> Array:
    return np.concatenate([one[name].astype(float) - two[name].astype(float) for one, two in pairs])


def _rows_apart(pairs: Sequence[tuple[Tensors, Tensors]], name: str) -> Array:
    """Largest difference in each row of each image, as a share of the row's own range; quiet rows count less."""
    one, two = (np.concatenate([p[i][name].astype(float) for p in pairs]) for i in (0, 1))
    one, two = (a.reshape(*a.shape[:2], -1) for a in (one, two))
    return np.asarray(np.abs(one - two).max(-1) / (np.ptp(one, axis=-1) + _QUIET * np.ptp(one) + 1e-9))


def _length(difference: Array) -> Array:
    return np.asarray(np.linalg.norm(difference, axis=-1))


def _agreed(figures: Sequence[tuple[str, str, float, Array]]) -> Agreement:
    """From (what, unit, allowed, differences)."""
    off, words = 0., []
    for what, unit, allowed, differences in figures:
        d = np.asarray(differences, float).ravel()
        far = float(np.sort(d)[min(int(np.ceil(len(d) * _SHARE / 100)), len(d)) - 1])
        off = max(off, far / allowed) if np.isfinite(far) else np.inf
        words.append(f'{what} {far:.3g}{" " if unit else ""}{unit} (allowed {allowed:g})')
    return Agreement(off, f'95 % of the {len(np.ravel(figures[0][3]))} differences are at most: {"; ".join(words)}')
