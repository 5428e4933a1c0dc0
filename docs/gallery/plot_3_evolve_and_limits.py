"""
Evolve poses and look at limits
===============================

Evolution grows a store of 3D poses: sub-trees of bones are exchanged between two poses, bones are rotated, and a child that
breaks a joint-angle limit is refused.
"""

from pathlib import Path

import numpy as np
import torch

import evolift
from evolift.drawing.charts import plot_directions
from evolift.drawing.pose_figure import new_figure, plot_pose, pose_axes
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.limits_report import report_on_store
from evolift.posedata.selection import select_rows

# %%
# A tenth of the walks on uneven ground of subject 03, grown to twenty times as many poses.
Path("runs").mkdir(exist_ok=True)
select_rows(evolift.sample_poses(), Path("runs/few.h5"), subjects=("03",), share=0.1, overwrite=True)
report = evolift.evolve(
    "runs/few.h5", "runs/evolved.h5", evolift.EvolutionSettings(ratio=20, seed=0), overwrite=True
)
print(report.table().to_string())

# %%
# Eight children. World frame, z up.
with evolift.PoseStore("runs/evolved.h5") as store:
    joints = store.read().joints_3d
children = joints[report.originals :]
figure = new_figure(13, 6.5)
for number, row in enumerate(np.linspace(0, len(children) - 1, 8).astype(int), 1):
    plot_pose(pose_axes(figure, 2, 4, number), children[row], evolift.H36M17, frame="world", radius=950)

# %%
# Where the right upper arm points, in the frame of the upper trunk: what was recorded and what was bred.
tree = KinematicTree(evolift.H36M17)
arm = tree.names.index("right_elbow")
pointing = {
    "bred": to_local(tree, torch.from_numpy(children)).directions[:, arm].numpy(),
    "recorded": to_local(tree, torch.from_numpy(joints[: report.originals])).directions[:, arm].numpy(),
}
directions = new_figure(8, 4.8)
plot_directions(
    directions.add_subplot(), pointing, ends=("right", "front", "up"), starts=("left", "back", "down")
)

# %%
# Which poses keep the anatomical limits: recorded ones of another person, and the same bodies with limbs that point anywhere.
select_rows(evolift.sample_poses(), Path("runs/other.h5"), subjects=("02",), overwrite=True)
limits = evolift.joint_limits("anatomical", evolift.H36M17)
with evolift.PoseStore("runs/other.h5") as store:
    check = report_on_store(store, limits, random_limbs=True)
print(f"recorded {100 * check.rate:.1f} %, random limbs {100 * check.random.rate:.1f} %")
