# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page of pictures with their 3D."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.demo.errors import DemoError
from selfpose_ros.demo.lifted_pictures import LiftedPicture, page
from selfpose_ros.synthetic import walker


def body() -> tuple[np.ndarray, np.ndarray]:
    """Joints (17, 3), y down, and the middle of a picture."""
    X = walker(1., 25., 1)[0]
    X = (X - X[0])[:, [0, 2, 1]] * [1, -1, 1]
    return X, 40 * X[:, :2] + [48, 64]


def test_the_page() -> None:
    X, px = body()
    image = np.full((128, 96, 3), 200, np.uint8)
    two_d, three_d = LiftedPicture(image, px), LiftedPicture(image, px, X, 3. * X)
    wide = page([two_d]).shape[1]
    broad = page([three_d]).shape[1]
    assert broad > wide + 200 and page([three_d] * 4).shape == (576, 3 * broad, 3)
    assert (image == 200).all()                            # drawn on a copy
    # the truth of another size lies under the pose: nothing of it is to be seen, turned round it is
    grey = page([three_d])[:, wide:]
    other = page([LiftedPicture(image, px, X, X * [1, 1, -1])])[:, wide:]
    assert (other == 120).all(-1).sum() > (grey == 120).all(-1).sum() + 100
    with pytest.raises(DemoError, match='no picture'):
        page([])
