# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Flights: metres and gravity from whoever jumps, nothing from whoever does not; cues together; up among wrong cues."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import tracks_of
from scipy.integrate import trapezoid
from scipy.stats import norm

from selfpose_ros.core import rotation
from selfpose_ros.core.body import BONE_PRIOR_M, stature_m
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.rig.airborne import flights_of
from selfpose_ros.core.rig.bundle_problem import BundleState
from selfpose_ros.core.rig.flight import GRAVITY_M_S2, Flight, flights
from selfpose_ros.core.rig.solver import Solution
from selfpose_ros.core.rig.up import Up, up_of
from selfpose_ros.core.rig.world import find_world, metric_scale
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker
from selfpose_ros.synthetic.jumps import jumping

Array = NDArray[np.float64]

FPS = 25.


def seen(X: Array, unit: float = 1., **detector: object) -> tuple[Flight, ...]:
    """Flights that four cameras see, in a frame whose unit of length is 1 / `unit` m, with the true rig."""
    rig = ring_rig(4, 2)
    tracks = tracks_of(frames_of(observe(X, rig, FPS, 2, **detector)))  # type: ignore[arg-type]
    noise = replace(NoiseModel.prior(tracks.image_size), correlation=.6)
    state = BundleState(rig.geometry.scaled(unit), np.zeros((0, 17, 3)), BONE_PRIOR_M)
    nothing = tracks.rows(np.zeros(0, np.int64))
    return flights_of(tracks, Solution(state, nothing, np.zeros((28, 28)), np.zeros(4), noise, 0., 1., 1., 9))


@pytest.mark.parametrize('unit', [.9, 1., 1.12])
def test_whoever_jumps_tells_the_metre(unit: float) -> None:
    """Two jumps among steps, noise and outliers of the usual detector: both found where they are, each to 10 % and
    three sigmas, together to 5 % (measured 1 to 3); the other way round a unit of 1.12 would be off by 25 %.
    """
    found = seen(jumping(walker(5., FPS, 2, 'walk'), FPS, (1.5, 3.)), unit)
    for f, start in zip(found, (1.5, 3.), strict=True):       # a part of it, but for an instant
        assert start - .05 < f.start < start + .13 and start + .3 < f.end < start + .49
    off = np.array([np.log(f.factor * unit) for f in found])
    assert np.abs(off).max() < .1 and (np.abs(off) < 3 * np.array([f.sigma for f in found])).all()
    assert abs(off.mean()) < .05
    for f in found:
        assert -f.acceleration[2] > .95 * np.linalg.norm(f.acceleration)


@pytest.mark.parametrize('style', ['walk', 'exercise', 'stand'])
def test_who_does_not_jump_does_not_fly(style: str) -> None:
    """Steps, squats, arms that are thrown up."""
    assert not seen(walker(5., FPS, 3, style))


def test_a_body_that_sinks_with_gravity_but_stands_does_not_fly() -> None:
    """The trunk falls freely for 0.3 s, the feet stay: no flight."""
    X = walker(3., FPS, 1, 'stand')
    t = np.arange(8) / FPS
    X[30:38, [0, 1, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 2] -= (.5 * 11. * t ** 2)[:, None]
    X[38:] -= X[38:] - X[37:38]
    covariance = np.tile(1e-6 * np.eye(3), (len(X), 1, 1))
    assert not flights(X, np.arange(len(X)) / FPS, covariance, lambda s: 0.)


def test_too_few_instants() -> None:
    assert not seen(walker(.4, FPS, 1, 'walk'))


# -- cues together

def flight(factor: float, sigma: float = .05, acceleration: Array | None = None, sigma_deg: float = 4.) -> Flight:
    fall = GRAVITY_M_S2 / factor
    along = np.array([0., 0., -fall]) if acceleration is None else acceleration
    return Flight(0, 0., .4, along, fall, sigma, sigma_deg)


def test_cues_are_combined_by_their_sigmas() -> None:
    prior = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)))
    one, two = (metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), flights=[flight(1.06)] * n) for n in (1, 2))
    assert 1. < one.factor < two.factor < 1.06 and prior.sigma > one.sigma > two.sigma > .015
    assert prior.source == 'adult prior' and one.source == '1 flight and adult prior'
    assert two.source == '2 flights and adult prior'


def test_one_flight_that_was_none_has_little_say() -> None:
    both = [flight(1.02, .04), flight(1.03, .04)]
    right = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), flights=both)
    wrong = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), flights=[*both, flight(1.4, .04)])
    assert abs(np.log(wrong.factor / right.factor)) < .015 and wrong.sigma > .95 * right.sigma


def test_nothing_falls_faster_than_freely() -> None:
    """A fall that is slower than the prior expects may be of feet that push: it counts less than one that is faster."""
    slow, fast = (np.log(metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), flights=[flight(k)]).factor)
                  for k in (1.12, 1 / 1.12))
    assert 0 < slow < .7 * -fast
    many = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), flights=[flight(1.2)] * 12)
    assert many.sigma > .03                                   # a way of running, not twelve witnesses


