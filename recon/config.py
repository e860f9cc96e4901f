"""Configs as plain data: dataclasses from YAML and back, overrides, and a hash that names a set of settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from recon.errors import ReconError

T = TypeVar("T")


def from_plain(cls: type[T], data: Mapping[str, Any], where: str = "config") -> T:
    """Build a (nested) dataclass from plain data; fields that are absent keep their defaults.

    The defaults of a nested dataclass are those that the outer one states for it, not those of its own class.

    Raises:
        ReconError: for a name that is not a setting, or a value of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise ReconError(f"{where}: expected settings by name, got {data!r}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values = {}
    for name, value in data.items():
        if name not in fields:
            raise ReconError(f"{where}: there is no setting {name!r}; there are {', '.join(sorted(fields))}")
        stated = _default(fields[name])
        if dataclasses.is_dataclass(stated) and isinstance(value, Mapping):
            value = merged(to_plain(stated), value)
        values[name] = _convert(hints[name], value, f"{where}.{name}")
    return cls(**values)


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def to_plain(config: Any) -> Any:
    """Turn a (nested) dataclass into dicts, lists and scalars that YAML and JSON can hold."""
    if dataclasses.is_dataclass(config):
        return {f.name: to_plain(getattr(config, f.name)) for f in dataclasses.fields(config) if f.init}
    if isinstance(config, tuple | list):
        return [to_plain(item) for item in config]
    if isinstance(config, Path):
        return str(config)
    return config


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `override` laid over it, key by key."""
    result = dict(base)
    for name, value in override.items():
        old = result.get(name)
        result[name] = (
            merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return result


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `train.iterations=500` assignments into nested plain data; values are read as YAML.

    Raises:
        ReconError: for text that is not of the form name=value.
    """
    import yaml

    result: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise ReconError(
                f"a setting is written name=value, for example train.iterations=500; got {assignment!r}"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ReconError(f"cannot read the value of {assignment!r}: {error}") from error
        for part in reversed(name.strip().split(".")):
            value = {part: value}
        result = merged(result, value)
    return result


def read_yaml(path: Path) -> Any:
    """Read a plain YAML file.

    Raises:
        ReconError: when it is missing or is not YAML.
    """
    import yaml

    from recon.files import read_bytes

    try:
        return yaml.safe_load(read_bytes(path, max_bytes=1 << 20))
    except yaml.YAMLError as error:
        raise ReconError(f"{path} is not readable YAML: {error}") from error


def config_hash(config: Any) -> str:
    """Return a short hash that is equal exactly for equal settings."""
    text = json.dumps(to_plain(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if value is None and len(options) < len(typing.get_args(hint)):
            return None
        return _convert(options[0], value, where)
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, value, where)  # type: ignore[arg-type]
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            choices = ", ".join(map(repr, typing.get_args(hint)))
            raise ReconError(f"{where}: expected one of {choices}, got {value!r}")
        return value
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise ReconError(f"{where}: expected a list, got {value!r}")
        item = typing.get_args(hint)[0]
        return origin(_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ReconError(f"{where}: expected settings by name, got {value!r}")
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            pass
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ReconError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
