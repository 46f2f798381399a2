/** Where a problem is: a node, an edge, or the graph as a whole. */

import { type Problem } from "../client/protocol";
import { type Graph } from "../graph/model";

/** Return the node that a problem is about, if it is one of the graph's. */
export function nodeOf({ path }: Problem, graph: Graph): string | null {
  const [part, name] = path;
  const known = (part === "nodes" || part === "graph") && typeof name === "string" && graph.nodes.has(name);
  return known ? name : null;
}

/** Return those of a node's problems that are about one of its fields. */
export function problemsAt(problems: readonly Problem[], ...path: readonly string[]): readonly Problem[] {
  return problems.filter((problem) => path.every((part, index) => String(problem.path[index]) === part));
}

export function placeOf({ path }: Problem): string {
  return path.length === 0 ? "graph" : path.join(" › ");
}
