"""The commands, a module each: `deploygate NAME` is the command of that name in the module of that name."""
