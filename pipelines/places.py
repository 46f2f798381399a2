"""Where each part of a graph file stands, and the problems found so far, each at its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.errors import Problem

__all__ = ["Branch", "Findings", "Path", "Place", "Places", "dotted"]

#: Keys and indices from the top of a document to one of its parts.
Path = tuple[str | int, ...]

#: A 1-based line and column.
Place = tuple[int, int]


@dataclass(slots=True)
class Branch:
    """Where a mapping or list begins, and where its members do.

    Attributes:
        start: its own place.
        members: of a list the places of its elements; of a mapping those of each key and its value.
    """

    start: Place
    members: list[Place | Branch] | dict[str, tuple[Place, Place | Branch]]

    def __iter__(self) -> Iterator[tuple[str | int, Place | Branch]]:
        """Iterate over the index or key of each member, and its place."""
        if isinstance(self.members, list):
            return iter(enumerate(self.members))
        return ((key, place) for key, (_, place) in self.members.items())

    def find(self, part: str | int) -> tuple[Place, Place | Branch] | None:
        """Return the places of one member's key and of its value; a list has no keys."""
        if isinstance(self.members, dict):
            return self.members.get(str(part))
        if not isinstance(part, int) or part >= len(self.members):
            return None
        place = self.members[part]
        return place.start if isinstance(place, Branch) else place, place


class Places(Mapping[Path, Place]):
    """The place of every value of a document by its path; `key` gives those of keys.

    A tree of places, not a table of paths: a large file has a million, and few are asked for.
    """

    def __init__(self, root: Place | Branch | None = None) -> None:
        self._root = root

    def __getitem__(self, path: Path) -> Place:
        place = self._find(path)
        if place is None:
            raise KeyError(path)
        return place.start if isinstance(place, Branch) else place

    def __iter__(self) -> Iterator[Path]:
        waiting: list[tuple[Path, Place | Branch]] = [((), self._root)] if self._root else []
        while waiting:
            path, place = waiting.pop()
            yield path
            if isinstance(place, Branch):
                waiting += [((*path, key), each) for key, each in place]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def key(self, path: Path) -> Place:
        """Return where the last key of `path` stands; of a list's element, where that begins.

        Raises:
            KeyError: nothing stands there.
        """
        owner = self._find(path[:-1]) if path else None
        found = owner.find(path[-1]) if isinstance(owner, Branch) else None
        return self[path] if found is None else found[0]

    def _find(self, path: Path) -> Place | Branch | None:
        place = self._root
        for part in path:
            found = place.find(part) if isinstance(place, Branch) else None
            place = None if found is None else found[1]
        return place


def dotted(path: Path) -> str:
    """Return `path` as people write it: ``nodes.fetch.args``; a name with dots is quoted."""
    return ".".join(f'"{part}"' if "." in str(part) else str(part) for part in path)


class Findings:
    """Gathers problems and gives each its place in the file.

    Args:
        file: the file the graph was read from, if any.
        places: where its parts stand.
    """

    def __init__(self, file: str | None = None, places: Mapping[Path, Any] | None = None) -> None:
        self.file = file
        self.places = places if places is not None else Places()
        self.moved: dict[Path, str] = {}  # what no longer comes from the file, and from where
        self._problems: dict[Problem, None] = {}

    def add(
        self,
        code: str,
        message: str,
        path: Path = (),
        hint: str = "",
        *,
        at_key: bool = False,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """Note one fault.

        Args:
            code, message, path, hint, severity: as of `Problem`.
            at_key: show the last key of `path`, not its value.
        """
        origin = next((self.moved[p] for p in _prefixes(path) if p in self.moved), None)
        line, column = (None, None) if origin else self._locate(path, at_key)
        message = f"{origin}: {message}" if origin else message
        self.put(Problem(code, message, path, hint, severity, self.file, line, column))

    def put(self, problem: Problem) -> None:
        """Note one fault whose place is known already."""
        self._problems[problem] = None

    @property
    def noted(self) -> int:
        """How many faults there are."""
        return len(self._problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All faults, those with a place first, from the top of the file down."""
        return tuple(sorted(self._problems, key=_order))

    def _locate(self, path: Path, at_key: bool) -> tuple[int | None, int | None]:
        """Find the nearest place to `path`: its own, or that of what encloses it."""
        for prefix in _prefixes(path):
            if prefix in self.places:
                if (at_key or prefix != path) and isinstance(self.places, Places):
                    return self.places.key(prefix)
                line, column = self.places[prefix]
                return line, column
        return None, None


def _prefixes(path: Path) -> Iterator[Path]:
    return (path[:length] for length in range(len(path), -1, -1))


def _order(problem: Problem) -> tuple[bool, int, int, list[str], str]:
    path = [f"{part:08d}" if isinstance(part, int) else part for part in problem.path]
    unknown = problem.line is None
    return (unknown, problem.line or 0, problem.column or 0, path, problem.code)
