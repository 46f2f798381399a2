/** The lines of all edges: curves where the way is free, else lanes around cards; and their labels. */

import { edgeId, type Graph, type Place } from "./model";
import { CARD } from "./tidy";

export interface Box extends Place {
  readonly width: number;
  readonly height: number;
}

export interface Route {
  /** What an SVG path takes as its `d`. */
  readonly path: string;
  /** The middle of the label. */
  readonly label: Place;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

interface Line {
  readonly path: string;
  /** The point at a share of the way, from 0 to 1. */
  readonly at: (share: number) => Place;
}

const CLEAR = 28; // between a lane and the cards it passes
const BESIDE = 22; // between two lanes: the more cards one passes, the farther out it lies
const NEAR = 14; // a lane that is nearer to a card than that seems to lead to it
const LABEL: Size = { width: 64, height: 22 };
/** Where on its line a label is tried, the best place first. */
const SHARES = [0.5, 0.4, 0.6, 0.32, 0.68, 0.25, 0.75, 0.18, 0.82];

/** Return the corners of each card; one that was not drawn yet is taken for an ordinary one. */
export function boxesOf(graph: Graph, sizes: ReadonlyMap<string, { width: number; height: number }>): Map<string, Box> {
  return new Map([...graph.places].map(([name, place]) => [name, { ...CARD, ...sizes.get(name), ...place }]));
}

/** Return the route of each edge by its id: no line crosses a card, no label covers another one. */
export function routeAll(graph: Graph, boxes: ReadonlyMap<string, Box>): Map<string, Route> {
  if (graph.direction === "down") {
    const turned = new Map([...boxes].map(([name, box]) => [name, turn(box)]));
    return new Map([...routesRight(graph, turned, turnSize(LABEL))].map(([id, { path, label }]) => [id, { path: turnPath(path), label: { x: label.y, y: label.x } }]));
  }
  return routesRight(graph, boxes, LABEL);
}

function routesRight(graph: Graph, boxes: ReadonlyMap<string, Box>, size: Size): Map<string, Route> {
  const routes = new Map<string, Route>();
  const taken: Place[] = [];
  for (const { source, target } of graph.edges) {
    const [from, to] = [boxes.get(source), boxes.get(target)];
    if (!from || !to) continue;
    const others = [...boxes.values()].filter((box) => box !== from && box !== to);
    const line = lineOf(middle(from, "right"), middle(to, "left"), others);
    const label = labelOn(line, size, taken, [...boxes.values()]);
    taken.push(label);
    routes.set(edgeId(source, target), { path: line.path, label });
  }
  return routes;
}

function middle({ x, y, width, height }: Box, side: "left" | "right"): Place {
  return { x: side === "left" ? x : x + width, y: y + height / 2 };
}

function lineOf(from: Place, to: Place, cards: readonly Box[]): Line {
  const direct = curve(from, to);
  const inWay = cards.filter((card) => SAMPLES.some((share) => inside(direct.at(share), card, 8)));
  return inWay.length === 0 ? direct : lane(from, to, inWay, cards);
}

const SAMPLES = Array.from({ length: 23 }, (_, index) => (index + 1) / 24);

function inside({ x, y }: Place, box: Box, margin: number): boolean {
  return x > box.x - margin && x < box.x + box.width + margin && y > box.y - margin && y < box.y + box.height + margin;
}

function curve(from: Place, to: Place): Line {
  const reach = Math.max(24, Math.min(120, Math.abs(to.x - from.x) / 2));
  const [one, other] = [{ x: from.x + reach, y: from.y }, { x: to.x - reach, y: to.y }];
  const at = (t: number) => {
    const [a, b, c, d] = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2, t ** 3];
    return {
      x: a * from.x + b * one.x + c * other.x + d * to.x,
      y: a * from.y + b * one.y + c * other.y + d * to.y,
    };
  };
  return { path: `M${from.x} ${from.y} C${one.x} ${one.y} ${other.x} ${other.y} ${to.x} ${to.y}`, at };
}

function lane(from: Place, to: Place, inWay: readonly Box[], cards: readonly Box[]): Line {
  const left = Math.min(...inWay.map(({ x }) => x));
  const right = Math.max(...inWay.map(({ x, width }) => x + width));
  const start = Math.max(left, from.x + 24);
  const end = Math.max(start, Math.min(right, to.x - 24));
  const passed = cards.filter(({ x, width }) => x < end && x + width > start);
  const clear = CLEAR + BESIDE * (inWay.length - 1);
  const above = free(Math.min(...inWay.map(({ y }) => y)) - clear, passed, ({ y }) => y - clear);
  const below = free(Math.max(...inWay.map(({ y, height }) => y + height)) + clear, passed, ({ y, height }) => y + height + clear);
  const middle = (from.y + to.y) / 2;
  const y = Math.abs(above - middle) <= Math.abs(below - middle) ? above : below;
  const out = (start - from.x) / 2;
  const back = (to.x - end) / 2;
  const path =
    `M${from.x} ${from.y} C${from.x + out} ${from.y} ${start - out} ${y} ${start} ${y} ` +
    `L${end} ${y} C${end + back} ${y} ${to.x - back} ${to.y} ${to.x} ${to.y}`;
  return { path, at: (share) => ({ x: start + share * (end - start), y }) };
}

/** Move a lane outwards until it is near no card. */
function free(y: number, cards: readonly Box[], next: (card: Box) => number): number {
  const hit = cards.find((card) => y > card.y - NEAR && y < card.y + card.height + NEAR);
  return hit === undefined ? y : free(next(hit), cards.filter((card) => card !== hit), next);
}

function labelOn(line: Line, size: Size, taken: readonly Place[], cards: readonly Box[]): Place {
  const places = SHARES.map(line.at);
  const clear = places.filter((place) => !taken.some((other) => covers(place, other, size)));
  const best = clear.find((place) => !cards.some((card) => inside(place, card, 11)));
  return best ?? clear[0] ?? line.at(0.5);
}

function covers(one: Place, other: Place, { width, height }: Size): boolean {
  return Math.abs(one.x - other.x) < width && Math.abs(one.y - other.y) < height;
}

function turn({ x, y, ...size }: Box): Box {
  return { x: y, y: x, ...turnSize(size) };
}

function turnSize({ width, height }: Size): Size {
  return { width: height, height: width };
}

function turnPath(path: string): string {
  return path.replace(/(-?[\d.e-]+) (-?[\d.e-]+)/g, "$2 $1");
}
