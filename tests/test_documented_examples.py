"""What README and docs show in shell and Python runs as it stands there: a page's blocks one after the other, in one folder.

The comment above a block says what is otherwise: `<!-- not run: REASON -->`; `<!-- slow -->` for those that wait for `-m slow`;
`<!-- shortened -->` for trainings and renderings, which do too and then get the options of `SHORT`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evolift
from evolift.artifacts.shipped_files import PHOTO_POSE, example_image, shipped_weights
from evolift.cli.main import evolift as command_line
from evolift.posedata.image_file import read_image
from evolift.posedata.skeleton import H36M17
from evolift.posedata.video_file import VideoWriter

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>]*?) -->\n)?^```(?P<language>sh|python)\n(?P<code>.*?)^```$", re.M | re.S
)
PAGES = {
    path.relative_to(ROOT).as_posix(): blocks
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if (blocks := [match.groupdict() for match in BLOCK.finditer(path.read_text(encoding="utf-8"))])
}
TRAINING = ["--steps", "2", "--validate-every", "1", "--accelerator", "cpu"]
SHORT = {
    "lifter train": [*TRAINING, "--validation-poses", "20"],
    "detector train": [*TRAINING, "--batch-size", "2", "--input-width", "64", "--input-height", "64"],
    "finetune": [*TRAINING, "--batch-size", "2"],
    "data render": ["--images", "4", "--size", "96"],
    "evolve": ["--ratio", "1.1"],
}
SHORT_SETTINGS = {"steps=15000": "steps=2, validate_every=1, validation_poses=20"}


def is_quick(block: dict[str, Any]) -> bool:
    return block["note"] is None


def is_run(block: dict[str, Any]) -> bool:
    return block["note"] is None or not block["note"].startswith("not run: ")


def run_shell(code: str, variables: dict[str, str], *, short: bool) -> None:
    """Each line in this process: a command of evolift, or a variable that Python prints."""
    for line in code.replace("\\\n", " ").splitlines():
        if assigned := re.fullmatch(r'(\w+)=\$\(python -c "(.*)"\)', line):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(assigned[2], {})
            variables[assigned[1]] = printed.getvalue().strip()
            continue
        name, *words = shlex.split(line, comments=True)
        assert name == "evolift", (
            f"{line}: neither evolift nor a variable; say `not run: REASON` above its block"
        )
        words = [variables[word[1:]] if word.startswith("$") else word for word in words]
        if short:
            words += next((more for start, more in SHORT.items() if " ".join(words).startswith(start)), [])
        command_line.main(words, prog_name="evolift", standalone_mode=False)


def run_page(blocks: list[dict[str, Any]]) -> None:
    variables: dict[str, str] = {}
    names: dict[str, Any] = {}
    for block in blocks:
        code, short = block["code"], block["note"] == "shortened"
        if block["language"] == "sh":
            run_shell(code, variables, short=short)
            continue
        for shown, instead in SHORT_SETTINGS.items() if short else ():
            code = code.replace(shown, instead)
        exec(compile(code, "a documented example", "exec"), names)


def write_inputs() -> None:
    """The files that pages take as given: photo.jpg, video.mp4, keypoints.csv, chain.safetensors."""
    shutil.copy(example_image(), "photo.jpg")
    shutil.copy(shipped_weights(PHOTO_POSE), "chain.safetensors")
    image = read_image(Path("photo.jpg"))
    with VideoWriter(Path("video.mp4"), (image.shape[1], image.shape[0]), 10.0) as video:
        for _ in range(3):
            video.write(image)
    with evolift.PoseStore(evolift.sample_poses()) as store:
        joints = store.read(slice(0, 5)).joints_3d
    assert joints is not None
    upright = np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], -1)  # world to a level camera
    camera = evolift.Camera.from_focal_length(400, 384, 384)
    pixels = camera.project(upright - upright[:, :1] + np.array([0, 0, 4000], np.float32))
    columns = {
        f"{joint}_{axis}": pixels[:, number, place]
        for number, joint in enumerate(H36M17.joints)
        for place, axis in enumerate("xy")
    }
    pd.DataFrame({"frame": range(5), **columns}).to_csv("keypoints.csv", index=False)


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if any(map(is_quick, blocks))])
def test_quick_examples_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs()
    run_page([block for block in PAGES[page] if is_quick(block)])
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page, blocks in PAGES.items() if any(is_run(one) and not is_quick(one) for one in blocks)],
)
def test_all_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs()
    run_page([block for block in PAGES[page] if is_run(block)])


def test_notes_above_blocks_are_known() -> None:
    notes = {block["note"] for blocks in PAGES.values() for block in blocks}
    assert {note for note in notes if note and not note.startswith("not run: ")} <= {"slow", "shortened"}
    assert sum(map(len, PAGES.values())) >= 20


def test_a_line_that_is_no_command_of_evolift_is_told() -> None:
    with pytest.raises(AssertionError, match="neither evolift nor a variable"):
        run_shell("rm -r poses\n", {}, short=False)
