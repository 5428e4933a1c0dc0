"""The command `evolift`: finds the module of a subcommand and turns our errors into one sentence.

Nothing here or at the top of a command module imports torch or any other slow package, so that `--help` answers
at once; commands import what they need in their bodies.
"""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

import rich_click as click
from click.exceptions import NoArgsIsHelpError, NoSuchCommand
from click.shell_completion import CompletionItem

from evolift.cli.interruption import Interruption
from evolift.cli.settings_options import settings_options, taken_settings, with_flags
from evolift.posedata.errors import EvoliftError
from evolift.posedata.file_limits import FileLimits, limited
from evolift.posedata.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "evolift.cli.demo.command",
        "See on real motion capture what each part gains, in minutes, on a CPU.",
    ),
    "data": ("evolift.cli.data", "Import, make, select, render, inspect and view pose stores."),
    "evolve": ("evolift.cli.evolve", "Grow a pose store by crossover, mutation and selection."),
    "judge": ("evolift.cli.judge", "See whether evolution pays on sources that a lifter never saw."),
    "limits": ("evolift.cli.limits", "Fit joint-angle limits, and check poses against them."),
    "detector": ("evolift.cli.detector", "Stage one: train and evaluate the image-to-2D heatmap network."),
    "lifter": ("evolift.cli.lifter", "Stage two: train and evaluate the 2D-to-3D graph network."),
    "finetune": (
        "evolift.cli.finetune",
        "Chain detector and lifter, and train them end to end.",
    ),
    "chain": (
        "evolift.cli.chain",
        "Score the chain of detector and lifter stage by stage, or take it apart.",
    ),
    "reproduce": (
        "evolift.cli.reproduce",
        "Run the 14 rows of the report's table, or some, and set them in one table.",
    ),
    "predict": ("evolift.cli.predict", "3D poses of people in your photographs, videos and 2D keypoints."),
    "app": ("evolift.cli.app", "A local page: drop a photograph or short video, see the pose."),
    "models": (
        "evolift.cli.models",
        "The networks and poses that come with evolift, and what is known of them.",
    ),
    "recipes": ("evolift.cli.recipe_list", "The recipes that come with evolift, and what they are for."),
    "doctor": ("evolift.cli.doctor", "What of evolift works on this machine, and how to mend the rest."),
    "export": ("evolift.cli.export", "Write a trained network as an ONNX file, to be run without torch."),
}
"""Name of each command -> module that holds it under the same name, and its one-line help."""


class LazyGroup(click.RichGroup):
    """A group whose commands are imported when they are called."""

    _is_listing = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; for the list in `--help`, only a placeholder with its one line."""
        if cmd_name not in COMMANDS:
            return None
        if self._is_listing:
            return click.RichCommand(name=cmd_name, help=COMMANDS[cmd_name][1])
        return command_named(cmd_name)

    def format_help(self, ctx: click.RichContext, formatter: click.RichHelpFormatter) -> None:  # type: ignore[override]  # rich-click's own narrowing
        """As rich-click, with the placeholders."""
        self._is_listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._is_listing = False

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, which does not know the names to suggest."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click, without an import for every name."""
        names = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


def command_named(name: str) -> click.Command:
    """A command by its words, such as "detector train".

    Raises:
        KeyError: there is no such command.
    """
    first, *rest = name.split()
    command: click.Command = getattr(importlib.import_module(COMMANDS[first][0]), first)
    for word in rest:
        inner = (
            command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        )
        if inner is None:
            raise KeyError(name)
        command = inner
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evolift")
@settings_options(FileLimits)
@click.pass_context
def evolift(ctx: click.Context, /, **options: Any) -> None:
    """3D human pose from one camera: train it, extend its data, look inside it, run it on your photographs."""
    ctx.with_resource(limited(taken_settings(FileLimits, options)))


def main() -> None:
    """Entry point of the console command: exit code 2 and one sentence for what the user can mend.

    Exit codes of interrupted commands are those that shells give: 130 after Ctrl-C, 143 after SIGTERM.
    """
    interruption = Interruption()
    try:
        with interruption.listening():
            code = evolift.main(prog_name="evolift", standalone_mode=False)
    except BaseException as error:
        sys.exit(_told(error, interruption.number))
    sys.exit(code if isinstance(code, int) else 0)


def _told(error: BaseException, signal_number: int) -> int:
    """Say what ended a command; the exit code. A defect of ours is raised again."""
    is_keyboard = isinstance(error, (click.Abort, KeyboardInterrupt)) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)  # lightning's
    )
    if signal_number or is_keyboard:
        click.echo(" ".join(["Interrupted.", *_notes(error)]), err=True)
        return 128 + (signal_number or signal.SIGINT)
    if isinstance(error, EvoliftError):
        click.echo(f"Error: {with_flags(str(error), evolift)}", err=True)
        return 2
    if isinstance(error, NoArgsIsHelpError):
        error.show()
        return 2
    if isinstance(error, click.ClickException):
        click.echo(f"Error: {error.format_message()}", err=True)
        return error.exit_code
    raise error


def _notes(error: BaseException | None) -> list[str]:
    """What was said of an interruption on its way: of the last exception of its chain that has notes."""
    while error is not None:
        if getattr(error, "__notes__", None):
            return list(error.__notes__)
        error = error.__cause__ or error.__context__
    return []


if __name__ == "__main__":
    main()
