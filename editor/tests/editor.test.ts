import { beforeEach, describe, expect, it } from "vitest";

import * as app from "../src/app/editor";
import { createStore } from "../src/app/store";
import { EMPTY } from "../src/graph/model";
import { line } from "./graphs";

describe("the editor", () => {
  beforeEach(() => app.open(line(), "right"));

  it("lays out what it opens, with nothing to undo", () => {
    expect(app.graphNow().places.size).toBe(3);
    app.undoChange();
    expect(app.graphNow().nodes.size).toBe(3);
  });

  it("adds a step under a free name, selects it, and takes it back", () => {
    const name = app.add("slow", { x: 0, y: 0 }, new Map());
    expect(name).toBe("slow_2");
    expect([...app.editor.get().selection.nodes]).toEqual(["slow_2"]);
    app.undoChange();
    expect(app.graphNow().nodes.has("slow_2")).toBe(false);
    expect(app.editor.get().selection.nodes.size).toBe(0);
    app.redoChange();
    expect(app.graphNow().nodes.has("slow_2")).toBe(true);
  });

  it("removes what is selected, nodes and edges, in one step", () => {
    app.select({ nodes: new Set(["show"]), edges: new Set([JSON.stringify(["numbers", "slow"])]) });
    app.removeSelected();
    expect(app.graphNow().edges).toEqual([]);
    app.undoChange();
    expect(app.graphNow().edges.length).toBe(2);
  });

  it("makes one step of what is typed into one field", () => {
    for (const delay of [1, 12, 125]) app.setOption("slow", "args", "delay", delay);
    app.undoChange();
    expect(app.graphNow().nodes.get("slow")?.args.size).toBe(0);
  });

  it("goes on with the selection under a new name", () => {
    app.selectNode("slow");
    app.rename("slow", "quick");
    expect([...app.editor.get().selection.nodes]).toEqual(["quick"]);
  });

  it("keeps the graph that another one replaced", () => {
    app.replace(EMPTY, "right");
    app.undoChange();
    expect(app.graphNow().nodes.size).toBe(3);
  });
});

describe("a store", () => {
  it("tells of changes, and of nothing else", () => {
    const store = createStore({ value: 1 });
    let told = 0;
    const stop = store.subscribe(() => told++);
    store.set((old) => old);
    store.set(() => ({ value: 2 }));
    stop();
    store.set(() => ({ value: 3 }));
    expect(told).toBe(1);
  });
});
