# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A network that looks at images, as its card describes it: checked against the graph, fed, and decoded."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.errors import ModelError
from ...models.store import Model
from ..backend import ON_CPU, Backend, open_session
from ..batching import shared_run
from ..session import InferenceSession, TensorSpec
from ..tensors import decode
from ..tensors.geometry import Placement
from ..tensors.image_tensors import ImageTensors

__all__ = ['Found', 'VisionNetwork', 'check_layout']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
#: of the images that go in and the tensors that come out
_FLOAT = 'tensor(float)'
_LABELS = ('tensor(int64)', 'tensor(int32)', 'tensor(float)')


@dataclass(frozen=True)
class Found:
    """What a network sees in one image, px of that image.

    Attributes:
        boxes: (P, 4) x1 y1 x2 y2.  score: (P,) 0..1.
        points: (P, J, 2), NaN = not seen; None for detectors.  confidence: (P, J) 0..1.
    """

    boxes: Array
    score: Array
    points: Array | None = None
    confidence: Array | None = None


class VisionNetwork(ImageTensors):
    """Opens a model of kind pose2d or detector.

    Args:
        model: its folder.
        threads: of one run.
        session: one that is open already; None = by the backend.
        backend: what runs it.

    Raises:
        ModelError: card and graph do not fit; the message names the tensor.
        BackendUnavailable: ONNX Runtime is missing, or backend tensorrt cannot be had here.
    """

    def __init__(self, model: Model, threads: int = 1, session: InferenceSession | None = None,
                 backend: Backend = ON_CPU) -> None:
        super().__init__(model)
        self.session: InferenceSession = session or open_session(model, self, threads, backend)
        self._names = list(self.vision.outputs.values())
        self._check()
        #: where the images of all networks that share the session come together
        self.shared = shared_run(self.session)
        self._blob = self._memory(1)

    # -- the graph

    @property
    def device(self) -> str:
        """What computes now, see `InferenceSession`."""
        return self.session.device

    def _check(self) -> None:
        """Compare the graph with the card."""
        v, file = self.vision, self.model.file
        by_name = {t.name: t for t in self.session.inputs}
        image = by_name.pop(v.tensor, None)
        if image is None:
            raise ModelError(f'the graph has no input {v.tensor}', f'it has {_list(self.session.inputs)}. Put the '
                             'right name on the card (image: tensor)', place=file)
        if by_name:
            raise ModelError(f'nothing is known to give to the input {_list(by_name.values())}',
                             'export the network without it', place=file)
        w, h = v.size
        check_layout(file, image, v.layout, v.dtype)
        high, wide = image.shape[2:] if v.layout == 'nchw' else image.shape[1:3]
        if high not in (None, h) or wide not in (None, w):
            raise ModelError(f'the card says {w} x {h} px (image: size), the graph takes {image.text}',
                             f'put [{wide}, {high}] on the card', place=file)
        outputs = {t.name: t for t in self.session.outputs}
        for role, name in v.outputs.items():
            self._check_output(role, name, outputs)

    def _check_output(self, role: str, name: str, outputs: dict[str, TensorSpec]) -> None:
        v, file = self.vision, self.model.file
        if name not in outputs:
            hint = ('; a graph with dets has its NMS inside: import it as such'
                    if 'dets' in outputs and v.family in ('yolox', 'yolo_pose') else '')
            raise ModelError(f'the graph has no output {name}', f'it has {_list(outputs.values())}{hint}. Put the '
                             f'right name on the card (outputs: {role})', place=file)
        t, rank = outputs[name], v.about.roles[role]
        if t.dtype not in (_LABELS if role == 'labels' else (_FLOAT,)):
            raise ModelError(f'the output {t.text} must be {_FLOAT}', 'export the network with float32 outputs',
                             place=file)
        if t.shape and len(t.shape) != rank:
            raise ModelError(f'the output {t.text} has {len(t.shape)} axes, a {v.family} network has {rank} there '
                             f'(outputs: {role})', 'is it of another family?', place=file)
        axis = v.about.joints_at.get(role)
        if axis is not None and t.shape and t.shape[axis] not in (None, self.joints):
            raise ModelError(f'the output {t.text} is for {t.shape[axis]} joints, the card names {self.joints}',
                             'put the right joints on the card', place=file)
        wide = {'x': v.size[0], 'y': v.size[1]}.get(role)
        if wide is not None and t.shape and t.shape[2] not in (None, round(wide * v.decode['split'])):
            raise ModelError(f'the output {t.text} has {t.shape[2]} bins for {wide} px, which is not the split of '
                             f'{v.decode["split"]:g} that the card says (decode: split)', place=file)

    # -- running

    def run(self, blob: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Outputs by their roles, for any number of images; see `batching.SharedRun`."""
        outputs = self.shared.run({self.vision.tensor: blob}, self._names)
        return dict(zip(self.vision.outputs, outputs, strict=True))

    def tensors(self, image_bgr: Pixels, placements: Sequence[Placement]) -> dict[str, NDArray[np.float32]]:
        """What comes out, by its roles, for parts of an image, which go in by memory that is used again."""
        if len(self._blob) < len(placements):
            self._blob = self._memory(len(placements))
        return self.run(self.blob(image_bgr, placements, self._blob[:len(placements)]))

    # -- what it sees

    @property
    def has_depth(self) -> bool:
        """Poses are known in depth, too."""
        return 'depth' in self.vision.outputs

    def poses(self, image_bgr: Pixels, boxes: Array) -> tuple[Array, Array]:
        """Joints (P, J, 2) px and confidences (P, J) of the people in boxes (P, 4); one batch. Top-down networks."""
        points, score, _ = self.poses_in_depth(image_bgr, boxes)
        return points, score

    def poses_in_depth(self, image_bgr: Pixels, boxes: Array) -> tuple[Array, Array, Array | None]:
        """As `poses`; and depths and their sigmas (P, J, 2) as `contract.People2D` has them, None if it gives none."""
        if not len(boxes):
            return (np.zeros((0, self.joints, 2)), np.zeros((0, self.joints)),
                    np.zeros((0, self.joints, 2)) if self.has_depth else None)
        h, w = image_bgr.shape[:2]
        places = [self.crop(b, (w, h)) for b in boxes]
        tensors = self.tensors(image_bgr, places)
        points, score = self.decode_people(tensors)
        found = np.array([p.to_image(x) for p, x in zip(places, points, strict=True)])
        return found, score, decode.depths(tensors['depth'], tensors['sigma']) if self.has_depth else None

    def look(self, image_bgr: Pixels) -> None:
        """Run it on an image, the whole of it for a top-down network, and decode what comes out, as for a trial."""
        h, w = image_bgr.shape[:2]
        if self.vision.about.top_down:
            self.poses(image_bgr, np.array([[0., 0., w - 1., h - 1.]]))
        else:
            self.find(image_bgr)

    def find(self, image_bgr: Pixels) -> Found:
        """People in the whole image. One-stage networks and detectors."""
        v, place = self.vision, self.whole(image_bgr)
        tensors = self.tensors(image_bgr, [place])
        h, w = image_bgr.shape[:2]
        points = confidence = None
        if v.family in decode.PEOPLE:
            boxes, score, points, confidence = decode.PEOPLE[v.family](tensors, v, self.joints)[0]
        else:
            boxes, score = decode.BOXES[v.family](tensors, v)[0]
        corners = place.to_image(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        corners = np.clip(corners, 0, [w - 1, h - 1, w - 1, h - 1])
        if points is None or confidence is None:
            return Found(corners, score)
        return Found(corners, score, place.to_image(points), confidence)


def check_layout(file: Path, image: TensorSpec, layout: str = 'nchw', dtype: str = 'float32') -> None:
    """Whether the input of a graph takes images as they are given here, whatever their size.

    Args:
        file: for messages.
        image: the input.
        layout, dtype: as on the card, see `Vision`.

    Raises:
        ModelError: it is not (N, 3, H, W) float32, or (N, H, W, 3) of this type.
    """
    shape = image.shape
    if layout == 'nhwc':
        wanted = f'tensor({"float" if dtype == "float32" else dtype})'
        if len(shape) != 4 or shape[3] not in (None, 3) or image.dtype != wanted:
            raise ModelError(f'the card says (N, H, W, 3) {wanted} (image: layout, dtype), the graph has {image.text}',
                             'is it of another family?', place=file)
        return
    if len(shape) == 4 and shape[1] != 3 and (shape[3] == 3 or shape[1] is not None):
        layout = 'channels last (N, H, W, 3)' if shape[3] == 3 else f'{shape[1]} channels'
        raise ModelError(f'the input {image.text} has {layout}', '(N, 3, H, W) is needed: export it so', place=file)
    if image.dtype != _FLOAT or len(shape) != 4:
        raise ModelError(f'the input must be (N, 3, H, W) {_FLOAT}, the graph has {image.text}', 'export it so',
                         place=file)


def _list(tensors: object) -> str:
    return ', '.join(t.text for t in tensors) or 'none'    # type: ignore[attr-defined]
