# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model get`: 2D networks of others, from the catalogue into the folder where they are known by name."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .progress import ProgressDisplay

__all__ = ['add_get', 'get']


def add_get(parser: argparse.ArgumentParser) -> None:
    """Arguments of the action."""
    parser.add_argument('name', metavar='NAME', nargs='*', help='of the catalogue; default: say what is in it')
    parser.add_argument('--folder', metavar='DIR', type=Path,
                        help='of the models (default: $SELFPOSE_MODELS, or ~/.local/share/selfpose/models)')
    parser.add_argument('--from', dest='offline', metavar='DIR', type=Path,
                        help='folder with files that were copied here; no network is asked')
    parser.add_argument('--mirror', metavar='URL', default='', help='where the files lie by their names, instead of '
                        'where their makers have them')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def get(args: argparse.Namespace, trial: Callable[[Any, Path], None]) -> tuple[Any, str]:
    """Fetch the networks that are named, or say what there is: what to tell, and as text.

    Raises:
        ModelError, InferenceError: see `inference.pose2d.getting.get_model`.
    """
    from ..models.catalogue import CATALOGUE, entry, models_folder
    root = args.folder or models_folder()
    if not args.name:
        width = max(map(len, CATALOGUE))
        content = [{'name': e.name, 'licence': e.licence, 'about': e.about, 'megabytes': e.size_mb, 'sha256': e.sha256,
                 'source': e.source, 'here': (root / e.name).is_dir()} for e in CATALOGUE.values()]
        return content, ''.join(f'{e.name:{width}}  {e.licence}, {e.size_mb:.0f} MB, {e.about}'
                             f'{"; is here" * (root / e.name).is_dir()}\n{"":{width}}  {e.source}\n'
                             for e in CATALOGUE.values()) + f'they are kept in {root}\n'
    for name in args.name:                                 # before the first one is fetched
        entry(name)
    from ..inference.pose2d.getting import get_model
    found: dict[str, tuple[Any, bool]] = {}
    with ProgressDisplay(quiet=args.quiet) as display:
        def progress(what: str, done: int, total: int) -> None:
            display(f'{what} (MB)', round(done / 1e6), round(total / 1e6))

        for name in args.name:
            here, new = get_model(name, args.folder, mirror=args.mirror, offline=args.offline, progress=progress,
                                  trial=trial)
            for models, fetched in ((here, False), (new, True)):
                for m in models:
                    found.setdefault(m.card.name, (m, fetched))
    content = [{'name': n, 'folder': str(m.folder), 'sha256': m.card.sha256, 'licence': m.card.licence,
                'fetched': fetched} for n, (m, fetched) in found.items()]
    return content, ''.join(f'{n}: {"fetched into" if fetched else "is here already, sound:"} {m.folder} '
                         f'({m.card.licence})\n' for n, (m, fetched) in found.items())
