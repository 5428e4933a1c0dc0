from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.cli.main import main
from evolift.posedata.store import PoseStore
from tests.posedata.acclaim_files import write_database, zipped
from tests.posedata.importers.test_bvh import bvh_text, standing, write_names
from tests.posedata.importers.test_lsp import annotation, write_dataset

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evolift(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the console command in this process; gives exit code, output and error output."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evolift", *map(str, arguments)])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            main()
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        assert isinstance(code, int) or code is None
        return code or 0, captured.out, captured.err

    return run


def error_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_cmu(evolift: Run, tmp_path: Path) -> None:
    source = zipped(write_database(tmp_path / "cmu", {"05_01": 25, "06_01": 13}), tmp_path / "cmu.zip")
    target = tmp_path / "out.h5"
    code, out, _ = evolift("data", "import", "cmu", source, "-o", target, "--fps", "10", "--subjects", "05")
    assert code == 0
    assert f"{target}: 3 poses of 1 clips, subjects 05; 0 frames left out" in out
    with PoseStore(target) as store:
        assert len(store) == 3
        assert store.provenance.command == "evolift data import cmu"
    settings = json.loads((tmp_path / "out.h5.settings.json").read_text())
    assert settings["settings"]["fps"] == 10
    assert settings["settings"]["subjects"] == "05"


def test_lsp(evolift: Run, tmp_path: Path) -> None:
    source = zipped(write_dataset(tmp_path / "lspet", annotation(3)), tmp_path / "lspet.zip")
    code, out, _ = evolift("data", "import", "lsp", source, "-o", tmp_path / "val.h5", "--first", "2")
    assert code == 0
    assert "2 photographs of LSPET" in out
    assert len(list((tmp_path / "val_images").iterdir())) == 2


def test_bvh(evolift: Run, tmp_path: Path) -> None:
    (tmp_path / "clip.bvh").write_text(bvh_text(standing(5)))
    names = write_names(tmp_path)
    target = tmp_path / "out.h5"
    code, out, _ = evolift("data", "import", "bvh", tmp_path / "clip.bvh", "-o", target, "--names", names)
    assert code == 0
    assert "unit 10 mm, y up, not mirrored (unit, up, mirrored detected)" in out
    code, _, err = evolift("data", "import", "bvh", tmp_path / "clip.bvh", "-o", tmp_path / "new.h5")
    assert code == 2
    assert "--names" in err
    code, out, _ = evolift(
        "data", "import", "bvh", tmp_path / "clip.bvh", "-o", target, "--names", names, "--overwrite",
        "--unit", "cm", "--up", "y", "--mirrored", "--subject", "S1",
    )  # fmt: skip
    assert code == 0
    with PoseStore(target) as store:
        assert store.provenance.parameters["mirrored"] is True
        assert set(store.table()["subject"]) == {"S1"}


def truncated_zip(tmp_path: Path) -> Path:
    source = zipped(write_database(tmp_path / "cmu", {"05_01": 9}), tmp_path / "cut.zip")
    source.write_bytes(source.read_bytes()[:500])
    return source


def foreign_bone(tmp_path: Path) -> Path:
    return write_database(tmp_path / "cmu", {"05_01": 9}, lambda text: text.replace("rwrist", "tail"))


def empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "nothing").mkdir()
    return tmp_path / "nothing"


def no_image(tmp_path: Path) -> Path:
    folder = write_dataset(tmp_path / "lspet", annotation(3))
    (folder / "images" / "im00002.jpg").write_text("no image")
    return folder


def broken_matrix(tmp_path: Path) -> Path:
    folder = write_dataset(tmp_path / "lspet", annotation(3))
    (folder / "joints.mat").write_bytes(np.arange(100).tobytes())
    return folder


BAD: list[tuple[str, Callable[[Path], Path], str]] = [
    ("cmu", truncated_zip, "is not a whole zip file"),
    ("lsp", truncated_zip, "is not a whole zip file"),
    ("bvh", truncated_zip, "is not a whole zip file"),
    ("cmu", foreign_bone, "moves the bone 'tail', which is not in"),
    ("cmu", empty_folder, "holds no files"),
    ("lsp", empty_folder, "holds no files"),
    ("bvh", empty_folder, "holds no files"),
    ("lsp", no_image, "im00002.jpg is not a readable image"),
    ("lsp", broken_matrix, "joints.mat is not a MATLAB file"),
]


@pytest.mark.parametrize(("command", "make", "message"), BAD)
def test_bad_input_is_one_sentence_and_exit_code_two(
    evolift: Run, tmp_path: Path, command: str, make: Callable[[Path], Path], message: str
) -> None:
    source = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    options = ["--names", "cmu-cgspeed"] if command == "bvh" else []
    code, _, err = evolift("data", "import", command, source, "-o", tmp_path / "out.h5", *options)
    assert code == 2
    assert message in error_line(err)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["cmu", "lsp", "bvh"])
def test_an_existing_output_is_kept(evolift: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "out.h5").write_text("mine")
    (tmp_path / "source").mkdir()
    options = ["--names", "mixamo"] if command == "bvh" else []
    code, _, err = evolift(
        "data", "import", command, tmp_path / "source", "-o", tmp_path / "out.h5", *options
    )
    assert code == 2
    assert "exists: choose another output or add --overwrite" in error_line(err)
    assert (tmp_path / "out.h5").read_text() == "mine"
