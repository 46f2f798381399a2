/** The connection, what the server offers, and the run: everything that the server decides. */

import { Link, Refused } from "../client/link";
import { type Changed, type Done, type Frame, type Hello, type Problem, type Requests, type Step } from "../client/protocol";
import { fingerprint, readGraph, writeGraph } from "../graph/document";
import { type Graph, type Json } from "../graph/model";
import { type Kind } from "../graph/wiring";
import { live } from "../live/hooks";
import { editor, graphNow } from "./editor";
import { keepRun, keepToken, keptRun, keptToken } from "./memory";
import { createStore } from "./store";

export type Connection = "connecting" | "online" | "offline" | "refused";

export interface Run {
  readonly id: string;
  /** The input nodes that take what is pushed. */
  readonly inputs: readonly string[];
  /** The graph that runs, by which it is told what has been edited since. */
  readonly graph: string;
  readonly phase: "running" | "draining" | "stopping" | "applying";
}

export interface Notice {
  readonly kind: "info" | "good" | "bad";
  readonly text: string;
}

export interface Session {
  readonly connection: Connection;
  readonly hello: Hello | null;
  readonly steps: ReadonlyMap<string, Step>;
  readonly run: Run | null;
  readonly outcome: Done | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** What the server refused last: problems of the run, not of the graph as it stands. */
  readonly refusals: readonly Problem[];
  readonly notice: Notice | null;
  readonly preview: "sample" | "all";
}

export const session = createStore<Session>({
  connection: "connecting",
  hello: null,
  steps: new Map(),
  run: null,
  outcome: null,
  problems: [],
  warnings: [],
  refusals: [],
  notice: null,
  preview: "sample",
});

const CREDIT = 3; // frames that may be under way; one more for each that has come

// How often a second to try for a run that the server takes for somebody else's: a page that was
// opened twice shall not wait for itself, one whose network broke may have to for a minute.
const SHORT_TRIES = 3;
const LONG_TRIES = 60;

function put(part: Partial<Session>): void {
  session.set((state) => ({ ...state, ...part }));
}

export function say(kind: Notice["kind"], text: string): void {
  put({ notice: { kind, text } });
}

export function hush(): void {
  put({ notice: null });
}

/** Leave nothing of the graph before: no fault that was found in it, nor its last run, unless that goes on. */
export function forget(): void {
  put({ problems: [], warnings: [] });
  if (session.get().run !== null) return;
  live.begin();
  put({ outcome: null, refusals: [] });
}

export function setPreview(preview: Session["preview"]): void {
  put({ preview });
}

export function kindOf(step: string | null | undefined): Kind {
  if (step === null) return "source";
  return session.get().steps.get(step ?? "")?.kind ?? "step";
}

export const link = new Link(keptToken, {
  connected: () => void greet(),
  lost: () => put({ connection: "offline" }),
  refused: () => put({ connection: "refused" }),
  frame: takeFrame,
  done: takeDone,
});

/** Connect with another token. */
export function enter(token: string): void {
  keepToken(token);
  put({ connection: "connecting" });
  link.connect();
}

async function greet(): Promise<void> {
  try {
    const hello = await link.request("hello", { proto: 1 });
    put({ connection: "online", hello, steps: new Map(hello.steps.map((step) => [step.name, step])) });
  } catch (error) {
    put({ connection: "offline" });
    say("bad", reason(error));
    return;
  }
  await Promise.all([validate(), rejoin()]);
}

/** Go on watching the run that was under way when the connection, or the page, went away. */
async function rejoin(): Promise<void> {
  const watched = session.get().run !== null;
  const id = session.get().run?.id ?? keptRun();
  if (id === null) return;
  try {
    const { graph, inputs, frame } = await attach(id, watched ? LONG_TRIES : SHORT_TRIES);
    put({ run: { id, inputs, graph: normal(graph), phase: session.get().run?.phase ?? "running" } });
    live.frame(frame);
    link.credit(id, CREDIT);
  } catch {
    if (session.get().connection !== "online") return; // lost again: the next connection tries
    put({ run: null });
    keepRun(null);
    if (watched) say("bad", "The run ended while the connection was away.");
  }
}

/** Attach to a run; the server may not have noticed yet that the old connection is dead. */
async function attach(id: string, tries: number): Promise<Requests["attach"][1]> {
  try {
    return await link.request("attach", { run: id, seq: live.seq });
  } catch (error) {
    const held = error instanceof Refused && error.problems.some(({ code }) => code === "in-use");
    if (!held || tries <= 1 || session.get().connection !== "online") throw error;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return attach(id, tries - 1);
  }
}

