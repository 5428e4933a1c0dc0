"""What `import evolift` gives, and what a wheel puts into site-packages."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import evolift

ROOT = Path(__file__).parents[1]
PUBLIC = {
    "BODY25", "COCO17", "Camera", "ChainModel", "ChainTrainingSettings", "ClipSettings", "DetectorModel", "DetectorSettings",
    "DetectorTrainingSettings", "EvolutionSettings", "FrameChoice", "H36M16", "H36M17", "HALPE26", "LSP14", "LifterModel",
    "LifterSettings", "LifterTrainingSettings", "LiftingPipeline", "MEDIAPIPE33", "MPII16", "Martinez", "Pipeline", "PoseStore", "PredictSettings", "RefinerModel",
    "SMPL22", "SemGCN", "Skeleton", "TemporalLifter", "TemporalSettings", "TemporalTrainingSettings", "__version__", "evaluate_chain", "evaluate_clips", "evaluate_detector", "evaluate_lifters", "evolve", "evolve_clips",
    "finetune", "joint_limits", "lift", "open_test_clips", "open_test_set", "predict_files", "sample_poses", "train_detector", "train_lifter", "train_refiner", "train_temporal_lifter",
}  # fmt: skip

ROOMS = {
    "artifacts", "chain", "cli", "detector2d", "drawing", "evolution", "lifter", "posedata", "prediction", "synthetic",
    "training",
}  # fmt: skip
SLOW = {
    "torch",
    "numpy",
    "pandas",
    "h5py",
    "scipy",
    "cv2",
    "lightning",
    "matplotlib",
    "timm",
    "click",
    "msgspec",
}
OPTIONAL = ("pyvista", "vtkmodules", "dask", "distributed", "cdflib", "onnx", "onnxruntime", "onnxscript")


def test_the_public_names() -> None:
    names = (set(dir(evolift)) | {"__version__"}) - ROOMS
    assert not PUBLIC - names, (
        "a public name is gone: put it back, or tell users in changes/ and take it off this list"
    )
    assert not names - PUBLIC, "a new public name: add it to this list"


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(evolift, name)
    if callable(value):
        assert value.__doc__


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_it_loads_nothing_slow() -> None:
    assert run_python(f"import sys, evolift; print(sorted({SLOW} & set(sys.modules)))") == "[]"


def test_rooms_are_reached_by_their_names() -> None:
    code = "import evolift; print(evolift.lifter.__name__, evolift.evolution.__name__)"
    assert run_python(code) == "evolift.lifter evolift.evolution"


def test_predicting_needs_no_extra() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n"  # what Python makes of a blocked import
        "import evolift, numpy\n"
        "pose = evolift.Pipeline.from_pretrained().predict(numpy.zeros((120, 90, 3), numpy.uint8))\n"
        "print(pose.joints_3d.shape, evolift.predict_files.__name__)"
    )
    assert run_python(code) == "(17, 3) predict_files"


def test_the_stages_from_python(tmp_path: Path) -> None:
    """As the README shows them, in small, with paths as text."""
    evolved, run = str(tmp_path / "evolved.h5"), str(tmp_path / "run")
    evolift.evolve(evolift.sample_poses(), evolved, evolift.EvolutionSettings(ratio=1.05, generations=1))
    training = evolift.LifterTrainingSettings(steps=2, validate_every=2, validation_poses=20, progress=False)
    history = evolift.train_lifter(
        evolved, run, lifter=evolift.LifterSettings(hidden=8, blocks=1), training=training
    )
    assert history["step"].tolist() == [2]
    lifter = evolift.LifterModel.load(f"{run}/best.safetensors")
    tests = evolift.open_test_set(evolift.sample_poses(), lifter.skeleton, poses=8)
    assert evolift.evaluate_lifters({"small": lifter}, tests)["mpjpe"].ge(0).all()


def test_an_editable_install_links_the_rooms(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    (tmp_path / "lifter").mkdir()
    (tmp_path / "evolift").mkdir()
    (tmp_path / "evolift" / "lifter").symlink_to("../of_an_older_layout")
    config = SimpleNamespace(target_config={"sources": {"lifter": "evolift/lifter"}})
    links = hook.RoomLinks(str(tmp_path), {}, config, None, "", "wheel")
    links.initialize("standard", {})
    assert not (tmp_path / "evolift" / "lifter").exists()
    for _ in range(2):
        links.initialize("editable", {})
        (tmp_path / "lifter" / "new.py").write_text("")
        assert (tmp_path / "evolift" / "lifter" / "new.py").exists()


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
    assert {entry.name for entry in (site / "evolift").iterdir() if entry.is_dir()} - {"__pycache__"} == ROOMS
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


def test_other_things_than_settings_are_refused_by_name() -> None:
    """In a process of its own, without the shape checks of these tests."""
    code = (
        "import evolift\n"
        "from evolift.posedata.errors import InputError\n"
        "for call in (\n"
        "    lambda: evolift.train_lifter('a.h5', 'out', training=None),\n"
        "    lambda: evolift.train_lifter('a.h5', 'out', lifter='semgcn'),\n"
        "    lambda: evolift.evolve('a.h5', 'b.h5', {'ratio': 2}),\n"
        "    lambda: evolift.predict_files('a.jpg', 'out', {}),\n"
        "):\n"
        "    try:\n"
        "        call()\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    assert run_python(code).splitlines() == [
        "`training` must be LifterTrainingSettings(...), not NoneType",
        "`lifter` must be LifterSettings(...), not str",
        "`settings` must be EvolutionSettings(...), not dict",
        "`settings` must be PredictSettings(...), not dict",
    ]
