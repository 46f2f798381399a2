import { useId } from "react";

import { select, selectNode, update } from "../app/editor";
import { session } from "../app/session";
import { useStore } from "../app/store";
import { connect, disconnect, moveInputEarlier } from "../graph/edit";
import { edgeId, type Graph, inbound, outbound } from "../graph/model";
import { type Kind, targetsOf } from "../graph/wiring";
import { Icon } from "./icons";

interface Props {
  readonly graph: Graph;
  readonly name: string;
}

/** The edges of a node, and how to make and unmake them without a mouse. */
export function Connections({ graph, name }: Props) {
  const inputs = inbound(graph, name);
  const outputs = outbound(graph, name);
  return (
    <section className="panel-section" aria-label="Connections">
      <h3>Connections</h3>
      {inputs.length > 0 && <h4>From{inputs.length > 1 && ", in the order of the arguments"}</h4>}
      <ol className="links">
        {inputs.map(({ source }, index) => (
          <Row key={source} source={source} target={name} other={source}>
            {index > 0 && (
              <IconButton icon="up" label={`Make ${source} an earlier input`} onClick={() => update((old) => moveInputEarlier(old, source, name))} />
            )}
          </Row>
        ))}
      </ol>
      {outputs.length > 0 && <h4>To</h4>}
      <ul className="links">
        {outputs.map(({ target }) => (
          <Row key={target} source={name} target={target} other={target} />
        ))}
      </ul>
      <ConnectTo graph={graph} name={name} />
    </section>
  );
}

interface RowProps {
  readonly source: string;
  readonly target: string;
  readonly other: string;
  readonly children?: React.ReactNode;
}

function Row({ source, target, other, children }: RowProps) {
  return (
    <li>
      <button type="button" className="link-name" dir="auto" onClick={() => selectNode(other)} title={`Show ${other}`}>{other}</button>
      {children}
      <IconButton icon="link" label={`Queue from ${source} to ${target}`} onClick={() => select({ edges: new Set([edgeId(source, target)]) })} />
      <IconButton icon="close" label={`Disconnect ${source} from ${target}`} onClick={() => update((old) => disconnect(old, source, target))} />
    </li>
  );
}

function IconButton({ icon, label, onClick }: { readonly icon: "up" | "link" | "close"; readonly label: string; readonly onClick: () => void }) {
  return (
    <button type="button" className="icon-button" onClick={onClick} aria-label={label} title={label}>
      <Icon name={icon} />
    </button>
  );
}

function ConnectTo({ graph, name }: Props) {
  const id = useId();
  const steps = useStore(session, (state) => state.steps);
  const kindOf = (each: string): Kind => {
    const step = graph.nodes.get(each)?.step;
    return step === null ? "source" : (steps.get(step ?? "")?.kind ?? "step");
  };
  if (kindOf(name) === "sink") return null;
  const targets = targetsOf(graph, kindOf, name);
  return (
    <div className="field">
      <label htmlFor={id}>Connect to…</label>
      <select
        id={id}
        value=""
        disabled={targets.length === 0}
        onChange={(event) => {
          const target = event.target.value;
          if (target !== "") update((old) => connect(old, name, target));
        }}
      >
        <option value="">{targets.length === 0 ? "no node can take its items" : "choose a node"}</option>
        {targets.map((target) => <option key={target} value={target}>{target}</option>)}
      </select>
    </div>
  );
}
