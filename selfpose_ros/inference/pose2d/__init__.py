# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D pose networks behind one contract. Nothing heavy is imported before a network is made."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ...models.catalogue import CATALOGUE, DEFAULT
from ..backend import ON_CPU, Backend
from ..errors import InputError
from .contract import BatchingPose2D, People2D, Pose2D, accuracy_of, no_people

if TYPE_CHECKING:
    from ...models.store import Model
    from .network import VisionNetwork

__all__ = ['DEFAULT', 'MODEL_HELP', 'POSE2D_NAMES', 'BatchingPose2D', 'People2D', 'Pose2D', 'accuracy_of',
           'check_pose2d', 'make_pose2d', 'no_people', 'of_network', 'options_of']

#: networks that are no model folders
POSE2D_NAMES: tuple[str, ...] = ('mediapipe',)
#: for users
MODEL_HELP = ('2D network: one of the catalogue (selfpose model get), rendered_pose (which knows rendered people '
              'alone), a model folder (selfpose model import), or mediapipe (by its own package, for this release)')


def make_pose2d(name: str = DEFAULT, backend: Backend = ON_CPU, **options: Any) -> Pose2D:
    """A new network for one camera. Cameras that name the same model folder share its weights.

    Args:
        name: one of `POSE2D_NAMES`, a shipped or fetched model, a model folder, or an entry of a model store.
        backend: what runs a model folder.
        options: of `mediapipe_pose.MediaPipePose`; of a model folder `threads` (of one run, default 1), and those of
            `top_down.TopDown` or `blazepose.BlazePose` (with `detector`: a model, too; default: what the card names) or
            `one_stage.OneStage`.

    Raises:
        InputError: no network of that name, or an option that it does not have.
        BackendUnavailable: the package that runs it is not installed, or backend tensorrt cannot be had here.
        ModelNotHere: it is of the catalogue, and has not been fetched.
        ModelError: the model folder is damaged, or its graph is not what its card says.
    """
    if name == 'mediapipe':
        check_pose2d(name, backend)
        from .mediapipe_pose import MediaPipePose
        _known(name, options, MediaPipePose)
        return MediaPipePose(**options)
    model = _model_of(name)
    from ...models.card import CARD
    from ...models.store import open_model
    from .network import VisionNetwork
    threads = options.pop('threads', 1)
    # the one that its card names, unless another one, or none, is asked for
    named = model.card.everything.get('detector')
    detector = options.pop('detector', named)
    network = VisionNetwork(model, threads, backend=backend)
    if not network.vision.about.top_down and detector is not None:
        raise InputError(f'2D network {name!r}: finds people by itself', 'leave detector out')
    if detector is not None and detector == named and (model.folder.parent / str(named) / CARD).is_file():
        detector = model.folder.parent / str(named)         # fetched together, wherever that was
    found_by = None if detector is None else VisionNetwork(open_model(detector), threads, backend=backend)
    return of_network(network, found_by, **options)


def of_network(network: VisionNetwork, detector: VisionNetwork | None = None, **options: Any) -> Pose2D:
    """What finds people with a network that is open already, by its family.

    Args:
        detector: of a top-down network; None = none.
        options: of `top_down.TopDown`, `blazepose.BlazePose` or `one_stage.OneStage`.

    Raises:
        InputError: an option that it does not have, or one that is out of its range.
    """
    from .blazepose import BlazePose
    from .one_stage import OneStage
    from .top_down import TopDown
    name = network.model.card.name
    if not network.vision.about.top_down:
        _known(name, options, OneStage, 'network')
        return OneStage(network, **options)
    made: type[BlazePose] | type[TopDown] = BlazePose if network.vision.family == 'blazepose' else TopDown
    _known(name, options, made, 'pose')
    return made(network, detector, **options)


def check_pose2d(name: str, backend: Backend = ON_CPU, needed: bool = True) -> None:
    """Whether there is a network of this name that this backend could run; nothing is loaded.

    Args:
        needed: it will be used; else one of the catalogue need not be here.

    Raises:
        InputError, ModelError: see `make_pose2d`.
    """
    if name not in POSE2D_NAMES:
        if needed or name not in CATALOGUE:
            _model_of(name)
    elif backend.name == 'tensorrt':
        raise InputError(f'2D network {name} runs on the CPU alone',
                         'for backend tensorrt name a model folder (selfpose model import)')


def _model_of(name: str) -> Model:
    from ...models.errors import NoModel
    from ...models.store import open_model
    try:
        model = open_model(name)
    except NoModel as error:
        if Path(name).is_file():
            raise InputError(f'2D network {name}: is a file, not a model folder',
                             f'make one of it: selfpose model import {name} --as PRESET -o FOLDER') from error
        known = dict.fromkeys((DEFAULT, *(n for n, e in CATALOGUE.items() if e.detector), *POSE2D_NAMES))
        raise InputError(f'2D network {name!r} is not known',
                         f'choose one of: {", ".join(known)}, or name a model folder') from error
    if model.card.kind != 'pose2d':
        raise InputError(f'2D network {name!r}: is a {model.card.kind}, not a 2D pose network',
                         'name a model of kind pose2d')
    return model


def options_of(texts: Sequence[str]) -> dict[str, Any]:
    """Options as typed, 'name=value'; values are YAML.

    Raises:
        InputError: another form.
    """
    out = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not (name.strip() and equals):
            raise InputError(f'option {text!r} of the 2D network: write it as name=value')
        if name.strip() == 'backend':
            raise InputError(f'option {text!r} of the 2D network: is a parameter of its own, set backend there')
        try:
            out[name.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise InputError(f'option {text!r} of the 2D network: {value!r} is no value in YAML',
                             'put it into quotes') from error
    return out


def _known(name: str, options: Mapping[str, Any], made: Callable[..., Any], *without: str) -> None:
    known = [k for k in inspect.signature(made).parameters if k not in without]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f'2D network {name!r} has no option {", ".join(unknown)}', f'it has: {", ".join(known)}')
