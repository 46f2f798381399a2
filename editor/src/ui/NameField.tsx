import { useId, useState } from "react";

import { graphNow, rename } from "../app/editor";
import { nameFault } from "../graph/names";

/** A node's name; it is taken over with Enter or on leaving, where it is a good one. */
export function NameField({ name }: { readonly name: string }) {
  const id = useId();
  const [draft, setDraft] = useState(name);
  const fault = nameFault(draft, (each) => each !== name && graphNow().nodes.has(each));
  const take = () => {
    if (fault !== null) setDraft(name);
    else if (draft !== name) rename(name, draft);
  };
  return (
    <form
      className={`field ${fault ? "field-faulty" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        take();
      }}
    >
      <label htmlFor={id}>Name</label>
      <input
        id={id}
        type="text"
        dir="auto"
        value={draft}
        spellCheck={false}
        autoComplete="off"
        aria-invalid={fault !== null}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={take}
      />
      {fault && <p className="field-fault" role="alert">{fault}</p>}
    </form>
  );
}
