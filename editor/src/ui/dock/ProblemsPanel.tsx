import { editor, selectNode } from "../../app/editor";
import { session } from "../../app/session";
import { useStore } from "../../app/store";
import { type Problem } from "../../client/protocol";
import { Icon } from "../icons";
import { nodeOf, placeOf } from "../problems";

/** What is wrong, and how to mend it; a click goes to the node. */
export function ProblemsPanel() {
  const problems = useStore(session, (state) => state.problems);
  const refusals = useStore(session, (state) => state.refusals);
  const warnings = useStore(session, (state) => state.warnings);
  const known = new Set(problems.map(keyOf));
  const others = refusals.filter((problem) => !known.has(keyOf(problem)));
  if (problems.length + others.length + warnings.length === 0) return <p className="panel quiet">No problems: this graph can run.</p>;
  return (
    <ul className="panel problems" aria-label="Problems">
      {problems.map((problem) => <Row key={keyOf(problem)} problem={problem} kind="error" />)}
      {others.map((problem) => <Row key={`run ${keyOf(problem)}`} problem={problem} kind="error" />)}
      {warnings.map((problem) => <Row key={`warning ${keyOf(problem)}`} problem={problem} kind="warning" />)}
    </ul>
  );
}

function keyOf({ path, code, message }: Problem): string {
  return JSON.stringify([path, code, message]);
}

function Row({ problem, kind }: { readonly problem: Problem; readonly kind: "error" | "warning" }) {
  const graph = useStore(editor, (state) => state.history.now);
  const node = nodeOf(problem, graph);
  return (
    <li className={`problem problem-${kind}`}>
      <button type="button" disabled={node === null} onClick={() => node !== null && selectNode(node)}>
        <Icon name="warning" />
        <span>
          <span className="problem-place" dir="auto">{placeOf(problem)}</span>
          <span className="problem-text">{problem.message}</span>
          {problem.hint && <span className="problem-hint">{problem.hint}</span>}
        </span>
      </button>
    </li>
  );
}
