"""`evolift doctor`: what works on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import rich_click as click

from evolift.cli.options import RecipeCommand

RENDERING = "from evolift.synthetic.rendering.renderer import Renderer\nwith Renderer(32): pass"
SECONDS = 300
"""That a first image may take on a busy machine."""


@click.command(cls=RecipeCommand)
def doctor() -> None:
    """Tell what of evolift works here: Python, torch, GPU, extras, rendering, cores, memory; and how to mend the rest.

    Example: evolift doctor
    """
    for name, told in (*_machine(), *_torch(), *_extras()):
        click.echo(f"{name:<12} {told}")


def _machine() -> Iterator[tuple[str, str]]:
    from evolift.posedata.version import __version__

    yield "evolift", __version__
    yield "Python", f"{platform.python_version()}, {sys.executable}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", str(cores)
    try:
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):  # Windows
        memory = "unknown"
    yield "memory", memory


def _torch() -> Iterator[tuple[str, str]]:
    import torch

    yield "torch", torch.__version__
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        yield "GPU", f"CUDA {torch.version.cuda}: {', '.join(names)}"
    elif torch.backends.mps.is_available():
        yield "GPU", "MPS (Apple); predict and evaluate take it by --device mps"
    elif torch.version.cuda is None:
        yield (
            "GPU",
            "none, and this torch is for CPUs; with an NVIDIA GPU see https://pytorch.org/get-started",
        )
    else:
        yield "GPU", "none that torch can use; with an NVIDIA GPU look at its driver by nvidia-smi"


def _extras() -> Iterator[tuple[str, str]]:
    from evolift.posedata.extras import install_command, packages_of_extras

    extras = packages_of_extras()
    if not extras:
        yield "extras", "unknown: evolift is not installed, pip install -e . in its clone"
    for extra, packages in extras.items():
        missing = [package for package in packages if not _is_installed(package)]
        told = f"missing ({', '.join(missing)}): {install_command(extra)}" if missing else "installed"
        yield f"[{extra}]", told
        if extra == "render" and not missing:
            yield "rendering", _rendering()


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _rendering() -> str:
    """Whether people can be rendered; in a process of its own, which OpenGL may end."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", RENDERING], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"does not work: nothing within {SECONDS} s; try again when the machine is idle"
    if run.returncode == 0:
        return "works"
    said = run.stderr.strip().splitlines()
    return f"does not work: {said[-1].partition('InputError: ')[2] or said[-1]}" if said else "does not work"
