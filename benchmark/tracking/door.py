"""What stands in the way of tracking, told before a sweep and after it; a tracker that fails here stands in no way."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.experiment.experiment import Tracking
from benchmark.run.record import RunRecord
from benchmark.tracking import tracker_class
from benchmark.tracking.base import Door


def door_of(tracking: Tracking) -> Door:
    """What the tracker of an experiment finds in its way; nothing where tracking is off.

    Raises:
        UserError: No tracker has that name.
    """
    kind = tracker_class(tracking.name)
    if tracking.mode == "off":
        return Door(off=True)
    try:
        return kind.door(tracking)
    except Exception:  # it is told when a run is tracked
        return Door()


def warnings_of(tracking: Tracking, door: Door | None = None) -> list[str]:
    """What a user may want to mend before runs are tracked offline only; ``door`` is `door_of` where it is known."""
    title = tracker_class(tracking.name).title
    hindered = (door or door_of(tracking)).hindered
    return [f"{title}: {why}; runs are tracked offline" for why in hindered]


def told_after(tracking: Tracking, records: Iterable[RunRecord | None]) -> list[str]:
    """What became of the tracking of runs, where it is not what was asked for.

    Args:
        tracking: As it was asked for.
        records: Of the runs that have just ended; None for one that was lost.
    """
    door, title = door_of(tracking), tracker_class(tracking.name).title
    modes = [record.tracking.mode for record in records if record and record.tracking]
    offline, none = modes.count("offline"), modes.count("off")
    told = []
    if none and not door.off:
        told.append(f"{title}: {none} of {len(modes)} runs are not tracked; each log.txt says why")
    if offline and (door.hindered or tracking.mode == "online"):
        why = "; ".join(door.hindered) or "see log.txt"
        told.append(f"{title}: {offline} of {len(modes)} runs are tracked offline only: {why}")
    return told
