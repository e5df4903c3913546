# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Exchanged sides: found in single views, in all of them at once, and over time."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import exact

from selfpose_ros.core import sides
from selfpose_ros.core.rig.swaps import undo_swaps
from selfpose_ros.core.sides import PERMUTATIONS, agreed_permutation, permutations_in_time
from selfpose_ros.core.skeleton import MIRROR, SWAP_GROUPS
from selfpose_ros.synthetic.network2d import Network2D

Array = NDArray[np.float64]

SIDES = np.array(MIRROR)


def test_exchanging_is_its_own_inverse_and_keeps_the_trunk() -> None:
    for order in PERMUTATIONS:
        assert order[order].tolist() == list(range(17))
    assert (PERMUTATIONS[:, [0, 7, 8, 9, 10]] == [0, 7, 8, 9, 10]).all()
    assert PERMUTATIONS[3].tolist() == SIDES.tolist()


@pytest.mark.parametrize('kind', [0, 1, 2, 3])
def test_exchanged_arms_legs_or_both_are_told_apart(kind: int) -> None:
    """3 px noise, a person seen by four cameras, of which one exchanges sides: right in 97 % of the instants in which
    sides lie apart (measured 100 %), and the others stand.
    """
    _, p, s = exact(4, 60, 2, sigma_px=3., fps=10.)
    kp = p.kp + np.random.default_rng(0).normal(0, 3., p.kp.shape)
    kp[:, 1] = kp[:, 1][:, PERMUTATIONS[kind]]
    apart = [np.linalg.norm(p.kp[:, :, g] - p.kp[:, :, SIDES[list(g)]], axis=-1).max(-1) > 40
             for g in SWAP_GROUPS.values()]
    clear = apart[0] & apart[1]
    best = agreed_permutation(p.kp, kp, p.sigma)
    assert clear[:, 1].sum() > 20 and (best[clear[:, 1], 1] == kind).mean() > .97
    assert not np.delete(best, 1, axis=1).any()


def test_nothing_is_exchanged_without_need() -> None:
    """A person seen exactly from the side, where both orders fit alike, or hardly seen at all, stays as it is."""
    _, p, _ = exact(4, 10, 2)
    same = p.kp.copy()
    same[:, :, SIDES] = same                              # right on left: both orders are the same
    seen = same + np.random.default_rng(0).normal(0, 5., same.shape)
    assert not agreed_permutation(same + 2., seen, np.full_like(p.sigma, 5.)).any()
    unseen = np.full_like(p.sigma, np.inf)
    unseen[:, :, 0] = 3.
    assert not agreed_permutation(p.kp, p.kp[:, :, SIDES], unseen).any()


def test_problem_with_exchanged_views_is_put_right_with_its_sigmas() -> None:
    """Arms in one view, everything in another: afterwards it is the problem that it was."""
    _, p, s = exact(3, 20, 1)
    sigma = np.random.default_rng(0).uniform(2, 6, p.sigma.shape)
    good = replace(p, sigma=sigma)
    kp, sg = p.kp.copy(), sigma.copy()
    for n, v, kind in ((3, 0, 1), (7, 2, 3)):
        kp[n, v], sg[n, v] = kp[n, v, PERMUTATIONS[kind]], sg[n, v, PERMUTATIONS[kind]]
    out, index = undo_swaps(s, replace(p, kp=kp, sigma=sg))
    assert np.array_equal(out.kp, good.kp) and np.array_equal(out.sigma, good.sigma)
    assert np.array_equal(index[3, 0], PERMUTATIONS[1]) and np.array_equal(index[0, 0], np.arange(17))


# -- all views together

def seen_turned(kinds: list[int], instants: int = 12) -> tuple[Array, Array, Array]:
    """Predicted pixels, seen ones with each view's names in this order, and sigmas, where sides lie apart."""
    _, p, _ = exact(4, 60, 2, sigma_px=3., fps=10.)
    far = np.linalg.norm(p.kp - p.kp[:, :, SIDES], axis=-1)
    clear = np.argsort(-np.minimum(far[..., 13], far[..., 3]).min(1))[:instants]
    kp = p.kp[clear][:, :len(kinds)].copy()
    px = kp.copy()
    for v, kind in enumerate(kinds):
        kp[:, v] = kp[:, v, PERMUTATIONS[kind]]
    return px, kp, p.sigma[clear][:, :len(kinds)]


@pytest.mark.parametrize('kinds, want', [
    ([0, 0, 0, 0], [0, 0, 0, 0]), ([0, 3, 0, 0], [0, 3, 0, 0]), ([1, 0, 2, 0], [1, 0, 2, 0]),   # views that are wrong
    ([3, 3, 3, 3], [0, 0, 0, 0]), ([1, 1, 1, 1], [0, 0, 0, 0]),   # a body that is
    ([2, 2, 0, 2], [0, 0, 2, 0]), ([3, 3, 3, 1], [0, 0, 0, 2]),   # both
    ([3, 3], [0, 0]), ([3, 0], [3, 0]), ([0, 1], [0, 1]),                     # two views
    ([1], [1]), ([2], [2]), ([3], [3])])                           # one
