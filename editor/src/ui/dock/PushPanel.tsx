import { useId, useState } from "react";

import { Refused } from "../../client/link";
import { push, reason, session } from "../../app/session";
import { useStore } from "../../app/store";
import { type Json } from "../../graph/model";

const AT_ONCE = 100;

/** Send items into an input node of the run, one a line. */
export function PushPanel() {
  const running = useStore(session, (state) => state.run);
  const most = useStore(session, (state) => state.hello?.limits.push_items ?? AT_ONCE);
  const [text, setText] = useState('1\n2\n"three"');
  const [plain, setPlain] = useState(false);
  const [chosen, setChosen] = useState("");
  const [said, setSaid] = useState("");
  const id = useId();
  const inputs = running?.inputs ?? [];
  if (inputs.length === 0) {
    const why = running ? "This run has no node that takes items." : "Nothing runs.";
    return <p className="panel quiet">{why} Add a <em>push input</em>, connect it, and run: what you write here is sent into it.</p>;
  }
  const node = inputs.includes(chosen) ? chosen : (inputs[0] ?? "");
  const send = async () => {
    try {
      const items = itemsOf(text, plain);
      if (items.length > most) throw new Error(`${items.length} items are too many at once; at most ${most}.`);
      setSaid(`${await push(node, items)} taken.`);
    } catch (error) {
      const taken = error instanceof Refused && error.accepted > 0 ? `${error.accepted} taken; then: ` : "";
      setSaid(taken + reason(error));
    }
  };
  return (
    <form
      className="panel push"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="panel-bar">
        <label htmlFor={`${id}-node`}>Into</label>
        <select id={`${id}-node`} value={node} onChange={(event) => setChosen(event.target.value)}>
          {inputs.map((name) => <option key={name}>{name}</option>)}
        </select>
        <label htmlFor={`${id}-form`}>each line is</label>
        <select id={`${id}-form`} value={plain ? "text" : "json"} onChange={(event) => setPlain(event.target.value === "text")}>
          <option value="json">JSON</option>
          <option value="text">text</option>
        </select>
        <button type="submit" className="primary">Push</button>
        <span role="status" className="push-said">{said}</span>
      </div>
      <textarea aria-label="Items, one a line" spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} />
    </form>
  );
}

function itemsOf(text: string, plain: boolean): Json[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return plain ? lines : lines.map((line, index) => jsonOf(line, index + 1));
}

function jsonOf(line: string, number: number): Json {
  try {
    return JSON.parse(line) as Json;
  } catch {
    throw new Error(`Line ${number} is no JSON; text stands in "quotes".`);
  }
}
