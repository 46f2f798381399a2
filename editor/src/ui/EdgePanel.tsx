import { useMemo } from "react";

import { removeSelected, setEdgeOption } from "../app/editor";
import { session } from "../app/session";
import { useStore } from "../app/store";
import { type GraphEdge } from "../graph/model";
import { fieldsOf, resolve } from "../graph/schema";
import { FieldRow } from "./form/FieldRow";
import { Icon } from "./icons";

/** What an edge says of its own queue. */
export function EdgePanel({ edge }: { readonly edge: GraphEdge }) {
  const schema = useStore(session, (state) => state.hello?.schema);
  const fields = useMemo(
    () => (schema ? fieldsOf(resolve({ $ref: "#/$defs/edge" }, schema), schema).filter(({ key }) => key !== "to") : []),
    [schema],
  );
  return (
    <>
      <header className="panel-head">
        <h2>Queue</h2>
        <p className="doc" dir="auto">from <strong>{edge.source}</strong> to <strong>{edge.target}</strong></p>
      </header>
      <section className="panel-section" aria-label="Queue">
        {fields.map((field) => (
          <FieldRow key={field.key} field={field} value={edge.options.get(field.key)} onChange={(value) => setEdgeOption(edge, field.key, value)} />
        ))}
      </section>
      <button type="button" className="danger wide" onClick={removeSelected}>
        <Icon name="trash" /> Delete edge
      </button>
    </>
  );
}
