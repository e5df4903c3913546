# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model`: which models there are, what their cards say, whether they are sound."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .model_calibrate import add_calibrate, calibrate
from .model_convention import add_convention, convention
from .model_engine import add_build, backends_here, build, half
from .model_get import add_get, get
from .model_history import version_text

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Models are folders with model.onnx (or model.tflite) and card.yaml. MODEL is the name of a
shipped model, a model folder, or an entry of a model store (STORE/NAME), which stands for its current version."""

EXAMPLES = """examples:
  selfpose model list
  selfpose model show out/model
  selfpose model verify                      all shipped models
  selfpose model verify out/model
  selfpose model get                         what can be fetched
  selfpose model get blazepose-full          the default 2D network
  selfpose model get blazepose-full --from /media/stick
  selfpose model import rtmpose-s.onnx --as rtmpose -o ~/models/rtmpose_s
  selfpose model import yolox.onnx --as yolox --size 416x416 -o ~/models/people --picture room.jpg
  selfpose model calibrate ~/models/rtmpose_s
  selfpose model convention archives/ -o blazepose.json
  selfpose model promote out/model ~/models lifter
  selfpose model rollback ~/models lifter
  selfpose model history ~/models lifter
  selfpose model fp16 ~/models/rtmpose_s     on your own machine, before it is copied to the robot
  selfpose model build ~/models/rtmpose_s ~/models/people lifter --batch 4

show also says which backends can run the model on this machine, and why not.
verify compares the file with the hash on its card, loads the network, compares it with the card, runs it, and compares
what it gives with golden.npz, where that is in the folder: inputs and outputs that import has kept.
get fetches a 2D network of others, compares it with its hash, and makes a model folder that is known by its name; what
it needs comes along.
import makes a model folder of an ONNX or TensorFlow Lite file: 2D pose networks and detectors, as their authors export
them. It writes the card, compares it with the graph, and tries it on a picture; look at check.png in the folder.
calibrate lets a 2D network look at rendered people, puts the error that goes with each confidence on its card, where
solving begins with it, and checks it on other pictures. On photographs errors are others, and are measured in each
recording once there is a rig.
convention learns where a 2D network places hips, knees, shoulders and elbows, against where limbs turn: rightly placed,
bones do not change in length. Some minutes of people who move before four cameras or more; joints that chance explains
stay.
history shows the versions of an entry of a store: when each became current, its parent, what it has learned from, and
its figures on held-out time.
build makes TensorRT engines for this machine's GPU, which the nodes would do at their first start, and compares them
with ONNX Runtime. fp16 puts the network in half precision beside it, for such engines, if it sees the same.
exit status: 0 done, all sound; 2 not done, or not sound: the sentence says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    # on each of them as well as nowhere else: an option before the action would be overwritten by its default
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--json', action='store_true', help='as JSON')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    actions.add_parser('list', parents=[common], help='the shipped models')
    show = actions.add_parser('show', parents=[common], help='the card of a model')
    show.add_argument('model', metavar='MODEL')
    verify = actions.add_parser('verify', parents=[common], help='whether models are sound')
    verify.add_argument('model', metavar='MODEL', nargs='*', help='default: all shipped models')
    promote = actions.add_parser('promote', parents=[common], help='copy a model into a store as its current version')
    promote.add_argument('model', metavar='FOLDER', type=Path)
    rollback = actions.add_parser('rollback', parents=[common], help='make the version before the current one current')
    history = actions.add_parser('history', parents=[common], help='the versions of a model in a store, and what they '
                                                                   'learned from')
    fp16 = actions.add_parser('fp16', parents=[common], help='the network in half precision, for GPUs')
    fp16.add_argument('model', metavar='FOLDER')
    add_build(actions.add_parser('build', parents=[common], help="TensorRT engines for this machine's GPU"))
    _add_import(actions.add_parser('import', parents=[common],
                                   help='make a model folder of an ONNX or TensorFlow Lite file'))
    add_get(actions.add_parser('get', parents=[common], help='fetch a 2D network of others'))
    add_calibrate(actions.add_parser('calibrate', parents=[common],
                                     help='measure what error goes with the confidences of a 2D network'))
    add_convention(actions.add_parser('convention', parents=[common],
                                      help='learn where a 2D network places joints'))
    for of_store in (promote, rollback, history):
        of_store.add_argument('store', metavar='STORE', type=Path, help='folder of the store')
        of_store.add_argument('name', metavar='NAME', help='of the entry in it')


