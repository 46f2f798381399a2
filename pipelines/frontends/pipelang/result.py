"""What a step's function may return besides a plain value: `Result`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, final

__all__ = ["Result", "Status", "cancel", "done", "pending", "reset"]


class Status(enum.Enum):
    """What is to become of a value; an Enum, so that a status pickles to itself."""

    done = "done"
    pending = "pending"
    reset = "reset"
    cancel = "cancel"

    def __repr__(self) -> str:
        return self.value


#: The value goes on, as one that is returned by itself does.
done = Status.done
#: Not ready yet: the step is called again with the same value.
pending = Status.pending
#: The value's pipe starts over from its first step.
reset = Status.reset
#: The value is dropped.
cancel = Status.cancel


@final
@dataclass(frozen=True, slots=True)
class Result:
    """Returned by a step's function: what is to become of the value.

    Args:
        value: what goes on, if it is `done`.
        status: a `Status`, or its name.
        delay: seconds until the next call, for `pending` and `reset`; by default the step's
            ``!poll``.

    Raises:
        ValueError: there is no such status, or the delay is below 0.
    """

    value: Any = None
    status: Status = done
    delay: float | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "status", Status(self.status))
        except ValueError:
            known = ", ".join(each.value for each in Status)
            raise ValueError(f"a status is one of {known}, not {self.status!r}") from None
        if self.delay is not None and not self.delay >= 0:
            raise ValueError(f"delay is seconds of 0 or more, not {self.delay!r}")
