"""YAML files from users: read with a safe loader, validated at the door, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.errors import UserError, fault_of, not_read
from benchmark.validation import NAME_PATTERN, worded

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class Strict(BaseModel):
    """A mapping of a file: unknown keys are refused, and nothing changes after reading.

    ``no_keys`` are fields that are no keys of the file, since who reads it gives them; ``more_keys`` are keys that who
    reads it takes out before.
    """

    no_keys: ClassVar[tuple[str, ...]] = ()
    more_keys: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


_Model = TypeVar("_Model", bound=Strict)


def exponents(value: object) -> object:
    """``value`` with texts like ``1e-4`` as numbers: YAML 1.1 wants a dot and a sign in them."""
    if isinstance(value, dict):
        return {key: exponents(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exponents(item) for item in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """Reads ``12:30:00`` as the text that it is: YAML 1.1 makes it 45000, a number to the base of 60."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {
        first: [
            (tag, re.compile(rf"(?!.*:){pattern.pattern}", pattern.flags))
            if tag.endswith((":int", ":float"))
            else (tag, pattern)
            for tag, pattern in found
        ]
        for first, found in _Safe.yaml_implicit_resolvers.items()
    }


_DEEPEST = 100
_MOST_VALUES = 1_000_000
_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


def _node_problems(
    node: yaml.Node, seen: set[int], above: frozenset[int] = frozenset()
) -> Iterator[str]:
    """What YAML would read without a word: keys that stand twice, keys that are no text, a node within itself.

    Looked for before values are made, since ``<<`` puts the keys that it merges in beside a mapping's own.
    """
    if id(node) in above:
        yield f"line {node.start_mark.line + 1}: this {_word(node)} is within itself, by an alias"
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    children = node.value
    if isinstance(node, yaml.MappingNode):
        yield from _key_problems(node)
        children = [value for _, value in node.value]
    for child in children:
        yield from _node_problems(child, seen, above | {id(node)})


def _key_problems(node: yaml.MappingNode) -> Iterator[str]:
    lines: dict[str, list[int]] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag not in (_TEXT, _MERGE) and not _is_whole(key):
            yield _no_text(key, line)
        else:
            lines.setdefault(key.value, []).append(line)
    for name, found in lines.items():
        if len(found) > 1:
            yield (
                f"{_lines(found)}: the key '{name}' is given {len(found)} times, "
                "of which YAML keeps the last: join them, or remove all but one"
            )


def _lines(found: Sequence[int]) -> str:
    numbers = list(dict.fromkeys(found))
    return f"line{'s' * (len(numbers) > 1)} {' and '.join(map(str, numbers))}"


def _word(node: yaml.Node) -> str:
    return "mapping" if isinstance(node, yaml.MappingNode) else "list"


def _is_whole(key: yaml.Node) -> bool:
    return key.tag == "tag:yaml.org,2002:int" and str(key.value).isdecimal()


def _no_text(key: yaml.Node, line: int) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return f"line {line}: a key is a text; this is a {_word(key)}"
    read = key.tag.rpartition(":")[2]
    return f"line {line}: the key {key.value} is a {read} to YAML, not a text: write '{key.value}' in quotes"


def read_yaml(path: Path, kind: str) -> dict[str, Any]:
    """Reads a mapping.

    Args:
        path: The file.
        kind: What it should be, for the message: ``an experiment is a mapping with 'rows'``.

    Raises:
        UserError: It cannot be read, is not YAML, is not a mapping, or a key of it is given twice or is no text.
    """
    try:
        content = _content(path)
    except OSError as error:
        raise not_read(path, error) from fault_of(error)
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # bytes that are no text, a path with a null in it
        raise UserError(f"{path}: not YAML: {error}") from None
    except RecursionError:
        raise UserError(f"{path}: is nested too deeply") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: {kind}; this is {type(content).__name__}")
    return content


def _content(path: Path) -> object:
    text = path.read_text(encoding="utf-8")
    _refuse_depth(text, path)
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        if node is None:
            return None
        if problems := list(_node_problems(node, set())):
            raise UserError([f"{path}: {problem}" for problem in problems])
        _refuse_size(node, path)
        content: object = loader.construct_document(node)
        return content
    finally:
        loader.dispose()


def _refuse_depth(text: str, path: Path) -> None:
    """Refuses what would end this process: libyaml calls itself for every level. Events come one after the other.

    Raises:
        UserError: A list or mapping is nested too deeply.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise UserError(
                f"{path}: line {line}: is nested too deeply; allowed: {_DEEPEST} levels"
            )


def _refuse_size(node: yaml.Node, path: Path) -> None:
    """Refuses a file whose aliases, written out, are more than any experiment is; nothing is within itself here.

    Raises:
        UserError: It holds too many values.
    """
    known: dict[int, int] = {}

    def values(node: yaml.Node) -> int:
        if id(node) not in known:
            pairs = isinstance(node, yaml.MappingNode)
            inner = [value for _, value in node.value] if pairs else node.value
            within = isinstance(node, yaml.CollectionNode)
            known[id(node)] = 1 + sum(map(values, inner)) if within else 1
        return known[id(node)]

    if (count := values(node)) > _MOST_VALUES:
        raise UserError(
            f"{path}: holds {count:,} values, its aliases written out; allowed: {_MOST_VALUES:,}"
        )


def validated(model: type[_Model], content: Mapping[str, object], path: Path, whole: str) -> _Model:
    """``content`` as a ``model``.

    Args:
        model: What it should be.
        content: What a file holds.
        path: The file, for the messages.
        whole: Name of the whole, for a problem that is no single field's.

    Raises:
        UserError: With every problem, each naming its field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError([f"{path}: {worded(p, whole, model)}" for p in error.errors()]) from None
