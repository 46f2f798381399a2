import { describe, expect, it } from "vitest";

import { DocumentFault, fingerprint, plain, readGraph, writeGraph, writeLayout } from "../src/graph/document";
import { LINE, line } from "./graphs";

describe("a document", () => {
  it("comes back as it was, but for nodes that feed none", () => {
    expect(JSON.parse(JSON.stringify(writeGraph(line())))).toEqual({
      nodes: LINE.nodes,
      graph: { numbers: ["slow"], slow: [{ to: "show", buffer_size: 4 }] },
    });
  });

  it("keeps keys that the editor has no field for, of the graph and of nodes", () => {
    const said = { name: "mine", runtime: { max_failures: 3 }, nodes: { a: { coro: "f", "x-note": "hi" } }, graph: {} };
    expect(JSON.parse(fingerprint(readGraph(said)))).toEqual(said);
  });

  it("may name one target without a list, as the seed did", () => {
    const graph = readGraph({ nodes: { a: null, b: { func: "f" }, c: { func: "f" } }, graph: { a: "b", b: { to: "c" } } });
    expect(graph.edges.map(({ source, target }) => [source, target])).toEqual([["a", "b"], ["b", "c"]]);
    expect(graph.nodes.get("a")?.step).toBeNull();
  });

  it.each([
    ["a list", [], "mapping"],
    ["no nodes", {}, "nodes"],
    ["a node that is text", { nodes: { a: "f" } }, "nodes.a"],
    ["a step that is a number", { nodes: { a: { func: 3 } } }, "nodes.a"],
    ["an edge to nowhere", { nodes: { a: {} }, graph: { a: ["b"] } }, "no node \"b\""],
    ["an edge from nowhere", { nodes: { a: {} }, graph: { b: ["a"] } }, "no node \"b\""],
    ["an edge without an end", { nodes: { a: {} }, graph: { a: [{ buffer_size: 3 }] } }, "\"to\""],
    ["a name that browsers sort", { nodes: { 1: {} } }, "digits"],
  ])("with %s is refused, and it is said where", (_, document, where) => {
    expect(() => readGraph(document)).toThrow(DocumentFault);
    expect(() => readGraph(document)).toThrow(where);
  });

  it("can't reach a prototype through a name", () => {
    const said: unknown = JSON.parse('{"nodes": {"__proto__": {"func": "f"}}}');
    expect(() => readGraph(said)).toThrow("__proto__");
    expect(Object.getPrototypeOf(plain([["__proto__", 1]]))).toBeNull();
    expect(JSON.stringify(plain([["__proto__", 1]]))).toBe('{"__proto__":1}');
  });

  it("takes places only for nodes that are there, and only numbers", () => {
    const graph = readGraph(LINE, { slow: [3, 4], gone: [1, 2], show: ["x", 2], numbers: null });
    expect(writeLayout(graph)).toEqual(plain([["slow", [3, 4]]]));
  });
});
