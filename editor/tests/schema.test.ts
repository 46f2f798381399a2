import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { fieldsOf, firstArguments, resolve, type Schema } from "../src/graph/schema";
import { parse } from "../src/ui/form/parse";

const widget = (schema: Schema) => fieldsOf({ properties: { it: schema } })[0]?.widget;

function fieldFor(schema: Schema) {
  const [field] = fieldsOf({ properties: { it: schema } });
  if (!field) throw new Error("no field");
  return field;
}

describe("a form", () => {
  it.each([
    ["checkbox", { type: "boolean" }],
    ["choice", { enum: ["a", 2, null] }],
    ["slider", { type: "number", minimum: 0, maximum: 2, "x-widget": "slider" }],
    ["number", { type: "number", "x-widget": "slider" }],
    ["number", { type: "integer" }],
    ["number", { type: ["integer", "null"] }],
    ["number", { anyOf: [{ type: "integer" }, { type: "null" }] }],
    ["number", { anyOf: [{ type: "integer" }, { type: "number" }] }],
    ["text", { type: "string" }],
    ["duration", { type: ["number", "string"] }],
    ["lines", { type: "array", items: { type: "string" } }],
    ["group", { type: "object", properties: { a: { type: "string" } } }],
    ["json", { type: "object" }],
    ["json", {}],
  ])("has a %s for %j", (expected, schema) => {
    expect(widget(schema)).toBe(expected);
  });

  it("knows every property of the graph's own schema, with a title and help", () => {
    const schema = JSON.parse(readFileSync("../schemas/graph.schema.json", "utf8")) as Schema;
    const fields = fieldsOf(resolve({ $ref: "#/$defs/properties" }, schema), schema);
    expect(fields.map(({ key }) => key)).toContain("concurrency");
    expect(fields.filter(({ label, help }) => !label || !help)).toEqual([]);
    const widgets = new Map(fields.map((field) => [field.key, field.widget]));
    expect(widgets.get("retry")).toBe("group");
    expect(widgets.get("timeout")).toBe("duration");
    expect(widgets.get("executor")).toBe("choice");
  });

  it("starts a node with what must be said, and nothing else", () => {
    const schema: Schema = {
      properties: {
        count: { type: "integer", default: 5 },
        size: { type: "integer", minimum: 3 },
        mode: { enum: ["x", "y"] },
        text: { type: "string" },
        free: { type: "integer", default: 9 },
      },
      required: ["count", "size", "mode", "text"],
    };
    expect([...firstArguments(schema)]).toEqual([["count", 5], ["size", 3], ["mode", "x"]]);
  });

  it("does not follow a reference to a prototype", () => {
    expect(resolve({ $ref: "#/__proto__/toString" }, {})).toEqual({});
  });
});

describe("what is typed", () => {
  it.each([
    [{ type: "integer" }, "12", 12],
    [{ type: "number" }, "0.5", 0.5],
    [{ anyOf: [{ type: "integer" }, { type: "number" }] }, "0.5", 0.5],
    [{ type: "number" }, "", undefined],
    [{ type: "string" }, "12", "12"],
    [{ type: "string" }, "", undefined],
    [{ type: ["number", "string"] }, "12", 12],
    [{ type: ["number", "string"] }, " 500ms ", "500ms"],
    [{ type: "array", items: { type: "string" } }, "a\n\nb", ["a", "b"]],
    [{}, '{"a": [1]}', { a: [1] }],
  ])("into %j: %j", (schema, text, value) => {
    expect(parse(fieldFor(schema), text)).toEqual({ value });
  });

  it.each([
    [{ type: "integer" }, "1.5", "whole"],
    [{ type: "integer" }, "abc", "no number"],
    [{ type: "number", minimum: 1 }, "0", "at least 1"],
    [{ type: "number", maximum: 1 }, "2", "at most 1"],
    [{}, "{", "JSON"],
  ])("into %j: %j is refused", (schema, text, why) => {
    expect(parse(fieldFor(schema), text)).toEqual({ fault: expect.stringContaining(why) as string });
  });
});
