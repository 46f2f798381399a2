/** Graphs from and to files, as the YAML that `plumber run` takes. */

import { graphNow } from "../app/editor";
import { shareLink } from "../app/fragment";
import { openGraph } from "../app/opening";
import { link, reason, say, session } from "../app/session";
import { readGraph, writeGraph, writeLayout } from "../graph/document";
import { type Json } from "../graph/model";

/** Open a file and show its graph. */
export async function importFile(file: File): Promise<void> {
  try {
    const limit = session.get().hello?.limits.yaml_bytes ?? Infinity;
    if (file.size > limit) throw new Error(`${file.name} has ${file.size} bytes; at most ${limit} are allowed.`);
    const { graph, layout } = await link.request("import", { yaml: await file.text() });
    openGraph(readGraph(graph, layout));
    say("good", `Opened ${file.name}.`);
  } catch (error) {
    say("bad", `${file.name} can't be opened. ${reason(error)}`);
  }
}

/** Save the graph as a file. */
export async function exportFile(): Promise<void> {
  try {
    const { yaml } = await link.request("export", { graph: writeGraph(graphNow()), layout: writeLayout(graphNow()) });
    save(`${fileName(graphNow().rest.get("name"))}.yaml`, yaml);
  } catch (error) {
    say("bad", `The graph can't be exported. ${reason(error)}`);
  }
}

function fileName(name: Json | undefined): string {
  const safe = typeof name === "string" ? name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+/, "") : "";
  return safe || "graph";
}

function save(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}

/** Copy a link that holds the graph; whoever opens it needs a token of their own. */
export async function copyLink(): Promise<void> {
  const text = await shareLink(graphNow());
  try {
    await navigator.clipboard.writeText(text);
    say("good", "Copied a link to this graph. It does not hold the token.");
  } catch {
    say("info", text);
  }
}
