"""Draws docs/skeletons.png: one pose as motion capture, COCO and MediaPipe tell it, all in H36M17.

PYTHONPATH=. python docs/skeletons_figure.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolift.drawing.figures import new_figure
from evolift.posedata.joint_mapping import UNLABELLED, mapping_between
from evolift.posedata.skeleton import COCO17, H36M17, MEDIAPIPE33
from tests.posedata.one_person import joints_of
from tests.posedata.test_sources_agree import reference

VIEWS = {"from the front": (0, 1, 1.0), "from the person's right": (2, 1, 1.0)}
LOOKS = {"motion capture (CMU)": ("#222222", 5.0), "COCO": ("#d55e00", 2.5), "MediaPipe": ("#0072b2", 1.2)}


def main() -> None:
    """Write the picture."""
    figure = new_figure(9, 6)
    told = {"motion capture (CMU)": (reference(), np.ones(17, bool))}
    for name, skeleton in (("COCO", COCO17), ("MediaPipe", MEDIAPIPE33)):
        joints, visibility = mapping_between(skeleton, H36M17).convert(joints_of(skeleton))
        told[name] = joints, visibility != UNLABELLED
    for number, (view, (across, up, sign)) in enumerate(VIEWS.items(), 1):
        axes = figure.add_subplot(1, 2, number)
        for name, (joints, labelled) in told.items():
            colour, width = LOOKS[name]
            for place, (parent, child) in enumerate(H36M17.bones):
                if labelled[parent] and labelled[child]:
                    ends = joints[[parent, child]]
                    label = name if place == 0 else None
                    axes.plot(sign * ends[:, across], ends[:, up], color=colour, linewidth=width, label=label)
        nose = reference()[H36M17.index("nose")]
        axes.annotate("nose", (sign * nose[across], nose[up]), xytext=(14, 6), textcoords="offset points")
        axes.set_title(view)
        axes.set_aspect("equal")
        axes.set_ylabel("mm")
        axes.set_xticks([])
        axes.margins(0.15, 0.05)
    figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=3)
    figure.savefig(Path(__file__).with_name("skeletons.png"), dpi=100)


if __name__ == "__main__":
    main()
