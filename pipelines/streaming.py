"""The pool for a step that takes a whole stream: an iterator of items in, one of results out."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import Any, Self

from pipelines.errors import StepError
from pipelines.executor import Executor
from pipelines.expansion import Expansion, Values
from pipelines.lane import Lane
from pipelines.pace import Pace
from pipelines.processor import Processor
from pipelines.schedule import clock

__all__ = ["Streaming"]

logger = logging.getLogger(__name__)

#: Seconds of work after which a thread hands over the results that it has.
PATIENCE = 0.01


class Streaming(Expansion):
    """A pool whose workers each drive one call of the step, all of them from the start."""

    def __init__(self, node: Processor) -> None:
        super().__init__(node)
        self.ordered = False  # of one call's results there is one order, of several calls' none
        self._streams: list[Stream] = []

    def credit(self) -> int:
        """Return how many more items may be taken: any number, while results find room."""
        return self.most if self.outlet.room() > 0 else 0

    def _refresh(self) -> None:
        self.node.received = sum(stream.taken for stream in self._streams)
        self.node.finished = sum(stream.finished for stream in self._streams)

    async def work(self, lane: int) -> None:
        if lane == 0:
            self._start_the_others()
        stream = Stream(self.node, lane, self.most)
        self._streams.append(stream)
        try:
            await self._drive(stream)
        finally:
            await stream.close()
            self.inlet.give_back(stream.items)
        self.size -= 1  # no other call takes the place of one that has ended
        if stream.error is not None:
            self._fail(stream, stream.error)

    def _start_the_others(self) -> None:
        for _ in range(self.size - 1):
            self.rouse()
            self._rousing = False

    async def _drive(self, stream: Stream) -> None:
        values = Values(self, 0, None)
        pace = Pace(target=PATIENCE, most=self.most)
        given = 0
        while True:
            began = clock()
            turn = await stream.turn()
            pace.adapt(given, clock() - began)
            await values.send(stream.results)
            if turn is Turn.OVER or self.outlet.deserted:
                return
            while clock() > self.schedule.deadline:
                await self.schedule.breath()
            items = await self._take(pace.limit) if turn is Turn.HUNGRY else []
            given = len(items)
            stream.go_on(items, ended=turn is Turn.HUNGRY and not items)

    async def _take(self, limit: int) -> list[Any]:
        """Return the next items; none at the end of the stream."""
        while not (count := self.claim(limit)):
            if not await self.park():
                return []
        items = self.inlet.take(count)
        if not self.inlet.items:
            self.drained()
        return items

    def _fail(self, stream: Stream, error: BaseException) -> None:
        node = self.node
        self._refresh()
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise error
        if stream.finished < stream.taken:
            node.failed += stream.taken - stream.finished
            raise StepError(node.name, stream.item, error)
        doing = "after its last item" if stream.taken else "before its first item"
        raise StepError(node.name, None, error, doing=doing)


class Turn(enum.Enum):
    """Why a stream's thread hands over: it wants items, has results enough, or has ended."""

    HUNGRY = "hungry"
    FULL = "full"
    OVER = "over"


class Stream:
    """One call of a step in a thread of its own, and the iterator that it takes its items from.

    The thread and the event loop take turns: the thread works until it needs more items, has `most`
    results, or has worked for `PATIENCE`; the loop takes the results, and answers with items. So
    nothing of a stream is touched by both at once, but for `close`, which the thread looks out for.

    Attributes:
        items: given, and not taken by the step.
        results: made, and not handed over.
        taken, finished: items that the step took, and those of them that it is done with.
        item: the one that it took last.
        error: what it raised.
    """

    def __init__(self, node: Processor, lane: int, most: int) -> None:
        self.items: deque[Any] = deque()
        self.results: list[Any] = []
        self.taken = self.finished = 0
        self.item: Any = None
        self.error: BaseException | None = None
        self._node = node
        self._most = most
        self._due = 0.0
        self._ended = self._closed = False
        self._loop = asyncio.get_running_loop()
        self._answers: SimpleQueue[None] = SimpleQueue()
        self._turn: asyncio.Future[Turn] = self._loop.create_future()
        self._lane = Lane(f"pipelines:{node.name}:{lane}", self._loop)
        self._lane.submit(self._run)

    # The event loop's side.

    def turn(self) -> asyncio.Future[Turn]:
        """Return a future of the thread's next hand-over."""
        return self._turn

    def go_on(self, items: Iterable[Any], ended: bool) -> None:
        """Answer a hand-over: its results were taken, and here are items, or there will be none."""
        self.items.extend(items)
        self.results = []
        self._ended = self._ended or ended
        self._turn = self._loop.create_future()
        self._answers.put(None)

    async def close(self) -> None:
        """End the thread; a step that has not ended finds its generators closed."""
        self._closed = True
        self._answers.put(None)
        if not await self._lane.join(Executor.patience):
            logger.warning(
                "node %r: its step still blocks a thread, which can't be ended", self._node.name
            )

    # The thread's side.

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self.finished = self.taken
        if not self.items and not self._ended:
            self._hand_over(Turn.HUNGRY)
        elif self._closed or (self.results and clock() > self._due):
            self._hand_over(Turn.FULL)
        if not self.items:
            raise StopIteration
        self.item = self.items.popleft()
        self.taken += self._node.weight(self.item)
        return self.item

    def _hand_over(self, turn: Turn) -> None:
        """Let the event loop go on, and wait for its answer.

        Raises:
            GeneratorExit: there will be none; the step's generators close.
        """
        if not self._closed:
            self._tell(turn)
            self._answers.get()
        if self._closed:
            raise GeneratorExit
        self._due = clock() + PATIENCE

    def _tell(self, turn: Turn) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed: nobody waits then
            self._loop.call_soon_threadsafe(_resolve, self._turn, turn)

    def _run(self) -> None:
        try:
            self._run_step(self._node.call)
            self.finished = self.taken
        except BaseException as error:
            if not (self._closed and isinstance(error, GeneratorExit)):
                self.error = error
        self._tell(Turn.OVER)

    def _run_step(self, step: Callable[[Iterator[Any]], Iterable[Any] | None]) -> None:
        results = step(self)
        try:
            for result in results if results is not None else ():
                self.results.append(result)
                if self._closed or len(self.results) >= self._most or clock() > self._due:
                    self._hand_over(Turn.FULL)
        finally:
            if isinstance(results, Generator):
                results.close()


def _resolve(future: asyncio.Future[Turn], turn: Turn) -> None:
    if not future.done():
        future.set_result(turn)
