/** A whole run in a bounded number of moments, for the picture afterwards. */

import { type Frame } from "../client/protocol";
import { edgeId } from "../graph/model";

export interface Moment {
  readonly t: number;
  /** Items that each node had received by then. */
  readonly received: ReadonlyMap<string, number>;
  /** How full each edge was, from 0 to 1. */
  readonly fill: ReadonlyMap<string, number>;
}

const MOST = 480;

export class Timeline {
  #moments: Moment[] = [];
  #step = 0; // seconds between two kept moments

  get moments(): readonly Moment[] {
    return this.#moments;
  }

  record(frame: Frame): void {
    const last = this.#moments.at(-1);
    if (last !== undefined && frame.t - last.t < this.#step) return;
    this.#moments.push(momentOf(frame));
    if (this.#moments.length > MOST) this.#thin();
  }

  /** Keep every other moment: a long run is shown coarser, never cut. */
  #thin(): void {
    this.#moments = this.#moments.filter((_, index) => index % 2 === 0);
    const [first, last] = [this.#moments[0], this.#moments.at(-1)];
    if (first && last) this.#step = (last.t - first.t) / (this.#moments.length - 1) / 1.01;
  }
}

function momentOf({ t, nodes, edges }: Frame): Moment {
  return {
    t,
    received: new Map(Object.entries(nodes).map(([name, counts]) => [name, counts.received])),
    fill: new Map(edges.map(([a, b, size, maxsize]) => [edgeId(a, b), maxsize > 0 ? Math.min(1, size / maxsize) : 0])),
  };
}

/** The rate of a node between each two moments: where each ends, and items a second. */
export function rates(moments: readonly Moment[], node: string): [t: number, rate: number][] {
  const found: [number, number][] = [];
  moments.forEach(({ t, received }, index) => {
    const before = moments[index - 1];
    const [now, then] = [received.get(node), before?.received.get(node)];
    if (before && now !== undefined && then !== undefined && t > before.t) found.push([t, (now - then) / (t - before.t)]);
  });
  return found;
}
