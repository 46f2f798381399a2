/** Showing another graph, from wherever it comes. */

import { type Direction, type Graph } from "../graph/model";
import { replace } from "./editor";
import { forget } from "./session";

/** A phone's picture runs down, any other one to the right. */
export function direction(): Direction {
  return matchMedia("(max-width: 760px)").matches ? "down" : "right";
}

/** Show a graph in the place of this one; undo brings it back, without the numbers of its run. */
export function openGraph(graph: Graph): void {
  replace(graph, direction());
  forget();
}
