# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One entry of a card set anew; the rest stays as somebody wrote it, comments and order included."""
from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from .card import CARD

__all__ = ['set_on_card']


def set_on_card(folder: Path, key: str, value: Any) -> None:
    """Replace an entry of the card of a model folder, or put it at the end; in one step.

    Args:
        key: of the card's mapping.  value: what YAML can hold.

    Raises:
        OSError: the folder cannot be written.
    """
    card = folder / CARD
    # an entry goes on for as long as lines are indented, or are items of a list
    text = re.sub(rf'^{re.escape(key)}:.*\n?(?:[ \t-].*\n?)*', '', card.read_text(encoding='utf-8'), flags=re.M)
    # lists of numbers in a line each; a mapping of plain values alone would be put into braces, key and all
    flow = None if isinstance(value, list | dict) else False
    entry = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=110)
    part = card.with_name(f'.{CARD}.{os.getpid()}.part')
    try:
        part.write_text(f'{text.rstrip()}\n{entry}', encoding='utf-8')
        os.replace(part, card)
    finally:
        with suppress(OSError):
            part.unlink()
