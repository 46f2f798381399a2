/** What this browser remembers: the graph from visit to visit, token and run for this tab. */

import { isPlain, readGraph, writeGraph, writeLayout } from "../graph/document";
import { type Graph } from "../graph/model";

const GRAPH = "pipelines.graph";
const TOKEN = "pipelines.token";
const RUN = "pipelines.run";

export function keepGraph(graph: Graph): void {
  const said = { graph: writeGraph(graph), layout: writeLayout(graph), direction: graph.direction };
  attempt(() => localStorage.setItem(GRAPH, JSON.stringify(said)));
}

/** Return the graph of the last visit, if there is one that can be read. */
export function keptGraph(): Graph | null {
  const text = attempt(() => localStorage.getItem(GRAPH));
  if (text === null || text === undefined) return null;
  try {
    const said: unknown = JSON.parse(text);
    return isPlain(said) ? readGraph(said.graph, said.layout, said.direction === "down" ? "down" : "right") : null;
  } catch {
    return null;
  }
}

export function keepToken(token: string): void {
  attempt(() => sessionStorage.setItem(TOKEN, token));
}

export function keptToken(): string {
  return attempt(() => sessionStorage.getItem(TOKEN)) ?? "";
}

export function keepRun(run: string | null): void {
  attempt(() => (run === null ? sessionStorage.removeItem(RUN) : sessionStorage.setItem(RUN, run)));
}

export function keptRun(): string | null {
  return attempt(() => sessionStorage.getItem(RUN)) ?? null;
}

/** A browser may refuse to store anything; then the page works without. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
