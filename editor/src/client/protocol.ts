/** What is said on the wire, in namespace `/v1`. */

import { type Json } from "../graph/model";
import { type Kind } from "../graph/wiring";
import { type Schema } from "../graph/schema";

export interface Problem {
  readonly path: readonly (string | number)[];
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface Step {
  readonly name: string;
  readonly title: string;
  readonly kind: Kind;
  readonly doc: string;
  readonly args: Schema;
}

export interface Example {
  readonly name: string;
  readonly title: string;
  readonly doc: string;
  readonly graph: Json;
}

export interface Hello {
  readonly proto: number;
  readonly versions: { readonly pipelines: string; readonly python: string };
  readonly limits: Readonly<Record<string, number>>;
  readonly schema: Schema;
  readonly steps: readonly Step[];
  readonly examples: readonly Example[];
}

export type State = "starting" | "waiting" | "running" | "blocked" | "draining" | "done" | "failed" | "stopped";

/** What one node counted since the run began. */
export interface Counts {
  readonly state: State;
  readonly received: number;
  readonly emitted: number;
  readonly skipped: number;
  readonly dead_lettered: number;
  readonly failed: number;
  readonly in_flight: number;
  readonly error?: string | null;
}

export interface Item {
  readonly node: string;
  readonly text: string;
}

export type EdgeFill = readonly [source: string, target: string, size: number, maxsize: number];

export interface Frame {
  readonly run: string;
  readonly seq: number;
  readonly t: number;
  readonly nodes: Readonly<Record<string, Counts>>;
  readonly edges: readonly EdgeFill[];
  readonly bottleneck: string | null;
  readonly items: readonly Item[];
  readonly dropped: number;
}

export interface Done {
  readonly run: string;
  readonly reason: "done" | "drained" | "failed" | "cancelled" | "limit";
  readonly seconds: number;
  readonly error?: Problem | null;
  readonly nodes: Readonly<Record<string, Counts>>;
  readonly balance: Readonly<Record<string, number | boolean>>;
  readonly bottleneck: string | null;
}

export interface Changed {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly replaced: readonly string[];
  readonly edges_added: readonly (readonly [string, string])[];
  readonly edges_removed: readonly (readonly [string, string])[];
}

/** Each request, what it sends, and what its acknowledgement holds. */
export interface Requests {
  hello: [{ proto: 1 }, Hello];
  validate: [{ graph: Json }, { problems: readonly Problem[]; warnings: readonly Problem[] }];
  import: [{ yaml: string }, { graph: Json; layout?: Json }];
  export: [{ graph: Json; layout?: Json }, { yaml: string }];
  run: [{ graph: Json; preview: "sample" | "all" }, { run: string; inputs: readonly string[] }];
  apply: [{ run: string; graph: Json }, { changed: Changed; inputs?: readonly string[] }];
  credit: [{ run: string; n: number }, object];
  stop: [{ run: string; mode: "drain" | "now" }, object];
  push: [{ run: string; node: string; items: readonly Json[] }, { accepted: number }];
  attach: [{ run: string; seq: number }, { graph: Json; inputs: readonly string[]; frame: Frame }];
}

export type Ack<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly errors: readonly Problem[]; readonly accepted?: number };
