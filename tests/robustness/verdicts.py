"""Reads damaged files in a forked child and says what became of each.

The child has limits of processor time and memory, and may die: the parent then knows at which file, and forks another for
the rest. What is allowed is the right values, a plain refusal, or other values that may be true.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import hashlib
import multiprocessing
import os
import re
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import click
import jaxtyping
import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from evolift.posedata.errors import EvoliftError
from evolift.posedata.poses import Poses

resource: Any = pytest.importorskip("resource")  # as forks, not on Windows

ALLOWED = ("right", "refused", "plausible")
FORBIDDEN = ("traceback", "hang", "crash", "nonsense", "message", "warning", "litter")
VERDICTS = (*ALLOWED, *FORBIDDEN)
CPU_SECONDS = 5.0
"""For one small file: a hundred times what a sound one takes."""
SILENT_SECONDS = 300.0
"""After which a child that says nothing, and takes no processor time either, is given up."""
MEMORY = 2 * 2**30
"""Bytes that a child may take beyond what it was forked with."""
_ROOT = Path(__file__).parents[2]
_ROOMS = (
    "posedata",
    "training",
    "drawing",
    "synthetic",
    "evolution",
    "detector2d",
    "lifter",
    "chain",
    "prediction",
    "cli",
)
_FOREIGN = re.compile(
    r"\b\w+(?:Error|Exception|Warning)\b|Traceback|<class |<\S+ object|object at 0x|weights_only|NoneType|dtype\(|np\.\w+\(|array\(\["
    r"|Expected `|invalid literal for|could not convert|not subscriptable|unsupported operand|list ind|unhashable|has no attribute"
    r"|unexpected keyword"
)
"""Words of Python and of other packages' own errors, which are not for users."""
_LONGEST = 1000

FLOOR, CEILING = 100.0, 2600.0
"""Of what the farthest joint of most people is away from the root, mm: a new-born to someone who reaches up."""
METRES, PIXELS = 101e3, 1e6
"""Beyond which no joint lies, mm and px."""


class Verdict(NamedTuple):
    """What became of a damaged file: one of `VERDICTS`, how, and where in the package."""

    name: str
    what: str = ""
    where: str = ""


class _OutOfTimeError(BaseException):
    pass


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Plain values and arrays of what a reader gave, each with its place."""
    if isinstance(value, nn.Module):
        value = {"tensors": dict(value.state_dict()), "settings": getattr(value, "settings", None)}
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, pd.Categorical):
        value = list(value)
    if isinstance(value, pd.DataFrame):
        value = {str(name): column.to_numpy() for name, column in value.items()}
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value, enc_hook=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def digest(value: Any) -> str:
    """A hash of all that a reader gave; where the file lies is not part of it."""
    made = hashlib.sha256()
    for path, leaf in leaves(value):
        if isinstance(leaf, np.ndarray) and leaf.dtype != object:
            text = f"{leaf.dtype.str}{leaf.shape}".encode() + leaf.tobytes()
        else:
            text = repr(leaf.tolist() if isinstance(leaf, np.ndarray) else leaf).encode(
                "utf-8", "surrogateescape"
            )
        made.update(path.encode("utf-8", "replace") + text)
    return made.hexdigest()


def nonsense_of(value: Any, bound: float = np.inf) -> str | None:
    """What cannot be true of the values that a reader gave; NaN is how unknown numbers are told.

    Args:
        value: as the reader gave it.
        bound: what no number of it may reach.
    """
    for path, leaf in leaves(value):
        if (
            isinstance(leaf, (float, np.ndarray))
            and (array := np.asarray(leaf)).dtype.kind == "f"
            and array.size
        ):
            if np.isinf(array).any():
                return f"{path} is infinite"
            if (np.abs(array[np.isfinite(array)]) >= bound).any():
                return f"{path} holds {np.nanmax(np.abs(array)):.3g}"
    return None


def nonsense_of_poses(poses: Poses) -> str | None:
    """What cannot be true of poses: people of no human size, joints far away from the studio or the image."""
    if poses.joints_3d is not None:
        joints = poses.joints_3d.astype(np.float64)
        if np.isinf(joints).any() or (np.abs(joints[np.isfinite(joints)]) > METRES).any():
            return f"a joint is at {np.nanmax(np.abs(joints)):.3g} mm"
        reach = np.nanmax(np.linalg.norm(joints - joints[:, :1], axis=-1), 1)
        if not FLOOR < np.nanmedian(reach) < CEILING:
            return f"people reach {np.nanmedian(reach):.3g} mm"
    for name in ("joints_2d", "box"):
        pixels = getattr(poses, name)
        if pixels is not None and not (np.abs(pixels) < PIXELS).all():
            return f"{name} holds {np.abs(pixels).max():.3g} px"
    return None


def message_fault(message: str, names: Sequence[str]) -> str | None:
    """Why a refusal is not one plain sentence that names the file, if it is not."""
    if not message.strip():
        return "empty"
    if "\n" in message.strip():
        return "several lines"
    if not message.isprintable():
        return "unprintable"
    if len(message) > _LONGEST:
        return "longer than a sentence"
    if found := _FOREIGN.search(message):
        return f"words of Python ({found[0]})"
    if not any(name in message for name in names):
        return "does not name the file"
    return None


def _place_of(error: BaseException) -> str:
    """Innermost line of the package that an error passed."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()
        if path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _ROOMS:
            return f"{path.relative_to(_ROOT).as_posix()}:{frame.name}"
    return ""


