# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A node whose model may be another one while it works: by its parameter, `~/reload_model` and `~/rollback_model`."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from std_srvs.srv import Trigger

from ..inference.errors import InferenceError
from ..models.errors import ModelError
from .declaration import ros_parameter
from .diagnostics import Entry
from .errors import NodeError, ParameterError
from .managed_node import ManagedNode
from .memory import give_back
from .model_swap import ModelSwap
from .parameters import Settings, table
from .thread_end import PATIENCE_S

__all__ = ['SwappingNode']

#: how often it is looked whether a model is loaded, s
_TEND_S = .1


class SwappingNode(ManagedNode[Settings]):
    """Subclasses call `_swap_models` in `_configure`, and fill in `_check_model`."""

    #: parameters that mean the model, that of its name first
    MODEL_PARAMETERS: tuple[str, ...] = ()

    def __init__(self, name: str, settings: type[Settings], **kwargs: Any) -> None:
        self._swap: ModelSwap[Any] | None = None
        super().__init__(name, settings, **kwargs)         # type: ignore[arg-type]  # mypy compares per class
        self.create_service(Trigger, '~/reload_model', self._on_reload)
        self.create_service(Trigger, '~/rollback_model', self._on_rollback)

    def _check_model(self, settings: Settings) -> None:
        """Raise at once what a look at the names shows; nothing is loaded."""

    def _swap_models(self, swap: ModelSwap[Any]) -> None:
        """This one, from now on until `_close_models`; it has its first model."""
        self._swap = swap
        self.every(_TEND_S, self._tend)

    def _close_models(self) -> None:
        swap, self._swap = self._swap, None
        if swap is not None:
            self._left_behind(swap.close(PATIENCE_S))

    def _model_values(self, settings: Settings) -> Mapping[str, Any]:
        return {name: getattr(settings, name) for name in self.MODEL_PARAMETERS}

    # -- parameters

    def _check(self, settings: Settings) -> None:
        super()._check(settings)                           # type: ignore[arg-type]
        if self._swap is None or self._model_values(settings) == self._swap.wanted:
            return
        try:
            self._check_model(settings)
        except (ModelError, InferenceError, NodeError) as error:
            raise ParameterError.of(error).within(f'parameter {self.MODEL_PARAMETERS[0]}') from error

    def _changed(self) -> None:
        super()._changed()
        if self._swap is not None and (values := self._model_values(self.settings)) != self._swap.wanted:
            self.get_logger().info(self._swap.request(values))

    def _tend(self) -> None:
        """Parameters follow what really runs."""
        if self._swap is None or not self._swap.tend():
            return
        self._follow()
        give_back()

    def _follow(self) -> None:
        assert self._swap is not None
        known = {p.name: p for p in table(self._kind)}
        self.set_parameters_atomically([ros_parameter(known[name], value)
                                        for name, value in self._swap.wanted.items()])

    # -- services

    def _on_reload(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            swap = self._changeable()
            self._check_model(self.settings)
            response.success, response.message = True, swap.request(self._model_values(self.settings))
        except (ModelError, InferenceError, NodeError) as error:
            response.success, response.message = False, str(error)
        return response

    def _on_rollback(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.success, response.message = True, self._changeable().rollback()
            self._follow()
        except NodeError as error:
            response.success, response.message = False, str(error)
        return response

    def _changeable(self) -> ModelSwap[Any]:
        if self._swap is None:
            raise NodeError(f'{self.get_name()} is not configured; configure it first')
        return self._swap

    # -- diagnostics

    def _model_entries(self) -> Sequence[Entry]:
        return [] if self._swap is None else [self._swap.entry()]
