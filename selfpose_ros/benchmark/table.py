# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The table of a report."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.table import Table

    from .run import Report

__all__ = ['shown', 'table_of']

def shown(value: float, unit: str) -> str:
    """A number with its unit; shares in percent."""
    if np.isinf(value):
        return 'never'
    if not np.isfinite(value):
        return 'not measured'
    if unit == '%':
        return f'{100 * value:.1f} %'
    digits = 2 if abs(value) < 10 else 1
    return f'{value:.{digits}f} {unit}'.strip()


def table_of(report: Report) -> Table:
    """One line for each row."""
    from rich.table import Table
    table = Table(title=report.title, title_justify='left')
    for name, kind in (('row', 'left'), ('what', 'left'), ('measured', 'right'), ('note', 'left')):
        table.add_column(name, justify=kind, no_wrap=name in ('row', 'measured'))  # type: ignore[arg-type]
    last = ''
    for r in report.rows:
        table.add_row(r.name if r.name != last else '', r.what, shown(r.value, r.unit), r.note)
        last = r.name
    return table
