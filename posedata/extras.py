"""Packages that only some users need, asked for where they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from evolift.posedata.errors import InputError

_NO_USER_S = {"all", "dev", "docs"}


def install_command(extra: str) -> str:
    """How to get the packages of an extra, by the way that evolift itself was installed: from a clone, a file or an index.

    Args:
        extra: its name in pyproject.toml, for example "render".
    """
    try:
        told = metadata.distribution("evolift").read_text("direct_url.json")
        source = json.loads(told) if told else {}
    except metadata.PackageNotFoundError:  # run from a clone that is not installed
        return f'pip install -e ".[{extra}]" in the clone of evolift'
    url = str(source.get("url", ""))
    if not url:
        return f'pip install "evolift[{extra}]"'
    if url.startswith("file:") and "dir_info" in source:
        folder = Path(url2pathname(unquote(urlsplit(url).path)))
        editable = "-e " if source["dir_info"].get("editable") else ""
        return f'pip install {editable}"{folder}[{extra}]"'
    vcs = source.get("vcs_info", {}).get("vcs")
    return f'pip install "evolift[{extra}] @ {f"{vcs}+" if vcs else ""}{url}"'


def packages_of_extras() -> dict[str, list[str]]:
    """The packages of each extra that users may want, by the name of the extra; empty if evolift is not installed."""
    try:
        requirements = metadata.requires("evolift") or []
    except metadata.PackageNotFoundError:
        return {}
    extras: dict[str, list[str]] = {}
    for requirement in requirements:
        found = re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", requirement)
        if found is not None and found[2] not in _NO_USER_S:
            extras.setdefault(found[2], []).append(found[1])
    return extras


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
                f"the package {error.name or package} is missing: {install_command(extra)}"
            ) from None


def require_installed(extra: str, package: str) -> None:
    """As `require_extra`, without importing the package: for what another process will import later.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(f"the package {package} is missing: {install_command(extra)}")
