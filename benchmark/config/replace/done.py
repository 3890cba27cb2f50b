"""What came of putting parts in place."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Done:
    """What was changed of a config, a short line each, and what does not fit."""

    changes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
