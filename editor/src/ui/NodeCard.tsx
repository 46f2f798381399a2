import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo } from "react";

import { editor } from "../app/editor";
import { session } from "../app/session";
import { useStore } from "../app/store";
import { type Direction, type GraphNode } from "../graph/model";
import { written } from "../graph/schema";
import { type Kind } from "../graph/wiring";
import { useLiveNode } from "../live/hooks";
import { type NodeLive } from "../live/live";
import { Icon } from "./icons";
import { count, rate } from "./numbers";
import { nodeOf } from "./problems";
import { Sparkline } from "./Sparkline";
import { MEANINGS, WORDS } from "./states";

export type CardNode = Node<GraphNode & Record<string, unknown>, "card">;

/** One node in the picture: what it is, what it does, how fast, and what went wrong. */
export const NodeCard = memo(function NodeCard({ id, data, selected }: NodeProps<CardNode>) {
  const direction = useStore(editor, (state) => state.history.now.direction);
  const kind = useStore(session, ({ steps }): Kind => (data.step === null ? "source" : (steps.get(data.step)?.kind ?? "step")));
  const fault = useStore(session, ({ problems }) => problems.find((each) => nodeOf(each, editor.get().history.now) === id));
  const numbers = useLiveNode(id);
  const state = numbers?.counts.state ?? "idle";
  const error = numbers?.counts.error ?? fault?.message;
  const classes = ["card", `state-${state}`, selected && "selected", numbers?.bottleneck && "bottleneck", error && "faulty"];
  return (
    <div className={classes.filter(Boolean).join(" ")}>
      <Handles kind={kind} pushed={data.step === null} direction={direction} />
      {numbers?.bottleneck && <span className="badge">bottleneck</span>}
      <header className="card-head">
        <span className={`kind kind-${kind}`}>
          <Icon name={data.step === null ? "input" : kind} />
        </span>
        <span className="card-titles">
          <strong className="card-name" title={id} dir="auto">{id}</strong>
          <span className="card-line">
            <span className="card-step" title={data.step ?? undefined}>{data.step ?? "push input"}</span>
            <StateWord numbers={numbers} />
          </span>
        </span>
      </header>
      {numbers ? <Numbers numbers={numbers} /> : <Arguments node={data} />}
      {error && (
        <p className="card-error" title={error}>
          <Icon name="warning" />
          <span>{error}</span>
        </p>
      )}
    </div>
  );
});

function Handles({ kind, pushed, direction }: { readonly kind: Kind; readonly pushed: boolean; readonly direction: Direction }) {
  const [into, out] = direction === "right" ? [Position.Left, Position.Right] : [Position.Top, Position.Bottom];
  return (
    <>
      {kind !== "source" && !pushed && <Handle type="target" position={into} role="img" aria-label="items in" />}
      {kind !== "sink" && <Handle type="source" position={out} role="img" aria-label="items out" />}
    </>
  );
}

function StateWord({ numbers }: { readonly numbers: NodeLive | undefined }) {
  if (numbers === undefined) return null;
  const { state } = numbers.counts;
  return (
    <span className="state" title={MEANINGS[state]}>{WORDS[state]}</span>
  );
}

function Numbers({ numbers }: { readonly numbers: NodeLive }) {
  const { points, t, counts } = numbers;
  return (
    <div className="card-body">
      <Sparkline points={points} now={t} />
      <span className="card-numbers">
        <span className="card-rate">{rate(numbers.rate)}<small>/s</small></span>
        <span className="card-total">{count(counts.received)}</span>
      </span>
    </div>
  );
}

/** What the card says while nothing runs: the first arguments. */
function Arguments({ node }: { readonly node: GraphNode }) {
  const said = [...node.args].slice(0, 2);
  if (said.length === 0) return <p className="card-body card-quiet">{node.step === null ? "takes what you push" : "no arguments"}</p>;
  return (
    <dl className="card-body card-arguments">
      {said.map(([key, value]) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd title={written(value)}>{written(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
