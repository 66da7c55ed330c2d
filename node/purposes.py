"""The alliance's vocabulary of purposes, by itself: `hanse --help` names them and should load nothing else for it."""

PURPOSES = ("research", "quality", "maintenance", "operations", "planning", "risk", "care", "compliance", "training")
"""The position in this list is the bit in `Terms.purposes`."""
