"""What of an experiment, and of this machine's settings, W&B would refuse: found without its server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from benchmark.experiment.experiment import Tracking
from benchmark.validation import objection

# wandb.Settings.validate_project
_LONGEST_PROJECT, _NOT_IN_A_PROJECT = 128, "/\\#?%:"
_MODES = ("online", "offline", "shared", "disabled", "dryrun", "run")
_SHORTEST_KEY = 40
# Plain texts, or set by us.
_FREE = (
    "WANDB_PROJECT",
    "WANDB_ENTITY",
    "WANDB_NAME",
    "WANDB_NOTES",
    "WANDB_RUN_GROUP",
    "WANDB_DIR",
)
_OURS = ("WANDB_ERROR_REPORTING", "WANDB_SERVICE")
# Of the sweep that started this process: W&B would give our run an id of its own, under which nothing goes on.
_ANOTHERS = ("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID", "WANDB_RESUME")


def refused(tracking: Tracking) -> list[str]:
    """What is wrong with project and entity, a message each that names the key."""
    found = []
    for key, name in (("project", tracking.project), ("entity", tracking.entity)):
        wrong = sorted({letter for letter in name or "" if letter in _NOT_IN_A_PROJECT})
        if name is not None and not name.strip():
            found.append(f"tracking.{key}: is empty; name one, or leave the key out")
        if wrong:
            apart = "; the team goes into 'entity'" if key == "project" and "/" in wrong else ""
            found.append(f"tracking.{key}: {name!r}: W&B takes no {' '.join(wrong)} in it{apart}")
        if len(name or "") > _LONGEST_PROJECT:
            found.append(f"tracking.{key}: is longer than {_LONGEST_PROJECT} letters: {name!r}")
    return found


def faults() -> dict[str, str]:
    """Variables of the environment that W&B would refuse, with the reason; wandb is imported for rare ones only."""
    found = {}
    for name in sorted(name for name in os.environ if name.startswith("WANDB_")):
        why = _fault(name, os.environ[name])
        if why:
            found[name] = why
    return found


def _fault(name: str, value: str) -> str:
    if name in _FREE + _OURS + _ANOTHERS:
        return ""
    check = _CHECKS.get(name)
    return _refusal(name, value) if check is None else check(value)


def _mode(value: str) -> str:
    return "" if value in _MODES else f"{value!r} is none of {', '.join(_MODES)}"


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError as error:
        return f"{value.rpartition('@')[2]!r}: {error}"
    if parts.scheme in ("http", "https") and parts.netloc:
        return _refusal("WANDB_BASE_URL", value) if "wandb.ai" in value else ""
    shown = value.rpartition("@")[2]  # a password may stand before it
    return f"{shown!r} is no address of a server: it begins with https://, as in https://{shown or 'api.wandb.ai'}"


def _key(value: str) -> str:
    """What is wrong with a key, by the rules of ``wandb.sdk.lib.wbauth.validation``; the key itself is not told."""
    secret = value.partition("-")[2] or value
    if value != value.strip():
        return "the key begins or ends with white space"
    if value.count(".") == 2:  # a token of W&B's own clients
        return ""
    if not re.fullmatch(r"[\w-]+", secret):
        return "the key is empty, or holds other letters than A-Z, digits and underscores"
    short = len(secret) < _SHORTEST_KEY
    return f"the key has {len(secret)} letters, and a key has {_SHORTEST_KEY}" if short else ""


def _refusal(name: str, value: str) -> str:
    """What wandb itself says to a variable, shortened to its reason."""
    import wandb

    try:
        wandb.Settings().update_from_env_vars({name: value})
    except ValidationError as error:
        return f"{value!r}: {objection(error.errors()[0])}"
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines()]
        return f"{value!r}: {lines[-1] if lines else type(error).__name__}"
    return ""


_CHECKS: dict[str, Callable[[str], str]] = {
    "WANDB_MODE": _mode,
    "WANDB_BASE_URL": _url,
    "WANDB_API_KEY": _key,
}


@contextmanager
def usable_settings(empty: Path) -> Iterator[list[str]]:
    """An environment that W&B takes, for as long as the block lasts; another's sweep and run are left out of it.

    Args:
        empty: A folder without a settings file, which stands in for W&B's own where that file is damaged.

    Yields:
        What was set aside, a sentence each: variables, and the settings file.
    """
    before = dict(os.environ)
    wrong = faults()
    told = [f"{name}: {why}" for name, why in wrong.items()]
    try:
        for name in (*wrong, *_ANOTHERS):
            os.environ.pop(name, None)
        if why := _unreadable():
            told.append(f"W&B's settings file: {why}")
            os.environ["WANDB_CONFIG_DIR"] = str(empty)
        yield told
    finally:
        _put_back(before)


def _put_back(before: Mapping[str, str]) -> None:
    """Restores the environment, and writes nothing where nothing has changed.

    W&B's threads run by now, and one that reads the environment in C (getaddrinfo does) while another writes it may end
    the process with SIGSEGV.
    """
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _unreadable() -> str:
    """What W&B says to its settings files; empty where it takes them."""
    import wandb
    from wandb.sdk import wandb_setup

    try:
        _ = wandb_setup.singleton().settings
    except Exception as error:
        wandb.teardown()
        return " ".join(str(error).split("[type=")[0].split())
    return ""
