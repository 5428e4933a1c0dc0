"""What `import evolift` gives, and what a wheel puts into site-packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import evolift

ROOT = Path(__file__).parents[1]
PUBLIC = {
    "BODY25", "COCO17", "Camera", "ChainModel", "ChainTrainingSettings", "DetectorModel", "DetectorSettings",
    "DetectorTrainingSettings", "EvolutionSettings", "H36M16", "H36M17", "HALPE26", "LSP14", "LifterModel",
    "LifterSettings", "LifterTrainingSettings", "MEDIAPIPE33", "MPII16", "Martinez", "Pipeline", "PoseStore", "PredictSettings", "RefinerModel",
    "SMPL22", "SemGCN", "Skeleton", "__version__", "evaluate_chain", "evaluate_detector", "evaluate_lifters", "evolve",
    "finetune", "joint_limits", "open_test_set", "predict_files", "sample_poses", "train_detector", "train_lifter", "train_refiner",
}  # fmt: skip


def test_the_public_names() -> None:
    names = set(dir(evolift)) | {"__version__"}
    assert not PUBLIC - names, (
        "a public name is gone: put it back, or tell users in changes/ and take it off this list"
    )
    assert not names - PUBLIC, "a new public name: add it to this list"


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(evolift, name)
    if callable(value):
        assert value.__doc__


def test_importing_it_loads_nothing_slow() -> None:
    code = "import sys, evolift; print(sorted({'torch', 'numpy', 'pandas', 'h5py', 'scipy', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wheel_puts_one_name_into_site_packages(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: object) -> str:
        done = subprocess.run(
            list(map(str, words)), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path / "wheels", ROOT)
    (wheel,) = (tmp_path / "wheels").glob("evolift-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh")
    python = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    before = {entry.name for entry in site.iterdir()}
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    added = {entry.name for entry in site.iterdir()} - before
    assert {name for name in added if not name.endswith(".dist-info")} == {"evolift"}
    rooms = {entry.name for entry in (site / "evolift").iterdir() if entry.is_dir()} - {"__pycache__"}
    assert rooms == {
        "artifacts", "chain", "cli", "detector2d", "drawing", "evolution", "lifter", "posedata", "prediction",
        "synthetic", "training",
    }  # fmt: skip
    # The packages that it needs, without what makes this environment's own evolift importable.
    (site / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages"))
    )
    assert "Usage: evolift" in run(python.with_name("evolift"), "--help")
    assert "Usage: evolift" in run(python, "-m", "evolift", "--help")
    code = "import evolift; print(evolift.__file__); print(evolift.Pipeline.from_pretrained.__qualname__, evolift.sample_poses().is_file())"
    file, rest = run(python, "-c", code).splitlines()
    assert Path(file).parent == site / "evolift"
    assert rest == "Pipeline.from_pretrained True"
