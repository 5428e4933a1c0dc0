from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evolift.chain.model import ChainModel
from evolift.chain.onnx_graph import chain_graph
from evolift.posedata.image_file import decode_image, read_image, write_image
from evolift.prediction.pipeline import Pipeline
from evolift.training.onnx_file import write_onnx
from tests.settled_networks import settled_detector, settled_lifter

EXAMPLE = Path(__file__).parents[2] / "examples" / "predict_onnx.py"
# Runs the example as if neither torch nor any room of evolift were installed.
ALONE = (
    "import runpy, sys\n"
    "forbidden = ('torch', 'posedata', 'detector2d', 'lifter', 'evolution', 'cli')\n"
    "sys.modules.update(dict.fromkeys(forbidden))\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    "assert not [name for name in forbidden if sys.modules.get(name)]\n"
)


def run_example(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=["box", "screen"])
def chain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ChainModel, Path]:
    """A chain and its file."""
    model = ChainModel(settled_detector(input_height=96), settled_lifter(normalisation=request.param)).eval()
    path = tmp_path_factory.mktemp("exported") / "chain.onnx"
    write_onnx(path, chain_graph(model))
    return model, path


def check(
    chain: tuple[ChainModel, Path], photograph: Path, box: tuple[float, float, float, float] | None = None
) -> None:
    model, path = chain
    image = read_image(photograph)
    result = run_example(path, photograph, *([] if box is None else [",".join(map(str, box))]))
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert tuple(row[0] for row in rows) == model.skeleton.joints
    numbers = np.array([row[1:] for row in rows], float)
    expected = Pipeline(model).predict(image, box or (-0.5, -0.5, image.shape[1], image.shape[0]))
    np.testing.assert_allclose(numbers[:, :3], expected.joints_3d, atol=1.0)
    np.testing.assert_allclose(numbers[:, 3:5], expected.joints_2d, atol=0.2)
    np.testing.assert_allclose(numbers[:, 5], expected.confidence, atol=0.011)
    assert np.ptp(numbers[:, :3]) > 10


def test_the_example_says_what_evolift_says(chain: tuple[ChainModel, Path], tmp_path: Path) -> None:
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    write_image(tmp_path / "large.png", np.kron(coarse, np.ones((73, 61, 1), np.uint8)))
    check(chain, tmp_path / "large.png")
    check(chain, tmp_path / "large.png", (100.5, 60, 250, 400))


def test_a_real_photograph(chain: tuple[ChainModel, Path], data_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(data_folder / "lspet_subset.zip") as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jpg"))
        write_image(tmp_path / "photo.png", decode_image(archive.read(name), name))
    check(chain, tmp_path / "photo.png")


def test_what_is_no_image_is_said(chain: tuple[ChainModel, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no image")
    result = run_example(chain[1], tmp_path / "bad.jpg")
    assert result.returncode == 1
    assert result.stderr.endswith("bad.jpg is not a readable image\n")
