/** A graph in the fragment of a link, which no server sees. */

import { isPlain, readGraph, writeGraph, writeLayout } from "./document";
import { type Graph } from "./model";

const LARGEST = 256 * 1024; // characters that a link may unfold to

/** Return the text of a graph, for `#graph=`. */
export async function pack(graph: Graph): Promise<string> {
  const text = JSON.stringify({ graph: writeGraph(graph), layout: writeLayout(graph), direction: graph.direction });
  const bytes = await drain(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw")), Infinity);
  return toBase64(bytes);
}

/**
 * Read what `pack` wrote.
 *
 * @throws Error where the text is damaged, too large, or no graph.
 */
export async function unpack(text: string): Promise<Graph> {
  const bytes = fromBase64(text);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const said: unknown = JSON.parse(new TextDecoder().decode(await drain(stream, LARGEST)));
  if (!isPlain(said)) throw new Error("the link holds no graph");
  return readGraph(said.graph, said.layout, said.direction === "down" ? "down" : "right");
}

async function drain(stream: ReadableStream<Uint8Array>, largest: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > largest) {
      await reader.cancel();
      throw new Error("the graph in the link is too large");
    }
    parts.push(part.value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function toBase64(bytes: Uint8Array): string {
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
