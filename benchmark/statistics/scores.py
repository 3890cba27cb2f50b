"""The scores of an evaluation."""

from __future__ import annotations

# The scores of a validation point, fractions in 0..1.
SCORES = ("mAP50", "mAP", "mAP75", "mAP_s", "mAP_m", "mAP_l")
