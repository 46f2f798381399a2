import { deflateRawSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import { readFragment } from "../src/app/fragment";
import { fingerprint } from "../src/graph/document";
import { pack, unpack } from "../src/graph/share";
import { tidy } from "../src/graph/tidy";
import { line } from "./graphs";

const packed = (text: string) => deflateRawSync(text).toString("base64url");

describe("a shared graph", () => {
  it("comes back with its places", async () => {
    const graph = tidy(line(), "down");
    const back = await unpack(await pack(graph));
    expect(fingerprint(back)).toBe(fingerprint(graph));
    expect(back.places).toEqual(graph.places);
    expect(back.direction).toBe("down");
  });

  it.each([
    ["damaged", "%%%"],
    ["cut", packed("{}").slice(0, -2)],
    ["no graph", packed("[1, 2]")],
    ["a graph with a bad name", packed('{"graph": {"nodes": {"__proto__": {}}}}')],
    ["huge once unpacked", packed(JSON.stringify("x".repeat(1_000_000)))],
  ])("that is %s is refused", async (_, text) => {
    await expect(unpack(text)).rejects.toThrow();
  });

  it("stands beside the token in a link", () => {
    expect(readFragment("#token=abc&graph=xyz")).toEqual({ token: "abc", graph: "xyz" });
    expect(readFragment("#graph=xyz")).toEqual({ token: null, graph: "xyz" });
    expect(readFragment("")).toEqual({ token: null, graph: null });
  });
});
