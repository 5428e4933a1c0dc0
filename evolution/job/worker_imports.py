"""Imported by the process that worker processes are copies of, and by nothing else: all that they need."""

from evolift.posedata.garbage_collection import lasting_imports

with lasting_imports():
    import evolift.evolution.job.block_workers  # noqa: F401
