/** Where the nodes go when nobody says. */

import { Graph as Layers, layout } from "@dagrejs/dagre";

import { type Direction, type Graph, type Place } from "./model";

/** The size of a card, in the picture's pixels; an error adds lines below. */
export const CARD = { width: 232, height: 116 };

const GAP = { between: 56, right: 92, down: 72 };

/** Return the graph laid out in layers, edges all pointing one way. */
export function tidy(graph: Graph, direction: Direction): Graph {
  const layers = new Layers();
  layers.setGraph({
    rankdir: direction === "right" ? "LR" : "TB",
    nodesep: direction === "right" ? GAP.between : GAP.between / 2,
    ranksep: GAP[direction],
  });
  layers.setDefaultEdgeLabel(() => ({}));
  // Numbers, not names: dagre keeps its nodes in plain objects.
  const names = [...graph.nodes.keys()];
  const number = new Map(names.map((name, index) => [name, `n${index}`]));
  for (const id of number.values()) layers.setNode(id, { ...CARD });
  for (const { source, target } of graph.edges) layers.setEdge(number.get(source) ?? "", number.get(target) ?? "");
  layout(layers);
  const places = new Map<string, Place>();
  for (const [name, id] of number) {
    const { x, y } = layers.node(id) as Place;
    places.set(name, { x: Math.round(x - CARD.width / 2), y: Math.round(y - CARD.height / 2) });
  }
  return { ...graph, places, direction };
}

/** Lay out a graph of which not every node has a place. */
export function placed(graph: Graph, direction: Direction): Graph {
  return [...graph.nodes.keys()].every((name) => graph.places.has(name)) ? graph : tidy(graph, direction);
}

/** Return a place near `wanted` where no card is. */
export function freePlace(graph: Graph, wanted: Place): Place {
  let place = wanted;
  const taken = (at: Place) => [...graph.places.values()].some((other) => overlaps(at, other));
  while (taken(place)) place = { x: place.x + 24, y: place.y + CARD.height + 24 };
  return place;
}

function overlaps(one: Place, other: Place): boolean {
  return Math.abs(one.x - other.x) < CARD.width && Math.abs(one.y - other.y) < CARD.height;
}
