"""Packages that only some users need, asked for where they are needed."""

from __future__ import annotations

import importlib
import importlib.util

from evolift.posedata.errors import InputError


def require_extra(extra: str, *packages: str) -> None:
    """Refuse to go on without the packages of an extra of the distribution.

    Args:
        extra: its name in pyproject.toml, for example "render".
        packages: that must be importable; importing them is the check.

    Raises:
        InputError: one is missing, or lacks what it needs itself.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InputError(
                f'the package {error.name or package} is missing: pip install "evolift[{extra}]"'
            ) from None


def require_installed(extra: str, package: str) -> None:
    """As `require_extra`, without importing the package: for what another process will import later.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(f'the package {package} is missing: pip install "evolift[{extra}]"')
