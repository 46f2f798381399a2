/** What happens when the page is opened, and after each change. */

import { readGraph } from "../graph/document";
import { type Graph } from "../graph/model";
import { unpack } from "../graph/share";
import { editor, graphNow, open } from "./editor";
import { readFragment } from "./fragment";
import { keepGraph, keepToken, keptGraph } from "./memory";
import { direction, openGraph } from "./opening";
import { link, say, session, validate } from "./session";

export async function start(): Promise<void> {
  const { token, graph } = readFragment(location.hash);
  if (token !== null) keepToken(token);
  // The token lets its holder in: it shall not stay in the address, to be copied by mistake.
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  const kept = keptGraph();
  if (kept !== null) open(kept, direction());
  if (graph !== null) await openShared(graph);
  followChanges();
  link.connect();
}

/** Show what a link brought; it is checked, and never run by itself. */
async function openShared(text: string): Promise<void> {
  try {
    openGraph(await unpack(text));
    say("info", "This graph came from a link. Look at it before you run it; Undo brings back what was here.");
  } catch {
    say("bad", "The graph in the link is damaged, and was left out.");
  }
}

/** Open a link that is followed while the page is open. */
export function followLinks(): void {
  addEventListener("hashchange", () => {
    const { graph } = readFragment(location.hash);
    history.replaceState(null, "", location.pathname + location.search);
    if (graph !== null) void openShared(graph);
  });
}

function followChanges(): void {
  followLinks();
  let known: Graph = graphNow();
  let waiting: ReturnType<typeof setTimeout> | undefined;
  editor.subscribe(() => {
    const graph = graphNow();
    if (graph === known) return;
    known = graph;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      keepGraph(graph);
      void validate();
    }, 250);
  });
  const unsubscribe = session.subscribe(() => {
    const { hello } = session.get();
    if (hello === null) return;
    unsubscribe();
    const [first] = hello.examples;
    if (graphNow().nodes.size === 0 && first !== undefined) open(readGraph(first.graph), direction());
  });
}
