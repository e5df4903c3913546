# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page of the architecture names files and folders that there are, and every folder of the code."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'selfpose_ros'
PAGE = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
PICTURE = PAGE.split('```')[1]
#: where names without a folder lie
HOMES = (ROOT, PACKAGE, PACKAGE / 'core', PACKAGE / 'nodes', PACKAGE / 'inference', PACKAGE / 'io', ROOT / 'training')
#: of errors, and of an import
OTHER_WORDS = {'place', 'what', 'remedy', 'selfpose_training'}


def there(name: str) -> bool:
    return any((home / name).exists() or (home / f'{name}.py').exists() for home in HOMES)


def named() -> set[str]:
    """In the text between backticks, in the picture after a room's name and in the right column of the box."""
    rooms = '|'.join(d.name for d in PACKAGE.iterdir() if d.is_dir())
    column = ' '.join(re.findall(r' {2,}((?:[a-z_]+/?(?:, )?)+) *\|$', PICTURE, re.MULTILINE))
    return (set(re.findall(r'`([a-z0-9_/]+(?:\.[a-z]+)?)`', PAGE)) | set(re.findall(r'[a-z_]+/?', column))
            | set(re.findall(rf'(?<![\w/~>])(?:{rooms})/\w*', PICTURE))) - OTHER_WORDS


def folders() -> list[str]:
    """Those that hold code, as they stand below the package or the training."""
    return sorted({str(f.parent.relative_to(home)) for home in (PACKAGE, ROOT / 'training') for f in home.rglob('*.py')}
                  - {'.'})


def test_what_the_page_names_is_there() -> None:
    assert {'rig_glide', 'nodes/view_maker', 'core/radial.py', 'tracks/', 'person_view', 'core/'} <= named()
    assert not [name for name in sorted(named()) if not there(name)]


@pytest.mark.parametrize('folder', folders())
def test_every_folder_of_the_code_is_on_the_page(folder: str) -> None:
    own = folder.rsplit('/', 1)[-1]
    assert {f'{folder}/', f'{own}/'} & named() or any(name.startswith(f'{folder}/') for name in named())
