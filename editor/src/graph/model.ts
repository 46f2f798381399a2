/** The graph that a person edits, as immutable data; see `document.ts` for its form on the wire. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Names become keys of maps, never of plain objects. */
export type Dict = ReadonlyMap<string, Json>;

export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface GraphNode {
  readonly name: string;
  /** The offered step's name; null for an input that is fed by hand. */
  readonly step: string | null;
  /** Which key of the document names the step. */
  readonly key: "func" | "coro";
  readonly args: Dict;
  readonly properties: Dict;
  /** Keys of the document that this editor has no field for. */
  readonly rest: Dict;
}

export interface GraphEdge {
  readonly source: string;
  readonly target: string;
  /** What the edge says of its own queue: `buffer_size`, `when_full`. */
  readonly options: Dict;
}

/** Which way the picture runs; a phone's is higher than wide. */
export type Direction = "right" | "down";

export interface Graph {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  /** In the document's order, which is the order of a join's arguments. */
  readonly edges: readonly GraphEdge[];
  readonly places: ReadonlyMap<string, Place>;
  readonly direction: Direction;
  /** The document's other keys: `name`, `defaults`, `runtime`, … */
  readonly rest: Dict;
}

export const EMPTY: Graph = {
  nodes: new Map(),
  edges: [],
  places: new Map(),
  direction: "right",
  rest: new Map(),
};

/** One key for an edge; two names joined by a sign could be those of another edge. */
export function edgeId(source: string, target: string): string {
  return JSON.stringify([source, target]);
}

export function inbound(graph: Graph, name: string): GraphEdge[] {
  return graph.edges.filter((edge) => edge.target === name);
}

export function outbound(graph: Graph, name: string): GraphEdge[] {
  return graph.edges.filter((edge) => edge.source === name);
}
