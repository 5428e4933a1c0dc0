from __future__ import annotations

import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pandas as pd
import pytest
import torch
from lightning.pytorch import loggers
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image
from evolift.posedata.seeds import generator_at
from evolift.training.checkpoint import CheckpointedModel, load_checkpoint
from evolift.training.resume_state import require_steps_left
from evolift.training.settings import RunSettings
from evolift.training.trainer import Batch, StageModule, StepData, train


class LineSettings:
    def to_dict(self) -> dict[str, object]:
        return {"kind": "line"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LineSettings:
        return cls()


class LineModel(CheckpointedModel, nn.Linear):
    """y = ax + b."""

    stage = "lifter"
    settings_class = LineSettings

    def __init__(self, settings: LineSettings) -> None:
        nn.Linear.__init__(self, 1, 1)
        self.settings = settings


class Line(StageModule):
    """Fits y = 2x; drops inputs at random, so that a wrong random stream shows in the weights."""

    monitor = "error"
    monitor_mode = "min"

    def __init__(self, poison_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model, self.record = LineModel(LineSettings()), {"command": "test"}
        self.dropout, self.poison_at = nn.Dropout(0.3), poison_at

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = (self.model(self.dropout(batch["x"])) - 2 * batch["x"]).square().mean()
        self.log("loss", loss.detach(), on_step=False, on_epoch=True)
        return loss * float("nan") if self.global_step == self.poison_at else loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("error", (self.model(batch["x"]) - 2 * batch["x"]).abs().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.02)


class Batches:
    """Numbers that depend on the place alone; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        self.asked.append((step, rank, world_size))
        return {"x": torch.randn(8, 1, generator=generator_at(7, step, rank))}


def run(
    folder: Path,
    *,
    batches: Batches | None = None,
    poison_at: int | None = None,
    resume: bool = False,
    module: Line | None = None,
    **settings: Any,
):
    folder.mkdir(exist_ok=True)
    values = {"steps": 12, "validate_every": 4, "accelerator": "cpu", "progress": False} | settings
    chosen = RunSettings(**values)
    validation = [{"x": torch.linspace(-1, 1, 9)[:, None]}]
    return train(
        module or Line(poison_at),
        StepData(batches or Batches(), validation, chosen),
        folder,
        chosen,
        resume=resume,
    )


def test_each_step_is_asked_for_once_in_order_and_the_history_tells_all(tmp_path: Path) -> None:
    batches = Batches()
    history = run(tmp_path / "a", batches=batches, steps=10)
    assert batches.asked == [(step, 0, 1) for step in range(10)]
    assert history["step"].tolist() == [4, 8, 10]
    assert list(history) == ["step", "loss", "error"]
    assert not history.isna().any(axis=None)
    assert read_image(tmp_path / "a/curves.png").shape == (320, 900, 3)
    saved = load_checkpoint(tmp_path / "a/last.safetensors", "lifter")
    assert saved.record["step"] == 10
    assert saved.record["validation"]["error"] == pytest.approx(history["error"].iloc[-1])


def test_accumulation_takes_several_batches_per_step(tmp_path: Path) -> None:
    batches = Batches()
    history = run(tmp_path / "a", batches=batches, steps=4, validate_every=2, accumulate=3)
    assert batches.asked == [(step, 0, 1) for step in range(12)]
    assert history["step"].tolist() == [2, 4]


class Downhill(Line):
    """Moves by its gradient, so that the way of one step is the gradient's length."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0, fused=self.may_fuse)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("limit", [0.0, 0.01])
def test_gradients_are_clipped_before_a_fused_optimiser(precision: str, limit: float, tmp_path: Path) -> None:
    module = Downhill()
    before = torch.cat([weight.detach().clone().flatten() for weight in module.parameters()])
    run(tmp_path / "a", module=module, steps=1, precision=precision, gradient_clip=limit)
    assert module.may_fuse
    after = torch.cat([weight.detach().flatten() for weight in module.parameters()])
    way = float((after - before).norm())
    assert way == pytest.approx(limit, rel=1e-3) if limit else way > 0.1


def test_workers_and_interruptions_change_no_byte(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "workers", num_workers=2)
    run(tmp_path / "parts", steps=4)
    run(tmp_path / "parts", resume=True)
    for name in ("last.safetensors", "best.safetensors", "history.csv", "curves.png"):
        expected = (tmp_path / "whole" / name).read_bytes()
        assert (tmp_path / "workers" / name).read_bytes() == expected
        assert (tmp_path / "parts" / name).read_bytes() == expected


def test_networks_are_compiled_in_place_and_change_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[tuple[str, str]] = []
    calls: list[int] = []

    def pretend(call: Callable[..., Tensor], *, mode: str) -> Callable[..., Tensor]:
        compiled.append((type(call.__self__).__name__, mode))  # type: ignore[attr-defined]  # of a bound method

        def counted(x: Tensor) -> Tensor:
            calls.append(len(x))
            return call(x)

        return counted

    monkeypatch.setattr(torch, "compile", pretend)
    run(tmp_path / "plain")
    assert not compiled
    run(tmp_path / "compiled", compile="reduce-overhead", average_decay=0.0)
    assert compiled == [("LineModel", "reduce-overhead")]
    assert calls == 3 * ([8] * 4 + [9])
    for name in ("last.safetensors", "history.csv"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "compiled" / name).read_bytes()


def test_a_network_that_cannot_be_compiled_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(x: Tensor) -> Tensor:
        raise torch._dynamo.exc.TorchDynamoException(
            "No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1"
        )

    monkeypatch.setattr(torch, "compile", lambda call, *, mode: refuse)
    with pytest.raises(
        InputError,
        match=r"^the network cannot be compiled here \(No working C\+\+ compiler found\): train with `compile` none$",
    ):
        run(tmp_path / "a", compile="default")


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tmp_path: Path) -> None:
    plain, compiled = run(tmp_path / "plain"), run(tmp_path / "compiled", compile="default")
    pd.testing.assert_frame_equal(compiled, plain, rtol=1e-4)


def test_a_run_beyond_its_steps_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "a", steps=8)
    require_steps_left(tmp_path / "a", 8)
    require_steps_left(tmp_path / "new", 4)
    with pytest.raises(InputError, match=r"a is at step 8 already, beyond `steps` 4: resume with more steps"):
        require_steps_left(tmp_path / "a", 4)


