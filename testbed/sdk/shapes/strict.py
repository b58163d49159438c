"""Holds JSON against the types of an SDK, strictly: nothing is converted, unknown keys are findings.

`fits` is for typed dictionaries (what clients send), `unknown` for pydantic models (what clients read).
"""

import collections.abc
import types
import typing

import typing_extensions

SEQUENCES = (list, collections.abc.Iterable, collections.abc.Sequence)
MAPPINGS = (dict, collections.abc.Mapping)
WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired, typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly)


def fits(value, hint, at=""):
    """What is wrong with a value where this type is expected; one line for each flaw."""
    origin = typing.get_origin(hint)
    if origin in WRAPPERS:
        return fits(value, typing.get_args(hint)[0], at)
    if hint is typing.Any or hint is object:
        return []
    if hint is None or hint is type(None):
        return [] if value is None else [f"{at}: not null"]
    if origin in (typing.Union, types.UnionType):
        return closest([fits(value, branch, at) for branch in typing.get_args(hint)])
    if origin in (typing.Literal, typing_extensions.Literal):
        return [] if value in typing.get_args(hint) and type(value) in map(type, typing.get_args(hint)) else [f"{at}: {value!r} is none of {typing.get_args(hint)}"]
    if isinstance(hint, typing_extensions.TypeAliasType):
        return fits(value, hint.__value__, at)
    if typing_extensions.is_typeddict(hint):
        return fits_dictionary(value, hint, at)
    if origin in SEQUENCES:
        if not isinstance(value, list):
            return [f"{at}: not a list"]
        (item,) = typing.get_args(hint)
        return [flaw for index, one in enumerate(value) for flaw in fits(one, item, f"{at}[{index}]")]
    if origin in MAPPINGS or hint in MAPPINGS:
        return [] if isinstance(value, dict) else [f"{at}: not an object"]
    if hint is float:
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{at}: not a number"]
    if hint in (str, int, bool):
        return [] if type(value) is hint else [f"{at}: {value!r} is no {hint.__name__}"]
    # Files and streams of bytes: in JSON they never come.
    return [f"{at}: {value!r} where {hint} is expected"]


def fits_dictionary(value, hint, at):
    if not isinstance(value, dict):
        return [f"{at}: not an object"]
    hints = typing_extensions.get_type_hints(hint, include_extras=True)
    flaws = [f"{at}.{key}: unknown to {hint.__name__}" for key in value if key not in hints]
    flaws += [f"{at}.{key}: required by {hint.__name__}" for key in hint.__required_keys__ if key not in value]
    return flaws + [flaw for key in value if key in hints for flaw in fits(value[key], hints[key], f"{at}.{key}")]


def closest(branches):
    """The flaws of the branch that was most likely meant: the one that fails deepest, then least."""
    for flaws in branches:
        if not flaws:
            return []
    depth = lambda flaws: max(flaw.split(":")[0].count(".") + flaw.split(":")[0].count("[") for flaw in flaws)
    tagged = lambda flaws: sum(" is none of " in flaw for flaw in flaws)
    return min(branches, key=lambda flaws: (tagged(flaws), -depth(flaws), len(flaws)))


def unknown(model, at=""):
    """Keys of the JSON that a parsed pydantic model has no field for."""
    if isinstance(model, (list, tuple)):
        return [key for index, item in enumerate(model) for key in unknown(item, f"{at}[{index}]")]
    if isinstance(model, dict):
        return [key for name, item in model.items() for key in unknown(item, f"{at}.{name}")]
    if not hasattr(model, "model_extra"):
        return []
    found = [f"{at}.{name}: unknown to {type(model).__name__}" for name in model.model_extra or {}]
    for name in type(model).model_fields:
        found += unknown(getattr(model, name), f"{at}.{name}")
    return found
