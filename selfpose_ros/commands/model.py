# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model`: which models there are, what their cards say, whether they are sound."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Models are folders with model.onnx and card.yaml. MODEL is the name of a shipped model, a model folder,
or an entry of a model store (STORE/NAME), which stands for its current version."""

EXAMPLES = """examples:
  selfpose model list
  selfpose model show out/model
  selfpose model verify                      all shipped models
  selfpose model verify out/model
  selfpose model promote out/model ~/models lifter
  selfpose model rollback ~/models lifter

verify compares the file with the hash on its card, loads the network, compares it with the card and runs it.
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
    for changing in (promote, rollback):
        changing.add_argument('store', metavar='STORE', type=Path, help='folder of the store')
        changing.add_argument('name', metavar='NAME', help='of the entry in it')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return {'list': _list, 'show': _show, 'verify': _verify, 'promote': _change, 'rollback': _change}[args.action](args)


def _say(args: argparse.Namespace, told: Any, text: str) -> None:
    sys.stdout.write(json.dumps(told, indent=1) + '\n' if args.json else text)
    sys.stdout.flush()


def _list(args: argparse.Namespace) -> int:
    from ..models.store import open_model, shipped
    models = [open_model(name) for name in shipped()]
    told = [{'name': n, 'kind': m.card.kind, 'task': m.card.task, 'method': m.card.method, 'folder': str(m.folder)}
            for n, m in zip(shipped(), models, strict=True)]
    width = max((len(t['name']) for t in told), default=0)
    lines = [f'{t["name"]:{width}}  {t["task"]} {t["kind"]}, {t["method"]}  {t["folder"]}\n' for t in told]
    _say(args, told, ''.join(lines) or 'no models are shipped with this version\n')
    return 0


def _show(args: argparse.Namespace) -> int:
    import yaml

    from ..models.store import open_model
    model = open_model(args.model)
    card = {'folder': str(model.folder), **model.card.everything}
    # dates, which YAML reads as such, are text in JSON
    told = json.loads(json.dumps(card, default=str))
    _say(args, told, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from ..inference.lifter import open_lifter
    from ..models.errors import ModelError
    from ..models.store import shipped
    told, text, sound = [], [], True
    names = args.model or list(shipped())
    for name in names:
        try:
            lifter = open_lifter(name)
        except ModelError as error:
            sound = False
            told.append({'model': name, 'sound': False, 'reason': str(error)})
            sys.stderr.write(f'selfpose model: error: {error}\n')
        else:
            told.append({'model': name, 'sound': True, 'sha256': lifter.model.card.sha256})
            text.append(f'{name}: sound, sha256 {lifter.model.card.sha256}\n')
    _say(args, told, ''.join(text) if names else 'no models are shipped with this version\n')
    return 0 if sound else 2


def _change(args: argparse.Namespace) -> int:
    from ..models.store import promote, rollback
    model = promote(args.model, args.store, args.name) if args.action == 'promote' else rollback(args.store, args.name)
    _say(args, {'version': model.folder.name, 'folder': str(model.folder), 'sha256': model.card.sha256},
         f'{args.store / args.name}: version {model.folder.name} is current\n')
    return 0
