# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model history`: the versions of a model in a store as lines of text."""
from __future__ import annotations

from typing import Any

from ..models.store import HELD_OUT

__all__ = ['version_text']


def version_text(row: dict[str, Any]) -> str:
    """Of `models.store.history`, for people."""
    lines = [f'{row["version"]}  {row["state"]}' + ''.join(f'; {e["action"]} {e["time"]}' for e in row['events'])]
    if 'fault' in row:
        return '\n'.join([*lines, f'      {row["fault"]}', ''])
    lines.append(f'      {row["name"]}, {row["method"]}, sha256 {row["sha256"][:12]}, made {row["created"]}')
    if row['parent']:
        lines.append(f'      parent: {row["parent"].get("name")}, sha256 {str(row["parent"].get("sha256"))[:12]}')
    lines += [f'      learned from: {r["name"]}, sha256 {str(r["sha256"])[:12]}' for r in row['recordings']]
    for unit, key in HELD_OUT.items():
        figures = row[key] if isinstance(row[key], dict) else {}
        before, after = figures.get('before', {}), figures.get('after', {})
        lines += [f'      held-out time, {n.replace("_", "-").upper()}: {before[n]:.1f} -> {after[n]:.1f} {unit}'
                  for n in before if n in after]
    return '\n'.join([*lines, ''])
