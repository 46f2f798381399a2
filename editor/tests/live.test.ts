import { describe, expect, it, vi } from "vitest";

import { type Counts, type Frame } from "../src/client/protocol";
import { edgeId } from "../src/graph/model";
import { edgeKey, Live, nodeKey } from "../src/live/live";
import { Meter, WINDOW } from "../src/live/meter";
import { rates, Timeline } from "../src/live/timeline";

function counts(received: number, part: Partial<Counts> = {}): Counts {
  return { state: "running", received, emitted: received, skipped: 0, dead_lettered: 0, failed: 0, in_flight: 0, ...part };
}

function frame(seq: number, part: Partial<Frame> = {}): Frame {
  return { run: "r", seq, t: seq / 5, nodes: { a: counts(10 * seq) }, edges: [["a", "b", seq, 32]], bottleneck: null, items: [], dropped: 0, ...part };
}

describe("live numbers", () => {
  it("tell each listener only of its own node or edge", () => {
    const live = new Live();
    live.frame(frame(1, { edges: [["a", "b", 1, 32], ["b", "c", 0, 32]] }));
    const [node, other, edge, still] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
    live.subscribe(nodeKey("a"), node);
    live.subscribe(nodeKey("b"), other);
    live.subscribe(edgeKey(edgeId("a", "b")), edge);
    live.subscribe(edgeKey(edgeId("b", "c")), still);
    live.frame(frame(2, { edges: [["a", "b", 2, 32], ["b", "c", 0, 32]] }));
    expect([node, other, edge, still].map((each) => each.mock.calls.length)).toEqual([1, 0, 1, 0]);
  });

  it("leave out a frame that comes late or twice", () => {
    const live = new Live();
    live.frame(frame(5));
    live.frame(frame(5, { nodes: { a: counts(1) } }));
    live.frame(frame(4, { nodes: { a: counts(2) } }));
    expect(live.node("a")?.counts.received).toBe(50);
  });

  it("forget nodes and edges that the run no longer has, and tell who looks at them", () => {
    const live = new Live();
    live.frame(frame(1));
    const told = vi.fn();
    live.subscribe(nodeKey("a"), told);
    live.frame(frame(2, { nodes: { z: counts(1) }, edges: [] }));
    expect(live.node("a")).toBeUndefined();
    expect(live.edge("a", "b")).toBeUndefined();
    expect(told).toHaveBeenCalledOnce();
  });

  it("mark the bottleneck", () => {
    const live = new Live();
    live.frame(frame(1, { bottleneck: "a" }));
    expect(live.node("a")?.bottleneck).toBe(true);
    live.frame(frame(2));
    expect(live.node("a")?.bottleneck).toBe(false);
  });

  it("keep a bounded number of lines of output, and count all", () => {
    const live = new Live();
    for (let seq = 1; seq <= 20; seq++) {
      live.frame(frame(seq, { items: Array.from({ length: 50 }, (_, index) => ({ node: "a", text: String(index) })), dropped: 7 }));
    }
    expect(live.output.lines.length).toBe(400);
    expect(live.output.total).toBe(20 * 57);
    expect(live.output.dropped).toBe(140);
    expect(new Set(live.output.lines.map(({ id }) => id)).size).toBe(400);
  });

  it("start anew with the next run", () => {
    const live = new Live();
    live.frame(frame(9));
    live.begin();
    expect(live.node("a")).toBeUndefined();
    expect(live.timeline).toEqual([]);
    live.frame(frame(1));
    expect(live.node("a")?.counts.received).toBe(10);
  });

  it("take names that objects have", () => {
    const live = new Live();
    live.frame(frame(1, { nodes: { toString: counts(3), hasOwnProperty: counts(4) } }));
    expect(live.node("toString")?.counts.received).toBe(3);
    expect(live.node("valueOf")).toBeUndefined();
  });

  it("show empty queues after a good end", () => {
    const live = new Live();
    live.frame(frame(5));
    live.done({ run: "r", reason: "done", seconds: 2, nodes: { a: counts(70, { state: "done" }) }, balance: {}, bottleneck: "a" });
    expect(live.edge("a", "b")).toEqual({ size: 0, maxsize: 32 });
    expect(live.node("a")?.counts.state).toBe("done");
  });
});

describe("a meter", () => {
  it("says items a second over the last second", () => {
    const meter = new Meter();
    let reading = meter.read(0, 0);
    expect(reading.rate).toBe(0);
    for (let step = 1; step <= 50; step++) reading = meter.read(step / 5, step * 4);
    expect(reading.rate).toBeCloseTo(20);
  });

  it("keeps eight seconds of points", () => {
    const meter = new Meter();
    let reading = meter.read(0, 0);
    for (let step = 1; step <= 200; step++) reading = meter.read(step / 5, step);
    expect(reading.points.length).toBeLessThanOrEqual(WINDOW * 5 + 1);
    expect(reading.points[0]?.[0]).toBeGreaterThanOrEqual(40 - WINDOW);
  });

  it("takes the same moment twice without a jump", () => {
    const meter = new Meter();
    meter.read(0, 0);
    meter.read(1, 10);
    expect(meter.read(1, 10).rate).toBe(10);
  });
});

describe("a timeline", () => {
  it("covers a long run from end to end in a bounded number of moments", () => {
    const timeline = new Timeline();
    for (let seq = 0; seq < 5_000; seq++) timeline.record(frame(seq));
    const { moments } = timeline;
    expect(moments.length).toBeLessThanOrEqual(481);
    expect(moments.length).toBeGreaterThan(150);
    expect(moments[0]?.t).toBe(0);
    expect(moments.at(-1)?.t).toBeGreaterThan(990);
  });

  it("tells the rate between moments, and none for a node that was not there", () => {
    const timeline = new Timeline();
    timeline.record(frame(0));
    timeline.record(frame(5));
    expect(rates(timeline.moments, "a")).toEqual([[1, 50]]);
    expect(rates(timeline.moments, "z")).toEqual([]);
  });
});
