"""Imported last before forks are made: what is loaded by now is not looked through for garbage, nor copied by that."""

import gc

gc.freeze()
