/** The last seconds of a counter, as a rate. */

/** How many seconds a sparkline shows. */
export const WINDOW = 8;

export interface Reading {
  /** Items a second over the last second or so. */
  readonly rate: number;
  /** Items a second at each moment of the window: seconds since the start, and the rate. */
  readonly points: readonly (readonly [t: number, rate: number])[];
}

export class Meter {
  #samples: { t: number; total: number }[] = [];
  #points: (readonly [number, number])[] = [];

  /** Take what the counter says `t` seconds after the start. */
  read(t: number, total: number): Reading {
    const last = this.#samples.at(-1);
    if (last === undefined || t > last.t) {
      this.#samples.push({ t, total });
      if (last !== undefined) this.#points.push([t, (total - last.total) / (t - last.t)]);
    }
    this.#samples = this.#samples.filter((sample) => sample.t >= t - 1.2);
    this.#points = this.#points.filter(([at]) => at >= t - WINDOW);
    return { rate: this.#rate(), points: [...this.#points] };
  }

  #rate(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.t === first.t) return 0;
    return (last.total - first.total) / (last.t - first.t);
  }
}
