# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifters: 2D joints of one view in, a pose in that camera's axes out (methods.md 7.4)."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from selfpose_ros.core.skeleton import MIRROR

from ..data.batch import Batch
from ..errors import SettingError
from .blocks import Residual
from .causal_lstm import CausalLSTM, RegressedHead
from .heads import CanonDirectHead, CanonRotHead, Lifted, Pose3DHead, rooted

__all__ = ['BODIES', 'HEADS', 'FrameMLP', 'Lifter', 'ResMLP', 'TemporalConv', 'make_network', 'network_keys',
           'network_of']


class Lifter(nn.Module):
    """A body and a head. `forward(pose)` takes (N, 17, 3), temporal bodies (N, T, 17, 3), oldest first.

    Attributes:
        config: what `make_network` made it from; belongs into checkpoint and card.
        frames: T; 1 for a frame lifter.
        interval_s: time between its frames, s; 0: that of neighbours in the data that it is trained on.
        symmetric: in use, not in training, it gives the mean of what it makes of a pose and of its mirror image.
    """

    mirror: Tensor
    across: Tensor

    def __init__(self, body: nn.Module, head: CanonRotHead | Pose3DHead, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.body, self.head, self.config = body, head, dict(config)
        self.frames = int(config.get('frames', 1)) if isinstance(body, TemporalConv | CausalLSTM) else 1
        self.interval_s = float(config.get('interval_s', 0.))
        self.symmetric = bool(config.get('symmetric', False))
        self.register_buffer('mirror', torch.tensor(MIRROR), persistent=False)
        self.register_buffer('across', torch.tensor([-1., 1., 1.]), persistent=False)

    def forward(self, pose: Tensor) -> Lifted:
        if self.training or not self.symmetric:
            return self.head(self.body(pose))
        both = torch.stack([pose, self.mirrored(pose)], 1)
        y, _, _, log_sigma = self.head(self.body(both.flatten(0, 1)))
        y, log_sigma = y.unflatten(0, (-1, 2)), log_sigma.unflatten(0, (-1, 2))
        mean = (log_sigma[:, 0] + log_sigma[:, 1].index_select(-1, self.mirror)) / 2
        return Lifted(rooted((y[:, 0] + self.mirrored(y[:, 1])) / 2), None, None, mean)

    def mirrored(self, x: Tensor) -> Tensor:
        """Poses (..., 17, 3) as in a mirror: left and right exchanged, the first coordinate turned round."""
        return x.index_select(-2, self.mirror) * self.across

    def lift(self, batch: Batch) -> Lifted:
        """All views of a batch: fields (B, V, ...) instead of (N, ...)."""
        pose = batch.past_pose[:, :, -self.frames:] if self.frames > 1 else batch.pose
        return self.lift_views(pose)

    def lift_views(self, pose: Tensor) -> Lifted:
        """(B, V, [T,] 17, 3) -> fields (B, V, ...)."""
        lead = pose.shape[:2]
        y, x, R, sigma = self(pose.flatten(0, 1))
        return Lifted(y.unflatten(0, lead), None if x is None else x.unflatten(0, lead),
                      None if R is None else R.unflatten(0, lead), sigma.unflatten(0, lead))

    def exported(self) -> Lifter:
        """What goes into a model folder: without branches that only the training needs."""
        return self

    def flip(self) -> None:
        """Flip the sign of the depth of everything, exactly (methods.md 5.9); the flag is in the state dict."""
        self.head.flip()

    @property
    def flipped(self) -> bool:
        """Whether the sign of the depth is flipped against the weights."""
        return bool(self.head.depth < 0)


class FrameMLP(nn.Module):
    """The body of CanonPose's lifter (methods.md 5.3): no activation directly after the first layer.

    Args:
        width: of all layers.
        common: residual blocks that both branches share.
        gain: factor on the 2D joints, whose size is 0.24; 1 in the paper.
        gain_conf: factor on their confidences; 0: the network does not get them.
    """

    gain: Tensor

    def __init__(self, width: int = 256, common: int = 1, gain: float = 1., gain_conf: float = 1.) -> None:
        super().__init__()
        self.embed = nn.Linear(51, width)
        self.blocks = nn.Sequential(*[Residual(width) for _ in range(common)])
        self.register_buffer('gain', torch.tensor([gain, gain, gain_conf]).repeat(17), persistent=False)

    def forward(self, pose: Tensor) -> Tensor:
        return self.blocks(self.embed(pose.flatten(-2) * self.gain))


class ResMLP(nn.Module):
    """Plain residual network (Martinez et al., ICCV 2017): an activated first layer, then blocks.

    Args:
        width, blocks: size.
        norm, drop: batch normalisation and dropout share.
        gain, gain_conf: as in `FrameMLP`.
    """

    gain: Tensor

    def __init__(self, width: int = 256, blocks: int = 2, norm: bool = False, drop: float = 0.,
                 gain: float = 1., gain_conf: float = 1.) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(51, width), *([nn.BatchNorm1d(width)] if norm else []), nn.LeakyReLU())
        self.blocks = nn.Sequential(*[Residual(width, drop, norm, activate=False) for _ in range(blocks)])
        self.register_buffer('gain', torch.tensor([gain, gain, gain_conf]).repeat(17), persistent=False)

    def forward(self, pose: Tensor) -> Tensor:
        return self.blocks(self.embed(pose.flatten(-2) * self.gain))


