/** Every change a person can make, as functions from a graph to the next one. */

import { type Dict, type Graph, type GraphEdge, type GraphNode, type Json, type Place } from "./model";

export function addNode(graph: Graph, name: string, step: string | null, place: Place, args: Dict = new Map()): Graph {
  const node: GraphNode = { name, step, key: "func", args, properties: new Map(), rest: new Map() };
  return {
    ...graph,
    nodes: new Map(graph.nodes).set(name, node),
    places: new Map(graph.places).set(name, place),
  };
}

export function removeNodes(graph: Graph, names: Iterable<string>): Graph {
  const gone = new Set(names);
  const keep = <T>(map: ReadonlyMap<string, T>) => new Map([...map].filter(([name]) => !gone.has(name)));
  return {
    ...graph,
    nodes: keep(graph.nodes),
    places: keep(graph.places),
    edges: graph.edges.filter((edge) => !gone.has(edge.source) && !gone.has(edge.target)),
  };
}

/** Give a node another name; it keeps its place in every order. */
export function renameNode(graph: Graph, from: string, to: string): Graph {
  const renamed = (name: string) => (name === from ? to : name);
  return {
    ...graph,
    nodes: new Map([...graph.nodes.values()].map((node) => [renamed(node.name), { ...node, name: renamed(node.name) }])),
    places: new Map([...graph.places].map(([name, place]) => [renamed(name), place])),
    edges: graph.edges.map((edge) => ({ ...edge, source: renamed(edge.source), target: renamed(edge.target) })),
  };
}

export function connect(graph: Graph, source: string, target: string): Graph {
  return { ...graph, edges: [...graph.edges, { source, target, options: new Map() }] };
}

export function disconnect(graph: Graph, source: string, target: string): Graph {
  return { ...graph, edges: graph.edges.filter((edge) => edge.source !== source || edge.target !== target) };
}

export function move(graph: Graph, places: Iterable<readonly [string, Place]>): Graph {
  return { ...graph, places: new Map([...graph.places, ...places]) };
}

/** Set an argument or property of a node; undefined takes it away. */
export function setOption(
  graph: Graph,
  name: string,
  group: "args" | "properties",
  key: string,
  value: Json | undefined,
): Graph {
  const node = graph.nodes.get(name);
  if (node === undefined) return graph;
  const changed = { ...node, [group]: put(node[group], key, value) };
  return { ...graph, nodes: new Map(graph.nodes).set(name, changed) };
}

export function setEdgeOption(graph: Graph, edge: GraphEdge, key: string, value: Json | undefined): Graph {
  const changed = { ...edge, options: put(edge.options, key, value) };
  return { ...graph, edges: graph.edges.map((each) => (same(each, edge) ? changed : each)) };
}

export function setRest(graph: Graph, key: string, value: Json | undefined): Graph {
  return { ...graph, rest: put(graph.rest, key, value) };
}

/**
 * Make `source` the argument before the one it now follows at `target`.
 *
 * The document lists edges by where they start, so all edges of `source` move.
 */
export function moveInputEarlier(graph: Graph, source: string, target: string): Graph {
  const order = [...new Set(graph.edges.map((edge) => edge.source))];
  const inputs = order.filter((each) => graph.edges.some((edge) => edge.source === each && edge.target === target));
  const before = inputs[inputs.indexOf(source) - 1];
  if (before === undefined) return graph;
  const sources = order.filter((each) => each !== source);
  sources.splice(sources.indexOf(before), 0, source);
  return { ...graph, edges: sources.flatMap((each) => graph.edges.filter((edge) => edge.source === each)) };
}

function put(map: Dict, key: string, value: Json | undefined): Dict {
  const changed = new Map(map);
  if (value === undefined) changed.delete(key);
  else changed.set(key, value);
  return changed;
}

function same(one: GraphEdge, other: GraphEdge): boolean {
  return one.source === other.source && one.target === other.target;
}
