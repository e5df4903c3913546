# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The simulated 2D network: all clips at once have the distribution of one clip by itself, which is the protocol."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.synthetic.network2d import Network2D
from selfpose_ros.synthetic.rigs import draw_rigs, project

BODY = np.array([[0, 0, .95], [-.1, 0, .93], [-.1, .05, .5], [-.1, 0, .08], [.1, 0, .93], [.1, .05, .5], [.1, 0, .08],
                 [0, 0, 1.2], [0, 0, 1.45], [0, .1, 1.55], [0, .05, 1.7], [.17, 0, 1.42], [.4, 0, 1.3], [.6, .1, 1.2],
                 [-.17, 0, 1.42], [-.4, 0, 1.3], [-.6, .1, 1.2]])


@pytest.fixture(scope='module')
def both():
    """True pixels (F, V, 17, 2), clips' starts, and what the protocol and the fast generator make of them."""
    start, rng = np.arange(0, 15001, 250), np.random.default_rng(12)
    clip, t = np.divmod(np.arange(start[-1]), 250)
    sway = .08 * np.sin(2 * np.pi * (rng.uniform(.3, 1, (60, 17, 3))[clip] * t[:, None, None] / 25
                                     + rng.random((60, 17, 3))[clip]))
    way = (t / 25)[:, None, None] * (rng.uniform(-.25, .25, (60, 1, 3)) * [1, 1, 0])[clip]
    rigs = draw_rigs(rng, 60, 4)
    true = project((BODY + sway + way).astype(np.float32), rigs.R[clip], rigs.t[clip], rigs.K[clip])
    assert np.isfinite(true).all()
    slow = [Network2D().observe_clip(rng, true[a:b, v].astype(float), 1000.)
            for a, b in zip(start[:-1], start[1:], strict=True) for v in range(4)]
    px = np.concatenate([np.stack([slow[4 * c + v][0] for v in range(4)], 1) for c in range(60)])
    conf = np.concatenate([np.stack([slow[4 * c + v][1] for v in range(4)], 1) for c in range(60)])
    return true, start, (px, conf), Network2D().observe(np.random.default_rng(6), true, start, 1000.)


def statistics(true: np.ndarray, px: np.ndarray, conf: np.ndarray) -> dict[str, np.ndarray]:
    """What tells one noise model from another, each for twelve blocks of five clips."""
    blocks = [_statistics(*(x[i:i + 1250] for x in (true, px, conf))) for i in range(0, len(px), 1250)]
    return {k: np.array([b[k] for b in blocks]) for k in blocks[0]}


def _statistics(true: np.ndarray, px: np.ndarray, conf: np.ndarray) -> dict[str, float]:
    C = len(px) // 250
    far = px - true
    seen = ((true > 50) & (true < 950)).all(-1)            # away from the border: its clipping is counted by itself
    err = np.linalg.norm(far, axis=-1)
    border = ((px == 0) | (px == 999)).any(-1)
    low = (conf < .5) & seen & ~border
    limbs, torso = [2, 3, 5, 6, 9, 10, 12, 13, 15, 16], [0, 1, 4, 7, 8, 11, 14]
    out = {'conf mean': conf[seen].mean(), 'conf std': conf[seen].std(), 'border share': border.mean(),
           'border conf': conf[border].mean(), 'off far': err[low].mean(), 'off far std': err[low].std(),
           'off conf': conf[low].mean(), 'limbs mistaken': low[:, :, limbs].sum() / seen[:, :, limbs].sum(),
           'torso mistaken': low[:, :, torso].sum() / seen[:, :, torso].sum()}
    for q in (5, 25, 50, 75, 90, 97):
        out[f'error {q} %'] = np.percentile(err[seen], q)
        out[f'conf {q} %'] = np.percentile(conf[seen], q)
    for name, part in (('arms', [11, 12, 13, 14, 15, 16]), ('legs', [1, 2, 3, 4, 5, 6])):
        there = np.linalg.norm(px[:, :, part] - true[:, :, np.roll(part, 3)], axis=-1)
        swapped = (np.median(err[:, :, part] - there, -1) > 0) & (np.median(there, -1) < 12) & seen[:, :, part].all(-1)
        out[f'swapped {name}'] = swapped.mean()
    # two joints of a part are off together, two parts are not
    out['part together'] = (low[:, :, 12] & low[:, :, 13]).sum() / low[:, :, 12].sum()
    out['parts apart'] = (low[:, :, 12] & low[:, :, 15]).sum() / low[:, :, 12].sum()
    # in a stretch the offset keeps its direction
    runs, e, k = low.reshape(C, 250, 4, 17), far.reshape(C, 250, 4, 17, 2), conf.reshape(C, 250, 4, 17)
    out['mistake stays'] = (runs[:, :-1] & runs[:, 1:]).sum() / runs[:, :-1].sum()
    out['offset step'] = np.median(np.linalg.norm(np.diff(e, axis=1), axis=-1)[runs[:, :-1] & runs[:, 1:]])
    good = ((conf >= .55) & seen & (err < 25)).reshape(C, 250, 4, 17)
    e = e * k[..., None]
    out['error x conf'] = np.sqrt((e[good] ** 2).mean())
    for lag in (1, 3):
        pair = good[:, :-lag] & good[:, lag:]
        out[f'memory of error {lag}'] = np.corrcoef(e[:, :-lag][pair].ravel(), e[:, lag:][pair].ravel())[0, 1]
        out[f'memory of conf {lag}'] = np.corrcoef(k[:, :-lag][pair], k[:, lag:][pair])[0, 1]
    return out


def differences(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float]:
    """Difference of the means in standard errors of it, for each statistic that differs by more than chance."""
    sigma = {k: (b[k].mean() - a[k].mean()) / np.sqrt((a[k].var(ddof=1) + b[k].var(ddof=1)) / len(a[k])) for k in a}
    return {k: round(float(s), 1) for k, s in sigma.items() if abs(s) > 4}


def test_noise_is_that_of_the_protocol(both):
    true, _, slow, fast = both
    a, b = statistics(true, *slow), statistics(true, *fast)
    assert a['border share'].mean() > .01 and a['swapped arms'].mean() > .002         # the case is there at all
    assert not differences(a, b)


def test_comparison_tells_other_noise(both):
    """Every changed figure of the noise is found out."""
    true, start, slow, _ = both
    a = statistics(true, *slow)
    for change in ({'noise_px': 5.3}, {'noise_memory': .65}, {'mistaken_frames': 7.}, {'swap': .02},
                   {'outside_doubt': .25}, {'confidence_memory': .87}, {'mistaken_px': (20., 115.)},
                   {'mistaken_confidence': (.05, .45)}):
        b = statistics(true, *Network2D(**change).observe(np.random.default_rng(6), true, start, 1000.))
        assert differences(a, b), change


def test_noise_starts_anew_in_every_clip():
    """No error is carried from the last frame of a clip to the first of the next."""
    true = np.full((4000, 1, 17, 2), 500, np.float32)
    px, conf = Network2D(mistaken=(), swap=1e-6).observe(np.random.default_rng(0), true, np.arange(0, 4001, 2), 1e3)
    e = (px - 500) * conf[..., None]
    inside = np.corrcoef(e[0::2].ravel(), e[1::2].ravel())[0, 1]
    across = np.corrcoef(e[1:-1:2].ravel(), e[2::2].ravel())[0, 1]
    assert abs(inside - .7) < .02 and abs(across) < .02