def verdict_of(
    read: Callable[[], Any], names: Sequence[str], sound: str, nonsense: Callable[[Any], str | None]
) -> Verdict:
    """Read once in this process.

    Args:
        read: gives the values of the file.
        names: of the file, one of which a refusal must have.
        sound: `digest` of the values of the sound file.
        nonsense: says what cannot be true of the values.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            values = read()
            made = digest(values)
        except EvoliftError as error:
            fault = message_fault(str(error), names)
            return (
                Verdict("message", f"{fault}: {str(error)[:300]!r}", _place_of(error))
                if fault
                else Verdict("refused")
            )
        except click.ClickException as error:
            fault = message_fault(error.format_message(), names)
            return (
                Verdict("message", f"{fault}: {error.format_message()[:300]!r}", _place_of(error))
                if fault
                else Verdict("refused")
            )
        except _OutOfTimeError as error:
            return Verdict("hang", f"over {CPU_SECONDS:g} s", _place_of(error))
        except BaseException as error:  # whatever escapes is what the suite looks for
            first = (str(error).splitlines() or [""])[0][:160]
            return Verdict("traceback", f"{type(error).__name__}: {first}", _place_of(error))
    if (what := nonsense(values)) is not None:
        return Verdict("nonsense", what)
    if warned:
        return Verdict(
            "warning",
            f"{warned[0].category.__name__}: {str(warned[0].message)[:160]}",
            Path(warned[0].filename).name,
        )
    return Verdict("right" if made == sound else "plausible")


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise _OutOfTimeError


def _limit_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # not Linux
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _child(judge: Callable[[int], Verdict], todo: range, pipe: Connection) -> None:
    """Judge all, and never come back into the program that was forked."""
    try:
        faulthandler.disable()  # pytest's writes into the terminal
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):  # what C libraries say of damaged files
            os.dup2(nothing, stream)
        jaxtyping.config.update("jaxtyping_disable", True)  # the shape checks of tests: users have none
        _limit_memory()
        signal.signal(signal.SIGPROF, _out_of_time)
        for index in todo:
            # The timer tells where it hangs; what never comes back to Python is ended by the limit.
            used, hard = (
                sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
                resource.getrlimit(resource.RLIMIT_CPU)[1],
            )
            resource.setrlimit(resource.RLIMIT_CPU, (int(used + 2 * CPU_SECONDS) + 1, hard))
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            try:
                verdict = judge(index)
            except _OutOfTimeError:
                verdict = Verdict("hang", f"over {CPU_SECONDS:g} s")
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send(verdict)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def judged(judge: Callable[[int], Verdict], count: int) -> list[Verdict]:
    """The verdicts of `judge(0)`, `judge(1)` ... `judge(count - 1)`, each called in a forked child."""
    verdicts: list[Verdict] = []
    while len(verdicts) < count:
        here, there = multiprocessing.Pipe(duplex=False)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of forks beside threads: pytest-xdist's only wait
            pid = os.fork()
        if not pid:
            here.close()
            _child(judge, range(len(verdicts), count), there)
        there.close()
        is_silent = False
        with here, contextlib.suppress(EOFError):
            while not (is_silent := not here.poll(SILENT_SECONDS)):
                verdicts.append(here.recv())
        if is_silent:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if len(verdicts) < count:
            verdicts.append(_end_of_child(status, is_silent=is_silent))
    return verdicts


def _end_of_child(status: int, *, is_silent: bool) -> Verdict:
    if is_silent:
        return Verdict("hang", f"no word for {SILENT_SECONDS:g} s")
    if not os.WIFSIGNALED(status):
        return Verdict("crash", f"exit code {os.waitstatus_to_exitcode(status)}")
    ended_by = signal.Signals(os.WTERMSIG(status))
    return Verdict("hang", "in C") if ended_by == signal.SIGXCPU else Verdict("crash", ended_by.name)