function normal(graph: Json): string {
  try {
    return fingerprint(readGraph(graph));
  } catch {
    return "";
  }
}

function takeFrame(frame: Frame): void {
  if (frame.run !== session.get().run?.id) return;
  live.frame(frame);
  link.credit(frame.run, 1);
}

function takeDone(done: Done): void {
  if (done.run !== session.get().run?.id) return;
  live.done(done);
  keepRun(null);
  put({ run: null, outcome: done, refusals: done.error ? [done.error] : [] });
  if (done.reason === "failed") say("bad", done.error?.message ?? "The run failed.");
  else if (done.reason === "limit") say("bad", done.error?.message ?? "The run reached a limit of this server.");
}

/** Have the server judge the graph as it stands. */
export async function validate(): Promise<void> {
  if (session.get().connection !== "online") return;
  const graph = graphNow();
  try {
    const { problems, warnings } = await link.request("validate", { graph: writeGraph(graph) });
    if (graphNow() === graph) put({ problems, warnings });
  } catch (error) {
    if (error instanceof Refused && graphNow() === graph) put({ problems: error.problems, warnings: [] });
  }
}

/** Run the graph as it stands. */
export async function run(): Promise<void> {
  const graph = graphNow();
  await attempt(async () => {
    const { run: id, inputs } = await link.request("run", { graph: writeGraph(graph), preview: session.get().preview });
    live.begin();
    keepRun(id);
    put({ run: { id, inputs, graph: fingerprint(graph), phase: "running" }, outcome: null, notice: null, refusals: [] });
    link.credit(id, CREDIT);
  });
}

export async function stop(mode: "drain" | "now"): Promise<void> {
  const { run: running } = session.get();
  if (running === null) return;
  put({ run: { ...running, phase: mode === "drain" ? "draining" : "stopping" } });
  await attempt(() => link.request("stop", { run: running.id, mode }));
}

/** Send the edited graph into the run, which drains and replaces only what changed. */
export async function apply(): Promise<void> {
  const { run: running } = session.get();
  if (running === null) return;
  const graph = graphNow();
  put({ run: { ...running, phase: "applying" } });
  await attempt(async () => {
    const { changed, inputs } = await link.request("apply", { run: running.id, graph: writeGraph(graph) });
    const now = session.get().run;
    if (now !== null) put({ run: { ...now, graph: fingerprint(graph), inputs: inputs ?? inputsOf(graph) }, refusals: [] });
    say("good", `Applied: ${changesIn(changed)}.`);
  });
  const now = session.get().run;
  if (now?.phase === "applying") put({ run: { ...now, phase: "running" } });
}

/** Send items into an input node of the run; returns how many were taken. */
export async function push(node: string, items: readonly Json[]): Promise<number> {
  const { run: running } = session.get();
  if (running === null) throw new Error("Nothing is running.");
  return (await link.request("push", { run: running.id, node, items })).accepted;
}

function inputsOf(graph: Graph): string[] {
  const fed = new Set(graph.edges.map(({ target }) => target));
  return [...graph.nodes.values()].filter(({ name, step }) => step === null && !fed.has(name)).map(({ name }) => name);
}

export function changesIn(changed: Changed): string {
  const names = (word: string, list: readonly string[]) => (list.length === 0 ? [] : [`${word} ${list.join(", ")}`]);
  const edges = (word: string, list: Changed["edges_added"]) => names(word, list.map(([a, b]) => `${a} → ${b}`));
  const parts = [
    ...names("added", changed.added),
    ...names("removed", changed.removed),
    ...names("replaced", changed.replaced),
    ...edges("connected", changed.edges_added),
    ...edges("disconnected", changed.edges_removed),
  ];
  return parts.length === 0 ? "nothing had to change" : parts.join("; ");
}

/** Do what the server may refuse, and show why where it does. */
async function attempt(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof Refused) put({ refusals: error.problems });
    say("bad", reason(error));
  }
}

export function reason(error: unknown): string {
  if (!(error instanceof Refused)) return error instanceof Error ? error.message : String(error);
  const [first] = error.problems;
  if (first === undefined) return error.message;
  const more = error.problems.length - 1;
  const said = first.hint && !first.message.includes(first.hint) ? `${first.message} ${first.hint}` : first.message;
  return more > 0 ? `${said} (and ${more} more: see Problems)` : said;
}

/** Whether the graph has been edited since it was sent to the run. */
export function edited({ run: running }: Session): boolean {
  return running !== null && running.graph !== fingerprint(editor.get().history.now);
}
