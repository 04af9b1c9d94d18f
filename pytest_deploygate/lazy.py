"""Dataclasses whose methods are made when the first instance is, and compiled when there are many.

`dataclasses.dataclass` writes and compiles some eight methods for each class, about 0.7 ms. A run of one item imports
two hundred classes and makes a few instances of some of them. Nothing else differs, but there are no slots.
"""

from __future__ import annotations

import dataclasses
import reprlib
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
#: Instances after which the `__init__` of a class is compiled: then it is about as quick, and takes less memory.
_MANY = 32
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
        own = {name for name in ("__repr__", "__eq__", "__hash__") if name in vars(cls)}
        frozen = self._options.get("frozen", False)
        # To make a class frozen, `dataclass` compiles two more methods: 0.2 ms. Of a frozen one only a frozen one inherits.
        ours = frozen and not any(map(dataclasses.is_dataclass, cls.__mro__[1:]))
        options = {**self._options, "eq": False, "frozen": frozen and not ours}
        dataclasses.dataclass(init=False, repr=False, **options)(cls)
        methods = {"__repr__": _repr}
        if ours:
            cls.__dataclass_params__.frozen = True
            methods |= _frozen(cls)
        if self._options.get("eq", True):
            methods |= _comparing(cls, frozen=frozen)
        for name, method in methods.items():
            if name not in own:
                setattr(cls, name, method)
        cls.__init__ = _init(cls, self._compile) if _is_plain(cls) else self._compile()

    def _compile(self) -> Any:
        """Give the class a compiled `__init__`, and return it: that of dataclasses, or one that is quicker."""
        cls = self._cls
        frozen = self._options.get("frozen", False)
        if frozen and _is_plain(cls):
            cls.__init__ = _compiled(cls)
            return cls.__init__
        heir: Any = type(cls.__name__, (cls,), {"__qualname__": cls.__qualname__, "__doc__": cls.__doc__})
        cls.__init__ = dataclasses.dataclass(repr=False, eq=False, frozen=frozen)(heir).__init__
        return cls.__init__


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


def _is_plain(cls: Any) -> bool:
    """Tell whether each field is an argument of `__init__` that may be given by position."""
    fields = dataclasses.fields(cls)
    return len(fields) == len(cls.__dataclass_fields__) and all(
        one.init and not one.kw_only for one in fields
    )


def _init(cls: Any, compiled: Callable[[], Any]) -> Callable[..., None]:
    """Return an `__init__` for the first instances of a class; it leaves mistakes to the one of dataclasses."""
    fields = dataclasses.fields(cls)
    names, left = [one.name for one in fields], _MANY

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 (it becomes a method)
        nonlocal left
        left -= 1
        values = dict(zip(names, args, strict=False))
        wrong = len(args) > len(names) or values.keys() & kwargs.keys()
        values |= kwargs
        for one in fields if len(values) < len(names) else ():
            if one.name not in values:
                if one.default is not dataclasses.MISSING:
                    values[one.name] = one.default
                elif one.default_factory is not dataclasses.MISSING:
                    values[one.name] = one.default_factory()
        if wrong or left < 0 or len(values) != len(names) or not values.keys() >= set(names):
            compiled()(self, *args, **kwargs)
            return
        # In their order, and not by `update`: so that the dictionaries of all instances share their keys.
        for name in names:
            self.__dict__[name] = values[name]
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    return __init__


def _compiled(cls: Any) -> Any:
    """Return an `__init__` for a frozen class: that of dataclasses takes four times as long, a call for each field.

    The dictionary of an instance shares its keys with the others as long as they are set in one order: no `update`.
    """
    asked, values, known = ["self"], [], dict[str, Any]()
    for one in dataclasses.fields(cls):
        default, value = f"_of_{one.name}", one.name
        if one.default is not dataclasses.MISSING:
            known[default] = one.default
        elif one.default_factory is not dataclasses.MISSING:
            known[default] = one.default_factory  # it stands for what it makes
            value = f"{default}() if {one.name} is {default} else {one.name}"
        asked.append(f"{one.name}={default}" if default in known else one.name)
        values.append(f" _values[{one.name!r}] = {value}")
    after = [" self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    lines = [f"def __init__({', '.join(asked)}):", " _values = self.__dict__", *values, *after]
    exec("\n".join(lines), known)  # noqa: S102 (of names of fields, as dataclasses does it)
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return known["__init__"]


def _frozen(cls: Any) -> dict[str, Any]:
    """Return the methods that refuse to change an instance, as those of `dataclass(frozen=True)`."""
    names = frozenset(cls.__dataclass_fields__)

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807 (it becomes a method)
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _comparing(cls: Any, *, frozen: bool) -> dict[str, Any]:
    """Return the methods that compare instances by their fields."""
    names = [one.name for one in dataclasses.fields(cls) if one.compare]

    def values(self: Any) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in names)

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807 (it becomes a method)
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": __eq__, "__hash__": (lambda self: hash(values(self))) if frozen else None}


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"
