"""`evolift data import`: pose stores from data sets as they are downloaded."""

from __future__ import annotations

import rich_click as click

from evolift.cli import import_motion, import_multiview, import_photographs


@click.group("import")
def import_group() -> None:
    """Make a pose store from a data set as it is downloaded."""


for command in (
    import_motion.import_cmu,
    import_motion.import_bvh,
    import_motion.import_smpl_joints,
    import_photographs.import_lsp,
    import_photographs.import_coco,
    import_photographs.import_mpii,
    import_multiview.import_human36m,
    import_multiview.import_videopose3d,
    import_multiview.import_pose_baseline,
    import_multiview.import_mmpose,
    import_multiview.import_mpi_inf_3dhp,
):
    import_group.add_command(command)
