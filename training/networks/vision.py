# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Small networks of images: a tower of residual stages, joints as two one-dimensional maps (SimCC), people as boxes.

SimCC: Li et al., ECCV 2022: x and y of a joint are classes, finer than pixels. Boxes: a cell in the middle of
somebody gives objectness and the edges of the box, on three scales, as YOLOX (Ge et al. 2021) does without anchors.
"""
from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from .. import checkpoint
from ..errors import TrainingError

__all__ = ['BoxNetwork', 'SimccNetwork', 'Tower', 'prepared']

Network = TypeVar('Network', bound=nn.Module)

#: of the input, (pixel - mean) / std, all channels
MEAN, STD = 120., 64.


def _conv(i: int, o: int, kernel: int = 3, stride: int = 1, act: bool = True, norm: bool = True) -> nn.Sequential:
    conv = nn.Conv2d(i, o, kernel, stride, kernel // 2 if stride < kernel else 0, bias=not norm)
    return nn.Sequential(conv, *([nn.BatchNorm2d(o)] if norm else []), *([nn.ReLU(inplace=True)] if act else []))


class _Block(nn.Module):
    def __init__(self, width: int, norm: bool = True) -> None:
        super().__init__()
        self.first, self.second = _conv(width, width, norm=norm), _conv(width, width, act=False, norm=norm)
        if norm:
            nn.init.zeros_(self.second[1].weight)          # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Tower(nn.Module):
    """(B, 3, H, W) normalised to maps at 1/4, 1/8 and 1/16 of the size.

    Args:
        stages: channels of the three.  depth: residual blocks of the three.
        norm: batch normalisation; an exported network has it in its convolutions.
    """

    def __init__(self, stages: list[int], depth: list[int], norm: bool = True) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, stages[0] // 2, 3, 2, norm=norm),
                                  _conv(stages[0] // 2, stages[0], 3, 2, norm=norm))
        self.stages = nn.ModuleList()
        for k, (width, blocks) in enumerate(zip(stages, depth, strict=True)):
            down = [] if k == 0 else [_conv(stages[k - 1], width, 3, 2, norm=norm)]
            self.stages.append(nn.Sequential(*down, *(_Block(width, norm) for _ in range(blocks))))

    def forward(self, x: Tensor) -> list[Tensor]:
        x, out = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out


class _Mix(nn.ModuleList):
    """(B, J, C): a layer across joints, then one across features (as MLP-Mixer, Tolstikhin et al. 2021)."""

    def __init__(self, joints: int, hidden: int) -> None:
        super().__init__([nn.LayerNorm(hidden), nn.Linear(joints, 2 * joints), nn.Linear(2 * joints, joints),
                          nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)])

    def forward(self, z: Tensor) -> Tensor:
        among = self[2](torch.relu(self[1](self[0](z).transpose(1, 2)))).transpose(1, 2)
        z = z + among
        inside: Tensor = z + self[5](torch.relu(self[4](self[3](z))))
        return inside


class SimccNetwork(nn.Module):
    """Joints of one person: (B, 3, H, W) to logits of x (B, 17, 2 W) and y (B, 17, 2 H).

    Args:
        size: (w, h) px.
        norm: see `Tower`.
    """

    frames = 1

    def __init__(self, size: tuple[int, int], stages: list[int], depth: list[int], hidden: int, joints: int = 17,
                 split: int = 2, norm: bool = True) -> None:
        super().__init__()
        self.size, self.joints = size, joints
        self.tower = Tower(stages, depth, norm)
        w, h = size[0] // 8, size[1] // 8
        self.cells = w * h
        self.up = _conv(stages[2], stages[1], 1, norm=norm)
        self.near = _conv(stages[1], stages[1], 3, norm=norm)
        self.maps = nn.Conv2d(stages[1], joints * 2, 1)
        self.norm = nn.LayerNorm(2 * self.cells)
        self.embed = nn.Linear(2 * self.cells, hidden)
        # a joint looks at what the other joints found: bodies hang together
        self.mix = nn.Sequential(*(_Mix(joints, hidden) for _ in range(2)))
        self.x, self.y = nn.Linear(hidden, size[0] * split), nn.Linear(hidden, size[1] * split)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """image: as on the card, see `MEAN`."""
        _, middle, deep = self.tower(image)
        deep = nn.functional.interpolate(self.up(deep), scale_factor=2., mode='nearest')
        maps = self.maps(self.near(middle + deep))
        z = torch.relu(self.embed(self.norm(maps.reshape(-1, self.joints, 2 * self.cells))))
        z = self.mix(z)
        return self.x(z), self.y(z)


class BoxNetwork(nn.Module):
    """People in an image: (B, 3, H, W) to (B, A, 6): x, y, log w, log h in cells, objectness and class as logits.

    A: cells of strides 8, 16 and 32, row by row, as decoders of YOLOX expect them.
    """

    frames = 1
    strides = (8, 16, 32)

    def __init__(self, size: tuple[int, int], stages: list[int], depth: list[int], hidden: int) -> None:
        super().__init__()
        self.size = size
        self.tower = Tower(stages, depth)
        self.deeper = nn.Sequential(_conv(stages[2], stages[2], 3, 2), _Block(stages[2]))
        self.side = nn.ModuleList([_conv(c, hidden, 1) for c in (stages[1], stages[2], stages[2])])
        self.head = nn.ModuleList([_conv(hidden, hidden, 3) for _ in self.strides])
        self.out = nn.ModuleList([nn.Conv2d(hidden, 5, 1) for _ in self.strides])
        for out in self.out:
            nn.init.constant_(out.bias[4:], -4.)           # type: ignore[index,arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """image: as on the card, see `MEAN`."""
        _, a, b = self.tower(image)
        levels = [s(f) for s, f in zip(self.side, (a, b, self.deeper(b)), strict=True)]
        levels[1] = levels[1] + nn.functional.interpolate(levels[2], scale_factor=2., mode='nearest')
        levels[0] = levels[0] + nn.functional.interpolate(levels[1], scale_factor=2., mode='nearest')
        rows = []
        for x, head, out in zip(levels, self.head, self.out, strict=True):
            rows.append(out(head(x)).flatten(2).transpose(1, 2))
        found = torch.cat(rows, 1)
        return torch.cat([found, torch.full_like(found[..., :1], 20.)], -1)    # one class: it is a person


def prepared(network: Network, run: str = '') -> Network:
    """The network in the memory layout of convolutions, with the best weights of another run.

    Args:
        run: its folder; '' = none, the weights stay.

    Raises:
        TrainingError: there are none, or of another network.
    """
    if run:
        file = Path(run).expanduser() / checkpoint.BEST
        try:
            network.load_state_dict(checkpoint.load(file)['network'])
        except (RuntimeError, KeyError) as error:
            raise TrainingError('holds another network than these settings make',
                                'set the same stages, depth, hidden and size', place=file) from error
    return network.to(memory_format=torch.channels_last)   # type: ignore[call-overload,no-any-return]
