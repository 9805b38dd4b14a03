"""The command line."""

from tumorkeras.cli.command_line import app, main

__all__ = ["app", "main"]
