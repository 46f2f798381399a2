/** What a person typed into a field, as the value it stands for. */

import { type Json } from "../../graph/model";
import { type Field } from "../../graph/schema";
import { type Parsed } from "./useDraft";

/** Read the text of a field; nothing typed is nothing said. */
export function parse(field: Field, text: string): Parsed {
  if (field.widget === "text") return { value: text === "" && !field.required ? undefined : text };
  if (text.trim() === "") return { value: undefined };
  if (field.widget === "number") return parseNumber(field, text);
  if (field.widget === "duration") return { value: /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : text.trim() };
  if (field.widget === "lines") return { value: text.split("\n").filter((line) => line.trim() !== "") };
  return parseJson(text);
}

function parseNumber({ whole, minimum, maximum }: Field, text: string): Parsed {
  const value = Number(text);
  if (!Number.isFinite(value)) return { fault: "This is no number." };
  if (whole && !Number.isSafeInteger(value)) return { fault: "This must be a whole number." };
  if (minimum !== undefined && value < minimum) return { fault: `This must be at least ${minimum}.` };
  if (maximum !== undefined && value > maximum) return { fault: `This must be at most ${maximum}.` };
  return { value };
}

function parseJson(text: string): Parsed {
  try {
    return { value: JSON.parse(text) as Json };
  } catch {
    return { fault: 'This must be JSON: text stands in "quotes".' };
  }
}
