"""`evolift export`: a trained network as an ONNX file, to be run without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from evolift.cli.options import ExistingCheckpoint, RecipeCommand, output_option, overwrite_option

if TYPE_CHECKING:
    from evolift.training.onnx_file import OnnxGraph


@click.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingCheckpoint)
@click.option(
    "--refiner",
    type=ExistingCheckpoint,
    help="Refiner checkpoint of `evolift lifter train-refiner`, to go behind the lifter.",
)
@output_option("ONNX file (.onnx)")
@overwrite_option
def export(checkpoint: Path, refiner: Path | None, output: Path, overwrite: bool) -> None:
    """Write a trained detector, lifter or chain as one ONNX file.

    CHECKPOINT is of `evolift detector train`, `evolift lifter train` or `evolift finetune`; the file itself tells which.
    The ONNX file takes batches of any size, that of a temporal lifter clips of any length, and holds what its user has to know:
    meaning of inputs and outputs, skeleton, units, frame, size of crops (JSON under the metadata key evolift). Colours are scaled
    and joints normalised inside it:

    \b
      detector  crop, image_from_crop [, ...]     -> joints_2d, confidence [, depth]
      lifter    joints_2d, visibility [, image_size]  -> joints_3d [, sigma]
      chain     crop, image_from_crop [, image_size]  -> joints_3d, joints_2d, confidence [, sigma]

    image_size is taken by lifters of normalisation `screen`, sigma is given by those of --loss nll. The file is run with onnxruntime before it is kept, with
    batches of 1 and 3: poses may differ from torch's by 0.1 mm, 2D joints by 1/10000 of the crop's width, confidence by
    1/10000. Needs the extra onnx, see `evolift doctor`. examples/predict_onnx.py shows how to use it.

    Example:

    \b
      evolift export runs/chain/best.safetensors -o chain.onnx
    """
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import sha256_of
    from evolift.training.onnx_file import write_onnx

    if output.suffix != ".onnx":
        raise InputError(f"{output} should end in .onnx: give --output NAME.onnx")
    graph = _graph(checkpoint, refiner)
    origin = {"name": checkpoint.name, "sha256": sha256_of(checkpoint)}
    if refiner is not None:
        origin |= {"refiner": refiner.name, "refiner_sha256": sha256_of(refiner)}
    differences = write_onnx(output, graph, origin=origin, overwrite=overwrite)
    click.echo(f"{output}: {graph.stage}, {output.stat().st_size / 1e6:.1f} MB")
    for name in differences:
        unit = graph.description["units"].get(name, "")
        click.echo(
            f"  {name}: at most {differences[name]:.2g} {unit if unit in ('mm', 'px') else ''}".rstrip()
            + " from torch"
        )


def _graph(checkpoint: Path, refiner_file: Path | None) -> OnnxGraph:
    from evolift.posedata.errors import CheckpointError, InputError
    from evolift.training.checkpoint import stage_of

    stage = stage_of(checkpoint)
    if stage == "detector":
        if refiner_file is not None:
            raise InputError("a detector gives no poses to refine: leave out --refiner")
        from evolift.detector2d.model import DetectorModel
        from evolift.detector2d.onnx_graph import detector_graph

        return detector_graph(DetectorModel.load(checkpoint))
    if stage == "lifter":
        from evolift.lifter.model import LifterModel
        from evolift.lifter.onnx_graph import lifter_graph

        lifter = LifterModel.load(checkpoint)
        if refiner_file is None:
            return lifter_graph(lifter)
        from evolift.lifter.refiner import Refined, RefinerModel

        return lifter_graph(Refined(lifter, RefinerModel.load(refiner_file)))
    if stage == "temporal-lifter":
        from evolift.lifter.refiner import RefinerModel
        from evolift.lifter.temporal.model import TemporalLifter
        from evolift.lifter.temporal.onnx_graph import clip_graph

        refiner = None if refiner_file is None else RefinerModel.load(refiner_file)
        return clip_graph(TemporalLifter.load(checkpoint), refiner)
    if stage == "chain":
        from evolift.chain.model import ChainModel
        from evolift.chain.onnx_graph import chain_graph
        from evolift.lifter.refiner import RefinerModel

        refiner = None if refiner_file is None else RefinerModel.load(refiner_file)
        return chain_graph(ChainModel.load(checkpoint), refiner)
    raise CheckpointError(
        f"{checkpoint} is a checkpoint of the stage {stage!r}: give one of a detector, a lifter or a chain"
    )
