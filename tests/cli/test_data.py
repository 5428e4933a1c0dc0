from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from evolift.artifacts.shipped_files import sample_poses
from evolift.cli.data import data
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.store import PoseStore


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(data, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "actors.h5"
    result = run(
        "actors", "-o", path, "--subjects", "F1, M2", "--actions", "walk,kick", "--clips", 1, "--frames", 10
    )
    assert result.exit_code == 0
    assert "40 poses, 2 subjects, 2 actions" in result.output
    return path


@pytest.fixture(scope="module")
def rendered(store: Path) -> Path:
    path = store.with_name("people.h5")
    result = run("render", store, "-o", path, "--images", 3, "--size", 64, "--seed", 2)
    assert result.exit_code == 0
    return path


def test_actors_write_settings_and_take_a_split(store: Path, tmp_path: Path) -> None:
    settings = json.loads(store.with_name("actors.h5.settings.json").read_text())
    assert settings["settings"]["subjects"] == "F1, M2"
    run("actors", "-o", tmp_path / "test.h5", "--split", "test", "--clips", 1, "--frames", 2)
    with PoseStore(tmp_path / "test.h5") as opened:
        assert set(opened.labels["subject"]) == {"F4", "F5", "M4"}
    with pytest.raises(OutputError, match="--overwrite"):
        run("actors", "-o", store)
    with pytest.raises(InputError, match="no built-in action 'fly'"):
        run("actors", "-o", tmp_path / "x.h5", "--actions", "fly")


def test_the_sample_is_copied_with_its_notice(tmp_path: Path) -> None:
    target = tmp_path / "poses.h5"
    result = run("sample", "-o", target)
    assert f"{target}: 6,482 poses of 3 subjects" in result.output
    assert "obtained from mocap.cs.cmu.edu" in result.output
    assert target.read_bytes() == sample_poses().read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        run("sample", "-o", target)


def test_info_tells_what_a_store_holds(store: Path, rendered: Path) -> None:
    printed = run("info", store).output
    assert "40 poses of H36M17" in printed
    assert "frame: world" in printed
    assert "made by: evolift data actors" in printed
    table = [line.split() for line in printed.splitlines()[-4:]]
    assert table == [
        ["subject"],
        ["F1", "10", "10", "20"],
        ["M2", "10", "10", "20"],
        ["all", "20", "20", "40"],
    ]
    printed = run("info", rendered).output
    assert "cameras: 3 (image 0, image 1, image 2), 64x64 px" in printed
    assert "% visible" in printed
    assert "input: actors.h5 (SHA-256 " in printed


def test_view_makes_a_page_or_a_sheet(store: Path, rendered: Path, tmp_path: Path) -> None:
    result = run("view", store, "-o", tmp_path / "walk.html", "--action", "walk", "--subject", "M2")
    assert "10 rows" in result.output
    assert "M2 walk 9" in (tmp_path / "walk.html").read_text()
    run("view", rendered, "-o", tmp_path / "people.html")
    assert "data:image/jpeg" in (tmp_path / "people.html").read_text()
    run("view", rendered, "-o", tmp_path / "people.png")
    sheet = cv2.imread(str(tmp_path / "people.png"))
    assert sheet.shape[1] > 2 * 256
    run("view", store, "-o", tmp_path / "sheet.png", "--count", 4)
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 5
    before = (tmp_path / "walk.html").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        run("view", store, "-o", tmp_path / "walk.html")
    assert (tmp_path / "walk.html").read_bytes() == before


def test_view_refuses_what_it_cannot_show(store: Path, rendered: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give it the ending \.html"):
        run("view", store, "-o", tmp_path / "x.gif")
    with pytest.raises(InputError, match=r"no row fits .* subjects F1 M2, actions walk kick"):
        run("view", store, "-o", tmp_path / "x.png", "--action", "fly")
    folder = tmp_path / "people_images"
    folder.mkdir()
    copied = tmp_path / "people.h5"
    copied.write_bytes(rendered.read_bytes())
    with pytest.raises(InputError, match=r"0000000\.jpg is missing"):
        run("view", copied, "-o", tmp_path / "x.png")
    for i in range(3):
        (folder / f"{i:07d}.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match="not an image"):
        run("view", copied, "-o", tmp_path / "x.html")
    assert not list(tmp_path.glob("x.*"))


def test_export_tells_the_format_by_the_ending(store: Path, rendered: Path, tmp_path: Path) -> None:
    for source, output, given, said in (
        (store, "data_3d.npz", (), "40 poses in 4 sequences"),
        (store, "clips", ("--fps", 25), "40 poses in 4 clips"),
        (store, "all.csv", (), "40 poses"),
        (rendered, "people.json", (), "3 people in 3 images, whose names are relative to"),
    ):
        assert f"{tmp_path / output}: {said}" in run("export", source, "-o", tmp_path / output, *given).output
        settings = "clips/settings.json" if output == "clips" else f"{output}.settings.json"
        assert (tmp_path / settings).is_file()
    with pytest.raises(InputError, match="which BVH needs: give --fps"):
        run("export", store, "-o", tmp_path / "more")


def test_the_group_lists_imports_without_importing_what_is_slow() -> None:
    code = (
        "import sys; from evolift.cli.data import data; from click.testing import CliRunner\n"
        "print(CliRunner().invoke(data, ['--help']).output)\n"
        "print('slow:', sorted({'torch', 'pyvista', 'cv2', 'pandas', 'h5py', 'matplotlib'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("import", "actors", "render", "info", "view", "export"):
        assert name in printed
    assert printed.strip().endswith("slow: []")
