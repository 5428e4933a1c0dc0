"""Running one stage: in its folder, with a log, and a record by which a later run knows that it is finished.

    stages/NAME/stage.json    key, command line, seconds and processor seconds so far, and, once finished, hashes of its products
    stages/NAME/log.txt       the command line and what it printed, one attempt behind the other
    stages/NAME/run, ...      its output

An interrupted training goes on where it stopped; all other stages begin anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evolift.cli.reproducing.stages import TRAININGS, Stage
from evolift.posedata.errors import InputError
from evolift.posedata.output_file import sha256_of, write_json

RECORD, LOG, LOCK = "stage.json", "log.txt", "lock"

Execute = Callable[[Sequence[str], IO[str], int], int]
"""Runs the words behind `evolift`, prints into a log, holds a lock's file descriptor open; gives the exit code."""


@dataclass(frozen=True)
class StageResult:
    """How a stage ended.

    Args:
        problem: one sentence that names the log; None if it is finished.
        seconds: of all attempts.
        was_finished: it was there already.
    """

    problem: str | None
    seconds: float
    was_finished: bool = False


def in_a_process(words: Sequence[str], log: IO[str], lock: int) -> int:
    """Run the command in a process of its own, which does not outlive this one if that is interrupted.

    The process holds the lock too, so that a stage whose parent was killed is not begun a second time beside it.
    """
    command = [sys.executable, "-m", "evolift", *words]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, pass_fds=(lock,))
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def run_stage(stage: Stage, root: Path, execute: Execute = in_a_process) -> StageResult:
    """Run a stage, or find it finished.

    Args:
        stage: whose stages before it are finished.
        root: folder of the whole.
        execute: runs the command.

    Raises:
        InputError: another process is running it.
    """
    folder = stage.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder) as lock:
        record = _read_record(folder)
        before = float(record.get("seconds", 0.0))
        if is_finished(stage, root):
            return StageResult(None, before, was_finished=True)
        words = [*stage.words(root), *_how_to_begin(stage, folder)]
        start, cpu = time.perf_counter(), _cpu_of_children()
        code: int | None = None
        try:
            with (folder / LOG).open("a", encoding="utf-8") as log:
                log.write(f"$ evolift {shlex.join(words)}\n")
                log.flush()
                code = execute(words, log, lock)
        finally:
            seconds = before + time.perf_counter() - start
            cpu = float(record.get("cpu_seconds", 0.0)) + _cpu_of_children() - cpu
            products = {name: folder / name for name in stage.products}
            missing = [name for name, path in products.items() if not path.is_file()]
            is_whole = code == 0 and not missing
            hashes = {name: sha256_of(path) for name, path in products.items()} if is_whole else {}
            write_json(
                folder / RECORD,
                {"key": stage.key, "command": f"evolift {shlex.join(words)}", "seconds": round(seconds, 1)}
                | {"cpu_seconds": round(cpu, 1), "products": hashes},
            )
        if is_whole:
            return StageResult(None, seconds)
        why = f"ended with exit code {code}" if code else f"did not write {', '.join(missing)}"
        said = _last_error(folder / LOG)
        return StageResult(f"evolift {stage.command} {why}{said}: see {folder / LOG}", seconds)


def is_finished(stage: Stage, root: Path) -> bool:
    """Whether its record has its key, and its products are there with the bytes that they were finished with."""
    record = _read_record(stage.folder(root))
    products = record.get("products")
    if (
        record.get("key") != stage.key
        or not isinstance(products, dict)
        or set(products) != set(stage.products)
    ):
        return False
    paths = {name: stage.folder(root) / name for name in products}
    return all(path.is_file() and sha256_of(path) == products[name] for name, path in paths.items())


def _cpu_of_children() -> float:
    """Processor time of all processes that have ended, which a busy machine does not stretch, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read_record(folder: Path) -> dict[str, Any]:
    """The record of a stage; empty if there is none or it is damaged, and the stage runs again."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _how_to_begin(stage: Stage, folder: Path) -> list[str]:
    if stage.command in TRAININGS:
        return ["--resume"]
    if stage.command == "evolve" and (folder / f"{stage.output}.work").is_dir():
        return ["--resume"] if not (folder / stage.output).exists() else ["--overwrite"]
    return ["--overwrite"]


def _last_error(log: Path) -> str:
    """What the command said last, if it is the one sentence of an error of the user."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else ""
    return f" ({last.removeprefix('Error: ').rstrip('.')})" if last.startswith("Error: ") else ""


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder} is being worked on by another process: wait for it, or end it"
            ) from None
        yield lock.fileno()
