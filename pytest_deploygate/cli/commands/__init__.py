"""The commands: `deploygate NAME` is the object NAME in the module NAME of this folder.

The first line of a module's docstring is what `deploygate --help` says about the command.
"""
