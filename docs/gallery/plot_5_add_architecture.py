"""
Add a lifter architecture
=========================

A network of one's own behind the lifter's contract: normalised 2D joints in, joints in metres out. Here each joint is a token
of a small transformer.
"""

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

import evolift
from evolift.drawing.charts import plot_curves
from evolift.drawing.pose_figure import new_figure
from evolift.lifter.data.pairs import PairMaker
from evolift.lifter.network import Network
from evolift.lifter.training import LifterModule, open_data
from evolift.posedata.selection import select_rows


class Transformer(Network):
    """Joints as tokens, (batch, joints, 2) to (batch, joints, 3) in metres."""

    def __init__(self, joints: int, hidden: int = 64, blocks: int = 2) -> None:
        super().__init__()
        self.into = nn.Linear(2, hidden)
        self.which = nn.Parameter(0.02 * torch.randn(joints, hidden))
        layer = nn.TransformerEncoderLayer(hidden, 4, 2 * hidden, 0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.out = nn.Linear(hidden, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.blocks(self.into(inputs) + self.which))

    def folded(self) -> Network:
        return self  # nothing to fold: there is no batch norm


# %%
# The lifter around the network makes the pose root-relative and millimetres, and knows how its input is normalised.
model = evolift.LifterModel(evolift.LifterSettings())
model.network = Transformer(len(evolift.H36M17))
print(sum(parameter.numel() for parameter in model.parameters()), "parameters")

# %%
# Training pairs are made on the fly: poses of two people as four cameras see them. A batch is a pure function of seed and step.
Path("runs").mkdir(exist_ok=True)
select_rows(evolift.sample_poses(), Path("runs/two.h5"), subjects=("01", "03"), overwrite=True)
select_rows(evolift.sample_poses(), Path("runs/third.h5"), subjects=("02",), overwrite=True)
training = evolift.LifterTrainingSettings(steps=200)
data = open_data([Path("runs/two.h5")], evolift.H36M17, training)
batches = PairMaker(data.mixture, training.pairs, model.settings, training.seed)

# %%
# The loss is the package's own, the loop is plain PyTorch.
module = LifterModule(model, training, {})
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
for step in range(training.steps):
    batch = batches(step, rank=0, world_size=1)
    loss = module.loss(model(batch["inputs"]), batch["target"])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

history = pd.DataFrame({"step": range(training.steps), "loss": losses}).rolling(10).mean()
figure = new_figure(6, 3)
plot_curves(figure.add_subplot(), {"transformer": history}, ["loss"], unit="loss (mean of 10 steps), m")

# %%
# Scored on the third person as any other lifter is.
tests = evolift.open_test_set("runs/third.h5", evolift.H36M17)
scores = evolift.evaluate_lifters({"transformer": model.eval()}, tests)
print(scores[scores["name"] == "overall"][["mpjpe", "p_mpjpe"]].round(1).to_string(index=False))

# %%
# To have it in ``evolift lifter train``, in recipes and in checkpoints, put the class into ``lifter/networks/``, name it in
# ``Architecture`` and ``FORMS`` of ``lifter/architecture.py``, and build it in ``lifter/model.py``.
