/** Which edges a graph can take; what the server would refuse anyway is not offered. */

import { type Graph, outbound } from "./model";

export type Kind = "source" | "step" | "sink";

/** Say why an edge can't be, or null where it can. */
export function edgeFault(graph: Graph, kindOf: (name: string) => Kind, source: string, target: string): string | null {
  if (source === target) return "A node can't feed itself.";
  if (kindOf(source) === "sink") return `${source} passes nothing on.`;
  if (kindOf(target) === "source") return `${target} makes its own items.`;
  if (outbound(graph, source).some((edge) => edge.target === target)) return `${source} feeds ${target} already.`;
  if (reaches(graph, target, source)) return `That would be a circle: ${target} leads to ${source}.`;
  return null;
}

function reaches(graph: Graph, from: string, to: string): boolean {
  const seen = new Set([from]);
  for (const name of seen) {
    if (name === to) return true;
    for (const edge of outbound(graph, name)) seen.add(edge.target); // a set goes on with what is added
  }
  return false;
}

/** Return the nodes that `source` can be connected to. */
export function targetsOf(graph: Graph, kindOf: (name: string) => Kind, source: string): string[] {
  return [...graph.nodes.keys()].filter((target) => edgeFault(graph, kindOf, source, target) === null);
}