class TemporalConv(nn.Module):
    """Causal convolutions of kernel 3 over T = 3, 9 or 27 frames (Pavllo et al., CVPR 2019), for the newest frame only.

    A network of convolutions with dilation 1, 3, 9 that has to give one output touches each block of three once; so
    it is written as strided products of 3 x width by width. Residuals carry the newest frame of each three.

    Args:
        width: channels.
        frames: T.
        common: residual blocks after the convolutions.
        gain, gain_conf: as in `FrameMLP`.
    """

    gain: Tensor

    def __init__(self, width: int = 128, frames: int = 27, common: int = 0, gain: float = 1.,
                 gain_conf: float = 1.) -> None:
        super().__init__()
        stages = {3: 1, 9: 2, 27: 3}.get(frames)
        if stages is None:
            raise SettingError(f'must be 3, 9 or 27 for a temporal lifter, got {frames}', setting='frames')
        self.embed = nn.Linear(51, width)
        self.wide = nn.ModuleList([nn.Linear(3 * width, width) for _ in range(stages)])
        self.narrow = nn.ModuleList([nn.Linear(width, width) for _ in range(stages)])
        self.blocks = nn.Sequential(*[Residual(width) for _ in range(common)])
        self.register_buffer('gain', torch.tensor([gain, gain, gain_conf]).repeat(17), persistent=False)

    def forward(self, pose: Tensor) -> Tensor:
        h = leaky_relu(self.embed(pose.flatten(-2) * self.gain))          # (N, T, width)
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            three = h.unflatten(1, (h.shape[1] // 3, 3))
            h = three[:, :, 2] + leaky_relu(narrow(leaky_relu(wide(three.flatten(2)))))
        return self.blocks(h[:, 0])


BODIES: dict[str, type[nn.Module]] = {'frame_mlp': FrameMLP, 'res_mlp': ResMLP, 'temporal_conv': TemporalConv,
                                     'causal_lstm': CausalLSTM}
HEADS: dict[str, type[nn.Module]] = {'canon_rot': CanonRotHead, 'canon_direct': CanonDirectHead, 'pose3d': Pose3DHead,
                                    'regressed': RegressedHead}
_BODY_KEYS = {body: {'width', 'gain', 'gain_conf', *own} for body, own in (
    ('frame_mlp', ('common',)), ('res_mlp', ('blocks', 'norm', 'drop')), ('temporal_conv', ('frames', 'common')),
    ('causal_lstm', ('frames',)))}
_HEAD_KEYS = {'canon_rot': {'branch', 'rotation'}, 'canon_direct': {'branch', 'rotation'}, 'pose3d': {'branch'},
              'regressed': {'branch', 'hidden'}}


def network_keys(config: Mapping[str, Any]) -> set[str]:
    """Keys that the body and the head named in `config` understand.

    Raises:
        SettingError: there is no such body or head.
    """
    body, head = str(config.get('body', 'frame_mlp')), str(config.get('head', 'canon_rot'))
    if body not in BODIES:
        raise SettingError(f'must be one of {", ".join(BODIES)}, got {body!r}', setting='body')
    if head not in HEADS:
        raise SettingError(f'must be one of {", ".join(HEADS)}, got {head!r}', setting='head')
    own = {'interval_s'} if 'frames' in _BODY_KEYS[body] else set()
    return _BODY_KEYS[body] | _HEAD_KEYS[head] | own | {'body', 'head', 'symmetric'}


def make_network(config: Mapping[str, Any]) -> Lifter:
    """A lifter from its description.

    Keys: `body` (frame_mlp, res_mlp, temporal_conv, causal_lstm), `head` (canon_rot, canon_direct, pose3d, regressed),
    `width`, `branch`, `symmetric`, and what the body and head take (see their classes). Unnamed keys have the classes'
    defaults.

    Raises:
        SettingError: an unknown key or value.
    """
    body, head = str(config.get('body', 'frame_mlp')), str(config.get('head', 'canon_rot'))
    known = network_keys(config)
    if config.get('rotation', 'rotvec') not in ('rotvec', '6d'):
        raise SettingError(f'must be one of rotvec, 6d, got {config["rotation"]!r}', setting='rotation')
    unknown = sorted(set(config) - known)
    if unknown:
        raise SettingError(f'is unknown for body {body} with head {head}', f'known are {", ".join(sorted(known))}',
                           setting=', '.join(unknown))
    if config.get('symmetric') and head.startswith('canon'):
        raise SettingError(f'is for heads that give a pose alone: {head} gives a rotation, too', 'choose head pose3d',
                           setting='symmetric')
    if not 0 <= config.get('interval_s', 0.) <= 1:
        raise SettingError(f'must be from 0 to 1 s, got {config["interval_s"]:g}', setting='interval_s')
    width = int(config.get('width', 128 if body in ('temporal_conv', 'causal_lstm') else 256))
    if width < 1:
        raise SettingError(f'must be 1 or more, got {width}', setting='width')
    made = BODIES[body](**{'width': width} | {k: config[k] for k in _BODY_KEYS[body] & set(config)})
    top = HEADS[head](width, **{k: config[k] for k in _HEAD_KEYS[head] & set(config)})
    return Lifter(made, top, config)                     # type: ignore[arg-type]


def network_of(config: Mapping[str, Any]) -> Lifter:
    """The lifter that these settings describe; settings of the trainer and the method are passed over."""
    return make_network({k: config[k] for k in network_keys(config) & set(config)})
