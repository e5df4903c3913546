# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The networks of 3D Human Pose Machines (Wang et al., TPAMI 2019; methods.md 3.3), for 2D joints instead of images.

The authors' released model runs its second LSTM backwards over the clip; here both run forwards, so that a robot can
use it.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from .heads import Lifted, Pose3DHead, rooted

__all__ = ['CausalLSTM', 'Projector', 'RegressedHead']


class _Cell(nn.Module):
    """One LSTM layer over T frames, unrolled: every weight keeps its name when it is exported."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.of_input = nn.Linear(width, 4 * width)
        self.of_state = nn.Linear(width, 4 * width, bias=False)
        with torch.no_grad():
            self.of_input.bias[width:2 * width] = 1.       # at first everything is remembered

    def forward(self, frames: list[Tensor]) -> list[Tensor]:
        """T tensors (N, width), the newest last, to as many."""
        out: list[Tensor] = []
        c = torch.zeros_like(frames[0])
        for x in frames:
            gates = self.of_input(x)
            # multiplied even where it is zero: the exporter sees every weight for single frames, too
            gates = gates + self.of_state(out[-1] if out else torch.zeros_like(x))
            let, keep, new, show = gates.split(self.width, -1)
            c = torch.sigmoid(keep) * c + torch.sigmoid(let) * torch.tanh(new)
            out.append(torch.sigmoid(show) * torch.tanh(c))
        return out


class CausalLSTM(nn.Module):
    """The 2D-to-3D transformer: an activated layer, then two LSTMs that see the newest T frames, never the future.

    Its state is made anew from these frames each time: what came before the window is not remembered, and no answer
    depends on when the recording began.

    Args:
        width: of all layers; 1024 in the paper.
        frames: T; 5 in the authors' code, 1 for a frame lifter.
        gain, gain_conf: as in `FrameMLP`.
    """

    gain: Tensor

    def __init__(self, width: int = 128, frames: int = 5, gain: float = 1., gain_conf: float = 1.) -> None:
        super().__init__()
        self.embed = nn.Linear(51, width)
        self.first, self.second = _Cell(width), _Cell(width)
        self.register_buffer('gain', torch.tensor([gain, gain, gain_conf]).repeat(17), persistent=False)

    def forward(self, pose: Tensor) -> Tensor:
        pose = pose[:, None] if pose.ndim == 3 else pose
        h = leaky_relu(self.embed(pose.flatten(-2) * self.gain))          # (N, T, width)
        frames = list(h.unbind(1))
        low = self.first(frames)
        # the embedding goes past the LSTMs: they only add what the past adds
        return frames[-1] + low[-1] + self.second(low)[-1]


class RegressedHead(Pose3DHead):
    """The pose in camera axes, p3d, and the layer after it that is trained with the projector: q3d = p3d + C(p3d).

    C begins at zero, so that p3d and q3d are the same until it is trained.

    Args:
        width, branch: as of `Pose3DHead`.  hidden: of C; 1024 in the paper.
    """

    def __init__(self, width: int, branch: int = 1, hidden: int = 256) -> None:
        super().__init__(width, branch)
        self.regress, self.change = nn.Linear(51, hidden), nn.Linear(hidden, 51)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def both(self, h: Tensor, through: bool) -> tuple[Tensor, Lifted]:
        """p3d as `Lifted.y_cam`, and what `forward` gives; gradients of q3d go through p3d, or end there."""
        features = self.pose(h)
        p = self.to_pose(features)
        q = self._changed(p if through else p.detach())
        return self._cam(p), Lifted(self._cam(q), None, None, self._log_sigma(features))

    def _changed(self, p: Tensor) -> Tensor:
        return p + self.change(relu(self.regress(p)))

    def _cam(self, raw: Tensor) -> Tensor:
        return rooted(raw.unflatten(-1, (17, 3)) * self._mirror(1, 1, -1))

    def forward(self, h: Tensor) -> Lifted:
        return self.both(h, True)[1]


class Projector(nn.Module):
    """The learned projector: a pose in camera axes to its normalised 2D, without any camera (3.3; no normalisation).

    Args:
        width: of its three layers; 1024 in the paper.
    """

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(51, width), nn.Linear(width, width), nn.Linear(width, width)
        self.to_pixels = nn.Linear(width, 34)

    def forward(self, y_cam: Tensor) -> Tensor:
        """(..., 17, 3) -> (..., 17, 2), like `Batch.w2d`."""
        a = relu(self.first(y_cam.flatten(-2)))
        h = relu(self.third(relu(self.second(a)))) + a
        return self.to_pixels(h).unflatten(-1, (17, 2))
