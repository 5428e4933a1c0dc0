"""
Train a lifter on the sample
============================

A lifter learns from two people of the sample and is scored on the third, once with recorded poses alone and once with
evolved ones. 150 steps show how it is done; those of the results page have 15,000.
"""

from pathlib import Path

import evolift
from evolift.drawing.charts import plot_curves
from evolift.drawing.pose_figure import new_figure
from evolift.posedata.selection import select_rows

# %%
# Subject 02 is the test, three clips of the others are the validation.
held_out = ("01_03", "01_08", "03_03")
Path("runs").mkdir(exist_ok=True)
sample = evolift.sample_poses()
select_rows(sample, Path("runs/train.h5"), subjects=("01", "03"), without_actions=held_out, overwrite=True)
select_rows(sample, Path("runs/validation.h5"), actions=held_out, overwrite=True)
select_rows(sample, Path("runs/test.h5"), subjects=("02",), overwrite=True)
evolift.evolve("runs/train.h5", "runs/train_evolved.h5", evolift.EvolutionSettings(ratio=3), overwrite=True)

# %%
# The run folder gets ``best.safetensors``, ``last.safetensors``, ``history.csv`` and ``settings.json``.
training = evolift.LifterTrainingSettings(steps=150, validate_every=50, validation_poses=200, progress=False)
histories, lifters = {}, {}
for name in ("train", "train_evolved"):
    folder = Path(f"runs/lifter_{name}")
    histories[name] = evolift.train_lifter(
        f"runs/{name}.h5", folder, validation="runs/validation.h5", training=training, overwrite=True
    )
    lifters[name] = evolift.LifterModel.load(folder / "best.safetensors")

figure = new_figure(6, 3)
plot_curves(figure.add_subplot(), histories, ["mpjpe"], unit="MPJPE on the validation clips, mm")

# %%
# Scores on the other person. One short run of one seed: which of the two is lower says nothing.
tests = evolift.open_test_set("runs/test.h5", evolift.H36M17)
scores = evolift.evaluate_lifters(lifters, tests)
overall = scores[scores["name"] == "overall"]
print(overall[["checkpoint", "poses", "mpjpe", "p_mpjpe"]].round(1).to_string(index=False))
