/** Small graphs that the tests share. */

import { readGraph } from "../src/graph/document";
import { type Graph } from "../src/graph/model";

export const LINE = {
  nodes: { numbers: { func: "numbers", args: { count: 5 } }, slow: { func: "slow" }, show: { func: "show" } },
  graph: { numbers: ["slow"], slow: [{ to: "show", buffer_size: 4 }], show: null },
};

export function line(): Graph {
  return readGraph(LINE);
}

/** `a` and `b` feed `c`, in this order. */
export function join(): Graph {
  return readGraph({ nodes: { a: { func: "x" }, b: { func: "x" }, c: { func: "x" } }, graph: { a: ["c"], b: ["c"] } });
}
