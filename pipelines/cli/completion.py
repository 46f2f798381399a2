"""``plumber completion``: the script that lets a shell complete verbs, flags and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pipelines.cli.app import plumber

__all__ = ["command"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(plumber completion bash)"        in ~/.bashrc
    zsh:   eval "$(plumber completion zsh)"         in ~/.zshrc
    fish:  plumber completion fish > ~/.config/fish/completions/plumber.fish
    """  # noqa: D301 (click takes the backspace for "don't wrap")
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    click.echo(found(plumber, {}, "plumber", "_PLUMBER_COMPLETE").source())
