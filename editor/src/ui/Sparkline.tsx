import { WINDOW } from "../live/meter";

interface Props {
  readonly points: readonly (readonly [t: number, rate: number])[];
  /** Seconds since the start, at the right edge. */
  readonly now: number;
}

const WIDTH = 132;
const HEIGHT = 28;

/** Draw the throughput of the last eight seconds; the numbers beside it say the same. */
export function Sparkline({ points, now }: Props) {
  const top = Math.max(1, ...points.map(([, rate]) => rate));
  const x = (t: number) => (WIDTH * (1 - (now - t) / WINDOW)).toFixed(1);
  const y = (rate: number) => (HEIGHT - 2 - (HEIGHT - 5) * (rate / top)).toFixed(1);
  const line = points.map(([t, rate]) => `${x(t)},${y(rate)}`).join(" ");
  const [first, last] = [points[0], points.at(-1)];
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <line className="sparkline-base" x1="0" x2={WIDTH} y1={HEIGHT - 1.5} y2={HEIGHT - 1.5} />
      {first && last && (
        <>
          <polygon className="sparkline-area" points={`${x(first[0])},${HEIGHT - 2} ${line} ${x(last[0])},${HEIGHT - 2}`} />
          <polyline className="sparkline-line" points={line} />
        </>
      )}
    </svg>
  );
}
