/**
 * The live numbers of a run, in a store of their own.
 *
 * Each card and each edge listens to its own key, so that a frame draws again only what changed in
 * it, and never the page.
 */

import { type Counts, type Done, type Frame, type Item } from "../client/protocol";
import { edgeId } from "../graph/model";
import { Meter, type Reading } from "./meter";
import { Timeline } from "./timeline";

export interface NodeLive extends Reading {
  readonly counts: Counts;
  readonly bottleneck: boolean;
  /** Seconds since the start, where the sparkline ends. */
  readonly t: number;
}

export interface EdgeLive {
  readonly size: number;
  readonly maxsize: number;
}

export interface OutputLine extends Item {
  readonly id: number;
}

export interface Output {
  readonly lines: readonly OutputLine[];
  /** How many items came, and how many of them are not shown. */
  readonly total: number;
  readonly dropped: number;
}

const KEPT = 400; // lines of output
const NO_OUTPUT: Output = { lines: [], total: 0, dropped: 0 };

type Listener = () => void;

export class Live {
  #nodes = new Map<string, NodeLive>();
  #edges = new Map<string, EdgeLive>();
  #meters = new Map<string, Meter>();
  #listeners = new Map<string, Set<Listener>>();
  #output = NO_OUTPUT;
  #timeline = new Timeline();
  #seq = -1;
  #second = -1;
  #count = 0;

  /** Forget the last run. */
  begin(): void {
    const keys = [...this.#nodes.keys()].map(nodeKey).concat([...this.#edges.keys()].map(edgeKey));
    this.#nodes.clear();
    this.#edges.clear();
    this.#meters.clear();
    this.#output = NO_OUTPUT;
    this.#timeline = new Timeline();
    this.#seq = -1;
    this.#second = -1;
    this.#tell([...keys, "output", "timeline"]);
  }

  get seq(): number {
    return this.#seq;
  }

  node(name: string): NodeLive | undefined {
    return this.#nodes.get(name);
  }

  edge(source: string, target: string): EdgeLive | undefined {
    return this.#edges.get(edgeId(source, target));
  }

  get output(): Output {
    return this.#output;
  }

  /** The second that the timeline has reached: it is drawn again with each, and at the end. */
  get second(): number {
    return this.#second;
  }

  /** What the timeline shows; more is added to it in place. */
  get timeline(): Timeline["moments"] {
    return this.#timeline.moments;
  }

  /** Take a frame; one that comes late or twice is left out. */
  frame(frame: Frame): void {
    if (frame.seq <= this.#seq) return;
    this.#seq = frame.seq;
    this.#second = Math.floor(frame.t);
    this.#timeline.record(frame);
    this.#collect(frame.items, frame.dropped);
    const changed = this.#readNodes(frame.nodes, frame.t, frame.bottleneck);
    this.#tell([...changed, ...this.#readEdges(frame.edges), "timeline"]);
  }

  /** Take the last word of a run: the final counters, with which nothing lies in a queue. */
  done(done: Done): void {
    this.#second = Infinity;
    const changed = this.#readNodes(done.nodes, done.seconds, done.bottleneck);
    const edges = [...this.#edges].map(([key, { maxsize }]) => {
      this.#edges.set(key, { size: 0, maxsize });
      return edgeKey(key);
    });
    this.#tell([...changed, ...(done.reason === "done" || done.reason === "drained" ? edges : []), "timeline"]);
  }

  clearOutput(): void {
    this.#output = NO_OUTPUT;
    this.#tell(["output"]);
  }

  subscribe(key: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }

  #readNodes(nodes: Frame["nodes"], t: number, bottleneck: string | null): string[] {
    const said = new Map(Object.entries(nodes));
    const gone = [...this.#nodes.keys()].filter((name) => !said.has(name));
    for (const name of gone) this.#nodes.delete(name);
    for (const [name, counts] of said) {
      const meter = this.#meters.get(name) ?? new Meter();
      this.#meters.set(name, meter);
      this.#nodes.set(name, { ...meter.read(t, counts.received), counts, t, bottleneck: name === bottleneck });
    }
    return [...gone, ...said.keys()].map(nodeKey);
  }

  #readEdges(edges: Frame["edges"]): string[] {
    const said = new Map(edges.map(([a, b, size, maxsize]) => [edgeId(a, b), { size, maxsize }]));
    const gone = [...this.#edges.keys()].filter((key) => !said.has(key));
    for (const key of gone) this.#edges.delete(key);
    const changed = [...said].filter(([key, { size, maxsize }]) => {
      const old = this.#edges.get(key);
      return old?.size !== size || old.maxsize !== maxsize;
    });
    for (const [key, edge] of changed) this.#edges.set(key, edge);
    return [...gone, ...changed.map(([key]) => key)].map(edgeKey);
  }

  #collect(items: readonly Item[], dropped: number): void {
    if (items.length === 0 && dropped === 0) return;
    const added = items.map(({ node, text }) => ({ node, text, id: this.#count++ }));
    this.#output = {
      lines: [...this.#output.lines, ...added].slice(-KEPT),
      total: this.#output.total + items.length + dropped,
      dropped: this.#output.dropped + dropped,
    };
    this.#tell(["output"]);
  }

  #tell(keys: readonly string[]): void {
    for (const key of keys) for (const listener of this.#listeners.get(key) ?? []) listener();
  }
}

export function nodeKey(name: string): string {
  return `node ${name}`;
}

export function edgeKey(id: string): string {
  return `edge ${id}`;
}