@pytest.mark.parametrize('factors', [(1.1,), (.96, 1.4), (1.02, 1.3, .9, 1.25, 1.05)])
def test_flights_count_by_how_likely_they_are(factors: tuple[float, ...]) -> None:
    """Seven of ten are free with a normal error, the others too large by an exponential amount of 15 % in the mean: the
    mean over all scales, by brute force; more than three flights tell as much as three.
    """
    seen_flights = [flight(f, .05 + .01 * i) for i, f in enumerate(factors)]
    found = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), flights=seen_flights)
    prior = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)))
    s = np.linspace(-6, 6, 1201) * prior.sigma + np.log(prior.factor)
    late = np.linspace(0, 2, 4001)
    log = -.5 * ((s - np.log(prior.factor)) / prior.sigma) ** 2
    for i, f in enumerate(factors):
        off = np.log(f) - s
        free, pushed = (norm.pdf(x, scale=.05 + .01 * i) for x in (off, off[:, None] - late))
        likely = .7 * free + .3 * trapezoid(pushed * np.exp(-late / .15) / .15, late)
        log += np.log(likely) * min(1., 3 / len(factors))
    weight = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    mean = weight @ s
    assert found.factor == pytest.approx(np.exp(mean), rel=1e-3)
    assert found.sigma == pytest.approx(min(np.hypot(np.sqrt(weight @ (s - mean) ** 2), .02), prior.sigma), rel=.01)


def test_several_people_average() -> None:
    one, four = (metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), people=n) for n in (1, 4))
    assert four.sigma == pytest.approx(one.sigma / 2) and four.factor == one.factor == pytest.approx(1.)


def test_a_length_that_is_given_goes_first() -> None:
    s = metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), 1.87, flights=[flight(.9)])
    assert s.source == 'known height' and s.factor == pytest.approx(1.87 / stature_m(BONE_PRIOR_M))


# -- up

#: cameras in a ring, level but for a few degrees, which look down a little
RING = ring_rig(4, 3).R
UP = np.array([0., 0., 1.])


def off_deg(direction: Array) -> float:
    return float(np.rad2deg(np.arccos(np.clip(direction @ UP, -1, 1))))


def lying(X: Array) -> Array:
    """On his back along y."""
    return np.asarray(np.stack([X[..., 0], X[..., 2], .1 - X[..., 1]], -1))


def test_who_lies_does_not_turn_the_world() -> None:
    """All cameras would hang on their sides: up is theirs, to 8 degrees and two sigmas. By the body alone it is 90
    degrees off, and nothing tells.
    """
    X = lying(walker(4., 15, 2, 'exercise'))
    w = find_world(X, RING[0][2], RING)
    assert off_deg(w.R[2]) < min(8., 2 * w.sigma_deg) and w.sigma_deg < 15.
    assert off_deg(find_world(X, RING[0][2]).R[2]) > 60.


def test_two_cameras_and_somebody_who_lies_is_doubt() -> None:
    """Right, or a sigma that covers it."""
    X = lying(walker(4., 15, 2, 'exercise'))
    for a, b in ((0, 1), (1, 2), (2, 3)):
        R = RING[[a, b]]
        w = find_world(X, R[0][2], R)
        assert off_deg(w.R[2]) < 3 * w.sigma_deg and w.sigma_deg > 4.


@pytest.mark.parametrize('turned', [0, 2])
def test_a_camera_on_its_side_does_not_turn_the_world(turned: int) -> None:
    """A phone upright among others: to 1.5 degrees with somebody who walks."""
    R = RING.copy()
    R[turned] = rotation.exp(np.array([0., 0., np.pi / 2])) @ R[turned]
    w = find_world(walker(4., 15, 2, 'walk'), R[0][2], R)
    assert off_deg(w.R[2]) < 1.5 and w.sigma_deg < 4.


def test_cameras_all_on_their_sides_and_somebody_who_walks_is_doubt() -> None:
    """Either all cameras are turned or he walks along a wall: both are unlikely, and that is said."""
    R = rotation.exp(np.array([0., 0., np.pi / 2])) @ RING
    w = find_world(walker(4., 15, 2, 'walk'), R[0][2], R)
    assert off_deg(w.R[2]) < 3 * max(w.sigma_deg, 1.)


def test_who_falls_tells_where_down_is() -> None:
    """Flights turn what the body's mean lean makes of up, by their sigmas; upwards, they would turn it over."""
    lean = rotation.exp(np.deg2rad([12., 0., 0.])) @ UP
    falls = [flight(1., acceleration=np.array([0., 0., -9.8]), sigma_deg=2.)] * 3
    found = up_of(Up(lean, 5.), None, falls)
    assert off_deg(found.direction) < 3. and found.sigma_deg < 2.
    assert off_deg(up_of(Up(lean, 5.), None, []).direction) == pytest.approx(12.)
