"""The run-time checker that tests put on every function of the package: beartype, with an int taken for a float.

It is silent while torch captures a graph for export: jaxtyping compares sizes as numbers, which would fix those that
are symbols there.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Any) -> Any:
    """The function or class with its checks."""
    if isinstance(function, type):
        return _beartype(function)
    with_checks: Callable[..., Any] = _beartype(function)

    @functools.wraps(with_checks)
    def call(*arguments: Any, **named: Any) -> Any:
        torch = sys.modules.get("torch")
        is_captured = torch is not None and torch.compiler.is_compiling()
        return (function if is_captured else with_checks)(*arguments, **named)

    return call
