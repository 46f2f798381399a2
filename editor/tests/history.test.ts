import { describe, expect, it } from "vitest";

import { begin, change, redo, undo } from "../src/graph/history";

describe("history", () => {
  it("goes back and forth", () => {
    const two = change(change(begin(0), 1), 2);
    expect(undo(two).now).toBe(1);
    expect(undo(undo(undo(two))).now).toBe(0);
    expect(redo(undo(two)).now).toBe(2);
    expect(redo(two)).toBe(two);
  });

  it("forgets what was undone once something else is done", () => {
    expect(change(undo(change(begin(0), 1)), 5).future).toEqual([]);
  });

  it("makes one step of changes with the same mark in a row", () => {
    const typed = change(change(change(begin(""), "a", "name"), "ab", "name"), "abc", "name");
    expect(undo(typed).now).toBe("");
    expect(undo(change(typed, "abcd", "other")).now).toBe("abc");
  });

  it("does not merge across an undo", () => {
    const one = change(change(begin(0), 1, "m"), 2);
    expect(undo(change(undo(one), 3, "m")).now).toBe(1);
  });

  it("keeps no change that changes nothing, and not more than two hundred", () => {
    const start = begin(0);
    expect(change(start, 0)).toBe(start);
    let long = start;
    for (let step = 1; step <= 300; step++) long = change(long, step);
    expect(long.past.length).toBe(200);
  });
});