def _add_import(parser: argparse.ArgumentParser) -> None:
    from ..models.vision import PRESETS
    parser.add_argument('file', metavar='FILE', type=Path, help='ONNX file, or TensorFlow Lite file')
    parser.add_argument('--as', dest='preset', choices=tuple(PRESETS), required=True, help='what it is')
    parser.add_argument('-o', '--output', metavar='FOLDER', type=Path, required=True, help='model folder to make')
    parser.add_argument('--joints', metavar='SET', help='coco17, halpe26, ..., or names with commas between; default: '
                        'by their number')
    parser.add_argument('--size', metavar='WxH', help='of its input, px; default: as the graph says')
    parser.add_argument('--tensor', metavar='ROLE=NAME', action='append', default=[],
                        help='name in the graph, where it is not the usual one (image=..., x=..., dets=...)')
    parser.add_argument('--decode', metavar='NAME=VALUE', action='append', default=[],
                        help='how its output is read, where it is not the usual way (split=2.0, min_score=0.3, ...)')
    parser.add_argument('--name', default='', help='of the model; default: that of the folder')
    parser.add_argument('--licence', default='not told', help='of the weights, for the card')
    parser.add_argument('--picture', metavar='IMAGE', type=Path, help='to try it on; default: a rendered person')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    actions = {'list': _list, 'show': _show, 'verify': _verify, 'promote': _change, 'rollback': _change,
               'history': _history, 'get': _get, 'import': _import, 'build': _build, 'fp16': _half,
               'calibrate': _calibrate, 'convention': _convention}
    return actions[args.action](args)


def _print(args: argparse.Namespace, content: Any, text: str) -> None:
    sys.stdout.write(json.dumps(content, indent=1) + '\n' if args.json else text)
    sys.stdout.flush()


def _list(args: argparse.Namespace) -> int:
    from ..models.store import open_model, shipped
    models = [open_model(name) for name in shipped()]
    content = [{'name': n, 'kind': m.card.kind, 'task': m.card.task, 'method': m.card.method, 'folder': str(m.folder)}
            for n, m in zip(shipped(), models, strict=True)]
    width = max((len(t['name']) for t in content), default=0)
    lines = [f'{t["name"]:{width}}  {t["task"]} {t["kind"]}, {t["method"]}  {t["folder"]}\n' for t in content]
    _print(args, content, ''.join(lines) or 'no models are shipped with this version\n')
    return 0


def _show(args: argparse.Namespace) -> int:
    import yaml

    from ..models.store import open_model
    model = open_model(args.model)
    card = {'folder': str(model.folder), **model.card.everything, 'backends_here': backends_here(model)}
    # dates, which YAML reads as such, are text in JSON
    content = json.loads(json.dumps(card, default=str))
    _print(args, content, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110))
    return 0


def _get(args: argparse.Namespace) -> int:
    def looked(network: Any, folder: Path) -> None:
        import cv2

        from ..inference.pose2d.network import VisionNetwork
        from ..models.store import open_model
        picture, beside = _picture(None), network.model.card.everything.get('detector')
        _looked(network, picture, VisionNetwork(open_model(folder.parent / beside)) if beside else None)
        cv2.imwrite(str(folder / 'check.png'), picture)

    _print(args, *get(args, looked))
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    _print(args, *calibrate(args))
    return 0


def _convention(args: argparse.Namespace) -> int:
    _print(args, *convention(args))
    return 0


def _build(args: argparse.Namespace) -> int:
    _print(args, *build(args))
    return 0


def _half(args: argparse.Namespace) -> int:
    from ..models.store import open_model
    _print(args, *half(open_model(args.model)))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from ..models.errors import ModelError
    from ..models.store import shipped
    content, text, sound = [], [], True
    names = args.model or list(shipped())
    for name in names:
        try:
            sha256, compared = _tried(name)
        except ModelError as error:
            sound = False
            content.append({'model': name, 'sound': False, 'reason': str(error)})
            sys.stderr.write(f'selfpose model: error: {error}\n')
        else:
            content.append({'model': name, 'sound': True, 'sha256': sha256, 'compared': compared})
            text.append(f'{name}: sound, sha256 {sha256}' + ', outputs as when it was imported' * compared + '\n')
    _print(args, content, ''.join(text) if names else 'no models are shipped with this version\n')
    return 0 if sound else 2


def _tried(name: str) -> tuple[str, bool]:
    """Load a model and run it; the hash of its file, and whether there was something to compare its outputs with."""
    import numpy as np

    from ..inference.errors import InputError, OutputError
    from ..inference.lifter import Lifter
    from ..inference.pose2d.network import VisionNetwork
    from ..inference.reference_outputs import check_reference
    from ..inference.session import OrtSession
    from ..models.errors import ModelError
    from ..models.store import open_model
    model = open_model(name)
    try:
        if model.card.kind == 'lifter':
            Lifter(model)
            return model.card.sha256, check_reference(model, OrtSession(model.file))
        network = VisionNetwork(model)
        w, h = network.vision.size
        network.look(np.full((h, w, 3), 114, np.uint8))
        return model.card.sha256, check_reference(model, network.session)
    except (InputError, OutputError) as error:             # that the graph refuses its own inputs counts, too
        raise ModelError.of(error) from error


