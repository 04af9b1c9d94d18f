"""Dataclasses whose methods are made when the first instance is.

`dataclasses.dataclass` writes and compiles some eight methods for each class, about 0.4 ms. A run of one item imports
two hundred classes and makes instances of a few of them. Nothing else differs, but there are no slots.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(**options: bool) -> Callable[[type], type]:
        """Return a decorator that makes a class a dataclass later. The options are those of `dataclasses.dataclass`."""

        def later(cls: type) -> type:
            # Without a docstring `dataclass` asks for the signature, which takes longer than all the rest.
            cls.__doc__ = cls.__doc__ or cls.__name__
            cls.__init__ = _Init(cls, options)
            cls.__dataclass_fields__ = _Fields(cls, options)
            return cls

        return later


__all__ = ["dataclass"]
#: Probes make instances in threads.
_MAKING = threading.RLock()


class _Late:
    """Stands for an attribute of a class that is not a dataclass yet."""

    def __init__(self, cls: Any, options: dict[str, bool]) -> None:
        self._cls, self._options = cls, options
        self._module = sys.modules.get(cls.__module__)

    def _make(self) -> None:
        """Make the class a dataclass. Its `__init__` comes last, and at once: until then no thread has an instance."""
        with _MAKING:
            cls = self._cls
            if not isinstance(cls.__dict__["__init__"], _Init):
                return  # another thread was first
            with self._module_there():
                self._into_dataclass()

    @contextmanager
    def _module_there(self) -> Iterator[None]:
        """Annotations are read in the class's module, which may have been taken out of `sys.modules` since."""
        name = self._cls.__module__
        missing = self._module is not None and name not in sys.modules
        if self._module is not None and missing:
            sys.modules[name] = self._module
        try:
            yield
        finally:
            if missing:
                sys.modules.pop(name, None)

    def _into_dataclass(self) -> None:
        cls = self._cls
        dataclasses.dataclass(init=False, **self._options)(cls)
        heir: Any = type(cls.__name__, (cls,), {"__qualname__": cls.__qualname__, "__doc__": cls.__doc__})
        frozen = self._options.get("frozen", False)
        cls.__init__ = dataclasses.dataclass(repr=False, eq=False, frozen=frozen)(heir).__init__


class _Init(_Late):
    """`__init__` of a class without instances."""

    def __get__(self, instance: Any, owner: type) -> Any:
        self._make()
        return self._cls.__init__.__get__(instance, owner)


class _Fields(_Late):
    """`__dataclass_fields__`, by which `fields`, `replace` and subclasses know a dataclass."""

    def __get__(self, instance: Any, owner: type) -> Any:
        self._make()
        return self._cls.__dict__["__dataclass_fields__"]
