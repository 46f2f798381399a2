import { useMemo } from "react";

import { removeSelected, setOption } from "../app/editor";
import { session } from "../app/session";
import { useStore } from "../app/store";
import { type Problem } from "../client/protocol";
import { type Graph, type GraphNode } from "../graph/model";
import { type Field, fieldsOf, resolve } from "../graph/schema";
import { useLiveNode } from "../live/hooks";
import { Connections } from "./Connections";
import { FieldRow } from "./form/FieldRow";
import { Icon } from "./icons";
import { NameField } from "./NameField";
import { count } from "./numbers";
import { problemsAt } from "./problems";

interface Props {
  readonly graph: Graph;
  readonly node: GraphNode;
}

/** All that can be said of one node. */
export function NodePanel({ graph, node }: Props) {
  const step = useStore(session, (state) => state.steps.get(node.step ?? ""));
  const schema = useStore(session, (state) => state.hello?.schema);
  const args = useMemo(() => withOthers(step ? fieldsOf(step.args) : [], node.args), [step, node.args]);
  const properties = useMemo(() => propertyFields(schema), [schema]);
  const said = node.properties.size;
  return (
    <>
      <header className="panel-head">
        <h2 title={node.step ?? ""}>{step?.title ?? node.step ?? "Push input"}</h2>
        <p className="doc">{docText(step?.doc) ?? (node.step === null ? "Takes the items that you push into it while it runs." : "This server does not offer this step.")}</p>
      </header>
      <NameField name={node.name} />
      {args.length > 0 && <Fields title="Arguments" group="args" node={node} fields={args} />}
      <Connections graph={graph} name={node.name} />
      <Counters name={node.name} />
      <details className="panel-section" open={said > 0}>
        <summary>
          <h3>Properties</h3>
          {said > 0 && <span className="count">{said}</span>}
        </summary>
        <Fields title="" group="properties" node={node} fields={properties} />
      </details>
      <button type="button" className="danger wide" onClick={removeSelected}>
        <Icon name="trash" /> Delete node
      </button>
    </>
  );
}

interface FieldsProps {
  readonly title: string;
  readonly group: "args" | "properties";
  readonly node: GraphNode;
  readonly fields: readonly Field[];
}

function Fields({ title, group, node, fields }: FieldsProps) {
  const problems = useStore(session, (state) => state.problems);
  const faults = (key: string) => problemsAt(problems, "nodes", node.name, group, key).map(textOf);
  return (
    <section className={title ? "panel-section" : "fields"} aria-label={title || "Properties"}>
      {title && <h3>{title}</h3>}
      {fields.map((field) => (
        <FieldRow
          key={field.key}
          field={field}
          value={node[group].get(field.key)}
          faults={faults(field.key)}
          onChange={(value) => setOption(node.name, group, field.key, value)}
        />
      ))}
    </section>
  );
}

/** What a docstring says before its list of arguments, whose help stands beside their fields. */
function docText(doc: string | undefined): string | undefined {
  return doc?.split(/\n\s*Args:/, 1)[0]?.trim().replace(/(?<!\n)\n(?!\n)/g, " ");
}

function textOf({ message, hint }: Problem): string {
  return hint ? `${message} ${hint}` : message;
}

/** Arguments that the schema does not know are shown too, so that they can be taken away. */
function withOthers(fields: readonly Field[], args: GraphNode["args"]): Field[] {
  const known = new Set(fields.map(({ key }) => key));
  const others = [...args.keys()].filter((key) => !known.has(key));
  const made = fieldsOf({ properties: Object.fromEntries(others.map((key) => [key, { title: key, description: "The step has no such argument." }])) });
  return [...fields, ...made];
}

function propertyFields(schema: Parameters<typeof resolve>[1] | undefined): Field[] {
  return schema ? fieldsOf(resolve({ $ref: "#/$defs/properties" }, schema), schema) : [];
}

/** Each count of the node in the run, as far as there is one. */
function Counters({ name }: { readonly name: string }) {
  const numbers = useLiveNode(name);
  if (numbers === undefined) return null;
  const { received, emitted, skipped, dead_lettered, failed, in_flight } = numbers.counts;
  const rows = { received, emitted, skipped, "dead-lettered": dead_lettered, failed, "in flight": in_flight };
  return (
    <section className="panel-section" aria-label="Counters">
      <h3>In this run</h3>
      <dl className="counters">
        {Object.entries(rows).map(([word, value]) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd>{count(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
