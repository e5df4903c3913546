# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What tests ask of an error: its class, its fields, and in one test the text that goes with it."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ['raises']


@contextmanager
def raises(kind: type[Exception], match: str | None = None, **fields: object) -> Iterator[pytest.ExceptionInfo]:
    """As pytest.raises, and the error has fields of these names with these texts."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    assert {name: getattr(caught.value, name) for name in fields} == {name: str(f) for name, f in fields.items()}