def _import(args: argparse.Namespace) -> int:
    import cv2

    from ..inference.pose2d import options_of
    from ..inference.pose2d.importing import Request, import_model
    from ..inference.pose2d.network import VisionNetwork
    from ..models.errors import ModelError
    picture = _picture(args.picture)
    size = None
    if args.size:
        try:
            w, h = (int(s) for s in args.size.lower().split('x'))
            size = (w, h)
        except ValueError:
            raise ModelError(f'--size {args.size}: write it as WIDTHxHEIGHT, for instance 192x256') from None
    joints = tuple(j.strip() for j in args.joints.split(',')) if args.joints else ()
    content: list[tuple[int, str]] = []

    def trial(network: VisionNetwork, folder: Path) -> None:
        content.append(_looked(network, picture))
        cv2.imwrite(str(folder / 'check.png'), picture)

    network = import_model(Request(args.file, args.output, args.preset, joints, size, _tensors(args.tensor),
                                   options_of(args.decode), args.name, args.licence), trial)
    (found, words), check = content[0], args.output / 'check.png'
    card = network.model.card
    _print(args, {'folder': str(args.output), 'kind': card.kind, 'family': card.task, 'joints': len(card.joints),
                'sha256': card.sha256, 'people': found, 'picture': str(check)},
         f'{args.output}: {card.kind}, {card.task}, {network.vision.size[0]} x {network.vision.size[1]} px'
         + (f', {len(card.joints)} joints' if card.joints else '') + f'\n{words}; look at {check}\n')
    return 0


def _tensors(texts: list[str]) -> dict[str, str]:
    """Role -> name. Names are taken as they are: many exporters call tensors by numbers."""
    from ..models.errors import ModelError
    out = {}
    for text in texts:
        role, equals, name = text.partition('=')
        if not (role and equals and name):
            raise ModelError(f'--tensor {text}: write it as name=value')
        out[role.strip()] = name.strip()
    return out


def _picture(path: Path | None) -> Any:
    """An image with a person in it, (H, W, 3) uint8 BGR."""
    import cv2

    from ..models.errors import ModelError
    if path is None:
        from ..demo.film import make_film
        film = make_film(1, 1., 3, 1., (640, 480), workers=0)
        return film.image(0)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise ModelError('no image that can be read', 'name a JPEG or PNG file with a person in it', place=path)
    return image


def _looked(network: Any, picture: Any, detector: Any = None) -> tuple[int, str]:
    """Try a network on a picture, and draw into it what it saw: number of people, and a sentence."""
    import cv2
    import numpy as np

    from ..core.skeleton import joint_map
    from ..io.overlay import draw_bones, draw_keypoints
    h, w = picture.shape[:2]
    if network.vision.about.top_down:
        from ..inference.pose2d import of_network
        people = of_network(network, detector).infer(picture.copy())
        points, confidence = people.keypoints, people.confidence
    else:
        seen = network.find(picture.copy())
        for x1, y1, x2, y2 in np.round(seen.boxes).astype(int).tolist():
            cv2.rectangle(picture, (x1, y1), (x2, y2), (240, 240, 240), 2)
        if seen.points is None or network.model.card.kind == 'detector':
            return len(seen.boxes), f'{len(seen.boxes)} boxes in a picture of {w} x {h} px'
        points, confidence = seen.points, np.clip(seen.confidence, 0, 1)
    to_17 = joint_map(network.model.card.joints)
    for p, c in zip(points, confidence, strict=True):
        seventeen = to_17.apply(p, c)
        draw_keypoints(draw_bones(picture, seventeen[0]), *seventeen)
    sure = f', mean confidence {float(confidence.mean()):.2f}' if len(points) else ''
    return len(points), f'{len(points)} people in a picture of {w} x {h} px{sure}'


def _change(args: argparse.Namespace) -> int:
    from ..models.store import promote, rollback
    model = promote(args.model, args.store, args.name) if args.action == 'promote' else rollback(args.store, args.name)
    _print(args, {'version': model.folder.name, 'folder': str(model.folder), 'sha256': model.card.sha256},
         f'{args.store / args.name}: version {model.folder.name} is current\n')
    return 0


def _history(args: argparse.Namespace) -> int:
    from ..models.store import history
    found = history(args.store / args.name)
    _print(args, found, ''.join(map(version_text, found)))
    return 0
