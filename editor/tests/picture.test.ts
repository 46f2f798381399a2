import { describe, expect, it } from "vitest";

import { readGraph } from "../src/graph/document";
import { connect } from "../src/graph/edit";
import { edgeId, type Graph } from "../src/graph/model";
import { boxesOf, routeAll } from "../src/graph/route";
import { CARD, freePlace, placed, tidy } from "../src/graph/tidy";
import { line } from "./graphs";

function overlapping(graph: Graph): string[] {
  const places = [...graph.places];
  return places.flatMap(([one, at], index) =>
    places.slice(index + 1).flatMap(([other, to]) =>
      Math.abs(at.x - to.x) < CARD.width && Math.abs(at.y - to.y) < CARD.height ? [`${one} ${other}`] : [],
    ),
  );
}

/** Fifty nodes, each fed by one or two before it. */
function large(): Graph {
  const names = Array.from({ length: 50 }, (_, index) => `node ${index}`);
  const nodes = Object.fromEntries(names.map((name) => [name, { func: "f" }]));
  const edges = names.map((name, index) => [name, [2 * index + 1, 3 * index + 2].flatMap((each) => names[each] ?? [])]);
  return readGraph({ nodes, graph: Object.fromEntries(edges) as object });
}

describe("tidy", () => {
  it("makes every edge point the same way", () => {
    const right = tidy(line(), "right");
    const down = tidy(line(), "down");
    for (const { source, target } of line().edges) {
      expect(right.places.get(target)?.x).toBeGreaterThan((right.places.get(source)?.x ?? 0) + CARD.width);
      expect(down.places.get(target)?.y).toBeGreaterThan((down.places.get(source)?.y ?? 0) + CARD.height);
    }
  });

  it("lets no card lie on another one", () => {
    expect(overlapping(tidy(large(), "right"))).toEqual([]);
    expect(overlapping(tidy(large(), "down"))).toEqual([]);
  });

  it("works without any node, and with names that objects have", () => {
    expect(tidy(readGraph({ nodes: {} }), "right").places.size).toBe(0);
    expect(tidy(readGraph({ nodes: { toString: {}, valueOf: {} } }), "right").places.size).toBe(2);
  });

  it("leaves a graph alone of which every place is known", () => {
    const graph = tidy(line(), "right");
    expect(placed(graph, "down")).toBe(graph);
  });

  it("finds a free place for a new card", () => {
    const graph = tidy(line(), "right");
    const wanted = graph.places.get("slow") ?? { x: 0, y: 0 };
    const place = freePlace(graph, wanted);
    expect(overlapping({ ...graph, places: new Map([...graph.places, ["new", place]]) })).toEqual([]);
  });
});

function pointsOf(path: string): { x: number; y: number }[] {
  const numbers = [...path.matchAll(/-?[\d.]+/g)].map(Number);
  return numbers.flatMap((x, index) => (index % 2 === 0 ? [{ x, y: numbers[index + 1] ?? 0 }] : []));
}

describe("routes", () => {
  const routed = (graph: Graph) => routeAll(graph, boxesOf(graph, new Map()));

  it("are plain curves where nothing is in the way, each label in the middle", () => {
    const graph = tidy(line(), "right");
    const [from, to] = [graph.places.get("numbers"), graph.places.get("slow")];
    const route = routed(graph).get(edgeId("numbers", "slow"));
    expect(route?.path).toMatch(/^M\S+ \S+ C/);
    expect(route?.label.x).toBe(((from?.x ?? 0) + CARD.width + (to?.x ?? 0)) / 2);
  });

  it("go around a card in their way, and around the next one too", () => {
    const graph = tidy(connect(line(), "numbers", "show"), "right");
    const cards = [...boxesOf(graph, new Map()).values()];
    const wall = { x: cards[1]?.x ?? 0, y: (cards[1]?.y ?? 0) - CARD.height - 40, width: CARD.width, height: CARD.height };
    const boxes = new Map([...boxesOf(graph, new Map()), ["wall", wall]]);
    const label = routeAll(graph, boxes).get(edgeId("numbers", "show"))?.label ?? { x: 0, y: 0 };
    for (const box of boxes.values()) {
      expect(label.y > box.y && label.y < box.y + box.height && label.x > box.x && label.x < box.x + box.width).toBe(false);
    }
  });

  it.each(["right", "down"] as const)("keep all labels apart, in a picture that runs %s", (direction) => {
    const labels = [...routed(tidy(large(), direction)).values()].map(({ label }) => label);
    const covered = labels.flatMap((one, index) =>
      labels.slice(index + 1).filter((other) => Math.abs(one.x - other.x) < 64 && Math.abs(one.y - other.y) < 22),
    );
    expect(covered).toEqual([]);
  });

  it("run down where the picture does", () => {
    const graph = tidy(line(), "down");
    const points = pointsOf(routed(graph).get(edgeId("numbers", "slow"))?.path ?? "");
    expect(points[0]?.y).toBe((graph.places.get("numbers")?.y ?? 0) + CARD.height);
    expect(points.at(-1)?.y).toBe(graph.places.get("slow")?.y);
  });
});