def test_what_most_views_name_stands(kinds: list[int], want: list[int]) -> None:
    """By view: how the names lie against the prediction, and what is exchanged of them."""
    assert agreed_permutation(*seen_turned(kinds)).tolist() == [want] * 12


def test_views_that_hardly_show_the_sides_do_not_count() -> None:
    """Two of four views see one joint: what the other two name stands against the prediction."""
    px, kp, sigma = seen_turned([3, 3, 0, 0])
    sigma = sigma.copy()
    sigma[:, 2:, 1:] = np.inf
    assert not agreed_permutation(px, kp, sigma).any()


# -- over time

STAMP = np.arange(12) * .04


def still(n: int = 12) -> Array:
    """A body in whose motion a turn is far too dear."""
    return np.where(np.arange(4) > 0, 1e3, 0.) + np.zeros((n - 1, 1))


def test_exchanges_of_single_views_are_found_whatever_their_length() -> None:
    """One view for one instant, another one from the third instant to the end, a third one in the arms alone."""
    px, kp, sigma = seen_turned([0, 0, 0, 0])
    kp[5, 0] = kp[5, 0, PERMUTATIONS[3]]
    kp[3:, 1] = kp[3:, 1][:, PERMUTATIONS[3]]
    kp[8:10, 2] = kp[8:10, 2][:, PERMUTATIONS[1]]
    found, turned = permutations_in_time(px, kp, sigma, STAMP, still())
    want = np.zeros((12, 4), int)
    want[5, 0], want[3:, 1], want[8:10, 2] = 3, 3, 1
    assert found.tolist() == want.tolist() and not turned.any()


def test_a_body_that_is_turned_round_for_a_while_is_turned_back() -> None:
    """All views against it in half of the instants, where turning costs something: the names stand, and are an
    exchange of the one view that has it the other way round.
    """
    px, kp, sigma = seen_turned([0, 0, 0, 0])
    px[4:10] = px[4:10][:, :, PERMUTATIONS[2]]
    kp[6, 3] = kp[6, 3, PERMUTATIONS[2]]
    turning = still()
    turning[[3, 9], 2] = 10.
    found, turned = permutations_in_time(px, kp, sigma, STAMP, turning)
    want = np.zeros((12, 4), int)
    want[6, 3] = 2
    assert turned.tolist() == [0] * 4 + [2] * 6 + [0] * 2 and found.tolist() == want.tolist()


def test_a_body_that_is_turned_from_the_start_costs_no_movement() -> None:
    px, kp, sigma = seen_turned([1, 1])
    found, turned = permutations_in_time(px, kp, sigma, STAMP, still())
    assert not found.any() and (turned == 1).all()


@pytest.mark.parametrize('cost, want', [(1e3, 0), (0., 3)])
def test_two_views_that_both_change_are_a_turn_if_the_body_can(cost: float, want: int) -> None:
    """For one instant, all of two views: two exchanges at once, which are rare, or a movement."""
    px, kp, sigma = seen_turned([0, 0])
    kp[6] = kp[6][:, PERMUTATIONS[3]]
    turning = still()
    turning[:, 3] = cost
    found, turned = permutations_in_time(px, kp, sigma, STAMP, turning)
    assert turned[6] == want and (found[6] == (3 - want)).all()


def test_over_a_long_time_nothing_is_left_of_an_exchange() -> None:
    """Half a minute apart an exchange is as likely as ever: each instant by itself."""
    px, kp, sigma = seen_turned([0, 0, 0, 0])
    kp[4, 2] = kp[4, 2, PERMUTATIONS[1]]
    found, _ = permutations_in_time(px, kp, sigma, STAMP * 1e3, still())
    assert found[4].tolist() == [0, 0, 1, 0] and found.sum() == 1


def test_a_view_of_nothing_is_not_exchanged() -> None:
    """One instant, two views of which one sees nobody: as the names are."""
    px, kp, sigma = seen_turned([0, 0], 1)
    sigma = sigma.copy()
    sigma[:, 1] = np.inf
    found, turned = permutations_in_time(px, kp, sigma, STAMP[:1], still(1))
    assert not found.any() and not turned.any()


def test_exchanges_are_as_frequent_and_as_long_as_the_benchmarks_network_makes_them() -> None:
    """Its frames are those of 25 Hz."""
    network = Network2D()
    assert sides._SHARE == network.swap and pytest.approx(network.swap_frames / 25.) == sides._LASTS_S
