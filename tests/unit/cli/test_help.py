"""`--help` says what was written: brackets are no markup, and sentences are not cut into lines of odd lengths."""

import inspect

import pytest
import typer
from rich.markup import render

from onnxyard.cli.main import build


def commands(group, path=()):
    for name, command in group.commands.items():
        yield from commands(command, (*path, name)) if hasattr(command, "commands") else [((*path, name), command)]


COMMANDS = {" ".join(path): command for path, command in commands(typer.main.get_command(build()))}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_of_a_help_text_is_taken_for_markup(name):
    command = COMMANDS[name]
    for text in (command.help, *(getattr(param, "help", None) for param in command.params)):
        assert render(text or "").plain == (text or "").replace("\\[", "[")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_in_whole_paragraphs(name):
    first, *others = inspect.cleandoc(COMMANDS[name].help).split("\n\n")
    assert first.endswith(".")
    assert not any("\n" in paragraph for paragraph in others)  # Typer keeps the line ends of these
