"""The command line: puts the commands together and reads a prompt that begins with a dash."""

import sys
from collections.abc import Sequence

import typer

from gouache import __version__
from gouache.commands.doctor import doctor
from gouache.commands.generate import generate
from gouache.commands.keys import keys
from gouache.commands.mcp import mcp
from gouache.commands.models import models
from gouache.commands.run import run
from gouache.commands.serving import serve, worker
from gouache.commands.stubs import stubs
from gouache.commands.tasks import cancel, tasks
from gouache.commands.usage import usage
from gouache.commands.variant import variant
from gouache.commands.webhooks import webhook_secret

FLAGS = ("--open", "--json", "--circle", "--help")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Pictures from words, drawn by a small model of its own on an ordinary processor.",
)
app.command(no_args_is_help=True)(generate)
app.command(no_args_is_help=True)(run)
app.command(no_args_is_help=True)(variant)
app.command()(serve)
app.command()(worker)
app.command()(mcp)
app.command()(stubs)
app.command()(tasks)
app.command(no_args_is_help=True)(cancel)
app.command()(usage)
app.command()(keys)
app.command()(webhook_secret)
app.command()(doctor)
app.command()(models)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"gouache {__version__}")


def main() -> None:
    """Run the command line."""
    app(args=separate_prompt(sys.argv[1:]))


def separate_prompt(arguments: Sequence[str]) -> list[str]:
    """Move a prompt that begins with "-" behind a "--", so that it is not taken for an option.

    Such a prompt is known by the white space in what would be the option's name.
    """
    arguments = list(arguments)
    if "--" in arguments:
        return arguments
    for before, argument in zip(["", *arguments], arguments, strict=False):
        is_value = before.startswith("--") and "=" not in before and before not in FLAGS
        looks_like_prompt = argument.startswith("-") and len(argument.split("=")[0].split()) > 1
        if looks_like_prompt and not is_value:
            arguments.remove(argument)
            return [*arguments, "--", argument]
    return arguments
