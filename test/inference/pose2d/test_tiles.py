# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People who are small in the picture: found in tiles of it, once, whole, and in turn."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.errors import InputError
from selfpose_ros.inference.pose2d.network import Found
from selfpose_ros.inference.pose2d.tiles import TiledSearch
from selfpose_ros.inference.pose2d.top_down import TopDown

Array = NDArray[np.float64]
BODY = np.random.default_rng(3).uniform(.05, .95, (17, 2))


class Blobs:
    """In place of both networks: people are bright rectangles; those lower than a seventh of what it is given are too
    small for it.
    """

    device = 'a test'

    def __init__(self) -> None:
        card = SimpleNamespace(name='x', kind='detector', joints=JOINTS, accuracy=None)
        self.model: Any = SimpleNamespace(card=card, folder='x')
        self.vision = SimpleNamespace(decode={'min_score': .2})
        self.looks: list[tuple[int, int]] = []

    def find(self, image: NDArray[np.uint8]) -> Found:
        self.looks.append(image.shape[:2])
        boxes = np.array([b for b in blobs(image) if b[3] - b[1] >= image.shape[0] / 7 - 1]).reshape(-1, 4)
        return Found(boxes, np.ones(len(boxes)), boxes.reshape(-1, 2, 2), np.ones((len(boxes), 2)))

    def poses_in_depth(self, image: NDArray[np.uint8], boxes: Array) -> tuple[Array, Array, None]:
        """The joints of the person in whom the middle of a box lies; of nobody it is not sure."""
        points, confidence = np.zeros((len(boxes), 17, 2)), np.zeros((len(boxes), 17))
        for k, (x, y) in enumerate(((boxes[:, :2] + boxes[:, 2:]) / 2).tolist()):
            for x1, y1, x2, y2 in blobs(image):
                if x1 <= x <= x2 and y1 <= y <= y2:
                    points[k], confidence[k] = [x1, y1] + BODY * [x2 - x1, y2 - y1], .9
        return points, confidence, None


def blobs(image: NDArray[np.uint8]) -> list[list[float]]:
    """x1, y1, x2, y2 px of the bright rectangles."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(image[..., 0]))
    return [[x, y, x + w - 1., y + h - 1.] for x, y, w, h, _ in stats[1:].tolist()]


def room(*people: tuple[int, int, int]) -> NDArray[np.uint8]:
    """640 x 480 px with somebody at each (x, y) of a height, px."""
    image = np.zeros((480, 640, 3), np.uint8)
    for x, y, height in people:
        image[y:y + height, x:x + height // 3] = 255
    return image


NEAR, SMALL, OTHER = (40, 60, 300), (500, 300, 50), (300, 230, 48)


def test_who_is_small_is_found_in_a_tile_and_where_he_is() -> None:
    image, network = room(NEAR, SMALL, OTHER), Blobs()
    assert len(TiledSearch(network, 1).find(image).boxes) == 1                 # type: ignore[arg-type]
    found = TiledSearch(network, 2).find(image)                                # type: ignore[arg-type]
    at = {tuple(b) for b in found.boxes.tolist()}
    assert at == {(x, y, x + h // 3 - 1., y + h - 1.) for x, y, h in (NEAR, SMALL, OTHER)}
    assert found.points is not None and (found.points.reshape(-1, 4) == found.boxes).all()
    assert found.confidence is not None and len(found.score) == len(found.boxes) == len(found.confidence)


def test_who_is_cut_off_by_a_tile_is_not_found_there() -> None:
    """Somebody across the edges of all tiles is found in the whole image alone; at the image's own edge he is whole."""
    everywhere = TiledSearch(Blobs(), 2).find(room((300, 20, 440)))            # type: ignore[arg-type]
    assert everywhere.boxes.tolist() == [[300., 20., 445., 459.]]
    at_the_edge = TiledSearch(Blobs(), 2).find(room((0, 400, 50)))             # type: ignore[arg-type]
    assert at_the_edge.boxes.tolist() == [[0., 400., 15., 449.]]


def test_all_tiles_are_looked_at_in_the_first_image_and_then_one_at_a_time() -> None:
    network, image = Blobs(), room(NEAR)
    search = TiledSearch(network, 2)                                           # type: ignore[arg-type]
    search.find(image)
    assert network.looks == [(480, 640)] + [(288, 384)] * 4
    network.looks.clear()
    seen = set()
    for n in range(4):
        search.find(room((10 + 400 * (n % 2), 10 + 300 * (n // 2), 45)))
        seen.add(len(network.looks))
    assert network.looks == [(480, 640), (288, 384)] * 4
    search.reset()
    network.looks.clear()
    search.find(image)
    assert len(network.looks) == 5


@pytest.mark.parametrize('side', [2, 3, 4])
def test_tiles_cover_the_image_and_share_their_edges(side: int) -> None:
    search, covered = TiledSearch(Blobs(), side), np.zeros((479, 637), int)    # type: ignore[arg-type]
    tiles = list(search._tiles(np.zeros((*covered.shape, 3), np.uint8)))
    for x1, y1, x2, y2 in tiles:
        covered[y1:y2, x1:x2] += 1
    assert len(tiles) == side ** 2 and covered.min() == 1 and covered.max() == 4


def test_a_network_with_tiles_follows_who_is_small() -> None:
    """Found in the first image, and followed from his own joints from then on; without tiles he is nobody."""
    image = room(NEAR, SMALL)
    network: Any = Blobs()
    assert len(TopDown(network, network).infer(image)) == 1
    pose = TopDown(network, network, tiles=2)
    first, second = pose.infer(image), pose.infer(image)
    assert len(first) == len(second) == 2 and first.person.tolist() == second.person.tolist()


@pytest.mark.parametrize('side', [0, 5])
def test_more_tiles_than_there_can_be_are_refused(side: int) -> None:
    network: Any = Blobs()
    with pytest.raises(InputError, match=f'tiles is {side}; give 1 .* to 4'):
        TopDown(network, network, tiles=side)


def test_who_was_lost_is_looked_for_soon_and_then_less_and_less() -> None:
    """In the next image, then after 2, 4, 8, ...: who is hidden for a moment is back at once, who left costs little."""
    network: Any = Blobs()
    both, one, looks = room(NEAR, (450, 100, 200)), room(NEAR), []
    pose = TopDown(network, network, detect_every=40)
    for image in [both] * 9 + [one] + [both] * 3:
        network.looks.clear()
        people = pose.infer(image)
        looks.append((len(people), len(network.looks)))
    # who comes into sight is looked for in the same way: others may come with him
    assert looks == [(2, n in (0, 1, 3, 7)) for n in range(9)] + [(1, 0), (2, 1), (2, 1), (2, 0)]
    network.looks.clear()
    searched = []
    for n in range(120):
        pose.infer(one)
        if network.looks:
            searched.append(n)
            network.looks.clear()
    assert searched == [0, 1, 3, 7, 15, 31, 63, 103]
