import { session } from "../../app/session";
import { useStore } from "../../app/store";
import { type Done } from "../../client/protocol";
import { seconds } from "../numbers";

const WORDS: Record<Done["reason"], string> = {
  done: "Done",
  drained: "Drained",
  failed: "Failed",
  cancelled: "Stopped",
  limit: "Limit reached",
};

interface Props {
  readonly onTimeline: () => void;
  readonly onProblems: () => void;
}

/** How the run goes, or how the last one ended, in a line. */
export function Outcome({ onTimeline, onProblems }: Props) {
  const running = useStore(session, (state) => state.run);
  const outcome = useStore(session, (state) => state.outcome);
  if (running !== null) return <p className="outcome" role="status">{running.phase}…</p>;
  if (outcome === null) return <p className="outcome" role="status" />;
  const { reason, balance } = outcome;
  const good = reason === "done" || reason === "drained";
  return (
    <p className={`outcome outcome-${good ? "good" : "bad"}`} role="status">
      <strong>{WORDS[reason]}</strong> in {seconds(outcome.seconds)}
      {balance.ok === true && good && <span className="outcome-more"> · every item accounted for</span>}
      {balance.ok === false && <span> · the counts do not add up</span>}
      <button type="button" className="plain" onClick={good ? onTimeline : onProblems}>{good ? "Timeline" : "Why?"}</button>
    </p>
  );
}
