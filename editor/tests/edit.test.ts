import { describe, expect, it } from "vitest";

import * as edit from "../src/graph/edit";
import { inbound } from "../src/graph/model";
import { freshName, nameFault } from "../src/graph/names";
import { edgeFault, targetsOf } from "../src/graph/wiring";
import { join, line } from "./graphs";

describe("editing", () => {
  it("never changes the graph it was given", () => {
    const graph = line();
    const before = JSON.stringify([[...graph.nodes], graph.edges]);
    edit.renameNode(graph, "slow", "quick");
    edit.removeNodes(graph, ["slow"]);
    edit.setOption(graph, "slow", "args", "delay", 1);
    expect(JSON.stringify([[...graph.nodes], graph.edges])).toBe(before);
  });

  it("takes a node's edges away with it", () => {
    const graph = edit.removeNodes(line(), ["slow"]);
    expect([...graph.nodes.keys()]).toEqual(["numbers", "show"]);
    expect(graph.edges).toEqual([]);
  });

  it("renames a node everywhere, and leaves every order as it is", () => {
    const graph = edit.renameNode(edit.move(line(), [["slow", { x: 1, y: 2 }]]), "slow", "später");
    expect([...graph.nodes.keys()]).toEqual(["numbers", "später", "show"]);
    expect(graph.edges.map(({ source, target }) => `${source}→${target}`)).toEqual(["numbers→später", "später→show"]);
    expect(graph.places.get("später")).toEqual({ x: 1, y: 2 });
  });

  it("sets an option, and takes it away with undefined", () => {
    const set = edit.setOption(line(), "slow", "properties", "concurrency", 4);
    expect(set.nodes.get("slow")?.properties.get("concurrency")).toBe(4);
    const reset = edit.setOption(set, "slow", "properties", "concurrency", undefined);
    expect(reset.nodes.get("slow")?.properties.size).toBe(0);
  });

  it("sets what one edge says of its queue", () => {
    const graph = line();
    const [first] = graph.edges;
    if (!first) throw new Error("no edge");
    const changed = edit.setEdgeOption(graph, first, "when_full", "drop_oldest");
    expect(changed.edges.map(({ options }) => options.get("when_full"))).toEqual(["drop_oldest", undefined]);
  });

  it("changes the order of a join's arguments", () => {
    const sources = (graph: ReturnType<typeof join>) => inbound(graph, "c").map(({ source }) => source);
    expect(sources(join())).toEqual(["a", "b"]);
    expect(sources(edit.moveInputEarlier(join(), "b", "c"))).toEqual(["b", "a"]);
    expect(edit.moveInputEarlier(join(), "a", "c").edges).toEqual(join().edges);
  });
});

describe("wiring", () => {
  const kindOf = (name: string) => (name === "numbers" ? "source" : name === "show" ? "sink" : "step");

  it.each([
    ["slow", "slow", "itself"],
    ["show", "slow", "passes nothing on"],
    ["slow", "numbers", "makes its own"],
    ["numbers", "slow", "already"],
  ])("refuses an edge from %s to %s", (source, target, why) => {
    expect(edgeFault(line(), kindOf, source, target)).toContain(why);
  });

  it("refuses a circle, however long", () => {
    expect(edgeFault(line(), () => "step", "show", "numbers")).toContain("circle");
  });

  it("offers what is left", () => {
    expect(targetsOf(line(), kindOf, "numbers")).toEqual(["show"]);
    expect(targetsOf(join(), () => "step", "a")).toEqual(["b"]);
  });
});

describe("names", () => {
  it.each(["", "  ", " a", "__proto__", "constructor", "prototype", "12", "a\u0000b", "a\u200bb", "a\u2028b", "x".repeat(65), "taken"])("refuses %j", (name) => {
    expect(nameFault(name, (each) => each === "taken")).not.toBeNull();
  });

  it.each(["a", "größe 2", "名前", "1a", "hasOwnProperty", "<b>"])("takes %j", (name) => {
    expect(nameFault(name, () => false)).toBeNull();
  });

  it("finds one that is free, from the last part of a step's name", () => {
    const taken = new Set(["clean", "clean_2"]);
    expect(freshName("shop.steps:clean", (name) => taken.has(name))).toBe("clean_3");
    expect(freshName("__proto__", () => false)).toBe("node");
  });
});
