/** The graph's document, as it is sent, stored and shared: JSON in, `Graph` out, and back. */

import { type Dict, type Direction, type Graph, type GraphEdge, type GraphNode, type Json, type Place } from "./model";
import { nameFault } from "./names";

/** A document that can't be shown; the message says where and why. */
export class DocumentFault extends Error {}

type Plain = Record<string, Json>;

/** An object without a prototype, so that no key of it means anything. */
export function plain(entries: Iterable<readonly [string, Json]>): Plain {
  const object = Object.create(null) as Plain;
  for (const [key, value] of entries) object[key] = value;
  return object;
}

export function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Read a document.
 *
 * @param layout places by name, where they are known.
 * @throws DocumentFault where it has not the form of a graph.
 */
export function readGraph(document: unknown, layout?: unknown, direction: Direction = "right"): Graph {
  const { nodes, graph, ...rest } = dict(document, "the graph");
  const known = new Map<string, GraphNode>();
  for (const [name, node] of Object.entries(dict(nodes, "nodes"))) {
    const fault = nameFault(name, (other) => known.has(other));
    if (fault !== null) throw new DocumentFault(`nodes: ${JSON.stringify(name)}: ${fault}`);
    known.set(name, readNode(name, node));
  }
  const edges = Object.entries(dict(graph ?? {}, "graph")).flatMap(([source, targets]) => readTargets(source, targets));
  for (const { source, target } of edges) {
    if (!known.has(source)) throw new DocumentFault(`graph: there is no node ${JSON.stringify(source)}`);
    if (!known.has(target)) throw new DocumentFault(`graph: ${source}: there is no node ${JSON.stringify(target)}`);
  }
  return { nodes: known, edges, places: readPlaces(layout, known), direction, rest: new Map(Object.entries(rest)) };
}

function dict(value: unknown, where: string): Plain {
  if (isPlain(value)) return value;
  throw new DocumentFault(`${where}: must be a mapping`);
}

function optional(value: unknown, where: string): Dict {
  return new Map(Object.entries(dict(value ?? {}, where)));
}

function readNode(name: string, node: unknown): GraphNode {
  const where = `nodes.${name}`;
  const { func, coro, args, properties, ...rest } = dict(node ?? {}, where);
  const step = func ?? coro ?? null;
  if (step !== null && typeof step !== "string") throw new DocumentFault(`${where}: its step must be a name`);
  return {
    name,
    step,
    key: coro === undefined || coro === null ? "func" : "coro",
    args: optional(args, `${where}.args`),
    properties: optional(properties, `${where}.properties`),
    rest: new Map(Object.entries(rest)),
  };
}

function readTargets(source: string, targets: Json): GraphEdge[] {
  if (targets === null) return [];
  const list = Array.isArray(targets) ? (targets as readonly Json[]) : [targets];
  return list.map((each) => readEdge(source, each));
}

function readEdge(source: string, edge: Json): GraphEdge {
  if (typeof edge === "string") return { source, target: edge, options: new Map() };
  const { to, ...options } = dict(edge, `graph.${source}`);
  if (typeof to !== "string") throw new DocumentFault(`graph.${source}: an edge says where it leads with "to"`);
  return { source, target: to, options: new Map(Object.entries(options)) };
}

function readPlaces(layout: unknown, nodes: ReadonlyMap<string, GraphNode>): Map<string, Place> {
  const places = new Map<string, Place>();
  if (!isPlain(layout)) return places;
  for (const [name, place] of Object.entries(layout)) {
    const [x, y] = Array.isArray(place) ? (place as unknown[]) : [];
    if (nodes.has(name) && Number.isFinite(x) && Number.isFinite(y)) places.set(name, { x: x as number, y: y as number });
  }
  return places;
}

/** Return the document of a graph; equal graphs give equal text. */
export function writeGraph(graph: Graph): Plain {
  const targets = new Map<string, Json[]>();
  for (const edge of graph.edges) targets.set(edge.source, [...(targets.get(edge.source) ?? []), writeEdge(edge)]);
  return plain([
    ...graph.rest,
    ["nodes", plain([...graph.nodes.values()].map((node) => [node.name, writeNode(node)]))],
    ["graph", plain(targets)],
  ]);
}

function writeEdge({ target, options }: GraphEdge): Json {
  return options.size === 0 ? target : plain([["to", target], ...options]);
}

function writeNode(node: GraphNode): Json {
  const said: [string, Json][] = [];
  if (node.step !== null) said.push([node.key, node.step]);
  if (node.args.size > 0) said.push(["args", plain(node.args)]);
  if (node.properties.size > 0) said.push(["properties", plain(node.properties)]);
  return plain([...said, ...node.rest]);
}

export function writeLayout(graph: Graph): Plain {
  return plain([...graph.places].map(([name, { x, y }]) => [name, [Math.round(x), Math.round(y)]]));
}

/** Return the text by which two graphs are compared: what they do, not where they stand. */
export function fingerprint(graph: Graph): string {
  return JSON.stringify(writeGraph(graph));
}
