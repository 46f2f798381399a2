/** A JSON Schema as a form: which field each property of an object gets. */

import { isPlain } from "./document";
import { type Json } from "./model";

export type Schema = Readonly<Record<string, Json>>;

export type Widget = "checkbox" | "choice" | "slider" | "number" | "text" | "duration" | "lines" | "group" | "json";

export interface Field {
  readonly key: string;
  readonly label: string;
  readonly help: string;
  readonly widget: Widget;
  readonly required: boolean;
  /** What holds where nothing is said; undefined where nothing does. */
  readonly fallback: Json | undefined;
  readonly choices: readonly Json[];
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly whole: boolean;
  /** How far one step of a slider goes. */
  readonly step: number | undefined;
  readonly example: string;
  /** The fields of a `group`. */
  readonly fields: readonly Field[];
}

/** Return the fields of an object's schema; `root` is where `$ref` points into. */
export function fieldsOf(schema: Schema, root: Schema = schema): Field[] {
  const properties = schema.properties;
  if (!isPlain(properties)) return [];
  const required = new Set(Array.isArray(schema.required) ? (schema.required as Json[]) : []);
  return Object.entries(properties).map(([key, value]) => field(key, resolve(value, root), required.has(key), root));
}

/** Follow `#/$defs/…`; what stands beside the reference goes before what it leads to. */
export function resolve(schema: Json, root: Schema): Schema {
  if (!isPlain(schema)) return {};
  const { $ref, ...own } = schema;
  if (typeof $ref !== "string" || !$ref.startsWith("#/")) return schema;
  let found: Json | undefined = root;
  for (const key of $ref.slice(2).split("/")) found = isPlain(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  return { ...resolve(found ?? null, root), ...own };
}

function field(key: string, schema: Schema, required: boolean, root: Schema): Field {
  const number = (name: string) => (typeof schema[name] === "number" ? schema[name] : undefined);
  const text = (name: string) => (typeof schema[name] === "string" ? schema[name] : "");
  const examples = Array.isArray(schema.examples) ? (schema.examples as Json[]) : [];
  const widget = widgetOf(schema);
  return {
    key,
    label: text("title") || key.replaceAll("_", " "),
    help: text("description"),
    widget,
    required,
    fallback: schema.default,
    choices: Array.isArray(schema.enum) ? (schema.enum as Json[]) : [],
    minimum: number("minimum") ?? number("exclusiveMinimum"),
    maximum: number("maximum") ?? number("exclusiveMaximum"),
    whole: types(schema).every((type) => type === "integer"),
    step: number("x-step"),
    example: examples[0] === undefined ? "" : written(examples[0]),
    fields: widget === "group" ? fieldsOf(schema, root) : [],
  };
}

function types(schema: Schema): readonly string[] {
  const said = schema.type ?? plainTypes(schema);
  return (Array.isArray(said) ? (said as Json[]) : [said]).filter((type): type is string => typeof type === "string" && type !== "null");
}

/** The types of `anyOf`, as Python's `int | None` becomes one. */
function plainTypes(schema: Schema): Json {
  const any = schema.anyOf ?? schema.oneOf;
  return Array.isArray(any) ? (any as Json[]).flatMap((each) => (isPlain(each) ? [each.type ?? null] : [])) : null;
}

function widgetOf(schema: Schema): Widget {
  const [first, second] = types(schema);
  const bounded = typeof schema.minimum === "number" && typeof schema.maximum === "number";
  if (Array.isArray(schema.enum)) return "choice";
  if (first === "number" && second === "string") return "duration";
  if (first === "integer" && second === "string") return "duration";
  if (first === "integer" && second === "number") return "number";
  if (second !== undefined) return "json";
  if (first === "boolean") return "checkbox";
  if (first === "integer" || first === "number") return schema["x-widget"] === "slider" && bounded ? "slider" : "number";
  if (first === "string") return schema["x-widget"] === "lines" ? "lines" : "text";
  if (first === "array" && isPlain(schema.items) && schema.items.type === "string") return "lines";
  return first === "object" && isPlain(schema.properties) ? "group" : "json";
}

/** Show a value as a person would write it. */
export function written(value: Json | undefined): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Return the arguments that a new node starts with: only what must be said. */
export function firstArguments(schema: Schema): Map<string, Json> {
  const fields = fieldsOf(schema).filter((each) => each.required);
  return new Map(fields.flatMap((each) => firstValue(each)));
}

function firstValue({ key, fallback, choices, minimum, widget }: Field): [string, Json][] {
  if (fallback !== undefined) return [[key, fallback]];
  if (widget === "choice" && choices[0] !== undefined) return [[key, choices[0]]];
  if (widget === "slider" || widget === "number") return [[key, minimum ?? 1]];
  return widget === "checkbox" ? [[key, false]] : [];
}
