import { type PointerEvent, useState } from "react";

import { editor } from "../../app/editor";
import { useStore } from "../../app/store";
import { edgeId, type Graph, inbound } from "../../graph/model";
import { useTimeline } from "../../live/hooks";
import { type Moment, rates } from "../../live/timeline";
import { rate, seconds } from "../numbers";

const WIDTH = 1000;
const HEIGHT = 30;

/** The whole run: for each node its throughput, and how full its queues were. */
export function TimelinePanel() {
  const moments = useTimeline();
  const graph = useStore(editor, (state) => state.history.now);
  const [at, setAt] = useState<number | null>(null);
  const end = moments.at(-1)?.t ?? 0;
  if (moments.length < 2 || end === 0) return <p className="panel quiet">Run the graph: its throughput and queues are drawn here.</p>;
  const point = (event: PointerEvent) => {
    const box = event.currentTarget.querySelector(".timeline-plot")?.getBoundingClientRect();
    if (box) setAt(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * end);
  };
  const shown = at === null ? null : nearest(moments, at);
  return (
    <div className="panel timeline">
      <ol tabIndex={0} aria-label="Timeline" onPointerMove={point} onPointerLeave={() => setAt(null)}>
        {[...graph.nodes.keys()].map((name) => (
          <Row key={name} name={name} graph={graph} moments={moments} end={end} shown={shown} />
        ))}
      </ol>
      <div className="timeline-axis">
        <span>0 s</span>
        <span>{shown ? seconds(shown.t) : "throughput, and below it how full each queue was"}</span>
        <span>{seconds(end)}</span>
      </div>
    </div>
  );
}

function nearest(moments: readonly Moment[], t: number): Moment | null {
  const gap = (moment: Moment) => Math.abs(moment.t - t);
  return moments.reduce<Moment | null>((best, each) => (best === null || gap(each) < gap(best) ? each : best), null);
}

interface RowProps {
  readonly name: string;
  readonly graph: Graph;
  readonly moments: readonly Moment[];
  readonly end: number;
  readonly shown: Moment | null;
}

function Row({ name, graph, moments, end, shown }: RowProps) {
  const line = rates(moments, name);
  const top = Math.max(1e-9, ...line.map(([, each]) => each));
  const x = (t: number) => ((t / end) * WIDTH).toFixed(1);
  const y = (each: number) => (HEIGHT - (HEIGHT - 3) * (each / top)).toFixed(1);
  const points = line.map(([t, each]) => `${x(t)},${y(each)}`).join(" ");
  const [first, last] = [line[0], line.at(-1)];
  const now = shown === null ? undefined : line.find(([t]) => t === shown.t)?.[1];
  const queues = inbound(graph, name);
  return (
    <li>
      <span className="timeline-name" title={name} dir="auto">{name}</span>
      <div className="timeline-plot">
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${name}: at most ${rate(line.length ? top : 0)} items a second`}>
          {first && last && <polygon points={`${x(first[0])},${HEIGHT} ${points} ${x(last[0])},${HEIGHT}`} />}
          <polyline points={points} />
          {shown && <line x1={x(shown.t)} x2={x(shown.t)} y1="0" y2={HEIGHT} />}
        </svg>
        {queues.map(({ source }) => <Fill key={source} source={source} target={name} moments={moments} end={end} />)}
      </div>
      <span className="timeline-value">
        <span>
          {rate(now ?? (line.length > 0 ? top : 0))}
          <small>/s{now === undefined && " peak"}</small>
        </span>
        {queues.length > 0 && <small className="timeline-fill">{fillText(queues.map(({ source }) => edgeId(source, name)), moments, shown)}</small>}
      </span>
    </li>
  );
}

/** How full the queues were at a moment, or at most. */
function fillText(ids: readonly string[], moments: readonly Moment[], shown: Moment | null): string {
  const highest = (moment: Moment) => Math.max(0, ...ids.map((id) => moment.fill.get(id) ?? 0));
  const share = shown ? highest(shown) : Math.max(...moments.map(highest));
  return `${Math.round(share * 100)}% full`;
}

function Fill({ source, target, moments, end }: { readonly source: string; readonly target: string; readonly moments: readonly Moment[]; readonly end: number }) {
  const id = edgeId(source, target);
  return (
    <svg className="timeline-queue" viewBox={`0 0 ${WIDTH} 6`} preserveAspectRatio="none" role="img" aria-label={`queue from ${source}`}>
      <title>{`queue from ${source}`}</title>
      <rect className="timeline-track" width={WIDTH} height="6" />
      {spans(moments, id).map(({ from, to, level }) => (
        <rect key={from} className={`level-${level}`} x={(from / end) * WIDTH} width={((to - from) / end) * WIDTH} height="6" />
      ))}
    </svg>
  );
}

/** Stretches of time in which a queue was about equally full, from level 1 (a little) to 5 (full). */
function spans(moments: readonly Moment[], id: string) {
  const found: { from: number; to: number; level: number }[] = [];
  moments.forEach((moment, index) => {
    const next = moments[index + 1];
    const level = Math.ceil((moment.fill.get(id) ?? 0) * 5);
    const last = found.at(-1);
    if (next === undefined || level === 0) return;
    if (last?.level === level && last.to === moment.t) last.to = next.t;
    else found.push({ from: moment.t, to: next.t, level });
  });
  return found;
}