def test_a_finished_run_that_is_resumed_is_said_to_be_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = run(tmp_path / "a")
    batches = Batches()
    again = run(tmp_path / "a", resume=True, batches=batches)
    assert not batches.asked
    assert caplog.messages == [f"{tmp_path / 'a'} was finished already, at step 12: nothing is trained."]
    pd.testing.assert_frame_equal(again, history)
    caplog.clear()
    run(tmp_path / "a", steps=16, resume=True)
    assert not caplog.messages


def test_an_averaged_run_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path / "whole", average_decay=0.9)
    run(tmp_path / "parts", steps=4, average_decay=0.9)
    run(tmp_path / "parts", steps=8, average_decay=0.9, resume=True)
    run(tmp_path / "parts", average_decay=0.9, resume=True)
    run(tmp_path / "plain")
    for name in ("last.safetensors", "best.safetensors", "history.csv"):
        expected = (tmp_path / "whole" / name).read_bytes()
        assert (tmp_path / "parts" / name).read_bytes() == expected
        assert (tmp_path / "plain" / name).read_bytes() != expected


class Recorded(Line):
    """Remembers its weights after each step."""

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.seen = [*getattr(self, "seen", []), self.model.weight.detach().clone()]


def test_what_is_saved_and_validated_is_the_average_of_the_weights_of_all_steps(tmp_path: Path) -> None:
    settings = RunSettings(steps=30, validate_every=10, accelerator="cpu", progress=False, average_decay=0.8)
    module, validation = Recorded(), [{"x": torch.linspace(-1, 1, 9)[:, None]}]
    history = train(module, StepData(Batches(), validation, settings), tmp_path, settings)
    average = module.seen[0]
    for count, weight in enumerate(module.seen[1:], start=1):
        decay = min(0.8, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * weight
    saved = load_checkpoint(tmp_path / "last.safetensors", "lifter").tensors
    torch.testing.assert_close(saved["weight"], average)
    assert not torch.allclose(average, module.seen[-1], atol=1e-4)
    x = validation[0]["x"]
    error = (x @ saved["weight"].T + saved["bias"] - 2 * x).abs().mean()
    assert history["error"].iloc[-1] == pytest.approx(float(error), rel=1e-5)


def test_the_best_checkpoint_is_never_replaced_by_a_worse_one(tmp_path: Path) -> None:
    history = run(tmp_path / "a", steps=40, validate_every=1)
    best = load_checkpoint(tmp_path / "a/best.safetensors", "lifter").record["step"]
    assert best == history["step"].iloc[int(history["error"].to_numpy().argmin())]


def test_a_non_finite_loss_stops_the_run_and_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is nan at step 6: lower the learning rate"):
        run(tmp_path / "a", poison_at=5)


class Lost(Line):
    """Learns, but what it says on the validation poses is no number from some step on."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        score = (self.model(batch["x"]) - 2 * batch["x"]).abs().mean()
        self.log("error", score if self.global_step <= 4 else score * float("nan"))


def test_a_non_finite_score_ends_the_run_and_no_checkpoint_is_the_best_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with pytest.raises(InputError, match="the score error is nan at step 6, which is no score"):
        run(folder, module=Lost(), steps=20, validate_every=2)
    assert load_checkpoint(folder / "best.safetensors", "lifter").record["step"] in (2, 4)
    assert load_checkpoint(folder / "last.safetensors", "lifter").record["step"] == 4
    assert "nan" not in (folder / "history.csv").read_text()


def test_what_cannot_be_had_is_told_in_one_sentence(tmp_path: Path) -> None:
    for asked in ({"accelerator": "warp-drive"}, {"devices": "x"}):
        with pytest.raises(InputError, match="training cannot run on accelerator") as caught:
            run(tmp_path / "a", **asked)
        assert "\n" not in str(caught.value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match="float16 is for GPUs"):
            run(tmp_path / "half", precision="16-mixed")
    with pytest.raises(InputError, match="`steps` must be a whole number of at least 1, not 0"):
        RunSettings(steps=0, validate_every=1)
    with pytest.raises(
        InputError, match=r"`average_decay` must be a number of at least 0 and below 1, not 1.0"
    ):
        RunSettings(steps=1, validate_every=1, average_decay=1.0)


def _cut(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-100])


def _flip(state: Path) -> None:
    data = bytearray(state.read_bytes())
    with zipfile.ZipFile(state) as file:  # not in the padding, which nobody reads
        largest = file.read(max(file.infolist(), key=lambda one: one.file_size))
    data[data.index(largest) + len(largest) // 2] ^= 1
    state.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda state: state.write_bytes(b""), "is damaged"),
        (lambda state: state.write_bytes(b"nonsense"), "is damaged"),
        (_cut, "is damaged"),
        (_flip, "is damaged"),
        (lambda state: torch.save({"state_dict": {}, "global_step": 4}, state), "is of another network"),
        (Path.unlink, "there is nothing to resume"),
    ],
)
def test_a_state_that_cannot_be_resumed_begins_anew(
    tmp_path: Path, damage: Callable[[Path], object], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "whole", steps=8)
    run(tmp_path / "a", steps=4)
    damage(tmp_path / "a/resume.ckpt")
    batches = Batches()
    run(tmp_path / "a", steps=8, resume=True, batches=batches)
    assert batches.asked[0] == (0, 0, 1)
    assert said in caplog.text
    assert "begins anew" in caplog.text
    name = "last.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_losses_and_scores_are_logged_for_other_tools(tmp_path: Path) -> None:
    run(tmp_path / "plain", steps=100, validate_every=50)
    run(tmp_path / "a", steps=100, validate_every=50, logger="csv")
    logged = pd.read_csv(tmp_path / "a/logs/metrics.csv")
    assert logged["step_loss"].dropna().size == 2
    scores = pd.read_csv(tmp_path / "a/history.csv")["error"]
    assert logged["error"].dropna().to_numpy() == pytest.approx(scores.to_numpy())
    for name in ("last.safetensors", "history.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_logger_whose_package_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for package in (name, "tensorboardX"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"^`logger` {name} needs the package {name}: pip install {name}$"):
        run(tmp_path / "a", logger=name)


class Locked(CSVLogger):
    """As wandb is without an account."""

    @property
    def experiment(self) -> NoReturn:
        raise PermissionError("no API key configured.\nUse wandb login")


def test_a_logger_that_cannot_begin_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))
    monkeypatch.setattr(loggers, "WandbLogger", lambda name, save_dir, project: Locked(save_dir))
    batches = Batches()
    with pytest.raises(InputError, match=r"^`logger` wandb cannot begin: no API key .* Use wandb login$"):
        run(tmp_path / "a", logger="wandb", batches=batches)
    assert not batches.asked
