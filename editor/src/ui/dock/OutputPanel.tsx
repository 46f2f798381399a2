import { useLayoutEffect, useRef } from "react";

import { session, setPreview } from "../../app/session";
import { useStore } from "../../app/store";
import { live, useOutput } from "../../live/hooks";
import { count } from "../numbers";

/** What arrived at the ends of the graph, the newest at the bottom; always as text. */
export function OutputPanel() {
  const { lines, total, dropped } = useOutput();
  const preview = useStore(session, (state) => state.preview);
  const box = useRef<HTMLOListElement>(null);
  const follow = useRef(true);
  useLayoutEffect(() => {
    if (follow.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  return (
    <div className="panel output">
      <div className="panel-bar">
        <span className="quiet">
          {total === 0 ? "Nothing has arrived yet." : `${count(total)} arrived${dropped > 0 ? `, ${count(dropped)} of them not shown` : ""}`}
        </span>
        <label className="check" title="Every item is sent here, and the run waits for this page: you see your browser as back-pressure.">
          <input type="checkbox" checked={preview === "all"} onChange={(event) => setPreview(event.target.checked ? "all" : "sample")} />
          Show every item (next run)
        </label>
        <button type="button" disabled={total === 0} onClick={() => live.clearOutput()}>Clear</button>
      </div>
      <ol
        ref={box}
        tabIndex={0}
        aria-label="Output"
        onScroll={({ currentTarget: at }) => {
          follow.current = at.scrollTop + at.clientHeight >= at.scrollHeight - 24;
        }}
      >
        {lines.map(({ id, node, text }) => (
          <li key={id}>
            <span className="output-node" title={node}>{node}</span>
            <code dir="auto">{text}</code>
          </li>
        ))}
      </ol>
    </div>
  );
}
