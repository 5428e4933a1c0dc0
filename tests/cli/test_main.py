from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
import rich_click as click
from click.shell_completion import BashComplete

from evolift.cli.main import COMMANDS, evolift
from evolift.posedata.image_file import write_image


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_shows_an_example(name: str) -> None:
    from click.testing import CliRunner

    module, _ = COMMANDS[name]
    command = getattr(importlib.import_module(module), name)
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    if not hasattr(command, "commands"):
        assert "evolift " + name in result.output, "a command's help shows an example"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["lifer", "train"], "lifter"),
        (["lifter", "trian"], "train"),
        (["lifter", "train", "--step"], "--steps"),
    ],
)
def test_what_was_meant_is_suggested(words: list[str], meant: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        evolift.main(words, standalone_mode=False)
    assert meant in caught.value.format_message()


@pytest.mark.parametrize(
    ("words", "begun", "completed"),
    [
        ([], "lif", {"lifter"}),
        (["lifter"], "train", {"train", "train-refiner"}),
        (["lifter", "train"], "--hid", {"--hidden"}),
    ],
)
def test_shells_complete_commands_and_options(
    monkeypatch: pytest.MonkeyPatch, words: list[str], begun: str, completed: set[str]
) -> None:
    monkeypatch.setenv("_EVOLIFT_COMPLETE", "bash_complete")
    monkeypatch.setattr(sys, "argv", ["evolift"])
    shell = BashComplete(evolift, {}, "evolift", "_EVOLIFT_COMPLETE")
    assert {item.value for item in shell.get_completions(words, begun)} == completed


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys; sys.argv = ['evolift', '--help']\n"
        "from evolift.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "slow = {'torch', 'numpy', 'pandas', 'h5py', 'lightning', 'cv2', 'matplotlib', 'pyvista', 'timm', 'scipy'}\n"
        "print('slow:', sorted(slow & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip().endswith("slow: []")


def test_predicting_a_photograph_imports_nothing_slow_but_torch(tmp_path) -> None:
    photo = tmp_path / "photo.png"
    write_image(photo, np.full((120, 90, 3), 128, np.uint8))
    code = (
        "import gc, sys; from evolift.cli.main import main\n"
        f"sys.argv = ['evolift', 'predict', {str(photo)!r}, '-o', {str(tmp_path / 'poses')!r}]\n"
        "try:\n    main()\nexcept SystemExit as end: assert not end.code\n"
        "slow = {'timm', 'torchvision', 'lightning', 'torchmetrics', 'torch_geometric', 'torch._dynamo', 'torch.onnx', 'sympy',"
        " 'scipy', 'matplotlib', 'pyvista', 'onnxscript'}\n"
        "assert gc.get_freeze_count() > 100_000 and gc.isenabled()\n"
        "print('slow:', sorted(slow & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip().endswith("slow: []")
    assert (tmp_path / "poses" / "predictions.json").is_file()


def test_an_error_of_the_user_is_one_sentence_and_exit_code_2(tmp_path) -> None:
    missing = tmp_path / "no.h5"
    missing.write_text("not HDF5")
    command = [sys.executable, "-m", "evolift", "data", "info", str(missing)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
